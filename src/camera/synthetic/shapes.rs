//! The shapes that the hand can hold: joint angles and how people turn the hand in them.

use super::geometry::{Rotation, Vec3, vec3};
use super::skeleton::{Angles, Finger, Thumb};

/// A shape by name.
#[derive(Debug)]
pub(super) struct Shape {
    pub name: &'static str,
    pub angles: Angles,
    /// Where the straight fingers point, for a right hand in front of the camera.
    fingers: Vec3,
    /// Roughly where the palm looks.
    palm: Vec3,
    /// From the wrist towards the elbow.
    pub elbow: Vec3,
}

impl Shape {
    /// How the hand is turned.
    pub fn facing(&self) -> Rotation {
        facing(self.fingers, self.palm)
    }
}

/// Turns a hand so that its fingers point along `fingers` and its palm looks roughly along
/// `palm`.
pub(super) fn facing(fingers: Vec3, palm: Vec3) -> Rotation {
    let y = -fingers.normalized();
    let z = -palm;
    let z = (z - y * z.dot(y)).normalized();
    Rotation::from_axes(y.cross(z), y, z)
}

/// The shape of that name.
pub(super) fn shape(name: &str) -> Option<&'static Shape> {
    SHAPES.iter().find(|s| s.name == name)
}

const fn finger(spread: f32, mcp: f32, pip: f32, dip: f32) -> Finger {
    Finger {
        spread,
        mcp,
        pip,
        dip,
    }
}

const fn thumb(radial: f32, palmar: f32, roll: f32, mcp: f32, ip: f32) -> Thumb {
    Thumb {
        radial,
        palmar,
        roll,
        mcp,
        ip,
    }
}

/// The four fingers of a fist.
const CURLED: [Finger; 4] = [
    finger(0.0, 78.0, 100.0, 55.0),
    finger(0.0, 82.0, 102.0, 55.0),
    finger(0.0, 84.0, 102.0, 55.0),
    finger(0.0, 86.0, 98.0, 52.0),
];
const STRAIGHT: [Finger; 4] = [
    finger(9.0, 2.0, 4.0, 2.0),
    finger(1.0, 0.0, 4.0, 2.0),
    finger(-7.0, 2.0, 5.0, 2.0),
    finger(-16.0, 5.0, 6.0, 3.0),
];
/// Across the curled fingers.
const THUMB_OVER: Thumb = thumb(13.0, 43.0, 0.0, 17.0, 68.0);
const THUMB_OUT: Thumb = thumb(44.0, 14.0, 30.0, 4.0, 2.0);

const UPRIGHT: Vec3 = vec3(0.03, -1.0, 0.04);
const TO_CAMERA: Vec3 = vec3(0.0, 0.0, -1.0);
const ARM_BELOW: Vec3 = vec3(-0.25, 0.9, 0.35);

const fn upright(name: &'static str, thumb: Thumb, fingers: [Finger; 4]) -> Shape {
    Shape {
        name,
        angles: Angles { thumb, fingers },
        fingers: UPRIGHT,
        palm: TO_CAMERA,
        elbow: ARM_BELOW,
    }
}

/// All shapes. The first eight are the held shapes among [`LABELS`](crate::gesture::LABELS).
pub(super) static SHAPES: [Shape; 16] = [
    upright("open-palm", THUMB_OUT, STRAIGHT),
    upright("fist", THUMB_OVER, CURLED),
    upright(
        "point-up",
        THUMB_OVER,
        [finger(0.0, 3.0, 4.0, 2.0), CURLED[1], CURLED[2], CURLED[3]],
    ),
    Shape {
        name: "thumb-up",
        angles: Angles {
            thumb: thumb(62.0, 8.0, 20.0, -8.0, -12.0),
            fingers: CURLED,
        },
        fingers: vec3(0.55, -0.1, -0.83),
        palm: vec3(0.83, 0.0, 0.55),
        elbow: vec3(-0.45, 0.6, 0.66),
    },
    Shape {
        name: "thumb-down",
        angles: Angles {
            thumb: thumb(62.0, 8.0, 20.0, -8.0, -12.0),
            fingers: CURLED,
        },
        fingers: vec3(0.65, 0.05, -0.75),
        palm: vec3(-0.75, 0.0, -0.65),
        elbow: vec3(-0.75, 0.25, 0.6),
    },
    upright(
        "victory",
        THUMB_OVER,
        [
            finger(14.0, 2.0, 3.0, 2.0),
            finger(-10.0, 2.0, 3.0, 2.0),
            CURLED[2],
            CURLED[3],
        ],
    ),
    upright(
        "ok",
        thumb(22.0, 50.0, 33.0, 18.0, 21.0),
        [
            finger(2.0, 45.0, 49.0, 22.0),
            finger(2.0, 12.0, 12.0, 5.0),
            finger(-8.0, 5.0, 8.0, 4.0),
            finger(-18.0, 2.0, 6.0, 3.0),
        ],
    ),
    upright(
        "i-love-you",
        THUMB_OUT,
        [
            finger(5.0, 2.0, 3.0, 2.0),
            CURLED[1],
            CURLED[2],
            finger(-16.0, 2.0, 4.0, 2.0),
        ],
    ),
    Shape {
        name: "relaxed",
        angles: Angles {
            thumb: thumb(30.0, 22.0, 40.0, 12.0, 14.0),
            fingers: [
                finger(3.0, 24.0, 32.0, 14.0),
                finger(0.0, 30.0, 38.0, 16.0),
                finger(-3.0, 34.0, 42.0, 18.0),
                finger(-8.0, 36.0, 44.0, 18.0),
            ],
        },
        fingers: vec3(0.25, -0.9, -0.35),
        palm: vec3(0.35, -0.35, -0.85),
        elbow: vec3(-0.35, 0.85, 0.4),
    },
    upright(
        "three",
        THUMB_OVER,
        [
            finger(12.0, 2.0, 3.0, 2.0),
            finger(0.0, 0.0, 3.0, 2.0),
            finger(-12.0, 2.0, 3.0, 2.0),
            CURLED[3],
        ],
    ),
    upright("four", thumb(12.0, 38.0, 35.0, 45.0, 40.0), STRAIGHT),
    upright(
        "rock",
        THUMB_OVER,
        [
            finger(5.0, 2.0, 3.0, 2.0),
            CURLED[1],
            CURLED[2],
            finger(-16.0, 2.0, 4.0, 2.0),
        ],
    ),
    Shape {
        name: "call",
        angles: Angles {
            thumb: thumb(60.0, 10.0, 20.0, -6.0, -8.0),
            fingers: [
                CURLED[0],
                CURLED[1],
                CURLED[2],
                finger(-16.0, 2.0, 5.0, 2.0),
            ],
        },
        fingers: vec3(-0.5, -0.85, 0.0),
        palm: TO_CAMERA,
        elbow: vec3(-0.15, 0.95, 0.3),
    },
    upright(
        "gun",
        THUMB_OUT,
        [finger(2.0, 3.0, 3.0, 2.0), CURLED[1], CURLED[2], CURLED[3]],
    ),
    upright(
        "flat",
        thumb(14.0, 8.0, 30.0, 8.0, 8.0),
        [
            finger(-1.0, 3.0, 4.0, 2.0),
            finger(-0.5, 3.0, 4.0, 2.0),
            finger(1.0, 3.0, 4.0, 2.0),
            finger(2.0, 4.0, 5.0, 3.0),
        ],
    ),
    upright(
        "claw",
        thumb(45.0, 35.0, 40.0, 20.0, 35.0),
        [
            finger(10.0, 20.0, 55.0, 35.0),
            finger(1.0, 20.0, 55.0, 35.0),
            finger(-8.0, 20.0, 55.0, 35.0),
            finger(-18.0, 20.0, 52.0, 32.0),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gesture::LABELS;

    #[test]
    fn the_held_labels_come_first() {
        for (shape, label) in SHAPES.iter().zip(&LABELS[..8]) {
            assert_eq!(shape.name, *label);
        }
    }

    #[test]
    fn thumbs_point_where_their_names_say() {
        for (name, sign) in [("thumb-up", -1.0), ("thumb-down", 1.0)] {
            let shape = shape(name).unwrap();
            let joints = shape.angles.joints().map(|j| shape.facing().apply(j));
            let thumb = (joints[4] - joints[2]).normalized();
            assert!(thumb.y * sign > 0.8, "{name}: {thumb:?}");
        }
    }

    #[test]
    fn tips_meet_in_ok_alone() {
        for shape in &SHAPES {
            let joints = shape.angles.joints();
            let gap = (joints[4] - joints[8]).length();
            if shape.name == "ok" {
                assert!(gap < 0.02, "ok: {gap}");
            } else if shape.angles.fingers[0].pip < 60.0 {
                assert!(gap > 0.03, "{}: {gap}", shape.name);
            }
        }
    }
}
