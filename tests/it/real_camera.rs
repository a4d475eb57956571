//! The camera against a real kernel, asked for by name:
//!
//! `PALMD_TEST_CAMERA=/dev/video0 cargo test --test it real_camera -- --ignored --test-threads 1`
//!
//! With the kernel's virtual camera (`modprobe vivid`, `v4l2-ctl` and root) faults are injected too.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use palmd::camera::v4l2::{Camera, CameraParams, Device, Encoding, devices};
use palmd::camera::{Image, Next, PixelFormat, Source, SourceError};
use palmd::clock::SystemClock;

const PATIENCE: Duration = Duration::from_secs(10);

/// The device to test, or `None` with a word that the test was skipped.
fn device() -> Option<Device> {
    let Ok(name) = std::env::var("PALMD_TEST_CAMERA") else {
        eprintln!("skipped: PALMD_TEST_CAMERA names no camera");
        return None;
    };
    let mut devices = devices(&CameraParams::default()).into_iter();
    let device = devices.find(|device| device.path == Path::new(&name));
    Some(device.unwrap_or_else(|| panic!("{name} is no video node")))
}

fn vivid() -> Option<Device> {
    let device = device()?;
    if device.driver != "vivid" {
        eprintln!("skipped: {} isn't vivid's", device.path.display());
        return None;
    }
    Some(device)
}

fn camera(device: &Device, format: Option<Encoding>) -> Camera {
    let params = CameraParams {
        device: device.path.display().to_string(),
        format,
        ..CameraParams::default()
    };
    Camera::new(params, Arc::new(SystemClock))
}

/// The number of the next frame.
fn seq(camera: &mut Camera) -> Result<u64, SourceError> {
    match camera.next_frame(PATIENCE)? {
        Next::Frame(frame) => Ok(frame.seq),
        next => panic!("no frame: {next:?}"),
    }
}

/// Asks until the camera is lost.
fn lost(camera: &mut Camera) -> SourceError {
    (0..100)
        .find_map(|_| seq(camera).err())
        .expect("the fault isn't noticed")
}

/// Asks until the camera is back.
fn found(camera: &mut Camera) -> u64 {
    for _ in 0..30 {
        if let Next::Frame(frame) = camera.next_frame(Duration::from_secs(1)).unwrap() {
            return frame.seq;
        }
    }
    panic!("the camera doesn't come back");
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(status.unwrap().success(), "{program} {arguments:?}");
}

fn control(device: &Device, setting: &str) {
    run(
        "v4l2-ctl",
        &["-d", device.path.to_str().unwrap(), "-c", setting],
    );
}

#[test]
#[ignore = "needs a camera"]
fn every_format_streams_in_order_and_the_newest_frame_is_taken() {
    let Some(device) = device() else { return };
    let usable = device.formats.iter().filter(|offer| offer.usable);
    let mut formats = 0;
    for offer in usable {
        let format = Encoding::from_fourcc(offer.fourcc);
        let mut camera = camera(&device, format);
        let mut last = None;
        for _ in 0..10 {
            let Next::Frame(frame) = camera.next_frame(PATIENCE).unwrap() else {
                panic!("{}: no frame", offer.fourcc);
            };
            let now = (frame.seq, frame.t);
            assert!(last.is_none_or(|last| last < now), "{last:?} then {now:?}");
            last = Some(now);
            if device.driver == "vivid" {
                assert_color_bars(&frame.image());
            }
        }
        let skipped = camera.stats().skipped;
        std::thread::sleep(Duration::from_millis(500));
        seq(&mut camera).unwrap();
        let stats = camera.stats();
        assert!(stats.skipped > skipped, "{stats:?}");
        assert_eq!(stats.live_frames, 0);
        println!("{}: {:?} {stats:?}", offer.fourcc, camera.info());
        formats += 1;
    }
    assert!(formats > 0, "{device:?}");
}

/// vivid's first pattern: white, yellow, cyan, green, magenta, red, blue and black bars.
fn assert_color_bars(image: &Image<'_>) {
    let bar = |number: usize| pixel(image, (2 * number + 1) * image.width / 16, image.height / 2);
    let (white, red, blue, black) = (bar(0), bar(5), bar(6), bar(7));
    let rgb = matches!(image.format, PixelFormat::Rgb3 | PixelFormat::Bgr3);
    assert!(
        white[0] > 150 && black[0] < 50,
        "{image:?}: {white:?} {black:?}"
    );
    if rgb {
        assert!(red[0] > 150 && red[2] < 50, "{image:?}: red is {red:?}");
        assert!(blue[2] > 150 && blue[0] < 50, "{image:?}: blue is {blue:?}");
    } else if image.format != PixelFormat::Grey {
        assert!(red[2] > 180 && red[1] < 128, "{image:?}: red is {red:?}");
        assert!(
            blue[1] > 180 && blue[2] < 128,
            "{image:?}: blue is {blue:?}"
        );
    }
}

/// Y, U, V or R, G, B of a pixel.
fn pixel(image: &Image<'_>, x: usize, y: usize) -> [u8; 3] {
    let at = |plane: usize, x: usize, y: usize| image.planes[plane][y * image.strides[plane] + x];
    let pair = x / 2 * 4;
    match image.format {
        PixelFormat::Yuyv => [at(0, x * 2, y), at(0, pair + 1, y), at(0, pair + 3, y)],
        PixelFormat::Uyvy => [at(0, x * 2 + 1, y), at(0, pair, y), at(0, pair + 2, y)],
        PixelFormat::Nv12 => [at(0, x, y), at(1, x & !1, y / 2), at(1, x | 1, y / 2)],
        PixelFormat::Nv21 => [at(0, x, y), at(1, x | 1, y / 2), at(1, x & !1, y / 2)],
        PixelFormat::Rgb3 => [at(0, x * 3, y), at(0, x * 3 + 1, y), at(0, x * 3 + 2, y)],
        PixelFormat::Bgr3 => [at(0, x * 3 + 2, y), at(0, x * 3 + 1, y), at(0, x * 3, y)],
        PixelFormat::Grey => [at(0, x, y), 128, 128],
        _ => [at(0, x, y), at(1, x / 2, y / 2), at(2, x / 2, y / 2)],
    }
}

#[test]
#[ignore = "needs the virtual camera"]
fn vivids_damaged_and_dropped_frames_are_passed_over() {
    let Some(device) = vivid() else { return };
    let mut camera = camera(&device, None);
    seq(&mut camera).unwrap();
    control(&device, "inject_v4l2_buf_flag_error=1");
    for _ in 0..10 {
        seq(&mut camera).unwrap();
    }
    assert_eq!(camera.stats().bad, 1);

    control(&device, "percentage_of_dropped_buffers=50");
    for _ in 0..10 {
        seq(&mut camera).unwrap();
    }
    control(&device, "percentage_of_dropped_buffers=0");
    println!("{:?}", camera.stats());
}

#[test]
#[ignore = "needs the virtual camera"]
fn vivids_failing_calls_are_survived() {
    let Some(device) = vivid() else { return };
    let mut camera = camera(&device, None);
    let before = seq(&mut camera).unwrap();
    control(&device, "inject_fatal_streaming_error=1");
    let error = lost(&mut camera);
    assert!(error.to_string().contains("take a frame"), "{error}");
    assert!(found(&mut camera) > before);
    assert_eq!(camera.stats().reopened, 1);

    control(&device, "inject_vidioc_qbuf_error=1");
    let error = lost(&mut camera);
    assert!(
        error.to_string().contains("queue a buffer again"),
        "{error}"
    );
    control(&device, "inject_vidioc_reqbufs_error=1");
    found(&mut camera);
    assert_eq!(camera.stats().reopened, 2);

    control(&device, "inject_fatal_streaming_error=1");
    lost(&mut camera);
    control(&device, "inject_vidioc_streamon_error=1");
    found(&mut camera);
    let stats = camera.stats();
    assert_eq!((stats.reopened, stats.live_frames), (3, 0));
    println!("{stats:?}");
}

#[test]
#[ignore = "needs the virtual camera"]
fn an_unplugged_vivid_is_found_again() {
    let Some(device) = vivid() else { return };
    let mut camera = camera(&device, None);
    let before = seq(&mut camera).unwrap();
    control(&device, "disconnect=1");
    let error = lost(&mut camera);
    assert!(error.to_string().contains("unplugged"), "{error}");
    run("modprobe", &["-r", "vivid"]);
    for _ in 0..3 {
        let next = camera.next_frame(Duration::from_secs(1)).unwrap();
        assert!(matches!(next, Next::Timeout), "{next:?}");
    }
    run("modprobe", &["vivid"]);
    assert!(found(&mut camera) > before);
    println!("{:?}", camera.stats());
}
