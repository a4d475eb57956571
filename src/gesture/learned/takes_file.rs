//! Takes on disk: NDJSON that anybody can read.
//!
//! The first line says what the file is: `{"format":"palmd takes","version":1,"label":"star","rate_hz":15}`. Each
//! further line is a [`Take`]: `{"hand":"right","poses":[[[x,y,z] x 21] x n]}`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Take, check_name};
use crate::window::GRID_HZ;

/// What follows the label in the file's name.
const SUFFIX: &str = ".takes.ndjson";

const FORMAT: &str = "palmd takes";
const VERSION: u32 = 1;

/// The longest line that is read, in bytes. The longest take with all digits needs a fifth of it.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// The most takes of a gesture. A take more makes each window a little dearer.
pub const MAX_TAKES: usize = 100;

/// Coordinates are at most this many frame widths away.
const MAX_COORDINATE: f32 = 100.0;

/// Why takes can't be read or written. The text names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakesError {
    /// There are none of that label.
    #[error("{}: there are no takes of {label:?}; record some with `palmd record --label {label}`", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The label.
        label: String,
    },
    /// The file can't be read or written.
    #[error("{}: {error}{remedy}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
        /// What to do, after a semicolon.
        remedy: &'static str,
    },
    /// A line is not what it should be.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no room for more takes.
    #[error("{}: {MAX_TAKES} takes are there already, which is enough; delete the lines of the worst", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The label can't be one.
    #[error(transparent)]
    Name(#[from] super::NameError),
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    label: String,
    rate_hz: u32,
}

/// The takes of one gesture, as they are on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Takes {
    /// The takes, oldest first.
    pub takes: Vec<Take>,
    /// The last line was cut off, because recording was, and is not among the takes.
    pub torn: bool,
    /// Where the whole lines end.
    whole_bytes: u64,
}

/// The file in `folder` that holds the takes of `label`.
#[must_use]
pub fn takes_path(folder: &Path, label: &str) -> PathBuf {
    folder.join(format!("{label}{SUFFIX}"))
}

/// The labels of which there are takes in `folder`, in alphabetical order; none where there is no
/// such folder.
///
/// # Errors
/// [`TakesError::Io`] if the folder can't be read.
pub fn recorded_labels(folder: &Path) -> Result<Vec<String>, TakesError> {
    super::names_in(folder, SUFFIX).map_err(|error| TakesError::Io {
        path: folder.into(),
        error,
        remedy: "",
    })
}

impl Takes {
    /// Reads the takes of `label` from their file in `folder`.
    ///
    /// A last line without its end is what a recording leaves that was cut off: it is passed over.
    ///
    /// # Errors
    /// [`TakesError`] if there is no such file, and for the first line that is no take.
    pub fn read(folder: &Path, label: &str) -> Result<Self, TakesError> {
        check_name(label)?;
        let path = takes_path(folder, label);
        let io = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => TakesError::Missing {
                path: path.clone(),
                label: label.into(),
            },
            _ => TakesError::Io {
                path: path.clone(),
                error,
                remedy: "",
            },
        };
        let mut reader = BufReader::new(File::open(&path).map_err(io)?);
        let mut read = Self {
            takes: Vec::new(),
            torn: false,
            whole_bytes: 0,
        };
        let mut bytes = Vec::new();
        for line in 1.. {
            let wrong = |reason: String| TakesError::Line {
                path: path.clone(),
                line,
                reason,
            };
            bytes.clear();
            let length = (&mut reader)
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut bytes)
                .map_err(io)?;
            if length == 0 {
                break;
            }
            if !bytes.ends_with(b"\n") {
                if length as u64 == MAX_LINE_BYTES {
                    return Err(wrong(format!("longer than {} kB", MAX_LINE_BYTES >> 10)));
                }
                read.torn = true;
                break;
            }
            if line == 1 {
                check_header(&bytes, label).map_err(wrong)?;
            } else if !bytes.trim_ascii().is_empty() {
                if read.takes.len() == MAX_TAKES {
                    return Err(wrong(format!(
                        "more than {MAX_TAKES} takes; delete the lines of the worst"
                    )));
                }
                read.takes.push(parse(&bytes).map_err(wrong)?);
            }
            read.whole_bytes += length as u64;
        }
        Ok(read)
    }
}

/// Appends takes to a gesture's file, each of which is on the disk when the call returns.
#[derive(Debug)]
pub struct TakesWriter {
    path: PathBuf,
    file: File,
    takes: usize,
    /// Where the whole lines end.
    whole_bytes: u64,
}

impl TakesWriter {
    /// Opens the file of `label` in `folder` to go on after the takes that it has, which are
    /// returned; makes both if need be. A torn last line is cut away.
    ///
    /// # Errors
    /// [`TakesError`] if the label can't be one, if the file can't be written, or if what is in
    /// it are no takes.
    pub fn open(folder: &Path, label: &str) -> Result<(Self, Vec<Take>), TakesError> {
        check_name(label)?;
        std::fs::create_dir_all(folder).map_err(|error| TakesError::Io {
            path: folder.into(),
            error,
            remedy: "; name another folder with --output, or run palmd as a user who may write there",
        })?;
        let path = takes_path(folder, label);
        let there = match Takes::read(folder, label) {
            Err(TakesError::Missing { .. }) => Takes {
                takes: Vec::new(),
                torn: false,
                whole_bytes: 0,
            },
            read => read?,
        };
        let failed = |error| TakesError::Io {
            path: path.clone(),
            error,
            remedy: "; name another folder with --output, or run palmd as a user who may write there",
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        let mut writer = Self {
            path,
            file,
            takes: there.takes.len(),
            whole_bytes: there.whole_bytes,
        };
        if there.whole_bytes == 0 {
            writer.append_line(&Header {
                format: FORMAT.into(),
                version: VERSION,
                label: label.into(),
                rate_hz: GRID_HZ,
            })?;
            // The file's name is on the disk when its folder is.
            let folder = File::open(folder).and_then(|folder| folder.sync_all());
            folder.map_err(|error| writer.failed(error))?;
        }
        Ok((writer, there.takes))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a take and waits until it is on the disk.
    ///
    /// # Errors
    /// [`TakesError::Io`], and [`TakesError::Full`] after [`MAX_TAKES`]; what was there before is
    /// still there, and nothing else.
    pub fn append(&mut self, take: &Take) -> Result<(), TakesError> {
        if self.takes >= MAX_TAKES {
            return Err(TakesError::Full {
                path: self.path.clone(),
            });
        }
        self.append_line(take)?;
        self.takes += 1;
        Ok(())
    }

    fn append_line(&mut self, value: &impl Serialize) -> Result<(), TakesError> {
        let mut line = serde_json::to_vec(value).expect("plain numbers and names");
        line.push(b'\n');
        let written = self
            .cut()
            .and_then(|()| self.file.write_all(&line))
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.whole_bytes += line.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A torn line is passed over by whoever reads, should this fail as well.
                let _ = self.cut();
                Err(self.failed(error))
            }
        }
    }

    /// Cuts away what is after the last whole line.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.whole_bytes)?;
        self.file.seek(SeekFrom::Start(self.whole_bytes))?;
        Ok(())
    }

    fn failed(&self, error: io::Error) -> TakesError {
        TakesError::Io {
            path: self.path.clone(),
            error,
            remedy: "; earlier takes are kept: make room (or name another folder with --output) and record again",
        }
    }
}

fn check_header(line: &[u8], label: &str) -> Result<(), String> {
    let header: Header =
        serde_json::from_slice(line).map_err(|e| format!("no file of takes: {e}"))?;
    let Header { format, .. } = &header;
    if format != FORMAT {
        return Err(format!(
            "the format is {format:?}, and should be {FORMAT:?}"
        ));
    }
    if header.version != VERSION {
        return Err(format!(
            "the takes are of version {}, and this palmd reads version {VERSION}; use the palmd that wrote them, \
             or record again under another label",
            header.version
        ));
    }
    if header.label != label {
        return Err(format!(
            "these are takes of {:?}; name the file {:?} or record {label:?} anew",
            header.label,
            format!("{}{SUFFIX}", header.label)
        ));
    }
    if header.rate_hz != GRID_HZ {
        return Err(format!(
            "{} poses a second, and should be {GRID_HZ}",
            header.rate_hz
        ));
    }
    Ok(())
}

fn parse(line: &[u8]) -> Result<Take, String> {
    let take: Take = serde_json::from_slice(line)
        .map_err(|e| format!("no take: {e}; delete the line to go on without it"))?;
    let poses = take.poses.len();
    if !(Take::MIN_POSES..=Take::MAX_POSES).contains(&poses) {
        return Err(format!(
            "a take of {poses} poses, and there should be {} to {}; delete the line",
            Take::MIN_POSES,
            Take::MAX_POSES
        ));
    }
    // Comparisons with NaN are false.
    let is_plausible = |x: &f32| x.abs() <= MAX_COORDINATE;
    let numbers = take.poses.as_flattened().as_flattened();
    if let Some(i) = numbers.iter().position(|x| !is_plausible(x)) {
        return Err(format!(
            "pose {} has {:?}, which is no coordinate of a hand; delete the line",
            i / (numbers.len() / poses),
            numbers[i]
        ));
    }
    Ok(take)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::take::tests::take;
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    #[test]
    fn what_is_written_is_read_back_and_gone_on_with() {
        let folder = folder();
        let takes = [take(36, 8, 0.3), take(20, 0, 0.0)];
        for (i, take) in takes.iter().enumerate() {
            let (mut writer, there) = TakesWriter::open(folder.path(), "star").expect("opens");
            assert_eq!(there, takes[..i]);
            writer.append(take).expect("writes");
        }
        let read = Takes::read(folder.path(), "star").expect("reads");
        assert_eq!((&read.takes[..], read.torn), (&takes[..], false));
        assert_eq!(recorded_labels(folder.path()).expect("reads"), ["star"]);
    }

    #[test]
    fn a_take_that_was_cut_off_costs_no_other() {
        let folder = folder();
        let (mut writer, _) = TakesWriter::open(folder.path(), "star").expect("opens");
        let takes = [take(36, 8, 0.3), take(20, 0, 0.0)];
        writer.append(&takes[0]).expect("writes");
        let whole = fs::read(writer.path()).expect("reads");
        writer.append(&takes[1]).expect("writes");
        let all = fs::read(writer.path()).expect("reads");
        // Wherever it was cut: within the header, the first take or the second.
        let header = whole.iter().position(|&b| b == b'\n').expect("a line");
        for (length, left) in [
            (0, 0),
            (header, 0),
            (whole.len() - 1, 0),
            (whole.len() + 9, 1),
            (all.len() - 1, 1),
        ] {
            fs::write(writer.path(), &all[..length]).expect("writes");
            let read = Takes::read(folder.path(), "star").expect("reads");
            assert_eq!(
                (read.takes.len(), read.torn),
                (left, length > 0),
                "{length}"
            );
            let (mut again, there) = TakesWriter::open(folder.path(), "star").expect("opens");
            assert_eq!(there, takes[..left], "{length}");
            again.append(&takes[1]).expect("writes");
            let read = Takes::read(folder.path(), "star").expect("reads");
            assert_eq!((read.takes.len(), read.torn), (left + 1, false), "{length}");
        }
    }

    #[test]
    fn what_are_no_takes_is_refused_by_line_and_left_as_it_is() {
        let folder = folder();
        let (mut writer, _) = TakesWriter::open(folder.path(), "star").expect("opens");
        writer.append(&take(10, 0, 0.0)).expect("writes");
        let good = fs::read_to_string(writer.path()).expect("reads");
        let swap = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            good.replacen(from, to, 1)
        };
        for (text, told) in [
            ("Dear reader\n".to_owned(), "line 1: no file of takes"),
            (swap("palmd takes", "palmd gesture"), "line 1: the format"),
            (swap("\"version\":1", "\"version\":7"), "version 7"),
            (swap("\"star\"", "\"moon\""), "these are takes of \"moon\""),
            (swap(":15", ":30"), "30 poses a second"),
            (swap("[[[0.3", "[[[NaN"), "line 2: no take"),
            (swap("[[[0.3", "[[[3e30"), "line 2: pose 0 has 3e30"),
            (swap("[[[0.3", "[[[3e60"), "line 2: pose 0 has inf"),
            (swap("[[[0.3,", "[[["), "line 2: no take"),
            (swap("\"right\"", "\"middle\""), "unknown variant `middle`"),
            (
                good.lines().next().unwrap_or_default().to_owned()
                    + "\n{\"hand\":\"left\",\"poses\":[]}\n",
                "line 2: a take of 0 poses",
            ),
            (
                swap("\n", &format!("\n{}\n", " ".repeat(1 << 20))),
                "line 2: longer than 1024 kB",
            ),
        ] {
            fs::write(writer.path(), &text).expect("writes");
            for error in [
                Takes::read(folder.path(), "star").expect_err(told),
                TakesWriter::open(folder.path(), "star").expect_err(told),
            ] {
                let error = error.to_string();
                assert!(
                    error.contains("star.takes.ndjson") && error.contains(told),
                    "{error}"
                );
            }
            assert_eq!(fs::read_to_string(writer.path()).expect("reads"), text);
        }
    }

    #[test]
    fn labels_that_are_no_file_names_are_refused() {
        let folder = folder();
        for label in ["none", "../star", "a/b", ""] {
            let error = TakesWriter::open(folder.path(), label).expect_err(label);
            assert!(matches!(error, TakesError::Name(_)), "{error}");
        }
    }
}
