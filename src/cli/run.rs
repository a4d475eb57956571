//! `palmd run`

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use palmd::config::Config;
use palmd::control::Control;
use palmd::daemon::{self, Classify, Options};
use palmd::gesture::Event;
use palmd::health::{Metrics, Snapshot};
use palmd::memory;
use palmd::publish;

use super::ConfigArgs;
use super::failure::Failure;
use super::input::{Input, Pace, SourceArgs};
use super::signals::on_stop_signals;
use super::stations;

/// Run the daemon: gesture events from a camera or any other source.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  palmd run                                    the first camera
  palmd run --source /dev/v4l/by-id/usb-...    a certain camera
  palmd run --source clip.mjpeg --fast         a recording, as fast as it goes
  palmd run --source synthetic:script.txt --truth truth.json")]
pub struct Run {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    play: PlayArgs,
}

/// How a source is played, and what is written.
#[derive(Debug, Args)]
pub struct PlayArgs {
    /// A recording or script as fast as it goes, instead of at its own pace
    #[arg(long)]
    pub fast: bool,
    /// Write the labelled intervals of a synthetic source into this file, as JSON
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// How events look [default: text on a terminal, json elsewhere]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Run {
    pub fn execute(&self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let input = self.source.open(&config.camera, self.play.pace())?;
        self.play.play(&config, input, |_| {})?;
        Ok(())
    }
}

impl PlayArgs {
    /// The pace that was asked for.
    pub fn pace(&self) -> Pace {
        if self.fast { Pace::Fast } else { Pace::Own }
    }

    /// Runs the daemon on `input`, writes its events, and returns what was counted. `seen` is
    /// called with each event.
    pub fn play(
        &self,
        config: &Config,
        input: Input,
        seen: impl FnMut(&Event),
    ) -> Result<Snapshot, Failure> {
        if let Some(path) = &self.truth {
            input.write_truth(path)?;
        }
        let info = input.source.info();
        let stations = stations::open(config, input.source)?;
        memory::trim();
        if config.memory.lock {
            memory::lock().unwrap_or_else(|e| log::warn!("{e}; going on without"));
        }
        let options = Options {
            classify: if self.fast && !info.live {
                Classify::InLine
            } else {
                Classify::Aside
            },
            recognizer: stations::recognizer_params(config, &stations.scorer),
            summary_interval: config.health.summary_interval,
        };
        let metrics = Arc::new(Metrics::default());
        let control = Arc::new(Control::default());
        on_stop_signals({
            let control = Arc::clone(&control);
            move || control.stop()
        })?;
        let mut outputs = config.outputs.clone();
        if let Some(format) = self.format {
            outputs.stdout.format = match format {
                Format::Text => publish::Format::Text,
                Format::Json => publish::Format::Json,
            };
        }
        log::info!("watching {}", info.name);
        let outputs = outputs.outputs(&options.recognizer.rules);
        daemon::run(stations, &options, outputs, &metrics, &control, seen)?;
        let counted = metrics.snapshot();
        log::debug!("{counted}");
        Ok(counted)
    }
}
