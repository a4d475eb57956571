//! Logs: readable on a terminal, with the journal's priority prefixes under systemd.

use std::fmt::Display;
use std::io::{Write, stderr};

use env_logger::{Builder, Env};
use log::Level;

/// Starts logging to standard error; `RUST_LOG` chooses the level (`info` by default).
pub fn init() {
    // tract reports every step of its optimiser at info.
    let mut builder = Builder::from_env(Env::default().default_filter_or("warn,palmd=info"));
    if for_journal() {
        builder.format(|out, record| {
            let priority = priority(record.level());
            writeln!(out, "<{priority}>{}", record.args())
        });
    } else {
        builder.format_target(false).format_timestamp(None);
    }
    builder.init();
}

/// Says why palmd ends: in the journal as an error, whatever `RUST_LOG` is, and elsewhere as it is.
pub fn last_words(message: &str) {
    if for_journal() {
        say(format_args!("<{}>{message}", priority(Level::Error)));
    } else {
        say(format_args!("palmd: {message}"));
    }
}

/// Writes a line to standard error. Where that is a file on a full disk, nothing (`eprintln` would panic).
pub fn say(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

fn for_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}

/// sd-daemon(3): the kernel's log levels as prefixes. The journal adds time and program.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}
