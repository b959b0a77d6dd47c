//! VP8 (RFC 6386) through libvpx: the only part of the crate with unsafe code.
//!
//! [`start_live`](crate::start_live) and [`start_decoder`](crate::start_decoder) are what a call uses; the codec itself is
//! here for benchmarks and fuzzing.
//!
//! The bindings are `env-libvpx-sys`, ready-made for libvpx up to 1.13. libvpx checks at
//! run time that the bindings were made for its own ABI and refuses to start otherwise.

mod decoder;
mod encoder;

pub use decoder::{Decoded, Decoder, FrameStart};
pub use encoder::{Encoder, EncoderConfig, Packet};

use std::ffi::CStr;

use vpx_sys::{vpx_codec_ctx_t, vpx_codec_err_t};

use crate::VideoError;

/// libvpx's state of one encoder or decoder, destroyed with its owner.
///
/// It is boxed because libvpx does not promise that it may move. It was initialised successfully.
struct Context(Box<vpx_codec_ctx_t>);

// SAFETY: a libvpx context is bound to no thread: it may be used from any, as long as one at a time does, which `&mut`
// ensures.
unsafe impl Send for Context {}

impl Context {
    /// A context that `init` has brought to life.
    fn new(
        action: &'static str,
        init: impl FnOnce(*mut vpx_codec_ctx_t) -> vpx_codec_err_t,
    ) -> Result<Self, VideoError> {
        // SAFETY: the struct consists of integers, enums with a variant 0 and pointers, for all of which zero is valid;
        // libvpx clears it itself before use.
        let mut context: Box<vpx_codec_ctx_t> = Box::new(unsafe { std::mem::zeroed() });
        match init(&raw mut *context) {
            vpx_codec_err_t::VPX_CODEC_OK => Ok(Self(context)),
            // A failed initialisation has already freed what it made.
            error => Err(VideoError::Vpx { action, detail: describe(error) }),
        }
    }

    fn as_mut(&mut self) -> *mut vpx_codec_ctx_t {
        &raw mut *self.0
    }

    /// Turns a status into a result, with libvpx's own words.
    fn check(&mut self, action: &'static str, status: vpx_codec_err_t) -> Result<(), VideoError> {
        if status == vpx_codec_err_t::VPX_CODEC_OK {
            return Ok(());
        }
        // SAFETY: the context is initialised; the call returns null or a string that lives as long as the context, or
        // until the next call with it, and it is copied at once.
        let detail = unsafe {
            let detail = vpx_sys::vpx_codec_error_detail(self.as_mut());
            (!detail.is_null()).then(|| CStr::from_ptr(detail).to_string_lossy().into_owned())
        };
        let status = describe(status);
        let detail = detail.map_or_else(|| status.clone(), |detail| format!("{status} ({detail})"));
        Err(VideoError::Vpx { action, detail })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context is initialised, and nothing uses it afterwards.
        unsafe { vpx_sys::vpx_codec_destroy(self.as_mut()) };
    }
}

fn describe(status: vpx_codec_err_t) -> String {
    // SAFETY: for any status the call returns a static string.
    unsafe { CStr::from_ptr(vpx_sys::vpx_codec_err_to_string(status)) }.to_string_lossy().into_owned()
}

/// Which libvpx is linked, as it names itself: "v1.12.0".
#[must_use]
pub fn libvpx_version() -> String {
    // SAFETY: the call returns a static string.
    unsafe { CStr::from_ptr(vpx_sys::vpx_codec_version_str()) }.to_string_lossy().into_owned()
}
