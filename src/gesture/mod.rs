//! From windows to gesture events: the classifier and the rules.
//!
//! A [`Recognizer`] keeps a window for each hand, has a [`Classifier`] score it, and lets the
//! [`Rules`] make events of the scores. It runs on a thread of its own behind the ring
//! ([`worker::run`]), or in line where no camera waits ([`Recognizer::push`]).

mod classifier;
mod event;
pub mod learned;
mod recognizer;
mod rules;
mod score;
pub mod windows_npz;
pub mod worker;

pub use classifier::{Classifier, ClassifierError};
pub use event::{CameraEvent, CameraPhase, Event, GestureEvent, HandEvent, HandPhase, Phase};
pub use recognizer::{Recognizer, RecognizerCounters, RecognizerParams};
pub use rules::{
    Kind, OnMovement, Rule, RuleKeys, Rules, RulesError, RulesParams, WhichHand, Zone,
};
pub use score::{Score, ScoreError};

use std::ops::Range;

/// The labels that the shipped classifier knows, in the order of its outputs.
///
/// The first eight are held shapes, the next ten movements, all from the user's own view.
pub const LABELS: [&str; 19] = [
    "open-palm",
    "fist",
    "point-up",
    "thumb-up",
    "thumb-down",
    "victory",
    "ok",
    "i-love-you",
    "swipe-left",
    "swipe-right",
    "swipe-up",
    "swipe-down",
    "wave",
    "push",
    "circle-cw",
    "circle-ccw",
    "pinch",
    "spread",
    "none",
];

/// Where the movements stand among [`LABELS`].
pub const MOVEMENTS: Range<usize> = 8..18;
