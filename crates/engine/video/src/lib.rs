//! Everything that has to do with pictures, short of drawing and recording them: where they come from, and how a small
//! live version of them gets to the other people in the call.
//!
//! ```text
//! source (device, pattern, file) ── camera ──┬── record tap ── (hyperzoom-recorder)
//!                                            └── live tap ──── live: scale, VP8 ── PacketSink ~~> network
//!            newest picture ── decode: VP8 ── inbox of EncodedFrame <~~ network
//! ```
//!
//! - [`start_camera`] runs a source on an absolute schedule and hands out its pictures, pooled and shared.
//! - [`start_live`] sends the newest picture, at most 24 times a second, at 480p. It is the first to give way: when the
//!   recording falls behind, the camera gives the live path nothing.
//! - [`start_decoder`] turns one peer's frames into the newest whole picture. It survives any bytes, and shows no picture
//!   whose reference was lost.
//!
//! A picture is 8-bit 4:2:0 throughout ([`I420`](hyperzoom_media::I420)).
#![deny(missing_docs)]

mod camera;
mod decode;
mod device;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod live;
mod scale;
mod source;
mod spec;
mod taps;
mod thread;
pub mod vp8;

pub use camera::{
    Camera, CameraConfig, CameraEvent, CameraEvents, CameraHealth, PICTURE_POOL_BYTES, start_camera,
};
pub use decode::{DecoderStats, Picture, PictureReader, VideoDecoder, Waker, start_decoder};
pub use device::{CameraInfo, cameras};
pub use error::VideoError;
pub use live::{LiveConfig, LiveStats, LiveVideo, start_live};
pub use scale::{MakeScaler, Scaler};
pub use source::convert::{Converter, Damaged, PixelFormat};
pub use source::modes::{CameraMode, Wish};
pub use source::pattern::{Pattern, Stamp, read_counter, read_stamp};
pub use spec::{CameraSpec, FrameRate};
pub use taps::CameraCounts;
