//! A device to compute on: a renderer's, or one of our own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::GpuError;
use crate::format::PixelFormat;

/// What `scale.wgsl` holds.
const SCALE: &str = include_str!("../../../../shaders/scale.wgsl");

/// A GPU with the shaders compiled. Cloning it shares the device.
#[derive(Clone)]
pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) kernels: Arc<Kernels>,
    lost: Arc<AtomicBool>,
}

/// The compiled passes of `scale.wgsl`.
pub(crate) struct Kernels {
    pub(crate) layout: wgpu::BindGroupLayout,
    pub(crate) vertical: wgpu::ComputePipeline,
    pub(crate) horizontal: wgpu::ComputePipeline,
    nv12: wgpu::ComputePipeline,
    yuyv: wgpu::ComputePipeline,
    rgb: wgpu::ComputePipeline,
}

impl Kernels {
    /// What makes I420 of a format; nothing for I420 itself.
    pub(crate) fn unpack(&self, format: PixelFormat) -> Option<&wgpu::ComputePipeline> {
        match format {
            PixelFormat::I420 => None,
            PixelFormat::Nv12 => Some(&self.nv12),
            PixelFormat::Yuyv => Some(&self.yuyv),
            PixelFormat::Rgb(_) => Some(&self.rgb),
        }
    }
}

/// Whether a device that computes on the CPU will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Software {
    /// It is refused: the CPU path does the same with less.
    Refused,
    /// It is taken where nothing else is there, as tests do.
    Taken,
}

/// What this program draws with and computes on. No OpenGL: many machines' has no compute.
pub const BACKENDS: wgpu::Backends =
    wgpu::Backends::VULKAN.union(wgpu::Backends::METAL).union(wgpu::Backends::DX12);

/// Whether there is anything here to draw a window with, a processor that does it included. Takes some ten milliseconds.
#[must_use]
pub fn can_draw() -> bool {
    guarded("be looked for", || {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = BACKENDS;
        descriptor.flags = wgpu::InstanceFlags::empty();
        let instance = wgpu::Instance::new(descriptor);
        Ok(!pollster::block_on(instance.enumerate_adapters(BACKENDS)).is_empty())
    })
    .unwrap_or(false)
}

/// Whether a device is a program that the processor runs (lavapipe, WARP).
#[must_use]
pub fn is_software(adapter: &wgpu::AdapterInfo) -> bool {
    adapter.device_type == wgpu::DeviceType::Cpu
}

impl Gpu {
    /// A device of our own, for a program without a window. Takes some hundred milliseconds.
    ///
    /// # Errors
    /// Where there is no usable GPU.
    pub fn open(software: Software) -> Result<Self, GpuError> {
        if software == Software::Refused && no_card() {
            return Err(GpuError::NoAdapter("the system has no graphics card".to_owned()));
        }
        guarded("be opened", || {
            let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
            descriptor.backends = BACKENDS;
            // Validation is for our own tests, which look at errors anyway.
            descriptor.flags = wgpu::InstanceFlags::empty();
            let instance = wgpu::Instance::new(descriptor);
            // The integrated GPU shares the memory that the pictures are in, and leaves the large one asleep.
            let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions {
                power_preference: wgpu::PowerPreference::LowPower,
                ..Default::default()
            }))
            .map_err(|error| GpuError::NoAdapter(error.to_string()))?;
            check(&adapter.get_info(), software)?;
            let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
                label: Some("hyperzoom pictures"),
                required_limits: wgpu::Limits::downlevel_defaults(),
                ..Default::default()
            }))
            .map_err(|error| GpuError::Device { action: "be opened", detail: error.to_string() })?;
            let gpu = Self::compile(device, queue)?;
            // The device is ours, so nobody else waits for this.
            let lost = gpu.lost.clone();
            gpu.device.set_device_lost_callback(move |_, _| lost.store(true, Relaxed));
            Ok(gpu)
        })
    }

    /// A renderer's device and queue (clones of them), to be used beside its own work and from any thread.
    ///
    /// # Errors
    /// Where the shaders do not compile, or the device is a program ([`Software::Refused`]).
    pub fn of_renderer(
        device: wgpu::Device,
        queue: wgpu::Queue,
        software: Software,
    ) -> Result<Self, GpuError> {
        check(&device.adapter_info(), software)?;
        guarded("compile its shaders", || Self::compile(device, queue))
    }

    fn compile(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self, GpuError> {
        let kernels = checked(&device, "compile its shaders", || kernels(&device))?;
        Ok(Self { device, queue, kernels: Arc::new(kernels), lost: Arc::default() })
    }

    /// What the driver calls the device, and how it is spoken to.
    #[must_use]
    pub fn name(&self) -> String {
        let info = self.device.adapter_info();
        format!("{} ({:?})", info.name, info.backend)
    }

    /// Whether the device is gone or did not answer. It is not used again then.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.load(Relaxed)
    }

    pub(crate) fn mark_lost(&self) {
        self.lost.store(true, Relaxed);
    }
}

/// Whether there surely is no GPU, as on servers: Linux has a file for each (DRM's render nodes; NVIDIA's own driver;
/// `dxg` within Windows). It spares loading every driver that is installed, and tens of megabytes.
#[cfg(target_os = "linux")]
fn no_card() -> bool {
    let render_node = std::fs::read_dir("/dev/dri").is_ok_and(|nodes| {
        nodes.flatten().any(|node| node.file_name().to_string_lossy().starts_with("renderD"))
    });
    !render_node && !["/dev/nvidiactl", "/dev/dxg"].iter().any(|file| std::path::Path::new(file).exists())
}

/// Other systems find out quickly.
#[cfg(not(target_os = "linux"))]
fn no_card() -> bool {
    false
}

fn check(info: &wgpu::AdapterInfo, software: Software) -> Result<(), GpuError> {
    if info.device_type == wgpu::DeviceType::Cpu && software == Software::Refused {
        return Err(GpuError::Software { name: info.name.clone() });
    }
    Ok(())
}

/// Runs what calls the driver. A panic becomes an error: wgpu panics where a device is lost in `Device::poll`, and a call
/// does not end for it.
pub(crate) fn guarded<T>(
    action: &'static str,
    body: impl FnOnce() -> Result<T, GpuError>,
) -> Result<T, GpuError> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let detail = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("its driver failed");
        Err(GpuError::Device { action, detail: detail.to_owned() })
    })
}

/// Runs `body` and returns the first error that the device reports of it, which would else go to the renderer's handler.
pub(crate) fn checked<T>(
    device: &wgpu::Device,
    action: &'static str,
    body: impl FnOnce() -> T,
) -> Result<T, GpuError> {
    let scopes = [wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation]
        .map(|filter| device.push_error_scope(filter));
    let result = body();
    // The last that was opened is closed first.
    let mut error = None;
    for scope in scopes.into_iter().rev() {
        error = pollster::block_on(scope.pop()).or(error);
    }
    match error {
        Some(error) => Err(GpuError::Device { action, detail: error.to_string() }),
        None => Ok(result),
    }
}

fn kernels(device: &wgpu::Device) -> Kernels {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("scale"),
        source: wgpu::ShaderSource::Wgsl(SCALE.into()),
    });
    let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    };
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("scale"),
        entries: &[
            entry(0, wgpu::BufferBindingType::Uniform),
            entry(1, wgpu::BufferBindingType::Storage { read_only: true }),
            entry(2, wgpu::BufferBindingType::Storage { read_only: true }),
            entry(3, wgpu::BufferBindingType::Storage { read_only: false }),
        ],
    });
    let pipelines = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some("scale"),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let pipeline = |name| {
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(&pipelines),
            module: &module,
            entry_point: Some(name),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        })
    };
    Kernels {
        vertical: pipeline("vertical"),
        horizontal: pipeline("horizontal"),
        nv12: pipeline("unpack_nv12"),
        yuyv: pipeline("unpack_yuyv"),
        rgb: pipeline("unpack_rgb"),
        layout,
    }
}
