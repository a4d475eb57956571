//! A take: one recorded example of a gesture.

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::pose::{Handedness, LANDMARKS, Point3};
use crate::window::{GRID_HZ, WINDOW, WINDOW_LEN};

/// One recorded example of a gesture: contiguous poses of one hand on the classifier's grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Take {
    /// Left or right.
    pub hand: Handedness,
    /// As the classifier takes them (see [`GridPose::points`](crate::window::GridPose::points)),
    /// oldest first.
    pub poses: Vec<[Point3; LANDMARKS]>,
}

/// Windows of a take that stand for it.
pub const WINDOWS: usize = 5;

/// Poses from one of them to the next: together they end within a second.
const SPACING: usize = 3;

/// The points whose speed tells whether a hand moves: the wrist and the finger tips.
const ENDS: [usize; 6] = [0, 4, 8, 12, 16, 20];

/// Poses over which a speed is taken, so that jitter is none.
const STEP: usize = 3;

/// Palm lengths a second from which on a hand moves.
const MOVES: f32 = 1.5;

/// So many speeds above that make a movement.
const MOVING_POSES: usize = 4;

impl Take {
    /// The fewest poses of a take: those of the youngest window that is classified by default.
    pub const MIN_POSES: usize = crate::window::Window::MIN_POSES;

    /// The most poses of a take: ten seconds.
    pub const MAX_POSES: usize = 150;

    /// Whether the hand moves or is held.
    #[must_use]
    pub fn kind(&self) -> Kind {
        let moving = self.speeds().filter(|&speed| speed > MOVES).count();
        if moving >= MOVING_POSES {
            Kind::Movement
        } else {
            Kind::Shape
        }
    }

    /// The windows that stand for the take: those that end around the end of its motion, or in its
    /// last second where it is held.
    pub fn windows(&self) -> impl Iterator<Item = [f32; WINDOW_LEN]> {
        let last = self.poses.len() - 1;
        let still = match self.kind() {
            Kind::Movement => (self.motion_end() + SPACING).min(last),
            _ => last,
        };
        (0..WINDOWS).map(move |i| self.window_to(still.saturating_sub(i * SPACING)))
    }

    /// The window that ends with pose `last`, filled like a [`Window`](crate::window::Window).
    fn window_to(&self, last: usize) -> [f32; WINDOW_LEN] {
        let mut window = [0.0; WINDOW_LEN];
        for (i, pose) in window.chunks_exact_mut(LANDMARKS * 3).enumerate() {
            let at = (last + 1 + i).saturating_sub(WINDOW);
            pose.copy_from_slice(self.poses[at].as_flattened());
        }
        window
    }

    /// The pose with which the last motion ends.
    fn motion_end(&self) -> usize {
        let peak = self.speeds().fold(0.0, f32::max);
        let moving = |speed: f32| speed > peak / 4.0;
        let last = self.speeds().enumerate().filter(|&(_, s)| moving(s)).last();
        last.map_or(0, |(i, _)| i + STEP / 2)
    }

    /// How fast the fastest end moves from each pose on, in palm lengths a second.
    fn speeds(&self) -> impl Iterator<Item = f32> {
        let palm = self.palm();
        let later = self.poses.iter().skip(STEP);
        self.poses.iter().zip(later).map(move |(from, to)| {
            let moved = ENDS.map(|i| distance(&from[i], &to[i]));
            let farthest = moved.into_iter().fold(0.0, f32::max);
            farthest / palm * (GRID_HZ as f32 / STEP as f32)
        })
    }

    /// The palm's length when it faces the camera most, in frame widths.
    fn palm(&self) -> f32 {
        let lengths = self.poses.iter().map(|pose| distance(&pose[0], &pose[9]));
        lengths.fold(1e-3, f32::max)
    }
}

/// In the picture: depth is too uncertain.
fn distance(a: &Point3, b: &Point3) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A hand that moves to the right by `step` palm lengths a pose for `moving` poses, from pose
    /// 10 on, and is held then.
    pub fn take(poses: usize, moving: usize, step: f32) -> Take {
        let pose = |k: usize| {
            let along = k.saturating_sub(10).min(moving) as f32 * step * 0.1;
            std::array::from_fn(|i| {
                let (finger, joint) = (i.saturating_sub(1) / 4, i.saturating_sub(1) % 4);
                let up = if i == 0 {
                    0.0
                } else {
                    0.1 + 0.03 * joint as f32
                };
                [0.3 + along + 0.02 * finger as f32, 0.6 - up, 0.0]
            })
        };
        Take {
            hand: Handedness::Right,
            poses: (0..poses).map(pose).collect(),
        }
    }

    #[test]
    fn what_moves_is_a_movement_and_what_drifts_a_shape() {
        assert_eq!(take(36, 8, 0.3).kind(), Kind::Movement);
        assert_eq!(take(36, 25, 0.05).kind(), Kind::Shape);
        assert_eq!(take(Take::MIN_POSES, 0, 0.0).kind(), Kind::Shape);
    }

    #[test]
    fn windows_end_around_the_end_of_the_motion() {
        let windows: Vec<_> = take(36, 8, 0.3).windows().collect();
        // The motion ends with pose 18.
        let newest = |window: &[f32; WINDOW_LEN]| window[WINDOW_LEN - LANDMARKS * 3];
        let along = windows.iter().map(|w| (newest(w) - 0.3) / 0.03);
        let along: Vec<u32> = along.map(|steps| steps.round() as u32).collect();
        assert_eq!(along, [8, 8, 5, 2, 0]);
        assert_eq!(windows[0][0], 0.3);
    }

    #[test]
    fn a_short_take_repeats_its_first_pose() {
        let take = take(12, 8, 0.3);
        for window in take.windows() {
            assert_eq!(window[..LANDMARKS * 3], *take.poses[0].as_flattened());
        }
    }
}
