//! A fleet of simulated boards on one broker: the real MQTT output of each, in one process, against a
//! mosquitto of its own, which is killed in between. Prints figures and draws docs/fleet.svg.
//!
//! `cargo run --example fleet -- --boards 500 --seconds 60 --svg docs/fleet.svg`

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use palmd::clock::{Clock, SystemClock};
use palmd::control::Control;
use palmd::gesture::{Event, GestureEvent, Phase};
use palmd::health::{Metrics, process_cpu_time};
use palmd::pose::Handedness;
use palmd::publish::{
    Condition, Decided, Mqtt, MqttParams, OutputStatus, Published, Publisher, live,
};
use rumqttc::{AsyncClient, MqttOptions, Packet, QoS};
use tokio::time::{Instant, interval, sleep, sleep_until};

mod panels;
use panels::Panel;

#[derive(Parser)]
struct Arguments {
    /// Simulated boards
    #[arg(long, default_value_t = 500)]
    boards: usize,
    /// Seconds before the broker is killed, and again after its return
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds without a broker
    #[arg(long, default_value_t = 5)]
    outage: u64,
    /// Seconds between two gestures in front of a board, on average
    #[arg(long, default_value_t = 20)]
    pause: u64,
    /// Where to draw what happened
    #[arg(long)]
    svg: Option<PathBuf>,
}

/// What a person does in front of a board: it holds a fist for two seconds.
const GESTURE: [(Phase, u64); 6] = [
    (Phase::Start, 500),
    (Phase::Hold, 500),
    (Phase::Hold, 500),
    (Phase::Hold, 500),
    (Phase::Hold, 100),
    (Phase::End, 0),
];

/// One second of the run.
#[derive(Default, Clone)]
struct Second {
    online: usize,
    arrived: usize,
    /// Milliseconds from the decision on a board to the reader behind the broker.
    median_ms: f64,
    p99_ms: f64,
    dropped: u64,
    broker_cpu_percent: f64,
    broker_mib: f64,
    boards_cpu_percent: f64,
}

struct Broker {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Broker {
    fn start() -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        // mosquitto's defaults, but for where it listens and who may come.
        let lines = format!("user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n");
        std::fs::write(folder.path().join("mosquitto.conf"), lines)?;
        let child = Self::spawn(folder.path())?;
        Ok(Self {
            folder,
            port,
            child,
        })
    }

    fn spawn(folder: &Path) -> std::io::Result<Child> {
        let usual = Path::new("/usr/sbin/mosquitto");
        let program = if usual.exists() {
            usual
        } else {
            Path::new("mosquitto")
        };
        Command::new(program)
            .arg("-c")
            .arg(folder.join("mosquitto.conf"))
            .stderr(Stdio::null())
            .spawn()
    }

    async fn listens(&self) {
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// CPU seconds and resident MiB so far; zero while it is dead.
    fn load(&self) -> (f64, f64) {
        let read = |what| std::fs::read_to_string(format!("/proc/{}/{what}", self.child.id()));
        let stat = read("stat").unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2);
        let cpu: f64 = ticks.filter_map(|t| t.parse::<f64>().ok()).sum();
        let status = read("status").unwrap_or_default();
        let resident = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok());
        (cpu / 100.0, kib.unwrap_or(0.0) / 1024.0)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Chance that is the same in each run.
struct Chance(u64);

impl Chance {
    fn share(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A pause as between people who come by chance.
    fn pause(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-self.share().max(1e-9).ln())
    }
}

type Statuses = Arc<Mutex<Vec<Option<OutputStatus>>>>;

/// A board: gestures by chance, each of several events, and a status every second.
async fn board(number: usize, broker: String, mean: Duration, statuses: Statuses) {
    let params = MqttParams {
        enabled: true,
        broker,
        id: format!("board-{number:04}"),
        ..MqttParams::default()
    };
    let mqtt = Mqtt::new(&params).expect("it is on");
    let (_, _, live) = live(&["fist".into(), "none".into()]);
    let (metrics, control) = (Arc::<Metrics>::default(), Arc::<Control>::default());
    let mut publisher = Publisher::start(vec![Box::new(mqtt)], &live, &metrics, &control);
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15 ^ ((number as u64 + 1) * 0x1234_5677));
    let mut tick = interval(Duration::from_secs(1));
    let (mut step, mut next) = (0, Instant::now() + chance.pause(mean));
    loop {
        tokio::select! {
            () = sleep_until(next) => {
                let (phase, wait) = GESTURE[step];
                publish(&mut publisher, phase);
                step = (step + 1) % GESTURE.len();
                next += match step {
                    0 => chance.pause(mean),
                    _ => Duration::from_millis(wait),
                };
            }
            _ = tick.tick() => {
                let status = publisher.outputs().pop();
                statuses.lock().expect("no panic")[number] = status;
            }
        }
    }
}

fn publish(publisher: &mut Publisher, phase: Phase) -> Arc<Published> {
    let now = SystemClock.now();
    publisher.publish(Decided {
        event: Event::Gesture(GestureEvent {
            phase,
            gesture: "fist".into(),
            score: 0.97,
            hand: Handedness::Right,
            track: 1,
            // Whoever reads it learns from this how long it was on its way.
            seq: now.as_micros() as u64,
            t: now,
            captured: None,
        }),
        at: now,
    })
}

/// The reader behind the broker: how long each event took, in milliseconds.
async fn collect(port: u16, delays: Arc<Mutex<Vec<f64>>>) {
    let options = MqttOptions::new("collector", "127.0.0.1", port);
    let (client, mut link) = AsyncClient::new(options, 10);
    loop {
        match link.poll().await {
            Ok(rumqttc::Event::Incoming(Packet::ConnAck(_))) => {
                let asked = client.try_subscribe("palmd/+/event", QoS::AtLeastOnce);
                asked.expect("room");
            }
            Ok(rumqttc::Event::Incoming(Packet::Publish(message))) => {
                let now = SystemClock.now().as_micros() as f64;
                let event: serde_json::Value =
                    serde_json::from_slice(&message.payload).expect("JSON");
                let sent = event["seq"].as_f64().expect("a time");
                delays.lock().expect("no panic").push((now - sent) / 1e3);
            }
            Ok(_) => {}
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

async fn simulate(arguments: &Arguments) -> Result<(Vec<Second>, Vec<f64>), Box<dyn Error>> {
    let mut broker = Broker::start()?;
    broker.listens().await;
    let delays = Arc::<Mutex<Vec<f64>>>::default();
    std::thread::spawn({
        let (port, delays) = (broker.port, Arc::clone(&delays));
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(collect(port, delays));
        }
    });
    let statuses: Statuses = Arc::new(Mutex::new(vec![None; arguments.boards]));
    let mut boards = tokio::task::JoinSet::new();
    for number in 0..arguments.boards {
        let address = format!("mqtt://127.0.0.1:{}", broker.port);
        let mean = Duration::from_secs(arguments.pause);
        boards.spawn(board(number, address, mean, Arc::clone(&statuses)));
    }
    let returns = arguments.seconds + arguments.outage;
    let (mut seconds, mut all_delays) = (Vec::new(), Vec::new());
    let mut before = (broker.load().0, process_cpu_time(), Instant::now());
    let mut tick = interval(Duration::from_secs(1));
    tick.tick().await;
    for now in 0..returns + arguments.seconds {
        if now == arguments.seconds {
            broker.kill();
            before.0 = 0.0;
        }
        if now == returns {
            broker.child = Broker::spawn(broker.folder.path())?;
            before.0 = 0.0;
        }
        tick.tick().await;
        let mut arrived = std::mem::take(&mut *delays.lock().expect("no panic"));
        arrived.sort_by(f64::total_cmp);
        let ((broker_cpu, broker_mib), cpu) = (broker.load(), process_cpu_time());
        let wall = before.2.elapsed().as_secs_f64();
        let statuses = statuses.lock().expect("no panic");
        let known = || statuses.iter().flatten();
        seconds.push(Second {
            online: known().filter(|s| s.condition == Condition::Works).count(),
            arrived: arrived.len(),
            median_ms: quantile(&arrived, 0.5),
            p99_ms: quantile(&arrived, 0.99),
            dropped: known().map(|s| s.dropped).sum(),
            broker_cpu_percent: (broker_cpu - before.0).max(0.0) / wall * 100.0,
            broker_mib,
            boards_cpu_percent: (cpu.saturating_sub(before.1)).as_secs_f64() / wall * 100.0,
        });
        before = (broker_cpu, cpu, Instant::now());
        if (arguments.seconds / 3..arguments.seconds).contains(&now) {
            all_delays.extend(arrived);
        }
    }
    all_delays.sort_by(f64::total_cmp);
    Ok((seconds, all_delays))
}

fn report(arguments: &Arguments, seconds: &[Second], delays: &[f64]) {
    let back = (arguments.seconds + arguments.outage) as usize;
    let steady = &seconds[arguments.seconds as usize / 3..arguments.seconds as usize];
    let mean = |of: fn(&Second) -> f64| steady.iter().map(of).sum::<f64>() / steady.len() as f64;
    let at = |online: &[Second], share: f64| {
        let enough = (arguments.boards as f64 * share).ceil() as usize;
        let at = online.iter().position(|s| s.online >= enough);
        at.map_or("never".into(), |s| format!("{} s", s + 1))
    };
    println!("boards                     {}", arguments.boards);
    println!("all online after           {}", at(seconds, 1.0));
    println!(
        "events a second            {:.0}",
        mean(|s| s.arrived as f64)
    );
    println!(
        "decision to reader         {:.1} ms median, {:.1} ms 99 in 100, {:.1} ms most",
        quantile(delays, 0.5),
        quantile(delays, 0.99),
        quantile(delays, 1.0)
    );
    println!(
        "broker                     {:.1} % of a core, {:.1} MiB",
        mean(|s| s.broker_cpu_percent),
        mean(|s| s.broker_mib)
    );
    println!(
        "all boards together        {:.1} % of a core",
        mean(|s| s.boards_cpu_percent)
    );
    println!(
        "after the restart online   half {}, 99 in 100 {}, all {}",
        at(&seconds[back..], 0.5),
        at(&seconds[back..], 0.99),
        at(&seconds[back..], 1.0)
    );
    let busiest = seconds[back..].iter().map(|s| s.broker_cpu_percent);
    println!(
        "broker's busiest second    {:.1} % of a core",
        busiest.fold(0.0, f64::max)
    );
    let oldest = seconds[back..]
        .iter()
        .map(|s| s.p99_ms)
        .filter(|x| x.is_finite());
    println!(
        "late events, 99 in 100     {:.0} ms at most",
        oldest.fold(0.0, f64::max)
    );
    println!(
        "events lost                {}",
        seconds.last().map_or(0, |s| s.dropped)
    );
}

/// Panels below one another, one for each figure over time.
fn svg(arguments: &Arguments, seconds: &[Second]) -> String {
    type Figure = fn(&Second) -> f64;
    let figures: [(&str, Figure); 5] = [
        ("boards online", |s| s.online as f64),
        ("events a second", |s| s.arrived as f64),
        ("median delay, ms", |s| s.median_ms),
        ("broker, % of a core", |s| s.broker_cpu_percent),
        ("events lost, in all", |s| s.dropped as f64),
    ];
    let panels = figures.map(|(name, figure)| Panel {
        name,
        values: seconds.iter().map(figure).collect(),
    });
    let share = |second: u64| second as f64 / seconds.len() as f64;
    let (from, to) = (arguments.seconds, arguments.seconds + arguments.outage);
    panels::svg(
        &format!(
            "{} boards, one broker; none while it is red",
            arguments.boards
        ),
        &panels,
        &format!("{} s", seconds.len()),
        Some((share(from), share(to))),
    )
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (seconds, delays) = runtime.block_on(simulate(&arguments))?;
    report(&arguments, &seconds, &delays);
    if let Some(path) = &arguments.svg {
        std::fs::write(path, svg(&arguments, &seconds))?;
    }
    // The boards are not waited for.
    runtime.shutdown_background();
    Ok(())
}
