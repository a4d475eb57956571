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
    newest: GridPose,
}

impl Window {
    /// Real poses that a window needs by default: half a second.
    pub const MIN_POSES: usize = 8;

    /// A window that begins with `pose` and is usable from `min_poses` real poses on (1 to 30;
    /// what lies outside is taken to the nearest).
    #[must_use]
    pub fn new(min_poses: usize, pose: &GridPose) -> Self {
        let mut poses = HistoryBuf::new();
        poses.write(pose.points);
        Self {
            min_poses: min_poses.clamp(1, WINDOW),
            poses,
            newest: *pose,
        }
    }

    /// Adds the next pose. The window begins anew with it unless it is of the same track and
    /// the very next tick. Returns whether it goes on.
    pub fn push(&mut self, pose: &GridPose) -> bool {
        let newest = &self.newest;
        let goes_on = newest.track == pose.track && newest.tick.checked_add(1) == Some(pose.tick);
        if !goes_on {
            self.poses.clear();
        }
        self.poses.write(pose.points);
        self.newest = *pose;
        goes_on
    }

    /// Real poses in the window, 1..=30.
    #[allow(clippy::len_without_is_empty, reason = "it never is")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.poses.len()
    }

    /// Whether there are enough real poses to classify.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.len() >= self.min_poses
    }

    /// The newest pose.
    #[must_use]
    pub fn newest(&self) -> &GridPose {
        &self.newest
    }

    /// How much older the newest pose is than `now`, a time since the source began.
    #[must_use]
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.newest.t)
    }

    /// Writes the window, oldest pose first, as 30 x 21 x 3 numbers
    /// ([`WINDOW_LEN`](super::WINDOW_LEN)).
    pub fn copy_into(&self, out: &mut [f32]) {
        let missing = WINDOW - self.len();
        let oldest = self.poses.oldest().into_iter().cycle().take(missing);
        let poses = oldest.chain(self.poses.oldest_ordered());
        for (out, pose) in out.chunks_exact_mut(LANDMARKS * 3).zip(poses) {
            out.copy_from_slice(pose.as_flattened());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use super::*;
    use crate::pose::Handedness;
    use crate::window::WINDOW_LEN;

    fn pose(track: u32, tick: u64) -> GridPose {
        GridPose {
            track,
            handedness: Handedness::Left,
            tick,
            seq: 2 * tick,
            t: Duration::from_secs(tick) / 15,
            captured: None,
            aspect: 0.75,
            points: [[tick as f32; 3]; LANDMARKS],
        }
    }

    fn window(min_poses: usize, mut ticks: RangeInclusive<u64>) -> Window {
        let first = ticks.next().expect("a tick");
        let mut window = Window::new(min_poses, &pose(1, first));
        assert!(ticks.all(|tick| window.push(&pose(1, tick))));
        window
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
        assert_eq!(ticks(&window(8, 5..=50)), Vec::from_iter(21..=50));
    }

    #[test]
    fn a_young_window_repeats_its_oldest_pose() {
        let mut window = window(8, 10..=16);
        assert!(!window.is_usable());
        window.push(&pose(1, 17));
        assert!(window.is_usable());
        let mut expected = vec![10; 22];
        expected.extend(10..=17);
        assert_eq!(ticks(&window), expected);
    }

    #[test]
    fn begins_anew_at_a_hole_another_track_and_a_tick_that_comes_again() {
        for (track, tick) in [(1, 41), (2, 40), (1, 39), (1, 3)] {
            let mut window = window(1, 0..=39);
            assert!(!window.push(&pose(track, tick)));
            assert_eq!(window.len(), 1);
            assert_eq!(ticks(&window), [tick; 30], "{track}");
        }
    }

    #[test]
    fn age_counts_from_the_newest_frame() {
        let window = window(1, 15..=30);
        assert_eq!(window.age(Duration::from_secs(3)), Duration::from_secs(1));
    }
}
