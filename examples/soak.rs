//! A month before a kiosk, as fast as it goes: the whole daemon on simulated time, with people who come and go, a camera
//! that fails at random, and readers of the outputs that do what they like. Samples what must not grow, day by day;
//! fails if it does.
//!
//! `cargo run --release --example soak -- --days 30 --svg docs/soak.svg`

use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use palmd::camera::synthetic::{Script, Synthetic};
use palmd::camera::{
    Frame, Image, Next, PixelFormat, Range, Source, SourceError, SourceInfo, SourceStats,
};
use palmd::config::Config;
use palmd::control::Control;
use palmd::daemon::{self, Classify, Options, Stations};
use palmd::gesture::{Classifier, Event, Phase, RecognizerParams, RulesParams};
use palmd::health::{CountingAllocator, Memory, Metrics};
use palmd::pose::{PoseParams, PoseTracker};
use palmd::publish::{Output, OutputsParams};
use palmd::window::{Grid, GridParams};

mod panels;
use panels::Panel;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[derive(Parser)]
struct Arguments {
    /// Simulated days
    #[arg(long, default_value_t = 30)]
    days: u64,
    /// People who come in a day
    #[arg(long, default_value_t = 60)]
    visits: u64,
    /// What happens by chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of the models
    #[arg(long, default_value = "models")]
    models: PathBuf,
    /// Where to draw what was sampled
    #[arg(long)]
    svg: Option<PathBuf>,
}

const SIZE: (usize, usize) = (320, 240);
const FPS: u32 = 15;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// While nobody is there, a frame in so long.
const QUIET_FRAME: Duration = Duration::from_secs(60);

/// What somebody does who comes: three gestures and a wave.
const VISIT: &str = "hide 0.4s; open-palm 1s; swipe-left; fist 1s; wave 1.5s; hide 0.6s";

/// A fault begins in one visit's frame in so many, and in so many quiet ones.
const FAULT: (u64, u64) = (800, 400);

/// A generator of numbers without a pattern (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % limit
    }
}

/// What the camera does.
#[derive(Clone, Copy)]
enum Doing {
    Quiet {
        until: Duration,
    },
    Visit {
        picture: usize,
    },
    /// So many attempts to open it fail.
    Lost {
        attempts: u64,
    },
    /// No frame, and no error, for so many waits.
    Stalled {
        waits: u64,
    },
    /// So many frames are broken.
    Torn {
        frames: u64,
    },
}

/// A camera before which people come and go.
struct Kiosk {
    pictures: Vec<Vec<u8>>,
    chance: Chance,
    visits: u64,
    doing: Doing,
    seq: u64,
    t: Duration,
    end: Duration,
    stats: SourceStats,
    day: Arc<AtomicU64>,
    faults: Arc<AtomicU64>,
}

impl Kiosk {
    fn new(arguments: &Arguments) -> Result<Self, Box<dyn Error>> {
        let (width, height) = SIZE;
        let script = Script::parse(&format!("size {width}x{height}; fps {FPS}; {VISIT}"))?;
        let mut hand = Synthetic::new(script);
        let visits = arguments.visits.max(1);
        Ok(Self {
            pictures: (0..hand.frames())
                .map(|seq| hand.draw(seq).to_vec())
                .collect(),
            chance: Chance(arguments.seed),
            visits,
            doing: Doing::Quiet { until: QUIET_FRAME },
            seq: 0,
            t: Duration::ZERO,
            // A little more, in which somebody comes and the last day is looked at.
            end: DAY * u32::try_from(arguments.days)? + 3 * DAY / u32::try_from(visits)?,
            stats: SourceStats::default(),
            day: Arc::default(),
            faults: Arc::default(),
        })
    }

    /// Until the next person, half the mean time to twice that.
    fn quiet(&mut self) -> Doing {
        let mean = DAY.as_secs() / self.visits;
        let until = self.t + Duration::from_secs(mean / 2 + self.chance.below(mean + 1));
        Doing::Quiet { until }
    }

    fn fault(&mut self) -> Doing {
        self.faults.fetch_add(1, SeqCst);
        let length = 1 + self.chance.below(20);
        match self.chance.below(3) {
            0 => Doing::Lost { attempts: length },
            1 => Doing::Stalled { waits: length },
            _ => Doing::Torn { frames: length },
        }
    }

    fn frame(&mut self, picture: usize, after: Duration) -> Next<'_> {
        self.t += after;
        self.seq += 1;
        self.stats.delivered += 1;
        let image = Image {
            format: PixelFormat::Rgb3,
            range: Range::Full,
            width: SIZE.0,
            height: SIZE.1,
            planes: [&self.pictures[picture], &[], &[]],
            strides: [SIZE.0 * 3, 0, 0],
        };
        Next::Frame(Frame::borrowed(image, self.seq, self.t))
    }
}

impl Source for Kiosk {
    fn next_frame(&mut self, timeout: Duration) -> Result<Next<'_>, SourceError> {
        self.day.store(self.t.as_secs() / DAY.as_secs(), SeqCst);
        if self.t >= self.end {
            return Ok(Next::End);
        }
        match self.doing {
            Doing::Quiet { until } => {
                let is_over = self.t + QUIET_FRAME >= until;
                if self.chance.below(FAULT.1) == 0 {
                    self.doing = self.fault();
                } else if is_over {
                    self.doing = Doing::Visit { picture: 0 };
                }
                Ok(self.frame(0, QUIET_FRAME))
            }
            Doing::Visit { picture } => {
                self.doing = if self.chance.below(FAULT.0) == 0 {
                    self.fault()
                } else if picture + 1 < self.pictures.len() {
                    Doing::Visit {
                        picture: picture + 1,
                    }
                } else {
                    self.quiet()
                };
                Ok(self.frame(picture, Duration::from_secs(1) / FPS))
            }
            Doing::Lost { attempts } => {
                self.t += Duration::from_secs(1);
                self.stats.reopened += 1;
                self.doing = match attempts {
                    0 => self.quiet(),
                    left => Doing::Lost { attempts: left - 1 },
                };
                Err(SourceError::Unavailable {
                    name: "kiosk".into(),
                    reason: "unplugged".into(),
                })
            }
            Doing::Stalled { waits } => {
                self.t += timeout;
                self.doing = match waits {
                    0 => self.quiet(),
                    left => Doing::Stalled { waits: left - 1 },
                };
                Ok(Next::Timeout)
            }
            Doing::Torn { frames } => {
                self.t += Duration::from_secs(1) / FPS;
                self.stats.bad += 1;
                self.doing = match frames {
                    0 => self.quiet(),
                    left => Doing::Torn { frames: left - 1 },
                };
                Ok(Next::Timeout)
            }
        }
    }

    fn info(&self) -> SourceInfo {
        SourceInfo {
            name: "kiosk".into(),
            size: (SIZE.0 as u32, SIZE.1 as u32),
            fps: FPS as f32,
            format: "RGB3".into(),
            live: true,
            stills: false,
            frames: None,
        }
    }

    fn stats(&self) -> SourceStats {
        self.stats
    }
}

/// What is looked at once a day.
struct Sample {
    day: u64,
    resident_mb: f64,
    files: usize,
    threads: usize,
    gestures: u64,
    faults: u64,
    /// System allocator calls of the vision and classifier threads, so far.
    calls: u64,
    /// Events, poses and windows that were lost, so far.
    lost: u64,
}

impl Sample {
    fn now(day: u64, gestures: u64, faults: u64, metrics: &Metrics) -> Self {
        let entries = |path: &str| fs::read_dir(path).map_or(0, Iterator::count);
        let now = metrics.snapshot();
        Self {
            day,
            resident_mb: Memory::now().resident_bytes as f64 / 1e6,
            files: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
            gestures,
            faults,
            calls: now.vision_calls.total() + now.classifier_calls.total(),
            lost: now.events_lost + now.poses_lost + now.window_errors + now.frame_errors,
        }
    }
}

/// One line, for who waits.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "day {:2}: {:.1} MB, {} files, {} threads, {} gestures, {} faults",
            self.day, self.resident_mb, self.files, self.threads, self.gestures, self.faults
        )
    }
}

/// All outputs but standard output and keys.
fn outputs(folder: &Path, http: u16, broker: u16) -> Result<Vec<Box<dyn Output>>, Box<dyn Error>> {
    let folder = folder.display();
    let params: OutputsParams = toml::from_str(&format!(
        r#"
        stdout.enabled = false
        socket.path = "{folder}/events.sock"
        status.path = "{folder}/status.sock"
        http = {{ enabled = true, listen = "127.0.0.1:{http}" }}
        mqtt = {{ enabled = true, broker = "mqtt://127.0.0.1:{broker}", id = "kiosk" }}
        commands.gesture.swipe-left.start = ["true"]
        "#
    ))?;
    params
        .check()
        .map_err(|(key, _, reason)| format!("{key}: {reason}"))?;
    Ok(params.outputs(&RulesParams::default()))
}

/// Comes to an output, does something, and goes again.
fn visit_output(chance: &mut Chance, folder: &Path, http: u16) {
    let mut taken = [0; 2000];
    let pause = Duration::from_millis(chance.below(60));
    let ask = |request: &[u8]| {
        let stream = TcpStream::connect(("127.0.0.1", http));
        stream.and_then(|mut stream| stream.write_all(request).map(|()| stream))
    };
    let _ = match chance.below(6) {
        0 => UnixStream::connect(folder.join("status.sock")).and_then(|mut s| s.read(&mut taken)),
        1 => UnixStream::connect(folder.join("events.sock")).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_millis(50)))?;
            stream.read(&mut taken)
        }),
        2 => UnixStream::connect(folder.join("events.sock")).map(|_takes_nothing| {
            thread::sleep(pause);
            0
        }),
        3 => ask(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
            .and_then(|mut s| s.read(&mut taken)),
        4 => ask(b"GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n").map(|_takes_nothing| {
            thread::sleep(pause);
            0
        }),
        _ => ask(b"\xff\x00nonsense\r\n\r\n").map(|_| 0),
    };
    thread::sleep(pause);
}

/// A broker that hears nobody out.
fn hang_up(broker: &TcpListener, done: &AtomicBool) {
    for stream in broker.incoming() {
        thread::sleep(Duration::from_millis(100));
        drop(stream);
        if done.load(SeqCst) {
            break;
        }
    }
}

fn soak(arguments: &Arguments) -> Result<Vec<Sample>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let free = || TcpListener::bind("127.0.0.1:0");
    let broker = free()?;
    let broker_port = broker.local_addr()?.port();
    let http = free()?.local_addr()?.port();
    let config = Config::default();
    let kiosk = Kiosk::new(arguments)?;
    let (today, faults) = (Arc::clone(&kiosk.day), Arc::clone(&kiosk.faults));
    let params = PoseParams {
        search: config.pose.search(),
        ..PoseParams::default()
    };
    let stations = Stations {
        source: Box::new(kiosk),
        tracker: PoseTracker::load(&arguments.models, params)?,
        grid: Grid::new(GridParams::default()),
        scorer: Classifier::load(&arguments.models.join("gestures.onnx"), None)?,
    };
    let options = Options {
        classify: Classify::Aside,
        recognizer: RecognizerParams::default(),
        summary_interval: Duration::from_secs(3600),
    };
    let outputs = outputs(folder.path(), http, broker_port)?;
    let metrics = Arc::<Metrics>::default();
    let control = Arc::<Control>::default();
    let done = AtomicBool::new(false);
    let mut samples = Vec::with_capacity(arguments.days as usize);
    let mut gestures = 0;
    thread::scope(|scope| {
        scope.spawn(|| hang_up(&broker, &done));
        scope.spawn(|| {
            let mut chance = Chance(arguments.seed);
            while !done.load(SeqCst) {
                visit_output(&mut chance, folder.path(), http);
            }
        });
        let ended = daemon::run(stations, &options, outputs, &metrics, &control, |event| {
            let day = today.load(SeqCst);
            if day as usize > samples.len() {
                let sample = Sample::now(day, gestures, faults.swap(0, SeqCst), &metrics);
                eprintln!("{sample}");
                samples.push(sample);
                gestures = 0;
            }
            if let Event::Gesture(gesture) = event {
                gestures += u64::from(gesture.phase == Phase::Start);
            }
        });
        done.store(true, SeqCst);
        // So that it isn't waited for.
        let _ = TcpStream::connect(("127.0.0.1", broker_port));
        ended
    })?;
    Ok(samples)
}

/// What has grown, from the second quarter to the last.
fn growth(samples: &[Sample]) -> Vec<String> {
    type Figure = fn(&Sample) -> f64;
    let quarter = (samples.len() / 4).max(1);
    let mean = |of: &[Sample], figure: Figure| of.iter().map(figure).sum::<f64>() / of.len() as f64;
    let figures: [(&str, Figure, f64); 3] = [
        ("resident memory, MB", |s| s.resident_mb, 2.0),
        // Who happens to be connected, and a gesture's program, make a few more or less.
        ("open files", |s| s.files as f64, 8.0),
        ("threads", |s| s.threads as f64, 3.0),
    ];
    let (early, late) = (
        &samples[quarter..2 * quarter],
        &samples[samples.len() - quarter..],
    );
    let grown = figures.into_iter().filter_map(|(name, figure, limit)| {
        let (from, to) = (mean(early, figure), mean(late, figure));
        println!("{name}: {from:.2} early, {to:.2} late");
        (to - from > limit).then(|| format!("{name}: {from:.1} became {to:.1}"))
    });
    grown.collect()
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    if arguments.days < 4 {
        return Err("at least four days, to see a growth".into());
    }
    let began = Instant::now();
    let samples = soak(&arguments)?;
    let last = match samples.last() {
        Some(last) if last.day >= arguments.days && samples.len() >= 4 => last,
        _ => return Err(format!("it ended after {} days, or was blind", samples.len()).into()),
    };
    println!(
        "{} days in {:.1} minutes: {} faults, {} gestures, {} lost, {} allocator calls of the hot threads",
        last.day,
        began.elapsed().as_secs_f64() / 60.0,
        samples.iter().map(|s| s.faults).sum::<u64>(),
        samples.iter().map(|s| s.gestures).sum::<u64>(),
        last.lost,
        last.calls,
    );
    let grown = growth(&samples);
    if let Some(path) = &arguments.svg {
        let panel = |name, figure: fn(&Sample) -> f64| Panel {
            name,
            values: samples.iter().map(figure).collect(),
        };
        let panels = [
            panel("resident memory, MB", |s| s.resident_mb),
            panel("open files", |s| s.files as f64),
            panel("threads", |s| s.threads as f64),
            panel("gestures a day", |s| s.gestures as f64),
            panel("faults a day", |s| s.faults as f64),
            panel("allocator calls, in all", |s| s.calls as f64),
        ];
        let title = format!("{} simulated days, sampled once a day", last.day);
        fs::write(
            path,
            panels::svg(&title, &panels, &format!("{} days", last.day), None),
        )?;
    }
    for what in &grown {
        eprintln!("grown: {what}");
    }
    Ok(if grown.is_empty() && last.lost == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
