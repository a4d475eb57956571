//! `palmd bench`

use std::fmt;
use std::time::Duration;

use clap::Args;
use palmd::camera::synthetic::{Script, Synthetic};
use palmd::camera::{Frame, Image, PixelFormat, Range};
use palmd::clock::{Clock, SystemClock};
use palmd::health::{
    AllocatorCalls, Memory, PageFaults, Quantiles, Stage, process_cpu_time, thread_calls,
    thread_page_faults,
};
use palmd::inference::{LayerCost, Network};
use palmd::pose::{PoseParams, PoseTracker};
use palmd::window::WINDOW_LEN;
use serde::Serialize;

use super::failure::{Failure, SOFTWARE};
use super::output::Output;
use super::{ConfigArgs, models, stations};

/// Frames and windows before anything is counted.
const WARM_UP: u64 = 15;

/// Size of the frames in pixels.
const WIDTH: usize = 640;
const HEIGHT: usize = 480;

/// Measure time a stage, CPU time, allocator calls and memory, on drawn hands.
///
/// Drawing them is not counted. One thread; pin it with taskset for steadier figures.
#[derive(Debug, Args)]
pub struct Bench {
    #[command(flatten)]
    config: ConfigArgs,
    /// Frames of each kind, and windows, to measure
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    frames: u64,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    model: &'static str,
    /// The most hands that are followed.
    hands: usize,
    costs: Vec<Cost>,
    networks: Vec<NetworkCost>,
    memory: Memory,
}

/// What a network costs, layer by layer.
#[derive(Debug, Serialize)]
struct NetworkCost {
    network: &'static str,
    /// What became of the model's nodes.
    folding: String,
    arena_bytes: usize,
    macs: u64,
    kinds: Vec<KindCost>,
    layers: Vec<LayerCost>,
}

/// What the layers of one kind cost together.
#[derive(Debug, Serialize)]
struct KindCost {
    kind: &'static str,
    layers: usize,
    macs: u64,
    /// Sum of the layers' medians.
    ms: f64,
}

impl NetworkCost {
    fn of(network: &'static str, loaded: &Network, runs: usize) -> Self {
        let layers = loaded.profile(runs);
        let mut kinds: Vec<KindCost> = Vec::new();
        for layer in &layers {
            let at = kinds.iter().position(|kind| kind.kind == layer.kind);
            let at = at.unwrap_or_else(|| {
                kinds.push(KindCost {
                    kind: layer.kind,
                    layers: 0,
                    macs: 0,
                    ms: 0.0,
                });
                kinds.len() - 1
            });
            kinds[at].layers += 1;
            kinds[at].macs += layer.macs;
            kinds[at].ms += layer.median.as_secs_f64() * 1e3;
        }
        kinds.sort_by(|a, b| b.ms.total_cmp(&a.ms));
        Self {
            network,
            folding: loaded.folding().to_string(),
            arena_bytes: loaded.folding().arena_bytes(),
            macs: loaded.folding().macs(),
            kinds,
            layers,
        }
    }
}

/// What one kind of work costs.
#[derive(Debug, Serialize)]
struct Cost {
    work: &'static str,
    times: u64,
    /// Hands that were found in a frame, on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    hands_found: Option<f64>,
    stages: Vec<(Stage, Quantiles)>,
    /// Of all threads together, where the stages are by the clock on the wall.
    cpu: Quantiles,
    /// Calls to the allocator, all together.
    allocator: AllocatorCalls,
    page_faults: PageFaults,
}

impl Bench {
    pub fn execute(&self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let folder = models::folder(&config.pose)?;
        let params = models::pose_params(&config);
        let mut classifier = stations::classifier(&config, &folder)?;
        let mut costs = Vec::new();
        for hands in (1..=params.hands).chain([0]) {
            let tracker = PoseTracker::load(&folder, params)?;
            costs.push(self.frames(tracker, hands)?);
        }
        let points = [0.5f32; WINDOW_LEN];
        let mut meter = Meter::new(self.frames);
        for _ in 0..WARM_UP + self.frames {
            meter.measure(Stage::Window, || {
                classifier.score_points(&points).map(|_| ())
            })?;
        }
        costs.push(meter.cost("window", None));
        let PoseParams { model, hands, .. } = params;
        let tracker = PoseTracker::load(&folder, params)?;
        let [palm, landmark] = tracker.networks();
        let all = [
            ("palm network", palm),
            ("landmark network", landmark),
            ("classifier", classifier.classifier().network()),
        ];
        let runs = (self.frames / 5).clamp(5, 100) as usize;
        let networks = all.map(|(name, network)| NetworkCost::of(name, network, runs));
        let report = Report {
            model: model.name(),
            hands,
            costs,
            networks: networks.into(),
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

    /// Frames with so many hands in view.
    fn frames(&self, mut tracker: PoseTracker, hands: usize) -> Result<Cost, Failure> {
        let frames = WARM_UP + self.frames;
        let mut scene = Scene::new(hands, frames)?;
        let mut meter = Meter::new(self.frames);
        let mut found = 0;
        for seq in 0..frames {
            let frame = scene.draw(seq);
            meter.measure(Stage::Frame, || tracker.process(&frame).map(|_| ()))?;
            if meter.is_warm() {
                found += tracker.poses().hands.len();
                for (stage, time) in Stage::of_frame(&tracker.times()) {
                    meter.stages[stage as usize].push(time);
                }
            }
        }
        let work = ["frame, no hand", "frame, one hand", "frame, two hands"][hands];
        Ok(meter.cost(work, Some(found as f64 / self.frames as f64)))
    }
}

/// Drawn hands, one beside the other, that stay in view.
struct Scene {
    parts: Vec<Synthetic>,
    pixels: Vec<u8>,
}

impl Scene {
    fn new(hands: usize, frames: u64) -> Result<Self, Failure> {
        let columns = WIDTH / hands.max(1);
        let seconds = frames.div_ceil(30) + 2;
        let scripts: &[&str] = [&["hide"][..], &["wait"], &["hand left; wait", "wait"]][hands];
        let parts = scripts.iter().map(|what| {
            let script = format!("size {columns}x{HEIGHT}; fps 30; {what} {seconds}s");
            Script::parse(&script).map(Synthetic::new)
        });
        Ok(Self {
            parts: parts
                .collect::<Result<_, _>>()
                .map_err(|e| Failure::new(SOFTWARE, e))?,
            pixels: vec![0; WIDTH * HEIGHT * 3],
        })
    }

    fn draw(&mut self, seq: u64) -> Frame<'_> {
        let part_len = WIDTH * 3 / self.parts.len();
        for (i, part) in self.parts.iter_mut().enumerate() {
            let rows = self.pixels.chunks_exact_mut(WIDTH * 3);
            for (row, drawn) in rows.zip(part.draw(seq).chunks_exact(part_len)) {
                row[i * part_len..][..part_len].copy_from_slice(drawn);
            }
        }
        let image = Image {
            format: PixelFormat::Rgb3,
            range: Range::Full,
            width: WIDTH,
            height: HEIGHT,
            planes: [&self.pixels, &[], &[]],
            strides: [WIDTH * 3, 0, 0],
        };
        Frame::borrowed(image, seq, self.parts[0].frame_time(seq))
    }
}

/// Measures one kind of work, once it is warm.
struct Meter {
    done: u64,
    stages: [Samples; Stage::ALL.len()],
    cpu: Samples,
    calls: AllocatorCalls,
    faults: PageFaults,
}

impl Meter {
    fn new(times: u64) -> Self {
        Self {
            done: 0,
            stages: std::array::from_fn(|_| Samples::with_capacity(times)),
            cpu: Samples::with_capacity(times),
            calls: AllocatorCalls::default(),
            faults: PageFaults::default(),
        }
    }

    fn is_warm(&self) -> bool {
        self.done > WARM_UP
    }

    fn measure<E>(&mut self, whole: Stage, work: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        self.done += 1;
        let faults = thread_page_faults();
        let calls = thread_calls();
        let cpu = process_cpu_time();
        let began = SystemClock.now();
        work()?;
        let time = SystemClock.now() - began;
        let cpu = process_cpu_time() - cpu;
        let calls = thread_calls() - calls;
        let faults = thread_page_faults() - faults;
        if self.is_warm() {
            self.stages[whole as usize].push(time);
            self.cpu.push(cpu);
            self.calls = self.calls + calls;
            self.faults = self.faults + faults;
        }
        Ok(())
    }

    fn cost(self, work: &'static str, hands_found: Option<f64>) -> Cost {
        let stages = Stage::ALL.into_iter().zip(self.stages);
        Cost {
            work,
            times: self.done.saturating_sub(WARM_UP),
            hands_found,
            stages: stages
                .filter_map(|(stage, samples)| Some((stage, samples.quantiles()?)))
                .collect(),
            cpu: self.cpu.quantiles().unwrap_or_default(),
            allocator: self.calls,
            page_faults: self.faults,
        }
    }
}

/// Every single duration: a histogram's buckets are too wide to compare two builds.
struct Samples(Vec<Duration>);

impl Samples {
    fn with_capacity(times: u64) -> Self {
        Self(Vec::with_capacity(times as usize))
    }

    fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// `None` if there are no samples.
    fn quantiles(mut self) -> Option<Quantiles> {
        self.0.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let last = self.0.len().checked_sub(1)?;
        let quantile = |share: f64| ms(self.0[(share * last as f64).round() as usize]);
        Some(Quantiles {
            count: self.0.len() as u64,
            mean_ms: ms(self.0.iter().sum()) / self.0.len() as f64,
            median_ms: quantile(0.5),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            max_ms: quantile(1.0),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "hand networks: {}, hands followed: up to {}, {WIDTH}x{HEIGHT}, one thread",
            self.model, self.hands
        )?;
        for cost in &self.costs {
            cost.fmt(f)?;
        }
        for network in &self.networks {
            network.fmt(f)?;
        }
        let mb = |bytes| bytes as f64 / 1e6;
        writeln!(
            f,
            "\nresident memory {:.1} MB, peak {:.1} MB",
            mb(self.memory.resident_bytes),
            mb(self.memory.peak_bytes)
        )
    }
}

impl fmt::Display for NetworkCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:24}{:>10}{:>10}{:>10}{:>10}",
            self.network, "ms", "MMAC", "GMAC/s", "layers"
        )?;
        for kind in &self.kinds {
            let KindCost {
                kind,
                layers,
                macs,
                ms,
            } = kind;
            write!(f, "  {kind:22}{ms:10.3}")?;
            match *macs as f64 / 1e6 {
                0.0 => writeln!(f, "{:>10}{:>10}{layers:10}", "-", "-")?,
                mmacs => writeln!(f, "{mmacs:10.1}{:10.1}{layers:10}", mmacs / ms)?,
            }
        }
        let arena_kb = self.arena_bytes as f64 / 1e3;
        writeln!(f, "  {}; arena {arena_kb:.0} kB", self.folding)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:24}{:>10}{:>10}{:>10}{:>10}",
            self.work, "median ms", "95 %", "max", "times"
        )?;
        let stages = self.stages.iter().map(|(stage, time)| (stage.name(), time));
        for (name, time) in stages.chain([("CPU time", &self.cpu)]) {
            writeln!(
                f,
                "  {name:22}{:10.3}{:10.3}{:10.3}{:10}",
                time.median_ms, time.p95_ms, time.max_ms, time.count
            )?;
        }
        let each = |n: u64| n as f64 / self.times.max(1) as f64;
        write!(
            f,
            "  each with {:.1} allocator calls, {:.2} page faults",
            each(self.allocator.total()),
            each(self.page_faults.minor + self.page_faults.major)
        )?;
        match self.hands_found {
            Some(found) => writeln!(f, ", {found:.2} hands found"),
            None => writeln!(f),
        }
    }
}
