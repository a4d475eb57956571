//! The verdict on a take, while it can still be made again.

use super::Take;
use super::descriptor;
use super::lesson::{middle, unlikeness};
use crate::gesture::{Classifier, Kind, ScoreError};

/// Takes that must agree before another is held against them.
const MIN_KINDS: usize = 2;
const MIN_EXAMPLES: usize = 3;

/// A take is unlike the others if it is so much farther from them than any of them is from the
/// rest, which are taken to be as far apart as in most gestures at least.
const FARTHER: f32 = 1.5;
const FAR: f32 = 0.25;

/// What a take is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It can be used.
    Good,
    /// The hand is held, and in all others it moves.
    TooStill,
    /// The hand moves, and in all others it is held.
    Moved,
    /// To the classifier it looks quite unlike the others.
    Unlike,
}

/// The takes so far.
#[derive(Debug, Default)]
pub struct Verdicts {
    kinds: Vec<Kind>,
    examples: Vec<Vec<f32>>,
}

impl Verdicts {
    /// Holds a take against the good ones before it; it is one of them from now on if it is good,
    /// or if `keep` is set.
    ///
    /// # Errors
    /// [`ScoreError`] when the classifier fails.
    pub fn judge(
        &mut self,
        take: &Take,
        classifier: &mut Classifier,
        keep: bool,
    ) -> Result<Verdict, ScoreError> {
        let kind = take.kind();
        let example = descriptor::of_take(take, classifier, |_| {})?;
        let features = classifier.features().len();
        let example = descriptor::parts(kind, &example, features);
        let verdict = self.verdict(kind, &example, features);
        if keep || verdict == Verdict::Good {
            self.kinds.push(kind);
            self.examples.push(example);
        }
        Ok(verdict)
    }

    fn verdict(&self, kind: Kind, example: &[f32], features: usize) -> Verdict {
        let others = self.kinds.len();
        if others >= MIN_KINDS && !self.kinds.contains(&kind) {
            return match kind {
                Kind::Movement => Verdict::Moved,
                _ => Verdict::TooStill,
            };
        }
        if others >= MIN_EXAMPLES {
            let usual = unlikeness(&self.examples, features);
            let farthest = usual.into_iter().fold(FAR, f32::max);
            if middle(example, &self.examples.concat(), features) > FARTHER * farthest {
                return Verdict::Unlike;
            }
        }
        Verdict::Good
    }
}
