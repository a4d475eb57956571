//! SIGINT and SIGTERM end palmd, within a second; SIGHUP makes the daemon read its configuration
//! again.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator;

use super::failure::{Failure, SOFTWARE};

/// A thread that can't be stopped (it waits for a pipe) is left behind after so long.
const PATIENCE: Duration = Duration::from_millis(900);

/// Sets the returned flag at the first SIGINT or SIGTERM and wakes the calling thread; the second
/// one, or a stop that takes too long, ends the process at once.
pub fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    Ok(Signals::<()>::stop()?.stop)
}

/// The signals of a daemon, of which SIGHUP makes a new `T`.
pub struct Signals<T> {
    /// Set when what runs is to stop: for good, or for what [`renewed`](Self::renewed) gives.
    pub stop: Arc<AtomicBool>,
    /// Set when it is for good.
    ended: Arc<AtomicBool>,
    renewed: Arc<Mutex<Option<T>>>,
}

impl<T: Send + 'static> Signals<T> {
    /// As [`stop_on_signals`].
    pub fn stop() -> Result<Self, Failure> {
        Self::listen(&[SIGINT, SIGTERM], || Err(Failure::said(SOFTWARE)))
    }

    /// As [`stop_on_signals`], and at a SIGHUP `renew` is called beside what runs; if it fails, that
    /// is logged, and all stays as it is.
    pub fn stop_or_renew(
        renew: impl Fn() -> Result<T, Failure> + Send + 'static,
    ) -> Result<Self, Failure> {
        Self::listen(&[SIGINT, SIGTERM, SIGHUP], renew)
    }

    fn listen(
        signals: &[i32],
        renew: impl Fn() -> Result<T, Failure> + Send + 'static,
    ) -> Result<Self, Failure> {
        let cannot = |error| Failure::new(SOFTWARE, format_args!("signal handling: {error}"));
        let mut signals = iterator::Signals::new(signals).map_err(cannot)?;
        let this = Self {
            stop: Arc::default(),
            ended: Arc::default(),
            renewed: Arc::default(),
        };
        let (stop, ended) = (Arc::clone(&this.stop), Arc::clone(&this.ended));
        let renewed = Arc::clone(&this.renewed);
        let waiter = thread::current();
        let listen = move || {
            for signal in signals.forever() {
                if signal == SIGHUP {
                    match renew() {
                        Ok(new) => {
                            // Both or neither, for whoever takes it.
                            let mut renewed =
                                renewed.lock().unwrap_or_else(PoisonError::into_inner);
                            *renewed = Some(new);
                            stop.store(true, SeqCst);
                        }
                        Err(failure) => {
                            let why = failure.message.unwrap_or_default();
                            log::error!("{why}; going on with the configuration as it was");
                            continue;
                        }
                    }
                } else {
                    if ended.swap(true, SeqCst) {
                        std::process::exit(128 + signal);
                    }
                    thread::spawn(move || {
                        thread::sleep(PATIENCE);
                        log::warn!("a thread did not stop in time; leaving it behind");
                        std::process::exit(128 + signal);
                    });
                    stop.store(true, SeqCst);
                }
                waiter.unpark();
            }
        };
        thread::Builder::new()
            .name("signals".into())
            .spawn(listen)
            .map_err(cannot)?;
        Ok(this)
    }

    /// After a stop: what to go on with, unless the end was asked for.
    pub fn renewed(&self) -> Option<T> {
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        let new = renewed.take()?;
        self.stop.store(false, SeqCst);
        // Looked at last: a signal that comes from now on sets the flag again.
        (!self.ended.load(SeqCst)).then_some(new)
    }
}
