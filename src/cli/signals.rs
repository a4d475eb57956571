//! SIGINT and SIGTERM end palmd, within a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::failure::{Failure, SOFTWARE};

/// A thread that can't be stopped (it waits for a pipe) is left behind after so long.
const PATIENCE: Duration = Duration::from_millis(900);

/// Sets the returned flag at the first SIGINT or SIGTERM.
pub fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    on_stop_signals(move || flag.swap(true, SeqCst))?;
    Ok(stop)
}

/// Calls `stop` at each SIGINT or SIGTERM. It says whether that had been said before: the second
/// one, or a stop that takes too long, ends the process at once.
pub fn on_stop_signals(stop: impl Fn() -> bool + Send + 'static) -> Result<(), Failure> {
    let cannot = |error| Failure::new(SOFTWARE, format_args!("signal handling: {error}"));
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(cannot)?;
    let listen = move || {
        for signal in signals.forever() {
            if stop() {
                std::process::exit(128 + signal);
            }
            thread::spawn(move || {
                thread::sleep(PATIENCE);
                log::warn!("a thread did not stop in time; leaving it behind");
                std::process::exit(128 + signal);
            });
        }
    };
    thread::Builder::new()
        .name("signals".into())
        .spawn(listen)
        .map_err(cannot)?;
    Ok(())
}
