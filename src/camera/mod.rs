//! Where frames come from: a V4L2 camera, a recording, or the synthetic hand.
//!
//! Every kind of input is a [`Source`]. The vision thread asks it for the next [`Frame`],
//! samples pixels straight from the frame's [`Image`], and drops it; dropping gives a camera's
//! buffer back to the driver.

mod frame;
mod jpeg;
mod pace;
pub mod recording;
mod spec;
pub mod synthetic;
pub mod v4l2;

pub use frame::{Frame, Image, PixelFormat, Range, Requeue};
pub use jpeg::{JpegDecoder, JpegError};
pub use pace::Paced;
pub use spec::SourceSpec;

use std::time::Duration;

/// An input of frames.
pub trait Source: Send {
    /// Waits for the next frame, but no longer than `timeout`.
    ///
    /// A live source returns the *newest* complete frame and gives older ones back uncounted by
    /// the caller (it counts them itself, see [`SourceStats`]). A recording returns its frames
    /// one by one and never skips.
    ///
    /// # Errors
    /// [`SourceError`] when the source can't go on as it is. A live source may be asked again:
    /// it closes, waits its back-off and opens anew.
    fn next_frame(&mut self, timeout: Duration) -> Result<Next<'_>, SourceError>;

    /// Says that for now a frame is wanted only so long after the one before. A camera whose
    /// frames must be decoded gives those between back undecoded, and counts them as skipped;
    /// others take no notice.
    fn rest(&mut self, _interval: Duration) {}

    /// Gives the device back until the next frame is asked for. Those that have none just stand
    /// still.
    fn close(&mut self) {}

    /// What the source is and delivers, for people and for status: name, size, rate, format.
    fn info(&self) -> SourceInfo;

    /// Counters since the source was opened.
    fn stats(&self) -> SourceStats;
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn next_frame(&mut self, timeout: Duration) -> Result<Next<'_>, SourceError> {
        (**self).next_frame(timeout)
    }

    fn rest(&mut self, interval: Duration) {
        (**self).rest(interval);
    }

    fn close(&mut self) {
        (**self).close();
    }

    fn info(&self) -> SourceInfo {
        (**self).info()
    }

    fn stats(&self) -> SourceStats {
        (**self).stats()
    }
}

/// The answer of [`Source::next_frame`].
#[derive(Debug)]
pub enum Next<'a> {
    /// A frame to work on.
    Frame(Frame<'a>),
    /// Nothing came within the time-out.
    Timeout,
    /// A recording or script has ended.
    End,
}

/// What a source is and delivers.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceInfo {
    /// Device path, file name or script, as a person would name it.
    pub name: String,
    /// Width and height of the frames in pixels.
    pub size: (u32, u32),
    /// Nominal frames a second; 0 where unknown (a folder of pictures).
    pub fps: f32,
    /// FourCC or name of the pixel format on the way in ("YUYV", "MJPG", "YU12").
    pub format: String,
    /// Whether frames arrive by themselves (a camera) and older ones may be skipped.
    pub live: bool,
    /// Whether the frames are single pictures that have nothing to do with one another.
    pub stills: bool,
    /// Number of frames, where it is known beforehand (for progress).
    pub frames: Option<u64>,
}

/// Counters of a source; all only grow, except `live_frames` and `buffers`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceStats {
    /// Frames handed out.
    pub delivered: u64,
    /// Complete frames given back unseen, because a newer one was there or none was wanted; of a
    /// folder, the entries that are no pictures.
    pub skipped: u64,
    /// Broken frames: error flag, too short, torn JPEG, impossible index.
    pub bad: u64,
    /// Times that the device was closed and opened again.
    pub reopened: u64,
    /// Buffers that are held by frames at this moment.
    pub live_frames: u32,
    /// Buffers in the driver's pool; 0 where there is none.
    pub buffers: u32,
    /// The most that `live_frames` has been.
    pub live_frames_peak: u32,
}

/// Why a source can't be opened or can't go on. The text of each names the source and says what
/// to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The text given as a source means nothing.
    #[error("source {spec:?}: {reason}")]
    Spec {
        /// The text as it was given.
        spec: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The device or file is not there, or went away.
    #[error("{name}: {reason}")]
    Unavailable {
        /// Device or file.
        name: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Permission denied.
    #[error("{name}: permission denied; {hint}")]
    Permission {
        /// Device or file.
        name: String,
        /// What to do.
        hint: String,
    },
    /// The content is not what it should be (a recording, a picture, a script).
    #[error("{name}: {reason}")]
    Data {
        /// File or script, with the place in it where that helps.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The operating system refused.
    #[error("{name}: {doing}: {error}")]
    Io {
        /// Device or file.
        name: String,
        /// What was being done, as a verb phrase ("set the frame rate").
        doing: &'static str,
        /// The system's answer.
        error: std::io::Error,
    },
}
