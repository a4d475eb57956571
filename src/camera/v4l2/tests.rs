//! The camera against the model of the kernel: one test for each fault, then random ones.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use v4l::v4l_sys as c;

use super::kernel::{Capture, FourCc, Kernel, Mapping, PixFormat};
use super::model::{BOOT, Call, Lists, Model, ModelNode, Spoilt, pattern};
use super::{Camera, CameraParams, Encoding, Layout, Pool, devices};
use crate::camera::{Next, PixelFormat, Range, Source, SourceError, SourceStats};
use crate::clock::{Clock, SimulatedClock};

const FRAME: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_millis(200);

/// A camera on the model. What the model has to object to fails the test at its end, and so does
/// anything that is left open.
struct Rig {
    clock: Arc<SimulatedClock>,
    model: Model,
    camera: Option<Camera<Model>>,
}

/// What came of asking for a frame.
#[derive(Debug, PartialEq)]
enum Got {
    Frame(u64),
    Timeout,
    Error(String),
}

fn yuyv() -> ModelNode {
    ModelNode::camera(0, &[(b"YUYV", (64, 48), 25.0)])
}

fn params() -> CameraParams {
    CameraParams {
        size: (64, 48),
        fps: 25.0,
        ..CameraParams::default()
    }
}

impl Rig {
    fn new(params: CameraParams, nodes: Vec<ModelNode>) -> Self {
        let clock = Arc::new(SimulatedClock::default());
        let model = Model::new(&clock, nodes);
        let camera = Camera::with_kernel(params, Arc::clone(&clock) as _, model.clone());
        Self {
            clock,
            model,
            camera: Some(camera),
        }
    }

    /// One YUYV camera of 25 frames a second that has delivered its first frame.
    fn streaming() -> Self {
        let mut rig = Self::new(params(), vec![yuyv()]);
        assert_eq!(rig.ask(), Got::Frame(0));
        rig
    }

    fn camera(&mut self) -> &mut Camera<Model> {
        self.camera.as_mut().unwrap()
    }

    /// Asks for a frame and drops it; all buffers must then be with the driver.
    fn ask(&mut self) -> Got {
        let got = match self.camera().next_frame(PATIENCE) {
            Ok(Next::Frame(frame)) => Got::Frame(frame.seq),
            Ok(Next::Timeout) => Got::Timeout,
            Ok(Next::End) => unreachable!("a camera never ends"),
            Err(error) => Got::Error(error.to_string()),
        };
        assert_eq!(self.model.held(), 0, "a buffer wasn't given back");
        got
    }

    /// Lets time pass without asking.
    fn work(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Asks until the camera is lost, and returns the error.
    fn lose(&mut self) -> String {
        for _ in 0..1000 {
            if let Got::Error(text) = self.ask() {
                return text;
            }
        }
        panic!("the fault isn't noticed");
    }

    /// Asks until there is a frame again, and returns its number and how long that took.
    fn recover(&mut self) -> (u64, Duration) {
        let start = self.clock.now();
        for _ in 0..1000 {
            if let Got::Frame(seq) = self.ask() {
                return (seq, self.clock.now() - start);
            }
        }
        panic!("the camera doesn't come back");
    }

    fn stats(&mut self) -> SourceStats {
        self.camera().stats()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.camera = None;
        if !std::thread::panicking() {
            assert_eq!(self.model.violations(), [""; 0]);
            assert!(self.model.is_idle(), "something was left open");
        }
    }
}

fn error_of(got: Got) -> String {
    match got {
        Got::Error(text) => text,
        got => panic!("{got:?}"),
    }
}

// The newest frame

#[test]
fn frames_come_in_order_with_the_drivers_time() {
    let mut rig = Rig::streaming();
    for seq in 1..50 {
        let Next::Frame(frame) = rig.camera().next_frame(PATIENCE).unwrap() else {
            panic!("no frame");
        };
        assert_eq!(frame.seq, seq);
        assert_eq!(frame.t, FRAME * seq as u32);
        assert_eq!(frame.captured, Some(BOOT + FRAME * (seq as u32 + 1)));
        assert!(
            frame.image().planes[0]
                .iter()
                .all(|&byte| byte == pattern(seq))
        );
    }
    let expected = SourceStats {
        delivered: 50,
        buffers: 3,
        live_frames_peak: 1,
        ..SourceStats::default()
    };
    assert_eq!(rig.stats(), expected);
}

#[test]
fn the_newest_frame_is_taken_and_older_ones_are_skipped() {
    let mut rig = Rig::streaming();
    rig.work(FRAME * 3);
    // Three buffers, so the driver had to stop after sequence 3.
    assert_eq!(rig.ask(), Got::Frame(3));
    assert_eq!(rig.stats().skipped, 2);
    assert_eq!(rig.ask(), Got::Frame(4));
}

#[test]
fn a_time_without_frames_costs_no_buffer() {
    let mut rig = Rig::streaming();
    rig.model.stall(Duration::from_secs(2));
    for _ in 0..9 {
        assert_eq!(rig.ask(), Got::Timeout);
    }
    assert_eq!(rig.recover().0, 1);
    assert_eq!(rig.stats().reopened, 0);
}

#[test]
fn a_driver_without_monotonic_time_stamps_gets_the_time_of_taking() {
    let mut node = yuyv();
    node.timestamps = false;
    let mut rig = Rig::new(params(), vec![node]);
    let now = match rig.camera().next_frame(PATIENCE).unwrap() {
        Next::Frame(frame) => frame.captured,
        next => panic!("{next:?}"),
    };
    assert_eq!(now, Some(BOOT + rig.clock.now()));
}

// Bad frames

fn skips_as_bad(spoilt: Spoilt) {
    let mut rig = Rig::streaming();
    rig.model.spoil(0, spoilt);
    rig.model.spoil(1, spoilt);
    assert_eq!(rig.ask(), Got::Frame(3), "{spoilt:?}");
    assert_eq!((rig.stats().bad, rig.stats().skipped), (2, 0), "{spoilt:?}");
}

#[test]
fn an_error_flagged_frame_is_skipped_as_bad() {
    skips_as_bad(Spoilt::Damaged);
}

#[test]
fn a_short_frame_is_skipped_as_bad() {
    skips_as_bad(Spoilt::Short);
}

#[test]
fn an_empty_frame_is_skipped_as_bad() {
    skips_as_bad(Spoilt::Empty);
}

#[test]
fn a_frame_that_claims_more_than_its_buffer_is_skipped_as_bad() {
    skips_as_bad(Spoilt::Oversized);
}

#[test]
fn an_index_out_of_range_is_skipped_as_bad() {
    skips_as_bad(Spoilt::BadIndex);
}

#[test]
fn a_good_frame_is_kept_when_the_newer_one_is_bad() {
    let mut rig = Rig::streaming();
    rig.model.spoil(1, Spoilt::Damaged);
    rig.work(FRAME * 2);
    assert_eq!(rig.ask(), Got::Frame(1));
    assert_eq!((rig.stats().bad, rig.stats().skipped), (1, 0));
}

#[test]
fn dropped_frames_leave_a_gap_in_the_numbers() {
    let mut rig = Rig::streaming();
    rig.model.spoil(0, Spoilt::Dropped);
    rig.model.spoil(1, Spoilt::Dropped);
    assert_eq!(rig.ask(), Got::Frame(3));
    assert_eq!((rig.stats().bad, rig.stats().skipped), (0, 0));
}

#[test]
fn when_every_buffer_is_lost_to_false_indices_the_stream_starts_anew() {
    let mut rig = Rig::streaming();
    for frame in 0..3 {
        rig.model.spoil(frame, Spoilt::BadIndex);
    }
    let (_, time) = rig.recover();
    assert!(time > params().frame_timeout);
    assert_eq!(rig.model.buffers(), 3);
    assert_eq!((rig.stats().bad, rig.stats().reopened), (3, 1));
}

// Failing calls

/// After `fault` the camera is lost with an error of such a text, once; it waits a second and comes
/// back with all its buffers.
fn is_lost_and_found(rig: &mut Rig, text: &str) {
    let error = rig.lose();
    assert!(error.contains(text), "{error:?} lacks {text:?}");
    assert!(error.contains("/dev/video0"), "{error:?}");
    let streams = rig.model.streams();
    let (_, time) = rig.recover();
    assert!(time >= Duration::from_secs(1), "reopened after {time:?}");
    assert!(time < Duration::from_secs(2), "reopened after {time:?}");
    assert_eq!(rig.model.streams(), streams + 1);
    assert_eq!(rig.model.buffers(), 3);
}

#[test]
fn numbers_and_times_go_on_over_a_reopening() {
    let mut rig = Rig::streaming();
    rig.model.fail(Call::Dequeue, libc::EIO);
    rig.lose();
    rig.work(Duration::from_secs(1));
    rig.camera().open().unwrap();
    // What the driver counts before the first frame is no gap: nobody knows what went before.
    rig.work(FRAME * 3);
    let Next::Frame(frame) = rig.camera().next_frame(PATIENCE).unwrap() else {
        panic!("no frame");
    };
    assert_eq!(frame.seq, 1);
    assert_eq!(frame.captured, Some(BOOT + FRAME + frame.t));
    assert!(frame.t > Duration::from_secs(1));
}

#[test]
fn eio_while_streaming_is_survived() {
    let mut rig = Rig::streaming();
    rig.model.fail(Call::Dequeue, libc::EIO);
    is_lost_and_found(&mut rig, "take a frame");
    assert_eq!(rig.stats().reopened, 1);
}

#[test]
fn einval_on_requeue_is_survived() {
    let mut rig = Rig::streaming();
    rig.model.fail(Call::Queue, libc::EINVAL);
    // The frame is dropped first: a drop can't tell, so the next call does.
    let frame = rig.camera().next_frame(PATIENCE).unwrap();
    drop(frame);
    is_lost_and_found(&mut rig, "queue a buffer again");
}

#[test]
fn a_failing_poll_is_survived() {
    let mut rig = Rig::streaming();
    rig.model.fail(Call::Poll, libc::ENOMEM);
    is_lost_and_found(&mut rig, "wait for a frame");
}

#[test]
fn every_call_of_opening_may_fail_and_is_undone() {
    let calls = [
        (Call::SetFormat, libc::EINVAL, "set the format"),
        (Call::SetFormat, libc::EBUSY, "in use by another program"),
        (Call::RequestBuffers, libc::EINVAL, "allocate buffers"),
        (Call::Map, libc::ENOMEM, "map a buffer"),
        (Call::Queue, libc::EINVAL, "queue a buffer"),
        (Call::StreamOn, libc::EINVAL, "start streaming"),
        (Call::StreamOn, libc::EIO, "start streaming"),
    ];
    for (call, errno, text) in calls {
        let mut rig = Rig::new(params(), vec![yuyv()]);
        rig.model.fail(call, errno);
        is_lost_and_found(&mut rig, text);
        assert_eq!(rig.stats().reopened, 0, "{call:?}");
    }
}

#[test]
fn a_driver_that_will_not_be_asked_for_a_rate_is_fine() {
    let mut rig = Rig::new(params(), vec![yuyv()]);
    rig.model.fail(Call::SetInterval, libc::ENOTTY);
    assert_eq!(rig.ask(), Got::Frame(0));
}

#[test]
fn an_unplugged_camera_is_lost_once_and_found_when_it_is_back() {
    let mut rig = Rig::streaming();
    rig.model.unplug("/dev/video0");
    assert!(error_of(rig.ask()).contains("unplugged"));
    for _ in 0..1000 {
        assert_eq!(rig.ask(), Got::Timeout);
    }
    rig.model.plug_in();
    let (seq, time) = rig.recover();
    assert_eq!(seq, 1);
    assert!(time < Duration::from_secs(11), "found after {time:?}");
    assert_eq!(rig.stats().reopened, 1);
}

#[test]
fn a_frame_held_while_the_camera_goes_is_dropped_in_peace() {
    let mut rig = Rig::streaming();
    let model = rig.model.clone();
    let frame = rig.camera().next_frame(PATIENCE).unwrap();
    model.unplug("/dev/video0");
    drop(frame);
    assert!(error_of(rig.ask()).contains("unplugged"));
    rig.model.plug_in();
    rig.recover();
}

#[test]
fn a_camera_may_come_after_the_daemon() {
    let mut rig = Rig::new(params(), vec![yuyv()]);
    rig.model.unplug("/dev/video0");
    assert!(error_of(rig.ask()).contains("no camera"));
    assert_eq!(rig.ask(), Got::Timeout);
    rig.model.plug_in();
    assert_eq!(rig.recover().0, 0);
    assert_eq!(rig.stats().reopened, 0);
}

#[test]
fn a_silent_camera_counts_as_lost_and_is_opened_anew() {
    let mut rig = Rig::streaming();
    rig.model.stall(Duration::from_secs(6));
    let start = rig.clock.now();
    assert!(rig.lose().contains("no frame for 5.0s"));
    assert_eq!(rig.clock.now() - start, params().frame_timeout);
    rig.recover();
    assert_eq!(rig.stats().reopened, 1);
}

#[test]
fn a_camera_of_nothing_but_bad_frames_counts_as_lost() {
    let mut rig = Rig::streaming();
    for frame in 0..1000 {
        rig.model.spoil(frame, Spoilt::Damaged);
    }
    assert!(rig.lose().contains("no frame"));
    rig.recover();
}

#[test]
fn pauses_grow_to_ten_seconds_and_start_over_after_a_frame() {
    let params = CameraParams {
        device: "video0".into(),
        ..params()
    };
    let mut rig = Rig::new(params, vec![yuyv()]);
    rig.recover();
    for _ in 0..2 {
        rig.model.unplug("/dev/video0");
        error_of(rig.ask());
        rig.model.attempts();
        let mut times = vec![rig.clock.now()];
        // 35 s in steps of PATIENCE, and a bit.
        for _ in 0..176 {
            assert_eq!(rig.ask(), Got::Timeout);
            times.extend(rig.model.attempts());
        }
        let pauses = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs());
        let pauses: Vec<_> = pauses.collect();
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
        rig.model.plug_in();
        rig.recover();
    }
}

// Formats

#[test]
fn a_longer_stride_is_honoured() {
    let mut node = yuyv();
    node.padding = 32;
    let mut rig = Rig::new(params(), vec![node]);
    let Next::Frame(frame) = rig.camera().next_frame(PATIENCE).unwrap() else {
        panic!("no frame");
    };
    assert_eq!(frame.image().strides[0], 64 * 2 + 32);
    assert_eq!(frame.image().planes[0].len(), (64 * 2 + 32) * 48);
}

fn set(fourcc: &[u8; 4], width: u32, height: u32, stride: u32) -> PixFormat {
    PixFormat {
        fourcc: FourCc(*fourcc),
        width,
        height,
        stride,
        colorspace: c::v4l2_colorspace_V4L2_COLORSPACE_SRGB,
        quantization: c::v4l2_quantization_V4L2_QUANTIZATION_DEFAULT,
    }
}

#[test]
fn a_driver_that_sets_another_format_is_followed() {
    let mut node = yuyv();
    node.insists = Some(set(b"NV12", 48, 32, 64));
    let mut rig = Rig::new(params(), vec![node]);
    let Next::Frame(frame) = rig.camera().next_frame(PATIENCE).unwrap() else {
        panic!("no frame");
    };
    let image = frame.image();
    assert_eq!(
        (image.format, image.width, image.height),
        (PixelFormat::Nv12, 48, 32)
    );
    assert_eq!(image.strides, [64, 64, 64]);
    assert_eq!(image.planes.map(<[u8]>::len), [64 * 32, 64 * 16, 0]);
}

#[test]
fn an_impossible_format_is_refused() {
    let cases = [
        (set(b"YUYV", 64, 48, 64), "rows of 64 bytes"),
        (set(b"YUYV", 0, 48, 64), "size 0x48"),
        (set(b"YUYV", 640, 48000, 1280), "size 640x48000"),
        (set(b"BG10", 64, 48, 128), "format BG10"),
    ];
    for (insists, text) in cases {
        let mut node = yuyv();
        node.insists = Some(insists);
        let mut rig = Rig::new(params(), vec![node]);
        let error = error_of(rig.ask());
        assert!(error.contains(text), "{error:?} lacks {text:?}");
    }
}

#[test]
fn every_raw_format_is_handed_out_as_it_is() {
    let formats = [
        (b"YUYV", PixelFormat::Yuyv),
        (b"UYVY", PixelFormat::Uyvy),
        (b"NV12", PixelFormat::Nv12),
        (b"NV21", PixelFormat::Nv21),
        (b"YU12", PixelFormat::Yu12),
        (b"GREY", PixelFormat::Grey),
        (b"RGB3", PixelFormat::Rgb3),
        (b"BGR3", PixelFormat::Bgr3),
    ];
    for (fourcc, format) in formats {
        let node = ModelNode::camera(0, &[(fourcc, (64, 48), 25.0)]);
        let mut rig = Rig::new(params(), vec![node]);
        let Next::Frame(frame) = rig.camera().next_frame(PATIENCE).unwrap() else {
            panic!("no frame");
        };
        assert_eq!(frame.image().format, format);
    }
}

#[test]
fn the_range_is_the_configured_one_else_the_drivers() {
    let full = c::v4l2_quantization_V4L2_QUANTIZATION_FULL_RANGE;
    let limited = c::v4l2_quantization_V4L2_QUANTIZATION_LIM_RANGE;
    let default = c::v4l2_quantization_V4L2_QUANTIZATION_DEFAULT;
    let srgb = c::v4l2_colorspace_V4L2_COLORSPACE_SRGB;
    let jpeg = c::v4l2_colorspace_V4L2_COLORSPACE_JPEG;
    let cases = [
        (srgb, default, None, Range::Limited),
        (srgb, full, None, Range::Full),
        (jpeg, default, None, Range::Full),
        (jpeg, limited, None, Range::Limited),
        (srgb, full, Some(Range::Limited), Range::Limited),
    ];
    for (colorspace, quantization, configured, expected) in cases {
        let format = PixFormat {
            colorspace,
            quantization,
            ..set(b"YUYV", 64, 48, 128)
        };
        let layout = Layout::new(format, configured).unwrap();
        assert_eq!(layout.range, expected);
    }
}

/// What is chosen of a device's formats for 640x480 at 30 frames a second.
fn chosen(
    formats: &[(&[u8; 4], (u32, u32), f32)],
    params: &CameraParams,
) -> Result<String, String> {
    let clock = Arc::new(SimulatedClock::default());
    let model = Model::new(&clock, vec![ModelNode::camera(0, formats)]);
    let mut devices = devices::devices(&model, params);
    let device = devices.remove(0);
    match device.chosen {
        Some(choice) => Ok(format!("{choice}: {}", choice.reason)),
        None => Err(device.unusable.unwrap()),
    }
}

#[test]
fn the_cheapest_format_near_the_wanted_size_and_rate_is_chosen() {
    let (vga, hd) = ((640, 480), (1280, 720));
    let webcam = [
        (b"MJPG", vga, 30.0),
        (b"MJPG", hd, 30.0),
        (b"YUYV", vga, 30.0),
        (b"YUYV", hd, 10.0),
        (b"YUYV", (160, 120), 30.0),
    ];
    let default = CameraParams::default();
    assert_eq!(
        chosen(&webcam, &default).unwrap(),
        "YUYV 640x480 at 30 frames a second: size and rate as wanted; needs no decoding"
    );
    let large = CameraParams {
        size: hd,
        ..default.clone()
    };
    assert_eq!(
        chosen(&webcam, &large).unwrap(),
        "MJPG 1280x720 at 30 frames a second: size and rate as wanted; without decoding there is \
         only YUYV 640x480 at 30 frames a second"
    );
    let slow = [(b"YUYV", vga, 25.0), (b"MJPG", vga, 30.0)];
    assert_eq!(
        chosen(&slow, &default).unwrap(),
        "YUYV 640x480 at 25 frames a second: nearest to the wanted 640x480 at 30; needs no decoding"
    );
    let grey = [(b"GREY", vga, 30.0), (b"RGB3", vga, 30.0)];
    assert!(chosen(&grey, &default).unwrap().starts_with("RGB3"));
    let rates = [
        (b"YUYV", vga, 60.0),
        (b"YUYV", vga, 30.0),
        (b"YUYV", vga, 15.0),
    ];
    assert!(chosen(&rates, &default).unwrap().contains("at 30 frames"));
    assert_eq!(
        chosen(&[(b"BG10", vga, 30.0)], &default).unwrap_err(),
        "palmd reads NV12, YU12, NV21, YUYV, UYVY, RGB3, BGR3, MJPG, GREY, the device offers only BG10"
    );
}

#[test]
fn of_ranges_the_wanted_size_and_rate_are_taken() {
    let mut node = ModelNode::camera(0, &[(b"YU12", (1920, 1080), 90.0)]);
    node.lists = Lists::Ranges;
    let mut rig = Rig::new(CameraParams::default(), vec![node]);
    rig.ask();
    let info = rig.camera().info();
    assert_eq!((info.size, info.fps), ((640, 480), 30.0));
}

#[test]
fn the_configured_format_is_taken_or_missed_by_name() {
    let formats = [(b"YUYV", (640, 480), 30.0), (b"MJPG", (640, 480), 30.0)];
    let with = |format: &str| CameraParams {
        format: Some(format.parse().unwrap()),
        ..CameraParams::default()
    };
    let mjpg = chosen(&formats, &with("mjpg")).unwrap();
    assert!(mjpg.starts_with("MJPG 640x480"), "{mjpg}");
    assert_eq!(
        chosen(&formats, &with("NV12")).unwrap_err(),
        "the configured format NV12 isn't among the device's (YUYV, MJPG)"
    );
    assert!(
        "H264"
            .parse::<Encoding>()
            .unwrap_err()
            .contains("\"H264\" is none of NV12")
    );
}

#[test]
fn a_driver_that_lists_no_sizes_is_asked_for_the_wanted_one() {
    let mut node = yuyv();
    node.lists = Lists::Nothing;
    let mut rig = Rig::new(params(), vec![node]);
    assert_eq!(rig.ask(), Got::Frame(0));
    assert_eq!(rig.camera().info().size, (64, 48));
}

// Motion JPEG

fn jpeg_rig() -> Rig {
    use image::codecs::jpeg::JpegEncoder;
    let noise = (0..64 * 48 * 3u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
    let noise: Vec<u8> = noise.collect();
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new(&mut jpeg);
    encoder
        .encode(&noise, 64, 48, image::ExtendedColorType::Rgb8)
        .unwrap();
    let node = ModelNode::camera(0, &[(b"MJPG", (64, 48), 25.0)]);
    let rig = Rig::new(params(), vec![node]);
    rig.model.show(jpeg);
    rig
}

#[test]
fn jpeg_is_decoded_and_its_buffer_is_back_before_the_frame_is_dropped() {
    let mut rig = jpeg_rig();
    let model = rig.model.clone();
    for seq in 0..5 {
        let Next::Frame(frame) = rig.camera().next_frame(PATIENCE).unwrap() else {
            panic!("no frame");
        };
        assert_eq!(model.held(), 0);
        assert_eq!(
            (frame.image().format, frame.image().width),
            (PixelFormat::Rgb3, 64)
        );
        assert_eq!(frame.seq, seq);
        assert_eq!(frame.captured, Some(BOOT + FRAME * (seq as u32 + 1)));
    }
}

#[test]
fn jpegs_that_are_not_wanted_are_not_decoded() {
    let mut rig = jpeg_rig();
    let mut next = |rest| {
        rig.camera().rest(rest);
        let Next::Frame(frame) = rig.camera().next_frame(PATIENCE).unwrap() else {
            panic!("no frame");
        };
        frame.seq
    };
    let few = FRAME * 5 / 2;
    let seqs = [few, few, few, Duration::ZERO, Duration::ZERO].map(&mut next);
    assert_eq!(seqs, [0, 3, 6, 7, 8]);
    assert_eq!(rig.stats().skipped, 4);
    assert_eq!(rig.model.held(), 0);
}

#[test]
fn a_torn_jpeg_is_skipped_as_bad() {
    let mut rig = jpeg_rig();
    rig.model.spoil(0, Spoilt::Torn);
    rig.model.spoil(1, Spoilt::Empty);
    rig.ask();
    assert_eq!((rig.stats().bad, rig.stats().delivered), (2, 1));
}

#[test]
fn a_camera_of_nothing_but_torn_jpegs_counts_as_lost() {
    let mut rig = jpeg_rig();
    for frame in 0..1000 {
        rig.model.spoil(frame, Spoilt::Torn);
    }
    assert!(rig.lose().contains("no frame"));
}

// The pool

fn pool(rig: &Rig, buffers: u32) -> Pool<super::model::ModelCapture> {
    let capture = rig.model.open("/dev/video0".as_ref()).unwrap();
    let set = capture.set_format(FourCc(*b"YUYV"), (64, 48)).unwrap();
    let layout = Layout::new(set, None).unwrap();
    let held_too_long = Duration::from_secs(2);
    Pool::start(
        capture,
        layout,
        buffers,
        held_too_long,
        Arc::clone(&rig.clock) as _,
    )
    .unwrap()
}

#[test]
fn several_frames_live_at_a_time_and_keep_their_content() {
    let rig = Rig::new(params(), vec![yuyv()]);
    let pool = pool(&rig, 6);
    let mut frames = Vec::new();
    for _ in 0..4 {
        pool.poll(PATIENCE).unwrap();
        pool.drain().unwrap();
        let buffer = pool.take().unwrap();
        let seq = u64::from(buffer.filled().sequence);
        frames.push(
            buffer
                .into_frame(seq, Duration::ZERO, Duration::ZERO)
                .unwrap(),
        );
        assert_eq!(pool.stats().live as usize, frames.len());
    }
    rig.work(FRAME * 10);
    pool.drain().unwrap();
    for frame in frames.drain(..) {
        assert!(
            frame.image().planes[0]
                .iter()
                .all(|&byte| byte == pattern(frame.seq))
        );
    }
    assert_eq!((pool.stats().live, pool.stats().live_peak), (0, 4));
    assert_eq!(rig.model.held(), 1, "the ready one");
}

#[test]
fn an_index_that_is_held_already_is_skipped_as_bad() {
    let rig = Rig::new(params(), vec![yuyv()]);
    let pool = pool(&rig, 4);
    rig.work(FRAME);
    pool.drain().unwrap();
    let held = pool.take().unwrap();
    rig.model.spoil(0, Spoilt::TakenIndex);
    rig.work(FRAME);
    assert_eq!(pool.drain().unwrap(), 1);
    assert!(pool.take().is_none());
    assert_eq!((pool.stats().bad, pool.stats().live), (1, 1));
    assert!(held.iter().all(|&byte| byte == pattern(0)));
}

#[test]
fn a_panic_gives_the_buffer_back() {
    let mut rig = Rig::streaming();
    let camera = AssertUnwindSafe(rig.camera.as_mut().unwrap());
    let result = catch_unwind(move || {
        let camera = camera;
        let _frame = camera.0.next_frame(PATIENCE).unwrap();
        std::panic::resume_unwind(Box::new("a stage failed"));
    });
    assert!(result.is_err());
    assert_eq!(rig.model.held(), 0);
    assert_eq!(rig.ask(), Got::Frame(2));
}

#[test]
fn a_frame_held_for_too_long_is_reported_once() {
    let mut rig = Rig::streaming();
    let clock = Arc::clone(&rig.clock);
    let mut hold = |time| {
        let frame = rig.camera().next_frame(PATIENCE).unwrap();
        clock.advance(time);
        drop(frame);
        rig.camera().leaks()
    };
    let (short, long) = (Duration::from_secs(1), Duration::from_secs(3));
    assert_eq!(
        [short, long, long, short, long].map(&mut hold),
        [0, 1, 1, 1, 2]
    );
}

#[test]
fn leaked_buffers_are_reported_and_come_back_when_the_stream_starts_anew() {
    let mut rig = Rig::streaming();
    for leaked in 1..=3 {
        mem::forget(rig.camera().next_frame(PATIENCE).unwrap());
        assert_eq!(rig.camera().stats().live_frames, leaked);
    }
    // No buffer is left to fill, so the camera falls silent.
    let mut answers = (0..100).map(|_| rig.camera().next_frame(PATIENCE).map(|_| ()));
    let error = answers.find_map(Result::err).unwrap();
    assert!(matches!(error, SourceError::Unavailable { .. }), "{error}");
    assert_eq!(rig.camera().leaks(), 1);
    rig.recover();
    let stats = rig.stats();
    assert_eq!((stats.live_frames, stats.live_frames_peak), (0, 3));
}

#[test]
fn the_pool_is_as_large_as_the_latency_needs() {
    let cases = [
        (0, None, 3),
        (40, None, 3),
        (81, None, 4),
        (200, None, 6),
        (5000, None, 32),
        (200, Some(4), 4),
        (200, Some(1), 2),
        (200, Some(100), 32),
    ];
    for (latency_ms, buffers, expected) in cases {
        let params = CameraParams {
            processing_latency: Duration::from_millis(latency_ms),
            buffers,
            ..params()
        };
        let mut rig = Rig::new(params, vec![yuyv()]);
        rig.camera().open().unwrap();
        assert_eq!(
            rig.model.buffers(),
            expected,
            "{latency_ms} ms, {buffers:?}"
        );
    }
}

#[test]
fn the_drivers_word_on_the_number_of_buffers_is_taken() {
    let mut node = yuyv();
    node.most_buffers = 2;
    let mut rig = Rig::new(params(), vec![node.clone()]);
    assert_eq!(rig.ask(), Got::Frame(0));
    assert_eq!(rig.model.buffers(), 2);
    node.most_buffers = 1;
    let mut rig = Rig::new(params(), vec![node]);
    assert!(error_of(rig.ask()).contains("only 1"));
}

// Devices

fn nodes() -> Vec<ModelNode> {
    let vga = [(b"YUYV", (640, 480), 30.0)];
    let node = |number, flags| {
        let mut node = ModelNode::camera(number, &vga);
        node.capability.flags = flags;
        node
    };
    let streaming = c::V4L2_CAP_STREAMING;
    let mut isp = node(5, c::V4L2_CAP_VIDEO_CAPTURE | streaming);
    isp.capability.driver = "bcm2835-isp".into();
    let mut camera = ModelNode::camera(7, &vga);
    camera.node.by_id = Some("/dev/v4l/by-id/usb-Maker_Cam-video-index0".into());
    vec![
        node(0, c::V4L2_CAP_VIDEO_M2M | streaming),
        node(1, c::V4L2_CAP_VIDEO_OUTPUT | streaming),
        node(2, c::V4L2_CAP_META_CAPTURE | streaming),
        node(3, c::V4L2_CAP_VIDEO_CAPTURE | streaming | c::V4L2_CAP_IO_MC),
        node(4, c::V4L2_CAP_VIDEO_CAPTURE_MPLANE | streaming),
        isp,
        node(6, c::V4L2_CAP_VIDEO_CAPTURE | c::V4L2_CAP_READWRITE),
        camera,
        ModelNode::camera(8, &vga),
    ]
}

#[test]
fn devices_say_what_they_are_and_which_is_taken() {
    let clock = Arc::new(SimulatedClock::default());
    let model = Model::new(&clock, nodes());
    let devices = devices::devices(&model, &CameraParams::default());
    let unusable: Vec<_> = devices
        .iter()
        .map(|device| device.unusable.as_deref())
        .collect();
    assert_eq!(
        unusable,
        [
            Some("a codec or converter, not a camera"),
            Some("an output, not a camera"),
            Some("carries a camera's metadata, not pictures"),
            Some("a bare sensor interface; run palmd under libcamera's `libcamerify`"),
            Some("speaks only the multi-planar API, which palmd doesn't read"),
            Some("an image processor that is fed by programs, not a camera"),
            Some("can't stream into memory-mapped buffers"),
            None,
            None,
        ]
    );
    let auto: Vec<_> = devices.iter().map(|device| device.auto).collect();
    assert_eq!(auto.iter().position(|&auto| auto), Some(7));
    assert!(!auto[8]);
    assert_eq!(
        serde_json::to_value(&devices[7]).unwrap(),
        serde_json::json!({
            "path": "/dev/video7",
            "by_id": "/dev/v4l/by-id/usb-Maker_Cam-video-index0",
            "card": "Camera 7",
            "driver": "model",
            "bus": "platform:model-7",
            "formats": [{
                "fourcc": "YUYV",
                "description": "format YUYV",
                "usable": true,
                "sizes": [{"min": [640, 480], "max": [640, 480], "fps": [30.0], "fps_between": false}],
            }],
            "chosen": {
                "format": "YUYV",
                "size": [640, 480],
                "fps": 30.0,
                "reason": "size and rate as wanted; needs no decoding",
            },
            "unusable": null,
            "auto": true,
        })
    );
    assert!(model.is_idle());
}

#[test]
fn auto_takes_the_first_camera_and_chooses_anew_when_it_goes() {
    let mut rig = Rig::new(params(), nodes());
    rig.ask();
    assert_eq!(rig.camera().info().name, "/dev/video7 (Camera 7)");
    rig.model.unplug("/dev/video7");
    error_of(rig.ask());
    assert_eq!(rig.camera().info().name, "/dev/video7 (Camera 7)");
    rig.recover();
    assert_eq!(rig.camera().info().name, "/dev/video8 (Camera 8)");
}

#[test]
fn auto_without_a_camera_names_every_node_and_why_not() {
    let mut rig = Rig::new(params(), nodes().into_iter().take(2).collect());
    assert_eq!(
        error_of(rig.ask()),
        "auto: no camera among the video nodes (/dev/video0: a codec or converter, not a camera; \
         /dev/video1: an output, not a camera)"
    );
    let mut rig = Rig::new(params(), vec![]);
    assert_eq!(
        error_of(rig.ask()),
        "auto: no camera: there is no /dev/video*; connect one"
    );
}

#[test]
fn a_device_is_found_by_path_number_and_stable_name() {
    let stable = "usb-Maker_Cam-video-index0";
    let by_id = format!("/dev/v4l/by-id/{stable}");
    for device in ["/dev/video7", "video7", stable, &by_id] {
        let params = CameraParams {
            device: device.into(),
            ..params()
        };
        let mut rig = Rig::new(params, nodes());
        assert_eq!(rig.ask(), Got::Frame(0), "{device}");
    }
}

#[test]
fn a_device_that_cannot_be_opened_says_what_to_do() {
    let cases = [
        (
            Some(libc::EACCES),
            "/dev/video7: permission denied; add the user to the group",
        ),
        (Some(libc::EBUSY), "/dev/video7: in use by another program"),
        (
            None,
            "/dev/video9: no such device; `palmd devices` lists the cameras",
        ),
    ];
    for (errno, text) in cases {
        let mut node = ModelNode::camera(7, &[(b"YUYV", (64, 48), 25.0)]);
        node.closed_by = errno;
        let device = if errno.is_some() {
            "/dev/video7"
        } else {
            "/dev/video9"
        };
        let params = CameraParams {
            device: device.into(),
            ..params()
        };
        let mut rig = Rig::new(params, vec![node]);
        let error = error_of(rig.ask());
        assert!(error.starts_with(text), "{error:?}");
    }
}

#[test]
fn auto_reports_a_permission_that_is_missing_rather_than_no_camera() {
    let mut node = yuyv();
    node.closed_by = Some(libc::EACCES);
    let mut rig = Rig::new(params(), vec![nodes().remove(1), node]);
    let error = rig.camera().next_frame(PATIENCE).unwrap_err();
    assert!(matches!(error, SourceError::Permission { .. }), "{error}");
}

// The model's own strictness

/// What the model says to something that a correct pool never does.
fn objection(misuse: impl FnOnce(&Model, super::model::ModelCapture)) -> String {
    let clock = Arc::new(SimulatedClock::default());
    let model = Model::new(&clock, vec![yuyv()]);
    let capture = model.open("/dev/video0".as_ref()).unwrap();
    capture.set_format(FourCc(*b"YUYV"), (64, 48)).unwrap();
    capture.request_buffers(2).unwrap();
    misuse(&model, capture);
    model.violations().into_iter().next().unwrap_or_default()
}

#[test]
fn the_model_objects_to_every_misuse() {
    let twice = objection(|_, capture| {
        capture.queue(0).unwrap();
        assert!(capture.queue(0).is_err());
    });
    assert_eq!(twice, "buffer 0 queued twice: it is Queued");

    let used = objection(|_, capture| {
        let mapping = capture.map(0).unwrap();
        capture.queue(0).unwrap();
        // SAFETY: wrong on purpose; nothing writes before the slice is gone.
        let _ = unsafe { mapping.bytes() }.len();
    });
    assert_eq!(used, "buffer 0 used while it is Some(Queued)");

    let unmapped = objection(|_, capture| {
        let mapping = capture.map(0).unwrap();
        capture.stream_on().unwrap();
        drop(mapping);
    });
    assert_eq!(unmapped, "buffer 0 unmapped while streaming");

    let leaked = objection(|_, capture| drop(capture));
    assert_eq!(leaked, "closed without freeing the buffers");

    let mapped = objection(|_, capture| {
        let _mapping = capture.map(0).unwrap();
        assert!(capture.request_buffers(0).is_err());
    });
    assert_eq!(mapped, "buffers freed while mapped");

    let second = objection(|model, _first| {
        let capture = model.open("/dev/video0".as_ref()).unwrap();
        assert!(capture.request_buffers(2).is_err());
    });
    assert_eq!(second, "two queues at a time");

    let unknown = objection(|_, capture| assert!(capture.queue(7).is_err()));
    assert_eq!(unknown, "buffer 7 queued, which doesn't exist");
}

// Everything at random

#[derive(Debug, Clone)]
enum Step {
    Ask { timeout_ms: u64, hold_ms: u64 },
    Work { ms: u64 },
    Spoil { ahead: u64, how: Spoilt },
    Fail { call: Call, errno: i32 },
    Stall { ms: u64 },
    Unplug,
    PlugIn,
}

fn step() -> impl Strategy<Value = Step> {
    let spoilt = prop::sample::select(vec![
        Spoilt::Dropped,
        Spoilt::Damaged,
        Spoilt::Short,
        Spoilt::Empty,
        Spoilt::Oversized,
        Spoilt::BadIndex,
        Spoilt::TakenIndex,
    ]);
    let call = prop::sample::select(vec![
        Call::SetFormat,
        Call::SetInterval,
        Call::RequestBuffers,
        Call::Map,
        Call::Queue,
        Call::Dequeue,
        Call::StreamOn,
        Call::Poll,
    ]);
    let errno = prop::sample::select(vec![libc::EIO, libc::EINVAL, libc::ENODEV, libc::EBUSY]);
    prop_oneof![
        20 => (0..300u64, 0..200u64).prop_map(|(timeout_ms, hold_ms)| Step::Ask { timeout_ms, hold_ms }),
        5 => (0..3000u64).prop_map(|ms| Step::Work { ms }),
        5 => (0..5u64, spoilt).prop_map(|(ahead, how)| Step::Spoil { ahead, how }),
        2 => (call, errno).prop_map(|(call, errno)| Step::Fail { call, errno }),
        1 => (0..8000u64).prop_map(|ms| Step::Stall { ms }),
        1 => Just(Step::Unplug),
        3 => Just(Step::PlugIn),
    ]
}

proptest! {
    /// Whatever happens and when: frames come whole and in order, every buffer finds back, there is
    /// never a second queue, and once the faults are over the camera works with all its buffers.
    #[test]
    fn no_schedule_of_faults_loses_a_buffer(steps in prop::collection::vec(step(), 0..120)) {
        let mut rig = Rig::new(params(), vec![yuyv()]);
        let (mut last, mut lost) = (None, false);
        for step in steps {
            match step {
                Step::Ask { timeout_ms, hold_ms } => {
                    let clock = Arc::clone(&rig.clock);
                    let timeout = Duration::from_millis(timeout_ms);
                    let before = clock.now();
                    match rig.camera().next_frame(timeout) {
                        Ok(Next::Frame(frame)) => {
                            clock.advance(Duration::from_millis(hold_ms));
                            let bytes = frame.image().planes[0];
                            prop_assert!(bytes.iter().all(|&byte| byte == bytes[0]), "torn");
                            let now = (frame.seq, frame.t);
                            let in_order = last.is_none_or(|last: (u64, Duration)| last.0 < now.0 && last.1 < now.1);
                            prop_assert!(in_order, "{last:?} then {now:?}");
                            last = Some(now);
                            lost = false;
                        }
                        Ok(_) => prop_assert!(clock.now() - before <= timeout + Duration::from_millis(1)),
                        Err(error) => {
                            prop_assert!(!lost, "a second error: {error}");
                            lost = true;
                        }
                    }
                    if rig.model.held() > 0 {
                        // Giving the frame back has failed, and the next call says so.
                        let next = rig.camera().next_frame(Duration::ZERO).map(|_| ());
                        prop_assert!(next.is_err() && !lost);
                        lost = true;
                    }
                    prop_assert_eq!(rig.model.held(), 0);
                }
                Step::Work { ms } => rig.work(Duration::from_millis(ms)),
                Step::Spoil { ahead, how } => rig.model.spoil(ahead, how),
                Step::Fail { call, errno } => rig.model.fail(call, errno),
                Step::Stall { ms } => rig.model.stall(Duration::from_millis(ms)),
                Step::Unplug => rig.model.unplug("/dev/video0"),
                Step::PlugIn => rig.model.plug_in(),
            }
            prop_assert_eq!(rig.model.violations(), [""; 0]);
        }
        rig.model.heal();
        rig.recover();
        prop_assert_eq!(rig.model.buffers(), 3);
        prop_assert_eq!(rig.stats().live_frames, 0);
    }
}
