//! AVI with motion JPEG.
//!
//! The chunks are walked from front to back and lists are entered rather than measured, so that
//! recordings whose sizes or index were never filled in (a camera that lost power) play as well,
//! and so do OpenDML's `AVIX` continuations. Source: "AVI RIFF File Reference" (Microsoft) and
//! "OpenDML AVI File Format Extensions" 1.02 (Matrox).

use super::stream::Stream;
use super::{Container, Fault, MAX_PICTURE_BYTES, MAX_SIDE, Step};
use crate::camera::Image;
use crate::camera::jpeg::JpegDecoder;

/// Whether a recording that begins with these bytes is an AVI.
pub(super) fn is_avi(head: &[u8]) -> bool {
    head.len() >= 12 && head.starts_with(b"RIFF") && &head[8..12] == b"AVI "
}

/// Codec names under which motion JPEG goes.
const MOTION_JPEG: [&[u8; 4]; 6] = [b"MJPG", b"mjpg", b"AVRn", b"dmb1", b"JPEG", b"jpeg"];

/// More of a stream header than is read from it.
const MAX_HEADER_BYTES: usize = 4096;

/// The video stream's number and what its header says.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Video {
    number: u32,
    fps: Option<f64>,
    frames: u32,
}

/// Reads and decodes the pictures of the first video stream.
pub(super) struct Avi {
    stream: Stream,
    decoder: JpegDecoder,
    /// From the main header, for streams that don't tell.
    main_fps: Option<f64>,
    streams: u32,
    /// The stream header was a video's, and its format comes next.
    pending: Option<Video>,
    video: Option<Video>,
}

impl Avi {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            decoder: JpegDecoder::default(),
            main_fps: None,
            streams: 0,
            pending: None,
            video: None,
        }
    }

    /// The payload of a header chunk; fields beyond its end read as zero.
    fn header(&mut self, size: usize) -> Result<Fields<'_>, Fault> {
        let wanted = 8 + size.min(MAX_HEADER_BYTES);
        let bytes = self.stream.peek(wanted)?;
        Ok(Fields(bytes.get(8..wanted.min(bytes.len())).unwrap_or(&[])))
    }

    fn main_header(&mut self, size: usize) -> Result<(), Fault> {
        let interval_us = self.header(size)?.u32(0);
        self.main_fps = (interval_us > 0).then(|| 1e6 / f64::from(interval_us));
        Ok(())
    }

    fn stream_header(&mut self, size: usize) -> Result<(), Fault> {
        let number = self.streams;
        let header = self.header(size)?;
        let (scale, rate, frames) = (header.u32(20), header.u32(24), header.u32(32));
        let is_video = &header.tag(0) == b"vids";
        self.streams += 1;
        self.pending = (is_video && self.video.is_none()).then(|| Video {
            number,
            fps: (scale > 0 && rate > 0).then(|| f64::from(rate) / f64::from(scale)),
            frames,
        });
        Ok(())
    }

    fn stream_format(&mut self, size: usize) -> Result<(), Fault> {
        let Some(video) = self.pending.take() else {
            return Ok(());
        };
        let header = self.header(size)?;
        let (width, height) = (header.u32(4), header.u32(8).cast_signed().unsigned_abs());
        let codec = header.tag(16);
        if !MOTION_JPEG.contains(&&codec) {
            return Err(Fault::Data(format!(
                "an AVI with codec {:?}, and only motion JPEG (MJPG) can be read; {}",
                codec.escape_ascii().to_string(),
                super::CONVERT
            )));
        }
        if width.max(height) as usize > MAX_SIDE {
            return Err(Fault::Data(format!(
                "the size {width}x{height} is more than {MAX_SIDE} pixels a side"
            )));
        }
        self.video = Some(video);
        Ok(())
    }

    /// The picture in a chunk of `size` bytes.
    fn decode(&mut self, size: usize) -> Result<Step, Fault> {
        if size == 0 {
            return Ok(Step::Gap);
        }
        if size > MAX_PICTURE_BYTES {
            return Ok(Step::Bad(format!("a picture of {size} bytes")));
        }
        let data = self.stream.peek(8 + size)?;
        let Some(data) = data.get(8..8 + size) else {
            return Ok(Step::Bad("the last picture is cut off".into()));
        };
        Ok(match self.decoder.decode(data) {
            Ok(_) => Step::Picture,
            Err(error) => Step::Bad(error.to_string()),
        })
    }

    fn skip_chunk(&mut self, size: usize) -> Result<(), Fault> {
        // Chunks begin at even offsets.
        Ok(self.stream.skip(8 + (size as u64).next_multiple_of(2))?)
    }

    /// Goes on to what looks like the next picture: after a broken one the sizes can't be trusted.
    fn find_picture(&mut self) -> Result<(), Fault> {
        const LENGTH: usize = 10;
        let Some(video) = self.video else {
            return Ok(self.stream.skip(u64::MAX)?);
        };
        loop {
            let bytes = self.stream.peek(LENGTH)?;
            let found = bytes
                .windows(LENGTH)
                .position(|chunk| is_picture_of(video, chunk) && chunk[8..] == [0xff, 0xd8]);
            let passed = bytes.len().saturating_sub(LENGTH - 1).max(1);
            self.stream.consume(found.unwrap_or(passed));
            if found.is_some() || self.stream.peek(1)?.is_empty() {
                return Ok(());
            }
        }
    }
}

/// Whether a chunk's tag is that of a picture of `video`: the stream's number, then `dc` or `db`.
fn is_picture_of(video: Video, tag: &[u8]) -> bool {
    let number = std::str::from_utf8(&tag[..2]).map(str::parse);
    number == Ok(Ok(video.number)) && tag[2] == b'd' && matches!(tag[3], b'b' | b'c')
}

impl Container for Avi {
    fn step(&mut self) -> Result<Step, Fault> {
        loop {
            let head = self.stream.peek(8)?;
            if head.is_empty() {
                return match self.video {
                    Some(_) => Ok(Step::End),
                    None => Err(Fault::Data("an AVI without a video stream".into())),
                };
            }
            let fields = Fields(head);
            let (tag, size) = (fields.tag(0), fields.u32(4) as usize);
            if !tag.iter().all(|c| c.is_ascii_graphic() || *c == b' ') {
                self.find_picture()?;
                return Ok(Step::Bad("no chunk begins where one should".into()));
            }
            if self.video.is_some_and(|video| is_picture_of(video, &tag)) {
                let step = self.decode(size)?;
                if matches!(step, Step::Bad(_)) {
                    self.stream.consume(8);
                    self.find_picture()?;
                } else {
                    self.skip_chunk(size)?;
                }
                return Ok(step);
            }
            match &tag {
                b"RIFF" => {
                    self.stream.peek(12)?;
                    self.stream.consume(12);
                    continue;
                }
                b"LIST" => {
                    let list = Fields(self.stream.peek(12)?).tag(8);
                    if matches!(&list, b"hdrl" | b"strl" | b"movi" | b"rec ") {
                        self.stream.consume(12);
                        continue;
                    }
                }
                b"avih" => self.main_header(size)?,
                b"strh" => self.stream_header(size)?,
                b"strf" => self.stream_format(size)?,
                _ => {}
            }
            self.skip_chunk(size)?;
        }
    }

    fn picture(&self) -> Option<Image<'_>> {
        self.decoder.image()
    }

    fn position(&self) -> Option<u64> {
        Some(self.stream.position())
    }

    fn fps(&self) -> Option<f64> {
        self.video?.fps.or(self.main_fps)
    }

    fn format(&self) -> &'static str {
        "MJPG"
    }

    fn frames(&self) -> Option<u64> {
        let frames = u64::from(self.video?.frames);
        (frames > 0).then_some(frames)
    }
}

/// Little-endian fields of a chunk.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn tag(self, at: usize) -> [u8; 4] {
        let mut tag = [0; 4];
        if let Some(bytes) = self.0.get(at..at + 4) {
            tag.copy_from_slice(bytes);
        }
        tag
    }

    fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.tag(at))
    }
}
