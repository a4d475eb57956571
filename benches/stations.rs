//! Times the stations of a frame apart from one another, without a network: `cargo bench`.
//!
//! Prints the median of many runs. For whole frames and the networks see `palmd bench`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use palmd::camera::synthetic::{Script, Synthetic};
use palmd::camera::{Image, PixelFormat, Range};
use palmd::pose::region::Region;
use palmd::pose::sample::{Border, sample};
use palmd::window::{Grid, GridParams, WINDOW_LEN, Window};

const RUNS: usize = 301;

fn median(what: &str, mut work: impl FnMut()) {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    times.sort();
    println!("{what:40} {:10.1} us", times[RUNS / 2].as_secs_f64() * 1e6);
}

fn main() {
    let bytes: Vec<u8> = (0..640u32 * 480 * 3)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let turned = Region {
        center_px: [200.0, 260.0],
        side_px: 300.0,
        rotation: 0.4,
    };
    let mut input = vec![0.0; 3 * 224 * 224];
    for format in [
        PixelFormat::Yuyv,
        PixelFormat::Nv12,
        PixelFormat::Yu12,
        PixelFormat::Grey,
        PixelFormat::Rgb3,
    ] {
        let stride = format.plane_layout(640, 480)[0].0;
        let image = Image::from_contiguous(format, Range::Limited, 640, 480, stride, &bytes);
        let image = image.expect("a picture");
        median(&format!("a region of {format:?} into 224x224"), || {
            sample(
                &image,
                &turned,
                Border::Replicate,
                224,
                black_box(&mut input),
            );
        });
    }

    let script = Script::parse("size 320x240; wave 20s").expect("a script");
    let mut hand = Synthetic::new(script);

    let mut seq = 0;
    median("draw a synthetic hand, 320x240", || {
        black_box(hand.draw(seq % 600));
        seq += 1;
    });

    let mut grid = Grid::new(GridParams::default());
    let mut window: Option<Window> = None;
    let mut frame = 0;
    median("a pose through grid and window", || {
        let poses = hand.poses_at(hand.frame_time(frame % 600));
        frame += 1;
        grid.push(&poses, None, |item| {
            if let palmd::window::Handover::Pose(pose) = item {
                match &mut window {
                    Some(window) => {
                        window.push(&pose);
                    }
                    None => window = Some(Window::new(1, &pose)),
                }
            }
        });
    });

    let window = window.expect("poses");
    let mut input = [0.0; WINDOW_LEN];
    median("a window into the classifier's input", || {
        window.copy_into(black_box(&mut input));
    });
}
