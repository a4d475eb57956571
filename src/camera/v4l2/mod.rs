//! V4L2 cameras.
//!
//! A [`Camera`] opens its device when it is first asked for a frame ([`devices`] finds it and
//! [`format`] chooses what to take of its offers), starts a [`Pool`] of the driver's own buffers,
//! and from then on hands out the newest complete one. Whatever goes wrong, it closes everything,
//! says so once, and opens anew after a pause. The [`kernel`] is behind a trait: [`Linux`] is the
//! real one.

mod devices;
mod format;
pub mod kernel;
#[cfg(test)]
mod model;
mod pool;
mod sys;
#[cfg(test)]
mod tests;
mod timeline;

pub use devices::Device;
pub use format::{Choice, Encoding, Layout, Offer, OfferedSize};
pub use pool::{Buffer, Failed, Pool, PoolStats};
pub use sys::{Linux, LinuxCapture, LinuxMapping};

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::kernel::{Capture, Filled, Interval, Kernel, PixFormat, Readiness};
use self::timeline::Timeline;
use super::{Frame, JpegDecoder, Next, Range, Source, SourceError, SourceInfo, SourceStats};
use crate::clock::Clock;

/// Shortest pause before a device is opened again: reopening faster can reset a USB bus.
const MIN_BACKOFF: Duration = Duration::from_secs(1);

/// Longest pause before a device is opened again.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// Rest after a wake-up that brought nothing, so that a driver gone mad can't keep a core busy.
const SPURIOUS_WAKEUP_REST: Duration = Duration::from_millis(1);

/// All video nodes by number, with what palmd would take of each under `params`.
#[must_use]
pub fn devices(params: &CameraParams) -> Vec<Device> {
    devices::devices(&Linux, params)
}

/// Which camera to use, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraParams {
    /// `auto`, a path such as `/dev/video0`, or a name under `/dev/v4l/by-id`.
    pub device: String,
    /// Wanted width and height in pixels; the nearest that the device offers is taken.
    pub size: (u32, u32),
    /// Wanted frames a second; the nearest that the device offers is taken.
    pub fps: f32,
    /// The encoding to take; by default the one that is cheapest to sample.
    pub format: Option<Encoding>,
    /// Code range of YUV formats; by default what the driver says.
    pub range: Option<Range>,
    /// Number of buffers; by default what `processing_latency` needs, and one more.
    pub buffers: Option<u32>,
    /// How long a frame is usually held.
    pub processing_latency: Duration,
    /// Without a frame for so long the camera counts as failed and is opened anew.
    pub frame_timeout: Duration,
    /// Pause before the first attempt to open anew, at least 1 s; doubles up to 10 s.
    pub backoff: Duration,
    /// A frame that is held for longer is reported as a leak.
    pub held_too_long: Duration,
}

impl Default for CameraParams {
    fn default() -> Self {
        Self {
            device: "auto".into(),
            size: (640, 480),
            fps: 30.0,
            format: None,
            range: None,
            buffers: None,
            processing_latency: Duration::from_millis(50),
            frame_timeout: Duration::from_secs(5),
            backoff: MIN_BACKOFF,
            held_too_long: Duration::from_secs(2),
        }
    }
}

/// A V4L2 camera as a [`Source`].
///
/// It survives its device: while the device is away, [`next_frame`](Source::next_frame) times out.
/// A frame's number counts the driver's frames, so that skipped, bad and dropped ones leave gaps.
pub struct Camera<K: Kernel = Linux> {
    params: CameraParams,
    clock: Arc<dyn Clock>,
    kernel: K,
    stream: Option<Stream<K>>,
    /// What the stream before this one delivered.
    last_info: Option<SourceInfo>,
    jpeg: JpegDecoder,
    /// A JPEG that was taken less than this after the last one that was decoded isn't wanted.
    rest: Duration,
    last_decoded: Option<Duration>,
    timeline: Timeline,
    /// Counters of this camera and of the pools that it has closed.
    stats: SourceStats,
    leaks: u64,
    opened_before: bool,
    retry_at: Duration,
    pause: Duration,
    /// What the caller has been told of the failure that lasts.
    lost: Option<String>,
    /// What the log was told about the device last.
    announced: String,
}

/// An opened device that streams.
struct Stream<K: Kernel> {
    pool: Pool<K::Capture>,
    info: SourceInfo,
    /// Since when there has been no frame.
    silent_since: Duration,
}

impl Camera {
    /// A camera of this machine. Opens nothing yet, so it may be made before the device exists.
    #[must_use]
    pub fn new(params: CameraParams, clock: Arc<dyn Clock>) -> Self {
        Self::with_kernel(params, clock, Linux)
    }
}

impl<K: Kernel> Camera<K> {
    /// A camera of the given kernel.
    #[must_use]
    pub fn with_kernel(params: CameraParams, clock: Arc<dyn Clock>, kernel: K) -> Self {
        let pause = params.backoff.max(MIN_BACKOFF);
        Self {
            params,
            clock,
            kernel,
            stream: None,
            last_info: None,
            jpeg: JpegDecoder::default(),
            rest: Duration::ZERO,
            last_decoded: None,
            timeline: Timeline::default(),
            stats: SourceStats::default(),
            leaks: 0,
            opened_before: false,
            retry_at: Duration::ZERO,
            pause,
            lost: None,
            announced: String::new(),
        }
    }

    /// Opens the device and starts the stream, unless that is done. A program may call it to see
    /// whether the camera works; [`next_frame`](Source::next_frame) calls it by itself.
    ///
    /// # Errors
    /// [`SourceError`] with what to do.
    pub fn open(&mut self) -> Result<(), SourceError> {
        if self.stream.is_some() {
            return Ok(());
        }
        let (capture, device, choice) = devices::open(&self.kernel, &self.params)?;
        let name = device.path.display().to_string();
        let io_error = |failed: Failed| self::io_error(&name, failed);

        let set = capture
            .set_format(choice.format.fourcc(), choice.size)
            .map_err(Failed::to("set the format"))
            .map_err(io_error)?;
        let layout = Layout::new(set, self.params.range).map_err(|reason| {
            let name = name.clone();
            SourceError::Unavailable { name, reason }
        })?;
        let wanted = Interval::from_hz(choice.fps.unwrap_or(self.params.fps));
        // Some drivers have but one rate and refuse to be asked.
        let interval = capture.set_interval(wanted).unwrap_or(wanted);
        let buffers = format::buffer_count(&self.params, interval);
        let held_too_long = self.params.held_too_long;
        let clock = Arc::clone(&self.clock);
        let pool = Pool::start(capture, layout, buffers, held_too_long, clock).map_err(io_error)?;

        // A torn header must not make room for a giant. Some cameras send whole blocks of 16 pixels.
        let [width, height] = [layout.width, layout.height].map(|side| side.next_multiple_of(16));
        self.jpeg = JpegDecoder::with_limit(width, height);
        let info = info(&device, set, interval);
        self.announce(&device, &choice, &info, pool.buffers());
        self.stats.reopened += u64::from(self.opened_before);
        self.opened_before = true;
        self.timeline.restart();
        self.stream = Some(Stream {
            pool,
            info,
            silent_since: self.clock.now(),
        });
        Ok(())
    }

    /// How often a frame came to be held for longer than
    /// [`held_too_long`](CameraParams::held_too_long).
    #[must_use]
    pub fn leaks(&self) -> u64 {
        let open = self.stream.as_ref().map(|stream| stream.pool.stats().leaks);
        self.leaks + open.unwrap_or_default()
    }

    /// Tells the log what was opened and why, unless it has just been told so.
    fn announce(&mut self, device: &Device, choice: &Choice, info: &SourceInfo, buffers: usize) {
        let why = if self.params.device == "auto" {
            "the first usable camera; "
        } else {
            ""
        };
        let (width, height) = info.size;
        let text = format!(
            "camera {}: {} {width}x{height} at {} frames a second, {buffers} buffers ({why}{})",
            info.name, info.format, info.fps, choice.reason
        );
        if text != self.announced {
            log::info!("{text}");
            log::debug!(
                "{}: driver {}, bus {}",
                info.name,
                device.driver,
                device.bus
            );
            self.announced = text;
        }
    }

    /// Waits until the pool has a frame ready, of which it returns the encoding; `None` when
    /// `deadline` came first.
    fn wait(&mut self, deadline: Duration) -> Result<Option<Encoding>, SourceError> {
        if self.stream.is_none() {
            let now = self.clock.now();
            if now < self.retry_at {
                let pause = self.retry_at.min(deadline).saturating_sub(now);
                self.clock.sleep(pause);
                if self.clock.now() < self.retry_at {
                    return Ok(None);
                }
            }
            self.open()?;
        }
        let Some(stream) = &self.stream else {
            return Ok(None);
        };
        let name = &stream.info.name;
        let io_error = |failed| self::io_error(name, failed);
        let mut readiness = Readiness::Timeout;
        loop {
            let drained = stream.pool.drain().map_err(io_error)?;
            if stream.pool.is_ready() {
                return Ok(Some(stream.pool.layout().encoding));
            }
            if readiness == Readiness::Ready && drained == 0 {
                self.clock.sleep(SPURIOUS_WAKEUP_REST);
            }
            let now = self.clock.now();
            let patience = stream.silent_since + self.params.frame_timeout;
            if now >= patience {
                return Err(SourceError::Unavailable {
                    name: name.clone(),
                    reason: format!(
                        "no frame for {:.1?}; opening it anew",
                        self.params.frame_timeout
                    ),
                });
            }
            if now >= deadline {
                return Ok(None);
            }
            let time = patience.min(deadline) - now;
            readiness = stream.pool.poll(time).map_err(io_error)?;
        }
    }

    /// Closes everything and plans the next attempt. The first error of a row is the caller's;
    /// what follows until the next frame goes to the log, if it is different.
    fn fail(&mut self, error: SourceError) -> Result<(), SourceError> {
        self.close();
        self.retry_at = self.clock.now() + self.pause;
        self.pause = (self.pause * 2).min(MAX_BACKOFF.max(self.params.backoff));
        let text = error.to_string();
        let told = self.lost.replace(text);
        if told.is_none() {
            return Err(error);
        }
        if told != self.lost {
            log::warn!("camera is still lost: {error}");
        }
        Ok(())
    }

    fn close(&mut self) {
        self.stats = SourceStats {
            live_frames: 0,
            buffers: 0,
            ..self.stats()
        };
        self.leaks = self.leaks();
        if let Some(stream) = self.stream.take() {
            self.last_info = Some(stream.info);
        }
    }

    /// A frame is on its way to the caller: all is well.
    fn found(&mut self) {
        self.stats.delivered += 1;
        self.lost = None;
        self.pause = self.params.backoff.max(MIN_BACKOFF);
        if let Some(stream) = &mut self.stream {
            stream.silent_since = self.clock.now();
        }
    }

    /// The raw buffer that the pool has ready.
    fn raw_frame(&mut self) -> Option<Frame<'_>> {
        self.found();
        let buffer = self.stream.as_ref()?.pool.take()?;
        let captured = captured(&self.kernel, &buffer.filled());
        let (seq, t) = self.timeline.place(buffer.filled().sequence, captured);
        buffer.into_frame(seq, t, captured)
    }

    /// Decodes the JPEG that the pool has ready and gives its buffer back. `None` if it is torn, or
    /// not wanted.
    fn decode(&mut self) -> Option<Filled> {
        let buffer = self.stream.as_ref()?.pool.take()?;
        let filled = buffer.filled();
        let captured = captured(&self.kernel, &filled);
        // Time that goes back is of another stream.
        let passed = self
            .last_decoded
            .and_then(|last| captured.checked_sub(last));
        if passed.is_some_and(|passed| passed < self.rest) {
            self.stats.skipped += 1;
            return None;
        }
        self.last_decoded = Some(captured);
        let decoded = self.jpeg.decode(&buffer).is_ok();
        self.stats.bad += u64::from(!decoded);
        decoded.then_some(filled)
    }

    /// The picture that was decoded from `filled`.
    fn decoded_frame(&mut self, filled: Filled) -> Option<Frame<'_>> {
        self.found();
        let captured = captured(&self.kernel, &filled);
        let (seq, t) = self.timeline.place(filled.sequence, captured);
        let mut frame = Frame::borrowed(self.jpeg.image()?, seq, t);
        frame.captured = Some(captured);
        Some(frame)
    }
}

impl<K: Kernel> Source for Camera<K> {
    /// Returns the newest complete frame. Opens the device if need be; while that fails, the first
    /// error is returned and then time-outs, until there is a frame again.
    ///
    /// Allocates nothing while the stream runs, but for what JPEG decoding needs.
    fn next_frame(&mut self, timeout: Duration) -> Result<Next<'_>, SourceError> {
        let deadline = self.clock.now() + timeout;
        loop {
            match self.wait(deadline) {
                Ok(None) => return Ok(Next::Timeout),
                Ok(Some(Encoding::Mjpg)) => {
                    if let Some(filled) = self.decode() {
                        let frame = self.decoded_frame(filled);
                        return Ok(frame.map_or(Next::Timeout, Next::Frame));
                    }
                }
                Ok(Some(_)) => return Ok(self.raw_frame().map_or(Next::Timeout, Next::Frame)),
                Err(error) => return self.fail(error).map(|()| Next::Timeout),
            }
        }
    }

    fn rest(&mut self, interval: Duration) {
        self.rest = interval;
    }

    fn close(&mut self) {
        if self.stream.is_some() {
            Self::close(self);
            self.retry_at = self.clock.now() + MIN_BACKOFF;
        }
    }

    /// What the stream delivers, or did before it was lost; before any, what is wanted.
    fn info(&self) -> SourceInfo {
        let open = self.stream.as_ref().map(|stream| &stream.info);
        match open.or(self.last_info.as_ref()) {
            Some(info) => info.clone(),
            None => SourceInfo {
                name: self.params.device.clone(),
                size: self.params.size,
                fps: self.params.fps,
                format: self
                    .params
                    .format
                    .map_or("auto".into(), |format| format.to_string()),
                live: true,
                stills: false,
                frames: None,
            },
        }
    }

    fn stats(&self) -> SourceStats {
        let open = self.stream.as_ref().map(|stream| stream.pool.stats());
        let open = open.unwrap_or_default();
        SourceStats {
            skipped: self.stats.skipped + open.skipped,
            bad: self.stats.bad + open.bad,
            live_frames: open.live,
            buffers: self.stream.as_ref().map_or(0, |s| s.pool.buffers() as u32),
            live_frames_peak: self.stats.live_frames_peak.max(open.live_peak),
            ..self.stats
        }
    }
}

fn captured<K: Kernel>(kernel: &K, filled: &Filled) -> Duration {
    filled.timestamp.unwrap_or_else(|| kernel.monotonic())
}

fn info(device: &Device, set: PixFormat, interval: Interval) -> SourceInfo {
    SourceInfo {
        name: format!("{} ({})", device.path.display(), device.card),
        size: (set.width, set.height),
        fps: interval.hz().unwrap_or_default(),
        format: set.fourcc.to_string(),
        live: true,
        stills: false,
        frames: None,
    }
}

/// The error of a node that can't be opened.
fn open_error(path: &Path, error: io::Error) -> SourceError {
    let name = path.display().to_string();
    match error.kind() {
        io::ErrorKind::PermissionDenied => SourceError::Permission {
            name,
            hint: "add the user to the group that owns it (`sudo usermod -aG video USER`) and log in again".into(),
        },
        io::ErrorKind::NotFound => SourceError::Unavailable {
            name,
            reason: "no such device; `palmd devices` lists the cameras".into(),
        },
        _ => io_error(
            &name,
            Failed {
                doing: "open",
                error,
            },
        ),
    }
}

/// The error of a system call on an opened device.
fn io_error(name: &str, Failed { doing, error }: Failed) -> SourceError {
    let name = name.to_owned();
    match error.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO) => SourceError::Unavailable {
            name,
            reason: "unplugged; plug it in again".into(),
        },
        Some(libc::EBUSY) => SourceError::Unavailable {
            name,
            reason: "in use by another program; end that (`fuser -v /dev/video*` names it)".into(),
        },
        _ => SourceError::Io { name, doing, error },
    }
}
