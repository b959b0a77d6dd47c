//! A screen of the test's own (Xvfb), a hand that types and clicks (xdotool), and an eye (GStreamer).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use egui::Color32;
use hyperzoom_ui_plugin::theme::Palette;
use x11rb::protocol::xproto::{ClientMessageEvent, ConnectionExt, EventMask};

use super::process::PATIENCE;

/// What must be installed for it.
pub const NEEDS: [&str; 3] = ["Xvfb", "xdotool", "gst-launch-1.0"];

/// A running X server that nobody sees. It ends when it is dropped.
pub struct Screen {
    server: Child,
    display: String,
    size: (usize, usize),
}

/// What was to be seen at a moment: RGB, a row after the other.
pub struct Shot {
    pub size: (usize, usize),
    pub rgb: Vec<u8>,
}

impl Shot {
    /// The middle of everything that has the colour of the one thing to do next; none where there is no such thing.
    pub fn primary(&self) -> Option<(usize, usize)> {
        let (count, sum) = self
            .of(Palette::new(false).accent_fill, 2)
            .fold((0, (0, 0)), |(count, sum), (x, y)| (count + 1, (sum.0 + x, sum.1 + y)));
        // A badge or an outline is smaller.
        (count > 500).then(|| (sum.0 / count, sum.1 / count))
    }

    /// Whether something is written in a colour, or drawn in thin lines: their edges are of a colour near it.
    pub fn has(&self, colour: Color32) -> bool {
        self.of(colour, 40).nth(8).is_some()
    }

    /// Whether an area is filled with a colour.
    pub fn has_area_of(&self, colour: Color32) -> bool {
        self.of(colour, 1).nth(2000).is_some()
    }

    /// Whether a card lies over the middle of the pictures.
    pub fn has_question(&self) -> bool {
        self.at(500, 440).iter().all(|value| *value < 0x40)
    }

    /// Where a colour is, give or take `near` in each part.
    fn of(&self, colour: Color32, near: u8) -> impl Iterator<Item = (usize, usize)> {
        let wanted = [colour.r(), colour.g(), colour.b()];
        let is_it =
            move |pixel: &[u8]| pixel.iter().zip(wanted).all(|(is, wanted)| is.abs_diff(wanted) <= near);
        let all = self.rgb.chunks_exact(3).enumerate();
        all.filter(move |(_, pixel)| is_it(pixel)).map(|(n, _)| (n % self.size.0, n / self.size.0))
    }

    /// The colour at a place.
    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.size.0 + x) * 3;
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// What is to be seen around a place: a round button as a whole.
    pub fn patch(&self, (x, y): (usize, usize)) -> Vec<u8> {
        let row = |y: usize| &self.rgb[(y * self.size.0 + x - 24) * 3..][..48 * 3];
        (y - 24..y + 24).flat_map(row).copied().collect()
    }

    /// How many different colours there are, coarsely: a blank screen has one.
    pub fn colours(&self) -> usize {
        let coarse = |pixel: &[u8]| pixel.iter().fold(0, |all, part| all << 4 | usize::from(part >> 4));
        let mut seen = vec![false; 1 << 12];
        self.rgb.chunks_exact(3).for_each(|pixel| seen[coarse(pixel)] = true);
        seen.into_iter().filter(|seen| *seen).count()
    }
}

impl Screen {
    /// Starts a screen of so many pixels.
    pub fn start(width: usize, height: usize) -> Self {
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                &format!("{width}x{height}x24"),
                "-nolisten",
                "tcp",
                "-noreset",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts");
        let mut number = String::new();
        // It says its number when it can be used.
        BufReader::new(server.stdout.take().expect("piped")).read_line(&mut number).expect("a number");
        Self { server, display: format!(":{}", number.trim()), size: (width, height) }
    }

    /// The X server is there no longer, all of a sudden.
    pub fn break_down(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    /// Lets a program be seen on it.
    pub fn lend(&self, command: &mut Command) {
        command.env("DISPLAY", &self.display).env_remove("WAYLAND_DISPLAY");
        // A software Vulkan, where there is no other.
        command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    }

    fn xdotool(&self, args: &[&str]) -> String {
        let out =
            Command::new("xdotool").args(args).env("DISPLAY", &self.display).output().expect("xdotool runs");
        assert!(out.status.success(), "xdotool {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// Waits for a window of that title, and gives it the keyboard, as a window manager would.
    pub fn window(&self, title: &str) -> String {
        let found = self.xdotool(&["search", "--sync", "--onlyvisible", "--name", title]);
        let window = found.lines().next().unwrap_or_default().to_owned();
        self.xdotool(&["windowfocus", "--sync", &window]);
        window
    }

    /// Presses a key, such as `m` or `Return`.
    pub fn press(&self, key: &str) {
        self.xdotool(&["key", "--clearmodifiers", key]);
    }

    /// Presses a key together with Ctrl, as long as a hand does.
    pub fn press_with_ctrl(&self, key: &str) {
        self.xdotool(&["keydown", "ctrl", "sleep", "0.2", "key", key, "sleep", "0.2", "keyup", "ctrl"]);
    }

    /// Clicks at a place.
    pub fn click(&self, x: usize, y: usize) {
        self.xdotool(&["mousemove", &x.to_string(), &y.to_string(), "click", "1"]);
    }

    /// Clicks on the one thing to do next, once it is where it should be.
    pub fn click_primary(&self, what: &str, is_there: impl Fn((usize, usize)) -> bool) {
        let shot = self.wait_until(what, |shot| shot.primary().is_some_and(&is_there));
        let (x, y) = shot.primary().expect("seen");
        self.click(x, y);
    }

    /// Puts a text on the clipboard, and presses the keys that paste it.
    pub fn paste(&self, text: &str) {
        let mut clip = Command::new("xclip")
            .args(["-selection", "clipboard", "-in"])
            .env("DISPLAY", &self.display)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("xclip runs");
        clip.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
        assert!(clip.wait().is_ok_and(|status| status.success()), "xclip");
        self.press_with_ctrl("v");
    }

    /// Empties a field that has the keyboard.
    pub fn clear_field(&self) {
        self.press_with_ctrl("a");
        self.press("BackSpace");
    }

    /// Takes a window away without closing it, as minimising does.
    pub fn hide(&self, window: &str) {
        self.xdotool(&["windowunmap", "--sync", window]);
    }

    /// Asks a window to close, as the button in its corner does (ICCCM 4.2.8.1).
    pub fn ask_to_close(&self, window: &str) {
        let window = window.parse().expect("a number");
        let (server, _) = x11rb::connect(Some(&self.display)).expect("the screen answers");
        let atom = |name: &str| {
            let asked = server.intern_atom(false, name.as_bytes()).expect("asked");
            asked.reply().expect("answered").atom
        };
        let what = [atom("WM_DELETE_WINDOW"), x11rb::CURRENT_TIME, 0, 0, 0];
        let event = ClientMessageEvent::new(32, window, atom("WM_PROTOCOLS"), what);
        // A connection that closes takes along what the screen has not read yet: its answer is waited for.
        server.send_event(false, window, EventMask::NO_EVENT, event).expect("sent").check().expect("taken");
    }

    /// What is to be seen now.
    pub fn look(&self) -> Shot {
        let raw = tempfile::NamedTempFile::new().expect("a file");
        self.pipe("video/x-raw,format=RGB", &[], raw.path());
        let rgb = std::fs::read(raw.path()).expect("readable");
        // GStreamer's rows begin at multiples of four bytes.
        let row = (self.size.0 * 3).next_multiple_of(4);
        assert_eq!(rgb.len(), row * self.size.1, "a picture of the whole screen");
        let rgb = rgb.chunks_exact(row).flat_map(|row| &row[..self.size.0 * 3]).copied().collect();
        Shot { size: self.size, rgb }
    }

    /// Keeps what is to be seen as a PNG.
    pub fn keep(&self, png: &Path) {
        std::fs::create_dir_all(png.parent().expect("in a folder")).expect("a folder");
        self.pipe("video/x-raw", &["!", "pngenc"], png);
    }

    fn pipe(&self, caps: &str, more: &[&str], to: &Path) {
        let source = format!("display-name={}", self.display);
        let place = format!("location={}", to.display());
        let mut args =
            vec!["-q", "ximagesrc", &source, "num-buffers=1", "use-damage=false", "show-pointer=false"];
        args.extend(["!", "videoconvert", "!", caps]);
        args.extend(more);
        args.extend(["!", "filesink", &place]);
        let out = Command::new("gst-launch-1.0").args(&args).output().expect("GStreamer runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    /// Looks until something is to be seen. Each look is a process of its own.
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut(&Shot) -> bool) -> Shot {
        let since = Instant::now();
        loop {
            let shot = self.look();
            if holds(&shot) {
                return shot;
            }
            if since.elapsed() > PATIENCE {
                let png = std::env::temp_dir().join("hyperzoom-window.png");
                self.keep(&png);
                panic!("{what}: not within {PATIENCE:?}; what is to be seen instead is in {}", png.display());
            }
        }
    }

    /// Waits until something has happened outside of the window.
    pub fn wait_for<T>(&self, what: &str, mut happened: impl FnMut() -> Option<T>) -> T {
        let mut done = None;
        self.wait_until(what, |_| {
            done = happened();
            done.is_some()
        });
        done.expect("it has happened")
    }

    /// What the clipboard holds, once `mark` is in it.
    pub fn clipboard_with(&self, mark: char) -> String {
        let since = Instant::now();
        loop {
            let text = self.clipboard();
            if text.contains(mark) {
                return text;
            }
            assert!(since.elapsed() < PATIENCE, "nothing with {mark} on the clipboard: {text:?}");
        }
    }

    /// What the clipboard holds.
    pub fn clipboard(&self) -> String {
        let out = Command::new("xclip")
            .args(["-selection", "clipboard", "-out"])
            .env("DISPLAY", &self.display)
            .output()
            .expect("xclip runs");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
