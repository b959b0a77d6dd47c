//! Pictures on the GPU: made small for the network, and drawn.
//!
//! - [`SharedGpu::scaler`] is what a call uses: an [`AutoScaler`] that makes the small I420 picture on the GPU or on the CPU,
//!   whichever is faster for the pictures at hand, and on the CPU alone once the GPU fails. Both give the same picture:
//!   `shaders/scale.wgsl` computes in integers, with the weights of the CPU path.
//! - [`Gpu`] is a device of our own, or a renderer's: wgpu lets several threads share one, so scaling needs no frame to be
//!   drawn, and a hidden window stops nothing.
//! - [`Painter`] and [`GRID_SHADER`] draw a picture of three planes as RGB.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod auto;
mod colour;
mod device;
mod draw;
mod error;
mod format;
mod scaler;
mod taps;

pub use auto::{AutoScaler, Path, SharedGpu};
pub use colour::{ColourSpace, Matrix, Range};
pub use device::{BACKENDS, Gpu, Software, can_draw, is_software};
pub use draw::{GRID_SHADER, GridPicture, Painter};
pub use error::GpuError;
pub use format::PixelFormat;
pub use scaler::GpuScaler;
