//! Why there is no GPU to compute on.

/// An error of the GPU. The CPU path works on after any of them.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GpuError {
    /// No Vulkan, Metal or Direct3D 12 device was found.
    #[error(
        "no GPU was found ({0}); pictures are scaled on the CPU. On Linux install your card's Vulkan driver"
    )]
    NoAdapter(String),
    /// What was found computes on the CPU, which the CPU path does with less.
    #[error("{name} is no GPU but a program that acts as one; pictures are scaled on the CPU")]
    Software {
        /// What the driver calls it.
        name: String,
    },
    /// The device was refused, does not do what a shader needs, or is gone.
    #[error("the GPU cannot {action}: {detail}")]
    Device {
        /// What was to be done.
        action: &'static str,
        /// What the driver says.
        detail: String,
    },
    /// A picture of this shape cannot be unpacked.
    #[error("{width}x{height} pictures in {format} cannot be converted: {why}")]
    Shape {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The format's name.
        format: &'static str,
        /// Which limit it breaks.
        why: &'static str,
    },
}
