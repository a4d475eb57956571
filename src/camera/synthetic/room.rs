//! What is behind the hand: blurred rooms without anything that looks like a hand.

use super::timeline::mix;

/// Number of backgrounds.
pub(super) const ROOMS: u8 = 6;

/// Colours are sRGB, 0 to 1.
type Colour = [f32; 3];

struct Room {
    top: Colour,
    bottom: Colour,
    things: &'static [Colour],
    /// How many things stand or hang there.
    count: u32,
    /// Width and height of a thing in picture heights.
    extent: (f32, f32),
    /// Width of its blurred edge in picture heights.
    blur: f32,
}

/// A plain wall, a warm wall, a dim room with lamps, shelves, a window, a garden.
const TABLE: [Room; ROOMS as usize] = [
    Room {
        top: [0.80, 0.82, 0.84],
        bottom: [0.66, 0.68, 0.71],
        things: &[],
        count: 0,
        extent: (0.0, 0.0),
        blur: 0.1,
    },
    Room {
        top: [0.58, 0.62, 0.63],
        bottom: [0.40, 0.43, 0.46],
        things: &[[0.70, 0.72, 0.70], [0.36, 0.42, 0.47], [0.52, 0.53, 0.50]],
        count: 7,
        extent: (0.30, 0.34),
        blur: 0.16,
    },
    Room {
        top: [0.10, 0.11, 0.16],
        bottom: [0.05, 0.05, 0.08],
        things: &[[0.85, 0.62, 0.30], [0.30, 0.42, 0.65], [0.55, 0.30, 0.25]],
        count: 14,
        extent: (0.05, 0.05),
        blur: 0.05,
    },
    Room {
        top: [0.42, 0.36, 0.30],
        bottom: [0.28, 0.23, 0.19],
        things: &[
            [0.55, 0.20, 0.16],
            [0.18, 0.30, 0.42],
            [0.62, 0.58, 0.45],
            [0.20, 0.34, 0.24],
        ],
        count: 40,
        extent: (0.03, 0.12),
        blur: 0.025,
    },
    Room {
        top: [0.93, 0.96, 1.00],
        bottom: [0.62, 0.64, 0.66],
        things: &[[0.55, 0.55, 0.56], [0.97, 0.98, 1.0]],
        count: 8,
        extent: (0.10, 0.55),
        blur: 0.06,
    },
    Room {
        top: [0.62, 0.76, 0.90],
        bottom: [0.20, 0.34, 0.14],
        things: &[[0.28, 0.46, 0.18], [0.14, 0.26, 0.10], [0.50, 0.60, 0.28]],
        count: 30,
        extent: (0.10, 0.08),
        blur: 0.09,
    },
];

/// Draws background `room` into `pixels`, three values a pixel from 0 to 1.
pub(super) fn draw(room: u8, (width, height): (u32, u32), pixels: &mut [f32]) {
    let table = &TABLE[usize::from(room.min(ROOMS - 1))];
    let (w, h) = (width as f32, height as f32);
    let aspect = w / h;
    for (y, row) in pixels.chunks_exact_mut(width as usize * 3).enumerate() {
        let down = y as f32 / h;
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            let (dx, dy) = ((x as f32 / w - 0.5), (down - 0.5));
            let vignette = 1.0 - 0.35 * (dx * dx + dy * dy);
            for (c, value) in pixel.iter_mut().enumerate() {
                *value = (table.top[c] + (table.bottom[c] - table.top[c]) * down) * vignette;
            }
        }
    }
    for i in 0..table.count {
        let draw =
            |salt: u32| (mix(i * 8 + salt + u32::from(room) * 1000) >> 8) as f32 / 16_777_216.0;
        let colour = table.things[(draw(0) * table.things.len() as f32) as usize];
        let (cx, cy) = (draw(1) * aspect, draw(2));
        let half_w = table.extent.0 * (0.5 + draw(3));
        let half_h = table.extent.1 * (0.5 + draw(4));
        let reach = table.blur;
        let from = |c: f32, half: f32, scale: f32, most: u32| {
            (((c - half - reach) * scale).max(0.0) as usize).min(most as usize)
        };
        let to = |c: f32, half: f32, scale: f32, most: u32| {
            (((c + half + reach) * scale).max(0.0) as usize).min(most as usize)
        };
        for y in from(cy, half_h, h, height)..to(cy, half_h, h, height) {
            for x in from(cx, half_w, h, width)..to(cx, half_w, h, width) {
                let over_x = (x as f32 / h - cx).abs() - half_w;
                let over_y = (y as f32 / h - cy).abs() - half_h;
                let edge = |over: f32| {
                    let t = (0.5 - over / (2.0 * reach)).clamp(0.0, 1.0);
                    t * t * (3.0 - 2.0 * t)
                };
                let cover = 0.8 * edge(over_x) * edge(over_y);
                let pixel = &mut pixels[(y * width as usize + x) * 3..][..3];
                for (value, colour) in pixel.iter_mut().zip(colour) {
                    *value += (colour - *value) * cover;
                }
            }
        }
    }
}
