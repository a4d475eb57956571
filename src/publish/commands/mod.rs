//! Gestures as programs that are started.
//!
//! A [`Program`] is found, its [`run`] is watched, and what it says becomes [`lines`] of the log.

mod lines;
mod program;
mod run;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::{
    optional as optional_duration, required as duration,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

pub use program::Program;

use super::{BadValue, Feed, Output, OutputState, Published, Work};
use crate::gesture::{Event, GestureEvent, Phase};

/// `[outputs.commands]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct CommandsParams {
    /// Whether programs are started, if there are any.
    pub enabled: bool,
    /// A program that runs for longer is killed.
    #[serde(with = "duration")]
    pub time_limit: Duration,
    /// By label.
    pub gesture: BTreeMap<String, GestureCommands>,
}

/// `[outputs.commands.gesture.NAME]`: what to run in each phase of a gesture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct GestureCommands {
    /// When it starts.
    pub start: Option<Program>,
    /// Each time that it is still held.
    pub hold: Option<Program>,
    /// When it ends.
    pub end: Option<Program>,
    /// Instead of the limit for all.
    #[serde(with = "optional_duration")]
    pub time_limit: Option<Duration>,
}

impl Default for CommandsParams {
    fn default() -> Self {
        Self {
            enabled: true,
            time_limit: Duration::from_secs(10),
            gesture: BTreeMap::new(),
        }
    }
}

impl GestureCommands {
    /// The keys in the configuration.
    pub const KEYS: [&'static str; 4] = ["start", "hold", "end", "time-limit"];

    fn program(&self, phase: Phase) -> Option<&Program> {
        match phase {
            Phase::Start => self.start.as_ref(),
            Phase::Hold => self.hold.as_ref(),
            Phase::End => self.end.as_ref(),
        }
    }

    fn programs(&self) -> impl Iterator<Item = &Program> {
        [&self.start, &self.hold, &self.end].into_iter().flatten()
    }
}

impl CommandsParams {
    /// Checks what types alone can't.
    ///
    /// # Errors
    /// The first value that can't work.
    pub fn check(&self) -> Result<(), BadValue> {
        let limits = Duration::from_millis(100)..=Duration::from_secs(3600);
        if !limits.contains(&self.time_limit) {
            return Err((
                "outputs.commands.time-limit",
                format!("{:?}", self.time_limit),
                "it must be from 100ms to 1h",
            ));
        }
        for (gesture, commands) in &self.gesture {
            let bad = |value, rule| Err(("outputs.commands.gesture", value, rule));
            if let Some(limit) = commands.time_limit.filter(|t| !limits.contains(t)) {
                return bad(
                    format!("`{gesture}.time-limit = {limit:?}`"),
                    "it must be from 100ms to 1h",
                );
            }
            if commands.programs().next().is_none() {
                return bad(
                    format!("`{gesture}` without a program"),
                    "say what to run: `start`, `hold` or `end`",
                );
            }
        }
        Ok(())
    }
}

/// Starts programs as gestures begin and end.
#[derive(Debug)]
pub struct Commands {
    gestures: BTreeMap<String, GestureCommands>,
    time_limit: Duration,
}

impl Commands {
    /// The programs that are configured, if any.
    #[must_use]
    pub fn new(params: &CommandsParams) -> Option<Self> {
        if !params.enabled || params.gesture.is_empty() {
            return None;
        }
        Some(Self {
            gestures: params.gesture.clone(),
            time_limit: params.time_limit,
        })
    }

    /// The first program that can't be started now: what is wrong and what to do.
    fn missing(&self) -> Option<String> {
        let programs = self.gestures.values().flat_map(GestureCommands::programs);
        programs.filter_map(|program| program.find().err()).next()
    }

    /// How many programs there are.
    fn count(&self) -> usize {
        let programs = self.gestures.values().flat_map(GestureCommands::programs);
        programs.count()
    }

    /// Runs until there are no more events, and all that was started has ended.
    async fn work(&self, mut feed: Feed) {
        feed.warn_of_unknown("outputs.commands.gesture", self.gestures.keys());
        match self.missing() {
            Some(error) => feed.state.fails(error),
            None => feed.state.works(format_args!("programs: {}", self.count())),
        }
        let mut running = Running {
            commands: self,
            state: Arc::clone(&feed.state),
            gestures: BTreeMap::new(),
            runs: JoinSet::new(),
        };
        let mut more = true;
        while more || !running.runs.is_empty() {
            tokio::select! {
                event = feed.next(), if more => match event {
                    Some(event) => running.take(event),
                    None => more = false,
                },
                Some(ended) = running.runs.join_next() => {
                    // A run that panicked is a fault of this output as a whole.
                    running.ended(&ended.expect("a run doesn't panic"));
                }
            }
        }
    }
}

/// What runs now: one program for each gesture at most.
struct Running<'a> {
    commands: &'a Commands,
    state: Arc<OutputState>,
    /// Gestures whose program runs, with the end that came meanwhile.
    gestures: BTreeMap<Arc<str>, Option<Arc<Published>>>,
    /// Dropped, they kill what they run.
    runs: JoinSet<Arc<str>>,
}

impl Running<'_> {
    /// Starts what an event asks for. While the gesture's last program runs, the event is skipped
    /// and counted; only an end waits for its turn, so that what was switched on goes off.
    fn take(&mut self, published: Arc<Published>) {
        let Event::Gesture(event) = &published.event else {
            return;
        };
        let Some(commands) = self.commands.gestures.get(&*event.gesture) else {
            return;
        };
        if commands.program(event.phase).is_none() {
            return;
        }
        match self.gestures.get_mut(&event.gesture) {
            Some(waiting) if event.phase == Phase::End => {
                if waiting.replace(published).is_some() {
                    self.state.dropped(1);
                }
            }
            Some(_) => self.state.dropped(1),
            None => self.start(&published, event, commands),
        }
    }

    fn start(&mut self, published: &Published, event: &GestureEvent, commands: &GestureCommands) {
        let Some(program) = commands.program(event.phase) else {
            return;
        };
        let limit = commands.time_limit.unwrap_or(self.commands.time_limit);
        match run::start(program, published, event, limit) {
            Ok(run) => {
                self.state.sent(published);
                self.state.works(format_args!("{program} was started"));
                let gesture = Arc::clone(&event.gesture);
                self.gestures.insert(Arc::clone(&gesture), None);
                self.runs.spawn(async move {
                    run.await;
                    gesture
                });
            }
            Err(error) => {
                self.state.dropped(1);
                self.state.fails(error);
            }
        }
    }

    /// The program of a gesture has ended.
    fn ended(&mut self, gesture: &str) {
        if let Some(Some(waiting)) = self.gestures.remove(gesture) {
            self.take(waiting);
        }
    }
}

impl Output for Commands {
    fn name(&self) -> &'static str {
        "commands"
    }

    fn check(&self) -> Result<String, String> {
        match self.missing() {
            Some(error) => Err(error),
            None => Ok(format!("programs that can be started: {}", self.count())),
        }
    }

    fn run(self: Box<Self>, feed: Feed) -> Work {
        Box::pin(async move { self.work(feed).await })
    }
}

#[cfg(test)]
mod tests;
