//! Frames from files: Y4M, concatenated JPEGs, AVI with motion JPEG, pictures and folders of
//! pictures, and Y4M on standard input.
//!
//! What a file is shows in its first bytes; its name decides only where they leave a choice. The
//! formats are `Container`s that go from picture to picture; `Recording` gives them times and
//! counts what is broken. A recording is read from front to back, one picture at a time, so its
//! length doesn't matter.

mod avi;
mod mjpeg;
mod pictures;
mod stdin;
mod stream;
#[cfg(test)]
mod tests;
mod y4m;

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use self::avi::Avi;
use self::mjpeg::Mjpeg;
use self::pictures::Pictures;
use self::stdin::Stdin;
use self::stream::Stream;
use self::y4m::Y4m;
use super::{Frame, Image, Next, Source, SourceError, SourceInfo, SourceStats};

/// Frames a second of a recording that doesn't tell, unless the user does.
pub const DEFAULT_FPS: f32 = 30.0;

/// Widest and highest picture, in pixels.
const MAX_SIDE: usize = 8192;

/// The longest compressed picture.
const MAX_PICTURE_BYTES: usize = 32 << 20;

/// Frame rates beyond these are taken for a mistake.
const FPS: std::ops::RangeInclusive<f64> = 0.001..=1000.0;

const CONVERT: &str = "convert it with `ffmpeg -i FILE -f yuv4mpegpipe - | palmd ... --source -`";

/// Opens a recording, a picture or a folder of pictures and reads its first picture.
///
/// `fps` gives its frames their times if it has no rate of its own; [`DEFAULT_FPS`] otherwise.
///
/// # Errors
/// [`SourceError::Unavailable`] or [`SourceError::Permission`] if it can't be opened,
/// [`SourceError::Data`] if it is none of the formats or has no readable picture. Each names the
/// file and, where that helps, the place in it.
pub fn open(path: &Path, fps: Option<f32>) -> Result<Box<dyn Source>, SourceError> {
    let name = path.display().to_string();
    let fps = checked(&name, fps)?;
    let container = container(path).map_err(|fault| fault.explain(&name, ""))?;
    let mut recording = Recording::new(name, container, fps);
    match recording.advance(Duration::ZERO)? {
        Advance::Picture => recording.ready = true,
        Advance::Waiting => {}
        Advance::End => return Err(recording.without_pictures()),
    }
    Ok(Box::new(recording))
}

/// Y4M on standard input. Reads nothing yet: until the first frame has come, size and rate are
/// not known (`0x0`, and `fps` or [`DEFAULT_FPS`]).
///
/// # Errors
/// [`SourceError::Io`] if there is no standard input.
pub fn open_stdin(fps: Option<f32>) -> Result<Box<dyn Source>, SourceError> {
    let name = "standard input".to_owned();
    let fps = checked(&name, fps)?;
    let input = Stdin::new().map_err(|error| Fault::Io(error).explain(&name, ""))?;
    let container = Y4m::new(Stream::new(Box::new(input)), None);
    Ok(Box::new(Recording::new(name, Box::new(container), fps)))
}

fn checked(name: &str, fps: Option<f32>) -> Result<Option<f64>, SourceError> {
    match fps.map(f64::from) {
        Some(fps) if !FPS.contains(&fps) => Err(SourceError::Data {
            name: name.to_owned(),
            reason: format!("{fps} frames a second (--fps) is not between 0.001 and 1000"),
        }),
        fps => Ok(fps),
    }
}

/// The container in a file, by its first bytes.
fn container(path: &Path) -> Result<Box<dyn Container>, Fault> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Ok(Box::new(Pictures::folder(path)?));
    }
    let bytes = metadata.is_file().then_some(metadata.len());
    let mut stream = Stream::new(Box::new(File::open(path)?));
    let extension = path.extension().unwrap_or_default();
    let named_mjpeg = ["mjpeg", "mjpg"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known));
    let head = stream.peek(16)?;
    if head.is_empty() {
        return Err(Fault::Data("the file is empty".into()));
    }
    if head.starts_with(y4m::MAGIC) {
        Ok(Box::new(Y4m::new(stream, bytes)))
    } else if avi::is_avi(head) {
        Ok(Box::new(Avi::new(stream)))
    } else if head.starts_with(pictures::PNG_MAGIC)
        || head.starts_with(mjpeg::MAGIC) && pictures::has_picture_name(path)
    {
        Ok(Box::new(Pictures::single(path)))
    } else if head.starts_with(mjpeg::MAGIC) || named_mjpeg {
        Ok(Box::new(Mjpeg::new(stream)))
    } else {
        Err(Fault::Data(match other_format(head) {
            Some(format) => format!("{format} can't be read; {CONVERT}"),
            None => "neither Y4M, MJPEG, AVI, JPEG nor PNG by its first bytes".into(),
        }))
    }
}

/// The name of a well-known format that is none of ours.
fn other_format(head: &[u8]) -> Option<&'static str> {
    Some(match head {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "an MP4 or QuickTime recording",
        [0x1a, 0x45, 0xdf, 0xa3, ..] => "a Matroska or WebM recording",
        [b'G', b'I', b'F', b'8', ..] => "a GIF",
        [b'B', b'M', ..] => "a BMP picture",
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => "a WebP picture",
        [b'O', b'g', b'g', b'S', ..] => "an Ogg recording",
        [0, 0, 1, 0xb3 | 0xba, ..] => "an MPEG recording",
        _ => return None,
    })
}

/// What a step through a container led to.
#[derive(Debug, PartialEq)]
enum Step {
    /// A picture, which the container holds.
    Picture,
    /// A picture that is broken, and how.
    Bad(String),
    /// A time at which the recording has no picture.
    Gap,
    /// The recording has ended.
    End,
}

/// Why a container can't go on.
#[derive(Debug)]
enum Fault {
    Io(io::Error),
    Data(String),
}

impl Fault {
    /// `place` follows the recording's name.
    fn explain(self, name: &str, place: &str) -> SourceError {
        let at_place = format!("{name}{place}");
        let name = name.to_owned();
        match self {
            Self::Data(reason) => SourceError::Data {
                name: at_place,
                reason,
            },
            Self::Io(error) => match error.kind() {
                io::ErrorKind::NotFound => SourceError::Unavailable {
                    name,
                    reason: "no such file".into(),
                },
                io::ErrorKind::PermissionDenied => SourceError::Permission {
                    name,
                    hint: "make it readable for the user that palmd runs as".into(),
                },
                _ => SourceError::Io {
                    name: at_place,
                    doing: "read",
                    error,
                },
            },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A format of recordings: goes from picture to picture.
trait Container: Send {
    /// Reads the next picture. After [`io::ErrorKind::WouldBlock`] it may be called again.
    fn step(&mut self) -> Result<Step, Fault>;

    /// The picture that the last step read.
    fn picture(&self) -> Option<Image<'_>>;

    /// How the pictures are encoded, for people.
    fn format(&self) -> &'static str;

    /// Offset in the file of what is being read.
    fn position(&self) -> Option<u64> {
        None
    }

    /// Frames a second, where the recording tells.
    fn fps(&self) -> Option<f64> {
        None
    }

    /// Number of pictures, where it is known beforehand.
    fn frames(&self) -> Option<u64> {
        None
    }

    /// Whether the pictures have nothing to do with one another, unless the user gives a rate.
    fn stills(&self) -> bool {
        false
    }

    /// Entries of a folder that are no pictures.
    fn skipped(&self) -> u64 {
        0
    }

    /// How long a step may wait for bytes.
    fn set_timeout(&mut self, _timeout: Duration) {}
}

/// What [`Recording::advance`] came to.
enum Advance {
    Picture,
    Waiting,
    End,
}

/// A container's pictures with their times.
struct Recording {
    name: String,
    container: Box<dyn Container>,
    /// What the user says.
    fps: Option<f64>,
    size: (u32, u32),
    /// Number of the next picture, broken ones and gaps included.
    seq: u64,
    /// The container holds a picture that was not handed out yet.
    ready: bool,
    ended: bool,
    first_fault: Option<String>,
    stats: SourceStats,
}

impl Recording {
    fn new(name: String, container: Box<dyn Container>, fps: Option<f64>) -> Self {
        Self {
            name,
            stats: SourceStats {
                skipped: container.skipped(),
                ..SourceStats::default()
            },
            container,
            fps,
            size: (0, 0),
            seq: 0,
            ready: false,
            ended: false,
            first_fault: None,
        }
    }

    fn fps(&self) -> f64 {
        let own = self.container.fps().filter(|fps| FPS.contains(fps));
        own.or(self.fps).unwrap_or(f64::from(DEFAULT_FPS))
    }

    /// Goes to the next whole picture and counts the broken ones before it.
    fn advance(&mut self, timeout: Duration) -> Result<Advance, SourceError> {
        if self.ended {
            return Ok(Advance::End);
        }
        self.container.set_timeout(timeout);
        loop {
            match self.container.step() {
                Ok(Step::Picture) => {
                    self.seq += 1;
                    if let ((0, 0), Some(image)) = (self.size, self.container.picture()) {
                        self.size = (image.width as u32, image.height as u32);
                    }
                    return Ok(Advance::Picture);
                }
                Ok(Step::Gap) => self.seq += 1,
                Ok(Step::Bad(reason)) => {
                    self.seq += 1;
                    self.stats.bad += 1;
                    if self.first_fault.is_none() {
                        let place = self.place();
                        log::warn!("{}{place}: {reason}; passed over", self.name);
                        self.first_fault = Some(reason);
                    }
                }
                Ok(Step::End) => {
                    self.ended = true;
                    let bad = self.stats.bad;
                    if bad > 0 {
                        log::warn!("{}: {bad} of {} pictures were broken", self.name, self.seq);
                    }
                    return Ok(Advance::End);
                }
                Err(Fault::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Advance::Waiting);
                }
                Err(fault) => {
                    self.ended = true;
                    return Err(fault.explain(&self.name, &self.place()));
                }
            }
        }
    }

    /// Where in the recording the reading stands, to follow its name.
    fn place(&self) -> String {
        match self.container.position() {
            Some(0) | None => String::new(),
            Some(byte) => format!(", frame {}, byte {byte}", self.seq),
        }
    }

    fn without_pictures(self) -> SourceError {
        SourceError::Data {
            reason: match self.first_fault {
                None => "there is no picture in it".into(),
                Some(reason) => format!(
                    "no picture in it can be read ({} broken, the first: {reason})",
                    self.stats.bad
                ),
            },
            name: self.name,
        }
    }
}

impl Source for Recording {
    fn next_frame(&mut self, timeout: Duration) -> Result<Next<'_>, SourceError> {
        if !std::mem::take(&mut self.ready) {
            match self.advance(timeout)? {
                Advance::Picture => {}
                Advance::Waiting => return Ok(Next::Timeout),
                Advance::End => return Ok(Next::End),
            }
        }
        let seq = self.seq - 1;
        let t = Duration::from_secs_f64(seq as f64 / self.fps());
        let Some(image) = self.container.picture() else {
            return Ok(Next::End);
        };
        self.stats.delivered += 1;
        Ok(Next::Frame(Frame::borrowed(image, seq, t)))
    }

    fn info(&self) -> SourceInfo {
        SourceInfo {
            name: self.name.clone(),
            size: self.size,
            fps: self.fps() as f32,
            format: self.container.format().into(),
            live: false,
            stills: self.container.stills() && self.fps.is_none(),
            frames: self.container.frames(),
        }
    }

    fn stats(&self) -> SourceStats {
        self.stats
    }
}
