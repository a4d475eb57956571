//! `palmd pose`

use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use palmd::camera::{Next, SourceInfo};
use palmd::pose::PoseTracker;

use super::ConfigArgs;
use super::failure::{Failure, NO_INPUT};
use super::input::{Pace, SourceArgs};
use super::models;
use super::output::Output;
use super::signals::stop_on_signals;

/// Write hand poses, one NDJSON line a frame, as fast as it goes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  palmd pose --source clip.mjpeg --model full -o poses.ndjson
  palmd pose --source photos/ | jq '.hands | length'
  palmd pose --source 'synthetic:wait 1s; wave 2s' --smooth")]
pub struct Pose {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    config: ConfigArgs,
    /// Smooth the landmarks; without it they are the networks' own
    #[arg(long)]
    smooth: bool,
    /// Write the labelled intervals of a synthetic source into this file, as JSON
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Write into this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Pose {
    pub fn execute(&self) -> Result<(), Failure> {
        let mut config = self.config.load()?;
        config.pose.smoothing = self.smooth;
        let mut input = self.source.open(&config.camera, Pace::Fast)?;
        if let Some(path) = &self.truth {
            input.write_truth(path)?;
        }
        let mut tracker =
            PoseTracker::load(&models::folder(&config.pose)?, models::pose_params(&config))?;
        let mut output = Output::create(self.output.as_ref())?;
        let stop = stop_on_signals()?;
        let info = input.source.info();
        let progress = progress_bar(&info);
        let mut frames = 0u64;
        while !stop.load(SeqCst) {
            match input.source.next_frame(Duration::from_millis(100))? {
                Next::Frame(frame) => {
                    if info.stills {
                        tracker.forget();
                    }
                    output.json_line(tracker.process(&frame)?)?;
                    frames += 1;
                    progress.inc(1);
                }
                Next::Timeout => {}
                Next::End => break,
            }
            if info.live {
                output.flush()?;
            }
        }
        output.flush()?;
        progress.finish_and_clear();
        let bad = input.source.stats().bad;
        if bad > 0 {
            log::warn!("{}: {bad} broken frames were skipped", info.name);
        }
        if frames == 0 && !stop.load(SeqCst) {
            let message = format_args!("{}: no frame could be read", info.name);
            return Err(Failure::new(NO_INPUT, message));
        }
        Ok(())
    }
}

/// Progress on standard error where somebody looks at it.
pub fn progress_bar(info: &SourceInfo) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match info.frames {
        Some(frames) => (
            ProgressBar::new(frames),
            "{bar:30} {pos}/{len} frames, {per_sec}, {eta} left",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {pos} frames, {per_sec}",
        ),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template is right"))
}
