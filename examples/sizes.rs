//! What a frame in which a hand is followed costs by its size and format, as a table: milliseconds of
//! CPU time.
//!
//! ```text
//! cargo run --release --example sizes -- models
//! ```
//!
//! The picture is the drawn hand. Only the region of a hand is sampled, so that with raw formats a
//! frame costs little more if it is larger; a JPEG must be decoded first.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use palmd::camera::synthetic::{Script, Synthetic};
use palmd::camera::{Frame, Image, JpegDecoder, PixelFormat, Range};
use palmd::health::process_cpu_time;
use palmd::pose::{PoseParams, PoseTracker};

const SIZES: [(usize, usize); 5] = [
    (320, 240),
    (640, 480),
    (1280, 720),
    (1920, 1080),
    (3840, 2160),
];
const FORMATS: [PixelFormat; 5] = [
    PixelFormat::Grey,
    PixelFormat::Yuyv,
    PixelFormat::Nv12,
    PixelFormat::Yu12,
    PixelFormat::Rgb3,
];
const WARM_UP: u32 = 5;
const RUNS: u32 = 40;
const FRAME: Duration = Duration::from_millis(33);

fn main() -> Result<(), Box<dyn Error>> {
    let models = std::env::args().nth(1).unwrap_or_else(|| "models".into());
    let models = Path::new(&models);
    let names = FORMATS.map(|format| format!("{format:?}").to_uppercase());
    println!("| size | {} | MJPEG, decoding of it |", names.join(" | "));
    println!("|---{}|---:|", "|---:".repeat(FORMATS.len()));
    for (width, height) in SIZES {
        let script = Script::parse(&format!("size {width}x{height}; wait 1s"))?;
        let rgb = Synthetic::new(script).draw(15).to_vec();
        print!("| {width}x{height} ");
        for format in FORMATS {
            let bytes = converted(&rgb, (width, height), format);
            let stride = format.plane_layout(width, height)[0].0;
            let image = Image::from_contiguous(format, Range::Full, width, height, stride, &bytes);
            let cost = cost(models, image.ok_or("the picture is too short")?)?;
            print!("| {cost:.2} ");
        }
        let mut jpeg = Vec::new();
        let (columns, rows) = (u32::try_from(width)?, u32::try_from(height)?);
        JpegEncoder::new_with_quality(&mut jpeg, 85).encode(
            &rgb,
            columns,
            rows,
            ExtendedColorType::Rgb8,
        )?;
        let mut decoder = JpegDecoder::with_limit(width, height);
        let decoding = median(|_| decoder.decode(&jpeg).map(|_| ()))?;
        let rest = cost(models, decoder.image().ok_or("no picture")?)?;
        println!("| {:.2}, {decoding:.2} |", rest + decoding);
    }
    Ok(())
}

/// Of a picture in which there is one hand.
fn cost(models: &Path, image: Image<'_>) -> Result<f64, Box<dyn Error>> {
    let mut tracker = PoseTracker::load(models, PoseParams::default())?;
    median(|seq| {
        let frame = Frame::borrowed(image, seq.into(), FRAME * seq);
        match tracker.process(&frame)?.hands.len() {
            1 => Ok(()),
            hands => Err(format!("{image:?}: {hands} hands").into()),
        }
    })
}

/// The median of the CPU time, in milliseconds.
fn median<E>(mut work: impl FnMut(u32) -> Result<(), E>) -> Result<f64, E> {
    let mut times = Vec::new();
    for run in 0..WARM_UP + RUNS {
        let began = process_cpu_time();
        work(run)?;
        if run >= WARM_UP {
            times.push(process_cpu_time() - began);
        }
    }
    times.sort_unstable();
    Ok(times[times.len() / 2].as_secs_f64() * 1e3)
}

/// R G B bytes in another format, full range.
fn converted(rgb: &[u8], (width, height): (usize, usize), format: PixelFormat) -> Vec<u8> {
    let yuv = |x: usize, y: usize| {
        let at = (y * width + x) * 3;
        let [r, g, b] = [0, 1, 2].map(|i| f32::from(rgb[at + i]));
        let y = 0.299 * r + 0.587 * g + 0.114 * b;
        [y, 128.0 + (b - y) * 0.564, 128.0 + (r - y) * 0.713].map(|v| v.round() as u8)
    };
    let plane = |channel: usize, (step_x, step_y): (usize, usize)| {
        let rows = (0..height).step_by(step_y);
        rows.flat_map(move |y| (0..width).step_by(step_x).map(move |x| yuv(x, y)[channel]))
    };
    let pairs = (0..height).flat_map(|y| (0..width).step_by(2).map(move |x| (x, y)));
    let halves = (2, 2);
    match format {
        PixelFormat::Rgb3 => rgb.to_vec(),
        PixelFormat::Yuyv => pairs
            .flat_map(|(x, y)| {
                let ([y0, u, v], [y1, ..]) = (yuv(x, y), yuv(x + 1, y));
                [y0, u, y1, v]
            })
            .collect(),
        PixelFormat::Nv12 => {
            let chroma = plane(1, halves)
                .zip(plane(2, halves))
                .flat_map(|(u, v)| [u, v]);
            plane(0, (1, 1)).chain(chroma).collect()
        }
        PixelFormat::Yu12 => plane(0, (1, 1))
            .chain(plane(1, halves))
            .chain(plane(2, halves))
            .collect(),
        _ => plane(0, (1, 1)).collect(),
    }
}
