//! What can be wrong with a model, and with a run of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tract_onnx::prelude::TractError;

use super::limits::LimitError;
use super::model_file::Expectation;

/// Why a model can't be used. The text names the file, what was found and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// There is no such file.
    #[error("{}: the {purpose} model is missing; {remedy}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What the model is for.
        purpose: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The file is there and can't be read.
    #[error("{}: the {purpose} model can't be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the model is for.
        purpose: &'static str,
        /// The system's answer.
        error: std::io::Error,
    },
    /// The content is not a whole ONNX model.
    #[error("{}: not an ONNX model, or cut short ({bytes} bytes: {found}); {remedy}", path.display())]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: usize,
        /// What the reader stumbled over.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The model's input is not the expected one.
    #[error("{}: the {purpose} model's input should be {expected}, but is {found}; {remedy}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What the model is for.
        purpose: &'static str,
        /// Type and shape that are needed.
        expected: String,
        /// Type and shape in the file.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The model's outputs are not the expected ones.
    #[error("{}: the {purpose} model's outputs should be {expected}, but there is {found}; {remedy}", path.display())]
    Outputs {
        /// The file.
        path: PathBuf,
        /// What the model is for.
        purpose: &'static str,
        /// Names, types and shapes that are needed.
        expected: String,
        /// Names, types and shapes in the file.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The model holds operators that neither tract nor palmd has.
    #[error("{}: the {purpose} model uses operators that can't be run here: {operators}; export it with others (ONNX operator sets 9 to 18)", path.display())]
    Operators {
        /// The file.
        path: PathBuf,
        /// What the model is for.
        purpose: &'static str,
        /// Their names, separated by commas.
        operators: String,
    },
    /// The model asks for what none may have.
    #[error("{}: the {purpose} model can't be used: {limit}; {remedy}", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// What the model is for.
        purpose: &'static str,
        /// What is too much.
        limit: LimitError,
        /// What to do.
        remedy: &'static str,
    },
    /// The model takes too long to prepare and to try.
    #[error("{}: the {purpose} model isn't ready after {limit:?}; {remedy}", path.display())]
    Slow {
        /// The file.
        path: PathBuf,
        /// What the model is for.
        purpose: &'static str,
        /// How long it was waited for.
        limit: Duration,
        /// What to do.
        remedy: &'static str,
    },
    /// The model's parts don't fit together.
    #[error("{}: the {purpose} model can't be prepared: {reason}; {remedy}", path.display())]
    Graph {
        /// The file.
        path: PathBuf,
        /// What the model is for.
        purpose: &'static str,
        /// tract's words.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
}

impl ModelError {
    /// tract's error about the file at `path`, with its causes on one line; or the limit that was
    /// its cause.
    pub(super) fn graph(path: &Path, expect: &Expectation<'_>, error: &TractError) -> Self {
        if let Some(limit) = error.root_cause().downcast_ref() {
            return Self::limit(path, expect, LimitError::clone(limit));
        }
        let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        Self::reason(path, expect, &causes.join(": "))
    }

    /// Other words about the file at `path`.
    pub(super) fn reason(path: &Path, expect: &Expectation<'_>, reason: &str) -> Self {
        /// As much as fits on a line: what tract says may hold a whole tensor.
        const LONGEST: usize = 2000;
        Self::Graph {
            path: path.into(),
            purpose: expect.purpose,
            reason: reason.replace('\n', " ").chars().take(LONGEST).collect(),
            remedy: expect.remedy,
        }
    }

    /// A limit that the file at `path` exceeds.
    pub(super) fn limit(path: &Path, expect: &Expectation<'_>, limit: LimitError) -> Self {
        Self::Limit {
            path: path.into(),
            purpose: expect.purpose,
            limit,
            remedy: expect.remedy,
        }
    }
}

/// A run of a model failed.
#[derive(Debug, thiserror::Error)]
#[error("{}: the {purpose} model failed: {reason}", path.display())]
pub struct InferenceError {
    /// The model's file.
    pub path: PathBuf,
    /// What the model is for.
    pub purpose: &'static str,
    /// tract's words.
    pub reason: String,
}
