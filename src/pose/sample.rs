//! Sampling a network's input straight from a frame in its own pixel format.
//!
//! Each of the input's pixels is mapped into the frame, its four neighbours there are read and
//! mixed (bilinear), and the mixture is converted to RGB. Nothing is copied or converted
//! beforehand, and no pixel outside of the region is read.
//!
//! The work is done for a few pixels of a row at a time, in three steps: where they lie, which is
//! arithmetic; fetching the words of the frame around them, the only step that differs from
//! format to format; and mixing and colour, which is arithmetic again. The arithmetic is loops
//! over short arrays, which the compiler turns into vector instructions.

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
/// 0..1. Doesn't allocate. Bytes that the image's planes lack are taken as zeros.
///
/// # Panics
/// If `input` isn't `3 * side * side` long.
pub fn sample(image: &Image<'_>, region: &Region, border: Border, side: usize, input: &mut [f32]) {
    assert_eq!(input.len(), 3 * side * side);
    if image.width == 0 || image.height == 0 {
        return input.fill(0.0);
    }
    Warp::new(image, region, border, side).run_on(image, input);
}

/// Pixels that are worked on at a time.
const LANES: usize = 32;

/// A number for each of them.
type Lanes<T> = [T; LANES];

/// Where the code value of one channel stands: in which of the words, and how many bits up.
#[derive(Clone, Copy)]
struct Place {
    word: usize,
    shift: u32,
}

const fn at(word: usize, shift: u32) -> Place {
    Place { word, shift }
}

/// How the pixels of a format lie in memory.
trait Layout {
    /// The code values of the channels, which are Y, U and V or R, G and B whatever their order in
    /// memory, in the words of [`words`](Self::words): at the left and at the right pixel.
    const CHANNELS: [[Place; 2]; 3];

    /// Whether two pixels side by side share the second and the third channel. The right place of
    /// these channels is then that of the next such pair.
    const SHARED: bool;

    /// The words that hold all of pixel `x` and its right neighbour in row `y`.
    fn words(&self, x: usize, y: usize) -> [u32; 3];
}

/// A plane of bytes. Those that it lacks are zeros.
#[derive(Clone, Copy)]
struct Plane<'a> {
    bytes: &'a [u8],
    stride: usize,
}

impl Plane<'_> {
    /// The `N` bytes of row `y` from byte `x` on.
    #[inline(always)]
    fn read<const N: usize>(&self, x: usize, y: usize) -> [u8; N] {
        let at = y * self.stride + x;
        match self.bytes.get(at..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => *bytes,
            None => self.read_end(at),
        }
    }

    #[cold]
    fn read_end<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|i| self.bytes.get(at + i).copied().unwrap_or(0))
    }

    #[inline(always)]
    fn two(&self, x: usize, y: usize) -> u32 {
        u16::from_le_bytes(self.read(x, y)).into()
    }

    #[inline(always)]
    fn four(&self, x: usize, y: usize) -> u32 {
        u32::from_le_bytes(self.read(x, y))
    }

    #[inline(always)]
    fn eight(&self, x: usize, y: usize) -> u64 {
        u64::from_le_bytes(self.read(x, y))
    }
}

/// Y at `LUMA` + 0, 2 of each four bytes; U and V between.
struct Packed422<'a, const LUMA: u32>(Plane<'a>);

impl<const LUMA: u32> Layout for Packed422<'_, LUMA> {
    const CHANNELS: [[Place; 2]; 3] = [
        [at(0, 8 * LUMA), at(0, 8 * LUMA + 16)],
        [at(1, 8 - 8 * LUMA), at(2, 8 - 8 * LUMA)],
        [at(1, 24 - 8 * LUMA), at(2, 24 - 8 * LUMA)],
    ];
    const SHARED: bool = true;

    #[inline(always)]
    fn words(&self, x: usize, y: usize) -> [u32; 3] {
        let four_pixels = self.0.eight(x / 2 * 4, y);
        let luma = four_pixels >> (x % 2 * 16);
        [luma as u32, four_pixels as u32, (four_pixels >> 32) as u32]
    }
}

/// A plane of Y and one of interleaved chroma at half size, in which U is at byte `U` of each two.
struct SemiPlanar<'a, const U: u32>([Plane<'a>; 2]);

impl<const U: u32> Layout for SemiPlanar<'_, U> {
    const CHANNELS: [[Place; 2]; 3] = [
        [at(0, 0), at(0, 8)],
        [at(1, 8 * U), at(1, 8 * U + 16)],
        [at(1, 8 - 8 * U), at(1, 24 - 8 * U)],
    ];
    const SHARED: bool = true;

    #[inline(always)]
    fn words(&self, x: usize, y: usize) -> [u32; 3] {
        let [luma, chroma] = &self.0;
        [luma.two(x, y), chroma.four(x / 2 * 2, y / 2), 0]
    }
}

/// Three planes, chroma reduced by the shifts.
struct Planar<'a, const SHIFT_X: usize, const SHIFT_Y: usize>([Plane<'a>; 3]);

impl<const SHIFT_X: usize, const SHIFT_Y: usize> Layout for Planar<'_, SHIFT_X, SHIFT_Y> {
    const CHANNELS: [[Place; 2]; 3] = [
        [at(0, 0), at(0, 8)],
        [at(1, 0), at(1, 8)],
        [at(2, 0), at(2, 8)],
    ];
    const SHARED: bool = SHIFT_X == 1;

    #[inline(always)]
    fn words(&self, x: usize, y: usize) -> [u32; 3] {
        let [luma, u, v] = &self.0;
        let (cx, cy) = (x >> SHIFT_X, y >> SHIFT_Y);
        [luma.two(x, y), u.two(cx, cy), v.two(cx, cy)]
    }
}

struct Grey<'a>(Plane<'a>);

impl Layout for Grey<'_> {
    const CHANNELS: [[Place; 2]; 3] = [
        [at(0, 0), at(0, 8)],
        [at(1, 0), at(1, 0)],
        [at(1, 0), at(1, 0)],
    ];
    const SHARED: bool = false;

    #[inline(always)]
    fn words(&self, x: usize, y: usize) -> [u32; 3] {
        [self.0.two(x, y), NEUTRAL_CHROMA as u32, 0]
    }
}

/// Red at byte `RED` of each three, green in the middle.
struct Packed24<'a, const RED: u32>(Plane<'a>);

impl<const RED: u32> Layout for Packed24<'_, RED> {
    const CHANNELS: [[Place; 2]; 3] = [
        [at(0, 8 * RED), at(1, 8 * RED)],
        [at(0, 8), at(1, 8)],
        [at(0, 16 - 8 * RED), at(1, 16 - 8 * RED)],
    ];
    const SHARED: bool = false;

    #[inline(always)]
    fn words(&self, x: usize, y: usize) -> [u32; 3] {
        let two_pixels = self.0.eight(x * 3, y);
        [two_pixels as u32, (two_pixels >> 24) as u32, 0]
    }
}

const NEUTRAL_CHROMA: f32 = 128.0;

/// From code values to RGB in 0..1: `matrix * code + offset`.
struct Colour {
    matrix: [[f32; 3]; 3],
    offset: [f32; 3],
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
        let yuv = [[luma, 0.0, r_v], [luma, g_u, g_v], [luma, b_u, 0.0]];
        let rgb = [[ONE, 0.0, 0.0], [0.0, ONE, 0.0], [0.0, 0.0, ONE]];
        let (black, matrix) = match image.format {
            PixelFormat::Rgb3 | PixelFormat::Bgr3 => ([0.0; 3], rgb),
            _ => ([black, NEUTRAL_CHROMA, NEUTRAL_CHROMA], yuv),
        };
        let offset = matrix.map(|m| -(m[0] * black[0] + m[1] * black[1] + m[2] * black[2]));
        Self { matrix, offset }
    }
}

/// Where a few pixels of the input lie in the frame, along one axis.
struct Spots {
    /// The neighbour before.
    before: Lanes<u32>,
    /// The weight of the one behind it.
    weight: Lanes<f32>,
    /// How much of the pixel is in the frame; the rest is the border.
    inside: Lanes<f32>,
}

impl Spots {
    const NOWHERE: Self = Self {
        before: [0; LANES],
        weight: [0.0; LANES],
        inside: [0.0; LANES],
    };
}

/// The words around a few pixels: three of the upper row, three of the lower one.
type Words = [[Lanes<u32>; 3]; 2];

/// The way from an input's pixel to the frame.
struct Warp {
    border: Border,
    side: usize,
    colour: Colour,
    /// Of the first pixel, and from one to the next and from one row to the next.
    origin: [f32; 2],
    right: [f32; 2],
    down: [f32; 2],
    /// The last pixel of the frame.
    last: [f32; 2],
    /// The last pixel that has a right and a lower neighbour.
    last_pair: [f32; 2],
    #[cfg(target_arch = "x86_64")]
    avx2: bool,
}

impl Warp {
    fn new(image: &Image<'_>, region: &Region, border: Border, side: usize) -> Self {
        let step = region.side_px / side as f32;
        let last = [image.width as f32 - 1.0, image.height as f32 - 1.0];
        Self {
            border,
            side,
            colour: Colour::of(image),
            origin: region.project([0.0, 0.0]),
            right: rotate([step, 0.0], region.rotation),
            down: rotate([0.0, step], region.rotation),
            last,
            last_pair: last.map(|last| (last - 1.0).max(0.0)),
            #[cfg(target_arch = "x86_64")]
            avx2: std::is_x86_feature_detected!("avx2"),
        }
    }

    fn run_on(&self, image: &Image<'_>, input: &mut [f32]) {
        let [first, second, third] = [0, 1, 2].map(|i| Plane {
            bytes: image.planes[i],
            stride: image.strides[i],
        });
        match image.format {
            PixelFormat::Yuyv => self.run(&Packed422::<0>(first), input),
            PixelFormat::Uyvy => self.run(&Packed422::<1>(first), input),
            PixelFormat::Nv12 => self.run(&SemiPlanar::<0>([first, second]), input),
            PixelFormat::Nv21 => self.run(&SemiPlanar::<1>([first, second]), input),
            PixelFormat::Yu12 => self.run(&Planar::<1, 1>([first, second, third]), input),
            PixelFormat::Yuv422 => self.run(&Planar::<1, 0>([first, second, third]), input),
            PixelFormat::Yuv444 => self.run(&Planar::<0, 0>([first, second, third]), input),
            PixelFormat::Grey => self.run(&Grey(first), input),
            PixelFormat::Rgb3 => self.run(&Packed24::<0>(first), input),
            PixelFormat::Bgr3 => self.run(&Packed24::<2>(first), input),
        }
    }

    fn run<L: Layout>(&self, layout: &L, input: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: `avx2` is only set where the processor has these instructions.
            return unsafe { self.run_with_avx2(layout, input) };
        }
        self.run_with_any(layout, input);
    }

    /// The same as [`run_with_any`](Self::run_with_any), in 0.6 of its time.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn run_with_avx2<L: Layout>(&self, layout: &L, input: &mut [f32]) {
        self.run_with_any(layout, input);
    }

    #[inline(always)]
    fn run_with_any<L: Layout>(&self, layout: &L, input: &mut [f32]) {
        let (red, rest) = input.split_at_mut(self.side * self.side);
        let (green, blue) = rest.split_at_mut(self.side * self.side);
        let rows = red
            .chunks_exact_mut(self.side)
            .zip(green.chunks_exact_mut(self.side))
            .zip(blue.chunks_exact_mut(self.side));
        let (mut x, mut y) = (Spots::NOWHERE, Spots::NOWHERE);
        let mut words = [[[0; LANES]; 3]; 2];
        let mut codes = [[0.0; LANES]; 3];
        for (j, ((red, green), blue)) in rows.enumerate() {
            let parts = red
                .chunks_mut(LANES)
                .zip(green.chunks_mut(LANES))
                .zip(blue.chunks_mut(LANES));
            for (part, ((red, green), blue)) in parts.enumerate() {
                self.place(0, part * LANES, j, &mut x);
                self.place(1, part * LANES, j, &mut y);
                fetch(layout, &x, &y, &mut words);
                mix(L::CHANNELS[0], &words, &x.weight, &y.weight, &mut codes[0]);
                if L::SHARED {
                    // An even pixel and its right neighbour are one in these channels.
                    for lane in 0..LANES {
                        x.weight[lane] *= (x.before[lane] & 1) as i32 as f32;
                    }
                }
                mix(L::CHANNELS[1], &words, &x.weight, &y.weight, &mut codes[1]);
                mix(L::CHANNELS[2], &words, &x.weight, &y.weight, &mut codes[2]);
                for (i, to) in [red, green, blue].into_iter().enumerate() {
                    match <&mut Lanes<f32>>::try_from(&mut *to) {
                        Ok(to) => self.colour(i, &codes, &x.inside, &y.inside, to),
                        Err(_) => {
                            let mut lanes = [0.0; LANES];
                            self.colour(i, &codes, &x.inside, &y.inside, &mut lanes);
                            to.copy_from_slice(&lanes[..to.len()]);
                        }
                    }
                }
            }
        }
    }

    /// Where the pixels from `i` on in row `j` lie along an axis.
    #[inline(always)]
    fn place(&self, axis: usize, i: usize, j: usize, spots: &mut Spots) {
        let step = self.right[axis];
        let row = self.origin[axis] + self.down[axis] * j as f32;
        let (last, last_pair) = (self.last[axis], self.last_pair[axis]);
        for lane in 0..LANES {
            let at = row + step * (i as f32 + lane as f32);
            let nearest = at.max(0.0).min(last);
            let (whole, before) = floor(nearest.min(last_pair));
            spots.before[lane] = whole;
            spots.weight[lane] = nearest - before;
            spots.inside[lane] = match self.border {
                // Beyond the frame the mixture is that of the outermost pixels and of black.
                Border::Black => (1.0 - (at - nearest).abs()).max(0.0),
                Border::Replicate => 1.0,
            };
        }
    }

    /// Red, green or blue in 0..1.
    #[inline(always)]
    fn colour(
        &self,
        i: usize,
        codes: &[Lanes<f32>; 3],
        inside_x: &Lanes<f32>,
        inside_y: &Lanes<f32>,
        colour: &mut Lanes<f32>,
    ) {
        let (m, offset) = (self.colour.matrix[i], self.colour.offset[i]);
        for lane in 0..LANES {
            let value = m[0] * codes[0][lane] + m[1] * codes[1][lane] + m[2] * codes[2][lane];
            let inside = inside_x[lane] * inside_y[lane];
            colour[lane] = ((value + offset) * inside).clamp(0.0, 1.0);
        }
    }
}

/// The whole number below one from 0 to 2^22, as both types. A cast would do, but its answers to
/// all other numbers keep it from being a vector instruction.
#[inline(always)]
fn floor(x: f32) -> (u32, f32) {
    /// From here on, the last bit of a number is 1.
    const WHOLE: f32 = (1 << 23) as f32;
    let rounded = x + WHOLE;
    let up = u32::from(rounded - WHOLE > x);
    let whole = (rounded.to_bits() & 0x7f_ffff).wrapping_sub(up);
    (whole, rounded - WHOLE - up as i32 as f32)
}

/// Reads the words around a few pixels.
#[inline(always)]
fn fetch<L: Layout>(layout: &L, x: &Spots, y: &Spots, words: &mut Words) {
    for (lane, (&x, &y)) in x.before.iter().zip(&y.before).enumerate() {
        let (x, y) = (x as usize, y as usize);
        let [upper, lower] = [layout.words(x, y), layout.words(x, y + 1)];
        for word in 0..3 {
            words[0][word][lane] = upper[word];
            words[1][word][lane] = lower[word];
        }
    }
}

/// Mixes the code values of one channel.
#[inline(always)]
fn mix(
    [left, right]: [Place; 2],
    [upper, lower]: &Words,
    weight_x: &Lanes<f32>,
    weight_y: &Lanes<f32>,
    codes: &mut Lanes<f32>,
) {
    for lane in 0..LANES {
        let code = |words: &[Lanes<u32>; 3], place: Place| {
            (words[place.word][lane] >> place.shift & 0xff) as i32 as f32
        };
        let across = |words| {
            let (left, right) = (code(words, left), code(words, right));
            left + weight_x[lane] * (right - left)
        };
        let (upper, lower) = (across(upper), across(lower));
        codes[lane] = upper + weight_y[lane] * (lower - upper);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
    fn the_same_samples_give_the_same_numbers_in_every_order() {
        use PixelFormat::{Bgr3, Nv12, Nv21, Rgb3, Uyvy, Yu12, Yuv422, Yuyv};
        let input = |format| {
            let (range, border) = (Range::Limited, Border::Black);
            sampled(colourful, format, range, (37, 23), &TURNED, border)
        };
        for (one, other) in [
            (Yu12, Nv12),
            (Yu12, Nv21),
            (Yuv422, Yuyv),
            (Yuv422, Uyvy),
            (Rgb3, Bgr3),
        ] {
            assert!(input(one) == input(other), "{one:?} and {other:?}");
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

    /// The code values of a pixel; bytes that are missing are zeros.
    fn code(image: &Image<'_>, x: usize, y: usize) -> [f64; 3] {
        let byte = |plane: usize, x: usize, y: usize| {
            let at = y * image.strides[plane] + x;
            f64::from(image.planes[plane].get(at).copied().unwrap_or(0))
        };
        match image.format {
            PixelFormat::Yuyv => [0, 1, 3].map(|i| match i {
                0 => byte(0, x * 2, y),
                i => byte(0, x / 2 * 4 + i, y),
            }),
            PixelFormat::Uyvy => [1, 0, 2].map(|i| match i {
                1 => byte(0, x * 2 + 1, y),
                i => byte(0, x / 2 * 4 + i, y),
            }),
            PixelFormat::Nv12 => [
                byte(0, x, y),
                byte(1, x / 2 * 2, y / 2),
                byte(1, x / 2 * 2 + 1, y / 2),
            ],
            PixelFormat::Nv21 => [
                byte(0, x, y),
                byte(1, x / 2 * 2 + 1, y / 2),
                byte(1, x / 2 * 2, y / 2),
            ],
            PixelFormat::Yu12 => [byte(0, x, y), byte(1, x / 2, y / 2), byte(2, x / 2, y / 2)],
            PixelFormat::Yuv422 => [byte(0, x, y), byte(1, x / 2, y), byte(2, x / 2, y)],
            PixelFormat::Yuv444 => [0, 1, 2].map(|plane| byte(plane, x, y)),
            PixelFormat::Grey => [byte(0, x, y), 128.0, 128.0],
            PixelFormat::Rgb3 => [0, 1, 2].map(|i| byte(0, x * 3 + i, y)),
            PixelFormat::Bgr3 => [2, 1, 0].map(|i| byte(0, x * 3 + i, y)),
        }
    }

    /// Red, green and blue of code values before they are brought within 0..1.
    fn rgb(image: &Image<'_>, [a, b, c]: [f64; 3]) -> [f64; 3] {
        if matches!(image.format, PixelFormat::Rgb3 | PixelFormat::Bgr3) {
            return [a, b, c].map(|code| code / 255.0);
        }
        let (y, u, v) = match image.range {
            Range::Full => (a / 255.0, (b - 128.0) / 255.0, (c - 128.0) / 255.0),
            Range::Limited => ((a - 16.0) / 219.0, (b - 128.0) / 224.0, (c - 128.0) / 224.0),
        };
        [
            y + 1.402 * v,
            y - 0.344_136 * u - 0.714_136 * v,
            y + 1.772 * u,
        ]
    }

    /// What [`sample`] is to give: one pixel and one neighbour after the other.
    fn reference(image: &Image<'_>, region: &Region, border: Border, side: usize) -> Vec<f32> {
        let share = |i: usize| i as f32 / side as f32;
        let neighbour = |x: f64, y: f64| {
            let inside = |at: f64, size: usize| at.clamp(0.0, size as f64 - 1.0);
            let (ix, iy) = (inside(x, image.width), inside(y, image.height));
            if border == Border::Black && (ix, iy) != (x, y) {
                return [0.0; 3];
            }
            rgb(image, code(image, ix as usize, iy as usize))
        };
        let mut input = vec![0.0; 3 * side * side];
        for i in 0..side * side {
            let [x, y] = region.project([share(i % side), share(i / side)]);
            let (x, y) = (f64::from(x), f64::from(y));
            let (left, top) = (x.floor(), y.floor());
            let mut sum = [0.0; 3];
            for (dx, dy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
                let (nx, ny) = (left + dx, top + dy);
                let weight = (1.0 - (x - nx).abs()) * (1.0 - (y - ny).abs());
                for (sum, value) in sum.iter_mut().zip(neighbour(nx, ny)) {
                    *sum += weight * value;
                }
            }
            for (plane, value) in sum.into_iter().enumerate() {
                input[plane * side * side + i] = value.clamp(0.0, 1.0) as f32;
            }
        }
        input
    }

    proptest! {
        #[test]
        fn any_picture_and_region_is_sampled_as_the_reference_does(
            (format, full) in (prop::sample::select(&FORMATS[..]), any::<bool>()),
            (width, height) in (1usize..70, 1usize..70),
            (padding, missing) in (0usize..5, prop_oneof![Just(0), 0usize..2000]),
            border in prop::sample::select(vec![Border::Black, Border::Replicate]),
            center_px in [-40f32..110.0, -40f32..110.0],
            side_px in 0.01f32..250.0,
            rotation in prop_oneof![Just(0.0), -7f32..7.0],
            side in 1usize..70,
            seed in any::<u32>(),
        ) {
            let layout = format.plane_layout(width, height);
            let noise = |i: usize| (seed.wrapping_add(i as u32).wrapping_mul(2_654_435_761) >> 24) as u8;
            let planes = layout.map(|(row, rows)| {
                let bytes = (row + padding) * rows;
                (0..bytes.saturating_sub(missing)).map(noise).collect::<Vec<u8>>()
            });
            let image = Image {
                format,
                range: if full { Range::Full } else { Range::Limited },
                width,
                height,
                planes: [&planes[0], &planes[1], &planes[2]],
                strides: layout.map(|(row, _)| row + padding),
            };
            let region = Region { center_px, side_px, rotation };
            let expected = reference(&image, &region, border, side);
            let mut input = vec![f32::NAN; 3 * side * side];
            let mut check = |warp: &Warp| {
                warp.run_on(&image, &mut input);
                for (i, (got, expected)) in input.iter().zip(&expected).enumerate() {
                    prop_assert!((got - expected).abs() < 1e-3, "{i}: {got}, not {expected}");
                }
                Ok(())
            };
            let warp = Warp::new(&image, &region, border, side);
            check(&warp)?;
            #[cfg(target_arch = "x86_64")]
            check(&Warp { avx2: false, ..warp })?;
        }
    }
}
