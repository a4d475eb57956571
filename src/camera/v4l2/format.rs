//! Which of a device's formats, sizes and rates palmd takes, and how its buffers then lie.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};
use v4l::v4l_sys as c;

use super::CameraParams;
use super::kernel::{Capture, FourCc, Interval, Intervals, PixFormat, Sizes};
use crate::camera::{Image, PixelFormat, Range};

/// Entries read from one of a driver's lists; more means that the driver doesn't end it.
const MAX_ENTRIES: u32 = 128;

/// Widest and highest frame, in pixels.
const MAX_SIDE: u32 = 8192;

/// A rate this close to the wanted one is as good as it: 25 frames a second where 30 are wanted
/// aren't worth decoding JPEG for.
const GOOD_RATE: f32 = 0.8;

/// How pictures come from a camera; the order is palmd's preference.
///
/// Raw pixels are sampled where they lie, so what counts is memory traffic. Motion JPEG must be
/// decoded first. Grey comes last because the networks were trained on colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// [`PixelFormat::Nv12`].
    Nv12,
    /// [`PixelFormat::Yu12`].
    Yu12,
    /// [`PixelFormat::Nv21`].
    Nv21,
    /// [`PixelFormat::Yuyv`].
    Yuyv,
    /// [`PixelFormat::Uyvy`].
    Uyvy,
    /// [`PixelFormat::Rgb3`].
    Rgb3,
    /// [`PixelFormat::Bgr3`].
    Bgr3,
    /// Motion JPEG: each frame is a JPEG picture.
    Mjpg,
    /// [`PixelFormat::Grey`].
    Grey,
}

impl Encoding {
    const ALL: [Self; 9] = [
        Self::Nv12,
        Self::Yu12,
        Self::Nv21,
        Self::Yuyv,
        Self::Uyvy,
        Self::Rgb3,
        Self::Bgr3,
        Self::Mjpg,
        Self::Grey,
    ];

    /// V4L2's code.
    #[must_use]
    pub fn fourcc(self) -> FourCc {
        FourCc(*match self {
            Self::Nv12 => b"NV12",
            Self::Yu12 => b"YU12",
            Self::Nv21 => b"NV21",
            Self::Yuyv => b"YUYV",
            Self::Uyvy => b"UYVY",
            Self::Rgb3 => b"RGB3",
            Self::Bgr3 => b"BGR3",
            Self::Mjpg => b"MJPG",
            Self::Grey => b"GREY",
        })
    }

    /// The encoding of a V4L2 code, if palmd reads it.
    #[must_use]
    pub fn from_fourcc(fourcc: FourCc) -> Option<Self> {
        // Some drivers call motion JPEG plainly JPEG.
        let fourcc = match &fourcc.0 {
            b"JPEG" => Self::Mjpg.fourcc(),
            _ => fourcc,
        };
        let mut all = Self::ALL.into_iter();
        all.find(|encoding| encoding.fourcc() == fourcc)
    }

    /// The format of the pixels in a buffer; `None` where they must be decoded first.
    #[must_use]
    pub fn pixels(self) -> Option<PixelFormat> {
        Some(match self {
            Self::Nv12 => PixelFormat::Nv12,
            Self::Yu12 => PixelFormat::Yu12,
            Self::Nv21 => PixelFormat::Nv21,
            Self::Yuyv => PixelFormat::Yuyv,
            Self::Uyvy => PixelFormat::Uyvy,
            Self::Rgb3 => PixelFormat::Rgb3,
            Self::Bgr3 => PixelFormat::Bgr3,
            Self::Mjpg => return None,
            Self::Grey => PixelFormat::Grey,
        })
    }

    fn names() -> String {
        Self::ALL.map(|encoding| encoding.to_string()).join(", ")
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fourcc().fmt(f)
    }
}

impl FromStr for Encoding {
    type Err = String;

    /// Reads a four-character code as it stands in the configuration.
    fn from_str(text: &str) -> Result<Self, String> {
        let code = text.to_ascii_uppercase();
        let fourcc = code.as_bytes().try_into().ok().map(FourCc);
        fourcc
            .and_then(Self::from_fourcc)
            .ok_or_else(|| format!("{text:?} is none of {}", Self::names()))
    }
}

impl Serialize for Encoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fourcc().serialize(serializer)
    }
}

/// A pixel format that a device offers, with its sizes and rates.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Offer {
    /// Four-character code.
    pub fourcc: FourCc,
    /// The driver's words for it.
    pub description: String,
    /// Whether palmd reads it.
    pub usable: bool,
    /// Sizes; empty where the driver doesn't list them.
    pub sizes: Vec<OfferedSize>,
}

/// A size, or a range of sizes, that a device offers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfferedSize {
    /// Smallest width and height in pixels.
    pub min: (u32, u32),
    /// Largest width and height; the same as `min` for a single size.
    pub max: (u32, u32),
    /// Frames a second, highest first. Empty where not listed.
    pub fps: Vec<f32>,
    /// Whether the rates between the highest and the lowest are offered, too.
    pub fps_between: bool,
}

impl OfferedSize {
    fn nearest(&self, (width, height): (u32, u32)) -> (u32, u32) {
        (
            width.max(self.min.0).min(self.max.0),
            height.max(self.min.1).min(self.max.1),
        )
    }

    /// The wanted rate, else the lowest above it, else the highest.
    fn rate(&self, wanted: f32) -> Option<f32> {
        let (highest, lowest) = (*self.fps.first()?, *self.fps.last()?);
        if self.fps_between {
            return Some(wanted.max(lowest).min(highest));
        }
        // Drivers give 29.97 and the like.
        let enough = self.fps.iter().rev().find(|&&fps| fps >= wanted * 0.99);
        Some(*enough.unwrap_or(&highest))
    }
}

/// Everything that `capture` offers. Rates of a range of sizes are those at the size nearest to
/// `wanted`.
pub fn offers<C: Capture>(capture: &C, wanted: (u32, u32)) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    for format in list(|index| capture.format(index)) {
        if offers.iter().any(|offer| offer.fourcc == format.fourcc) {
            continue;
        }
        let sizes = list(|index| capture.frame_size(format.fourcc, index));
        let sizes = sizes.map(|size| {
            let (min, max) = match size {
                Sizes::Discrete(width, height) => ((width, height), (width, height)),
                Sizes::Stepwise { min, max, .. } => (min, max),
            };
            let mut size = OfferedSize {
                min,
                max,
                fps: Vec::new(),
                fps_between: false,
            };
            let nearest = size.nearest(wanted);
            for interval in list(|index| capture.frame_interval(format.fourcc, nearest, index)) {
                match interval {
                    Intervals::Discrete(interval) => size.fps.extend(interval.hz()),
                    Intervals::Between { min, max } => {
                        size.fps.extend(min.hz());
                        size.fps.extend(max.hz());
                        size.fps_between = true;
                    }
                }
            }
            size.fps.sort_by(|a, b| b.total_cmp(a));
            size.fps.dedup();
            size
        });
        offers.push(Offer {
            fourcc: format.fourcc,
            usable: Encoding::from_fourcc(format.fourcc).is_some(),
            sizes: sizes.collect(),
            description: format.description,
        });
    }
    offers
}

fn list<T>(entry: impl Fn(u32) -> std::io::Result<T>) -> impl Iterator<Item = T> {
    (0..MAX_ENTRIES).map_while(move |index| entry(index).ok())
}

/// What palmd takes of a device's offers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Choice {
    /// Encoding.
    pub format: Encoding,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Frames a second, where the driver lists them.
    pub fps: Option<f32>,
    /// Why this one, for people.
    pub reason: String,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.size;
        write!(f, "{} {width}x{height}", self.format)?;
        match self.fps {
            Some(fps) => write!(f, " at {fps} frames a second"),
            None => Ok(()),
        }
    }
}

/// A format, size and rate that could be taken.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    format: Encoding,
    size: (u32, u32),
    fps: Option<f32>,
    /// How far size and rate are from what is wanted.
    miss: f32,
}

impl Candidate {
    fn new(format: Encoding, offered: &OfferedSize, params: &CameraParams) -> Self {
        let size = offered.nearest(params.size);
        let fps = offered.rate(params.fps);
        let off = |is: u32, wanted: u32| (is.max(1) as f32 / wanted.max(1) as f32).ln().abs();
        let rate = fps.map_or(1.0, |fps| fps / params.fps);
        let slow = if rate >= GOOD_RATE {
            0.0
        } else {
            -rate.max(0.001).ln()
        };
        // A missing rate weighs more than missing pixels, since the networks see the hand at
        // 224x224 pixels anyway.
        let miss = off(size.0, params.size.0) + off(size.1, params.size.1) + 2.0 * slow;
        Self {
            format,
            size,
            fps,
            miss,
        }
    }

    fn is_as_wanted(&self, params: &CameraParams) -> bool {
        let rate = self.fps.map_or(1.0, |fps| fps / params.fps);
        self.size == params.size && (rate - 1.0).abs() < 0.01
    }

    fn choice(self, reason: String) -> Choice {
        Choice {
            format: self.format,
            size: self.size,
            fps: self.fps,
            reason,
        }
    }
}

/// The nearest candidate, and of equally near ones the cheapest to sample.
fn best<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> Option<Candidate> {
    let order = |a: &&Candidate, b: &&Candidate| {
        let nearer = a.miss.total_cmp(&b.miss);
        nearer.then(a.format.cmp(&b.format))
    };
    candidates.min_by(order).copied()
}

/// Chooses among `offers`: the size and rate nearest to the wanted ones, and of equally near ones
/// the format that is cheapest to sample.
///
/// # Errors
/// Says why there is nothing to choose from.
pub fn choose(offers: &[Offer], params: &CameraParams) -> Result<Choice, String> {
    let unlisted = OfferedSize {
        min: params.size,
        max: params.size,
        fps: Vec::new(),
        fps_between: false,
    };
    let mut candidates = Vec::new();
    for offer in offers {
        let Some(format) = Encoding::from_fourcc(offer.fourcc) else {
            continue;
        };
        let unlisted = offer.sizes.is_empty().then_some(&unlisted);
        let sizes = offer.sizes.iter().chain(unlisted);
        candidates.extend(sizes.map(|size| Candidate::new(format, size, params)));
    }
    candidates.retain(|candidate| candidate.size.0.max(candidate.size.1) <= MAX_SIDE);

    let codes = offers.iter().map(|offer| offer.fourcc.to_string());
    let codes = codes.collect::<Vec<_>>().join(", ");
    if let Some(format) = params.format {
        candidates.retain(|candidate| candidate.format == format);
        if candidates.is_empty() {
            return Err(format!(
                "the configured format {format} isn't among the device's ({codes})"
            ));
        }
    }
    let chosen = best(candidates.iter()).ok_or_else(|| match offers {
        [] => "the device lists no formats".to_owned(),
        _ => format!(
            "palmd reads {}, the device offers only {codes}",
            Encoding::names()
        ),
    })?;

    let (width, height) = params.size;
    let near = if chosen.is_as_wanted(params) {
        "size and rate as wanted".to_owned()
    } else {
        format!("nearest to the wanted {width}x{height} at {}", params.fps)
    };
    let raw = candidates.iter();
    let raw = best(raw.filter(|raw| raw.format != Encoding::Mjpg));
    let kind = match (params.format, chosen.format, raw) {
        (Some(_), _, _) => "format as configured".to_owned(),
        (None, Encoding::Mjpg, None) => "the only format that palmd reads".to_owned(),
        (None, Encoding::Mjpg, Some(raw)) => {
            format!(
                "without decoding there is only {}",
                raw.choice(String::new())
            )
        }
        (None, _, _) => "needs no decoding".to_owned(),
    };
    Ok(chosen.choice(format!("{near}; {kind}")))
}

/// How a picture lies in a buffer, as negotiated with the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Encoding.
    pub encoding: Encoding,
    /// Code range of YUV formats.
    pub range: Range,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Bytes from row to row in the first plane, the driver's own; without meaning for JPEG.
    pub stride: usize,
}

impl Layout {
    /// The layout of the format that the driver has set, which need not be what it was asked for.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(set: PixFormat, range: Option<Range>) -> Result<Self, String> {
        let encoding = Encoding::from_fourcc(set.fourcc)
            .ok_or_else(|| format!("the driver insists on the format {}", set.fourcc))?;
        let (width, height, stride) = (set.width, set.height, set.stride);
        if width == 0 || height == 0 || width.max(height) > MAX_SIDE {
            return Err(format!("the driver insists on the size {width}x{height}"));
        }
        if let Some(format) = encoding.pixels() {
            let (row, _) = format.plane_layout(width as usize, height as usize)[0];
            if (stride as usize) < row {
                return Err(format!(
                    "the driver gives rows of {stride} bytes, but {encoding} {width}x{height} needs {row}"
                ));
            }
        }
        Ok(Self {
            encoding,
            range: range.unwrap_or_else(|| default_range(set)),
            width: width as usize,
            height: height as usize,
            stride: stride as usize,
        })
    }

    /// The picture in a raw buffer; `None` when the buffer is too short for it, or is JPEG.
    #[must_use]
    pub fn image<'a>(&self, data: &'a [u8]) -> Option<Image<'a>> {
        Image::from_contiguous(
            self.encoding.pixels()?,
            self.range,
            self.width,
            self.height,
            self.stride,
            data,
        )
    }

    /// Whether a buffer's content is long enough to be worth a look.
    #[must_use]
    pub fn fits(&self, data: &[u8]) -> bool {
        match self.encoding {
            Encoding::Mjpg => !data.is_empty(),
            _ => self.image(data).is_some(),
        }
    }
}

/// What `V4L2_QUANTIZATION_DEFAULT` means for YUV: limited, except in JPEG's own colour space.
fn default_range(set: PixFormat) -> Range {
    match set.quantization {
        c::v4l2_quantization_V4L2_QUANTIZATION_FULL_RANGE => Range::Full,
        c::v4l2_quantization_V4L2_QUANTIZATION_LIM_RANGE => Range::Limited,
        _ if set.colorspace == c::v4l2_colorspace_V4L2_COLORSPACE_JPEG => Range::Full,
        _ => Range::Limited,
    }
}

/// How many buffers the pool needs so that the driver has some to fill while frames of
/// `processing_latency` are held.
#[must_use]
pub fn buffer_count(params: &CameraParams, interval: Interval) -> u32 {
    const MOST: u32 = 32; // VIDEO_MAX_FRAME
    let wanted = params.buffers.unwrap_or_else(|| {
        let frame = interval.duration().unwrap_or(Duration::from_millis(33));
        let held = params.processing_latency.as_nanos();
        let held = held.div_ceil(frame.as_nanos());
        (held.min(u128::from(MOST)) as u32).max(2) + 1
    });
    wanted.clamp(2, MOST)
}
