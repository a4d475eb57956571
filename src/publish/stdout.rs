//! Events on standard output.

use std::io::{self, IsTerminal, StdoutLock, Write};

use super::{Line, Style};

/// Standard output, a line at a time.
pub struct Stdout {
    style: Style,
    line: Vec<u8>,
    out: StdoutLock<'static>,
}

impl Stdout {
    /// Takes standard output for the rest of the thread's life: words where it is a terminal and
    /// NDJSON elsewhere, unless `style` says which.
    #[must_use]
    pub fn new(style: Option<Style>) -> Self {
        let stdout = io::stdout();
        Self {
            style: style.unwrap_or(if stdout.is_terminal() {
                Style::Text
            } else {
                Style::Json
            }),
            line: Vec::with_capacity(512),
            out: stdout.lock(),
        }
    }

    /// Writes one line and flushes it.
    ///
    /// # Errors
    /// Those of writing; a closed pipe is [`io::ErrorKind::BrokenPipe`].
    pub fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.line.clear();
        line.write(self.style, &mut self.line);
        self.out.write_all(&self.line)?;
        self.out.flush()
    }
}
