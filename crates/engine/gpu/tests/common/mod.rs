//! What the tests of the GPU share.

use hyperzoom_gpu::{Gpu, GpuError, Software};

/// The GPU of this machine, or a program that acts as one (lavapipe, of Debian's package mesa-vulkan-drivers). Without
/// either the calling test is to return: it is skipped, or fails where nothing may be skipped.
pub(crate) fn gpu() -> Option<Gpu> {
    match Gpu::open(Software::Taken) {
        Ok(gpu) => {
            eprintln!("on {}", gpu.name());
            Some(gpu)
        }
        Err(error @ GpuError::NoAdapter(_)) => {
            hyperzoom_testkit::skipped(&error.to_string());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A device as a renderer would have made it, or none as [`gpu`].
#[allow(dead_code)]
pub(crate) fn renderer() -> Option<(wgpu::Device, wgpu::Queue)> {
    gpu()?;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter =
        pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).unwrap();
    Some(pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap())
}

/// Bytes that look like nothing, the same in every run.
#[allow(dead_code)]
pub(crate) fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}
