//! A hand that is drawn instead of filmed, for demonstrations, tests and training data.
//!
//! A [`Script`] says what the hand does. It is laid out in time as paths between postures
//! (`timeline`, `movement`, `shapes`); at each frame's time the posture puts the bones in place
//! (`skeleton`), and from there one way leads to the exact truth ([`Synthetic::poses_at`]) and
//! another to a picture (`render`).
//!
//! # The language
//! Statements end with `;` or the line; `#` begins a comment.
//!
//! ```text
//! size 320x240; seed 7; skin 3
//! wait 1s; swipe-left 0.5s; open-palm 1s
//! repeat 2 { wave 1.5s; wait 800ms }
//! hide 1s; hand left; distance 0.6m; at 0.4 0.5; thumb-up
//! ```
//!
//! | statement | meaning |
//! |---|---|
//! | a gesture's label, with a time or without | holds the shape, or makes the movement, for that long; the way there and back takes its own time |
//! | `relaxed` `three` `four` `rock` `call` `gun` `flat` `claw` | other shapes, which are nobody's gesture |
//! | `wait` | the hand rests in view |
//! | `hide` | the hand leaves the view |
//! | `repeat N { ... }` | the statements in braces N times |
//! | `hand left`, `hand-size 0.9`, `skin 1`..`6` | whose hand; another hand comes in after the first has left |
//! | `at X Y`, `distance 0.6m` | where the middle of the palm is held, in picture widths and heights, and how far away |
//! | `light 0.8`, `background 0`..`5`, `noise 0.02` | the room and the camera's noise |
//! | `size 640x480`, `fps 30`, `fov 60deg`, `seed 7` | the camera, and what varies at random; before the first gesture |
//!
//! The hand faces the camera and the picture is not mirrored: the user's left is on the right.
//! The same script always gives the same bytes on the same machine.

mod geometry;
mod movement;
mod scene;
mod script;
mod shapes;
mod skeleton;
mod timeline;
mod truth;

pub use script::{Script, ScriptError};
pub use truth::{Interval, Truth};

use std::time::Duration;

use crate::pose::FramePoses;

/// The synthetic hand as a source of frames.
#[derive(Debug)]
pub struct Synthetic {
    script: Script,
    next: u64,
}

impl Synthetic {
    /// A source that plays a script.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self { script, next: 0 }
    }

    /// Number of frames of the whole script.
    #[must_use]
    pub fn frames(&self) -> u64 {
        let frames = self.script.timeline.seconds() * f64::from(self.script.view.fps);
        (frames.floor() as u64).max(1)
    }

    /// When frame `seq` is taken.
    #[must_use]
    pub fn frame_time(&self, seq: u64) -> Duration {
        Duration::from_secs_f64(seq as f64 / f64::from(self.script.view.fps))
    }

    /// The exact pose at a time, without drawing anything. The hand is listed while more than
    /// half of its points are in the picture.
    #[must_use]
    pub fn poses_at(&self, t: Duration) -> FramePoses {
        let view = &self.script.view;
        let moment = self.script.timeline.at(t.as_secs_f64());
        let pose = moment
            .hand
            .and_then(|(hand, track)| truth::pose(&hand, view, track));
        let seq = (t.as_secs_f64() * f64::from(view.fps)).round() as u64;
        truth::frame(seq, t, view, pose)
    }
}
