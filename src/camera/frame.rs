//! A frame: pixels that belong to somebody else, and the promise to give them back.

use std::fmt;
use std::time::Duration;

/// How the pixels of an [`Image`] lie in memory.
///
/// V4L2's FourCC codes name the camera formats; the planar ones also serve recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Packed 4:2:2, Y0 U Y1 V. One plane.
    Yuyv,
    /// Packed 4:2:2, U Y0 V Y1. One plane.
    Uyvy,
    /// Y plane, then one plane of interleaved U V at half width and height.
    Nv12,
    /// Y plane, then one plane of interleaved V U at half width and height.
    Nv21,
    /// Y, U, V planes; chroma at half width and height (V4L2 `YU12`, also called I420).
    Yu12,
    /// Y, U, V planes; chroma at half width (recordings only).
    Yuv422,
    /// Y, U, V planes; chroma at full size (recordings only).
    Yuv444,
    /// Luma only. One plane.
    Grey,
    /// 24-bit R G B. One plane.
    Rgb3,
    /// 24-bit B G R. One plane.
    Bgr3,
}

/// Which code values stand for black and white in YUV formats (BT.601 in both cases).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Range {
    /// Luma 16..235, chroma 16..240.
    #[default]
    Limited,
    /// 0..255, as in JPEG.
    Full,
}

/// A view of one picture's pixels in their own format. Nothing is copied.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    /// Layout of the planes.
    pub format: PixelFormat,
    /// Code range of YUV formats; ignored for RGB.
    pub range: Range,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// The planes, in the order of the format's name; unused ones are empty.
    pub planes: [&'a [u8]; 3],
    /// Bytes from one row to the next in each plane.
    pub strides: [usize; 3],
}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {}x{} ({:?})",
            self.format, self.width, self.height, self.range
        )
    }
}

impl PixelFormat {
    /// Horizontal and vertical chroma subsampling as shifts, for the planar formats.
    fn chroma_shift(self) -> (usize, usize) {
        match self {
            Self::Nv12 | Self::Nv21 | Self::Yu12 => (1, 1),
            Self::Yuv422 => (1, 0),
            _ => (0, 0),
        }
    }

    /// Bytes of a row, and rows, that each plane must have for a picture of this size.
    #[must_use]
    pub fn plane_layout(self, width: usize, height: usize) -> [(usize, usize); 3] {
        let (sx, sy) = self.chroma_shift();
        let (cw, ch) = (width.div_ceil(1 << sx), height.div_ceil(1 << sy));
        match self {
            Self::Yuyv | Self::Uyvy => [(width.div_ceil(2) * 4, height), (0, 0), (0, 0)],
            Self::Grey => [(width, height), (0, 0), (0, 0)],
            Self::Rgb3 | Self::Bgr3 => [(width * 3, height), (0, 0), (0, 0)],
            Self::Nv12 | Self::Nv21 => [(width, height), (cw * 2, ch), (0, 0)],
            Self::Yu12 | Self::Yuv422 | Self::Yuv444 => [(width, height), (cw, ch), (cw, ch)],
        }
    }
}

impl<'a> Image<'a> {
    /// Splits one contiguous buffer into the format's planes. `stride` is the first plane's, in
    /// bytes; V4L2's single-buffer formats derive the chroma strides from it.
    ///
    /// Returns `None` when the buffer is too short, the stride is smaller than a row, or the size
    /// is zero or absurd.
    #[must_use]
    pub fn from_contiguous(
        format: PixelFormat,
        range: Range,
        width: usize,
        height: usize,
        stride: usize,
        data: &'a [u8],
    ) -> Option<Self> {
        let layout = format.plane_layout(width, height);
        let (sx, _) = format.chroma_shift();
        let chroma_stride = match format {
            PixelFormat::Nv12 | PixelFormat::Nv21 => stride.div_ceil(2) * 2,
            _ => stride.div_ceil(1 << sx),
        };
        let strides = [stride, chroma_stride, chroma_stride];
        let mut planes: [&[u8]; 3] = [&[]; 3];
        let mut rest = data;
        for (plane, (&(row, rows), &stride)) in planes.iter_mut().zip(layout.iter().zip(&strides)) {
            if rows == 0 {
                continue;
            }
            if row == 0 || stride < row {
                return None;
            }
            // The last row may end without its padding.
            let needed = stride.checked_mul(rows - 1)?.checked_add(row)?;
            if rest.len() < needed {
                return None;
            }
            let whole = stride.saturating_mul(rows).min(rest.len());
            (*plane, rest) = rest.split_at(whole);
        }
        (width > 0 && height > 0).then_some(Self {
            format,
            range,
            width,
            height,
            planes,
            strides,
        })
    }
}

/// Takes a buffer back when its frame is dropped. Must not panic.
pub trait Requeue {
    /// Gives buffer `index` back to whoever fills it.
    fn requeue(&self, index: u32);
}

/// One picture and its time. Dropping it returns the buffer, whatever happens.
pub struct Frame<'a> {
    /// Not for others to copy out: the pixels go back to the driver with the frame.
    image: Image<'a>,
    /// Number of the frame since the source began; skipped frames leave gaps.
    pub seq: u64,
    /// Time since the source began (a recording's own time), from the camera's time stamps.
    pub t: Duration,
    /// When the picture was taken, in the time of `CLOCK_MONOTONIC`; `None` for recordings.
    pub captured: Option<Duration>,
    release: Option<(&'a dyn Requeue, u32)>,
}

impl<'a> Frame<'a> {
    /// A frame over memory that stays its source's own (recordings, rendered pictures).
    #[must_use]
    pub fn borrowed(image: Image<'a>, seq: u64, t: Duration) -> Self {
        Self {
            image,
            seq,
            t,
            captured: None,
            release: None,
        }
    }

    /// A frame over buffer `index` of `pool`, which gets it back on drop.
    #[must_use]
    pub fn pooled(
        image: Image<'a>,
        seq: u64,
        t: Duration,
        captured: Duration,
        pool: &'a dyn Requeue,
        index: u32,
    ) -> Self {
        Self {
            image,
            seq,
            t,
            captured: Some(captured),
            release: Some((pool, index)),
        }
    }
}

impl Frame<'_> {
    /// The pixels, for as long as the frame is held.
    #[must_use]
    pub fn image(&self) -> Image<'_> {
        self.image
    }
}

impl Drop for Frame<'_> {
    fn drop(&mut self) {
        if let Some((pool, index)) = self.release.take() {
            pool.requeue(index);
        }
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {} at {:?}, {:?}", self.seq, self.t, self.image)
    }
}
