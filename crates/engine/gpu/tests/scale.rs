//! The GPU's pictures against the CPU's.

#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::time::Duration;

use common::{gpu, noise, renderer};
use hyperzoom_gpu::{ColourSpace, Gpu, GpuScaler, Matrix, PixelFormat, Range, SharedGpu, Software};
use hyperzoom_media::{Downscale, I420};
use hyperzoom_video::{FrameRate, Pattern, Scaler};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const fn shape(width: u32, height: u32) -> I420 {
    I420 { width, height }
}

const LIVE: [I420; 2] = [shape(854, 480), shape(640, 360)];

/// How far the two are from each other, and in how many samples.
fn difference(one: &[u8], other: &[u8]) -> (u8, usize) {
    assert_eq!(one.len(), other.len());
    let differences = one.iter().zip(other).map(|(a, b)| a.abs_diff(*b));
    (differences.clone().max().unwrap_or(0), differences.filter(|&d| d > 0).count())
}

/// A picture with lines, text and gradients.
fn pattern(shape: I420) -> Vec<u8> {
    let mut picture = vec![0; shape.len()];
    Pattern::new(shape, FrameRate::THIRTY).draw(7, Duration::from_millis(233), &mut picture);
    picture
}

#[test]
fn gpu_and_cpu_agree_within_one_code_value() {
    let Some(gpu) = gpu() else { return };
    for to in LIVE {
        let mut on_gpu = GpuScaler::new(gpu.clone(), to);
        for from in [
            shape(1920, 1080),
            shape(1280, 720),
            shape(640, 480),
            shape(640, 360),
            shape(1080, 1920),
            shape(1001, 563),
            shape(320, 240),
            shape(854, 480),
            shape(2, 2),
        ] {
            let mut on_cpu = Scaler::new(to);
            // The pattern needs room for its stamp.
            let drawn = (from.width > 64).then(|| ("pattern", pattern(from)));
            for (what, picture) in [("noise", noise(from.len(), 1))].into_iter().chain(drawn) {
                let expected = on_cpu.scale(from, &picture);
                let out = on_gpu.scale(PixelFormat::I420, from, &picture).unwrap();
                let (largest, count) = difference(out, expected);
                eprintln!("{from:?} to {to:?}, {what}: {count} samples differ, by {largest} at most");
                assert!(largest <= 1, "{what} {from:?} to {to:?}: {largest} in {count} samples");
            }
        }
    }
}

#[test]
fn any_shape_comes_out_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let strategy = (1u32..700, 1u32..700, 1u32..300, 1u32..300, any::<u32>());
    TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() })
        .run(&strategy, |(width, height, half_width, half_height, seed)| {
            let (from, to) = (shape(width, height), shape(2 * half_width, 2 * half_height));
            let picture = noise(from.len(), seed);
            let mut on_cpu = Scaler::new(to);
            let mut on_gpu = GpuScaler::new(gpu.clone(), to);
            let out = on_gpu.scale(PixelFormat::I420, from, &picture).unwrap();
            let (largest, count) = difference(out, on_cpu.scale(from, &picture));
            prop_assert!(largest <= 1, "{:?} to {:?}: {} in {} samples", from, to, largest, count);
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_cameras_deliver_becomes_the_same_picture() {
    let Some(gpu) = gpu() else { return };
    let mut formats = vec![PixelFormat::Nv12, PixelFormat::Yuyv];
    for matrix in [Matrix::Bt601, Matrix::Bt709] {
        formats.extend(
            [Range::Limited, Range::Full].map(|range| PixelFormat::Rgb(ColourSpace { matrix, range })),
        );
    }
    for format in formats {
        for from in [shape(1920, 1080), shape(640, 360), shape(66, 50)] {
            let to = LIVE[0];
            let picture = noise(format.len(from), 3);
            let mut planes = Vec::new();
            format.to_i420(from, &picture, &mut planes).unwrap();
            let mut on_cpu = Scaler::new(to);
            let mut on_gpu = GpuScaler::new(gpu.clone(), to);
            let out = on_gpu.scale(format, from, &picture).unwrap();
            let (largest, count) = difference(out, on_cpu.scale(from, &planes));
            eprintln!("{format:?} {from:?}: {count} samples differ, by {largest} at most");
            assert!(largest <= 1, "{format:?} {from:?}: {largest} in {count} samples");
        }
    }
}

#[test]
fn a_lost_device_costs_no_picture() {
    let Some((device, queue)) = renderer() else { return };
    let (from, to) = (shape(1280, 720), LIVE[0]);
    let gpu = Gpu::of_renderer(device.clone(), queue, Software::Taken).unwrap();
    let mut scaler = SharedGpu::of(gpu.clone()).scaler(to, Box::new(Scaler::new(to)));
    let mut oracle = Scaler::new(to);
    for n in 0..12 {
        if n == 4 {
            assert!(!gpu.is_lost(), "it worked so far");
            device.destroy();
        }
        let picture = noise(from.len(), n);
        let (largest, _) = difference(scaler.scale(from, &picture), oracle.scale(from, &picture));
        assert!(largest <= 1, "picture {n}");
    }
    assert!(gpu.is_lost());
    assert_eq!(scaler.choice(), None, "the CPU is no choice where there is nothing else");
}

#[test]
fn a_path_is_chosen_and_both_give_the_picture() {
    let Some(gpu) = gpu() else { return };
    let (from, to) = (shape(1280, 720), LIVE[1]);
    let mut scaler = SharedGpu::of(gpu).scaler(to, Box::new(Scaler::new(to)));
    let mut oracle = Scaler::new(to);
    let mut pictures = 0;
    while scaler.choice().is_none() {
        let picture = noise(from.len(), pictures);
        let (largest, _) = difference(scaler.scale(from, &picture), oracle.scale(from, &picture));
        assert!(largest <= 1, "picture {pictures}");
        pictures += 1;
        assert!(pictures < 100, "nothing is chosen");
    }
}

#[test]
fn pictures_that_do_not_fit_their_shape_are_an_error_and_harm_nothing() {
    let Some(gpu) = gpu() else { return };
    let to = LIVE[1];
    let mut scaler = GpuScaler::new(gpu.clone(), to);
    for (format, from, len) in [
        (PixelFormat::I420, shape(64, 64), 6143),
        (PixelFormat::I420, shape(0, 64), 0),
        (PixelFormat::Nv12, shape(63, 64), 6048),
        (PixelFormat::Yuyv, shape(64, 64), 0),
        (PixelFormat::Rgb(ColourSpace::LIVE), shape(64, 64), 12_289),
    ] {
        let error = scaler.scale(format, from, &vec![0; len]).unwrap_err().to_string();
        assert!(error.contains("cannot be converted"), "{error}");
    }
    assert!(!gpu.is_lost());
    scaler.scale(PixelFormat::I420, shape(64, 64), &noise(6144, 0)).unwrap();
}
