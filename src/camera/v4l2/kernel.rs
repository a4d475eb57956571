//! The system calls of a V4L2 capture device, typed, so that a model can stand in for the kernel.
//!
//! Names and rules are those of the
//! [V4L2 documentation](https://docs.kernel.org/userspace-api/media/v4l/v4l2.html).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Serialize, Serializer};

/// The kernel: lists video nodes and opens them.
pub trait Kernel: Send {
    /// An opened node.
    type Capture: Capture;

    /// The video nodes of the machine, by number.
    fn nodes(&self) -> Vec<Node>;

    /// Opens a node without blocking reads. Dropping the result closes it.
    ///
    /// # Errors
    /// The system's answer; not finding the node is one.
    fn open(&self, path: &Path) -> io::Result<Self::Capture>;

    /// The time of `CLOCK_MONOTONIC`, in which drivers stamp their frames.
    fn monotonic(&self) -> Duration;
}

/// An opened video node with its queue of buffers (single-planar capture, memory-mapped).
///
/// Every error is the system's own answer to the call.
#[expect(clippy::missing_errors_doc, reason = "stated once for all")]
pub trait Capture: Send {
    /// A mapped buffer. Dropping it unmaps.
    type Mapping: Mapping;

    /// `VIDIOC_QUERYCAP`.
    fn capability(&self) -> io::Result<Capability>;

    /// `VIDIOC_ENUM_FMT`; fails with `EINVAL` behind the last index, as do the other two.
    fn format(&self, index: u32) -> io::Result<FormatDescription>;

    /// `VIDIOC_ENUM_FRAMESIZES`.
    fn frame_size(&self, fourcc: FourCc, index: u32) -> io::Result<Sizes>;

    /// `VIDIOC_ENUM_FRAMEINTERVALS`.
    fn frame_interval(&self, fourcc: FourCc, size: (u32, u32), index: u32)
    -> io::Result<Intervals>;

    /// `VIDIOC_S_FMT`, asking for progressive frames and leaving stride and size to the driver.
    /// Returns what the driver made of it.
    fn set_format(&self, fourcc: FourCc, size: (u32, u32)) -> io::Result<PixFormat>;

    /// `VIDIOC_S_PARM`. Returns the interval that the driver will keep.
    fn set_interval(&self, interval: Interval) -> io::Result<Interval>;

    /// `VIDIOC_REQBUFS`. Returns how many buffers there are now; 0 frees them all.
    fn request_buffers(&self, count: u32) -> io::Result<u32>;

    /// `VIDIOC_QUERYBUF` and `mmap`.
    fn map(&self, index: u32) -> io::Result<Self::Mapping>;

    /// `VIDIOC_QBUF`.
    fn queue(&self, index: u32) -> io::Result<()>;

    /// `VIDIOC_DQBUF`; `None` when no buffer is filled.
    fn dequeue(&self) -> io::Result<Option<Filled>>;

    /// `VIDIOC_STREAMON`.
    fn stream_on(&self) -> io::Result<()>;

    /// `VIDIOC_STREAMOFF`: takes all buffers out of the queue.
    fn stream_off(&self) -> io::Result<()>;

    /// Waits until a buffer is filled, something is wrong, or `timeout` is over.
    fn poll(&self, timeout: Duration) -> io::Result<Readiness>;
}

/// A buffer of the driver's in our address space.
pub trait Mapping: Send {
    /// Its memory.
    ///
    /// # Safety
    /// The buffer must be dequeued, and must not be queued while the returned slice is in use:
    /// the driver writes into a queued buffer.
    unsafe fn bytes(&self) -> &[u8];
}

/// A video node and its stable names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// `/dev/videoN`.
    pub path: PathBuf,
    /// The name under `/dev/v4l/by-id`, which stays when ports and numbers change. Only USB
    /// devices have one.
    pub by_id: Option<PathBuf>,
}

/// What a node says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// Kernel driver ("uvcvideo").
    pub driver: String,
    /// The device's name for people.
    pub card: String,
    /// Where it is attached ("usb-0000:01:00.0-1.3").
    pub bus: String,
    /// `V4L2_CAP_*` of this node (not of the whole device).
    pub flags: u32,
}

/// A pixel format's four-character code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for FourCc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One pixel format that a device offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatDescription {
    /// Its code.
    pub fourcc: FourCc,
    /// The driver's words for it.
    pub description: String,
}

/// Frame sizes in pixels that a device offers for a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// One width and height.
    Discrete(u32, u32),
    /// All from `min` to `max` in steps.
    Stepwise {
        /// Smallest width and height.
        min: (u32, u32),
        /// Largest width and height.
        max: (u32, u32),
        /// Steps of width and height.
        step: (u32, u32),
    },
}

/// Time from frame to frame in seconds, as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Above the line.
    pub numerator: u32,
    /// Below the line.
    pub denominator: u32,
}

impl Interval {
    /// The interval of `hz` frames a second, to a thousandth.
    #[must_use]
    pub fn from_hz(hz: f32) -> Self {
        Self {
            numerator: 1000,
            denominator: (hz * 1000.0).round().max(1.0) as u32,
        }
    }

    /// Its length, to a nanosecond; `None` for a fraction that means nothing.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        let ns =
            (u64::from(self.numerator) * 1_000_000_000).checked_div(self.denominator.into())?;
        (ns > 0).then(|| Duration::from_nanos(ns))
    }

    /// Frames a second; `None` for a fraction that means nothing.
    #[must_use]
    pub fn hz(self) -> Option<f32> {
        (self.numerator > 0 && self.denominator > 0)
            .then(|| self.denominator as f32 / self.numerator as f32)
    }
}

/// Frame intervals that a device offers for a format and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intervals {
    /// One interval.
    Discrete(Interval),
    /// All between two intervals.
    Between {
        /// The shortest: highest rate.
        min: Interval,
        /// The longest: lowest rate.
        max: Interval,
    },
}

/// A format as the driver has set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixFormat {
    /// Pixel format.
    pub fourcc: FourCc,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bytes from row to row in the first plane; 0 for compressed formats.
    pub stride: u32,
    /// `V4L2_COLORSPACE_*`.
    pub colorspace: u32,
    /// `V4L2_QUANTIZATION_*`.
    pub quantization: u32,
}

/// A dequeued buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    /// Number of the buffer.
    pub index: u32,
    /// Bytes of it that hold the picture.
    pub bytes_used: u32,
    /// The driver says that the content is damaged.
    pub damaged: bool,
    /// The driver's count of frames; gaps are frames that it had to drop.
    pub sequence: u32,
    /// When the frame was taken, in `CLOCK_MONOTONIC`; `None` where the driver uses another time.
    pub timestamp: Option<Duration>,
}

/// The answer of [`Capture::poll`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// A call to [`Capture::dequeue`] has something to say, be it an error.
    Ready,
    /// Nothing happened, or a signal came in.
    Timeout,
}
