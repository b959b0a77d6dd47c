//! The systems: what there is to see becomes entities, textures and materials.
#![allow(clippy::needless_pass_by_value, reason = "the ECS hands systems their parameters by value")]

use std::collections::HashMap;

use bevy::asset::RenderAssetUsages;
use bevy::image::ImageSampler;
use bevy::prelude::*;
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat};
use bevy::sprite_render::MeshMaterial2d;
use hyperzoom_media::I420;

use super::material::{Drawing, PictureMaterial};
use super::{Newest, Place, Places};

/// Pictures on the screen, by their ids.
#[derive(Resource, Debug, Default)]
pub(super) struct Shown {
    pictures: HashMap<u8, Picture>,
    /// A square of one point, which transforms make larger.
    square: Option<Handle<Mesh>>,
}

/// One of them. Its textures go with their handles.
#[derive(Debug)]
struct Picture {
    entity: Entity,
    shape: I420,
    planes: [Handle<Image>; 3],
    material: Handle<PictureMaterial>,
}

/// Pixels of the screen for each of egui's points, and points of Bevy's camera for each of them, with the size of what it sees.
#[derive(Debug, Clone, Copy)]
struct View {
    pixels: f32,
    points: f32,
    size: Vec2,
}

impl View {
    fn new(camera: &Camera, screen: egui::Vec2) -> Option<Self> {
        let size = camera.logical_viewport_size()?;
        // egui has a zoom of its own, of which Bevy's camera knows nothing.
        let points = if screen.x > 0.0 { size.x / screen.x } else { 1.0 };
        let pixels = points * camera.target_scaling_factor().unwrap_or(1.0);
        Some(Self { pixels, points, size })
    }

    /// Bevy's camera looks at the middle of the window, and its Y grows upwards.
    fn transform(self, area: egui::Rect) -> Transform {
        let (centre, size) = (area.center(), area.size());
        let x = centre.x * self.points - self.size.x / 2.0;
        let y = self.size.y / 2.0 - centre.y * self.points;
        Transform::from_xyz(x, y, 0.0).with_scale(Vec3::new(size.x * self.points, size.y * self.points, 1.0))
    }
}

/// The ground is the theme's.
pub(super) fn ground(places: Res<'_, Places>, mut clear: ResMut<'_, ClearColor>) {
    let [r, g, b, _] = places.ground.to_srgba_unmultiplied();
    let ground = Color::srgb_u8(r, g, b);
    if clear.0 != ground {
        clear.0 = ground;
    }
}

/// Pictures go where their places are, and away with them.
pub(super) fn place(
    mut commands: Commands<'_, '_>,
    places: Res<'_, Places>,
    mut newest: ResMut<'_, Newest>,
    mut shown: ResMut<'_, Shown>,
    mut materials: ResMut<'_, Assets<PictureMaterial>>,
    cameras: Query<'_, '_, &Camera, With<Camera2d>>,
) {
    shown.pictures.retain(|id, picture| {
        let stays = places.list.iter().any(|place| place.id == *id);
        if !stays {
            commands.entity(picture.entity).despawn();
            // What came for it before it went is old when it comes back.
            newest.forget(*id);
        }
        stays
    });
    let Some(view) = cameras.iter().next().and_then(|camera| View::new(camera, places.screen)) else {
        return;
    };
    for place in &places.list {
        let Some(picture) = shown.pictures.get(&place.id) else { continue };
        commands.entity(picture.entity).insert(view.transform(place.area));
        let drawing = Drawing::new(place, picture.shape, view.pixels);
        // Only a change makes the renderer prepare the material again.
        let is_new = materials.get(&picture.material).is_some_and(|material| material.drawing != drawing);
        if let Some(mut material) = is_new.then(|| materials.get_mut(&picture.material)).flatten() {
            material.drawing = drawing;
        }
    }
}

/// What is new and has a place goes to the GPU.
#[allow(clippy::too_many_arguments, reason = "a system's arguments are what it touches")]
pub(super) fn upload(
    mut commands: Commands<'_, '_>,
    places: Res<'_, Places>,
    mut newest: ResMut<'_, Newest>,
    mut shown: ResMut<'_, Shown>,
    mut images: ResMut<'_, Assets<Image>>,
    mut materials: ResMut<'_, Assets<PictureMaterial>>,
    mut meshes: ResMut<'_, Assets<Mesh>>,
    cameras: Query<'_, '_, &Camera, With<Camera2d>>,
) {
    let Some(view) = cameras.iter().next().and_then(|camera| View::new(camera, places.screen)) else {
        return;
    };
    for place in &places.list {
        let Some(waiting) = newest.waiting.remove(&place.id) else { continue };
        let shape = waiting.shape;
        match shown.pictures.get_mut(&place.id) {
            Some(picture) if picture.shape == shape => {
                for (handle, plane) in picture.planes.iter().zip(waiting.planes) {
                    if let Some(mut image) = images.get_mut(handle) {
                        image.data = Some(plane);
                    }
                }
            }
            Some(picture) => {
                // New textures, and the material that is to hold them has to be told.
                picture.shape = shape;
                picture.planes = textures(&mut images, shape, waiting.planes);
                if let Some(mut material) = materials.get_mut(&picture.material) {
                    *material = of(place, shape, view, &picture.planes);
                }
            }
            None => {
                let planes = textures(&mut images, shape, waiting.planes);
                let material = materials.add(of(place, shape, view, &planes));
                let square = shown.square.get_or_insert_with(|| meshes.add(Rectangle::new(1.0, 1.0))).clone();
                let entity = commands
                    .spawn((
                        Name::new(format!("picture {}", place.id)),
                        Mesh2d(square),
                        MeshMaterial2d(material.clone()),
                        view.transform(place.area),
                    ))
                    .id();
                shown.pictures.insert(place.id, Picture { entity, shape, planes, material });
            }
        }
    }
}

fn of(place: &Place, shape: I420, view: View, [y, u, v]: &[Handle<Image>; 3]) -> PictureMaterial {
    let drawing = Drawing::new(place, shape, view.pixels);
    PictureMaterial { drawing, y: y.clone(), u: u.clone(), v: v.clone() }
}

/// A texture for each plane: Y, U, V.
fn textures(images: &mut Assets<Image>, shape: I420, planes: [Vec<u8>; 3]) -> [Handle<Image>; 3] {
    let chroma = (shape.chroma_width() as u32, shape.chroma_height() as u32);
    let mut sizes = [(shape.width, shape.height), chroma, chroma].into_iter();
    planes.map(|plane| {
        let (width, height) = sizes.next().unwrap_or(chroma);
        let size = Extent3d { width, height, depth_or_array_layers: 1 };
        // It is not kept on this side once it was uploaded.
        let usage = RenderAssetUsages::RENDER_WORLD;
        let mut image = Image::new(size, TextureDimension::D2, plane, TextureFormat::R8Unorm, usage);
        image.sampler = ImageSampler::linear();
        images.add(image)
    })
}
