//! Keeps the system's sound libraries from writing on the terminal.
//!
//! libasound prints a line on standard error for each thing that it tries and that is not there, which on a machine without a
//! sound card is a page of text for one question. The same failures reach us as errors, and are told once.
//! (libjack's go to the `log` crate: cpal's `jack` crate sees to that.)

/// Silences libasound, for good. Cheap to call again.
pub(crate) fn silence() {
    #[cfg(target_os = "linux")]
    alsa::silence();
}

#[cfg(target_os = "linux")]
mod alsa {
    use std::ffi::{c_char, c_int};
    use std::sync::Once;

    /// What libasound declares as variadic. A variadic function cannot be defined in stable Rust.
    type Fixed = unsafe extern "C" fn(*const c_char, c_int, *const c_char, c_int, *const c_char);
    type Variadic = unsafe extern "C" fn(*const c_char, c_int, *const c_char, c_int, *const c_char, ...);

    unsafe extern "C" fn nothing(
        _file: *const c_char,
        _line: c_int,
        _function: *const c_char,
        _error: c_int,
        _format: *const c_char,
    ) {
    }

    pub(super) fn silence() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: both are C function pointers. In the C calling conventions of the Linux targets (System V, AAPCS) the named
            // arguments of a variadic call are passed as those of a plain one and the caller cleans up, so a callee that
            // does not look at the rest may be called as if it were variadic.
            let handler = unsafe { std::mem::transmute::<Fixed, Variadic>(nothing) };
            // SAFETY: the handler is a function of this program and touches nothing. libasound only stores it.
            let _ = unsafe { alsa_sys::snd_lib_error_set_handler(Some(handler)) };
        });
    }
}
