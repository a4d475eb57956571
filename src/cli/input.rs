//! Opens what `--source` names.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use palmd::camera::recording;
use palmd::camera::synthetic::{Script, Synthetic};
use palmd::camera::v4l2::{Camera, CameraParams};
use palmd::camera::{Paced, Range, Source, SourceError, SourceSpec};
use palmd::clock::{Clock, SystemClock};
use palmd::config;

use super::failure::{Failure, USAGE};
use super::output::write_json;

/// The options that choose an input.
#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// auto, /dev/video0, a recording (.y4m, .mjpeg, .avi, a picture, a folder of pictures),
    /// - for Y4M on standard input, or synthetic:SCRIPT [default: as configured, else auto]
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Frames a second of a source that has no times of its own [default: 30]. Makes a folder
    /// of pictures a film, instead of pictures that have nothing to do with one another
    #[arg(long, value_name = "N", value_parser = frame_rate)]
    pub fps: Option<f32>,
}

/// A frame rate that can be.
fn frame_rate(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(fps) if (0.1..=1000.0).contains(&fps) => Ok(fps),
        _ => Err("it must be a number from 0.1 to 1000".into()),
    }
}

/// Whether a recording plays at its own pace or as fast as it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Every frame at its own time.
    Own,
    /// One after the other.
    Fast,
}

/// An open source, and the script that it plays where it is the synthetic hand.
pub struct Input {
    /// Where frames come from.
    pub source: Box<dyn Source>,
    /// For the ground truth.
    pub script: Option<Script>,
}

impl SourceArgs {
    /// Opens the source that these options and the configuration name.
    pub fn open(&self, config: &config::Camera, pace: Pace) -> Result<Input, SourceError> {
        let spec: SourceSpec = self.name(config).parse()?;
        // Recordings mostly have a rate of their own; the configured one is the camera's.
        match spec {
            SourceSpec::Camera(device) => {
                let camera = Camera::new(camera_params(device, config, self.fps), clock());
                Ok(Input {
                    source: Box::new(camera),
                    script: None,
                })
            }
            SourceSpec::Recording(path) => {
                Ok(Input::recorded(recording::open(&path, self.fps)?, pace))
            }
            SourceSpec::Stdin => Ok(Input::recorded(recording::open_stdin(self.fps)?, pace)),
            SourceSpec::Synthetic(text) => Ok(Input::synthetic(Script::load(&text)?, pace)),
        }
    }

    /// Whether frames come from standard input.
    pub fn is_stdin(&self, config: &config::Camera) -> bool {
        matches!(self.name(config).parse(), Ok(SourceSpec::Stdin))
    }

    fn name<'a>(&'a self, config: &'a config::Camera) -> &'a str {
        self.source.as_ref().unwrap_or(&config.source)
    }
}

impl Input {
    /// The synthetic hand, playing `script`.
    pub fn synthetic(script: Script, pace: Pace) -> Self {
        let source = Synthetic::new(script.clone());
        Self {
            script: Some(script),
            ..Self::recorded(Box::new(source), pace)
        }
    }

    /// Writes the labelled intervals of the script into `path`, as JSON.
    pub fn write_truth(&self, path: &Path) -> Result<(), Failure> {
        let script = self.script.as_ref().ok_or_else(|| {
            let need = "--truth needs a synthetic source (--source synthetic:SCRIPT)";
            Failure::new(USAGE, need)
        })?;
        write_json(path, &script.truth())
    }

    fn recorded(source: Box<dyn Source>, pace: Pace) -> Self {
        let source = match pace {
            Pace::Own => Box::new(Paced::new(source, clock())),
            Pace::Fast => source,
        };
        Self {
            source,
            script: None,
        }
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// The camera's parameters, from the configuration.
pub fn camera_params(device: String, config: &config::Camera, fps: Option<f32>) -> CameraParams {
    CameraParams {
        device,
        size: (config.width, config.height),
        fps: fps.unwrap_or(config.fps),
        // `auto` is no format's name.
        format: config.format.parse().ok(),
        range: match config.range {
            config::Range::Auto => None,
            config::Range::Limited => Some(Range::Limited),
            config::Range::Full => Some(Range::Full),
        },
        buffers: (config.buffers > 0).then_some(config.buffers),
        frame_timeout: config.timeout,
        backoff: config.back_off,
        processing_latency: Duration::from_millis(60),
        ..CameraParams::default()
    }
}
