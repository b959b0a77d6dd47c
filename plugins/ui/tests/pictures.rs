//! Pictures as the window composites them, pixel by pixel, against the formulas of ITU-R BT.709.

#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bevy::app::PluginsState;
use bevy::camera::RenderTarget;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::gpu_readback::{Readback, ReadbackComplete};
use bevy::render::render_resource::{TextureFormat, TextureUsages};
use bevy::tasks::tick_global_task_pools_on_main_thread;
use bevy::window::ExitCondition;
use bevy::winit::WinitPlugin;
use hyperzoom_gpu::{Gpu, GpuError, Software};
use hyperzoom_media::I420;
use hyperzoom_ui_plugin::pictures::{Newest, PicturesPlugin, Place, Places};

/// Of the screen, and of most pictures: rows of it are as the GPU aligns them.
const SIDE: usize = 256;
const SHAPE: I420 = I420 { width: 256, height: 256 };

/// Squares of one colour each, so that a sample inside one has neighbours of its own colour only.
const SQUARE: usize = 16;

const GROUND: egui::Color32 = egui::Color32::from_rgb(0x0f, 0x11, 0x15);

/// A screen without a window.
struct Screen {
    app: App,
    pixels: Arc<Mutex<Vec<u8>>>,
}

impl Screen {
    /// None without a GPU, or a program that acts as one: the calling test is to return.
    fn new() -> Option<Self> {
        match Gpu::open(Software::Taken) {
            Ok(_) => {}
            Err(error @ GpuError::NoAdapter(_)) => {
                hyperzoom_testkit::skipped(&error.to_string());
                return None;
            }
            Err(error) => panic!("{error}"),
        }
        let mut app = App::new();
        let window =
            WindowPlugin { primary_window: None, exit_condition: ExitCondition::DontExit, ..default() };
        let render = RenderPlugin { synchronous_pipeline_compilation: true, ..default() };
        app.add_plugins(DefaultPlugins.set(window).set(render).disable::<WinitPlugin>());
        app.add_plugins(PicturesPlugin);
        while app.plugins_state() == PluginsState::Adding {
            tick_global_task_pools_on_main_thread();
        }
        app.finish();
        app.cleanup();

        let mut target =
            Image::new_target_texture(SIDE as u32, SIDE as u32, TextureFormat::Rgba8UnormSrgb, None);
        target.texture_descriptor.usage |= TextureUsages::COPY_SRC;
        let target = app.world_mut().resource_mut::<Assets<Image>>().add(target);
        app.world_mut().spawn((Camera2d, Msaa::Off, RenderTarget::Image(target.clone().into())));
        let pixels = Arc::new(Mutex::new(Vec::new()));
        let read = Arc::clone(&pixels);
        app.world_mut().spawn(Readback::texture(target)).observe(
            move |done: On<'_, '_, ReadbackComplete>| {
                *read.lock().unwrap() = done.data.clone();
            },
        );
        Some(Self { app, pixels })
    }

    fn show(&mut self, id: u8, shape: I420, picture: &[u8]) {
        self.app.world_mut().resource_mut::<Newest>().show(id, shape, shape.planes(picture));
    }

    fn place(&mut self, list: &[Place]) {
        let screen = egui::Vec2::splat(SIDE as f32);
        self.app.insert_resource(Places { list: list.to_vec(), screen, ground: GROUND });
    }

    /// The pixels once all is drawn, row by row. What is read comes some frames late.
    fn drawn(&mut self) -> Vec<[u8; 4]> {
        for _ in 0..12 {
            self.app.update();
            std::thread::sleep(Duration::from_millis(5));
        }
        let pixels = self.pixels.lock().unwrap();
        assert_eq!(pixels.len(), SIDE * SIDE * 4, "the screen was read");
        pixels.chunks_exact(4).map(|pixel| pixel.try_into().unwrap()).collect()
    }
}

fn place(id: u8, left: f32, top: f32, width: f32, height: f32) -> Place {
    let area = egui::Rect::from_min_size(egui::pos2(left, top), egui::vec2(width, height));
    Place { id, area, mirrored: false, faded: false }
}

fn everywhere(id: u8) -> Place {
    place(id, 0.0, 0.0, SIDE as f32, SIDE as f32)
}

fn at(pixels: &[[u8; 4]], x: usize, y: usize) -> [u8; 3] {
    let [r, g, b, _] = pixels[y * SIDE + x];
    [r, g, b]
}

const BARE: [u8; 3] = [0x0f, 0x11, 0x15];

/// A picture whose luma says where it is, without colour.
fn grey(shape: I420, luma: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    let mut picture = vec![128; shape.len()];
    for (n, sample) in picture[..shape.luma_len()].iter_mut().enumerate() {
        *sample = luma(n % shape.width as usize, n / shape.width as usize);
    }
    picture
}

/// R', G' and B' in code values: E'y = Kr R' + Kg G' + Kb B', Cb = (B' - E'y) / (2 - 2 Kb) and Cr = (R' - E'y) / (2 - 2 Kr) of
/// BT.709, solved, after the quantisation of its §3.
fn reference([y, u, v]: [u8; 3]) -> [f64; 3] {
    let (kr, kb) = (0.2126, 0.0722);
    let [y, u, v] = [y, u, v].map(f64::from);
    let (luma, cb, cr) = ((y - 16.0) / 219.0, (u - 128.0) / 224.0, (v - 128.0) / 224.0);
    let red = luma + cr * (2.0 - 2.0 * kr);
    let blue = luma + cb * (2.0 - 2.0 * kb);
    let green = (luma - kr * red - kb * blue) / (1.0 - kr - kb);
    [red, green, blue].map(|value| value.clamp(0.0, 1.0) * 255.0)
}

/// Bytes that look like nothing, the same in every run.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 23u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn colours_are_those_of_the_recommendation() {
    let Some(mut screen) = Screen::new() else { return };
    let mut colours: Vec<[u8; 3]> =
        noise(3 * 256).chunks_exact(3).map(|three| three.try_into().unwrap()).collect();
    // 100 % bars of a test chart: white, black, red, green, blue.
    let bars = [[235, 128, 128], [16, 128, 128], [63, 102, 240], [173, 42, 26], [32, 240, 118]];
    colours[20..25].copy_from_slice(&bars);
    let mut picture = vec![0; SHAPE.len()];
    for (n, plane) in SHAPE.planes_mut(&mut picture).into_iter().enumerate() {
        let (width, square) = if n == 0 { (SIDE, SQUARE) } else { (SIDE / 2, SQUARE / 2) };
        for (at, sample) in plane.iter_mut().enumerate() {
            *sample = colours[(at / width / square) * (SIDE / SQUARE) + at % width / square][n];
        }
    }
    screen.show(7, SHAPE, &picture);
    screen.place(&[everywhere(7)]);
    let pixels = screen.drawn();
    let mut largest = 0.0f64;
    for (n, &colour) in colours.iter().enumerate() {
        let middle = |n: usize| n * SQUARE + SQUARE / 2;
        let pixel = at(&pixels, middle(n % (SIDE / SQUARE)), middle(n / (SIDE / SQUARE)));
        for (is, should) in pixel.into_iter().zip(reference(colour)) {
            let off = (f64::from(is) - should).abs();
            largest = largest.max(off);
            assert!(off <= 1.0, "{colour:?}: {pixel:?}, not {:.1?}", reference(colour));
        }
    }
    eprintln!("{largest:.2} code values off at most");
    // The chart's own values are rounded, each by up to half a code value.
    for (n, rgb) in
        [(20, [255, 255, 255]), (21, [0, 0, 0]), (22, [255, 0, 0]), (23, [0, 255, 0]), (24, [0, 0, 255])]
    {
        let pixel = at(&pixels, n % 16 * SQUARE + 8, n / 16 * SQUARE + 8);
        assert!(
            pixel.into_iter().zip(rgb).all(|(is, should)| is.abs_diff(should) <= 2),
            "{pixel:?}, not {rgb:?}"
        );
    }
}

#[test]
fn a_picture_covers_its_place_with_round_corners_and_can_be_mirrored() {
    let Some(mut screen) = Screen::new() else { return };
    // Twice as wide as high: the middle half is seen. Brighter to the right, and above brighter than below.
    let shape = I420 { width: 256, height: 128 };
    let picture = grey(shape, |x, y| 60 + (x / 4) as u8 + if y < 64 { 60 } else { 0 });
    screen.show(0, shape, &picture);
    screen.show(1, shape, &picture);
    screen.place(&[
        place(0, 0.0, 0.0, 128.0, 128.0),
        Place { mirrored: true, ..place(1, 128.0, 128.0, 128.0, 128.0) },
    ]);
    let pixels = screen.drawn();
    let luma = |x, y| at(&pixels, x, y)[0];
    assert_eq!(at(&pixels, 200, 50), BARE, "nothing is drawn around it");
    assert_eq!(at(&pixels, 0, 0), BARE, "corners are round");
    assert_eq!(at(&pixels, 127, 127), BARE);
    assert_ne!(at(&pixels, 64, 0), BARE, "edges are straight");
    assert_ne!(at(&pixels, 0, 64), BARE);
    assert!(luma(64, 20) > luma(64, 100) + 30, "above is above");
    assert!(luma(120, 20) > luma(8, 20) + 20, "right is right");
    assert!(luma(136, 148) > luma(248, 148) + 20, "mirrored");
    // What is seen begins at a quarter: sample 64 and not 0. Luma 60 + 17 + 60 as it is drawn.
    let expected = reference([60 + 68 / 4 + 60, 128, 128])[0];
    assert!((f64::from(luma(4, 40)) - expected).abs() <= 2.0, "{} is not {expected}", luma(4, 40));
}

#[test]
fn a_large_picture_in_a_small_place_is_smooth() {
    let Some(mut screen) = Screen::new() else { return };
    let shape = I420 { width: 1024, height: 1024 };
    // Stripes of two samples, seven samples a pixel: what is left of them is faint. Without the mean it is 0 to 255.
    screen.show(0, shape, &grey(shape, |x, _| if x % 4 < 2 { 16 } else { 235 }));
    screen.place(&[place(0, 0.0, 0.0, 150.0, 150.0)]);
    let pixels = screen.drawn();
    let row: Vec<u8> = (20..130).map(|x| at(&pixels, x, 75)[0]).collect();
    let (least, most) = (row.iter().min().unwrap(), row.iter().max().unwrap());
    assert!(*least > 80 && *most < 175, "{row:?}");
}

#[test]
fn a_faded_picture_keeps_its_light_and_loses_colour() {
    let Some(mut screen) = Screen::new() else { return };
    let mut picture = vec![120; SHAPE.len()];
    let [_, u, v] = SHAPE.planes_mut(&mut picture);
    u.fill(100);
    v.fill(200);
    screen.show(0, SHAPE, &picture);
    screen.place(&[everywhere(0)]);
    let [red, _, blue] = at(&screen.drawn(), 128, 128);
    screen.place(&[Place { faded: true, ..everywhere(0) }]);
    let [faded_red, _, faded_blue] = at(&screen.drawn(), 128, 128);
    let (was, is) = (red.abs_diff(blue), faded_red.abs_diff(faded_blue));
    assert!(is < was / 2 && is > was / 4, "{is} of {was}");
}

#[test]
fn pictures_follow_their_shape_and_go_with_their_place() {
    let Some(mut screen) = Screen::new() else { return };
    screen.show(3, SHAPE, &grey(SHAPE, |_, _| 200));
    let bright = reference([200, 128, 128])[0].round() as u8;
    screen.place(&[]);
    assert_eq!(at(&screen.drawn(), 128, 128), BARE, "it has no place");
    screen.place(&[everywhere(3)]);
    assert!(at(&screen.drawn(), 128, 128)[0].abs_diff(bright) <= 1);
    // The next picture of the same size, then one of another, whose sides are odd.
    screen.show(3, SHAPE, &grey(SHAPE, |_, _| 100));
    let dark = reference([100, 128, 128])[0].round() as u8;
    assert!(at(&screen.drawn(), 128, 128)[0].abs_diff(dark) <= 1);
    let odd = I420 { width: 33, height: 19 };
    screen.show(3, odd, &grey(odd, |_, _| 200));
    assert!(at(&screen.drawn(), 128, 128)[0].abs_diff(bright) <= 1);
    screen.place(&[]);
    assert_eq!(at(&screen.drawn(), 128, 128), BARE);
    screen.place(&[everywhere(3)]);
    assert_eq!(at(&screen.drawn(), 128, 128), BARE, "what was seen before is not seen again");
    screen.show(3, SHAPE, &grey(SHAPE, |_, _| 100));
    assert!(at(&screen.drawn(), 128, 128)[0].abs_diff(dark) <= 1);
}

#[test]
fn a_zoom_of_the_panels_moves_pictures_with_them() {
    let Some(mut screen) = Screen::new() else { return };
    screen.show(0, SHAPE, &grey(SHAPE, |_, _| 200));
    let list = vec![place(0, 0.0, 0.0, 64.0, 64.0)];
    // A point of the panels is two of the screen.
    let points = egui::Vec2::splat(SIDE as f32 / 2.0);
    screen.app.insert_resource(Places { list, screen: points, ground: GROUND });
    let pixels = screen.drawn();
    assert_ne!(at(&pixels, 126, 64), BARE);
    assert_eq!(at(&pixels, 130, 64), BARE);
}
