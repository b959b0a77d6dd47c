//! Pictures, composited on the GPU below what egui draws.
//!
//! The program puts each new picture into [`Newest`], and says in [`Places`] where pictures are to be seen: a panel returns that. A
//! place whose picture has come is drawn there; where it has not the ground is seen. Planes are uploaded as they are, once a picture,
//! and a picture without a place is not uploaded at all.
//!
//! There has to be one `Camera2d`, where Bevy puts it, which draws into the whole window. It needs no multisampling (`Msaa::Off`):
//! the shader smoothes the corners. It must not have a `CompositingSpace`, for `bevy_egui` knows of none.

mod draw;
mod material;

use std::collections::HashMap;

use bevy::asset::AssetEventSystems;
use bevy::camera::{CameraUpdateSystems, visibility::VisibilitySystems};
use bevy::prelude::*;
use bevy::sprite_render::Material2dPlugin;
use bevy_egui::EguiPostUpdateSet;
use hyperzoom_media::I420;

use crate::theme::Palette;

/// Where one picture is to be seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Whose picture: as in [`Newest::show`]. No two places have the same.
    pub id: u8,
    /// Where, in egui's points. The picture covers it, so it may lose some at two sides; corners are round.
    pub area: egui::Rect,
    /// Left is right, as in a mirror: how people know themselves.
    pub mirrored: bool,
    /// With little of its colour: what is seen may be old.
    pub faded: bool,
}

/// Where pictures are to be seen. The window says so anew each time it is drawn.
#[derive(Resource, Debug, Clone, PartialEq)]
pub struct Places {
    /// Every picture that is to be seen.
    pub list: Vec<Place>,
    /// The whole window in egui's points: `ctx.content_rect().size()`.
    pub screen: egui::Vec2,
    /// What is seen where there is no picture: the theme's ground.
    pub ground: egui::Color32,
}

impl Default for Places {
    fn default() -> Self {
        Self { list: Vec::new(), screen: egui::Vec2::ZERO, ground: Palette::new(false).ground }
    }
}

/// Pictures that wait to be uploaded, the newest of each.
#[derive(Resource, Debug, Default)]
pub struct Newest {
    waiting: HashMap<u8, Waiting>,
}

/// One of them: Y, U and V.
#[derive(Debug)]
struct Waiting {
    shape: I420,
    planes: [Vec<u8>; 3],
}

impl Newest {
    /// Copies a picture; the one of the same id that waited before is forgotten. `planes` are as long as `shape` says
    /// ([`I420::planes`]); a picture of which that does not hold is left out.
    pub fn show(&mut self, id: u8, shape: I420, planes: [&[u8]; 3]) {
        let fits = planes.map(<[u8]>::len) == [shape.luma_len(), shape.chroma_len(), shape.chroma_len()];
        if !fits || shape.is_empty() {
            return;
        }
        let waiting = self
            .waiting
            .entry(id)
            .or_insert_with(|| Waiting { shape, planes: std::array::from_fn(|_| Vec::new()) });
        waiting.shape = shape;
        for (kept, plane) in waiting.planes.iter_mut().zip(planes) {
            kept.clear();
            kept.extend_from_slice(plane);
        }
    }

    /// Somebody is gone, and so is the picture that waits.
    pub fn forget(&mut self, id: u8) {
        self.waiting.remove(&id);
    }
}

/// Draws pictures; see [the module](self). After `DefaultPlugins`.
#[derive(Debug, Default)]
pub struct PicturesPlugin;

impl Plugin for PicturesPlugin {
    fn build(&self, app: &mut App) {
        material::embed(app);
        app.add_plugins(Material2dPlugin::<material::PictureMaterial>::default())
            .init_resource::<Places>()
            .init_resource::<Newest>()
            .init_resource::<draw::Shown>()
            .add_systems(
                PostUpdate,
                (draw::ground, draw::place, draw::upload)
                    .chain()
                    // Panels say where pictures go, and that holds for the frame that is being drawn.
                    .after(EguiPostUpdateSet::EndPass)
                    .after(CameraUpdateSystems)
                    .before(TransformSystems::Propagate)
                    .before(VisibilitySystems::CalculateBounds)
                    .before(AssetEventSystems),
            );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_picture_of_each_waits_and_none_that_does_not_fit_its_shape() {
        let mut newest = Newest::default();
        let shape = I420 { width: 3, height: 2 };
        newest.show(1, shape, [&[1; 6], &[1; 2], &[1; 2]]);
        newest.show(1, shape, [&[2; 6], &[2; 2], &[2; 2]]);
        newest.show(2, shape, [&[3; 6], &[3; 1], &[3; 2]]);
        newest.show(3, I420 { width: 0, height: 0 }, [&[], &[], &[]]);
        assert_eq!(newest.waiting.len(), 1);
        assert_eq!(newest.waiting[&1].planes[0], [2; 6]);
        newest.forget(1);
        assert!(newest.waiting.is_empty());
    }
}
