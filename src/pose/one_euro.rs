//! The One-Euro filter: steady when the hand is still, quick when it moves.
//!
//! Casiez, Roussel, Vogel: "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
//! Interactive Systems", CHI 2012.

use std::f32::consts::TAU;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{LANDMARKS, Point3};

/// How the filter answers to speed. Speeds are in hand sizes a second, so that a hand far away is
/// smoothed as much as one nearby.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct OneEuroParams {
    /// Cut-off frequency of a hand that stands still: lower is steadier.
    pub min_cutoff_hz: f32,
    /// Cut-off frequency that each hand size a second adds: higher is quicker.
    pub beta: f32,
    /// Cut-off frequency of the speed itself.
    pub speed_cutoff_hz: f32,
}

impl Default for OneEuroParams {
    /// MediaPipe's for landmarks.
    fn default() -> Self {
        Self {
            min_cutoff_hz: 0.05,
            beta: 80.0,
            speed_cutoff_hz: 1.0,
        }
    }
}

/// The filter's state for the points of one hand. One that has seen nothing passes its first
/// points as they are.
#[derive(Debug, Clone, Default)]
pub struct OneEuro {
    last: Option<Last>,
}

#[derive(Debug, Clone)]
struct Last {
    t: Duration,
    raw: [Point3; LANDMARKS],
    smooth: [Point3; LANDMARKS],
    speed: [Point3; LANDMARKS],
}

impl OneEuro {
    /// Smooths the points of one frame. `size` is the hand's, in the points' unit. Time that
    /// doesn't advance leaves the state as it is and passes the points through.
    pub fn smooth(
        &mut self,
        params: &OneEuroParams,
        t: Duration,
        size: f32,
        points: &mut [Point3; LANDMARKS],
    ) {
        let Some(last) = &mut self.last else {
            self.last = Some(Last {
                t,
                raw: *points,
                smooth: *points,
                speed: [[0.0; 3]; LANDMARKS],
            });
            return;
        };
        let seconds = t.saturating_sub(last.t).as_secs_f32();
        if seconds <= 0.0 || size <= 0.0 {
            return;
        }
        last.t = t;
        let follow_speed = weight(params.speed_cutoff_hz, seconds);
        for (i, point) in points.iter_mut().enumerate() {
            for (axis, value) in point.iter_mut().enumerate() {
                let speed = &mut last.speed[i][axis];
                let now = (*value - last.raw[i][axis]) / (seconds * size);
                *speed += follow_speed * (now - *speed);
                last.raw[i][axis] = *value;

                let smooth = &mut last.smooth[i][axis];
                let cutoff_hz = params.min_cutoff_hz + params.beta * speed.abs();
                *smooth += weight(cutoff_hz, seconds) * (*value - *smooth);
                *value = *smooth;
            }
        }
    }
}

/// How much of a new value a first-order low-pass filter takes over after `seconds`.
fn weight(cutoff_hz: f32, seconds: f32) -> f32 {
    1.0 / (1.0 + 1.0 / (TAU * cutoff_hz * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(33);

    /// The x of all points, smoothed frame by frame.
    fn run(xs: impl IntoIterator<Item = f32>) -> Vec<f32> {
        let mut filter = OneEuro::default();
        let mut t = Duration::ZERO;
        xs.into_iter()
            .map(|x| {
                t += FRAME;
                let mut points = [[x, 0.5, -0.1]; LANDMARKS];
                filter.smooth(&OneEuroParams::default(), t, 0.3, &mut points);
                assert_eq!(points[0], points[20]);
                points[0][0]
            })
            .collect()
    }

    #[test]
    fn a_still_hand_shakes_less() {
        // A hundredth of the hand's size, up and down.
        let noise = |i: u32| 0.5 + if i.is_multiple_of(2) { 0.0015 } else { -0.0015 };
        let smooth = run((0..90).map(noise));
        let swing = smooth[60..].iter().map(|x| (x - 0.5).abs());
        assert!(swing.fold(0.0, f32::max) < 0.0008);
    }

    #[test]
    fn a_moving_hand_is_followed() {
        // Three hand sizes a second.
        let path = |i: i32| 0.1 + 0.03 * i as f32;
        let smooth = run((0..30).map(path));
        let behind = (path(29) - smooth[29]).abs();
        assert!(behind < 0.003, "{behind} behind");
    }

    #[test]
    fn time_that_stands_still_changes_nothing() {
        let mut filter = OneEuro::default();
        let params = OneEuroParams::default();
        let mut points = [[0.1; 3]; LANDMARKS];
        filter.smooth(&params, FRAME, 0.3, &mut points);
        points = [[0.9; 3]; LANDMARKS];
        filter.smooth(&params, FRAME, 0.3, &mut points);
        assert_eq!(points, [[0.9; 3]; LANDMARKS]);
        points = [[0.1; 3]; LANDMARKS];
        filter.smooth(&params, FRAME * 2, 0.3, &mut points);
        assert_eq!(points, [[0.1; 3]; LANDMARKS]);
    }
}
