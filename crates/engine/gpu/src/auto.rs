//! GPU or CPU, chosen by what they take for the pictures at hand.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_media::{Downscale, I420};

use crate::{Gpu, GpuError, GpuScaler, PixelFormat, Software};

/// Pictures that each path gets before one is chosen.
const TRIES: usize = 8;

/// Pictures of the GPU that are not counted: its driver allocates and its clock rises.
const WARM_UP: usize = 2;

/// Pictures until it is measured again, a minute of them: a game may have started, or the laptop left its charger.
const HOLD: u32 = 24 * 60;

/// How long a driver that is still opening the device is waited for at the end.
const END_LIMIT: Duration = Duration::from_secs(5);

/// The program's GPU, or why there is none. Clones share it; the last of them waits for a driver that is still opening it.
#[derive(Clone)]
pub struct SharedGpu(Arc<Shared>);

struct Shared {
    gpu: Arc<OnceLock<Result<Gpu, GpuError>>>,
    opening: Option<Opening>,
}

/// The thread that opens the device.
struct Opening {
    /// Closed when it is done. Nobody but the last owner reads it; the lock lets several threads own it.
    done: Mutex<Receiver<()>>,
    thread: JoinHandle<()>,
}

impl Drop for Shared {
    /// A driver that is within its own code while the program ends is a crash on many systems.
    fn drop(&mut self) {
        let Some(Opening { done, thread }) = self.opening.take() else { return };
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        match done.recv_timeout(END_LIMIT) {
            Err(RecvTimeoutError::Timeout) => tracing::warn!("the GPU's driver hangs; it is left behind"),
            _ => drop(thread.join()),
        }
    }
}

impl SharedGpu {
    /// Opens a device of our own on a thread of its own, since drivers take their time. Until it is there pictures are scaled
    /// on the CPU.
    #[must_use]
    pub fn open() -> Self {
        Self::opened_by(|| Gpu::open(Software::Refused))
    }

    fn opened_by(open: impl FnOnce() -> Result<Gpu, GpuError> + Send + 'static) -> Self {
        let gpu = Arc::<OnceLock<_>>::default();
        let (alive, done) = mpsc::channel();
        let opened = gpu.clone();
        let body = move || {
            // Moved in, so that it goes when the thread ends, however that is.
            let _alive: mpsc::Sender<()> = alive;
            let result = open();
            match &result {
                Ok(gpu) => tracing::debug!(gpu = gpu.name(), "a GPU can scale pictures"),
                Err(reason) => tracing::debug!("{reason}"),
            }
            let _ = opened.set(result);
        };
        let opening = match std::thread::Builder::new().name("open GPU".to_owned()).spawn(body) {
            Ok(thread) => Some(Opening { done: Mutex::new(done), thread }),
            Err(error) => {
                let _ = gpu.set(Err(GpuError::Device { action: "be opened", detail: error.to_string() }));
                None
            }
        };
        Self(Arc::new(Shared { gpu, opening }))
    }

    /// One that is open already, as a renderer's is.
    #[must_use]
    pub fn of(gpu: Gpu) -> Self {
        Self(Arc::new(Shared { gpu: Arc::new(OnceLock::from(Ok(gpu))), opening: None }))
    }

    /// The GPU or the reason why there is none; nothing while it is being opened.
    #[must_use]
    pub fn get(&self) -> Option<&Result<Gpu, GpuError>> {
        self.0.gpu.get()
    }

    /// A scaler to `to` that has `cpu`, which scales to the same shape, to fall back on.
    ///
    /// # Panics
    /// Where a side of `to` is odd or 0.
    #[must_use]
    pub fn scaler(&self, to: I420, cpu: Box<dyn Downscale>) -> AutoScaler {
        AutoScaler { shared: self.clone(), to, cpu, gpu: None, trial: None, unpacked: Vec::new() }
    }
}

/// Where a picture is scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// On the calling thread.
    Cpu,
    /// On the GPU, while the calling thread sleeps.
    Gpu,
}

/// Scales where it is faster, and on the CPU where the GPU fails, with the same picture.
pub struct AutoScaler {
    shared: SharedGpu,
    to: I420,
    cpu: Box<dyn Downscale>,
    gpu: Option<GpuScaler>,
    /// What is known of pictures of this kind.
    trial: Option<((PixelFormat, I420), Trial)>,
    /// The picture as I420, for the CPU.
    unpacked: Vec<u8>,
}

impl AutoScaler {
    /// The picture in the shape that this was made for, as I420.
    ///
    /// # Errors
    /// Where the picture does not fit its shape. A GPU that fails is no error.
    pub fn scale_from(&mut self, format: PixelFormat, from: I420, picture: &[u8]) -> Result<&[u8], GpuError> {
        format.check(from, picture.len())?;
        if self.trial.as_ref().is_none_or(|(source, _)| *source != (format, from)) {
            self.trial = Some(((format, from), Trial::default()));
        }
        if self.gpu.is_none()
            && let Some(Ok(gpu)) = self.shared.get()
            && !gpu.is_lost()
        {
            self.gpu = Some(GpuScaler::new(gpu.clone(), self.to));
        }
        if self.on_gpu(format, from, picture)
            && let Some(gpu) = &self.gpu
        {
            return Ok(gpu.picture());
        }
        let began = Instant::now();
        let planes = if format == PixelFormat::I420 {
            picture
        } else {
            format.to_i420(from, picture, &mut self.unpacked)?;
            &self.unpacked
        };
        let out = self.cpu.scale(from, planes);
        if let (Some(_), Some((_, trial))) = (&self.gpu, &mut self.trial) {
            trial.record(Path::Cpu, began.elapsed());
        }
        Ok(out)
    }

    /// Where the pictures are scaled, once that is decided for those that come now.
    #[must_use]
    pub fn choice(&self) -> Option<Path> {
        self.trial.as_ref().and_then(|(_, trial)| trial.choice)
    }

    /// Whether the GPU scaled the picture, since it is its turn and it works.
    fn on_gpu(&mut self, format: PixelFormat, from: I420, picture: &[u8]) -> bool {
        let (Some(gpu), Some((_, trial))) = (&mut self.gpu, &mut self.trial) else { return false };
        if trial.turn() == Path::Cpu {
            return false;
        }
        let began = Instant::now();
        match gpu.run(format, from, picture) {
            Ok(()) => {
                trial.record(Path::Gpu, began.elapsed());
                true
            }
            Err(error) => {
                tracing::warn!(%error, "pictures are scaled on the CPU from now on");
                self.gpu = None;
                *trial = Trial::default();
                false
            }
        }
    }
}

impl Downscale for AutoScaler {
    fn scale(&mut self, from: I420, picture: &[u8]) -> &[u8] {
        self.scale_from(PixelFormat::I420, from, picture).expect("a picture is as long as its shape says")
    }
}

/// The times of both paths in turns, and what follows from them.
#[derive(Debug, Default)]
struct Trial {
    cpu: Vec<Duration>,
    gpu: Vec<Duration>,
    /// What the last trial said.
    choice: Option<Path>,
    /// Pictures since then.
    held: u32,
}

impl Trial {
    /// Who scales the next picture.
    fn turn(&self) -> Path {
        match self.choice {
            Some(choice) if self.held < HOLD => choice,
            _ if self.gpu.len() < WARM_UP || self.gpu.len() - WARM_UP <= self.cpu.len() => Path::Gpu,
            _ => Path::Cpu,
        }
    }

    /// What a picture took.
    fn record(&mut self, path: Path, took: Duration) {
        if self.choice.is_some() && self.held < HOLD {
            self.held += 1;
            return;
        }
        match path {
            Path::Cpu => self.cpu.push(took),
            Path::Gpu => self.gpu.push(took),
        }
        if self.cpu.len() < TRIES || self.gpu.len() < WARM_UP + TRIES {
            return;
        }
        self.gpu.drain(..WARM_UP);
        let [cpu, gpu] = [&mut self.cpu, &mut self.gpu].map(|times| {
            times.sort_unstable();
            times[times.len() / 2]
        });
        let choice = if gpu < cpu { Path::Gpu } else { Path::Cpu };
        if self.choice != Some(choice) {
            tracing::info!(?choice, ?gpu, ?cpu, "where pictures are scaled");
        }
        *self = Self { choice: Some(choice), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use super::*;

    /// Lets both paths take this long until one is chosen; returns who had a turn.
    fn decide(trial: &mut Trial, cpu_us: u64, gpu_us: u64) -> Vec<Path> {
        let mut turns = Vec::new();
        trial.held = HOLD;
        while trial.choice.is_none() || trial.held == HOLD {
            let path = trial.turn();
            turns.push(path);
            let micros = if path == Path::Cpu { cpu_us } else { gpu_us };
            trial.record(path, Duration::from_micros(micros));
            assert!(turns.len() < 100, "it never decides");
        }
        turns
    }

    #[test]
    fn the_last_owner_waits_for_a_driver_that_is_still_opening_the_device() {
        let (go, wait) = mpsc::channel();
        let ended = Arc::new(AtomicBool::new(false));
        let ends = ended.clone();
        let shared = SharedGpu::opened_by(move || {
            let _ = wait.recv();
            ends.store(true, Relaxed);
            Err(GpuError::NoAdapter("it is a test".to_owned()))
        });
        drop(shared.clone());
        assert!(shared.get().is_none() && !ended.load(Relaxed), "one that is not the last waits for nothing");
        let scaler = shared.scaler(I420 { width: 64, height: 64 }, Box::new(Nothing));
        drop(shared);
        go.send(()).unwrap();
        drop(scaler);
        assert!(ended.load(Relaxed));
    }

    struct Nothing;

    impl Downscale for Nothing {
        fn scale(&mut self, _: I420, _: &[u8]) -> &[u8] {
            &[]
        }
    }

    #[test]
    fn the_faster_path_is_chosen_after_a_few_pictures() {
        for (cpu, gpu, choice) in [(900, 2000, Path::Cpu), (900, 400, Path::Gpu), (900, 900, Path::Cpu)] {
            let mut trial = Trial::default();
            let turns = decide(&mut trial, cpu, gpu);
            assert_eq!(turns.len(), 2 * TRIES + WARM_UP);
            assert_eq!(trial.choice, Some(choice), "CPU {cpu} µs, GPU {gpu} µs");
            assert_eq!(trial.turn(), choice);
        }
    }

    #[test]
    fn one_slow_picture_decides_nothing_and_the_first_of_the_gpu_do_not_count() {
        let mut trial = Trial::default();
        let mut taken = 0;
        while trial.choice.is_none() {
            let path = trial.turn();
            let micros = match path {
                Path::Cpu => 900,
                Path::Gpu if taken < WARM_UP || taken == 5 => 90_000,
                Path::Gpu => 300,
            };
            taken += usize::from(path == Path::Gpu);
            trial.record(path, Duration::from_micros(micros));
        }
        assert_eq!(trial.choice, Some(Path::Gpu));
    }

    #[test]
    fn a_minute_later_it_is_measured_again() {
        let mut trial = Trial::default();
        decide(&mut trial, 900, 300);
        for _ in 0..HOLD {
            assert_eq!(trial.turn(), Path::Gpu);
            trial.record(Path::Gpu, Duration::from_millis(50));
        }
        assert!(decide(&mut trial, 900, 5000).contains(&Path::Cpu));
        assert_eq!(trial.choice, Some(Path::Cpu));
    }
}
