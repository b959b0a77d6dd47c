//! Drawing a picture of three planes, as the grid does.

use bytemuck::{Pod, Zeroable};
use hyperzoom_media::I420;

use crate::device::checked;
use crate::{ColourSpace, GpuError};

/// The shader that draws one picture of the grid: `corner` and `colour` are its entry points, four vertices make a strip.
/// Group 0 holds a [`GridPicture`], the textures Y, U and V of one 8-bit channel each, and a sampler.
pub const GRID_SHADER: &str = include_str!("../../../../shaders/grid.wgsl");

/// As `Picture` in `grid.wgsl`: what a picture's samples mean, and where it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct GridPicture {
    to_rgb: [[f32; 4]; 3],
    area: [f32; 4],
    encodes: [f32; 4],
}

impl GridPicture {
    /// A picture that is drawn into `area`: left, top, right and bottom, from -1 to 1, upwards. Left over right mirrors it.
    #[must_use]
    pub fn new(space: ColourSpace, area: [f32; 4], target: wgpu::TextureFormat) -> Self {
        let encodes = if target.is_srgb() { 1.0 } else { 0.0 };
        Self { to_rgb: space.to_rgb(), area, encodes: [encodes; 4] }
    }

    /// The whole target.
    pub const ALL: [f32; 4] = [-1.0, 1.0, 1.0, -1.0];
}

/// Draws pictures into textures of one format.
pub struct Painter {
    device: wgpu::Device,
    queue: wgpu::Queue,
    target: wgpu::TextureFormat,
    pipeline: wgpu::RenderPipeline,
    sampler: wgpu::Sampler,
}

impl Painter {
    /// # Errors
    /// Where the device cannot draw into textures of this format.
    pub fn new(
        device: wgpu::Device,
        queue: wgpu::Queue,
        target: wgpu::TextureFormat,
    ) -> Result<Self, GpuError> {
        let (pipeline, sampler) = checked(&device, "draw pictures", || {
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some("grid"),
                source: wgpu::ShaderSource::Wgsl(GRID_SHADER.into()),
            });
            let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                label: Some("grid"),
                layout: None,
                vertex: wgpu::VertexState {
                    module: &module,
                    entry_point: Some("corner"),
                    compilation_options: wgpu::PipelineCompilationOptions::default(),
                    buffers: &[],
                },
                primitive: wgpu::PrimitiveState {
                    topology: wgpu::PrimitiveTopology::TriangleStrip,
                    ..Default::default()
                },
                depth_stencil: None,
                multisample: wgpu::MultisampleState::default(),
                fragment: Some(wgpu::FragmentState {
                    module: &module,
                    entry_point: Some("colour"),
                    compilation_options: wgpu::PipelineCompilationOptions::default(),
                    targets: &[Some(target.into())],
                }),
                multiview_mask: None,
                cache: None,
            });
            let sampler = device.create_sampler(&wgpu::SamplerDescriptor {
                mag_filter: wgpu::FilterMode::Linear,
                min_filter: wgpu::FilterMode::Linear,
                ..Default::default()
            });
            (pipeline, sampler)
        })?;
        Ok(Self { device, queue, target, pipeline, sampler })
    }

    /// Draws `picture` into `area` of `view`, which has the format of [`new`](Self::new); what lies around it stays.
    ///
    /// # Errors
    /// Where the device refuses it.
    ///
    /// # Panics
    /// Where `picture` is not as long as `shape` asks for.
    pub fn draw(
        &self,
        view: &wgpu::TextureView,
        area: [f32; 4],
        space: ColourSpace,
        shape: I420,
        picture: &[u8],
    ) -> Result<(), GpuError> {
        checked(&self.device, "draw a picture", || {
            let chroma = (shape.chroma_width() as u32, shape.chroma_height() as u32);
            let sizes = [(shape.width, shape.height), chroma, chroma];
            let mut planes = shape.planes(picture).into_iter().zip(sizes).map(|(plane, size)| {
                self.texture(plane, size).create_view(&wgpu::TextureViewDescriptor::default())
            });
            let [y, u, v] = std::array::from_fn(|_| planes.next());
            let (Some(y), Some(u), Some(v)) = (y, u, v) else { unreachable!("a picture has three planes") };
            let parameters = self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("grid picture"),
                size: size_of::<GridPicture>() as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let job = GridPicture::new(space, area, self.target);
            self.queue.write_buffer(&parameters, 0, bytemuck::bytes_of(&job));
            let texture = |binding, view| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::TextureView(view),
            };
            let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("grid picture"),
                layout: &self.pipeline.get_bind_group_layout(0),
                entries: &[
                    wgpu::BindGroupEntry { binding: 0, resource: parameters.as_entire_binding() },
                    texture(1, &y),
                    texture(2, &u),
                    texture(3, &v),
                    wgpu::BindGroupEntry {
                        binding: 4,
                        resource: wgpu::BindingResource::Sampler(&self.sampler),
                    },
                ],
            });
            let mut commands = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            {
                let target = wgpu::RenderPassColorAttachment {
                    view,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations { load: wgpu::LoadOp::Load, store: wgpu::StoreOp::Store },
                };
                let mut pass = commands.begin_render_pass(&wgpu::RenderPassDescriptor {
                    label: Some("grid"),
                    color_attachments: &[Some(target)],
                    ..Default::default()
                });
                pass.set_pipeline(&self.pipeline);
                pass.set_bind_group(0, &group, &[]);
                pass.draw(0..4, 0..1);
            }
            self.queue.submit([commands.finish()]);
        })
    }

    fn texture(&self, plane: &[u8], (width, height): (u32, u32)) -> wgpu::Texture {
        let size = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
        let texture = self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("plane"),
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::R8Unorm,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let layout =
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(width), rows_per_image: None };
        self.queue.write_texture(texture.as_image_copy(), plane, layout, size);
        texture
    }
}
