//! Sampling a network's input straight from a frame in its own pixel format.
//!
//! One pass over the input's pixels: each is mapped into the frame, its four neighbours there are
//! read and mixed (bilinear), and the mixture is converted to RGB. Nothing is copied or converted
//! beforehand, and no pixel outside of the region is read.

use super::region::{Region, rotate};
use crate::camera::{Image, PixelFormat, Range};

/// What lies outside of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// Black.
    Black,
    /// The frame's outermost pixels go on.
    Replicate,
}

/// Samples `region` of `image` into `input`: the R, G and B planes of `side` x `side` numbers in
/// 0..1. Doesn't allocate. Bytes that the image's planes lack
/// are taken as zeros.
///
/// # Panics
/// If `input` isn't `3 * side * side` long.
pub fn sample(image: &Image<'_>, region: &Region, border: Border, side: usize, input: &mut [f32]) {
    assert_eq!(input.len(), 3 * side * side);
    if image.width == 0 || image.height == 0 {
        return input.fill(0.0);
    }
    let planes = image.planes;
    let strides = image.strides;
    let warp = Warp {
        region,
        border,
        side,
        colour: Colour::of(image),
        width: image.width as i32,
        height: image.height as i32,
    };
    match image.format {
        PixelFormat::Yuyv => warp.run(&Packed422::<0, 1>::new(planes[0], strides[0]), input),
        PixelFormat::Uyvy => warp.run(&Packed422::<1, 0>::new(planes[0], strides[0]), input),
        PixelFormat::Nv12 | PixelFormat::Nv21 => warp.run(&SemiPlanar { planes, strides }, input),
        PixelFormat::Yu12 => warp.run(&Planar::<1, 1> { planes, strides }, input),
        PixelFormat::Yuv422 => warp.run(&Planar::<1, 0> { planes, strides }, input),
        PixelFormat::Yuv444 => warp.run(&Planar::<0, 0> { planes, strides }, input),
        PixelFormat::Grey => warp.run(&Grey { planes, strides }, input),
        PixelFormat::Rgb3 | PixelFormat::Bgr3 => warp.run(&Packed24 { planes, strides }, input),
    }
}

/// The pixels of one format.
trait Pixels {
    /// The code values at a pixel inside of the frame, in the format's own order.
    fn at(&self, x: usize, y: usize) -> [f32; 3];
}

/// The byte at an offset, or zero if a plane is shorter than it should be.
fn byte(plane: &[u8], offset: usize) -> f32 {
    f32::from(plane.get(offset).copied().unwrap_or(0))
}

/// Y at `LUMA` + 0, 2 of each four bytes; U and V at `CHROMA` + 0, 2.
struct Packed422<'a, const LUMA: usize, const CHROMA: usize> {
    plane: &'a [u8],
    stride: usize,
}

impl<'a, const LUMA: usize, const CHROMA: usize> Packed422<'a, LUMA, CHROMA> {
    fn new(plane: &'a [u8], stride: usize) -> Self {
        Self { plane, stride }
    }
}

impl<const LUMA: usize, const CHROMA: usize> Pixels for Packed422<'_, LUMA, CHROMA> {
    #[inline]
    fn at(&self, x: usize, y: usize) -> [f32; 3] {
        let row = y * self.stride;
        let pair = row + x / 2 * 4 + CHROMA;
        [
            byte(self.plane, row + x * 2 + LUMA),
            byte(self.plane, pair),
            byte(self.plane, pair + 2),
        ]
    }
}

/// A plane of Y and one of interleaved chroma at half size.
struct SemiPlanar<'a> {
    planes: [&'a [u8]; 3],
    strides: [usize; 3],
}

impl Pixels for SemiPlanar<'_> {
    #[inline]
    fn at(&self, x: usize, y: usize) -> [f32; 3] {
        let pair = y / 2 * self.strides[1] + x / 2 * 2;
        [
            byte(self.planes[0], y * self.strides[0] + x),
            byte(self.planes[1], pair),
            byte(self.planes[1], pair + 1),
        ]
    }
}

/// Three planes, chroma reduced by the shifts.
struct Planar<'a, const SHIFT_X: usize, const SHIFT_Y: usize> {
    planes: [&'a [u8]; 3],
    strides: [usize; 3],
}

impl<const SHIFT_X: usize, const SHIFT_Y: usize> Pixels for Planar<'_, SHIFT_X, SHIFT_Y> {
    #[inline]
    fn at(&self, x: usize, y: usize) -> [f32; 3] {
        let (cx, cy) = (x >> SHIFT_X, y >> SHIFT_Y);
        [
            byte(self.planes[0], y * self.strides[0] + x),
            byte(self.planes[1], cy * self.strides[1] + cx),
            byte(self.planes[2], cy * self.strides[2] + cx),
        ]
    }
}

struct Grey<'a> {
    planes: [&'a [u8]; 3],
    strides: [usize; 3],
}

impl Pixels for Grey<'_> {
    #[inline]
    fn at(&self, x: usize, y: usize) -> [f32; 3] {
        let luma = byte(self.planes[0], y * self.strides[0] + x);
        [luma, NEUTRAL_CHROMA, NEUTRAL_CHROMA]
    }
}

struct Packed24<'a> {
    planes: [&'a [u8]; 3],
    strides: [usize; 3],
}

impl Pixels for Packed24<'_> {
    #[inline]
    fn at(&self, x: usize, y: usize) -> [f32; 3] {
        let offset = y * self.strides[0] + x * 3;
        [0, 1, 2].map(|i| byte(self.planes[0], offset + i))
    }
}

const NEUTRAL_CHROMA: f32 = 128.0;

/// From code values to RGB in 0..1: `matrix * (code - black)`.
struct Colour {
    black: [f32; 3],
    matrix: [[f32; 3]; 3],
}

impl Colour {
    fn of(image: &Image<'_>) -> Self {
        const ONE: f32 = 1.0 / 255.0;
        let (black, luma, chroma) = match image.range {
            Range::Limited => (16.0, 1.0 / 219.0, 1.0 / 224.0),
            Range::Full => (0.0, ONE, ONE),
        };
        // ITU-R BT.601.
        let r_v = 1.402 * chroma;
        let b_u = 1.772 * chroma;
        let g_u = -0.344_136 * chroma;
        let g_v = -0.714_136 * chroma;
        let yuv = Self {
            black: [black, NEUTRAL_CHROMA, NEUTRAL_CHROMA],
            matrix: [[luma, 0.0, r_v], [luma, g_u, g_v], [luma, b_u, 0.0]],
        };
        let rgb = Self {
            black: [0.0; 3],
            matrix: [[ONE, 0.0, 0.0], [0.0, ONE, 0.0], [0.0, 0.0, ONE]],
        };
        match image.format {
            PixelFormat::Rgb3 => rgb,
            PixelFormat::Bgr3 => Self {
                matrix: rgb.matrix.map(|[a, b, c]| [c, b, a]),
                ..rgb
            },
            PixelFormat::Nv21 => Self {
                matrix: yuv.matrix.map(|[y, u, v]| [y, v, u]),
                ..yuv
            },
            _ => yuv,
        }
    }

    #[inline]
    fn rgb(&self, code: [f32; 3]) -> [f32; 3] {
        let [a, b, c] = [0, 1, 2].map(|i| code[i] - self.black[i]);
        self.matrix
            .map(|m| (m[0] * a + m[1] * b + m[2] * c).clamp(0.0, 1.0))
    }
}

struct Warp<'a> {
    region: &'a Region,
    border: Border,
    side: usize,
    colour: Colour,
    width: i32,
    height: i32,
}

impl Warp<'_> {
    fn run<P: Pixels>(&self, pixels: &P, input: &mut [f32]) {
        let step = self.region.side_px / self.side as f32;
        let [right_x, right_y] = rotate([step, 0.0], self.region.rotation);
        let [down_x, down_y] = rotate([0.0, step], self.region.rotation);
        let [left, top] = self.region.project([0.0, 0.0]);

        let (red, rest) = input.split_at_mut(self.side * self.side);
        let (green, blue) = rest.split_at_mut(self.side * self.side);
        let rows = red
            .chunks_exact_mut(self.side)
            .zip(green.chunks_exact_mut(self.side))
            .zip(blue.chunks_exact_mut(self.side));
        for (j, ((red, green), blue)) in rows.enumerate() {
            let row_x = left + down_x * j as f32;
            let row_y = top + down_y * j as f32;
            for (i, ((red, green), blue)) in red.iter_mut().zip(green).zip(blue).enumerate() {
                let x = row_x + right_x * i as f32;
                let y = row_y + right_y * i as f32;
                [*red, *green, *blue] = self.colour.rgb(self.bilinear(pixels, x, y));
            }
        }
    }

    /// The code values at a point between pixels.
    #[inline]
    fn bilinear<P: Pixels>(&self, pixels: &P, x: f32, y: f32) -> [f32; 3] {
        let (x0, y0) = (x.floor(), y.floor());
        let (right, bottom) = (x - x0, y - y0);
        let (x0, y0) = (x0 as i32, y0 as i32);
        let inside = x0 >= 0 && y0 >= 0 && x0 < self.width - 1 && y0 < self.height - 1;
        let taps = if inside {
            let (x0, y0) = (x0 as usize, y0 as usize);
            [
                pixels.at(x0, y0),
                pixels.at(x0 + 1, y0),
                pixels.at(x0, y0 + 1),
                pixels.at(x0 + 1, y0 + 1),
            ]
        } else {
            let (x1, y1) = (x0.saturating_add(1), y0.saturating_add(1));
            [(x0, y0), (x1, y0), (x0, y1), (x1, y1)].map(|(x, y)| self.at_border(pixels, x, y))
        };
        let weights = [
            (1.0 - right) * (1.0 - bottom),
            right * (1.0 - bottom),
            (1.0 - right) * bottom,
            right * bottom,
        ];
        [0, 1, 2].map(|i| {
            weights[0] * taps[0][i]
                + weights[1] * taps[1][i]
                + weights[2] * taps[2][i]
                + weights[3] * taps[3][i]
        })
    }

    #[cold]
    fn at_border<P: Pixels>(&self, pixels: &P, x: i32, y: i32) -> [f32; 3] {
        let inside_x = x.clamp(0, self.width - 1);
        let inside_y = y.clamp(0, self.height - 1);
        if self.border == Border::Black && (x, y) != (inside_x, inside_y) {
            return self.colour.black;
        }
        pixels.at(inside_x as usize, inside_y as usize)
    }
}
