//! A learned gesture, and its file.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{NameError, check_name, descriptor, names_in};
use crate::gesture::Kind;

/// What follows the label in the file's name.
const SUFFIX: &str = ".gesture.json";

const FORMAT: &str = "palmd gesture";
const VERSION: u32 = 3;

/// A longer file is no gesture's; the largest that is learned has less than half of it.
const MAX_BYTES: u64 = 16 << 20;

/// A gesture that was learned from takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Gesture {
    /// Its label.
    pub label: Arc<str>,
    /// Held or moved.
    pub kind: Kind,
    /// Takes that it was learned from.
    pub takes: usize,
    /// A window that is nearer to a prototype than this counts as the gesture.
    pub radius: f32,
    /// Length of a prototype.
    pub features: usize,
    /// The [part](descriptor::part) that counts of the descriptors of the takes' windows, one after the other.
    pub prototypes: Vec<f32>,
}

/// Which classifier a gesture was learned with: another one has other features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// That of the model at `path`: the 64-bit FNV-1a hash of the file.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        Ok(Self(
            bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &b| {
                (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
            }),
        ))
    }

    fn text(self) -> String {
        format!("{:016x}", self.0)
    }
}

/// Why a learned gesture can't be used. The text names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GestureFileError {
    /// The file can't be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// The content is none that can be used.
    #[error("{}: {reason}; learn it again with `palmd learn {label}` (the takes are kept)", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What the file's name says.
        label: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The label can't be one.
    #[error(transparent)]
    Name(#[from] NameError),
}

#[derive(Serialize, Deserialize)]
struct Content {
    format: String,
    version: u32,
    label: String,
    kind: Kind,
    model: String,
    takes: usize,
    radius: f32,
    prototypes: Vec<Vec<f32>>,
}

/// What every version has.
#[derive(Deserialize)]
struct Preface {
    format: String,
    version: u32,
}

/// The file in `folder` that holds the gesture `label`.
#[must_use]
pub fn gesture_path(folder: &Path, label: &str) -> PathBuf {
    folder.join(format!("{label}{SUFFIX}"))
}

/// The labels of the gestures in `folder`, in alphabetical order; none where there is no such
/// folder.
///
/// # Errors
/// [`GestureFileError::Io`] if the folder can't be read.
pub fn learned_labels(folder: &Path) -> Result<Vec<String>, GestureFileError> {
    names_in(folder, SUFFIX).map_err(|error| GestureFileError::Io {
        path: folder.into(),
        error,
    })
}

impl Gesture {
    /// Reads the gesture `label` from `folder`, for a classifier with this fingerprint and so many
    /// features.
    ///
    /// # Errors
    /// [`GestureFileError`] if there is no such file, if it is not whole or of another version,
    /// and if the gesture was learned with another classifier.
    pub fn read(
        folder: &Path,
        label: &str,
        model: Fingerprint,
        features: usize,
    ) -> Result<Self, GestureFileError> {
        check_name(label)?;
        let path = gesture_path(folder, label);
        let io = |error| GestureFileError::Io {
            path: path.clone(),
            error,
        };
        let wrong = |reason: String| GestureFileError::Content {
            path: path.clone(),
            label: label.into(),
            reason,
        };
        let mut bytes = Vec::new();
        let mut file = File::open(&path).map_err(io)?.take(MAX_BYTES + 1);
        file.read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(wrong(format!("longer than {} MB", MAX_BYTES >> 20)));
        }
        Self::parse(&bytes, label, model, features).map_err(wrong)
    }

    fn parse(
        bytes: &[u8],
        label: &str,
        model: Fingerprint,
        features: usize,
    ) -> Result<Self, String> {
        let broken = |e| format!("no learned gesture, or cut off: {e}");
        let Preface { format, version } = serde_json::from_slice(bytes).map_err(broken)?;
        if format != FORMAT {
            return Err(format!(
                "the format is {format:?}, and should be {FORMAT:?}"
            ));
        }
        if version != VERSION {
            return Err(format!(
                "the file is of version {version}, and this palmd reads version {VERSION}"
            ));
        }
        let content: Content = serde_json::from_slice(bytes).map_err(broken)?;
        if content.label != label {
            return Err(format!("it holds the gesture {:?}", content.label));
        }
        if content.model != model.text() {
            return Err("it was learned with another classifier".into());
        }
        let Content {
            radius, prototypes, ..
        } = content;
        // Comparisons with NaN are false.
        let fits = |p: &Vec<f32>| p.len() == features && p.iter().all(|x| x.abs() <= 1.001);
        let is_right = !prototypes.is_empty() && prototypes.iter().all(fits);
        if !(is_right && radius > 0.0 && radius <= 2.0 && content.kind != Kind::None) {
            return Err(format!(
                "its numbers can't be right (radius {radius}, {} prototypes)",
                prototypes.len()
            ));
        }
        Ok(Self {
            label: label.into(),
            kind: content.kind,
            takes: content.takes,
            radius,
            features,
            prototypes: prototypes.concat(),
        })
    }

    /// Writes the gesture into its file in `folder`, whole or not at all.
    ///
    /// # Errors
    /// [`GestureFileError::Io`]; what was there before is still there.
    pub fn write(&self, folder: &Path, model: Fingerprint) -> Result<PathBuf, GestureFileError> {
        let path = gesture_path(folder, &self.label);
        let partial = path.with_extension("partial");
        let content = Content {
            format: FORMAT.into(),
            version: VERSION,
            label: self.label.to_string(),
            kind: self.kind,
            model: model.text(),
            takes: self.takes,
            radius: self.radius,
            prototypes: self.each_prototype().map(Vec::from).collect(),
        };
        let text = serde_json::to_vec(&content).expect("plain numbers and names");
        let written = File::create(&partial)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&partial, &path))
            .and_then(|()| File::open(folder)?.sync_all());
        written.map_err(|error| {
            let _ = fs::remove_file(&partial);
            GestureFileError::Io {
                path: path.clone(),
                error,
            }
        })?;
        Ok(path)
    }

    /// How far a window is from the nearest prototype, in radii. Allocates nothing.
    #[must_use]
    pub fn distance(&self, descriptor: &[f32]) -> f32 {
        let part = descriptor::part(self.kind, descriptor);
        descriptor::nearest(part, &self.prototypes) / self.radius
    }

    /// The prototypes one by one.
    pub fn each_prototype(&self) -> impl Iterator<Item = &[f32]> {
        self.prototypes.chunks_exact(self.features.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gesture() -> Gesture {
        Gesture {
            label: "star".into(),
            kind: Kind::Movement,
            takes: 3,
            radius: 0.25,
            features: 2,
            prototypes: vec![1.0, 0.0, 0.6, 0.8],
        }
    }

    const MODEL: Fingerprint = Fingerprint(7);

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        gesture().write(folder.path(), MODEL).expect("writes");
        let read = Gesture::read(folder.path(), "star", MODEL, 2).expect("reads");
        assert_eq!(read, gesture());
        assert_eq!(learned_labels(folder.path()).expect("reads"), ["star"]);
        assert_eq!(fs::read_dir(folder.path()).expect("reads").count(), 1);
    }

    #[test]
    fn what_is_no_gesture_of_this_classifier_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = gesture().write(folder.path(), MODEL).expect("writes");
        let good = fs::read_to_string(&path).expect("reads");
        let refused = |text: &str, model, features, told: &str| {
            fs::write(&path, text).expect("writes");
            let error = Gesture::read(folder.path(), "star", model, features).expect_err(told);
            let error = error.to_string();
            for told in ["star.gesture.json", told, "palmd learn star"] {
                assert!(error.contains(told), "{error}");
            }
        };
        let another = "learned with another classifier";
        refused(&good, Fingerprint(8), 2, another);
        refused(&good, MODEL, 3, "numbers can't be right");
        refused(&good[..good.len() / 2], MODEL, 2, "cut off");
        refused("", MODEL, 2, "cut off");
        for (from, to, told) in [
            ("\"version\":3", "\"version\":2", "version 2"),
            ("\"version\":3", "\"version\":4", "version 4"),
            ("palmd gesture", "palmd takes", "palmd takes"),
            ("\"star\"", "\"moon\"", "the gesture \"moon\""),
            ("0.25", "-1", "radius -1"),
            ("0.25", "null", "cut off"),
            ("0.6", "60", "numbers can't be right"),
            ("movement", "none", "numbers can't be right"),
        ] {
            assert!(good.contains(from), "{from}");
            refused(&good.replacen(from, to, 1), MODEL, 2, told);
        }
    }

    #[test]
    fn a_file_without_an_end_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = gesture_path(folder.path(), "star");
        std::os::unix::fs::symlink("/dev/zero", path).expect("a link");
        let error = Gesture::read(folder.path(), "star", MODEL, 2).expect_err("no gesture");
        assert!(error.to_string().contains("longer than 16 MB"), "{error}");
    }

    #[test]
    fn distances_are_in_radii() {
        let (whole, newest) = ([1.0, 0.5], [0.6, 0.8]);
        let descriptor = [whole, newest].concat();
        assert!((gesture().distance(&descriptor) - 2.0).abs() < 1e-5);
        let held = Gesture {
            kind: Kind::Shape,
            ..gesture()
        };
        assert_eq!(held.distance(&descriptor), 0.0);
    }
}
