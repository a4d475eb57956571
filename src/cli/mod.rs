//! The command line: what a person or a unit file asks palmd to do.

mod bench;
mod check;
mod classify;
mod demo;
mod devices;
mod failure;
mod input;
mod learn;
mod logging;
mod models;
mod output;
mod pose;
mod record;
mod run;
mod score;
mod signals;
mod stations;
mod status;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{panic, thread};

use clap::{Args, Parser, Subcommand};
use palmd::config::{self, Config};
use palmd::inference::LOADING_THREAD;
use palmd::pose::ModelSize;

use failure::Failure;

/// Watches a camera, follows a hand and turns gestures into events.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "Examples:
  palmd demo                         see it work, without a camera
  palmd devices                      which cameras are there, and what palmd would choose
  palmd run                          the daemon, with the first camera
  palmd run --source clip.mjpeg      gesture events from a recording
  ffmpeg -i clip.mp4 -f yuv4mpegpipe - | palmd run --source -

Exit codes follow sysexits: 64 usage, 65 bad data, 66 no such input, 69 unavailable,
70 internal error, 74 input/output error, 77 permission, 78 configuration."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: gesture events from a camera or any other source
    Run(run::Run),
    /// Play a script on the synthetic hand through the whole pipeline; no camera needed
    Demo(demo::Demo),
    /// Tell what the running daemon is doing
    Status(status::StatusCommand),
    /// List cameras, their formats, and what palmd would choose and why
    Devices(devices::Devices),
    /// Check configuration, models, camera and permissions, and say what to do
    Check(check::Check),
    /// Write hand poses, one NDJSON line a frame, as fast as it goes
    Pose(pose::Pose),
    /// Record examples of a gesture: poses, no pictures
    Record(record::Record),
    /// Learn gestures from recorded examples
    Learn(learn::Learn),
    /// Gestures from recorded poses or classifier inputs
    Classify(classify::Classify),
    /// Measure time a stage, allocator calls and memory
    Bench(bench::Bench),
}

/// Options that every command with a configuration has; they win over the file.
#[derive(Debug, Clone, Args)]
struct ConfigArgs {
    /// Configuration file [default: /etc/palmd/palmd.toml where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the models [default: looked for in the usual places]
    #[arg(long, value_name = "DIR", env = "PALMD_MODELS")]
    models: Option<PathBuf>,
    /// Size of the hand networks
    #[arg(long, value_enum)]
    model: Option<ModelSize>,
    /// Hands that are followed at once
    #[arg(long, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    hands: Option<u8>,
    /// Threads that compute the networks
    #[arg(long, value_name = "1..4", value_parser = clap::value_parser!(u8).range(1..=4))]
    threads: Option<u8>,
}

impl ConfigArgs {
    /// Where the configuration comes from.
    fn describe(&self) -> String {
        let default = Path::new(config::DEFAULT_PATH);
        match &self.config {
            Some(path) => path.display().to_string(),
            None if default.exists() => default.display().to_string(),
            None => "the defaults (there is no file)".into(),
        }
    }

    /// The configuration from the file (or the defaults, where there is none) and these options.
    fn load(&self) -> Result<Config, Failure> {
        let default = Path::new(config::DEFAULT_PATH);
        let mut config = match &self.config {
            Some(path) => Config::load(path)?,
            None if default.exists() => Config::load(default)?,
            None => Config::default(),
        };
        if let Some(models) = &self.models {
            config.pose.models.clone_from(models);
        }
        if let Some(model) = self.model {
            config.pose.model = model;
        }
        if let Some(threads) = self.threads {
            config.pose.threads = threads.into();
        }
        if let Some(hands) = self.hands {
            config.pose.hands = hands.into();
        }
        Ok(config)
    }
}

/// A panic while a model is prepared becomes an error that names the model: one line is enough.
fn leave_models_panics_to_the_error() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if thread::current().name() == Some(LOADING_THREAD) {
            log::debug!("{panic}");
        } else {
            tell(panic);
        }
    }));
}

/// Parses the command line, runs the command, says what went wrong in one line.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no failure.
            let code = if error.use_stderr() {
                failure::USAGE
            } else {
                0
            };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    logging::init();
    leave_models_panics_to_the_error();
    let done = match cli.command {
        Command::Run(run) => run.execute(),
        Command::Demo(demo) => demo.execute(),
        Command::Status(status) => status.execute(),
        Command::Devices(devices) => devices.execute(),
        Command::Check(check) => check.execute(),
        Command::Pose(pose) => pose.execute(),
        Command::Record(record) => record.execute(),
        Command::Learn(learn) => learn.execute(),
        Command::Classify(classify) => classify.execute(),
        Command::Bench(bench) => bench.execute(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = &failure.message {
                logging::last_words(message);
            }
            ExitCode::from(failure.code)
        }
    }
}
