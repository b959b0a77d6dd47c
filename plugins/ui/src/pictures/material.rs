//! What the shader of a picture is given.

use bevy::asset::uuid_handle;
use bevy::prelude::*;
use bevy::reflect::TypePath;
use bevy::render::render_resource::{AsBindGroup, ShaderType};
use bevy::shader::ShaderRef;
use bevy::sprite_render::{AlphaMode2d, Material2d};
use hyperzoom_gpu::ColourSpace;
use hyperzoom_media::I420;

use super::Place;
use crate::layout;
use crate::theme::PANEL_RADIUS;

const SHADER: Handle<Shader> = uuid_handle!("6b0e1c5a-7c0f-4e0b-9a34-5d2f5b6f0c11");

/// How much of its colour a picture keeps that may be old.
const FADED: f32 = 0.4;

/// More than this would be as slow as it would be smooth: a picture of 3840 samples in a tile of 300 pixels asks for it.
const MOST_PLACES: u32 = 6;

/// Makes the shader known.
pub(super) fn embed(app: &mut App) {
    let shader = Shader::from_wgsl(include_str!("../../../../shaders/picture.wgsl"), "shaders/picture.wgsl");
    let mut shaders = app.world_mut().resource_mut::<Assets<Shader>>();
    // Only a handle of the other kind can be refused.
    let inserted = shaders.insert(SHADER.id(), shader);
    debug_assert!(inserted.is_ok(), "a handle that is a number of ours");
}

/// As `Picture` in `picture.wgsl`.
#[derive(Debug, Clone, Copy, PartialEq, ShaderType)]
pub(super) struct Drawing {
    red: Vec4,
    green: Vec4,
    blue: Vec4,
    seen: Vec4,
    look: Vec4,
    places: UVec4,
}

impl Drawing {
    /// A picture of this shape at a place. `scale` is pixels of the screen for a point.
    pub(super) fn new(place: &Place, shape: I420, scale: f32) -> Self {
        let [red, green, blue] = ColourSpace::LIVE.to_rgb().map(Vec4::from_array);
        let (width, height) = (shape.width as f32, shape.height as f32);
        let size = place.area.size();
        let seen = layout::cover(width / height, size);
        let (left, right) = (seen.min.x, seen.max.x);
        let (left, right) = if place.mirrored { (right, left) } else { (left, right) };
        // The sampler takes the mean of two by two samples, so half as many places see every one of them.
        let samples = seen.width() * width / (size.x * scale).max(1.0);
        let luma = (samples / 2.0).ceil().clamp(1.0, MOST_PLACES as f32) as u32;
        let radius = PANEL_RADIUS.min(size.min_elem() / 2.0);
        Self {
            red,
            green,
            blue,
            seen: Vec4::new(left, seen.min.y, right, seen.max.y),
            look: Vec4::new(size.x, size.y, radius, if place.faded { FADED } else { 1.0 }),
            places: UVec4::new(luma, luma.div_ceil(2), 0, 0),
        }
    }
}

/// One picture.
#[derive(Asset, TypePath, AsBindGroup, Debug, Clone)]
pub(super) struct PictureMaterial {
    #[uniform(0)]
    pub(super) drawing: Drawing,
    #[texture(1)]
    #[sampler(4)]
    pub(super) y: Handle<Image>,
    #[texture(2)]
    pub(super) u: Handle<Image>,
    #[texture(3)]
    pub(super) v: Handle<Image>,
}

impl Material2d for PictureMaterial {
    fn fragment_shader() -> ShaderRef {
        SHADER.into()
    }

    fn alpha_mode(&self) -> AlphaMode2d {
        AlphaMode2d::Blend
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: I420 = I420 { width: 1920, height: 1080 };

    fn place(width: f32, height: f32) -> Place {
        let area = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(width, height));
        Place { id: 0, area, mirrored: false, faded: false }
    }

    #[test]
    fn every_sample_counts_where_the_tile_is_small_and_one_place_is_enough_where_it_is_not() {
        let places = |width: f32, scale: f32| {
            Drawing::new(&place(width, width / layout::PICTURE), SHAPE, scale).places.truncate().truncate()
        };
        assert_eq!(places(1920.0, 1.0), UVec2::new(1, 1));
        assert_eq!(places(620.0, 1.0), UVec2::new(2, 1), "3.1 samples a pixel");
        assert_eq!(places(620.0, 2.0), UVec2::new(1, 1));
        assert_eq!(places(160.0, 1.0), UVec2::new(6, 3));
        assert_eq!(places(0.0, 1.0), UVec2::new(1, 1), "there is nothing to see");
    }

    #[test]
    fn a_mirror_turns_what_is_seen_round() {
        let straight = Drawing::new(&place(100.0, 100.0), SHAPE, 1.0).seen;
        let turned = Drawing::new(&Place { mirrored: true, ..place(100.0, 100.0) }, SHAPE, 1.0).seen;
        assert_eq!((turned.x, turned.z), (straight.z, straight.x));
        assert_eq!((turned.y, turned.w), (0.0, 1.0));
    }
}
