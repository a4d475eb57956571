//! Bytes of a recording, read once from front to back.

use std::io::{self, Read};
use std::time::Duration;

/// Where the bytes come from.
pub(super) trait Input: Read + Send {
    /// From now on reads may take this long in all; then they fail with
    /// [`io::ErrorKind::WouldBlock`]. Files don't keep anybody waiting.
    fn set_timeout(&mut self, _timeout: Duration) {}
}

impl Input for std::fs::File {}

/// A window on the bytes that come next. It grows to the largest picture and no further.
pub(super) struct Stream {
    input: Box<dyn Input>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    position: u64,
    exhausted: bool,
}

impl Stream {
    const INITIAL_BYTES: usize = 64 << 10;

    pub(super) fn new(input: Box<dyn Input>) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            position: 0,
            exhausted: false,
        }
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.input.set_timeout(timeout);
    }

    /// Offset in the recording of the first byte that is not consumed yet.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The bytes that come next: at least `count`, unless the recording ends before. May be
    /// called again after an error; no byte is lost.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.end - self.start < count && !self.exhausted {
            if self.end == self.buffer.len() {
                self.make_room(count);
            }
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.exhausted = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn make_room(&mut self, count: usize) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        // Twice, not `count`: a size that a broken file claims must not be believed in advance.
        if count > self.buffer.len() {
            let grown = (self.buffer.len() * 2).max(Self::INITIAL_BYTES);
            self.buffer.resize(grown, 0);
        }
    }

    /// What [`peek`](Self::peek) has already brought, without reading.
    pub(super) fn peeked(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Goes on by `count` bytes that were peeked at.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.position += count as u64;
    }

    /// Goes on by `count` bytes, or to the end.
    pub(super) fn skip(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let peeked = self.peek(1)?.len();
            if peeked == 0 {
                break;
            }
            let step = usize::try_from(count).map_or(peeked, |count| count.min(peeked));
            self.consume(step);
            count -= step as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Input for io::Cursor<Vec<u8>> {}

    #[test]
    fn the_window_grows_to_what_is_asked_for_and_no_further() {
        let data: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
        let mut stream = Stream::new(Box::new(io::Cursor::new(data.clone())));
        let mut seen = Vec::new();
        while !stream.peek(100_000).unwrap().is_empty() {
            let taken = stream.peeked().len().min(99_999);
            seen.extend_from_slice(&stream.peeked()[..taken]);
            stream.consume(taken);
        }
        assert!(seen == data);
        assert_eq!(stream.position(), 1_000_000);
        assert!(stream.buffer.len() <= 256 << 10);
    }
}
