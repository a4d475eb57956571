//! `palmd bench`

use std::fmt;
use std::time::Duration;

use clap::Args;
use palmd::camera::synthetic::{Script, Synthetic};
use palmd::camera::{Next, Source};
use palmd::clock::{Clock, SystemClock};
use palmd::health::{
    AllocatorCalls, Memory, Metrics, PageFaults, Quantiles, Stage, thread_calls, thread_page_faults,
};
use palmd::pose::{PoseTracker, StageTimes};
use palmd::window::WINDOW_LEN;
use serde::Serialize;

use super::failure::{Failure, SOFTWARE};
use super::output::Output;
use super::{ConfigArgs, models, stations};

/// Frames and windows before anything is counted.
const WARM_UP: u64 = 15;

/// Measure time a stage, allocator calls and memory, on the synthetic hand.
///
/// Drawing the hand is not counted. One thread; pin it with taskset for steadier figures.
#[derive(Debug, Args)]
pub struct Bench {
    #[command(flatten)]
    config: ConfigArgs,
    /// Frames with a hand, frames without, and windows to measure
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    frames: u64,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// What one kind of work costs.
#[derive(Debug, Serialize)]
struct Cost {
    work: &'static str,
    times: u64,
    stages: Vec<(Stage, Quantiles)>,
    /// Calls to the allocator, all together.
    allocator: AllocatorCalls,
    page_faults: PageFaults,
}

#[derive(Debug, Serialize)]
struct Report {
    model: &'static str,
    costs: Vec<Cost>,
    memory: Memory,
}

impl Bench {
    pub fn execute(&self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let folder = models::folder(&config.pose)?;
        let mut classifier = stations::classifier(&config, &folder)?;
        let seconds = (self.frames + WARM_UP).div_ceil(30) + 2;
        let mut costs = Vec::new();
        for (work, what) in [("frame, hand followed", "wait"), ("frame, no hand", "hide")] {
            let text = format!("size 640x480; fps 30; {what} {seconds}s");
            let script = Script::parse(&text).map_err(|e| Failure::new(SOFTWARE, e))?;
            let mut hand = Synthetic::new(script);
            let mut tracker = PoseTracker::load(&folder, models::pose_params(&config))?;
            let mut meter = Meter::new(work, Stage::Frame);
            for _ in 0..WARM_UP + self.frames {
                let Next::Frame(frame) = hand.next_frame(Duration::ZERO)? else {
                    break;
                };
                meter.measure(|| tracker.process(&frame).map(|_| ()))?;
                meter.stages(&tracker.times());
            }
            costs.push(meter.cost());
        }
        let points = [0.5f32; WINDOW_LEN];
        let mut meter = Meter::new("window", Stage::Window);
        for _ in 0..WARM_UP + self.frames {
            meter.measure(|| classifier.score_points(&points).map(|_| ()))?;
        }
        costs.push(meter.cost());
        let report = Report {
            model: config.pose.model.name(),
            costs,
            memory: Memory::now(),
        };
        let mut out = Output::create(None)?;
        if self.json {
            out.json_line(&report)?;
        } else {
            out.bytes(report.to_string().as_bytes())?;
        }
        out.flush()
    }
}

/// Measures one kind of work, once it is warm.
struct Meter {
    work: &'static str,
    whole: Stage,
    metrics: Metrics,
    done: u64,
    calls: AllocatorCalls,
    faults: PageFaults,
}

impl Meter {
    fn new(work: &'static str, whole: Stage) -> Self {
        Self {
            work,
            whole,
            metrics: Metrics::default(),
            done: 0,
            calls: AllocatorCalls::default(),
            faults: PageFaults::default(),
        }
    }

    fn warm(&self) -> bool {
        self.done > WARM_UP
    }

    fn measure<E>(&mut self, work: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        self.done += 1;
        let faults = thread_page_faults();
        let calls = thread_calls();
        let began = SystemClock.now();
        work()?;
        let time = SystemClock.now() - began;
        let calls = thread_calls() - calls;
        let faults = thread_page_faults() - faults;
        if self.warm() {
            self.metrics.record(self.whole, time);
            self.calls = self.calls + calls;
            self.faults = self.faults + faults;
        }
        Ok(())
    }

    fn stages(&self, times: &StageTimes) {
        if self.warm() {
            self.metrics.record_frame(times);
        }
    }

    fn cost(self) -> Cost {
        let counted = self.metrics.snapshot();
        let taken = counted.stages.iter().filter(|(_, time)| time.count > 0);
        Cost {
            work: self.work,
            times: self.done.saturating_sub(WARM_UP),
            stages: taken.copied().collect(),
            allocator: self.calls,
            page_faults: self.faults,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = |bytes| bytes as f64 / 1e6;
        writeln!(f, "hand networks: {}, 640x480, one thread\n", self.model)?;
        writeln!(
            f,
            "{:28}{:>10}{:>10}{:>10}",
            "", "median ms", "95 % ms", "max ms"
        )?;
        for cost in &self.costs {
            let per = |n: u64| n as f64 / cost.times.max(1) as f64;
            writeln!(
                f,
                "{} ({} times; {:.1} allocator calls and {:.2} page faults each)",
                cost.work,
                cost.times,
                per(cost.allocator.total()),
                per(cost.page_faults.minor + cost.page_faults.major)
            )?;
            for (stage, time) in &cost.stages {
                writeln!(
                    f,
                    "  {:26}{:10.3}{:10.3}{:10.3}",
                    stage.name(),
                    time.median_ms,
                    time.p95_ms,
                    time.max_ms
                )?;
            }
        }
        writeln!(
            f,
            "\nresident memory {:.1} MB, peak {:.1} MB",
            memory(self.memory.resident_bytes),
            memory(self.memory.peak_bytes)
        )
    }
}
