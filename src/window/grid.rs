//! The grid: poses of any frame rate become poses at 15 Hz.

use std::time::Duration;

use super::{GRID_HZ, GridPose, HandLeft, Handover};
use crate::pose::{FramePoses, HandPose, Handedness, LANDMARKS, MAX_HANDS, Point3, PoseParams};

/// Parameters of a [`Grid`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridParams {
    /// The longest time between two poses of a hand that is bridged by interpolation. A hand
    /// that is out of sight for longer has left.
    pub max_gap: Duration,
    /// Whether the camera faces the user, so that poses are mirrored to the user's own view.
    pub mirror: bool,
}

impl Default for GridParams {
    fn default() -> Self {
        Self {
            max_gap: PoseParams::default().max_gap,
            mirror: true,
        }
    }
}

/// Puts poses on the grid, each hand by itself: tick `k` is at `k / 15` seconds of the source's
/// time, and its pose is interpolated linearly between the two frames around it.
///
/// Nothing here allocates, blocks or panics.
#[derive(Debug)]
pub struct Grid {
    params: GridParams,
    hands: heapless::Vec<Hand, MAX_HANDS>,
    /// Time of the newest frame.
    t: Option<Duration>,
}

/// A hand as it was last seen.
#[derive(Debug)]
struct Hand {
    track: u32,
    handedness: Handedness,
    /// Frames that said right, less those that said left, within [`VOTES`].
    votes: i8,
    seq: u64,
    t: Duration,
    points: [Point3; LANDMARKS],
}

/// So many frames outvote whatever was said before. Single frames often name the wrong hand.
const VOTES: i8 = 15;

impl Grid {
    /// A grid that has seen nothing yet.
    #[must_use]
    pub fn new(params: GridParams) -> Self {
        Self {
            params,
            hands: heapless::Vec::new(),
            t: None,
        }
    }

    /// Takes the poses of a frame, and gives `out` the hands that have left and then, for each
    /// hand, the poses on the ticks up to this frame. `captured` is the frame's own (see
    /// [`Frame::captured`](crate::camera::Frame::captured)).
    ///
    /// A frame of the same time as the last one is ignored. If time goes back, all hands leave
    /// and everything begins anew. A pose with a NaN or an infinity counts as missing.
    pub fn push(
        &mut self,
        frame: &FramePoses,
        captured: Option<Duration>,
        mut out: impl FnMut(Handover),
    ) {
        match self.t {
            Some(t) if t == frame.t => return,
            Some(t) if t > frame.t => self.finish(&mut out),
            _ => {}
        }
        self.t = Some(frame.t);

        let max_gap = self.params.max_gap;
        self.hands.retain(|hand| {
            let stays = is_in(frame, hand.track) || frame.t - hand.t <= max_gap;
            if !stays {
                out(hand.left(frame.seq, frame.t));
            }
            stays
        });
        for pose in &frame.hands {
            self.push_hand(pose, frame, captured, &mut out);
        }
    }

    /// Ends the stream: gives `out` every hand that is still followed as one that has left.
    pub fn finish(&mut self, mut out: impl FnMut(Handover)) {
        for hand in &self.hands {
            out(hand.left(hand.seq, hand.t));
        }
        self.hands.clear();
        self.t = None;
    }

    fn push_hand(
        &mut self,
        pose: &HandPose,
        frame: &FramePoses,
        captured: Option<Duration>,
        out: &mut impl FnMut(Handover),
    ) {
        let (width, height) = frame.size;
        let aspect = height as f32 / width as f32;
        let points = classifier_points(&pose.landmarks, aspect, self.params.mirror);
        if !is_finite(&points) {
            return;
        }
        let known = self.hands.iter().position(|hand| hand.track == pose.track);
        if known.is_none() {
            self.make_room(frame, out);
            let hand = Hand {
                track: pose.track,
                handedness: pose.handedness,
                votes: 0,
                seq: frame.seq,
                t: frame.t,
                points,
            };
            if self.hands.push(hand).is_err() {
                return;
            }
        }
        let i = known.unwrap_or(self.hands.len() - 1);
        let hand = &mut self.hands[i];
        hand.vote(pose.handedness);

        let (from, to) = (hand.t, frame.t);
        let bridged = known.is_some() && to - from <= self.params.max_gap;
        let first = if bridged {
            tick_at(from).saturating_add(1)
        } else {
            first_tick_from(to)
        };
        for tick in first..=tick_at(to) {
            out(Handover::Pose(GridPose {
                track: hand.track,
                handedness: hand.handedness,
                tick,
                seq: frame.seq,
                t: to,
                captured,
                aspect,
                points: interpolate(&hand.points, &points, share_before(tick, from, to)),
            }));
        }
        hand.seq = frame.seq;
        hand.t = to;
        hand.points = points;
    }

    /// Gives up the hand that is longest out of sight if that is what it takes to follow another.
    fn make_room(&mut self, frame: &FramePoses, out: &mut impl FnMut(Handover)) {
        if !self.hands.is_full() {
            return;
        }
        let hands = self.hands.iter().enumerate();
        let absent = hands.filter(|(_, hand)| !is_in(frame, hand.track));
        if let Some((i, _)) = absent.min_by_key(|(_, hand)| hand.t) {
            out(self.hands.swap_remove(i).left(frame.seq, frame.t));
        }
    }
}

impl Hand {
    fn vote(&mut self, handedness: Handedness) {
        let vote = match handedness {
            Handedness::Left => -1,
            Handedness::Right => 1,
        };
        self.votes = (self.votes + vote).clamp(-VOTES, VOTES);
        match self.votes {
            0 => {}
            1.. => self.handedness = Handedness::Right,
            _ => self.handedness = Handedness::Left,
        }
    }

    fn left(&self, seq: u64, t: Duration) -> Handover {
        Handover::Left(HandLeft {
            track: self.track,
            handedness: self.handedness,
            seq,
            t,
        })
    }
}

/// Whether there is a pose of the track that can be used.
fn is_in(frame: &FramePoses, track: u32) -> bool {
    let mut hands = frame.hands.iter();
    hands.any(|hand| hand.track == track && is_finite(&hand.landmarks))
}

fn is_finite(points: &[Point3; LANDMARKS]) -> bool {
    points.as_flattened().iter().all(|x| x.is_finite())
}

/// Image-normalised landmarks with the frame's width as the unit of every axis.
fn classifier_points(
    landmarks: &[Point3; LANDMARKS],
    aspect: f32,
    mirror: bool,
) -> [Point3; LANDMARKS] {
    landmarks.map(|[x, y, z]| [if mirror { 1.0 - x } else { x }, y * aspect, z])
}

fn interpolate(
    before: &[Point3; LANDMARKS],
    after: &[Point3; LANDMARKS],
    share_before: f32,
) -> [Point3; LANDMARKS] {
    let mut points = *after;
    let numbers = points.as_flattened_mut().iter_mut();
    for (x, before) in numbers.zip(before.as_flattened()) {
        *x += share_before * (before - *x);
    }
    points
}

const NANOS: u128 = 1_000_000_000;

/// `t` in units of which a tick has [`NANOS`], so that nothing is rounded.
fn in_ticks(t: Duration) -> u128 {
    t.as_nanos() * u128::from(GRID_HZ)
}

/// The last tick that is not after `t`.
fn tick_at(t: Duration) -> u64 {
    u64::try_from(in_ticks(t) / NANOS).unwrap_or(u64::MAX)
}

/// The first tick that is not before `t`.
fn first_tick_from(t: Duration) -> u64 {
    u64::try_from(in_ticks(t).div_ceil(NANOS)).unwrap_or(u64::MAX)
}

/// How much of the pose at `from` goes into that of `tick`, between `from` and `to`: 0..1.
fn share_before(tick: u64, from: Duration, to: Duration) -> f32 {
    let rest = in_ticks(to).saturating_sub(u128::from(tick) * NANOS);
    let whole = in_ticks(to - from).max(1);
    (rest as f64 / whole as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A square frame in which each hand's points all are `[x, 0.5, 0.1]`.
    fn frame(t_ms: u64, hands: &[(u32, f32)]) -> FramePoses {
        FramePoses {
            seq: t_ms,
            t: Duration::from_millis(t_ms),
            size: (480, 480),
            hands: hands
                .iter()
                .map(|&(track, x)| HandPose {
                    track,
                    handedness: Handedness::Right,
                    presence: 1.0,
                    landmarks: [[x, 0.5, 0.1]; LANDMARKS],
                    world: [[0.0; 3]; LANDMARKS],
                })
                .collect(),
        }
    }

    fn grid() -> Grid {
        Grid::new(GridParams {
            mirror: false,
            ..GridParams::default()
        })
    }

    /// What comes out, as `track:tick` and `-track`.
    fn ticks(frames: impl IntoIterator<Item = FramePoses>) -> String {
        let mut grid = grid();
        let mut out = Vec::new();
        for frame in frames {
            grid.push(&frame, None, |item| {
                out.push(match item {
                    Handover::Pose(pose) => format!("{}:{}", pose.track, pose.tick),
                    Handover::Left(left) => format!("-{}", left.track),
                });
            });
        }
        out.join(" ")
    }

    #[test]
    fn a_steady_movement_is_on_its_line_at_every_tick_for_any_frame_rate() {
        for fps in [5, 10, 15, 24, 30, 60] {
            let mut grid = grid();
            let mut next = 0;
            for i in 0..=fps {
                let t = Duration::from_secs(1) * i / fps;
                let mut frame = frame(0, &[(1, t.as_secs_f32())]);
                (frame.seq, frame.t) = (u64::from(i), t);
                grid.push(&frame, None, |item| {
                    let Handover::Pose(pose) = item else {
                        panic!("{item:?}")
                    };
                    assert_eq!((pose.tick, pose.t), (next, t));
                    let expected = next as f32 / 15.0;
                    assert!((pose.points[20][0] - expected).abs() < 1e-6, "{pose:?}");
                    next += 1;
                });
            }
            assert_eq!(next, 16, "{fps} fps");
        }
    }

    #[test]
    fn points_are_in_frame_widths_and_mirrored_to_the_users_view() {
        let mut frame = frame(0, &[(1, 0.2)]);
        frame.size = (640, 480);
        let points = |mirror| {
            let mut points = None;
            Grid::new(GridParams {
                mirror,
                ..GridParams::default()
            })
            .push(&frame, None, |item| match item {
                Handover::Pose(pose) => points = Some((pose.points[0], pose.aspect)),
                Handover::Left(_) => {}
            });
            points
        };
        assert_eq!(points(false), Some(([0.2, 0.375, 0.1], 0.75)));
        assert_eq!(points(true), Some(([0.8, 0.375, 0.1], 0.75)));
    }

    #[test]
    fn a_short_dropout_is_bridged_and_a_long_one_is_a_leave() {
        let seen = |t| frame(t, &[(1, 0.5)]);
        let gone = |t| frame(t, &[]);
        assert_eq!(ticks([seen(0), gone(100), seen(200)]), "1:0 1:1 1:2 1:3");
        assert_eq!(
            ticks([seen(0), gone(200), gone(260), gone(300), seen(400)]),
            "1:0 -1 1:6"
        );
    }

    #[test]
    fn a_gap_between_frames_leaves_a_hole_in_the_ticks() {
        let seen = |t| frame(t, &[(1, 0.5)]);
        assert_eq!(
            ticks([seen(0), seen(100), seen(1000), seen(1100)]),
            "1:0 1:1 1:15 1:16"
        );
    }

    #[test]
    fn a_new_track_is_another_hand() {
        let frames = [
            frame(0, &[(1, 0.5)]),
            frame(100, &[(2, 0.5)]),
            frame(200, &[(2, 0.5)]),
            frame(300, &[(2, 0.5)]),
        ];
        assert_eq!(ticks(frames), "1:0 2:2 2:3 -1 2:4");
    }

    #[test]
    fn two_hands_keep_apart_and_a_third_takes_the_place_of_the_absent_one() {
        let frames = [
            frame(0, &[(1, 0.1), (2, 0.9)]),
            frame(100, &[(2, 0.9), (1, 0.1)]),
            frame(200, &[(3, 0.5), (1, 0.1)]),
        ];
        assert_eq!(ticks(frames), "1:0 2:0 2:1 1:1 -2 3:3 1:2 1:3");
    }

    #[test]
    fn time_that_stands_is_ignored_and_time_that_goes_back_begins_anew() {
        let seen = |t| frame(t, &[(1, 0.5)]);
        assert_eq!(
            ticks([seen(200), seen(200), seen(0), seen(100)]),
            "1:3 -1 1:0 1:1"
        );
    }

    #[test]
    fn a_pose_with_a_nan_is_missing() {
        let frames = [
            frame(0, &[(1, 0.5)]),
            frame(100, &[(1, f32::NAN)]),
            frame(200, &[(1, 0.5)]),
        ];
        assert_eq!(ticks(frames), "1:0 1:1 1:2 1:3");
        let lasting =
            [0, 100, 200, 300].map(|t| frame(t, &[(1, if t == 0 { 0.5 } else { f32::NAN })]));
        assert_eq!(ticks(lasting), "1:0 -1");
    }

    #[test]
    fn absurd_times_do_no_harm() {
        let mut end = frame(0, &[(1, 0.5)]);
        end.t = Duration::MAX;
        assert_eq!(
            ticks([frame(0, &[(1, 0.5)]), end]),
            format!("1:0 1:{}", u64::MAX)
        );
    }

    #[test]
    fn the_hand_that_most_frames_name_is_kept() {
        let mut grid = grid();
        let mut last = None;
        let mut push = |i: u64, handedness| {
            let mut frame = frame(i * 40, &[(1, 0.5)]);
            frame.hands[0].handedness = handedness;
            grid.push(&frame, None, |item| match item {
                Handover::Pose(pose) => last = Some(pose.handedness),
                Handover::Left(_) => {}
            });
            last
        };
        // Wrong at first, then right but for every third frame.
        assert_eq!(push(0, Handedness::Left), Some(Handedness::Left));
        for i in 1..8 {
            push(i, Handedness::Right);
        }
        for i in 8..60 {
            let flips = i % 3 == 0;
            let named = if flips {
                Handedness::Left
            } else {
                Handedness::Right
            };
            assert_eq!(push(i, named), Some(Handedness::Right), "frame {i}");
        }
    }
}
