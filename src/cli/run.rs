//! `palmd run`

use std::io::{IsTerminal, stdin};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use palmd::camera::Source;
use palmd::config::Config;
use palmd::control::Control;
use palmd::daemon::{self, Classify, Options, Stations};
use palmd::gesture::Event;
use palmd::gesture::learned::Taught;
use palmd::health::{CameraState, Metrics, ServiceManager, Snapshot};
use palmd::memory;
use palmd::publish;

use super::ConfigArgs;
use super::failure::{Failure, USAGE};
use super::input::{Input, Pace, SourceArgs};
use super::signals::Signals;
use super::stations;

/// Run the daemon: gesture events from a camera or any other source.
#[derive(Debug, Clone, Args)]
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
#[derive(Debug, Clone, Args)]
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

/// The stations, loaded and checked, and the configuration that they were made by.
pub struct Pipeline {
    config: Config,
    stations: Stations<Taught>,
}

impl Pipeline {
    /// Loads everything between `input` and the events.
    pub fn open(config: Config, input: Input) -> Result<Self, Failure> {
        let stations = stations::open(&config, input.source)?;
        Ok(Self { config, stations })
    }
}

impl Run {
    pub fn execute(&self) -> Result<(), Failure> {
        let again = self.clone();
        // A terminal that is closed ends what runs in it.
        let signals = if stdin().is_terminal() {
            Signals::stop()?
        } else {
            Signals::stop_or_renew(move || again.renew())?
        };
        let config = self.config.load()?;
        let input = self.source.open(&config.camera, self.play.pace())?;
        self.play.write_truth(&input)?;
        let pipeline = Pipeline::open(config, input)?;
        self.play.play(pipeline, &signals, |_| {})?;
        Ok(())
    }

    /// A pipeline by the configuration as it is now.
    fn renew(&self) -> Result<Pipeline, Failure> {
        let config = self.config.load()?;
        if self.source.is_stdin(&config.camera) {
            let message = "standard input can't be read a second time";
            return Err(Failure::new(USAGE, message));
        }
        let input = self.source.open(&config.camera, self.play.pace())?;
        Pipeline::open(config, input)
    }
}

impl PlayArgs {
    /// The pace that was asked for.
    pub fn pace(&self) -> Pace {
        if self.fast { Pace::Fast } else { Pace::Own }
    }

    /// Writes the file that `--truth` asks for.
    pub fn write_truth(&self, input: &Input) -> Result<(), Failure> {
        match &self.truth {
            Some(path) => input.write_truth(path),
            None => Ok(()),
        }
    }

    /// Runs `pipeline`, and what `signals` put in its place, and writes the events. Returns what the
    /// last one counted. `seen` is called with each event.
    pub fn play(
        &self,
        mut pipeline: Pipeline,
        signals: &Signals<Pipeline>,
        mut seen: impl FnMut(&Event),
    ) -> Result<Snapshot, Failure> {
        loop {
            let camera = pipeline.config.camera.clone();
            let metrics = Arc::new(Metrics::default());
            let source = self.play_one(pipeline, &metrics, &signals.control, &mut seen)?;
            pipeline = match signals.renewed() {
                Some(renewed) => renewed,
                None => return Ok(metrics.snapshot()),
            };
            // One that streams goes on, unless it is to be another.
            let streams = metrics.camera.state() == CameraState::Streaming;
            if streams && pipeline.config.camera == camera {
                pipeline.stations.source = source;
            }
            log::info!("the configuration was read again");
            ServiceManager::from_env().reloading();
        }
    }

    fn play_one(
        &self,
        Pipeline { config, stations }: Pipeline,
        metrics: &Arc<Metrics>,
        control: &Arc<Control>,
        seen: impl FnMut(&Event),
    ) -> Result<Box<dyn Source>, Failure> {
        let info = stations.source.info();
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
            recognizer: stations::recognizer_params(&config, &stations.scorer),
            summary_interval: config.health.summary_interval,
        };
        let mut outputs = config.outputs.clone();
        if let Some(format) = self.format {
            outputs.stdout.format = match format {
                Format::Text => publish::Format::Text,
                Format::Json => publish::Format::Json,
            };
        }
        log::info!("watching {}", info.name);
        let outputs = outputs.outputs(&options.recognizer.rules);
        let source = daemon::run(stations, &options, outputs, metrics, control, seen)?;
        log::debug!("{}", metrics.snapshot());
        Ok(source)
    }
}
