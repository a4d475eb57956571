//! Draws the hand: rays are traced through the distance field of its flesh (sphere tracing,
//! Hart 1996), only where the hand is, and lit by one lamp and the room.

use super::flesh::{CAPSULES, Capsule, Flesh, Part};
use super::geometry::{Vec3, vec3};
use super::room;
use super::scene::{Look, NEAREST, PlacedHand, View};
use super::timeline::{Moment, mix};

/// Number of skin tones.
pub(super) const SKINS: u8 = 6;

/// Skin tones from light to dark: the back of the hand and its palm, as sRGB.
const TONES: [[[f32; 3]; 2]; SKINS as usize] = [
    [[0.92, 0.77, 0.68], [0.94, 0.76, 0.69]],
    [[0.86, 0.67, 0.55], [0.90, 0.69, 0.60]],
    [[0.76, 0.55, 0.42], [0.84, 0.62, 0.51]],
    [[0.63, 0.43, 0.31], [0.76, 0.54, 0.43]],
    [[0.47, 0.31, 0.22], [0.68, 0.47, 0.37]],
    [[0.33, 0.21, 0.155], [0.60, 0.41, 0.33]],
];
const SLEEVE: [f32; 3] = [0.20, 0.27, 0.40];
const NAIL: [f32; 3] = [0.95, 0.76, 0.70];

/// Side of the squares of pixels that share a list of capsules.
const TILE: usize = 8;
/// Capsules that influence a point lie no farther from it than this, in metres.
const INFLUENCE: f32 = 0.007;
/// How far ambient occlusion looks.
const OCCLUSION: f32 = 0.011;
/// A ray that is this near has hit.
const HIT: f32 = 3e-4;
const MOST_STEPS: u32 = 56;

/// Draws moments of a script into a buffer of its own. Allocates only when the size changes.
#[derive(Debug, Clone)]
pub(super) struct Renderer {
    view: View,
    seed: u32,
    /// The picture, R G B.
    pixels: Vec<u8>,
    /// The background before light, and which one it is.
    room: Vec<f32>,
    room_drawn: Option<u8>,
    flesh: Flesh,
}

/// Capsules that matter in one tile, in order.
type List = heapless::Vec<u8, CAPSULES>;

/// A capsule's outline in the picture.
#[derive(Clone, Copy)]
struct Outline {
    a: (f32, f32),
    b: (f32, f32),
    radius: f32,
    near: f32,
    far: f32,
    /// Pixels that one metre covers at its nearest point.
    per_metre: f32,
}

impl Renderer {
    pub fn new(view: View, seed: u32) -> Self {
        let pixels = view.size.0 as usize * view.size.1 as usize;
        Self {
            view,
            seed,
            pixels: vec![0; pixels * 3],
            room: vec![0.0; pixels * 3],
            room_drawn: None,
            flesh: Flesh::default(),
        }
    }

    /// Draws one moment; `seq` makes each frame's noise its own. Returns rows of R G B.
    pub fn draw(&mut self, moment: &Moment, seq: u64) -> &[u8] {
        let look = &moment.look;
        if self.room_drawn != Some(look.background) {
            room::draw(look.background, self.view.size, &mut self.room);
            self.room_drawn = Some(look.background);
        }
        // Light is linear; square and root stand in for the transfer function.
        let gain = look.light.sqrt() * 255.0;
        for (pixel, room) in self.pixels.iter_mut().zip(&self.room) {
            *pixel = (room * gain) as u8;
        }
        if let Some((hand, _)) = &moment.hand {
            self.draw_hand(hand, look);
        }
        if look.noise > 0.0 {
            self.add_noise(look.noise, seq);
        }
        &self.pixels
    }

    fn draw_hand(&mut self, hand: &PlacedHand, look: &Look) {
        let mut flesh = std::mem::take(&mut self.flesh);
        flesh.dress(hand);
        let mut outlines: heapless::Vec<Outline, CAPSULES> = heapless::Vec::new();
        for capsule in &flesh.capsules {
            // The lists are as long as the capsules.
            let _ = outlines.push(self.outline(capsule));
        }
        let (width, height) = (self.view.size.0 as usize, self.view.size.1 as usize);
        let bounds = |low: fn(&Outline) -> f32, high: fn(&Outline) -> f32, most: usize| {
            let from = outlines.iter().map(low).fold(f32::MAX, f32::min);
            let to = outlines.iter().map(high).fold(f32::MIN, f32::max);
            let from = (from.max(0.0) as usize).min(most) / TILE * TILE;
            (from, (to.max(0.0).ceil() as usize).min(most))
        };
        let (left, right) = bounds(
            |o| o.a.0.min(o.b.0) - o.radius,
            |o| o.a.0.max(o.b.0) + o.radius,
            width,
        );
        let (top, bottom) = bounds(
            |o| o.a.1.min(o.b.1) - o.radius,
            |o| o.a.1.max(o.b.1) + o.radius,
            height,
        );
        let paint = Paint::new(hand, look, &flesh);
        for y in (top..bottom).step_by(TILE) {
            for x in (left..right).step_by(TILE) {
                self.draw_tile(&paint, &outlines, (x, y));
            }
        }
        self.flesh = flesh;
    }

    fn outline(&self, capsule: &Capsule) -> Outline {
        let (near, far) = capsule.depths();
        let per_metre = self.view.focal_px() / near.max(NEAREST);
        let radius = capsule.ra.max(capsule.rb);
        Outline {
            a: self.view.project(capsule.a),
            b: self.view.project(capsule.b),
            // Off the axis of the view a ball looks wider than its radius.
            radius: radius * per_metre * 1.15,
            near,
            far,
            per_metre,
        }
    }

    fn draw_tile(&mut self, paint: &Paint, outlines: &[Outline], (left, top): (usize, usize)) {
        let half = TILE as f32 / 2.0;
        let centre = (left as f32 + half, top as f32 + half);
        let (mut list, mut wide) = (List::new(), List::new());
        let (mut near, mut far) = (f32::MAX, 0.0_f32);
        for (i, outline) in (0..).zip(outlines) {
            let gap = distance_to_segment(centre, outline.a, outline.b)
                - outline.radius
                - half * std::f32::consts::SQRT_2;
            if gap < INFLUENCE * outline.per_metre {
                let _ = list.push(i);
                near = near.min(outline.near);
                far = far.max(outline.far);
            }
            if gap < (2.0 * OCCLUSION + INFLUENCE) * outline.per_metre {
                let _ = wide.push(i);
            }
        }
        if list.is_empty() {
            return;
        }
        let (width, height) = (self.view.size.0 as usize, self.view.size.1 as usize);
        let focal = self.view.focal_px();
        let span = ((near - 0.01).max(NEAREST), far);
        for y in top..(top + TILE).min(height) {
            for x in left..(left + TILE).min(width) {
                let ray = vec3(
                    x as f32 + 0.5 - width as f32 / 2.0,
                    y as f32 + 0.5 - height as f32 / 2.0,
                    focal,
                )
                .normalized();
                let Some((point, cover)) = trace(paint.flesh, &list, ray, span, 1.0 / focal) else {
                    continue;
                };
                let colour = paint.colour(&list, &wide, point, ray);
                let pixel = &mut self.pixels[(y * width + x) * 3..][..3];
                for (value, light) in pixel.iter_mut().zip(colour) {
                    let seen = light.max(0.0).sqrt().min(1.0) * 255.0;
                    *value = (f32::from(*value) + (seen - f32::from(*value)) * cover) as u8;
                }
            }
        }
    }

    /// Noise of the sensor: mostly in brightness, a little in colour.
    fn add_noise(&mut self, deviation: f32, seq: u64) {
        let frame = mix(self.seed ^ (seq as u32).wrapping_mul(0x9e37_79b9));
        // The sum of two even bytes has a standard deviation of 104.5.
        let scale = deviation * 255.0 / 104.5;
        for (i, pixel) in (0_u32..).zip(self.pixels.chunks_exact_mut(3)) {
            let [a, b, c, d] = mix(frame.wrapping_add(i.wrapping_mul(0x85eb_ca6b)))
                .to_le_bytes()
                .map(f32::from);
            let grey = (a + b - 255.0) * scale;
            let tint = (c - d) * scale * 0.4;
            for (value, noise) in pixel.iter_mut().zip([grey + tint, grey, grey - tint]) {
                *value = (f32::from(*value) + noise + 0.5) as u8;
            }
        }
    }
}

fn distance_to_segment(p: (f32, f32), a: (f32, f32), b: (f32, f32)) -> f32 {
    let (abx, aby) = (b.0 - a.0, b.1 - a.1);
    let (apx, apy) = (p.0 - a.0, p.1 - a.1);
    let h = ((apx * abx + apy * aby) / (abx * abx + aby * aby).max(1e-9)).clamp(0.0, 1.0);
    (apx - abx * h).hypot(apy - aby * h)
}

/// Where a ray meets the skin, and how much of the pixel it covers. `pixel` is the width of a
/// pixel at one metre.
fn trace(
    flesh: &Flesh,
    list: &[u8],
    ray: Vec3,
    span: (f32, f32),
    pixel: f32,
) -> Option<(Vec3, f32)> {
    let mut t = span.0;
    let mut closest = (f32::MAX, t);
    for _ in 0..MOST_STEPS {
        let d = flesh.distance(list, ray * t);
        if d < HIT {
            return Some((ray * t, 1.0));
        }
        let missed_by = d / (t * pixel);
        if missed_by < closest.0 {
            closest = (missed_by, t);
        }
        t += d * 0.95;
        if t > span.1 {
            break;
        }
    }
    (closest.0 < 1.0).then(|| (ray * closest.1, 1.0 - closest.0))
}

/// Everything that decides the colour of a point of skin.
struct Paint<'a> {
    flesh: &'a Flesh,
    hand: &'a PlacedHand,
    light: f32,
    lamp: Vec3,
    back: [f32; 3],
    palm: [f32; 3],
    palm_side: Vec3,
}

/// sRGB to linear light, roughly.
fn linear(colour: [f32; 3]) -> [f32; 3] {
    colour.map(|c| c * c)
}

/// 1 at `centre`, falling to 0 at `width` on both sides.
fn bump(x: f32, centre: f32, width: f32) -> f32 {
    let t = 1.0 - ((x - centre).abs() / width).min(1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The palm's three main lines, as points in the hand's own space.
const LINES: [[(f32, f32); 4]; 3] = [
    [
        (0.030, -0.066),
        (0.013, -0.058),
        (0.006, -0.038),
        (0.010, -0.014),
    ],
    [
        (0.030, -0.067),
        (0.010, -0.060),
        (-0.012, -0.050),
        (-0.030, -0.040),
    ],
    [
        (0.012, -0.084),
        (0.002, -0.074),
        (-0.016, -0.068),
        (-0.040, -0.064),
    ],
];

impl<'a> Paint<'a> {
    fn new(hand: &'a PlacedHand, look: &Look, flesh: &'a Flesh) -> Self {
        let [back, palm] = TONES[usize::from(look.skin.clamp(1, SKINS) - 1)];
        Self {
            flesh,
            hand,
            light: look.light,
            lamp: look.lamp,
            back: linear(back),
            palm: linear(palm),
            palm_side: hand.direction(vec3(0.0, 0.0, -1.0)),
        }
    }

    /// Linear light from a point of the surface towards the camera.
    fn colour(&self, list: &[u8], wide: &[u8], p: Vec3, ray: Vec3) -> [f32; 3] {
        let normal = self.flesh.normal(list, p);
        let Some(capsule) = self.flesh.nearest(list, p) else {
            return [0.0; 3];
        };
        let albedo = self.albedo(capsule, p, normal);
        let mut open = 1.0;
        for (far, weight) in [(0.004, 45.0), (OCCLUSION, 32.0)] {
            let free = self.flesh.distance(wide, p + normal * far);
            open -= (far - free).max(0.0) * weight;
        }
        let open = open.clamp(0.25, 1.0);
        let lamp = ((normal.dot(self.lamp) + 0.25) / 1.25).max(0.0);
        let fill = ((normal.dot(vec3(0.75, -0.1, -0.65)) + 0.4) / 1.4).max(0.0);
        let sky = 0.5 - 0.5 * normal.y;
        let bright = (0.80 * lamp + 0.20 * fill + 0.10 + 0.16 * sky) * (0.35 + 0.65 * open);
        let half = (self.lamp - ray).normalized();
        let shine = if capsule.part == Part::Sleeve {
            0.0
        } else {
            0.05
        };
        let shine = shine * normal.dot(half).max(0.0).powi(24) * open;
        // Light that goes under the skin comes out red where the surface turns away.
        let edge = 1.0 - normal.dot(-ray).clamp(0.0, 1.0);
        let warm = [
            1.0 + 0.10 * (1.0 - open) + 0.04 * edge,
            1.0,
            0.97 - 0.06 * (1.0 - open),
        ];
        std::array::from_fn(|c| (albedo[c] * bright * warm[c] + shine) * self.light)
    }

    fn albedo(&self, capsule: &Capsule, p: Vec3, normal: Vec3) -> [f32; 3] {
        let mut ink = 0.0_f32;
        let palmar;
        let mut colour;
        match capsule.part {
            Part::Sleeve => return linear(SLEEVE),
            Part::Palm => {
                palmar = normal.dot(self.palm_side);
                let own = self.hand.in_own_space(p);
                if palmar > 0.2 {
                    for line in &LINES {
                        let off = line
                            .windows(2)
                            .map(|s| distance_to_segment((own.x, own.y), s[0], s[1]))
                            .fold(f32::MAX, f32::min);
                        ink = ink.max(0.28 * bump(off, 0.0, 0.0028));
                    }
                }
                colour = self.between_back_and_palm(palmar);
            }
            Part::Finger(finger, bone) => {
                palmar = normal.dot(capsule.palmar);
                colour = self.between_back_and_palm(palmar);
                let along = capsule.along(p);
                if palmar > 0.0 {
                    // Creases over the joints.
                    let length = (capsule.b - capsule.a).length();
                    let from_joint = along * length;
                    if bone > 1 || finger == 0 {
                        ink = ink.max(0.30 * bump(from_joint, 0.0, 0.0024));
                    }
                    if bone < 3 {
                        ink = ink.max(0.30 * bump(from_joint, length, 0.0024));
                    }
                }
                let nail = bone == 3 && palmar < -0.70 && (0.42..0.995).contains(&along);
                if nail {
                    let pink = linear(NAIL);
                    for c in 0..3 {
                        colour[c] += (pink[c] - colour[c]) * 0.45;
                    }
                }
            }
        }
        colour.map(|c| c * (1.0 - ink))
    }

    fn between_back_and_palm(&self, palmar: f32) -> [f32; 3] {
        let t = (palmar * 1.4 + 0.5).clamp(0.0, 1.0);
        std::array::from_fn(|c| self.back[c] + (self.palm[c] - self.back[c]) * t)
    }
}
