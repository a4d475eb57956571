//! Wakes the publishing thread.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;

use atomic_waker::AtomicWaker;

/// A bell that any thread rings and one task hears. However often it is rung before the task
/// listens, it is heard once.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Hung>);

#[derive(Debug, Default)]
struct Hung {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    /// Wakes the task that listens. Wait-free, no allocation on a thread that was made
    /// [ready](Self::ready).
    ///
    /// The task must be the root future of a current-thread runtime with I/O: waking that one
    /// stores a flag and writes to an eventfd, while a spawned task goes through a queue with a
    /// lock.
    pub fn ring(&self) {
        self.0.rung.store(true, SeqCst);
        self.0.waker.wake();
    }

    /// Makes the calling thread ready to ring: tokio keeps a thread-local value that is made when
    /// it is first looked at, which allocates.
    pub fn ready() {
        let _ = tokio::runtime::Handle::try_current();
    }

    /// Returns when the bell has been rung since this last returned.
    pub async fn rung(&self) {
        poll_fn(|context| {
            self.0.waker.register(context.waker());
            match self.0.rung.swap(false, SeqCst) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}
