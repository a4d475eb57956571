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
//! | `light 0.8`, `lamp -40deg`, `background 0`..`5`, `noise 0.02` | the room, how far to the right its lamp is, and the camera's noise |
//! | `size 640x480`, `fps 30`, `fov 60deg`, `seed 7` | the camera, and what varies at random; before the first gesture |
//! | `pitch 10deg`, `roll 5deg` | a camera that is lower than the hand and looks up at it, and whose picture is turned clockwise; before the first gesture |
//!
//! The hand faces the camera and the picture is not mirrored: the user's left is on the right.
//! The same script always gives the same bytes on the same machine.

mod flesh;
mod geometry;
mod movement;
mod render;
mod room;
mod scene;
mod script;
mod shapes;
mod skeleton;
mod timeline;
mod truth;

pub use script::{Script, ScriptError};
pub use truth::{Interval, Truth};

use std::time::Duration;

use crate::camera::{
    Frame, Image, Next, PixelFormat, Range, Source, SourceError, SourceInfo, SourceStats,
};
use crate::pose::FramePoses;
use render::Renderer;

/// The synthetic hand as a source of frames, in the format [`PixelFormat::Rgb3`].
///
/// It delivers every frame in order, as fast as it is asked.
#[derive(Debug)]
pub struct Synthetic {
    script: Script,
    renderer: Renderer,
    next: u64,
}

impl Synthetic {
    /// A source that plays a script.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self {
            renderer: Renderer::new(script.view, script.seed),
            script,
            next: 0,
        }
    }

    /// With pictures of another size than the script's, in pixels.
    #[must_use]
    pub fn with_size(mut self, width: u32, height: u32) -> Self {
        self.script.view.size = (width.clamp(16, 4096), height.clamp(16, 4096));
        Self::new(self.script)
    }

    /// With another rate than the script's, in frames a second.
    #[must_use]
    pub fn with_fps(mut self, fps: f32) -> Self {
        self.script.view.fps = fps.clamp(0.01, 240.0);
        Self::new(self.script)
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

    /// Draws frame `seq`: rows of R G B without padding.
    pub fn draw(&mut self, seq: u64) -> &[u8] {
        let t = self.frame_time(seq);
        let moment = self.script.timeline.at(t.as_secs_f64());
        self.renderer.draw(&moment, seq)
    }
}

impl Source for Synthetic {
    fn next_frame(&mut self, _timeout: Duration) -> Result<Next<'_>, SourceError> {
        if self.next >= self.frames() {
            return Ok(Next::End);
        }
        let seq = self.next;
        self.next += 1;
        let t = self.frame_time(seq);
        let (width, height) = self.script.view.size;
        let pixels = self.draw(seq);
        let image = Image {
            format: PixelFormat::Rgb3,
            range: Range::Full,
            width: width as usize,
            height: height as usize,
            planes: [pixels, &[], &[]],
            strides: [width as usize * 3, 0, 0],
        };
        Ok(Next::Frame(Frame::borrowed(image, seq, t)))
    }

    fn info(&self) -> SourceInfo {
        SourceInfo {
            name: "synthetic hand".into(),
            size: self.script.view.size,
            fps: self.script.view.fps,
            format: "RGB3".into(),
            live: false,
            stills: false,
            frames: Some(self.frames()),
        }
    }

    fn stats(&self) -> SourceStats {
        SourceStats {
            delivered: self.next,
            ..SourceStats::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hand(script: &str) -> Synthetic {
        Synthetic::new(Script::parse(script).expect(script))
    }

    /// From the wrist to the tip of the middle finger, in frame widths.
    fn fingers(script: &str) -> [f32; 3] {
        let poses = hand(script).poses_at(Duration::from_millis(500));
        let points = poses.hands[0].landmarks;
        std::array::from_fn(|axis| points[12][axis] - points[0][axis])
    }

    #[test]
    fn a_rolled_camera_turns_either_hand_clockwise() {
        for side in ["left", "right"] {
            let [x, y, _] = fingers(&format!(
                "size 240x240; hand {side}; roll 90deg; open-palm 1s"
            ));
            assert!(x > 0.2 && y.abs() < 0.1, "{side}: {x} {y}");
        }
    }

    #[test]
    fn fingers_lean_away_from_a_camera_that_looks_up() {
        let depths = ["-20", "0", "20"].map(|p| fingers(&format!("pitch {p}deg; open-palm 1s"))[2]);
        assert!(depths.is_sorted(), "{depths:?}");
    }

    #[test]
    fn the_hand_is_brighter_where_its_lamp_is() {
        let [left, right] = ["-70", "70"].map(|degrees| {
            let mut hand = hand(&format!(
                "size 160x120; background 2; light 0.6; noise 0; lamp {degrees}deg; fist 1s"
            ));
            let pixels = hand.draw(10).chunks_exact(3).enumerate();
            let (sum, moment) = pixels.fold((0.0, 0.0), |(sum, moment), (i, pixel)| {
                let light = f64::from(pixel[1]).powi(2);
                (sum + light, moment + light * (i % 160) as f64)
            });
            moment / sum
        });
        assert!(left + 1.0 < right, "{left} {right}");
    }
}
