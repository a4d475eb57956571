//! SIGINT and SIGTERM end palmd, within a second; SIGHUP makes the daemon read its configuration
//! again.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use palmd::control::Control;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator;

use super::failure::{Failure, SOFTWARE};

/// A thread that can't be stopped (it waits for a pipe) is left behind after so long.
const PATIENCE: Duration = Duration::from_millis(900);

/// Sets the returned flag at the first SIGINT or SIGTERM.
pub fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    listen(&[SIGINT, SIGTERM], move |_| flag.store(true, SeqCst))?;
    Ok(stop)
}

/// The signals of a daemon, of which SIGHUP makes a new `T`.
pub struct Signals<T> {
    /// Stops what runs: for good, or for what [`renewed`](Self::renewed) gives.
    pub control: Arc<Control>,
    /// Set when it is for good.
    ended: Arc<AtomicBool>,
    renewed: Arc<Mutex<Option<T>>>,
}

impl<T: Send + 'static> Signals<T> {
    /// SIGINT and SIGTERM alone.
    pub fn stop() -> Result<Self, Failure> {
        Self::new(&[SIGINT, SIGTERM], || Err(Failure::said(SOFTWARE)))
    }

    /// At a SIGHUP `renew` is called beside what runs; if it fails, that is logged, and all stays
    /// as it is.
    pub fn stop_or_renew(
        renew: impl Fn() -> Result<T, Failure> + Send + 'static,
    ) -> Result<Self, Failure> {
        Self::new(&[SIGINT, SIGTERM, SIGHUP], renew)
    }

    fn new(
        signals: &[i32],
        renew: impl Fn() -> Result<T, Failure> + Send + 'static,
    ) -> Result<Self, Failure> {
        let this = Self {
            control: Arc::default(),
            ended: Arc::default(),
            renewed: Arc::default(),
        };
        let (control, ended) = (Arc::clone(&this.control), Arc::clone(&this.ended));
        let renewed = Arc::clone(&this.renewed);
        listen(signals, move |signal| {
            if signal != SIGHUP {
                ended.store(true, SeqCst);
                control.stop();
                return;
            }
            match renew() {
                Ok(new) => {
                    // Both or neither, for whoever takes it.
                    let mut renewed = locked(&renewed);
                    *renewed = Some(new);
                    control.stop();
                }
                Err(failure) => {
                    let why = failure.message.unwrap_or_default();
                    log::error!("{why}; going on with the configuration as it was");
                }
            }
        })?;
        Ok(this)
    }

    /// After a stop: what to go on with, unless the end was asked for.
    pub fn renewed(&self) -> Option<T> {
        let mut renewed = locked(&self.renewed);
        let new = renewed.take()?;
        self.control.go_on();
        // Looked at last: a signal that comes from now on stops it again.
        (!self.ended.load(SeqCst)).then_some(new)
    }
}

/// Calls `act` with each of the signals, on a thread of its own. The second SIGINT or SIGTERM, or a
/// stop that takes too long, ends the process at once.
fn listen(signals: &[i32], act: impl Fn(i32) + Send + 'static) -> Result<(), Failure> {
    let cannot = |error| Failure::new(SOFTWARE, format_args!("signal handling: {error}"));
    let mut signals = iterator::Signals::new(signals).map_err(cannot)?;
    let listen = move || {
        let mut ending = false;
        for signal in signals.forever() {
            if signal != SIGHUP {
                if std::mem::replace(&mut ending, true) {
                    std::process::exit(128 + signal);
                }
                thread::spawn(move || {
                    thread::sleep(PATIENCE);
                    log::warn!("a thread did not stop in time; leaving it behind");
                    std::process::exit(128 + signal);
                });
            }
            act(signal);
        }
    };
    thread::Builder::new()
        .name("signals".into())
        .spawn(listen)
        .map_err(cannot)?;
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
