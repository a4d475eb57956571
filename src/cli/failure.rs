//! Errors as one line and an exit code, by sysexits.

use std::io;

use palmd::camera::SourceError;
use palmd::config::ConfigError;
use palmd::daemon::DaemonError;
use palmd::gesture::learned::{GestureFileError, LessonError, NameError, TakesError};
use palmd::gesture::windows_npz::WindowsError;
use palmd::gesture::{ClassifierError, ScoreError};
use palmd::inference::{InferenceError, ModelError};
use palmd::pose::lines::PoseLinesError;

/// The command line can't be understood.
pub const USAGE: u8 = 64;
/// The content of an input is wrong.
pub const DATA: u8 = 65;
/// An input doesn't exist.
pub const NO_INPUT: u8 = 66;
/// A camera or service isn't there.
pub const UNAVAILABLE: u8 = 69;
/// A fault of palmd's own.
pub const SOFTWARE: u8 = 70;
/// Reading or writing failed.
pub const IO: u8 = 74;
/// Permission denied.
pub const PERMISSION: u8 = 77;
/// The configuration, or a model that it names, can't work.
pub const CONFIG: u8 = 78;

/// Why a command ends without success.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// One line that says what is wrong and what to do; `None` where all has been said.
    pub message: Option<String>,
}

impl Failure {
    /// A failure with its message.
    pub fn new(code: u8, message: impl ToString) -> Self {
        Self {
            code,
            message: Some(message.to_string()),
        }
    }

    /// A failure of which everything has been said already.
    pub fn said(code: u8) -> Self {
        Self {
            code,
            message: None,
        }
    }

    /// Writing to `name` failed. A reader that has gone away is no reason for a message.
    pub fn write(name: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::said(0);
        }
        Self::new(IO, format_args!("{name}: {error}"))
    }
}

/// The exit code of an input that can't be opened or read.
fn io_code(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::NotFound => NO_INPUT,
        io::ErrorKind::PermissionDenied => PERMISSION,
        _ => IO,
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(CONFIG, error)
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self::new(CONFIG, error)
    }
}

impl From<ClassifierError> for Failure {
    fn from(error: ClassifierError) -> Self {
        Self::new(CONFIG, error)
    }
}

impl From<InferenceError> for Failure {
    fn from(error: InferenceError) -> Self {
        Self::new(SOFTWARE, error)
    }
}

impl From<ScoreError> for Failure {
    fn from(error: ScoreError) -> Self {
        Self::new(CONFIG, error)
    }
}

impl From<PoseLinesError> for Failure {
    fn from(error: PoseLinesError) -> Self {
        let code = match &error {
            PoseLinesError::Io { error, .. } => io_code(error),
            _ => DATA,
        };
        Self::new(code, error)
    }
}

impl From<WindowsError> for Failure {
    fn from(error: WindowsError) -> Self {
        Self::new(DATA, error)
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::new(USAGE, error)
    }
}

impl From<TakesError> for Failure {
    fn from(error: TakesError) -> Self {
        let code = match &error {
            TakesError::Missing { .. } => NO_INPUT,
            TakesError::Io { error, .. } => io_code(error),
            TakesError::Name(_) => USAGE,
            _ => DATA,
        };
        Self::new(code, error)
    }
}

impl From<GestureFileError> for Failure {
    fn from(error: GestureFileError) -> Self {
        let code = match &error {
            GestureFileError::Io { error, .. } => io_code(error),
            GestureFileError::Name(_) => USAGE,
            _ => CONFIG,
        };
        Self::new(code, error)
    }
}

impl From<LessonError> for Failure {
    fn from(error: LessonError) -> Self {
        let code = match &error {
            LessonError::Name(_) | LessonError::Known(_) => USAGE,
            LessonError::Score(_) => CONFIG,
            _ => DATA,
        };
        Self::new(code, error)
    }
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        match error {
            DaemonError::Source(error) => error.into(),
            DaemonError::Rules(error) => Self::new(CONFIG, error),
            error => Self::new(SOFTWARE, error),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let code = match &error {
            SourceError::Spec { .. } => USAGE,
            SourceError::Unavailable { .. } => UNAVAILABLE,
            SourceError::Permission { .. } => PERMISSION,
            SourceError::Data { .. } => DATA,
            SourceError::Io { error, .. } => io_code(error),
            _ => SOFTWARE,
        };
        Self::new(code, error)
    }
}
