//! The window: what the classifier sees.

use std::time::Duration;

use heapless::HistoryBuf;

use super::{GridPose, WINDOW};
use crate::pose::{LANDMARKS, Point3};

/// The newest 30 contiguous poses of one hand.
///
/// It is usable from a few real poses on, so that a hand that has just come into view isn't deaf
/// for two seconds: what is missing is filled by repeating the oldest real pose, as if the hand
/// had come to stay there. Nothing here allocates.
#[derive(Debug)]
pub struct Window {
    min_poses: usize,
    poses: HistoryBuf<[Point3; LANDMARKS], WINDOW>,
    newest: Option<GridPose>,
}

impl Window {
    /// Real poses that a window needs by default: half a second.
    pub const MIN_POSES: usize = 8;

    /// An empty window that is usable from `min_poses` real poses on (1 to 30; what lies outside
    /// is taken to the nearest).
    #[must_use]
    pub fn new(min_poses: usize) -> Self {
        Self {
            min_poses: min_poses.clamp(1, WINDOW),
            poses: HistoryBuf::new(),
            newest: None,
        }
    }

    /// Adds the next pose. The window begins anew with it unless it is of the same track and
    /// the very next tick.
    pub fn push(&mut self, pose: &GridPose) {
        let contiguous = self.newest.is_some_and(|newest| {
            newest.track == pose.track && newest.tick.checked_add(1) == Some(pose.tick)
        });
        if !contiguous {
            self.poses.clear();
        }
        self.poses.write(pose.points);
        self.newest = Some(*pose);
    }

    /// Real poses in the window, 0..=30.
    #[must_use]
    pub fn len(&self) -> usize {
        self.poses.len()
    }

    /// Whether there is no pose in the window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.poses.is_empty()
    }

    /// Whether there are enough real poses to classify.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.len() >= self.min_poses
    }

    /// The newest pose.
    #[must_use]
    pub fn newest(&self) -> Option<&GridPose> {
        self.newest.as_ref()
    }

    /// How much older the newest pose is than `now`, a time since the source began.
    #[must_use]
    pub fn age(&self, now: Duration) -> Duration {
        self.newest
            .map_or(Duration::MAX, |p| now.saturating_sub(p.t))
    }

    /// Writes the window, oldest pose first, as 30 x 21 x 3 numbers ([`WINDOW_LEN`](super::WINDOW_LEN)).
    /// An empty window writes nothing.
    pub fn copy_into(&self, out: &mut [f32]) {
        let Some(oldest) = self.poses.oldest() else {
            return;
        };
        let missing = WINDOW - self.len();
        let poses = std::iter::repeat_n(oldest, missing).chain(self.poses.oldest_ordered());
        for (out, pose) in out.chunks_exact_mut(LANDMARKS * 3).zip(poses) {
            out.copy_from_slice(pose.as_flattened());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pose::Handedness;
    use crate::window::WINDOW_LEN;

    fn push(window: &mut Window, track: u32, ticks: impl IntoIterator<Item = u64>) {
        for tick in ticks {
            window.push(&GridPose {
                track,
                handedness: Handedness::Left,
                tick,
                seq: 2 * tick,
                t: Duration::from_secs(tick) / 15,
                captured: None,
                points: [[tick as f32; 3]; LANDMARKS],
            });
        }
    }

    /// The ticks in the window, oldest first.
    fn ticks(window: &Window) -> Vec<u64> {
        let mut out = [f32::NAN; WINDOW_LEN];
        window.copy_into(&mut out);
        let poses = out.chunks(LANDMARKS * 3);
        poses
            .map(|pose| {
                assert!(pose.iter().all(|&x| x == pose[0]), "{pose:?}");
                pose[0] as u64
            })
            .collect()
    }

    #[test]
    fn holds_the_newest_thirty_oldest_first() {
        let mut window = Window::new(8);
        push(&mut window, 1, 5..=50);
        assert_eq!(ticks(&window), Vec::from_iter(21..=50));
    }

    #[test]
    fn a_young_window_repeats_its_oldest_pose() {
        let mut window = Window::new(8);
        push(&mut window, 1, 10..=16);
        assert!(!window.is_usable());
        push(&mut window, 1, [17]);
        assert!(window.is_usable());
        let mut expected = vec![10; 22];
        expected.extend(10..=17);
        assert_eq!(ticks(&window), expected);
    }

    #[test]
    fn begins_anew_at_a_hole_another_track_and_a_tick_that_comes_again() {
        for (track, tick) in [(1, 41), (2, 40), (1, 39), (1, 3)] {
            let mut window = Window::new(1);
            push(&mut window, 1, 0..=39);
            push(&mut window, track, [tick]);
            assert_eq!(window.len(), 1);
            assert_eq!(ticks(&window), [tick; 30], "{track}");
        }
    }

    #[test]
    fn age_counts_from_the_newest_frame() {
        let mut window = Window::new(1);
        assert_eq!(window.age(Duration::ZERO), Duration::MAX);
        push(&mut window, 1, [15]);
        assert_eq!(window.age(Duration::from_secs(3)), Duration::from_secs(2));
    }
}
