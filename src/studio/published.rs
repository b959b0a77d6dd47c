//! What the studio's thread shows to whoever draws it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyperzoom_media::FrameRef;
use hyperzoom_ui_plugin::model::SetupView;
use hyperzoom_video::Picture;

use super::View;
use super::readout::Readout;
use super::shown::{Pixels, Shown};
use crate::error::CommandError;

/// The number under which our own pictures are: nobody else has it.
pub(super) const OURSELVES: u8 = u8::MAX;

/// The newest view and the newest pictures.
pub(super) struct Published {
    view: Mutex<Arc<View>>,
    pictures: Mutex<Pictures>,
    failure: Mutex<Option<CommandError>>,
    has_ended: AtomicBool,
    inspected: AtomicBool,
    readouts: Mutex<Vec<Readout>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Pictures {
    newest: BTreeMap<u8, Shown>,
    /// Pictures so far.
    count: u64,
}

impl Published {
    pub(super) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            view: Mutex::new(Arc::new(View::Setup(SetupView::default()))),
            pictures: Mutex::default(),
            failure: Mutex::default(),
            has_ended: AtomicBool::new(false),
            inspected: AtomicBool::new(false),
            readouts: Mutex::default(),
            wake: Box::new(wake),
        }
    }

    pub(super) fn view(&self) -> Arc<View> {
        lock(&self.view).clone()
    }

    /// Shows a view, where it is another than the one before.
    pub(super) fn show(&self, view: View) {
        let mut shown = lock(&self.view);
        if **shown != view {
            *shown = Arc::new(view);
            drop(shown);
            (self.wake)();
        }
    }

    /// What was not as it was asked for in the last call.
    pub(super) fn note_failure(&self, failure: Option<CommandError>) {
        *lock(&self.failure) = failure;
    }

    pub(super) fn take_failure(&self) -> Option<CommandError> {
        lock(&self.failure).take()
    }

    /// The studio has ended as it should.
    pub(super) fn note_end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Somebody looks inside, or no longer does.
    pub(super) fn inspect(&self, is_wanted: bool) {
        self.inspected.store(is_wanted, Ordering::Relaxed);
    }

    pub(super) fn is_inspected(&self) -> bool {
        self.inspected.load(Ordering::Relaxed)
    }

    /// What there is to see inside.
    pub(super) fn read_out(&self, readouts: Vec<Readout>) {
        *lock(&self.readouts) = readouts;
        (self.wake)();
    }

    pub(super) fn readouts(&self) -> Vec<Readout> {
        lock(&self.readouts).clone()
    }

    pub(super) fn pictures(&self) -> Vec<(u8, Shown)> {
        lock(&self.pictures).newest.iter().map(|(id, shown)| (*id, shown.clone())).collect()
    }

    /// Our camera has a new picture.
    pub(super) fn own_picture(&self, frame: FrameRef) {
        self.picture(OURSELVES, Pixels::Camera(frame));
    }

    /// A peer's picture, where it is new to who looks at it.
    pub(super) fn peers_picture(&self, id: u8, picture: Picture) {
        self.picture(id, Pixels::Peer(picture));
    }

    fn picture(&self, id: u8, pixels: Pixels) {
        let mut pictures = lock(&self.pictures);
        pictures.count += 1;
        let shown = Shown::new(pictures.count, pixels);
        // The one before may be the last of its frame: it is given back outside the lock.
        let before = pictures.newest.insert(id, shown);
        drop(pictures);
        drop(before);
        (self.wake)();
    }

    /// Nobody but these is shown.
    pub(super) fn keep_pictures(&self, wanted: impl Fn(u8) -> bool) {
        let mut pictures = lock(&self.pictures);
        let before = pictures.newest.len();
        pictures.newest.retain(|id, _| wanted(*id));
        let is_changed = pictures.newest.len() != before;
        drop(pictures);
        if is_changed {
            (self.wake)();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use hyperzoom_media::{FramePool, I420};

    use super::*;

    #[test]
    fn whoever_draws_is_woken_for_what_is_new_and_for_nothing_else() {
        let woken = Arc::new(AtomicU32::new(0));
        let count = woken.clone();
        let published = Published::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let named = |name: &str| View::Setup(SetupView { camera: Some(name.into()), ..SetupView::default() });
        for (view, wakes) in [(named("a"), 1), (named("a"), 1), (named("b"), 2)] {
            published.show(view.clone());
            assert_eq!((woken.load(Ordering::Relaxed), &*published.view()), (wakes, &view));
        }
        let pool = FramePool::new(I420 { width: 64, height: 64 }, 2);
        let mut numbers = Vec::new();
        for n in 0..4 {
            published.own_picture(pool.frame(Duration::ZERO, n, |data| data.fill(1)).unwrap());
            let [(id, shown)] = &published.pictures()[..] else { panic!("one is shown") };
            assert_eq!((*id, shown.shape().width), (OURSELVES, 64));
            numbers.push(shown.number());
        }
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
        published.keep_pictures(|id| id == OURSELVES);
        assert_eq!(woken.load(Ordering::Relaxed), 6);
        published.keep_pictures(|_| false);
        assert!(published.pictures().is_empty() && woken.load(Ordering::Relaxed) == 7);
    }
}
