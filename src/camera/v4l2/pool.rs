//! The driver's own buffers as the pool of frames.

use std::cell::Cell;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::format::Layout;
use super::kernel::{Capture, Filled, Mapping, Readiness};
use crate::camera::{Frame, Requeue};
use crate::clock::Clock;

/// A system call that failed, and what it was for ("queue a buffer").
#[derive(Debug)]
pub struct Failed {
    /// What was being done, as a verb phrase.
    pub doing: &'static str,
    /// The system's answer.
    pub error: io::Error,
}

impl Failed {
    pub(super) fn to(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self { doing, error }
    }
}

/// Who has a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Driver,
    /// Dequeued, waiting to be taken.
    Pool,
    /// Held since that time on the pool's clock.
    Frame {
        since: Duration,
    },
}

/// Counters of a [`Pool`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Complete buffers that went back unseen because a newer one was there.
    pub skipped: u64,
    /// Damaged, short or impossible buffers.
    pub bad: u64,
    /// Buffers that are held at this moment.
    pub live: u32,
    /// The most that `live` has been.
    pub live_peak: u32,
    /// Times that a buffer came to be held for too long.
    pub leaks: u64,
}

/// A streaming device's mapped buffers.
///
/// A buffer is with the driver, ready here, or held by a [`Buffer`] or [`Frame`], which give it
/// back on drop. Draining and taking allocate nothing. One thread uses the pool; it may hold as
/// many buffers at a time as there are.
pub struct Pool<C: Capture> {
    capture: C,
    mappings: Vec<C::Mapping>,
    owners: Vec<Cell<Owner>>,
    layout: Layout,
    ready: Cell<Option<Filled>>,
    stats: Cell<PoolStats>,
    /// A buffer that couldn't be given back on drop.
    failure: Cell<Option<Failed>>,
    clock: Arc<dyn Clock>,
    held_too_long: Duration,
    overdue: Cell<bool>,
}

impl<C: Capture> Pool<C> {
    /// Allocates about `count` buffers (the driver has the last word), maps and queues them and
    /// starts the stream.
    ///
    /// # Errors
    /// The first call that failed; all before it is undone.
    pub fn start(
        capture: C,
        layout: Layout,
        count: u32,
        held_too_long: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failed> {
        let mut pool = Self {
            capture,
            mappings: Vec::new(),
            owners: Vec::new(),
            layout,
            ready: Cell::default(),
            stats: Cell::default(),
            failure: Cell::default(),
            clock,
            held_too_long,
            overdue: Cell::default(),
        };
        let granted = pool.capture.request_buffers(count);
        let granted = granted.map_err(Failed::to("allocate buffers"))?;
        if granted < 2 {
            return Err(Failed {
                doing: "allocate buffers",
                error: io::Error::other(format!("the driver gives only {granted}; 2 are needed")),
            });
        }
        for index in 0..granted {
            let mapping = pool
                .capture
                .map(index)
                .map_err(Failed::to("map a buffer"))?;
            pool.mappings.push(mapping);
            pool.owners.push(Cell::new(Owner::Driver));
        }
        for index in 0..granted {
            let queued = pool.capture.queue(index);
            queued.map_err(Failed::to("queue a buffer"))?;
        }
        let started = pool.capture.stream_on();
        started.map_err(Failed::to("start streaming"))?;
        Ok(pool)
    }

    /// How many buffers there are.
    #[must_use]
    pub fn buffers(&self) -> usize {
        self.mappings.len()
    }

    /// How the buffers' content lies.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        self.stats.get()
    }

    /// Whether [`take`](Self::take) has something to give.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.get().is_some()
    }

    /// Waits until the driver has something to say, but not longer than `timeout`.
    ///
    /// # Errors
    /// The call that failed.
    pub fn poll(&self, timeout: Duration) -> Result<Readiness, Failed> {
        let polled = self.capture.poll(timeout);
        polled.map_err(Failed::to("wait for a frame"))
    }

    /// Takes all filled buffers from the driver and keeps the newest complete one. The others go
    /// back at once. Returns how many there were.
    ///
    /// # Errors
    /// The call that failed, or failed in an earlier drop. The stream must be started anew.
    pub fn drain(&self) -> Result<usize, Failed> {
        self.report_held();
        let mut drained = 0;
        // No more than there are, so that a driver gone mad can't keep us here.
        while drained < self.owners.len() {
            let filled = self.capture.dequeue();
            let Some(filled) = filled.map_err(Failed::to("take a frame"))? else {
                break;
            };
            drained += 1;
            let Some(owner) = self.owners.get(filled.index as usize) else {
                self.count(|stats| stats.bad += 1);
                continue;
            };
            if owner.get() != Owner::Driver {
                self.count(|stats| stats.bad += 1);
                continue;
            }
            owner.set(Owner::Pool);
            if filled.damaged || !self.is_whole(&filled) {
                self.count(|stats| stats.bad += 1);
                self.give_back(filled.index);
            } else if let Some(older) = self.ready.replace(Some(filled)) {
                self.count(|stats| stats.skipped += 1);
                self.give_back(older.index);
            }
        }
        self.failure.take().map_or(Ok(drained), Err)
    }

    /// The newest complete buffer, if one has been drained and not taken yet.
    pub fn take(&self) -> Option<Buffer<'_, C>> {
        let filled = self.ready.take()?;
        let since = self.clock.now();
        self.owners[filled.index as usize].set(Owner::Frame { since });
        self.count(|stats| {
            stats.live += 1;
            stats.live_peak = stats.live_peak.max(stats.live);
        });
        Some(Buffer { pool: self, filled })
    }

    fn count(&self, change: impl FnOnce(&mut PoolStats)) {
        let mut stats = self.stats.get();
        change(&mut stats);
        self.stats.set(stats);
    }

    /// The used part of a buffer; `None` when the driver claims more than there is.
    ///
    /// # Safety
    /// The buffer must be dequeued, and not be queued while the slice is in use.
    unsafe fn content(&self, filled: &Filled) -> Option<&[u8]> {
        // SAFETY: passed on to the caller.
        let bytes = unsafe { self.mappings[filled.index as usize].bytes() };
        bytes.get(..filled.bytes_used as usize)
    }

    fn is_whole(&self, filled: &Filled) -> bool {
        // SAFETY: the buffer was dequeued just now and the slice doesn't leave this function.
        let content = unsafe { self.content(filled) };
        content.is_some_and(|content| self.layout.fits(content))
    }

    fn give_back(&self, index: u32) {
        match self.capture.queue(index) {
            Ok(()) => self.owners[index as usize].set(Owner::Driver),
            Err(error) => {
                self.owners[index as usize].set(Owner::Pool);
                let doing = "queue a buffer again";
                self.failure.set(Some(Failed { doing, error }));
            }
        }
    }

    /// Warns of buffers that have been held for too long: once, until one comes back in time.
    fn report_held(&self) {
        let now = self.clock.now();
        for (index, owner) in self.owners.iter().enumerate() {
            if let Owner::Frame { since } = owner.get() {
                self.check_held(index, now.saturating_sub(since));
            }
        }
    }

    fn check_held(&self, index: usize, held: Duration) {
        if held > self.held_too_long && !self.overdue.replace(true) {
            self.count(|stats| stats.leaks += 1);
            log::warn!(
                "camera buffer {index} of {} has been held for {held:.1?}: leaked, or a stage is too slow",
                self.buffers()
            );
        }
    }
}

impl<C: Capture> Requeue for Pool<C> {
    fn requeue(&self, index: u32) {
        let Some(owner) = self.owners.get(index as usize) else {
            return;
        };
        let Owner::Frame { since } = owner.get() else {
            return;
        };
        let held = self.clock.now().saturating_sub(since);
        self.check_held(index as usize, held);
        if held <= self.held_too_long {
            self.overdue.set(false);
        }
        self.count(|stats| stats.live -= 1);
        self.give_back(index);
    }
}

impl<C: Capture> Drop for Pool<C> {
    /// Stops the stream and frees the buffers. Failing is no news: the device may be gone.
    fn drop(&mut self) {
        let _ = self.capture.stream_off();
        self.mappings.clear();
        let _ = self.capture.request_buffers(0);
    }
}

/// A held buffer and its content. Dropping it gives it back to the driver.
pub struct Buffer<'a, C: Capture> {
    pool: &'a Pool<C>,
    filled: Filled,
}

impl<'a, C: Capture> Buffer<'a, C> {
    /// What the driver said about it.
    #[must_use]
    pub fn filled(&self) -> Filled {
        self.filled
    }

    /// Makes it a frame, which then gives the buffer back. `None` for encodings that must be decoded.
    #[must_use]
    pub fn into_frame(self, seq: u64, t: Duration, captured: Duration) -> Option<Frame<'a>> {
        let pool = self.pool;
        // SAFETY: the buffer stays dequeued until the frame's drop, which takes over from ours.
        let content = unsafe { pool.content(&self.filled) }?;
        let image = pool.layout.image(content)?;
        let index = ManuallyDrop::new(self).filled.index;
        Some(Frame::pooled(image, seq, t, captured, pool, index))
    }
}

impl<C: Capture> Deref for Buffer<'_, C> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the buffer stays dequeued until our drop, which the slice can't outlive.
        unsafe { self.pool.content(&self.filled) }.unwrap_or_default()
    }
}

impl<C: Capture> Drop for Buffer<'_, C> {
    fn drop(&mut self) {
        self.pool.requeue(self.filled.index);
    }
}
