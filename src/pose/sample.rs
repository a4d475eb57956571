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
        PixelFormat::Yuyv => warp.run(&Packed422::<0, 1> { planes, strides }, input),
        PixelFormat::Uyvy => warp.run(&Packed422::<1, 0> { planes, strides }, input),
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
    planes: [&'a [u8]; 3],
    strides: [usize; 3],
}

impl<const LUMA: usize, const CHROMA: usize> Pixels for Packed422<'_, LUMA, CHROMA> {
    #[inline]
    fn at(&self, x: usize, y: usize) -> [f32; 3] {
        let row = y * self.strides[0];
        let pair = row + x / 2 * 4 + CHROMA;
        [
            byte(self.planes[0], row + x * 2 + LUMA),
            byte(self.planes[0], pair),
            byte(self.planes[0], pair + 2),
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

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [PixelFormat; 10] = [
        PixelFormat::Yuyv,
        PixelFormat::Uyvy,
        PixelFormat::Nv12,
        PixelFormat::Nv21,
        PixelFormat::Yu12,
        PixelFormat::Yuv422,
        PixelFormat::Yuv444,
        PixelFormat::Grey,
        PixelFormat::Rgb3,
        PixelFormat::Bgr3,
    ];

    /// A smooth picture: R, G and B at a pixel.
    type Picture = fn(usize, usize) -> [u8; 3];

    fn colourful(x: usize, y: usize) -> [u8; 3] {
        [x as u8 * 3 + 40, y as u8 * 5 + 30, 200 - x as u8 * 2]
    }

    fn grey(x: usize, y: usize) -> [u8; 3] {
        [(x * 2 + y * 3 + 20) as u8; 3]
    }

    /// Y, U and V by BT.601.
    fn yuv([r, g, b]: [u8; 3], range: Range) -> [u8; 3] {
        let [r, g, b] = [r, g, b].map(f64::from);
        let y = 0.299 * r + 0.587 * g + 0.114 * b;
        let (u, v) = ((b - y) / 1.772, (r - y) / 1.402);
        let [y, u, v] = match range {
            Range::Full => [y, u + 128.0, v + 128.0],
            Range::Limited => [
                y * 219.0 / 255.0 + 16.0,
                u * 224.0 / 255.0 + 128.0,
                v * 224.0 / 255.0 + 128.0,
            ],
        };
        [y, u, v].map(|code| code.round() as u8)
    }

    /// The picture in a format, with `padding` bytes after each row that must not be seen.
    fn encode(
        picture: Picture,
        format: PixelFormat,
        range: Range,
        (width, height): (usize, usize),
        padding: usize,
    ) -> ([Vec<u8>; 3], [usize; 3]) {
        let rgb = |x: usize, y: usize| picture(x.min(width - 1), y.min(height - 1));
        let code = |x, y| yuv(rgb(x, y), range);
        let layout = format.plane_layout(width, height);
        let mut strides = [0; 3];
        let planes = std::array::from_fn(|p| {
            let (row, rows) = layout[p];
            strides[p] = row + padding;
            let byte = |i: usize, y: usize| match (format, p) {
                (PixelFormat::Yuyv, _) => match i % 4 {
                    1 => code(i / 4 * 2, y)[1],
                    3 => code(i / 4 * 2, y)[2],
                    _ => code(i / 2, y)[0],
                },
                (PixelFormat::Uyvy, _) => match i % 4 {
                    0 => code(i / 4 * 2, y)[1],
                    2 => code(i / 4 * 2, y)[2],
                    _ => code(i / 2, y)[0],
                },
                (PixelFormat::Rgb3, _) => rgb(i / 3, y)[i % 3],
                (PixelFormat::Bgr3, _) => rgb(i / 3, y)[2 - i % 3],
                (_, 0) => code(i, y)[0],
                (PixelFormat::Nv12, _) => code(i / 2 * 2, y * 2)[1 + i % 2],
                (PixelFormat::Nv21, _) => code(i / 2 * 2, y * 2)[2 - i % 2],
                (PixelFormat::Yu12, p) => code(i * 2, y * 2)[p],
                (PixelFormat::Yuv422, p) => code(i * 2, y)[p],
                (_, p) => code(i, y)[p],
            };
            let mut plane = Vec::new();
            for y in 0..rows {
                plane.extend((0..row).map(|i| byte(i, y)));
                plane.extend(std::iter::repeat_n(0x5a, padding));
            }
            plane
        });
        (planes, strides)
    }

    fn sampled(
        picture: Picture,
        format: PixelFormat,
        range: Range,
        (width, height): (usize, usize),
        region: &Region,
        border: Border,
    ) -> Vec<f32> {
        let (planes, strides) = encode(picture, format, range, (width, height), 7);
        let image = Image {
            format,
            range,
            width,
            height,
            planes: [&planes[0], &planes[1], &planes[2]],
            strides,
        };
        let mut input = vec![f32::NAN; 3 * 16 * 16];
        sample(&image, region, border, 16, &mut input);
        input
    }

    const TURNED: Region = Region {
        center_px: [20.0, 12.0],
        side_px: 40.0,
        rotation: 0.7,
    };

    #[test]
    fn every_format_shows_the_same_picture() {
        let size = (37, 23);
        for border in [Border::Black, Border::Replicate] {
            for format in FORMATS {
                let picture = match format {
                    PixelFormat::Grey => grey,
                    _ => colourful,
                };
                let rgb = PixelFormat::Rgb3;
                let expected = sampled(picture, rgb, Range::Full, size, &TURNED, border);
                for range in [Range::Full, Range::Limited] {
                    let got = sampled(picture, format, range, size, &TURNED, border);
                    let differences = got.iter().zip(&expected).map(|(a, b)| (a - b).abs());
                    // Reduced chroma is off by up to a pixel, which is 5 steps of 255.
                    let most = differences.fold(0.0, f32::max);
                    assert!(most < 0.025, "{format:?} {range:?} {border:?}: {most}");
                }
            }
        }
    }

    #[test]
    fn a_region_of_the_inputs_size_gives_the_pixels_themselves() {
        let region = Region::letterbox(16, 16);
        let rgb = PixelFormat::Rgb3;
        let input = sampled(
            colourful,
            rgb,
            Range::Full,
            (16, 16),
            &region,
            Border::Black,
        );
        for y in 0..16 {
            for x in 0..16 {
                for (plane, value) in colourful(x, y).into_iter().enumerate() {
                    let got = input[(plane * 16 + y) * 16 + x];
                    assert!((got - f32::from(value) / 255.0).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn outside_is_black_or_goes_on() {
        for format in FORMATS {
            let white: Picture = |_, _| [255; 3];
            // 32 x 8: the letterbox has three quarters of border.
            let region = Region::letterbox(32, 8);
            let range = Range::Limited;
            let black = sampled(white, format, range, (32, 8), &region, Border::Black);
            let row = |input: &[f32], y: usize| input[y * 16..][..16].iter().sum::<f32>() / 16.0;
            for (y, expected) in [(0, 0.0), (5, 0.0), (7, 1.0), (10, 0.0), (15, 0.0)] {
                assert!((row(&black, y) - expected).abs() < 0.01, "{format:?} {y}");
            }
            let on = sampled(white, format, range, (32, 8), &region, Border::Replicate);
            assert!(on.iter().all(|v| *v > 0.99), "{format:?}");
        }
    }

    #[test]
    fn absurd_sizes_and_short_planes_are_survived() {
        for format in FORMATS {
            for size in [(1, 1), (1, 900), (8192, 3), (3, 2)] {
                for region in [
                    Region::letterbox(size.0, size.1),
                    TURNED,
                    Region {
                        center_px: [-1e9, 1e9],
                        side_px: 1e30,
                        rotation: -3.0,
                    },
                ] {
                    let input =
                        sampled(grey, format, Range::Full, size, &region, Border::Replicate);
                    assert!(input.iter().all(|v| (0.0..=1.0).contains(v)));
                }
            }
            for (width, height) in [(0, 0), (64, 64)] {
                let short = Image {
                    format,
                    range: Range::Full,
                    width,
                    height,
                    planes: [&[1, 2, 3], &[4], &[]],
                    strides: [64, 64, 64],
                };
                let mut input = [f32::NAN; 3 * 4];
                sample(&short, &TURNED, Border::Black, 2, &mut input);
                assert!(input.iter().all(|v| v.is_finite()));
            }
        }
    }
}
