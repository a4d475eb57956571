//! Recorded poses: the lines that `palmd pose` writes, read back.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use serde_json::error::Category;

use super::{FramePoses, LANDMARKS, Point3};

/// The longest line that is read, in bytes. Two hands with all digits take a fifth of it.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// Image landmarks are at most this many frame widths away, and world landmarks metres.
const MAX_COORDINATE: f32 = 100.0;

/// Why recorded poses can't be read. The text names the file and the line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoseLinesError {
    /// The file can't be opened or read.
    #[error("{name}: {error}")]
    Io {
        /// The file.
        name: String,
        /// The system's answer.
        error: io::Error,
    },
    /// A line is no pose line.
    #[error("{name}, line {line}: {reason}")]
    Line {
        /// The file.
        name: String,
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads poses frame by frame, in the order of their times.
///
/// Blank lines are passed over. After an error the iterator ends.
pub struct PoseLines {
    name: String,
    reader: Box<dyn BufRead + Send>,
    buffer: Vec<u8>,
    line: u64,
    /// Number and time of the frame before.
    last: Option<(u64, Duration)>,
    ended: bool,
}

impl PoseLines {
    /// Opens a file, or standard input where `path` is `-`.
    ///
    /// # Errors
    /// [`PoseLinesError::Io`] if the file can't be opened.
    pub fn open(path: &Path) -> Result<Self, PoseLinesError> {
        if path == "-" {
            return Ok(Self::new("standard input", BufReader::new(io::stdin())));
        }
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Ok(Self::new(&name, BufReader::new(file))),
            Err(error) => Err(PoseLinesError::Io { name, error }),
        }
    }

    /// Reads from `reader`, which messages call `name`.
    pub fn new(name: &str, reader: impl BufRead + Send + 'static) -> Self {
        Self {
            name: name.into(),
            reader: Box::new(reader),
            buffer: Vec::new(),
            line: 0,
            last: None,
            ended: false,
        }
    }

    /// Reads the next line that is not blank; `None` at the end.
    fn read(&mut self) -> Result<Option<FramePoses>, PoseLinesError> {
        loop {
            self.line += 1;
            self.buffer.clear();
            let read = (&mut self.reader)
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut self.buffer)
                .map_err(|error| PoseLinesError::Io {
                    name: self.name.clone(),
                    error,
                })?;
            if read == 0 {
                return Ok(None);
            }
            if read as u64 == MAX_LINE_BYTES && !self.buffer.ends_with(b"\n") {
                return Err(self.error(format!("longer than {} kB", MAX_LINE_BYTES >> 10)));
            }
            if self.buffer.trim_ascii().is_empty() {
                continue;
            }
            let poses = self.parse().map_err(|reason| self.error(reason))?;
            self.last = Some((poses.seq, poses.t));
            return Ok(Some(poses));
        }
    }

    fn error(&self, reason: String) -> PoseLinesError {
        PoseLinesError::Line {
            name: self.name.clone(),
            line: self.line,
            reason,
        }
    }

    fn parse(&self) -> Result<FramePoses, String> {
        let poses: FramePoses =
            serde_json::from_slice(self.buffer.trim_ascii_end()).map_err(explain)?;
        check(&poses)?;
        match self.last {
            Some((_, t)) if poses.t < t => Err(format!(
                "time goes back, from {} s to {} s",
                t.as_secs_f64(),
                poses.t.as_secs_f64()
            )),
            Some((seq, _)) if poses.seq <= seq => Err(format!(
                "the frame's number doesn't grow, from {seq} to {}",
                poses.seq
            )),
            _ => Ok(poses),
        }
    }
}

impl Iterator for PoseLines {
    type Item = Result<FramePoses, PoseLinesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The parser's message without its line number, which is always 1.
fn explain(error: serde_json::Error) -> String {
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    let column = error.column();
    match error.classify() {
        Category::Eof => format!("cut off after {column} characters"),
        // What the parser says about a list that is longer than its type.
        _ if message == "trailing characters" => format!(
            "too many values, from column {column} on: a line has one frame, a hand {LANDMARKS} \
             landmarks, each 3 coordinates"
        ),
        Category::Data => format!("no pose line: {message} (column {column})"),
        _ => format!("not JSON: {message} (column {column})"),
    }
}

fn check(poses: &FramePoses) -> Result<(), String> {
    let (width, height) = poses.size;
    if width == 0 || height == 0 {
        return Err(format!("the frame's size is {width}x{height}"));
    }
    for hand in &poses.hands {
        if !(0.0..=1.0).contains(&hand.presence) {
            return Err(format!("presence {} is not between 0 and 1", hand.presence));
        }
        for (key, points) in [("landmarks", &hand.landmarks), ("world", &hand.world)] {
            if let Some(index) = points.iter().position(|point| !is_plausible(point)) {
                let point = points[index];
                return Err(format!("{key}[{index}] = {point:?} is no point of a hand"));
            }
        }
    }
    if let [one, other] = &poses.hands[..]
        && one.track == other.track
    {
        return Err(format!("two hands with the same track {}", one.track));
    }
    Ok(())
}

/// Whether all coordinates are numbers of a possible size (comparisons with NaN are false).
fn is_plausible(point: &Point3) -> bool {
    point.iter().all(|value| value.abs() <= MAX_COORDINATE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pose::{HandPose, Handedness};
    use std::io::Cursor;

    fn frame(seq: u64, tracks: &[u32]) -> FramePoses {
        let hand = |&track| HandPose {
            track,
            handedness: Handedness::Right,
            presence: 0.75,
            landmarks: [[0.5, 0.25, -0.125]; LANDMARKS],
            world: [[0.0, 0.03125, 0.0]; LANDMARKS],
        };
        FramePoses {
            seq,
            t: Duration::from_millis(seq * 40),
            size: (640, 480),
            hands: tracks.iter().map(hand).collect(),
        }
    }

    fn lines(text: &str) -> PoseLines {
        PoseLines::new("poses.ndjson", Cursor::new(text.to_owned()))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let written = [frame(0, &[]), frame(1, &[7]), frame(4, &[7, 9])];
        let text: String = written
            .iter()
            .map(|poses| serde_json::to_string(poses).unwrap() + "\n\n")
            .collect();
        let read: Vec<FramePoses> = lines(text.trim_end()).map(Result::unwrap).collect();
        assert_eq!(read, written);
    }

    #[test]
    fn a_bad_line_is_named_and_ends_the_reading() {
        let good = serde_json::to_string(&frame(1, &[7])).unwrap();
        let swap = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            good.replacen(from, to, 1)
        };
        let point = "[0.5,0.25,-0.125],";
        for (line, reason) in [
            ("hello".to_owned(), "not JSON"),
            (good[..100].to_owned(), "cut off after 100 characters"),
            (swap("\"world\"", "\"word\""), "missing field `world`"),
            (swap(point, ""), "invalid length 20"),
            (swap(point, "[0.5,0.25],"), "invalid length 2"),
            (swap(point, &point.repeat(2)), "too many values"),
            (swap("0.5", "NaN"), "not JSON"),
            (swap("0.5", "1e30"), "landmarks[0] = [1e30, 0.25, -0.125]"),
            (swap("0.5", "1e60"), "landmarks[0] = [inf, 0.25, -0.125]"),
            (swap("0.75", "1.5"), "presence 1.5"),
            (swap("\"right\"", "\"middle\""), "unknown variant `middle`"),
            (swap("[640,480]", "[640,0]"), "640x0"),
            (swap("0.04", "-0.04"), "negative"),
            (
                swap("0.04", "0.01"),
                "time goes back, from 0.02 s to 0.01 s",
            ),
            (swap("\"seq\":1", "\"seq\":0"), "from 0 to 0"),
            (
                serde_json::to_string(&frame(1, &[7, 7])).unwrap(),
                "the same track 7",
            ),
            (" ".repeat(65_536) + &good, "longer than 64 kB"),
            ("{".repeat(60_000), "not JSON"),
        ] {
            let before = serde_json::to_string(&FramePoses {
                t: Duration::from_millis(20),
                ..frame(0, &[7])
            });
            let text = format!("{}\n{line}\n{good}\n", before.unwrap());
            let mut lines = lines(&text);
            assert!(lines.next().unwrap().is_ok());
            let error = lines.next().unwrap().unwrap_err().to_string();
            assert!(error.starts_with("poses.ndjson, line 2: "), "{error}");
            assert!(error.contains(reason), "{error}");
            assert!(lines.next().is_none());
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = PoseLines::open(Path::new("/nowhere/poses.ndjson")).err();
        assert!(error.unwrap().to_string().starts_with("/nowhere/poses"));
    }
}
