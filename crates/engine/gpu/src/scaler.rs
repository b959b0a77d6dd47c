//! Scaling on the GPU.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bytemuck::{Pod, Zeroable};
use hyperzoom_media::{BLACK, Fit, I420};

use crate::device::{Gpu, checked, guarded};
use crate::taps::Taps;
use crate::{GpuError, PixelFormat};

/// How long a GPU may take for a picture. One that takes longer hangs, and the live picture stands still meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a program that acts as a GPU may take, which waits for the processor as others do.
const PATIENCE_WITH_SOFTWARE: Duration = Duration::from_secs(60);

/// The side of a workgroup in words and in rows, as `scale.wgsl` says.
const GROUP: [u32; 2] = [16, 4];

/// Scales pictures to one shape on the GPU, with black bars where their proportions differ from it.
pub struct GpuScaler {
    gpu: Gpu,
    to: I420,
    plan: Option<Plan>,
    out: Vec<u8>,
}

impl GpuScaler {
    /// A scaler to `to`.
    ///
    /// # Panics
    /// Where a side of `to` is odd or 0.
    #[must_use]
    pub fn new(gpu: Gpu, to: I420) -> Self {
        assert!(
            !to.is_empty() && to.width.is_multiple_of(2) && to.height.is_multiple_of(2),
            "pictures are scaled to even sides"
        );
        Self { gpu, to, plan: None, out: vec![0; to.len()] }
    }

    /// The picture in the shape of [`new`](Self::new), as I420. The calling thread sleeps while the GPU works.
    ///
    /// # Errors
    /// Where the picture does not fit its shape, or the GPU fails; it is [lost](Gpu::is_lost) then.
    pub fn scale(&mut self, format: PixelFormat, from: I420, picture: &[u8]) -> Result<&[u8], GpuError> {
        self.run(format, from, picture)?;
        Ok(self.picture())
    }

    /// What [`run`](Self::run) made last.
    pub(crate) fn picture(&self) -> &[u8] {
        &self.out
    }

    /// As [`scale`](Self::scale); the picture stays here.
    pub(crate) fn run(&mut self, format: PixelFormat, from: I420, picture: &[u8]) -> Result<(), GpuError> {
        const ACTION: &str = "scale a picture";
        format.check(from, picture.len())?;
        if self.gpu.is_lost() {
            return Err(GpuError::Device { action: ACTION, detail: "it was lost".to_owned() });
        }
        let result = guarded(ACTION, || {
            if self.plan.as_ref().is_none_or(|plan| plan.source != (format, from)) {
                let plan = checked(&self.gpu.device, ACTION, || Plan::new(&self.gpu, format, from, self.to))?;
                self.plan = Some(plan);
            }
            let Some(plan) = &self.plan else { unreachable!("it was made above") };
            checked(&self.gpu.device, ACTION, || plan.run(&self.gpu, picture, &mut self.out))?
        });
        if result.is_err() {
            // Its buffers may still be in use or half mapped.
            self.plan = None;
            self.gpu.mark_lost();
        }
        result
    }
}

/// As `Plane` in `scale.wgsl`.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct PlaneJob {
    from_at: u32,
    from_stride: u32,
    from_width: u32,
    from_height: u32,
    middle_at: u32,
    middle_stride: u32,
    to_at: u32,
    to_stride: u32,
    to_height: u32,
    left: u32,
    top: u32,
    width: u32,
    height: u32,
    black: i32,
    rows_at: u32,
    rows_step: u32,
    rows_bits: u32,
    columns_at: u32,
    columns_step: u32,
    columns_bits: u32,
}

/// As `Job` in `scale.wgsl`.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Job {
    planes: [PlaneJob; 3],
    colour: [[i32; 4]; 3],
    width: u32,
    height: u32,
    padding: [u32; 2],
}

/// One compute pass: what runs, on which buffers, in how many workgroups.
struct Pass {
    pipeline: wgpu::ComputePipeline,
    buffers: wgpu::BindGroup,
    groups: [u32; 2],
}

/// All that one shape of pictures needs.
struct Plan {
    source: (PixelFormat, I420),
    to: I420,
    job: Job,
    passes: Vec<Pass>,
    /// Where a picture is uploaded to.
    input: wgpu::Buffer,
    result: wgpu::Buffer,
    readback: wgpu::Buffer,
}

impl Plan {
    fn new(gpu: &Gpu, format: PixelFormat, from: I420, to: I420) -> Self {
        let (job, taps, sizes) = layout(format, from, to);
        let device = &gpu.device;
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let buffer = |label, bytes: u32, usage| {
            // A word read at an odd byte takes its other half from the next, also behind the last.
            let size = u64::from(bytes).next_multiple_of(4) + 4;
            let label = Some(label);
            device.create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false })
        };
        let uniform = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let parameters = buffer("parameters", size_of::<Job>() as u32, uniform);
        gpu.queue.write_buffer(&parameters, 0, bytemuck::bytes_of(&job));
        let weights = buffer("weights", 4 * taps.len() as u32, storage);
        gpu.queue.write_buffer(&weights, 0, bytemuck::cast_slice(&taps));
        let input = buffer("camera", format.len(from) as u32, storage);
        let middle = buffer("middle", sizes.middle, storage);
        let result = buffer("result", sizes.to, storage | wgpu::BufferUsages::COPY_SRC);
        let back = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let readback = buffer("readback", sizes.to, back);

        let pass =
            |pipeline: &wgpu::ComputePipeline, read: &wgpu::Buffer, write: &wgpu::Buffer, area: [u32; 2]| {
                let buffers = device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: None,
                    layout: &gpu.kernels.layout,
                    entries: &[
                        wgpu::BindGroupEntry { binding: 0, resource: parameters.as_entire_binding() },
                        wgpu::BindGroupEntry { binding: 1, resource: read.as_entire_binding() },
                        wgpu::BindGroupEntry { binding: 2, resource: weights.as_entire_binding() },
                        wgpu::BindGroupEntry { binding: 3, resource: write.as_entire_binding() },
                    ],
                });
                let groups = [area[0].div_ceil(4 * GROUP[0]), area[1].div_ceil(GROUP[1])];
                Pass { pipeline: pipeline.clone(), buffers, groups }
            };
        let mut passes = Vec::with_capacity(3);
        let luma = job.planes[0];
        let unpacked = gpu.kernels.unpack(format).map(|pipeline| {
            let planes = buffer("planes", sizes.from, storage);
            passes.push(pass(pipeline, &input, &planes, [luma.from_stride, luma.from_height]));
            planes
        });
        let planes = unpacked.as_ref().unwrap_or(&input);
        passes.push(pass(&gpu.kernels.vertical, planes, &middle, [luma.middle_stride, luma.height]));
        passes.push(pass(&gpu.kernels.horizontal, &middle, &result, [luma.to_stride, luma.to_height]));
        Self { source: (format, from), to, job, passes, input, result, readback }
    }

    fn run(&self, gpu: &Gpu, picture: &[u8], out: &mut [u8]) -> Result<(), GpuError> {
        let failed = |detail: String| GpuError::Device { action: "scale a picture", detail };
        // Uploads are of whole words.
        let (words, rest) = picture.split_at(picture.len() & !3);
        gpu.queue.write_buffer(&self.input, 0, words);
        if !rest.is_empty() {
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            gpu.queue.write_buffer(&self.input, words.len() as u64, &last);
        }
        let mut commands = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut compute = commands.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for pass in &self.passes {
                compute.set_pipeline(&pass.pipeline);
                compute.set_bind_group(0, &pass.buffers, &[]);
                compute.dispatch_workgroups(pass.groups[0], pass.groups[1], 3);
            }
        }
        commands.copy_buffer_to_buffer(&self.result, 0, &self.readback, 0, self.readback.size());
        let submission = gpu.queue.submit([commands.finish()]);
        let software = gpu.device.adapter_info().device_type == wgpu::DeviceType::Cpu;
        let patience = if software { PATIENCE_WITH_SOFTWARE } else { PATIENCE };
        let (done, answer) = sync_channel(1);
        // The receiver may be gone by then: that is the next failure below, or a timeout before.
        self.readback.map_async(wgpu::MapMode::Read, .., move |result| drop(done.try_send(result)));
        gpu.device
            .poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(patience) })
            .map_err(|error| failed(error.to_string()))?;
        match answer.try_recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed("its answer did not come".to_owned())),
        }
        let mapped = self.readback.get_mapped_range(..);
        for (plane, out) in self.job.planes.iter().zip(self.to.planes_mut(out)) {
            let rows = mapped[plane.to_at as usize..].chunks_exact(plane.to_stride as usize);
            let width = out.len() / plane.to_height as usize;
            for (out, row) in out.chunks_exact_mut(width).zip(rows) {
                out.copy_from_slice(&row[..width]);
            }
        }
        drop(mapped);
        self.readback.unmap();
        Ok(())
    }
}

/// Bytes of the three planes at each step.
struct Sizes {
    from: u32,
    middle: u32,
    to: u32,
}

/// Where everything lies, and the weights of all passes one behind the other.
fn layout(format: PixelFormat, from: I420, to: I420) -> (Job, Vec<i32>, Sizes) {
    let fit = Fit::new(from, to);
    let mut job = Job { width: from.width, height: from.height, ..Job::default() };
    if let PixelFormat::Rgb(space) = format {
        job.colour = space.rgb_rows();
    }
    let mut taps = Vec::new();
    let mut sizes = Sizes { from: 0, middle: 0, to: 0 };
    let mut behind = |pass: &Taps| {
        let at = taps.len() as u32;
        taps.extend_from_slice(&pass.words);
        at
    };
    let sides = |shape: I420| [shape.width, shape.chroma_width() as u32];
    let heights = |shape: I420| [shape.height, shape.chroma_height() as u32];
    for (n, plane) in job.planes.iter_mut().enumerate() {
        let chroma = n.min(1);
        let [left, top, width, height] = fit.plane(n);
        let (from_width, from_height) = (sides(from)[chroma], heights(from)[chroma]);
        let rows = Taps::new(from_height, height);
        let columns = Taps::new(from_width, width);
        // What the camera delivered has no padding; what is unpacked begins each row at a word.
        let from_stride =
            if format == PixelFormat::I420 { from_width } else { from_width.next_multiple_of(4) };
        *plane = PlaneJob {
            from_at: sizes.from,
            from_stride,
            from_width,
            from_height,
            middle_at: sizes.middle,
            middle_stride: from_width.next_multiple_of(4),
            to_at: sizes.to,
            to_stride: sides(to)[chroma].next_multiple_of(4),
            to_height: heights(to)[chroma],
            left,
            top,
            width,
            height,
            black: BLACK[n].into(),
            rows_at: behind(&rows),
            rows_step: rows.step,
            rows_bits: rows.bits,
            columns_at: behind(&columns),
            columns_step: columns.step,
            columns_bits: columns.bits,
        };
        sizes.from += plane.from_stride * from_height;
        sizes.middle += plane.middle_stride * height;
        sizes.to += plane.to_stride * plane.to_height;
    }
    (job, taps, sizes)
}
