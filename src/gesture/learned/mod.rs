//! Gestures that palmd learns from a few examples, on the device.
//!
//! 1. A [`Recorder`] makes [`Take`]s of what a person shows, [`Verdicts`] tell which can be used, and
//!    they go to a [file](TakesWriter) of their own for each label.
//! 2. A [`Lesson`] turns them into a [`Gesture`]: the classifier's wide layer is computed for five
//!    windows of each take, and these are the prototypes. The radius around them within which a
//!    window counts as the gesture comes from the takes themselves (each against the others) and
//!    from the [`Background`]: what a drawn hand does, palmd's own gestures and the rest between
//!    them, of which hardly anything may lie within. The lesson says how well that separates, and what
//!    speaks against it.
//! 3. [`Taught`] scores windows by the classifier and the learned gestures together.
//!
//! Windows are compared by the angle between the fourth roots of their features (see
//! [`descriptor`]).

mod background;
pub mod descriptor;
mod gesture_file;
mod lesson;
mod recorder;
mod take;
mod takes_file;
mod taught;
mod verdict;

pub use background::Background;
pub use gesture_file::{Fingerprint, Gesture, GestureFileError, gesture_path, learned_labels};
pub use lesson::{Lesson, LessonError, MIN_TAKES, Objection, Told};
pub use recorder::{Cue, Recorder, TAKE_POSES};
pub use take::Take;
pub use takes_file::{MAX_TAKES, Takes, TakesError, TakesWriter, recorded_labels, takes_path};
pub use taught::Taught;
pub use verdict::{Verdict, Verdicts};

use std::io;
use std::path::Path;

use super::Kind;

/// The longest label, in bytes.
const MAX_LABEL: usize = 64;

/// A label that can't be one: it is also a file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{label:?} can't be a gesture's label: {reason}")]
pub struct NameError {
    label: String,
    reason: &'static str,
}

/// Holds a label to what can be one: letters, digits, `-` and `_`, beginning with a letter or
/// digit, and not `none`.
///
/// # Errors
/// [`NameError`] says what is wrong.
pub fn check_name(label: &str) -> Result<(), NameError> {
    let wrong = |reason| {
        Err(NameError {
            label: label.into(),
            reason,
        })
    };
    if label.eq_ignore_ascii_case("none") {
        return wrong("it stands for no gesture at all; choose another");
    }
    if label.len() > MAX_LABEL {
        return wrong("it is longer than 64 bytes");
    }
    let is_plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    if !label.starts_with(char::is_alphanumeric) || !label.chars().all(is_plain) {
        return wrong("use letters, digits, - and _, beginning with a letter or digit");
    }
    Ok(())
}

/// What stands before `suffix` in the names of the files in `folder`, in alphabetical order. A
/// folder that isn't there has none.
fn names_in(folder: &Path, suffix: &str) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let file = entry?.file_name();
        let name = file.to_str().and_then(|name| name.strip_suffix(suffix));
        names.extend(
            name.filter(|name| check_name(name).is_ok())
                .map(String::from),
        );
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_plain_words() {
        for label in ["star", "my-own_2", "3fingers", "größe"] {
            assert!(check_name(label).is_ok(), "{label}");
        }
        let long = "x".repeat(65);
        for label in [
            "", "none", "None", "a/b", "..", ".hidden", "-x", "a b", "a\0", &long,
        ] {
            assert!(check_name(label).is_err(), "{label}");
        }
    }
}
