//! JPEG pictures one after the other, with nothing around them that could be relied on.

use super::stream::Stream;
use super::{Container, Fault, MAX_PICTURE_BYTES, Step};
use crate::camera::Image;
use crate::camera::jpeg::JpegDecoder;

/// What a JPEG picture begins with: the start marker and the first byte of the next.
pub(super) const MAGIC: &[u8] = &[0xff, 0xd8, 0xff];

/// Between pictures there may be the headers of a multipart stream. More than this is a picture
/// that has lost its beginning.
const MAX_SEPARATOR_BYTES: u64 = 1024;

/// Finds and decodes pictures one by one.
pub(super) struct Mjpeg {
    stream: Stream,
    decoder: JpegDecoder,
    /// Length of the current picture's data.
    current: usize,
}

/// Where a picture's data ends, counted from its start marker.
#[derive(Debug, PartialEq)]
enum Extent {
    Whole(usize),
    /// It is torn or cut off; the search for the next one begins here.
    Torn(usize),
}

impl Mjpeg {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            decoder: JpegDecoder::default(),
            current: 0,
        }
    }

    /// Goes on to the next start marker and returns how many bytes were in between; at the end
    /// of the recording there is nothing left to peek at.
    fn find_start(&mut self) -> Result<u64, Fault> {
        let mut skipped = 0;
        loop {
            let bytes = self.stream.peek(MAGIC.len())?;
            let start = bytes.windows(MAGIC.len()).position(|three| three == MAGIC);
            let skip = match start {
                Some(0) => return Ok(skipped),
                Some(start) => start,
                // A start marker may lie across the end of what has come so far.
                None if bytes.len() >= MAGIC.len() => bytes.len() - (MAGIC.len() - 1),
                None if bytes.is_empty() => return Ok(skipped),
                None => bytes.len(),
            };
            self.stream.consume(skip);
            skipped += skip as u64;
        }
    }

    /// Walks from marker to marker, so that a start or end marker within a segment (the
    /// thumbnail of a photograph) is not mistaken for the picture's own.
    fn extent(&mut self) -> Result<Extent, Fault> {
        let mut at = 2;
        let mut last_segment = at;
        let mut entropy_coded = false;
        loop {
            if at > MAX_PICTURE_BYTES {
                return Ok(Extent::Torn(at));
            }
            let bytes = self.stream.peek(at + 2)?;
            let ends_here = bytes.len() < at + 2;
            if !entropy_coded && (ends_here || bytes[at] != 0xff) {
                // The last segment's length led astray, maybe past the next picture's start.
                return Ok(Extent::Torn(last_segment));
            }
            if ends_here {
                return Ok(Extent::Torn(bytes.len()));
            }
            if bytes[at] != 0xff {
                let rest = &bytes[at..];
                at += rest.iter().position(|&b| b == 0xff).unwrap_or(rest.len());
                continue;
            }
            match bytes[at + 1] {
                0xff => at += 1,
                0x00 if entropy_coded => at += 2,
                0x01 | 0xd0..=0xd7 => at += 2,
                0xd8 => return Ok(Extent::Torn(at)),
                0xd9 => return Ok(Extent::Whole(at + 2)),
                0xc0..=0xfe => {
                    let marker = bytes[at + 1];
                    let bytes = self.stream.peek(at + 4)?;
                    if bytes.len() < at + 4 {
                        return Ok(Extent::Torn(bytes.len()));
                    }
                    let length = u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]);
                    if length < 2 {
                        return Ok(Extent::Torn(at + 2));
                    }
                    last_segment = at + 2;
                    at += 2 + usize::from(length);
                    entropy_coded = marker == 0xda;
                }
                // No encoder writes the other markers.
                _ => return Ok(Extent::Torn(at + 2)),
            }
        }
    }
}

impl Container for Mjpeg {
    fn step(&mut self) -> Result<Step, Fault> {
        self.stream.consume(std::mem::take(&mut self.current));
        if self.find_start()? > MAX_SEPARATOR_BYTES {
            return Ok(Step::Bad("a picture without a beginning".into()));
        }
        if self.stream.peeked().is_empty() {
            return Ok(Step::End);
        }
        match self.extent()? {
            Extent::Whole(length) => {
                self.current = length;
                Ok(match self.decoder.decode(&self.stream.peeked()[..length]) {
                    Ok(_) => Step::Picture,
                    Err(error) => Step::Bad(error.to_string()),
                })
            }
            Extent::Torn(length) => {
                self.stream.consume(length);
                Ok(Step::Bad("a picture is torn or cut off".into()))
            }
        }
    }

    fn picture(&self) -> Option<Image<'_>> {
        self.decoder.image()
    }

    fn position(&self) -> Option<u64> {
        Some(self.stream.position())
    }

    fn format(&self) -> &'static str {
        "MJPG"
    }
}
