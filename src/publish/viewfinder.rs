//! The camera's picture, small, for who aims the camera.
//!
//! It leaves the vision thread only while somebody looks through the viewfinder.

use std::sync::Arc;
use std::time::Duration;

use super::live::Show;
use crate::camera::Image;
use crate::pose::region::Region;
use crate::pose::sample::{Border, sample};

/// Width and height in pixels of the square that a [`Picture`] is within.
pub const PICTURE_SIDE: usize = 320;

/// The picture is taken in squares of this side: that keeps the numbers in between few.
const TILE: usize = 64;
const TILES: usize = PICTURE_SIDE / TILE;

/// From one picture to the next.
const PERIOD: Duration = Duration::from_millis(150);

/// A picture of the camera's: all of it, in the middle of a square.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Counts pictures; 0 before there is one.
    pub seq: u64,
    /// Width and height of the camera's frame in pixels; 0 if there is no picture.
    pub size: (usize, usize),
    /// R, G, B of each pixel, row by row.
    pixels: Box<[u8]>,
}

impl Default for Picture {
    fn default() -> Self {
        Self {
            seq: 0,
            size: (0, 0),
            pixels: vec![0; PICTURE_SIDE * PICTURE_SIDE * 3].into(),
        }
    }
}

impl Picture {
    /// Its part of the square: width, height, and R, G, B of each pixel. Nothing if there is no
    /// picture.
    #[must_use]
    pub fn cut_out(&self) -> Option<(usize, usize, Vec<u8>)> {
        let (width, height) = self.size;
        let longer = width.max(height);
        if longer == 0 {
            return None;
        }
        let [w, h] = [width, height].map(|side| (PICTURE_SIDE * side / longer).max(1));
        let [left, top] = [w, h].map(|side| (PICTURE_SIDE - side) / 2);
        let rows = self.pixels.chunks(PICTURE_SIDE * 3).skip(top).take(h);
        let pixels = rows.flat_map(|row| &row[left * 3..(left + w) * 3]);
        Some((w, h, pixels.copied().collect()))
    }

    fn take(&mut self, image: &Image<'_>, tile: &mut [f32]) {
        let whole = Region::letterbox(image.width, image.height);
        let side_px = whole.side_px / TILES as f32;
        for place in 0..TILES * TILES {
            let (row, column) = (place / TILES, place % TILES);
            let middle = |of: f32, n: usize| of - whole.side_px / 2.0 + side_px * (n as f32 + 0.5);
            let region = Region {
                center_px: [
                    middle(whole.center_px[0], column),
                    middle(whole.center_px[1], row),
                ],
                side_px,
                rotation: 0.0,
            };
            sample(image, &region, Border::Black, TILE, tile);
            let (planes, _) = tile.as_chunks::<{ TILE * TILE }>();
            for y in 0..TILE {
                let at = ((row * TILE + y) * PICTURE_SIDE + column * TILE) * 3;
                let (pixels, _) = self.pixels[at..at + TILE * 3].as_chunks_mut::<3>();
                for (x, pixel) in pixels.iter_mut().enumerate() {
                    *pixel = [0, 1, 2].map(|plane| (planes[plane][y * TILE + x] * 255.0) as u8);
                }
            }
        }
        self.size = (image.width, image.height);
    }
}

/// The vision thread's end.
pub struct Viewfinder {
    show: Show<Picture>,
    tile: Box<[f32]>,
    taken: u64,
    due: Duration,
}

impl Viewfinder {
    pub(super) fn new(show: Show<Picture>) -> Self {
        Self {
            show,
            tile: vec![0.0; 3 * TILE * TILE].into(),
            taken: 0,
            due: Duration::ZERO,
        }
    }

    /// Takes a picture at the time `now`, if anybody looks and it is time. Wait-free, no
    /// allocation.
    pub fn take(&mut self, image: &Image<'_>, now: Duration) {
        if now < self.due {
            return;
        }
        let Self {
            show,
            tile,
            taken,
            due,
        } = self;
        show.show(|picture| {
            *taken += 1;
            *due = now + PERIOD;
            picture.seq = *taken;
            picture.take(image, tile);
        });
    }

    /// The camera is closed: what it has seen is nobody's business any more.
    pub fn close(&mut self) {
        let taken = &mut self.taken;
        self.show.show(|picture| {
            *taken += 1;
            (picture.seq, picture.size) = (*taken, (0, 0));
        });
    }
}

/// Somebody looks through the viewfinder for as long as this exists.
pub struct Looking(pub(super) Arc<super::Live>);

impl Looking {
    /// The newest picture; number 0 before there is one.
    #[must_use]
    pub fn picture(&self) -> Picture {
        self.0.newest_picture()
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.look_away();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::{PixelFormat, Range};
    use crate::publish::live;

    /// Red at the left and green at the right, 40 x 20 pixels.
    fn two_colours() -> Vec<u8> {
        let pixel = |i: usize| {
            if i % 40 < 20 {
                [255, 0, 0]
            } else {
                [0, 255, 0]
            }
        };
        (0..40 * 20).flat_map(pixel).collect()
    }

    #[test]
    fn a_picture_is_taken_only_while_somebody_looks() {
        let (_, _, live) = live(&[]);
        let mut viewfinder = live.viewfinder().expect("the first");
        assert!(live.viewfinder().is_none());
        let pixels = two_colours();
        let image = Image::from_contiguous(PixelFormat::Rgb3, Range::Full, 40, 20, 120, &pixels);
        let image = image.expect("a picture");
        let at = |ms: u64| Duration::from_millis(1000 + ms);
        viewfinder.take(&image, at(0));
        assert_eq!(viewfinder.taken, 0);
        let looking = live.look();
        assert_eq!(looking.picture().cut_out(), None);
        for (ms, seq) in [(0, 1), (100, 1), (200, 2)] {
            viewfinder.take(&image, at(ms));
            assert_eq!(looking.picture().seq, seq);
        }
        let (width, height, pixels) = looking.picture().cut_out().expect("a picture");
        assert_eq!((width, height), (PICTURE_SIDE, PICTURE_SIDE / 2));
        let pixel = |x: usize, y: usize| &pixels[(y * width + x) * 3..][..3];
        for y in [8, height - 8] {
            assert_eq!(pixel(20, y), [255, 0, 0]);
            assert_eq!(pixel(width - 20, y), [0, 255, 0]);
        }
        viewfinder.close();
        assert_eq!(looking.picture().cut_out(), None);
        drop(looking);
        assert_eq!(live.look().picture().seq, 0);
    }
}
