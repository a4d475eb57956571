//! Writes what the synthetic hand does to standard output.
//!
//! ```text
//! cargo run --example synthetic -- poses     "open-palm 1s; swipe-left"   # NDJSON, a line per frame
//! cargo run --example synthetic -- intervals demo                         # when which gesture is made
//! cargo run --example synthetic -- rgb       "size 320x240; wave 2s"      # frames, R G B bytes
//! cargo run --example synthetic -- mjpeg     "size 320x240; wave 2s"      # the same as JPEGs
//! ```
//!
//! The script is a file, the script itself, or `demo` for the built-in one.

use std::io::{BufWriter, Write, stdout};
use std::process::ExitCode;

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use palmd::camera::Source;
use palmd::camera::synthetic::{Script, Synthetic};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [what, spec] = args.as_slice() else {
        eprintln!("usage: synthetic poses|intervals|rgb|mjpeg SCRIPT");
        return ExitCode::from(64);
    };
    match write(what, spec) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn write(what: &str, spec: &str) -> Result<(), Box<dyn std::error::Error>> {
    let script = match spec {
        "demo" => Script::demo(),
        spec => Script::load(spec)?,
    };
    let mut out = BufWriter::new(stdout().lock());
    match what {
        "poses" => {
            let hand = Synthetic::new(script);
            for seq in 0..hand.frames() {
                serde_json::to_writer(&mut out, &hand.poses_at(hand.frame_time(seq)))?;
                writeln!(out)?;
            }
        }
        "intervals" => {
            serde_json::to_writer(&mut out, &script.truth())?;
            writeln!(out)?;
        }
        "rgb" => {
            let mut hand = Synthetic::new(script);
            for seq in 0..hand.frames() {
                out.write_all(hand.draw(seq))?;
            }
        }
        "mjpeg" => {
            let mut hand = Synthetic::new(script);
            let (width, height) = hand.info().size;
            for seq in 0..hand.frames() {
                let frame = hand.draw(seq);
                JpegEncoder::new(&mut out).encode(frame, width, height, ExtendedColorType::Rgb8)?;
            }
        }
        other => {
            return Err(format!("{other:?} is none of poses, intervals, rgb and mjpeg").into());
        }
    }
    Ok(out.flush()?)
}
