//! The bones of the hand: from joint angles to the 21 joints.
//!
//! Everything here is a *right* hand; a left hand is the same in a mirror. In its own space the
//! hand stands upright with its palm to the camera and the wrist at the origin.

use super::geometry::{Vec3, vec3};
use crate::pose::LANDMARKS;

/// Where straight fingers point.
pub(super) const FINGERS: Vec3 = vec3(0.0, -1.0, 0.0);
/// The side of the thumb.
pub(super) const THUMB_SIDE: Vec3 = vec3(1.0, 0.0, 0.0);
/// Where the palm looks.
pub(super) const PALM: Vec3 = vec3(0.0, 0.0, -1.0);

/// From the wrist to the middle of the palm, in metres.
pub(super) const PALM_CENTRE: Vec3 = vec3(-0.002, -0.062, 0.0);

/// Joint angles of a finger, in degrees. Flexion bends towards the palm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Finger {
    /// Sideways at the knuckle, towards the thumb.
    pub spread: f32,
    /// Flexion of the knuckle.
    pub mcp: f32,
    /// Flexion of the middle joint.
    pub pip: f32,
    /// Flexion of the last joint.
    pub dip: f32,
}

/// Joint angles of the thumb, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Thumb {
    /// Away from the fingers' direction, in the plane of the palm.
    pub radial: f32,
    /// Out of the plane of the palm, in front of it.
    pub palmar: f32,
    /// Rotation about the thumb's own axis; 0 bends in the plane of the palm.
    pub roll: f32,
    /// Flexion of the knuckle.
    pub mcp: f32,
    /// Flexion of the last joint.
    pub ip: f32,
}

/// The angles of all joints of a hand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Angles {
    pub thumb: Thumb,
    /// Index, middle, ring and little finger.
    pub fingers: [Finger; 4],
}

/// Smallest angles that a hand can take.
pub(super) const LEAST: Angles = Angles {
    thumb: Thumb {
        radial: -10.0,
        palmar: -15.0,
        roll: -20.0,
        mcp: -15.0,
        ip: -25.0,
    },
    fingers: [Finger {
        spread: -28.0,
        mcp: -30.0,
        pip: -8.0,
        dip: -8.0,
    }; 4],
};

/// Largest angles that a hand can take.
pub(super) const MOST: Angles = Angles {
    thumb: Thumb {
        radial: 75.0,
        palmar: 75.0,
        roll: 110.0,
        mcp: 70.0,
        ip: 85.0,
    },
    fingers: [Finger {
        spread: 28.0,
        mcp: 95.0,
        pip: 112.0,
        dip: 80.0,
    }; 4],
};

impl Angles {
    /// Combines the angles of two hands, joint by joint.
    pub fn zip(&self, other: &Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let (t, u) = (&self.thumb, &other.thumb);
        Self {
            thumb: Thumb {
                radial: f(t.radial, u.radial),
                palmar: f(t.palmar, u.palmar),
                roll: f(t.roll, u.roll),
                mcp: f(t.mcp, u.mcp),
                ip: f(t.ip, u.ip),
            },
            fingers: std::array::from_fn(|i| {
                let (a, b) = (&self.fingers[i], &other.fingers[i]);
                Finger {
                    spread: f(a.spread, b.spread),
                    mcp: f(a.mcp, b.mcp),
                    pip: f(a.pip, b.pip),
                    dip: f(a.dip, b.dip),
                }
            }),
        }
    }

    /// On the way to `to`.
    pub fn lerp(&self, to: &Self, t: f32) -> Self {
        self.zip(to, |a, b| a + (b - a) * t)
    }

    /// The largest difference of a finger's joint, in degrees.
    pub fn most_apart(&self, other: &Self) -> f32 {
        let pairs = self.fingers.iter().zip(&other.fingers);
        pairs
            .flat_map(|(a, b)| [a.spread - b.spread, a.mcp - b.mcp, a.pip - b.pip])
            .fold((self.thumb.radial - other.thumb.radial).abs(), |most, d| {
                most.max(d.abs())
            })
    }

    /// The nearest angles that a hand can take.
    pub fn within_limits(&self) -> Self {
        self.zip(&LEAST, f32::max).zip(&MOST, f32::min)
    }

    /// The joints in MediaPipe's order, in metres, wrist at the origin, for a hand of the size
    /// of a man's. Angles beyond the limits are cut to them.
    pub fn joints(&self) -> [Vec3; LANDMARKS] {
        let angles = self.within_limits();
        let mut joints = [Vec3::default(); LANDMARKS];
        joints[1] = THUMB_BASE;
        joints[1..5].copy_from_slice(&thumb(&angles.thumb));
        for (i, finger) in angles.fingers.iter().enumerate() {
            joints[5 + 4 * i..9 + 4 * i].copy_from_slice(&chain(finger, i));
        }
        joints
    }
}

/// The root of the thumb.
const THUMB_BASE: Vec3 = vec3(0.024, -0.026, -0.008);
/// Lengths of the thumb's bones from its root; the last one ends inside the tip.
const THUMB_BONES: [f32; 3] = [0.040, 0.034, 0.027];
/// The four knuckles.
const KNUCKLES: [Vec3; 4] = [
    vec3(0.025, -0.091, -0.001),
    vec3(0.001, -0.094, 0.002),
    vec3(-0.019, -0.088, 0.001),
    vec3(-0.037, -0.077, -0.004),
];
/// Lengths of the fingers' bones; the last one ends inside the tip.
const BONES: [[f32; 3]; 4] = [
    [0.041, 0.025, 0.022],
    [0.045, 0.029, 0.023],
    [0.041, 0.027, 0.023],
    [0.032, 0.020, 0.020],
];
/// Bent fingers lean towards the root of the thumb; sideways part of their direction.
const CONVERGE: [f32; 4] = [-0.06, 0.02, 0.10, 0.20];

fn chain(finger: &Finger, i: usize) -> [Vec3; 4] {
    let (sin, cos) = finger.spread.to_radians().sin_cos();
    let straight = FINGERS * cos + THUMB_SIDE * sin;
    let across = THUMB_SIDE * cos - FINGERS * sin;
    let bent = (PALM + across * CONVERGE[i]).normalized();
    let angles = [finger.mcp, finger.pip, finger.dip];
    bend(KNUCKLES[i], straight, bent, angles, BONES[i])
}

fn thumb(thumb: &Thumb) -> [Vec3; 4] {
    let (sin, cos) = thumb.radial.to_radians().sin_cos();
    let (rise_sin, rise_cos) = thumb.palmar.to_radians().sin_cos();
    let flat = FINGERS * cos + THUMB_SIDE * sin;
    let straight = flat * rise_cos + PALM * rise_sin;
    let inwards = FINGERS * sin - THUMB_SIDE * cos;
    let (roll_sin, roll_cos) = thumb.roll.to_radians().sin_cos();
    let bent = inwards * roll_cos + straight.cross(inwards) * -roll_sin;
    bend(
        THUMB_BASE,
        straight,
        bent,
        [0.0, thumb.mcp, thumb.ip],
        THUMB_BONES,
    )
}

/// A chain of three bones that starts along `straight` and bends towards `bent`.
fn bend(base: Vec3, straight: Vec3, bent: Vec3, degrees: [f32; 3], bones: [f32; 3]) -> [Vec3; 4] {
    let mut joints = [base; 4];
    let mut angle = 0.0;
    for i in 0..3 {
        angle += degrees[i];
        let (sin, cos) = f32::to_radians(angle).sin_cos();
        joints[i + 1] = joints[i] + (straight * cos + bent * sin) * bones[i];
    }
    joints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::synthetic::shapes::SHAPES;

    fn bones(joints: &[Vec3; LANDMARKS]) -> Vec<f32> {
        (1..LANDMARKS)
            .map(|i| if i % 4 == 1 { 0 } else { i - 1 })
            .zip(1..)
            .map(|(from, to): (usize, usize)| (joints[to] - joints[from]).length())
            .collect()
    }

    #[test]
    fn bones_keep_their_length_on_the_way_between_any_two_shapes() {
        let expected = bones(&SHAPES[0].angles.joints());
        for a in &SHAPES {
            for b in &SHAPES {
                let between = a.angles.lerp(&b.angles, 0.37);
                for (got, want) in bones(&between.joints()).iter().zip(&expected) {
                    assert!((got - want).abs() < 2e-4, "{} to {}", a.name, b.name);
                }
            }
        }
    }

    #[test]
    fn every_shape_lies_within_the_limits_and_nothing_gets_past_them() {
        for shape in &SHAPES {
            assert_eq!(shape.angles, shape.angles.within_limits(), "{}", shape.name);
        }
        let open = SHAPES[0].angles;
        let beyond = open.zip(&MOST, |_, most| most + 40.0);
        assert_eq!(beyond.joints(), MOST.joints());
    }

    #[test]
    fn flexion_brings_the_finger_tips_in_front_of_the_palm() {
        let fist = Angles {
            fingers: [Finger {
                spread: 0.0,
                mcp: 85.0,
                pip: 100.0,
                dip: 60.0,
            }; 4],
            ..SHAPES[0].angles
        };
        for tip in [8, 12, 16, 20] {
            let tip = fist.joints()[tip];
            assert!(tip.z < -0.01 && tip.y > -0.09, "{tip:?}");
        }
    }
}
