//! The background: what a gesture must be told apart from.

use std::time::Duration;

use super::descriptor;
use crate::camera::synthetic::{Script, Synthetic, Truth};
use crate::gesture::{Classifier, Kind, ScoreError};
use crate::pose::FramePoses;
use crate::window::{Grid, GridParams, Handover, WINDOW_LEN, Window};

/// Descriptors of what the drawn hand does in a tour through palmd's gestures, as either hand:
/// each gesture, the ways between them, and rest. Nobody's data, and the same for every model.
#[derive(Debug, Clone)]
pub struct Background {
    len: usize,
    descriptors: Vec<f32>,
    /// What the hand was doing, for each.
    doing: Vec<&'static str>,
}

/// A movement's windows go on after its end.
const AFTER: f64 = 0.5;

impl Background {
    /// Has the classifier look at the drawn hand: some thousand windows, a second or so of work on
    /// a small board.
    ///
    /// # Errors
    /// [`ScoreError`] when the classifier fails.
    pub fn of(classifier: &mut Classifier) -> Result<Self, ScoreError> {
        let mut background = Self {
            len: descriptor::len(classifier),
            descriptors: Vec::new(),
            doing: Vec::new(),
        };
        let tour = Script::demo();
        for left in [false, true] {
            background.add(&tour, left, classifier)?;
        }
        Ok(background)
    }

    fn add(
        &mut self,
        script: &Script,
        left: bool,
        classifier: &mut Classifier,
    ) -> Result<(), ScoreError> {
        let truth = script.truth();
        let hand = Synthetic::new(script.clone());
        let mut grid = Grid::new(GridParams::default());
        let mut window: Option<Window> = None;
        let mut points = [0.0; WINDOW_LEN];
        let mut failed = Ok(());
        for seq in 0..hand.frames() {
            let mut frame = hand.poses_at(hand.frame_time(seq));
            if left {
                mirror(&mut frame);
            }
            grid.push(&frame, None, |item| {
                let Handover::Pose(pose) = item else { return };
                match &mut window {
                    Some(window) => {
                        window.push(&pose);
                    }
                    None => window = Some(Window::new(Window::MIN_POSES, &pose)),
                }
                let Some(window) = window.as_ref().filter(|window| window.is_usable()) else {
                    return;
                };
                window.copy_into(&mut points);
                match self.push(&points, classifier) {
                    Ok(()) => self.doing.push(doing(&truth, pose.t)),
                    Err(error) => failed = Err(error),
                }
            });
        }
        failed
    }

    fn push(
        &mut self,
        points: &[f32; WINDOW_LEN],
        classifier: &mut Classifier,
    ) -> Result<(), ScoreError> {
        let start = self.descriptors.len();
        self.descriptors.resize(start + self.len, 0.0);
        descriptor::of_window(points, classifier, &mut self.descriptors[start..])
    }

    /// How far each window of it is from the nearest of a gesture's `prototypes`, and what the hand was
    /// doing, nearest first.
    #[must_use]
    pub fn distances(&self, kind: Kind, prototypes: &[f32]) -> Vec<(f32, &'static str)> {
        let descriptors = self.descriptors.chunks_exact(self.len.max(1));
        let doing = self.doing.iter().copied();
        let mut distances: Vec<(f32, &'static str)> = descriptors
            .map(|d| descriptor::nearest(descriptor::part(kind, d), prototypes))
            .zip(doing)
            .collect();
        distances.sort_by(|a, b| a.0.total_cmp(&b.0));
        distances
    }
}

/// The gesture of a window that ends at `t`.
fn doing(truth: &Truth, t: Duration) -> &'static str {
    let t = t.as_secs_f64();
    let mut intervals = truth.intervals.iter();
    let at = intervals.find(|interval| (interval.start..interval.end + AFTER).contains(&t));
    at.map_or("a hand between gestures", |interval| interval.gesture)
}

/// The other hand, doing the same.
fn mirror(frame: &mut FramePoses) {
    for hand in &mut frame.hands {
        hand.handedness = hand.handedness.other();
        for point in &mut hand.landmarks {
            point[0] = 1.0 - point[0];
        }
    }
}
