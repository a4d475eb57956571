//! A team: helper threads that share the work of whoever leads them.
//!
//! The leader cuts a step of work into parts, and whoever is free takes the next one. A helper to
//! which the system gives no core takes none, so that the leader only ever waits for parts that
//! were begun. Who waits looks again and again for some microseconds, and then sleeps.

use std::cell::UnsafeCell;
use std::fmt;
use std::hint;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

/// For how long somebody who waits looks again before he sleeps: a few layers' time, and at the
/// rate of a camera a fraction of a percent of a core.
const WATCH: Duration = Duration::from_micros(50);

/// The most threads of a team, the leader included: the cores of the usual boards.
pub const MOST_THREADS: usize = 4;

/// Threads that share work; clones are the same team.
#[derive(Debug, Clone, Default)]
pub struct Team {
    crew: Option<Arc<Crew>>,
}

/// The helpers.
#[derive(Debug)]
struct Crew {
    board: Arc<Board>,
    helpers: Vec<JoinHandle<()>>,
    /// Held by the leader: whoever finds it taken works alone.
    lead: Mutex<()>,
}

/// Where the leader puts up what is to be done.
struct Board {
    /// The parts of the present step, see [`Ticket`].
    next: AtomicU64,
    /// Parts that helpers have done of it.
    done: AtomicUsize,
    /// Written by the leader only, while no part is to be had and none is being worked on.
    work: UnsafeCell<Option<Work>>,
    failed: AtomicBool,
    stop: AtomicBool,
}

// SAFETY: `work` is written as said there; it is read by who has taken a part, for which the
// leader waits before writing again. The rest is atomic.
unsafe impl Sync for Board {}
// SAFETY: as above; what `work` points to is `Sync`.
unsafe impl Send for Board {}

#[derive(Clone)]
struct Work {
    part: NonNull<dyn Fn(usize) + Sync>,
    leader: Thread,
}

/// A number of a step, how many parts it has, and which of them is the next: taken by adding one.
#[derive(Clone, Copy, PartialEq)]
struct Ticket(u64);

impl Ticket {
    fn parts(self) -> usize {
        usize::from((self.0 >> 16) as u16)
    }

    fn part(self) -> Option<usize> {
        let part = usize::from(self.0 as u16);
        (part < self.parts()).then_some(part)
    }

    fn of_next_step(self, parts: usize) -> Self {
        Self((self.0 >> 32).wrapping_add(1) << 32 | (parts as u64) << 16)
    }
}

impl Team {
    /// A team of so many threads, of which the leader is one: 1 to [`MOST_THREADS`]. There are
    /// fewer if the system can't start them, and a line in the log.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let helpers = threads.clamp(1, MOST_THREADS) - 1;
        if helpers == 0 {
            return Self::default();
        }
        let mut crew = Crew {
            board: Arc::new(Board {
                next: AtomicU64::new(0),
                done: AtomicUsize::new(0),
                work: UnsafeCell::new(None),
                failed: AtomicBool::new(false),
                stop: AtomicBool::new(false),
            }),
            helpers: Vec::with_capacity(helpers),
            lead: Mutex::new(()),
        };
        for _ in 0..helpers {
            let board = Arc::clone(&crew.board);
            let helper = thread::Builder::new().name("palmd-helper".into());
            match helper.spawn(move || board.help()) {
                Ok(helper) => crew.helpers.push(helper),
                Err(error) => log::warn!("a helper thread can't be started: {error}"),
            }
        }
        Self {
            crew: Some(Arc::new(crew)),
        }
    }

    /// Threads, the leader included.
    #[must_use]
    pub fn threads(&self) -> usize {
        1 + self.crew.as_ref().map_or(0, |crew| crew.helpers.len())
    }

    /// Calls `work` once with each number below `parts`, on any of the threads, and returns when
    /// all is done. Doesn't allocate.
    ///
    /// # Panics
    /// If `work` does.
    pub fn share(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        let crew = self.crew.as_ref().filter(|_| 1 < parts && parts < 1 << 15);
        let led = crew.and_then(|crew| Some((crew, crew.lead.try_lock().ok()?)));
        match led {
            Some((crew, _lead)) => crew.share(parts, work),
            None => (0..parts).for_each(work),
        }
    }
}

impl Crew {
    /// The caller holds the lead.
    fn share(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        let part = NonNull::from(work);
        // SAFETY: only forgets the lifetime: before this function returns or unwinds, nobody can
        // take a part any more, and all that were taken are done (`Step::drop`).
        let part = unsafe {
            std::mem::transmute::<NonNull<dyn Fn(usize) + Sync + '_>, NonNull<dyn Fn(usize) + Sync>>(
                part,
            )
        };
        // SAFETY: all parts of the step before were taken and are done.
        unsafe {
            *self.board.work.get() = Some(Work {
                part,
                leader: thread::current(),
            });
        }
        self.board.done.store(0, Ordering::Relaxed);
        let before = Ticket(self.board.next.load(Ordering::Relaxed));
        let next = before.of_next_step(parts);
        self.board.next.store(next.0, Ordering::Release);
        for helper in &self.helpers {
            helper.thread().unpark();
        }
        let mut step = Step {
            board: &self.board,
            parts,
            taken: 0,
        };
        while let Some(part) = step.take() {
            work(part);
        }
        drop(step);
        assert!(
            !self.board.failed.load(Ordering::Relaxed),
            "a helper failed"
        );
    }
}

/// A step of work as its leader sees it. When it is dropped, all parts are taken and done.
struct Step<'a> {
    board: &'a Board,
    parts: usize,
    /// Parts that the leader took.
    taken: usize,
}

impl Step<'_> {
    fn take(&mut self) -> Option<usize> {
        let part = self.board.take()?;
        self.taken += 1;
        Some(part)
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        while self.take().is_some() {}
        let helped = self.parts - self.taken;
        wait_until(|| self.board.done.load(Ordering::Acquire) == helped);
    }
}

impl Board {
    /// The part of the present step that is to be had, if one is left.
    fn left(&self) -> Option<usize> {
        Ticket(self.next.load(Ordering::Relaxed)).part()
    }

    /// Takes it.
    fn take(&self) -> Option<usize> {
        self.left()?;
        Ticket(self.next.fetch_add(1, Ordering::AcqRel)).part()
    }

    /// What a helper does until it is told to stop.
    fn help(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let Some(part) = self.take() else {
                wait_until(|| self.left().is_some() || self.stop.load(Ordering::Relaxed));
                continue;
            };
            // SAFETY: it was written before the part could be taken, and isn't written again
            // before this one is done.
            let work = unsafe { (*self.work.get()).clone() };
            let Some(Work { part: call, leader }) = work else {
                continue;
            };
            let _done = Done {
                board: self,
                leader,
            };
            // SAFETY: it lives until the part is done.
            unsafe { call.as_ref()(part) }
        }
    }
}

/// Counts a part as done, whatever became of it, and wakes the leader.
struct Done<'a> {
    board: &'a Board,
    leader: Thread,
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.board.failed.store(true, Ordering::Relaxed);
        }
        self.board.done.fetch_add(1, Ordering::Release);
        self.leader.unpark();
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.board.stop.store(true, Ordering::Relaxed);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // One that failed has already been noticed by its leader.
            let _ = helper.join();
        }
    }
}

/// Returns when `is_so`; who makes it so must unpark this thread afterwards.
fn wait_until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while began.elapsed() < WATCH {
        for _ in 0..16 {
            if is_so() {
                return;
            }
            hint::spin_loop();
        }
    }
    while !is_so() {
        thread::park();
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = self.next.load(Ordering::Relaxed);
        f.debug_struct("Board")
            .field("next", &next)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn each_part_is_done_once_before_it_returns() {
        let team = Team::new(3);
        assert_eq!(team.threads(), 3);
        for step in 0..20_000 {
            let parts: [AtomicU32; 7] = Default::default();
            let count = 1 + step % parts.len();
            team.share(count, &|i| {
                parts[i].fetch_add(1, Ordering::Relaxed);
            });
            let done = parts.map(AtomicU32::into_inner);
            assert!(done[..count].iter().all(|&n| n == 1), "{done:?}");
            assert!(done[count..].iter().all(|&n| n == 0), "{done:?}");
        }
    }

    #[test]
    fn helpers_that_sleep_are_woken() {
        let team = Team::new(2);
        for _ in 0..3 {
            thread::sleep(WATCH * 100);
            // The first part waits for the second, so both threads must come.
            let second = AtomicBool::new(false);
            team.share(2, &|i| match i {
                0 => {
                    while !second.load(Ordering::Relaxed) {
                        thread::yield_now();
                    }
                }
                _ => second.store(true, Ordering::Relaxed),
            });
        }
    }

    #[test]
    fn two_leaders_do_not_mix() {
        let team = Team::new(3);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let sum = AtomicUsize::new(0);
                        team.share(5, &|i| {
                            sum.fetch_add(i, Ordering::Relaxed);
                        });
                        assert_eq!(sum.into_inner(), 10);
                    }
                });
            }
        });
    }

    #[test]
    fn a_part_that_panics_is_the_leaders_panic_and_no_other_part_goes_on() {
        for culprit in 0..4 {
            let team = Team::new(3);
            let busy = AtomicUsize::new(0);
            let shared = catch_unwind(AssertUnwindSafe(|| {
                team.share(4, &|i| {
                    assert!(i != culprit, "for the test");
                    busy.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(WATCH);
                    busy.fetch_sub(1, Ordering::Relaxed);
                });
            }));
            assert!(shared.is_err());
            assert_eq!(busy.into_inner(), 0);
            // Whoever is left goes on.
            let sum = AtomicUsize::new(0);
            team.share(3, &|i| {
                sum.fetch_add(i, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), 3);
        }
    }
}
