//! The motion gate: whether anything moved since the picture that was last searched.
//!
//! A picture is reduced to a coarse grid of brightness, read straight from the camera's own pixel
//! format. Three things make the grid differ although nothing moved, and are told apart from
//! motion: automatic exposure and slow light change all cells by one gain and offset, which is
//! fitted and taken out; sensor noise differs a little everywhere, so its size is measured in the
//! quieter cells of the same picture; and what doesn't stop (a fan, a screen, leaves in the wind)
//! raises the bar of its own cells.

use std::f32::consts::FRAC_1_SQRT_2;

use super::region::Region;
use crate::camera::{Image, PixelFormat};

const COLUMNS: usize = 48;
const ROWS: usize = 36;
const CELLS: usize = COLUMNS * ROWS;

/// Pixels that are read of a cell, across and down.
const SAMPLES: [usize; 2] = [4, 2];

/// One step of 8-bit brightness in the unit of a cell, which is the sum of its samples.
const CODE: u16 = (SAMPLES[0] * SAMPLES[1]) as u16;

/// A cell that changed by less never moved, and one that changed by more than the second always
/// did, whatever the noise.
const LEAST_CHANGE: u16 = 6 * CODE;
const NOISE_LIMIT: u16 = 40 * CODE;

/// How many times the first quartile of all cells' changes a change must be. For Gaussian noise
/// that is six standard deviations.
const OVER_QUARTILE: u16 = 19;

/// How many times its usual change a cell must change.
const OVER_USUAL: f32 = 2.5;

/// The share of a new value in what is usual for a cell: about six seconds at 30 frames a second.
const USUAL_WEIGHT: f32 = 1.0 / 180.0;

/// Cells that must move: fewer than those of the smallest hand that the palm network finds.
const MOVED_CELLS: usize = 3;

/// Looks for so long at cells that a followed hand has left as if it were still there.
const LEFT_FRAMES: u8 = 4;

/// Brightness, as sums of samples.
type Cells = [u16; CELLS];

/// Every fifth cell is enough for medians and quartiles, and is spread over all columns.
const STEP: usize = 5;
const SOME: usize = CELLS.div_ceil(STEP);
type SomeCells = heapless::Vec<u16, SOME>;

/// Compares pictures with the one that was last searched. Doesn't allocate.
#[derive(Debug)]
pub struct MotionGate {
    /// The last picture.
    now: Cells,
    /// The picture that was last searched.
    searched: Cells,
    /// How much each cell usually differs.
    usual: [f32; CELLS],
    /// Frames for which a cell still belongs to a followed hand.
    held: [u8; CELLS],
    change: Cells,
}

impl Default for MotionGate {
    fn default() -> Self {
        Self {
            now: [0; CELLS],
            searched: [0; CELLS],
            usual: [0.0; CELLS],
            held: [0; CELLS],
            change: [0; CELLS],
        }
    }
}

impl MotionGate {
    /// Takes in a picture, and says whether it differs from the one that was last searched, the
    /// regions of followed hands and their arms left aside.
    pub fn moved(&mut self, image: &Image<'_>, followed: &[Region]) -> bool {
        read_cells(image, &mut self.now);
        self.leave_aside(image, followed);
        let exposure = Exposure::between(&self.searched, &self.now);
        for ((change, &before), &now) in self.change.iter_mut().zip(&self.searched).zip(&self.now) {
            *change = exposure.apply(before).abs_diff(now);
        }
        let noise = self.noise_limit();
        let mut moved = 0;
        for ((&change, usual), held) in self.change.iter().zip(&mut self.usual).zip(&self.held) {
            let over = change > noise && f32::from(change) > OVER_USUAL * *usual;
            moved += usize::from(over && *held == 0);
            *usual += USUAL_WEIGHT * (f32::from(change) - *usual);
        }
        moved >= MOVED_CELLS
    }

    /// The picture that was taken in last is searched: from now on others are compared with it.
    pub fn searched(&mut self) {
        self.searched = self.now;
    }

    /// What noise alone hardly ever changes a cell by.
    fn noise_limit(&self) -> u16 {
        let cells = self.change.iter().zip(&self.held).step_by(STEP);
        // Cells that count as searched all the time don't differ, and say nothing about noise.
        let free = cells.filter(|(_, held)| **held == 0);
        let mut some: SomeCells = free.map(|(change, _)| *change).collect();
        if some.is_empty() {
            return NOISE_LIMIT;
        }
        let quarter = some.len() / 4;
        let (_, quartile, _) = some.select_nth_unstable(quarter);
        quartile
            .saturating_mul(OVER_QUARTILE)
            .clamp(LEAST_CHANGE, NOISE_LIMIT)
    }

    /// Cells in which a hand is followed, or was just now, count as searched all the time.
    fn leave_aside(&mut self, image: &Image<'_>, followed: &[Region]) {
        for held in &mut self.held {
            *held = held.saturating_sub(1);
        }
        for hand in followed {
            // The fingers point up in a hand's region; the arm moves with it.
            let arm = Region {
                center_px: hand.project([0.5, 1.5]),
                ..*hand
            };
            for region in [hand, &arm] {
                // A turned square's corners stand out of an upright one.
                let radius = region.side_px * FRAC_1_SQRT_2;
                let cells = |axis: usize, count: usize, size_px: usize| {
                    let per_px = count as f32 / size_px.max(1) as f32;
                    let at = |px: f32| ((px * per_px) as usize).min(count);
                    let center = region.center_px[axis];
                    at(center - radius)..(at(center + radius) + 1).min(count)
                };
                let columns = cells(0, COLUMNS, image.width);
                for row in cells(1, ROWS, image.height) {
                    self.held[row * COLUMNS..][columns.clone()].fill(LEFT_FRAMES);
                }
            }
        }
        let cells = self.searched.iter_mut().zip(&self.now).zip(&self.held);
        for ((searched, now), _) in cells.filter(|(_, held)| **held > 0) {
            *searched = *now;
        }
    }
}

/// Reads the brightness of each cell at a few places. Bytes that the image lacks are zeros.
fn read_cells(image: &Image<'_>, cells: &mut Cells) {
    let (step, first) = match image.format {
        PixelFormat::Yuyv => (2, 0),
        PixelFormat::Uyvy => (2, 1),
        // Green is near enough.
        PixelFormat::Rgb3 | PixelFormat::Bgr3 => (3, 1),
        _ => (1, 0),
    };
    // The middles of equal parts.
    let place = |i: usize, count: usize, size: usize| (2 * i + 1) * size / (2 * count);
    let offsets: [usize; COLUMNS * SAMPLES[0]] =
        std::array::from_fn(|i| place(i, COLUMNS * SAMPLES[0], image.width) * step + first);
    cells.fill(0);
    for i in 0..ROWS * SAMPLES[1] {
        let y = place(i, ROWS * SAMPLES[1], image.height);
        let row = image.planes[0].get(y * image.strides[0]..);
        let row = row.unwrap_or_default();
        let cells = &mut cells[i / SAMPLES[1] * COLUMNS..][..COLUMNS];
        for (cell, offsets) in cells
            .iter_mut()
            .zip(offsets.as_chunks::<{ SAMPLES[0] }>().0)
        {
            for &offset in offsets {
                *cell += u16::from(row.get(offset).copied().unwrap_or(0));
            }
        }
    }
}

/// How a picture's brightness became another's: by a gain and an offset.
///
/// It is Tukey's resistant line ("Exploratory Data Analysis", 1977), through the medians of the
/// darker and the brighter third: what moved in less than a sixth of the picture hardly bends it.
struct Exposure {
    gain: f32,
    offset: f32,
}

impl Exposure {
    fn between(before: &Cells, now: &Cells) -> Self {
        let mut sorted: SomeCells = before.iter().step_by(STEP).copied().collect();
        let dark = *sorted.select_nth_unstable(SOME / 3).1;
        let bright = *sorted.select_nth_unstable(2 * SOME / 3).1;
        let medians = |is_in: &dyn Fn(u16) -> bool| {
            let cells = before.iter().zip(now).step_by(STEP);
            let (mut x, mut y): (SomeCells, SomeCells) = cells.filter(|(x, _)| is_in(**x)).unzip();
            (median(&mut x), median(&mut y))
        };
        let (x0, y0) = medians(&|before| before <= dark);
        let (x1, y1) = medians(&|before| before >= bright);
        // Too little contrast tells no gain.
        let contrast = x1 - x0 > f32::from(16 * CODE);
        let gain = if contrast { (y1 - y0) / (x1 - x0) } else { 1.0 };
        let gain = gain.clamp(0.25, 4.0);
        let offset = (y0 + y1 - gain * (x0 + x1)) / 2.0;
        Self { gain, offset }
    }

    fn apply(&self, cell: u16) -> u16 {
        let white = f32::from(255 * CODE);
        (self.gain * f32::from(cell) + self.offset).clamp(0.0, white) as u16
    }
}

/// The median of at least one number.
fn median(numbers: &mut [u16]) -> f32 {
    let middle = numbers.len() / 2;
    f32::from(*numbers.select_nth_unstable(middle).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::Range;

    const SIZE: (usize, usize) = (320, 240);

    /// A still scene with edges, a gradient and a square of 30 pixels at `square`.
    fn scene(x: usize, y: usize, square: Option<[f32; 2]>) -> f32 {
        let stripes = if (x / 40 + y / 50).is_multiple_of(2) {
            30.0
        } else {
            0.0
        };
        let still = 40.0 + x as f32 / 4.0 + y as f32 / 6.0 + stripes;
        let Some([left, top]) = square else {
            return still;
        };
        // A pixel's share of the square, so that it can move by less than one.
        let share = |at: usize, from: f32| {
            let at = at as f32;
            ((at + 1.0).min(from + 30.0) - at.max(from)).clamp(0.0, 1.0)
        };
        still + (200.0 - still) * share(x, left) * share(y, top)
    }

    /// Gaussian noise, always the same.
    struct Noise(u64);

    impl Noise {
        fn next(&mut self) -> f32 {
            let uniform = |state: &mut u64| {
                *state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (*state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
            };
            // Of four numbers with a variance of 1/12 each.
            3f32.sqrt() * (0..4).map(|_| uniform(&mut self.0)).sum::<f32>()
        }
    }

    /// A camera in front of [`scene`], whose every picture is searched if something moved.
    struct Watch {
        gate: MotionGate,
        noise: Noise,
        deviation: f32,
        followed: Vec<Region>,
    }

    impl Watch {
        fn new(deviation: f32) -> Self {
            let mut watch = Self {
                gate: MotionGate::default(),
                noise: Noise(1),
                deviation,
                followed: Vec::new(),
            };
            watch.see(None, |code| code);
            watch
        }

        fn see(&mut self, square: Option<[f32; 2]>, light: impl Fn(f32) -> f32) -> bool {
            let code = |i: usize| {
                let code = light(scene(i % SIZE.0, i / SIZE.0, square));
                (code + self.deviation * self.noise.next()) as u8
            };
            let pixels: Vec<u8> = (0..SIZE.0 * SIZE.1).map(code).collect();
            let (format, range) = (PixelFormat::Grey, Range::Full);
            let image = Image::from_contiguous(format, range, SIZE.0, SIZE.1, SIZE.0, &pixels);
            let moved = self.gate.moved(&image.unwrap(), &self.followed);
            if moved {
                self.gate.searched();
            }
            moved
        }

        fn moved(&mut self, frames: usize, square: impl Fn(usize) -> Option<[f32; 2]>) -> usize {
            let moved = (0..frames).filter(|&i| self.see(square(i), |code| code));
            moved.count()
        }
    }

    #[test]
    fn noise_is_no_motion_but_a_small_hand_in_it_is() {
        for deviation in [0.0, 3.0, 10.0, 20.0] {
            let mut watch = Watch::new(deviation);
            assert_eq!(watch.moved(60, |_| None), 0, "noise of {deviation}");
            assert!(watch.see(Some([100.0, 90.0]), |code| code), "{deviation}");
        }
    }

    #[test]
    fn a_slow_hand_is_motion() {
        let mut watch = Watch::new(3.0);
        watch.moved(1, |_| Some([100.0, 90.0]));
        // Two pixels a second.
        let moved = watch.moved(90, |i| Some([100.0 + i as f32 / 15.0, 90.0]));
        assert!(moved >= 3, "{moved}");
    }

    #[test]
    fn light_that_changes_is_no_lasting_motion() {
        let brighter = |gain: f32, offset: f32| move |code: f32| gain * code + offset;
        for (gain, offset) in [(1.6, 0.0), (0.5, 0.0), (1.0, 40.0), (0.8, 30.0)] {
            let mut watch = Watch::new(3.0);
            assert!(!watch.see(None, brighter(gain, offset)), "{gain} {offset}");
            // A curve and clipped lights can't be fitted, but last only until they are searched.
            let mut watch = Watch::new(3.0);
            let curve = |code: f32| 255.0 * (gain * code / 255.0).powf(0.7);
            let moved = (0..30).filter(|_| watch.see(None, curve)).count();
            assert!(moved <= 1, "{gain}: {moved}");
        }
        // Exposure that settles within a second.
        let mut watch = Watch::new(3.0);
        let moved = (0..30).filter(|&i| watch.see(None, brighter(1.0 + i as f32 / 60.0, 0.0)));
        assert_eq!(moved.count(), 0);
        assert!(watch.see(Some([100.0, 90.0]), brighter(1.5, 0.0)));
    }

    #[test]
    fn what_does_not_stop_moving_is_got_used_to() {
        let fan = |i: usize| Some([40.0 + (i % 3) as f32 * 12.0, 40.0]);
        let mut watch = Watch::new(3.0);
        assert!(watch.moved(30, fan) > 10);
        watch.moved(600, fan);
        let moved = watch.moved(60, fan);
        assert!(moved < 6, "{moved}");
        assert!(watch.see(Some([200.0, 150.0]), |code| code));
    }

    #[test]
    fn a_followed_hand_is_no_motion_but_another_one_is() {
        let mut watch = Watch::new(3.0);
        watch.moved(1, |_| Some([100.0, 90.0]));
        let path = |i: usize| [100.0 + i as f32 * 3.0, 90.0];
        for i in 0..40 {
            let [x, y] = path(i);
            watch.followed = vec![Region {
                center_px: [x + 15.0, y + 15.0],
                side_px: 60.0,
                rotation: 0.5,
            }];
            assert!(!watch.see(Some([x, y]), |code| code), "{i}");
        }
        assert!(watch.see(Some([20.0, 180.0]), |code| code));
    }

    #[test]
    fn a_followed_hand_that_fills_the_picture_hides_no_noise() {
        let mut watch = Watch::new(8.0);
        watch.followed = vec![Region {
            center_px: [110.0, 110.0],
            side_px: 150.0,
            rotation: 0.0,
        }];
        assert_eq!(watch.moved(60, |_| Some([100.0, 90.0])), 0);
        assert!(watch.see(Some([260.0, 180.0]), |code| code));
        watch.followed[0].side_px = 1000.0;
        assert_eq!(watch.moved(10, |i| Some([100.0, 9.0 * i as f32])), 0);
    }

    #[test]
    fn every_format_and_size_is_read() {
        use PixelFormat::{Bgr3, Grey, Nv12, Nv21, Rgb3, Uyvy, Yu12, Yuv422, Yuv444, Yuyv};
        for format in [
            Yuyv, Uyvy, Nv12, Nv21, Yu12, Yuv422, Yuv444, Grey, Rgb3, Bgr3,
        ] {
            for (width, height) in [(1, 1), (33, 17), (640, 480), (7000, 3)] {
                let layout = format.plane_layout(width, height);
                let bytes: usize = layout.iter().map(|(row, rows)| row * rows).sum();
                let mut gate = MotionGate::default();
                let mut moved = |code: u8| {
                    // Chroma that changes alone is not looked at.
                    let luma_first = !matches!(format, Uyvy);
                    let pixels: Vec<u8> = (0..bytes)
                        .map(|i| match format {
                            Yuyv | Uyvy if (i % 2 == 0) != luma_first => 255 - code,
                            _ => code,
                        })
                        .collect();
                    let stride = layout[0].0;
                    let range = Range::Full;
                    let image =
                        Image::from_contiguous(format, range, width, height, stride, &pixels);
                    gate.moved(&image.unwrap(), &[]);
                    gate.now.iter().all(|cell| *cell == u16::from(code) * CODE)
                };
                assert!(moved(10) && moved(200), "{format:?} {width}x{height}");
            }
        }
        let short = Image {
            format: Grey,
            range: Range::Full,
            width: 640,
            height: 480,
            planes: [&[1, 2, 3], &[], &[]],
            strides: [640, 0, 0],
        };
        MotionGate::default().moved(&short, &[]);
    }
}
