//! Scores: how much a window looks like each gesture.

use std::sync::Arc;

use crate::inference::InferenceError;
use crate::window::Window;

/// What tells how much a window looks like each gesture.
pub trait Score {
    /// The gestures, in the order of the scores.
    fn labels(&self) -> &[Arc<str>];

    /// The probability of each gesture, 0..1.
    ///
    /// # Errors
    /// [`ScoreError`] when there is no telling.
    fn score(&mut self, window: &Window) -> Result<&[f32], ScoreError>;
}

/// Why a window has no scores.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// The network could not be run.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// An output is NaN, infinite, or outside of 0..1.
    #[error(
        "the gesture classifier gives {value} for {gesture:?}, which is no probability; \
         if these are logits, export the model with a softmax at its end"
    )]
    NoProbability {
        /// The label.
        gesture: Arc<str>,
        /// What came out.
        value: f32,
    },
    /// The outputs don't add up to one.
    #[error(
        "the gesture classifier's outputs add up to {sum} and not to 1; \
         export the model with a softmax at its end"
    )]
    Sum {
        /// What they add up to.
        sum: f32,
    },
}
