//! `palmd classify`

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use palmd::clock::{Clock, SystemClock};
use palmd::gesture::windows_npz::Windows;
use palmd::gesture::{Recognizer, Score};
use palmd::pose::lines::PoseLines;
use palmd::publish::{Line, Style};
use serde::Serialize;

use super::ConfigArgs;
use super::failure::{CONFIG, Failure};
use super::output::Output;
use super::{models, stations};

/// Gestures from recorded poses or classifier inputs.
///
/// Pose lines (NDJSON, as `palmd pose` writes them) give gesture events. An .npz with a float array
/// `poses` of n x 30 x 21 x 3 classifier inputs gives one line a window, with its most probable
/// gesture.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  palmd classify --poses poses.ndjson
  palmd pose --source clip.mjpeg --smooth | palmd classify --poses -
  palmd classify --poses windows.npz -o gestures.ndjson")]
pub struct Classify {
    /// Pose lines or .npz; - for pose lines on standard input
    #[arg(long, value_name = "FILE")]
    poses: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
    /// Write into this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What a window is.
#[derive(Debug, Serialize)]
struct Classified<'a> {
    window: usize,
    gesture: &'a str,
    score: f32,
}

impl Classify {
    pub fn execute(&self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let folder = models::folder(&config.pose)?;
        let mut classifier = stations::classifier(&config, &folder)?;
        if self
            .poses
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("npz"))
        {
            let windows = Windows::read(&self.poses)?;
            let mut output = Output::create(self.output.as_ref())?;
            let labels = classifier.labels().to_vec();
            for (window, points) in windows.iter().enumerate() {
                let scores = classifier.score_points(points)?;
                let (best, &score) = scores
                    .iter()
                    .enumerate()
                    .max_by(|a, b| a.1.total_cmp(b.1))
                    .expect("a classifier has outputs");
                let gesture = &labels[best];
                output.json_line(&Classified {
                    window,
                    gesture,
                    score,
                })?;
            }
            return output.flush();
        }
        let params = stations::recognizer_params(&config, &classifier);
        let mut recognizer =
            Recognizer::new(classifier, &params).map_err(|e| Failure::new(CONFIG, e))?;
        let mut grid = stations::grid(&config);
        let poses = PoseLines::open(&self.poses)?;
        let mut output = Output::create(self.output.as_ref())?;
        let mut text = Vec::new();
        let mut write = |event: &_| {
            Line::new(event, Timestamp::now(), SystemClock.now()).write(Style::Json, &mut text)
        };
        for frame in poses {
            grid.push(&frame?, None, |item| {
                recognizer.push(&item, |event| write(&event))
            });
        }
        grid.finish(|item| recognizer.push(&item, |event| write(&event)));
        recognizer.all_left(|event| write(&event));
        output.bytes(&text)?;
        output.flush()
    }
}
