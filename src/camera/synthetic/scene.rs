//! What the camera sees besides the hand's posture: view, person, light and room.

use super::geometry::{Rotation, Vec3, vec3};
use super::movement::Posture;
use super::skeleton::PALM_CENTRE;
use crate::pose::{Handedness, LANDMARKS};

/// Size, rate and angle of the virtual camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Frames a second.
    pub fps: f32,
    /// Horizontal angle of view.
    pub fov_degrees: f32,
    /// How steeply it looks up at the hand.
    pub pitch_degrees: f32,
    /// How far the picture is turned clockwise.
    pub roll_degrees: f32,
}

impl Default for View {
    fn default() -> Self {
        Self {
            size: (320, 240),
            fps: 30.0,
            fov_degrees: 60.0,
            pitch_degrees: 0.0,
            roll_degrees: 0.0,
        }
    }
}

impl View {
    /// Focal length in pixels.
    pub fn focal_px(&self) -> f32 {
        self.size.0 as f32 / 2.0 / (self.fov_degrees.to_radians() / 2.0).tan()
    }

    /// Where a point of the camera's space is in the picture, in pixels.
    pub fn project(&self, p: Vec3) -> (f32, f32) {
        let k = self.focal_px() / p.z.max(NEAREST);
        (
            self.size.0 as f32 / 2.0 + p.x * k,
            self.size.1 as f32 / 2.0 + p.y * k,
        )
    }

    /// A hand that is held up before a level camera at `centre`, as this camera sees it.
    pub fn seen(&self, mut posture: Posture, centre: Vec3, hand: Handedness) -> Posture {
        // A left hand is laid out in a mirror.
        let (centre, roll) = match hand {
            Handedness::Right => (centre, self.roll_degrees),
            Handedness::Left => (centre.mirrored(), -self.roll_degrees),
        };
        let turn = Rotation::about(vec3(1.0, 0.0, 0.0), -self.pitch_degrees)
            .then(Rotation::about(vec3(0.0, 0.0, 1.0), roll));
        posture.palm = centre + turn.apply(posture.palm - centre);
        posture.facing = posture.facing.then(turn);
        posture.elbow = turn.apply(posture.elbow);
        posture
    }

    /// The point that is seen at `x, y` (0..1) from `distance` metres.
    pub fn point_at(&self, (x, y): (f32, f32), distance: f32) -> Vec3 {
        let k = distance / self.focal_px();
        vec3(
            (x - 0.5) * self.size.0 as f32 * k,
            (y - 0.5) * self.size.1 as f32 * k,
            distance,
        )
    }
}

/// Points nearer than this are not drawn, in metres.
pub(super) const NEAREST: f32 = 0.05;

/// Who shows their hand, and where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    pub hand: Handedness,
    /// Skin tone, 1 (light) to [`SKINS`](super::render::SKINS) (dark).
    pub skin: u8,
    /// Size of the hand; 1 is a man's.
    pub hand_size: f32,
    /// Brightness of the room; 1 is a well-lit one.
    pub light: f32,
    /// Where its lamp is, seen from the hand.
    pub lamp: Vec3,
    /// Which background, 0 to 5.
    pub background: u8,
    /// Standard deviation of the sensor's noise; 1 is full scale.
    pub noise: f32,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            hand: Handedness::Right,
            skin: 2,
            hand_size: 1.0,
            light: 1.0,
            lamp: vec3(-0.45, -0.70, -0.556),
            background: 1,
            noise: 0.006,
        }
    }
}

impl Look {
    /// With the lamp so many degrees to the right of the camera, as high as ever.
    pub fn with_lamp(mut self, degrees: f32) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let level = self.lamp.x.hypot(self.lamp.z);
        self.lamp = vec3(level * sin, self.lamp.y, -level * cos);
        self
    }
}

/// Length of the sleeve, in metres; long enough to leave the picture.
const SLEEVE: f32 = 0.45;

/// A hand in the camera's space.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlacedHand {
    pub handedness: Handedness,
    /// The 21 joints in MediaPipe's order, in metres.
    pub joints: [Vec3; LANDMARKS],
    /// The far end of the arm.
    pub elbow: Vec3,
    pub scale: f32,
    facing: Rotation,
    wrist: Vec3,
}

impl PlacedHand {
    /// Puts a hand of the given side and size where the posture says.
    pub fn new(posture: &Posture, handedness: Handedness, scale: f32) -> Self {
        let wrist = posture.palm - posture.facing.apply(PALM_CENTRE) * scale;
        let mut hand = Self {
            handedness,
            joints: posture.angles.joints(),
            elbow: Vec3::default(),
            scale,
            facing: posture.facing,
            wrist,
        };
        hand.joints = hand.joints.map(|j| hand.place(j));
        hand.elbow = hand.sided(wrist + posture.elbow.normalized() * (SLEEVE * scale));
        hand
    }

    /// From the hand's own space to the camera's.
    pub fn place(&self, local: Vec3) -> Vec3 {
        self.sided(self.wrist + self.facing.apply(local) * self.scale)
    }

    /// A direction of the hand's own space in the camera's.
    pub fn direction(&self, local: Vec3) -> Vec3 {
        self.sided(self.facing.apply(local))
    }

    /// From the camera's space to the hand's own.
    pub fn in_own_space(&self, p: Vec3) -> Vec3 {
        self.facing.inverse().apply(self.sided(p) - self.wrist) * (1.0 / self.scale)
    }

    /// A left hand is a right hand in a mirror.
    fn sided(&self, p: Vec3) -> Vec3 {
        match self.handedness {
            Handedness::Right => p,
            Handedness::Left => p.mirrored(),
        }
    }
}
