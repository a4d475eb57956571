//! Regions: the rotated squares of a frame that the networks look at.

use std::f32::consts::{FRAC_PI_2, TAU};

use super::LANDMARKS;
use super::palm::Palm;

/// A rotated square in pixels of the frame; pixel centres have whole coordinates, as in OpenCV.
///
/// `(u, v)` in 0..1 are the square's own coordinates: u along its upper side, v down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// Centre.
    pub center_px: [f32; 2],
    /// Length of a side.
    pub side_px: f32,
    /// Clockwise rotation (y points down) in radians.
    pub rotation: f32,
}

/// How a region is drawn around what was found: moved along its own vertical axis by a share of
/// its height, then made square on the longer side and scaled.
struct Margin {
    shift_y: f32,
    scale: f32,
}

const AROUND_PALM: Margin = Margin {
    shift_y: -0.5,
    scale: 2.6,
};

const AROUND_LANDMARKS: Margin = Margin {
    shift_y: -0.1,
    scale: 2.0,
};

/// The landmarks that hardly move when fingers bend: wrist, thumb without its tip, and the two
/// lower joints of each finger.
const STEADY_LANDMARKS: [usize; 12] = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18];

const WRIST: usize = 0;
const INDEX_MCP: usize = 5;
const MIDDLE_MCP: usize = 9;
const RING_MCP: usize = 13;

impl Region {
    /// The smallest upright square around a whole frame: its corners outside of the frame are the
    /// letterbox.
    #[must_use]
    pub fn letterbox(width: usize, height: usize) -> Self {
        Self {
            center_px: [width as f32 / 2.0, height as f32 / 2.0],
            side_px: width.max(height) as f32,
            rotation: 0.0,
        }
    }

    /// Where the hand of a palm is. The palm was found in `searched`.
    #[must_use]
    pub fn from_palm(palm: &Palm, searched: &Self) -> Self {
        let min = searched.project(palm.min);
        let max = searched.project(palm.max);
        let wrist = searched.project(palm.keypoints[0]);
        let middle_mcp = searched.project(palm.keypoints[2]);
        Self::around(
            [(min[0] + max[0]) / 2.0, (min[1] + max[1]) / 2.0],
            [max[0] - min[0], max[1] - min[1]],
            upright_rotation(wrist, middle_mcp),
            &AROUND_PALM,
        )
    }

    /// Where the hand with these landmarks, in pixels, will be in the next frame.
    #[must_use]
    pub fn from_landmarks(landmarks_px: &[[f32; 2]; LANDMARKS]) -> Self {
        let [index, middle, ring] = [INDEX_MCP, MIDDLE_MCP, RING_MCP].map(|i| landmarks_px[i]);
        let knuckles = [0, 1].map(|axis| (index[axis] + ring[axis]) / 4.0 + middle[axis] / 2.0);
        let rotation = upright_rotation(landmarks_px[WRIST], knuckles);

        let steady = STEADY_LANDMARKS.map(|i| landmarks_px[i]);
        let upright = steady.map(|p| rotate(p, -rotation));
        let (min, max) = bounds(&upright);
        let center = [(min[0] + max[0]) / 2.0, (min[1] + max[1]) / 2.0];
        Self::around(
            rotate(center, rotation),
            [max[0] - min[0], max[1] - min[1]],
            rotation,
            &AROUND_LANDMARKS,
        )
    }

    fn around(center: [f32; 2], [width, height]: [f32; 2], rotation: f32, margin: &Margin) -> Self {
        let shift = rotate([0.0, margin.shift_y * height], rotation);
        Self {
            center_px: [center[0] + shift[0], center[1] + shift[1]],
            side_px: width.max(height) * margin.scale,
            rotation,
        }
    }

    /// The pixel position of a point in the region's own coordinates.
    #[must_use]
    pub fn project(&self, [u, v]: [f32; 2]) -> [f32; 2] {
        let offset = rotate(
            [(u - 0.5) * self.side_px, (v - 0.5) * self.side_px],
            self.rotation,
        );
        [self.center_px[0] + offset[0], self.center_px[1] + offset[1]]
    }

    /// Whether there is anything to see in it: finite, and larger than nothing.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let [x, y] = self.center_px;
        [x, y, self.side_px, self.rotation]
            .iter()
            .all(|v| v.is_finite())
            && self.side_px > 0.0
    }

    /// Intersection over union of two regions as if neither were rotated (0..1).
    #[must_use]
    pub fn overlap(&self, other: &Self) -> f32 {
        let shared = |axis: usize| {
            let (a, b) = (self.center_px[axis], other.center_px[axis]);
            let (ra, rb) = (self.side_px / 2.0, other.side_px / 2.0);
            ((a + ra).min(b + rb) - (a - ra).max(b - rb)).max(0.0)
        };
        let intersection = shared(0) * shared(1);
        let union = self.side_px.powi(2) + other.side_px.powi(2) - intersection;
        if union > 0.0 {
            intersection / union
        } else {
            0.0
        }
    }
}

/// Turns a vector clockwise (y points down).
pub(super) fn rotate([x, y]: [f32; 2], radians: f32) -> [f32; 2] {
    let (sin, cos) = radians.sin_cos();
    [x * cos - y * sin, x * sin + y * cos]
}

/// The rotation of a region in which `to` is straight above `from`, within -π..π.
fn upright_rotation(from: [f32; 2], to: [f32; 2]) -> f32 {
    let angle = FRAC_PI_2 - (from[1] - to[1]).atan2(to[0] - from[0]);
    angle - TAU * (angle / TAU).round()
}

/// The upper left and the lower right corner of the box around points.
pub(super) fn bounds(points: &[[f32; 2]]) -> ([f32; 2], [f32; 2]) {
    points.iter().fold(
        ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]),
        |(min, max), p| {
            (
                [min[0].min(p[0]), min[1].min(p[1])],
                [max[0].max(p[0]), max[1].max(p[1])],
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use std::f32::consts::PI;

    use super::*;

    fn assert_near(a: [f32; 2], b: [f32; 2]) {
        assert!(
            (a[0] - b[0]).abs() < 1e-3 && (a[1] - b[1]).abs() < 1e-3,
            "{a:?} is not {b:?}"
        );
    }

    /// A palm in a 640x480 frame, its wrist-to-knuckle vector at `angle` from straight up.
    fn palm(angle: f32) -> (Palm, Region) {
        let up = rotate([0.0, -0.1], angle);
        let mut keypoints = [[0.5, 0.5]; 7];
        keypoints[2] = [0.5 + up[0], 0.5 + up[1]];
        let palm = Palm {
            score: 0.9,
            min: [0.45, 0.4],
            max: [0.55, 0.5],
            keypoints,
        };
        (palm, Region::letterbox(640, 480))
    }

    #[test]
    fn a_letterboxed_palm_keeps_its_place_in_the_frame() {
        let (palm, letterbox) = palm(0.0);
        assert_near(letterbox.project([0.0, 0.0]), [0.0, -80.0]);
        let region = Region::from_palm(&palm, &letterbox);
        // Box centre (320, 208) of 64 pixels, half of that further up, 2.6 times as large.
        assert_near(region.center_px, [320.0, 176.0]);
        assert!((region.side_px - 166.4).abs() < 1e-3);
        assert_eq!(region.rotation, 0.0);
    }

    #[test]
    fn regions_turn_with_the_hand() {
        for angle in [-3.0, -PI / 2.0, -0.3, 0.4, 2.0, 3.1f32] {
            let (palm, letterbox) = palm(angle);
            let region = Region::from_palm(&palm, &letterbox);
            assert!((region.rotation - angle).abs() < 1e-3);

            // The same hand turned gives the same region turned.
            let hand: [[f32; 2]; LANDMARKS] =
                std::array::from_fn(|i| [i as f32 * 3.0 - 20.0, -((i * 7 % 21) as f32) * 5.0]);
            let region = Region::from_landmarks(&hand);
            let turned = Region::from_landmarks(&hand.map(|p| rotate(p, angle)));
            assert_near(turned.center_px, rotate(region.center_px, angle));
            assert!((turned.side_px - region.side_px).abs() < 1e-3);
        }
    }

    #[test]
    fn bent_fingers_do_not_move_the_region() {
        let mut hand: [[f32; 2]; LANDMARKS] =
            std::array::from_fn(|i| [100.0 + i as f32, 200.0 - i as f32]);
        let straight = Region::from_landmarks(&hand);
        for tip in [4, 7, 8, 11, 12, 15, 16, 19, 20] {
            hand[tip] = [0.0, 1000.0];
        }
        assert_eq!(Region::from_landmarks(&hand), straight);
    }

    #[test]
    fn overlap_is_the_shared_share() {
        let region = Region::letterbox(10, 10);
        let mut beside = region;
        assert_eq!(region.overlap(&beside), 1.0);
        beside.center_px[0] += 5.0;
        assert!((region.overlap(&beside) - 1.0 / 3.0).abs() < 1e-6);
        beside.center_px[0] += 50.0;
        assert_eq!(region.overlap(&beside), 0.0);
    }
}
