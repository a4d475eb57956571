//! YUV4MPEG2: uncompressed planar pictures behind a line of text.

use std::time::Duration;

use super::stream::Stream;
use super::{Container, Fault, MAX_SIDE, Step};
use crate::camera::{Image, PixelFormat, Range};

/// What a recording in this format begins with.
pub(super) const MAGIC: &[u8] = b"YUV4MPEG2";

/// The longest line of text that is read.
const MAX_LINE: usize = 1024;

/// The line that a recording begins with.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Header {
    format: PixelFormat,
    range: Range,
    width: usize,
    height: usize,
    fps: Option<f64>,
    interlaced: bool,
}

impl Header {
    fn parse(line: &[u8]) -> Result<Self, String> {
        let line = std::str::from_utf8(line).map_err(|_| "the header isn't text".to_owned())?;
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("YUV4MPEG2") {
            return Err("it doesn't begin with YUV4MPEG2".into());
        }
        let (mut width, mut height) = (None, None);
        let mut header = Self {
            format: PixelFormat::Yu12,
            range: Range::Limited,
            width: 0,
            height: 0,
            fps: None,
            interlaced: false,
        };
        for word in words {
            let mut letters = word.chars();
            let key = letters.next().unwrap_or_default();
            let value = letters.as_str();
            match key {
                'W' => width = Some(side(word, value)?),
                'H' => height = Some(side(word, value)?),
                'F' => header.fps = rate(word, value)?,
                'I' => header.interlaced = !matches!(value, "p" | "?"),
                'C' => header.format = format(value)?,
                'X' if value == "COLORRANGE=FULL" => header.range = Range::Full,
                _ => {}
            }
        }
        header.width = width.ok_or("the header has no width (W)")?;
        header.height = height.ok_or("the header has no height (H)")?;
        Ok(header)
    }

    fn picture_bytes(&self) -> usize {
        let layout = self.format.plane_layout(self.width, self.height);
        layout.iter().map(|(row, rows)| row * rows).sum()
    }
}

fn side(word: &str, value: &str) -> Result<usize, String> {
    match value.parse() {
        Ok(side @ 1..=MAX_SIDE) => Ok(side),
        _ => Err(format!(
            "the size {word:?} is not between 1 and {MAX_SIDE} pixels"
        )),
    }
}

/// Frames a second from a fraction; `0:0` means unknown.
fn rate(word: &str, value: &str) -> Result<Option<f64>, String> {
    let wrong = || format!("the frame rate {word:?} is not a fraction like F30:1");
    let (frames, seconds) = value.split_once(':').ok_or_else(wrong)?;
    let frames: u32 = frames.parse().map_err(|_| wrong())?;
    let seconds: u32 = seconds.parse().map_err(|_| wrong())?;
    Ok((frames > 0 && seconds > 0).then(|| f64::from(frames) / f64::from(seconds)))
}

fn format(value: &str) -> Result<PixelFormat, String> {
    match value {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Ok(PixelFormat::Yu12),
        "422" => Ok(PixelFormat::Yuv422),
        "444" => Ok(PixelFormat::Yuv444),
        "mono" => Ok(PixelFormat::Grey),
        other => Err(format!(
            "the pixel format C{other} is not supported; `ffmpeg -pix_fmt yuv420p` writes one that is"
        )),
    }
}

/// Reads pictures one by one; a picture stays in the stream's own buffer.
pub(super) struct Y4m {
    stream: Stream,
    header: Option<Header>,
    bytes: Option<u64>,
    /// Length of the current frame's line, and of line and picture.
    current: Option<(usize, usize)>,
}

impl Y4m {
    /// `bytes` is the recording's length, where it is known.
    pub(super) fn new(stream: Stream, bytes: Option<u64>) -> Self {
        Self {
            stream,
            header: None,
            bytes,
            current: None,
        }
    }

    /// Length of the line of text that comes next, with its end; `None` where the recording ends
    /// before.
    fn line(&mut self) -> Result<Option<usize>, Fault> {
        let mut seen = 0;
        loop {
            let bytes = self.stream.peek(seen + 1)?;
            if let Some(end) = bytes.iter().take(MAX_LINE).position(|&byte| byte == b'\n') {
                return Ok(Some(end + 1));
            }
            if bytes.len() >= MAX_LINE {
                return Err(Fault::Data(format!(
                    "no end of line within {MAX_LINE} bytes, where a line of text should be"
                )));
            }
            if bytes.len() == seen {
                return Ok(None);
            }
            seen = bytes.len();
        }
    }

    fn header(&mut self) -> Result<Header, Fault> {
        if let Some(header) = self.header {
            return Ok(header);
        }
        let Some(line) = self.line()? else {
            return Err(Fault::Data(if self.stream.peeked().is_empty() {
                "it is empty".into()
            } else {
                "not a whole Y4M header".into()
            }));
        };
        let header = Header::parse(&self.stream.peeked()[..line - 1]).map_err(Fault::Data)?;
        if header.interlaced {
            log::warn!("the recording is interlaced; its two fields are taken as one picture");
        }
        self.stream.consume(line);
        self.header = Some(header);
        Ok(header)
    }
}

impl Container for Y4m {
    fn step(&mut self) -> Result<Step, Fault> {
        let header = self.header()?;
        if let Some((_, length)) = self.current.take() {
            self.stream.consume(length);
        }
        let Some(line) = self.line()? else {
            return Ok(match self.stream.peeked().len() {
                0 => Step::End,
                _ => {
                    self.stream.skip(u64::MAX)?;
                    Step::Bad("the last frame is cut off".into())
                }
            });
        };
        let words = &self.stream.peeked()[..line - 1];
        if words != b"FRAME" && !words.starts_with(b"FRAME ") {
            return Err(Fault::Data("no frame begins where one should".into()));
        }
        let length = line + header.picture_bytes();
        if self.stream.peek(length)?.len() < length {
            self.stream.skip(u64::MAX)?;
            return Ok(Step::Bad("the last frame is cut off".into()));
        }
        self.current = Some((line, length));
        Ok(Step::Picture)
    }

    fn picture(&self) -> Option<Image<'_>> {
        let (header, (line, length)) = (self.header?, self.current?);
        Image::from_contiguous(
            header.format,
            header.range,
            header.width,
            header.height,
            header.width,
            self.stream.peeked().get(line..length)?,
        )
    }

    fn position(&self) -> Option<u64> {
        Some(self.stream.position())
    }

    fn fps(&self) -> Option<f64> {
        self.header?.fps
    }

    fn format(&self) -> &'static str {
        match self.header.map(|header| header.format) {
            Some(PixelFormat::Yuv422) => "YUV422",
            Some(PixelFormat::Yuv444) => "YUV444",
            Some(PixelFormat::Grey) => "GREY",
            _ => "YU12",
        }
    }

    fn frames(&self) -> Option<u64> {
        let frame = self.header?.picture_bytes() as u64 + b"FRAME\n".len() as u64;
        Some(self.bytes? / frame)
    }

    fn set_timeout(&mut self, timeout: Duration) {
        self.stream.set_timeout(timeout);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_size_rate_format_and_range() {
        let parse = |line: &str| Header::parse(line.as_bytes());
        let header = parse("YUV4MPEG2 W640 H480 F30000:1001 Ip A1:1 C422 XYSCSS=422").unwrap();
        assert_eq!((header.width, header.height), (640, 480));
        assert!((header.fps.unwrap() - 29.97).abs() < 0.001);
        assert_eq!(header.format, PixelFormat::Yuv422);
        assert_eq!(header.range, Range::Limited);
        assert!(!header.interlaced);

        let header = parse("YUV4MPEG2 H3 W5 F0:0 It XCOLORRANGE=FULL").unwrap();
        assert_eq!(header.fps, None);
        assert_eq!(header.format, PixelFormat::Yu12);
        assert_eq!(header.range, Range::Full);
        assert!(header.interlaced);
        assert_eq!(header.picture_bytes(), 15 + 2 * 6);
    }

    #[test]
    fn a_header_that_cannot_be_used_says_which_word_is_wrong() {
        for (line, word) in [
            ("YUV4MPEG2 W640 F30:1", "height"),
            ("YUV4MPEG2 W640 H0", "H0"),
            ("YUV4MPEG2 W99999 H480", "W99999"),
            ("YUV4MPEG2 W640 H480 F30", "F30"),
            ("YUV4MPEG2 W640 H480 C420p10", "C420p10"),
            ("YUV4MPEG2 W640 H480 C444alpha", "C444alpha"),
        ] {
            let reason = Header::parse(line.as_bytes()).unwrap_err();
            assert!(reason.contains(word), "{line}: {reason}");
        }
    }
}
