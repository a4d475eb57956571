//! The hand's solid body: tapered capsules around the bones, melted into one another.

use super::geometry::{Vec3, vec3};
use super::scene::PlacedHand;
use crate::pose::Handedness;

/// What a capsule is made of and which others it melts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Sleeve,
    Palm,
    /// Bone `1` to `3` of finger `0` (thumb) to `4`.
    Finger(u8, u8),
}

impl Part {
    /// Capsules of one limb melt into each other; different limbs only touch.
    fn limb(self) -> u8 {
        match self {
            Self::Palm => 0,
            Self::Finger(finger, _) => finger + 1,
            Self::Sleeve => 6,
        }
    }
}

/// A bone with flesh: the smooth hull of two balls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capsule {
    pub part: Part,
    /// Its two ends.
    pub a: Vec3,
    pub b: Vec3,
    /// Radii at the ends, in metres.
    pub ra: f32,
    pub rb: f32,
    /// Away from the back of the hand, at a right angle to the bone.
    pub palmar: Vec3,
    axis: Vec3,
    per_length2: f32,
}

impl Capsule {
    /// How far along the axis the nearest point lies, 0 to 1.
    pub fn along(&self, p: Vec3) -> f32 {
        ((p - self.a).dot(self.axis) * self.per_length2).clamp(0.0, 1.0)
    }

    fn distance(&self, p: Vec3) -> f32 {
        let h = self.along(p);
        (p - self.a - self.axis * h).length() - (self.ra + (self.rb - self.ra) * h)
    }

    /// The least and the greatest distance from the camera.
    pub fn depths(&self) -> (f32, f32) {
        let h = self.along(Vec3::default());
        let radius = self.ra.max(self.rb);
        (
            (self.a + self.axis * h).length() - radius,
            self.a.length().max(self.b.length()) + radius,
        )
    }
}

/// Capsules of a hand.
pub(super) const CAPSULES: usize = 36;

/// The body of one hand in one place.
#[derive(Debug, Clone, Default)]
pub(super) struct Flesh {
    pub capsules: heapless::Vec<Capsule, CAPSULES>,
}

/// How widely limbs melt into each other, in metres.
const MELT_PALM: f32 = 0.012;
const MELT_FINGER: f32 = 0.004;
const MELT_ROOT: f32 = 0.006;
/// Farther than anything that is drawn.
const FAR: f32 = 1e3;

/// The smooth minimum of two distances (polynomial; Quilez).
fn melt(a: f32, b: f32, width: f32) -> f32 {
    let h = (width - (a - b).abs()).max(0.0) / width;
    a.min(b) - h * h * width * 0.25
}

/// Radii at the joints of the fingers from the knuckle to the tip, thumb first, in metres.
const RADII: [[f32; 4]; 5] = [
    [0.0150, 0.0120, 0.0110, 0.0086],
    [0.0112, 0.0096, 0.0084, 0.0072],
    [0.0116, 0.0099, 0.0087, 0.0074],
    [0.0110, 0.0093, 0.0081, 0.0069],
    [0.0099, 0.0081, 0.0071, 0.0061],
];

impl Flesh {
    /// Puts flesh on the bones.
    pub fn dress(&mut self, hand: &PlacedHand) {
        self.capsules.clear();
        let joints = &hand.joints;
        let palmar = hand.direction(vec3(0.0, 0.0, -1.0));
        let at = |x: f32, y: f32, z: f32| hand.place(vec3(x, y, z));
        let s = hand.scale;
        let mirror = match hand.handedness {
            Handedness::Right => 1.0,
            Handedness::Left => -1.0,
        };
        let mut add = |part, a: Vec3, b: Vec3, ra: f32, rb: f32, palmar: Vec3| {
            let axis = b - a;
            let capsule = Capsule {
                part,
                a,
                b,
                ra: ra * s,
                rb: rb * s,
                palmar,
                axis,
                per_length2: 1.0 / axis.dot(axis).max(1e-12),
            };
            let pushed = self.capsules.push(capsule);
            debug_assert!(pushed.is_ok(), "CAPSULES is too small");
        };

        // The forearm is wider than thick: two bones side by side.
        let wrist = joints[0];
        let arm = (hand.elbow - wrist).normalized();
        let side = hand.direction(vec3(1.0, 0.0, 0.0));
        let side = (side - arm * side.dot(arm)).normalized();
        for sign in [-1.0, 1.0] {
            let near = wrist + side * (0.0105 * sign * s) + arm * (0.004 * s);
            let far = near + (arm * 0.20 + side * (0.004 * sign)) * s;
            add(Part::Palm, near, far, 0.0175, 0.029, palmar);
        }

        // Palm: rays from the wrist to the knuckles, the balls of thumb and little finger.
        let roots = [
            at(0.013, -0.008, 0.001),
            at(0.004, -0.006, 0.002),
            at(-0.006, -0.006, 0.002),
            at(-0.014, -0.008, 0.0),
        ];
        for (i, root) in roots.into_iter().enumerate() {
            let knuckle = joints[5 + 4 * i];
            let radius = RADII[i + 1][0];
            add(Part::Palm, root, knuckle, 0.0155, radius + 0.0012, palmar);
            if i > 0 {
                // Flesh and skin between the fingers' roots, on the side of the palm.
                let last = joints[1 + 4 * i];
                let web =
                    |k: Vec3| k + palmar * (0.004 * s) + (k - wrist).normalized() * (0.007 * s);
                add(Part::Palm, web(last), web(knuckle), 0.0085, 0.0085, palmar);
            }
        }
        add(Part::Palm, joints[1], joints[2], 0.0175, 0.0125, palmar);
        add(
            Part::Palm,
            at(0.012, -0.018, -0.008),
            at(0.022, -0.052, -0.012),
            0.0165,
            0.0125,
            palmar,
        );
        add(
            Part::Palm,
            at(-0.018, -0.016, -0.006),
            at(-0.030, -0.058, -0.007),
            0.0150,
            0.0125,
            palmar,
        );
        add(
            Part::Palm,
            at(-0.002, -0.05, 0.0),
            at(0.010, -0.078, -0.001),
            0.0145,
            0.013,
            palmar,
        );
        // The skin between thumb and index finger.
        let fold = joints[1].lerp(joints[2], 0.62);
        let ray = wrist.lerp(joints[5], 0.72);
        add(Part::Palm, fold, ray, 0.0085, 0.0085, palmar);

        for finger in 0..5_u8 {
            let first = 1 + 4 * finger as usize;
            for bone in 1..4_u8 {
                if finger == 0 && bone == 1 {
                    continue; // the ball of the thumb
                }
                let i = first + bone as usize;
                let (a, b) = (joints[i - 1], joints[i]);
                let along = (b - a).normalized();
                let towards = if finger == 0 {
                    // The thumb's pad looks at the fingers' roots.
                    joints[9] + palmar * (0.02 * s) - b
                } else {
                    // At a right angle to the bone and to the row of knuckles.
                    (joints[5] - joints[17]).cross(along) * mirror
                };
                let towards = (towards - along * towards.dot(along)).normalized();
                let radii = RADII[finger as usize];
                add(
                    Part::Finger(finger, bone),
                    a,
                    b,
                    radii[bone as usize - 1],
                    radii[bone as usize],
                    towards,
                );
            }
        }

        for sign in [-1.0, 1.0] {
            let cuff = wrist + (arm * 0.125 + side * (0.012 * sign)) * s;
            let end = hand.elbow + side * (0.016 * sign * s);
            add(Part::Sleeve, cuff, end, 0.0305, 0.050, palmar);
        }
    }

    /// Distance from `p` to the skin, counting only the capsules in `list`, which is in order.
    pub fn distance(&self, list: &[u8], p: Vec3) -> f32 {
        let mut body = FAR;
        let mut nearest = FAR;
        let mut limb_now = 0;
        let mut limb = FAR;
        for &i in list {
            let capsule = &self.capsules[i as usize];
            let d = capsule.distance(p);
            let of = capsule.part.limb();
            if of == 0 {
                body = melt(body, d, MELT_PALM);
                continue;
            }
            if of != limb_now {
                nearest = nearest.min(melt(body, limb, MELT_ROOT));
                limb_now = of;
                limb = FAR;
            }
            limb = melt(limb, d, MELT_FINGER);
        }
        nearest.min(melt(body, limb, MELT_ROOT))
    }

    /// The capsule of `list` whose surface is nearest to `p`.
    pub fn nearest(&self, list: &[u8], p: Vec3) -> Option<&Capsule> {
        list.iter()
            .map(|&i| &self.capsules[i as usize])
            .min_by(|a, b| a.distance(p).total_cmp(&b.distance(p)))
    }

    /// The direction away from the skin at `p`.
    pub fn normal(&self, list: &[u8], p: Vec3) -> Vec3 {
        const STEP: f32 = 7e-4;
        let mut sum = Vec3::default();
        for corner in [
            vec3(1.0, -1.0, -1.0),
            vec3(-1.0, -1.0, 1.0),
            vec3(-1.0, 1.0, -1.0),
            vec3(1.0, 1.0, 1.0),
        ] {
            sum += corner * self.distance(list, p + corner * STEP);
        }
        let length = sum.length();
        if length > 0.0 {
            sum * (1.0 / length)
        } else {
            vec3(0.0, 0.0, -1.0)
        }
    }
}
