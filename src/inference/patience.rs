//! Patience: work on a thread of its own, which is given up when it takes too long.

use std::any::Any;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// Name of the threads on which models are loaded.
pub const LOADING_THREAD: &str = "palmd-model";

/// As much as the main thread has: how deep tract goes is the model's affair.
const STACK: usize = 8 << 20;

/// What became of work that was not done.
#[derive(Debug, PartialEq, Eq)]
pub enum Undone {
    /// It takes too long. Its thread goes on, since nothing can stop it.
    TooLong,
    /// It panicked, with these words.
    Panicked(String),
    /// There is no thread for it.
    NoThread(String),
}

/// Does `work`, but waits for it no longer than `limit`.
pub fn in_time<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Undone> {
    let (sender, receiver) = sync_channel(1);
    let thread = thread::Builder::new()
        .name(LOADING_THREAD.into())
        .stack_size(STACK)
        // Nobody may be waiting any more.
        .spawn(move || drop(sender.send(work())))
        .map_err(|error| Undone::NoThread(error.to_string()))?;
    match receiver.recv_timeout(limit) {
        Err(RecvTimeoutError::Timeout) => Err(Undone::TooLong),
        received => {
            let joined = thread.join();
            received.map_err(|_| Undone::Panicked(words(joined.err())))
        }
    }
}

/// What a panic said, on one line.
pub fn words(panic: Option<Box<dyn Any + Send>>) -> String {
    let text = panic.as_ref().and_then(|panic| {
        let owned = panic.downcast_ref::<String>().map(String::as_str);
        owned.or(panic.downcast_ref::<&str>().copied())
    });
    text.unwrap_or("it panicked").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_or_it_is_said_why_not() {
        let long = Duration::from_secs(60);
        assert_eq!(in_time(long, || 7), Ok(7));
        let panicked = in_time(long, || -> u32 { panic!("two\nlines of {}", 1 + 1) });
        assert_eq!(panicked, Err(Undone::Panicked("two lines of 2".into())));
        let (release, wait) = sync_channel::<()>(0);
        let slow = in_time(Duration::from_millis(10), move || wait.recv());
        assert_eq!(slow, Err(Undone::TooLong));
        drop(release);
    }
}
