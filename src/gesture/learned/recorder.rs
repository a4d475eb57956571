//! The recorder: from poses to takes, at a person's pace or a recording's.

use std::time::Duration;

use super::Take;
use crate::pose::{Handedness, LANDMARKS, Point3};
use crate::window::{GridPose, Handover};

/// Poses of a take that a person makes on demand: a movement and its end, 2.4 seconds.
pub const TAKE_POSES: usize = 36;

/// Seconds that are counted down.
const COUNT_DOWN: u64 = 3;

/// Time to see how a take was.
const REST: Duration = Duration::from_millis(1500);

/// The shortest stretch of a recording that is a take: a second.
const MIN_STRETCH: usize = 15;

/// The longest one: four seconds. Longer ones are cut into takes.
const MAX_STRETCH: usize = 60;

/// How long a hand comes into view before it makes a gesture, and leaves it afterwards: these
/// ends are cut off where a second is left without them.
const WAY: usize = 8;

/// What the person is told, or has done.
#[derive(Debug, Clone, PartialEq)]
pub enum Cue {
    /// A hand should be shown.
    ShowHand,
    /// So many seconds are left until it begins.
    CountDown(u64),
    /// So many poses of [`TAKE_POSES`] are recorded.
    Recording(usize),
    /// Here is a take.
    Take(Take),
    /// The hand was lost after so many poses, which are too few.
    Lost(usize),
}

/// Makes takes of the poses of one hand.
#[derive(Debug)]
pub struct Recorder {
    state: State,
    /// Whether takes are cut from a recording.
    cuts: bool,
    hand: Handedness,
    poses: Vec<[Point3; LANDMARKS]>,
    /// Whether the poses begin within a stretch, so that the hand's coming isn't among them.
    within: bool,
    /// Track and tick of the newest pose.
    last: Option<(u32, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Waiting,
    CountingDown { until: Duration, said: u64 },
    Recording,
    Resting { until: Duration },
}

impl Recorder {
    /// For a person: counts down when a hand is shown, records it for 2.4 seconds, and
    /// begins again after a rest.
    #[must_use]
    pub fn for_person() -> Self {
        Self::new(State::Waiting, false)
    }

    /// For a recording: each stretch with a hand is a take, without the hand's coming and going; if
    /// it is longer than four seconds, it is cut into takes of 2.4.
    #[must_use]
    pub fn for_recording() -> Self {
        Self::new(State::Recording, true)
    }

    fn new(state: State, cuts: bool) -> Self {
        Self {
            state,
            cuts,
            hand: Handedness::Right,
            poses: Vec::new(),
            within: false,
            last: None,
        }
    }

    /// Takes the next item of the grid, and gives `cue` what there is to tell.
    pub fn push(&mut self, item: &Handover, mut cue: impl FnMut(Cue)) {
        match item {
            Handover::Pose(pose) => {
                let goes_on = self.last == Some((pose.track, pose.tick.wrapping_sub(1)));
                let other = self.last.is_some_and(|(track, _)| track != pose.track);
                // With two hands in view the one that came first is recorded.
                if other {
                    return;
                }
                if self.last.is_some() && !goes_on {
                    self.interrupted(&mut cue);
                }
                self.last = Some((pose.track, pose.tick));
                self.pose(pose, &mut cue);
            }
            Handover::Left(left) if self.last.is_some_and(|(track, _)| track == left.track) => {
                self.interrupted(&mut cue);
                self.last = None;
                if !self.cuts {
                    cue(Cue::ShowHand);
                }
            }
            Handover::Left(_) => {}
        }
    }

    fn pose(&mut self, pose: &GridPose, cue: &mut impl FnMut(Cue)) {
        let t = pose.t;
        match self.state {
            State::Waiting => {
                let until = t + Duration::from_secs(COUNT_DOWN);
                self.state = State::CountingDown {
                    until,
                    said: COUNT_DOWN,
                };
                cue(Cue::CountDown(COUNT_DOWN));
            }
            State::CountingDown { until, said } if t < until => {
                let left = (until - t).as_secs() + 1;
                if left < said {
                    self.state = State::CountingDown { until, said: left };
                    cue(Cue::CountDown(left));
                }
            }
            State::CountingDown { .. } => {
                self.state = State::Recording;
                self.record(pose, cue);
            }
            State::Recording => self.record(pose, cue),
            State::Resting { until } if t < until => {}
            State::Resting { .. } => {
                self.state = State::Waiting;
                self.pose(pose, cue);
            }
        }
    }

    fn record(&mut self, pose: &GridPose, cue: &mut impl FnMut(Cue)) {
        self.hand = pose.handedness;
        self.poses.push(pose.points);
        if self.cuts {
            if self.poses.len() == MAX_STRETCH + TAKE_POSES {
                if !std::mem::replace(&mut self.within, true) {
                    self.poses.drain(..WAY);
                    return;
                }
                let rest = self.poses.split_off(TAKE_POSES);
                let poses = std::mem::replace(&mut self.poses, rest);
                cue(self.take(poses));
            }
            return;
        }
        cue(Cue::Recording(self.poses.len()));
        if self.poses.len() == TAKE_POSES {
            let poses = std::mem::take(&mut self.poses);
            self.state = State::Resting {
                until: pose.t + REST,
            };
            cue(self.take(poses));
        }
    }

    /// The stretch has ended, or poses are missing.
    fn interrupted(&mut self, cue: &mut impl FnMut(Cue)) {
        let mut poses = std::mem::take(&mut self.poses);
        if self.cuts {
            let within = std::mem::take(&mut self.within);
            if poses.len() >= MIN_STRETCH + 2 * WAY {
                poses.truncate(poses.len() - WAY);
                poses.drain(..if within { 0 } else { WAY });
            }
            while poses.len() > MAX_STRETCH {
                let rest = poses.split_off(TAKE_POSES);
                cue(self.take(poses));
                poses = rest;
            }
            if poses.len() >= MIN_STRETCH {
                return cue(self.take(poses));
            }
        } else if !matches!(self.state, State::Resting { .. }) {
            self.state = State::Waiting;
        }
        if !poses.is_empty() {
            cue(Cue::Lost(poses.len()));
        }
    }

    fn take(&self, poses: Vec<[Point3; LANDMARKS]>) -> Cue {
        Cue::Take(Take {
            hand: self.hand,
            poses,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::HandLeft;

    fn pose(tick: u64) -> Handover {
        Handover::Pose(GridPose {
            aspect: 0.75,
            track: 1,
            handedness: Handedness::Left,
            tick,
            seq: tick,
            t: Duration::from_secs(tick) / 15,
            captured: None,
            points: [[tick as f32; 3]; LANDMARKS],
        })
    }

    fn left() -> Handover {
        Handover::Left(HandLeft {
            track: 1,
            handedness: Handedness::Left,
            seq: 0,
            t: Duration::ZERO,
        })
    }

    /// What is told, without the poses that are recorded.
    fn told(recorder: &mut Recorder, items: impl IntoIterator<Item = Handover>) -> Vec<String> {
        let mut told = Vec::new();
        for item in items {
            recorder.push(&item, |cue| match cue {
                Cue::Recording(_) => {}
                Cue::Take(take) => told.push(format!(
                    "take {} to {}",
                    take.poses[0][0][0],
                    take.poses[take.poses.len() - 1][0][0]
                )),
                cue => told.push(format!("{cue:?}")),
            });
        }
        told
    }

    #[test]
    fn a_person_is_counted_down_and_recorded_again_and_again() {
        let mut recorder = Recorder::for_person();
        assert_eq!(
            told(&mut recorder, (0..160).map(pose)),
            [
                "CountDown(3)",
                "CountDown(2)",
                "CountDown(1)",
                "take 45 to 80",
                "CountDown(3)",
                "CountDown(2)",
                "CountDown(1)",
            ]
        );
    }

    #[test]
    fn a_hand_that_is_lost_is_counted_down_anew() {
        let mut recorder = Recorder::for_person();
        told(&mut recorder, (0..50).map(pose));
        assert_eq!(told(&mut recorder, [left()]), ["Lost(5)", "ShowHand"]);
        assert_eq!(told(&mut recorder, [pose(60)]), ["CountDown(3)"]);
        // Poses are missing.
        told(&mut recorder, (61..110).map(pose));
        assert_eq!(
            told(&mut recorder, [pose(112)]),
            ["Lost(5)", "CountDown(3)"]
        );
    }

    #[test]
    fn a_recording_is_cut_where_the_hand_comes_and_goes() {
        let mut recorder = Recorder::for_recording();
        let stretch = |ticks: std::ops::Range<u64>| ticks.map(pose).chain([left()]);
        assert_eq!(told(&mut recorder, stretch(0..40)), ["take 8 to 31"]);
        assert_eq!(told(&mut recorder, stretch(50..60)), ["Lost(10)"]);
        assert_eq!(
            told(&mut recorder, stretch(100..250)),
            [
                "take 108 to 143",
                "take 144 to 179",
                "take 180 to 215",
                "take 216 to 241"
            ]
        );
    }
}
