//! What can be wrong with a model, and with a run of it.

use std::path::{Path, PathBuf};

use tract_onnx::prelude::TractError;

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
    /// tract's error about the file at `path`, with its causes on one line.
    pub(super) fn graph(path: &Path, expect: &Expectation<'_>, error: &TractError) -> Self {
        let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        Self::Graph {
            path: path.into(),
            purpose: expect.purpose,
            reason: causes.join(": ").replace('\n', " "),
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
