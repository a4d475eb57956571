//! From windows to gesture events: the classifier and the rules.

mod event;
pub mod windows_npz;

pub use event::{CameraEvent, CameraPhase, Event, GestureEvent, HandEvent, HandPhase, Phase};

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
