//! The end of the display: an X server that stops, a desktop that somebody logs out of.
//!
//! Xlib ends the process at once where its connection breaks (XSetIOErrorHandler(3)), and the call with it. Here it may not: the thread
//! that draws stands still from then on, and the call is ended as it is by any other wish to end. It does not go on without a window: there
//! would be nothing left to end it by, with a microphone that is open.

use std::os::raw::c_int;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use x11_dl::xlib::{Display, Xlib};

/// The library stays: what it is told lasts as long as it does.
static XLIB: OnceLock<Option<Xlib>> = OnceLock::new();

static IS_GONE: AtomicBool = AtomicBool::new(false);

/// From here on an end of the display is [known](is_gone), and not the end of the process. Without Xlib nothing is to be done.
pub(super) fn survive() {
    let xlib = XLIB.get_or_init(|| Xlib::open().ok());
    if let Some(xlib) = xlib {
        // SAFETY: the handler is a function that may be called on any thread, at any time.
        unsafe { (xlib.XSetIOErrorHandler)(Some(stand_still)) };
    }
}

/// Whether there is no display any more.
pub(super) fn is_gone() -> bool {
    IS_GONE.load(Ordering::Acquire)
}

/// Xlib ends the process once this returns, so it never does.
extern "C" fn stand_still(_: *mut Display) -> c_int {
    IS_GONE.store(true, Ordering::Release);
    loop {
        std::thread::park();
    }
}
