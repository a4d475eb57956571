//! `palmd check`

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use palmd::camera::v4l2::Camera;
use palmd::camera::{Next, Source, SourceSpec};
use palmd::clock::{Clock, SystemClock};
use palmd::config::Config;
use palmd::gesture::Score;
use palmd::inference::Network;
use palmd::memory;
use palmd::pose::PoseTracker;
use serde::Serialize;

use super::failure::{Failure, PERMISSION, UNAVAILABLE};
use super::input::{Pace, SourceArgs, camera_params};
use super::output::Output;
use super::{ConfigArgs, models, stations};

/// How long the first frame of a camera may take.
const FIRST_FRAME: Duration = Duration::from_secs(5);

/// Check configuration, models, camera and permissions, and say what to do.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    config: ConfigArgs,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    /// What was found, or what is wrong and what to do.
    says: String,
    #[serde(skip)]
    code: u8,
}

impl Check {
    /// Looks at everything, even when the first things are wrong; the exit code is that of the
    /// first one.
    pub fn execute(&self) -> Result<(), Failure> {
        let mut findings = Vec::new();
        let mut find = |what, result: Result<String, Failure>| {
            let (ok, code, says) = match result {
                Ok(says) => (true, 0, says),
                Err(f) => (false, f.code, f.message.unwrap_or_default()),
            };
            findings.push(Finding {
                what,
                ok,
                says,
                code,
            });
            ok
        };
        let config = match self.config.load() {
            Ok(config) => {
                find("configuration", Ok(self.config.describe()));
                config
            }
            Err(failure) => {
                find("configuration", Err(failure));
                Config::default()
            }
        };
        let differences = config.rules.differences();
        if !differences.is_empty() {
            find("rules", Ok(differences.join(", ")));
        }
        match models::folder(&config.pose) {
            Ok(folder) => {
                find("hand models", hand_models(&config, &folder));
                find("classifier", classifier(&config, &folder));
            }
            Err(failure) => {
                find("models", Err(failure));
            }
        }
        find("source", self.first_frame(&config));
        for output in config.outputs.outputs(&config.rules) {
            let said = output.check();
            find(
                output.name(),
                said.map_err(|e| Failure::new(UNAVAILABLE, format_args!("output: {e}"))),
            );
        }
        if config.memory.lock {
            find("memory", memory_lock());
        }

        let mut out = Output::create(None)?;
        if self.json {
            out.json_line(&findings)?;
        } else {
            for f in &findings {
                let mark = if f.ok { "ok  " } else { "FAIL" };
                out.bytes(format!("{mark}  {:<14} {}\n", f.what, f.says).as_bytes())?;
            }
        }
        out.flush()?;
        match findings.iter().find(|f| !f.ok) {
            Some(f) => Err(Failure::said(f.code)),
            None => Ok(()),
        }
    }

    /// Opens the source and waits for a frame.
    fn first_frame(&self, config: &Config) -> Result<String, Failure> {
        let clock = SystemClock;
        let name = self.source.source.as_ref().unwrap_or(&config.camera.source);
        let mut source: Box<dyn Source> = match name.parse()? {
            SourceSpec::Camera(device) => {
                let params = camera_params(device, &config.camera, self.source.fps);
                let mut camera = Camera::new(params, Arc::new(clock));
                camera.open()?;
                Box::new(camera)
            }
            _ => self.source.open(&config.camera, Pace::Fast)?.source,
        };
        let deadline = clock.now() + FIRST_FRAME;
        let found = loop {
            match source.next_frame(Duration::from_millis(100))? {
                Next::Frame(frame) => break frame.image().width > 0,
                Next::Timeout if clock.now() < deadline => {}
                Next::Timeout | Next::End => break false,
            }
        };
        let info = source.info();
        if !found {
            let message = format_args!("{}: no frame within {FIRST_FRAME:?}", info.name);
            return Err(Failure::new(UNAVAILABLE, message));
        }
        let (width, height) = info.size;
        Ok(format!(
            "{}: {} {width}x{height} at {} frames a second",
            info.name, info.format, info.fps
        ))
    }
}

fn memory_lock() -> Result<String, Failure> {
    memory::lock().map_err(|e| Failure::new(PERMISSION, e))?;
    Ok("it can be locked".into())
}

fn hand_models(config: &Config, folder: &Path) -> Result<String, Failure> {
    let tracker = PoseTracker::load(folder, models::pose_params(config))?;
    let [palm, landmark] = tracker.networks().map(Network::folding);
    let model = config.pose.model.name();
    Ok(format!(
        "{}: palm ({palm}) and landmark ({landmark}) networks, {model}",
        folder.display()
    ))
}

fn classifier(config: &Config, folder: &Path) -> Result<String, Failure> {
    let taught = stations::classifier(config, folder)?;
    let classifier = taught.classifier();
    let learned = match taught.gestures().len() {
        0 => String::new(),
        count => format!(", {count} learned"),
    };
    let version = classifier.version().map(|v| format!(", version {v}"));
    Ok(format!(
        "{}: {} labels{learned}{}; {}",
        models::gestures(config, folder).display(),
        classifier.labels().len(),
        version.unwrap_or_default(),
        classifier.network().folding()
    ))
}
