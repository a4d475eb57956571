//! What a program says, as lines of the log: not too long and not too many.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::sleep;

use crate::clock::{Clock, SystemClock};

/// A line is cut after so many bytes.
const LINE_MOST: usize = 256;

/// So many lines a second are passed on; the others are counted.
const LINES: u32 = 20;

/// A program that says more in a second waits, on a full pipe, until it is over.
const BYTES: usize = 1 << 20;

const SECOND: Duration = Duration::from_secs(1);

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    too_long: bool,
}

impl Lines {
    /// Takes some bytes, and calls `say` with each line that they complete.
    fn take(&mut self, bytes: &[u8], mut say: impl FnMut(&str)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n");
            let more = text.unwrap_or(part);
            let room = LINE_MOST - self.line.len();
            self.too_long |= more.len() > room;
            self.line.extend_from_slice(&more[..more.len().min(room)]);
            if text.is_some() {
                self.end(&mut say);
            }
        }
    }

    /// Completes the line; an empty one isn't said.
    fn end(&mut self, mut say: impl FnMut(&str)) {
        let line = String::from_utf8_lossy(&self.line);
        // Control characters could make a terminal or a log show what isn't there.
        let mut text: String = line
            .trim_end()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if self.too_long {
            text.push_str(" ...");
        }
        if !text.is_empty() {
            say(&text);
        }
        self.line.clear();
        self.too_long = false;
    }
}

/// Reads `from` to its end, says what it says line by line, and calls `passed_over` with the number
/// of lines that were too many.
pub async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut say: impl FnMut(&str),
    mut passed_over: impl FnMut(u32),
) {
    let mut lines = Lines::default();
    let mut bytes = vec![0; 4096];
    loop {
        let end = SystemClock.now() + SECOND;
        let (mut said, mut taken) = (0, 0);
        let mut within = |text: &str| {
            said += 1;
            if said <= LINES {
                say(text);
            }
        };
        let over = loop {
            match from.read(&mut bytes).await {
                Ok(0) | Err(_) => break true,
                Ok(count) => {
                    lines.take(&bytes[..count], &mut within);
                    taken += count;
                }
            }
            if SystemClock.now() >= end {
                break false;
            }
            if taken >= BYTES {
                sleep(end.saturating_sub(SystemClock.now())).await;
                break false;
            }
        };
        if over {
            lines.end(&mut within);
        }
        passed_over(said.saturating_sub(LINES));
        if over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut said = Vec::new();
        for part in parts {
            lines.take(part, |line| said.push(line.to_owned()));
        }
        lines.end(|line| said.push(line.to_owned()));
        said
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let whole: &[u8] = b"one\ntwo\r\n\nthree";
        let single: Vec<_> = whole.chunks(1).collect();
        assert_eq!(lines(&[whole]), ["one", "two", "three"]);
        assert_eq!(lines(&single), ["one", "two", "three"]);
    }

    #[test]
    fn long_lines_are_cut_and_wild_ones_tamed() {
        let long = [&b"x".repeat(1000)[..], b"\nnext\n"].concat();
        let cut = format!("{} ...", "x".repeat(LINE_MOST));
        assert_eq!(lines(&[&long]), [&cut, "next"]);
        let exact = b"x".repeat(LINE_MOST);
        assert_eq!(lines(&[&exact]), ["x".repeat(LINE_MOST)]);
        assert_eq!(lines(&[b"\x1b[2Jred\xff\n"]), [" [2Jred\u{fffd}"]);
    }

    #[tokio::test]
    async fn a_flood_is_passed_over_and_counted() {
        let flood = b"y\n".repeat(500);
        let (mut said, mut over) = (0, 0);
        pass_on(&flood[..], |_| said += 1, |lines| over += lines).await;
        // A slow machine may take several seconds for it.
        assert!(said >= LINES && said + over == 500, "{said} {over}");
    }
}
