//! `palmd demo`

use clap::Args;
use palmd::camera::synthetic::Script;
use palmd::health::Stage;

use super::ConfigArgs;
use super::failure::Failure;
use super::input::Input;
use super::logging::say;
use super::run::{Pipeline, PlayArgs};
use super::score::Score;
use super::signals::Signals;

/// Play a script on the synthetic hand through the whole pipeline; no camera needed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  palmd demo
  palmd demo --script 'wait 1s; swipe-left; open-palm 1s; wave 1.5s'
  palmd demo --script tour.txt --fast --format json")]
pub struct Demo {
    /// The script, or a file that holds it [default: a tour of all gestures]
    #[arg(long, value_name = "SCRIPT")]
    script: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    play: PlayArgs,
}

impl Demo {
    pub fn execute(&self) -> Result<(), Failure> {
        let mut config = self.config.load()?;
        config.outputs = config.outputs.only_stdout();
        let script = match &self.script {
            Some(spec) => Script::load(spec)?,
            None => Script::demo(),
        };
        let input = Input::synthetic(script.clone(), self.play.pace());
        let signals = Signals::stop()?;
        let mut events = Vec::new();
        let fps = f64::from(input.source.info().fps);
        self.play.write_truth(&input)?;
        let pipeline = Pipeline::open(config, input)?;
        let counted = self
            .play
            .play(pipeline, &signals, |event| events.push(event.clone()))?;
        let played = counted.frames as f64 / fps;
        let frame = counted.stage(Stage::Frame);
        say(Score::new(&events, &script.truth(), played));
        say(format_args!(
            "{} frames, {:.1} ms each (95 % below {:.1} ms), {} windows classified, {:.0} MB of memory",
            counted.frames,
            frame.median_ms,
            frame.p95_ms,
            counted.windows,
            counted.memory.peak_bytes as f64 / 1e6,
        ));
        Ok(())
    }
}
