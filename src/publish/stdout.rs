//! Events on standard output, and so in the journal.

use std::io::{self, IsTerminal, Write};
use std::thread;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{Feed, Output, Style, Work};

/// `[outputs.stdout]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct StdoutParams {
    /// Whether events are written there.
    pub enabled: bool,
    /// How they look.
    pub format: Format,
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Words on a terminal, NDJSON elsewhere.
    Auto,
    /// Words.
    Text,
    /// NDJSON.
    Json,
}

impl Default for StdoutParams {
    fn default() -> Self {
        Self {
            enabled: true,
            format: Format::Auto,
        }
    }
}

/// Standard output, a line at a time, on a thread of its own: whoever reads it may make it wait.
#[derive(Debug)]
pub struct Stdout {
    style: Style,
}

impl Stdout {
    /// Standard output in the format that is asked for.
    #[must_use]
    pub fn new(params: &StdoutParams) -> Self {
        let style = match params.format {
            Format::Text => Style::Text,
            Format::Json => Style::Json,
            Format::Auto if io::stdout().is_terminal() => Style::Text,
            Format::Auto => Style::Json,
        };
        Self { style }
    }
}

impl Output for Stdout {
    fn name(&self) -> &'static str {
        "stdout"
    }

    fn check(&self) -> Result<String, String> {
        let style = match self.style {
            Style::Json => "NDJSON",
            Style::Text => "words",
        };
        Ok(format!("{style} on standard output"))
    }

    fn run(self: Box<Self>, feed: Feed) -> Work {
        Box::pin(async move {
            let (done, ended) = oneshot::channel();
            let state = feed.state.clone();
            let write = move || {
                write(feed, self.style);
                let _ = done.send(());
            };
            match thread::Builder::new().name("stdout".into()).spawn(write) {
                Ok(_) => {
                    let _ = ended.await;
                }
                Err(error) => state.fails(format_args!("starting its thread: {error}")),
            }
        })
    }
}

/// Writes events to the end. When whoever read them has gone away, the daemon has nothing more to
/// do.
fn write(mut feed: Feed, style: Style) {
    let mut out = io::stdout().lock();
    let mut works = false;
    while let Some(event) = feed.blocking_next() {
        let written = match style {
            Style::Json => out.write_all(event.line().as_bytes()),
            Style::Text => out.write_all(&event.text()),
        };
        match written.and_then(|()| out.flush()) {
            Ok(()) => {
                feed.state.sent(&event);
                if !std::mem::replace(&mut works, true) {
                    feed.state.works("writing lines");
                }
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                feed.control.stop();
                return;
            }
            Err(error) => {
                feed.state.dropped(1);
                feed.state.fails(error);
                works = false;
            }
        }
    }
}
