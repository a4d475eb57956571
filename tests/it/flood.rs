//! Very many events, all outputs on, and readers that are slow or dead.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use palmd::control::Control;
use palmd::gesture::{Event, GestureEvent, Phase, RulesParams};
use palmd::health::{AllocatorCalls, Memory, Metrics, thread_calls};
use palmd::pose::Handedness;
use palmd::publish::{
    BACKLOG, Bell, Feed, Outbox, Output, OutputStatus, OutputsParams, Publisher, Work, live, queue,
};

/// Of the socket's four readers that don't keep up. A reader of the HTTP output and the MQTT broker are dead, too.
const DEAD: usize = 2;
const SLOW: usize = 2;

/// In the middle nothing is sent for so long: a reader that takes nothing meanwhile is cut.
const REST: Duration = Duration::from_millis(1500);

/// What was counted.
#[derive(Debug)]
struct Flood {
    /// Lines that the good reader got.
    read: u64,
    /// Events that found no place on their way to the publishing thread.
    lost: u64,
    /// The sending thread's allocator calls.
    sender: AllocatorCalls,
    /// Blocks that the publishing thread has allocated and not given back in the second half.
    kept: i64,
    /// By how much the process grew in the second half.
    grown_bytes: i64,
    outputs: Vec<OutputStatus>,
}

impl Flood {
    fn output(&self, name: &str) -> &OutputStatus {
        let mut outputs = self.outputs.iter();
        outputs.find(|o| o.name == name).expect("it is on")
    }
}

/// Says when all readers are there.
struct AllThere(Arc<AtomicBool>);

impl Output for AllThere {
    fn name(&self) -> &'static str {
        "all-there"
    }

    fn check(&self) -> Result<String, String> {
        Ok("always works".into())
    }

    fn run(self: Box<Self>, mut feed: Feed) -> Work {
        Box::pin(async move {
            let all = (1 + DEAD + SLOW + 1) as u64;
            let readers = |outputs: &[OutputStatus]| outputs.iter().map(|o| o.readers).sum::<u64>();
            let there = feed.status.wait_for(|s| readers(&s.outputs) == all);
            assert!(there.await.is_ok());
            self.0.store(true, SeqCst);
        })
    }
}

fn wait_until(so: impl Fn() -> bool) {
    while !so() {
        thread::sleep(Duration::from_micros(200));
    }
}

/// A reader's end; none once all is done.
fn connect(path: &Path, done: &AtomicBool) -> Option<UnixStream> {
    while !done.load(SeqCst) {
        if let Ok(stream) = UnixStream::connect(path) {
            return Some(stream);
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}

/// The sending thread: as the classifier's does it. It waits for the good reader now and then, so that
/// whatever is lost is somebody's fault.
fn send(
    mut outbox: Outbox,
    events: u64,
    pause: Duration,
    read: &AtomicU64,
    metrics: &Metrics,
) -> AllocatorCalls {
    Bell::ready();
    let event = Event::Gesture(GestureEvent {
        phase: Phase::Start,
        gesture: "swipe-left".into(),
        score: 0.97,
        hand: Handedness::Right,
        track: 1,
        seq: 812,
        t: Duration::from_secs(27),
        captured: None,
    });
    let before = thread_calls();
    for i in 0..events {
        if i == events / 2 {
            thread::sleep(REST);
        }
        outbox.send(event.clone());
        if pause.is_zero() {
            wait_until(|| {
                read.load(SeqCst) + BACKLOG as u64 / 2 > i && metrics.events.get() + 64 > i
            });
        } else {
            thread::sleep(pause);
        }
    }
    wait_until(|| read.load(SeqCst) + metrics.events_lost.get() >= events);
    thread_calls() - before
}

/// All outputs but standard output, which is the tests', and keys, for which there is no device.
fn all_outputs(folder: &Path, http: u16, broker: u16) -> Vec<Box<dyn Output>> {
    let folder = folder.display();
    let toml = format!(
        r#"
        stdout.enabled = false
        socket.path = "{folder}/events.sock"
        status.path = "{folder}/status.sock"
        http = {{ enabled = true, listen = "127.0.0.1:{http}" }}
        mqtt = {{ enabled = true, broker = "mqtt://127.0.0.1:{broker}", id = "board" }}
        commands.gesture.swipe-left.start = ["sleep", "0.2"]
        "#
    );
    let params: OutputsParams = toml::from_str(&toml).expect("a configuration");
    params.check().expect("values that can work");
    params.outputs(&RulesParams::default())
}

/// A reader of the HTTP output that reads nothing.
fn ask(address: (&str, u16), done: &AtomicBool) -> Option<TcpStream> {
    while !done.load(SeqCst) {
        if let Ok(mut stream) = TcpStream::connect(address) {
            let request = b"GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n";
            stream.write_all(request).expect("it reads");
            return Some(stream);
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Sends `events`, `pause` apart, to a reader that keeps up and others that don't.
fn flood(events: u64, pause: Duration) -> Flood {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.sock");
    let free = || TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = |listener: &TcpListener| listener.local_addr().expect("a port").port();
    // It takes connections, and that is all.
    let broker = free();
    let http = port(&free());
    let mut outputs = all_outputs(folder.path(), http, port(&broker));
    let control = Arc::<Control>::default();
    let metrics = Arc::<Metrics>::default();
    let (outbox, inbox) = queue(256, control.bell().clone(), Arc::clone(&metrics));
    let (there, done) = <(Arc<AtomicBool>, AtomicBool)>::default();
    let read = AtomicU64::new(0);
    let (_, _, live) = live(&[]);
    outputs.push(Box::new(AllThere(Arc::clone(&there))));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut flood = None;
    thread::scope(|scope| {
        let (done, read, path, metrics, control) = (&done, &read, &path, &metrics, &control);
        let sender = scope.spawn(move || {
            wait_until(|| there.load(SeqCst));
            let calls = send(outbox, events, pause, read, metrics);
            done.store(true, SeqCst);
            control.stop();
            calls
        });
        scope.spawn(move || {
            for line in BufReader::new(connect(path, done).expect("a place")).lines() {
                assert!(line.expect("text").contains("swipe-left"));
                read.fetch_add(1, SeqCst);
            }
        });
        scope.spawn(move || {
            let _stream = ask(("127.0.0.1", http), done);
            wait_until(|| done.load(SeqCst));
        });
        for _ in 0..DEAD {
            scope.spawn(move || {
                let _stream = connect(path, done);
                wait_until(|| done.load(SeqCst));
            });
        }
        for _ in 0..SLOW {
            scope.spawn(move || {
                // It comes again when it was cut.
                while let Some(mut stream) = connect(path, done) {
                    while !done.load(SeqCst) && stream.read(&mut [0; 100]).is_ok_and(|n| n > 0) {
                        thread::sleep(Duration::from_millis(20));
                    }
                }
            });
        }
        let mut seen = 0;
        let mut half = (AllocatorCalls::default(), Memory::default());
        let outputs = runtime.block_on(async {
            Publisher::start(outputs, &live, metrics, control)
                .run(
                    &mut [inbox],
                    || done.load(SeqCst),
                    |_| {
                        seen += 1;
                        if seen == events / 2 {
                            half = (thread_calls(), Memory::now());
                        }
                    },
                )
                .await
        });
        let calls = thread_calls() - half.0;
        let resident = Memory::now().resident_bytes as i64;
        flood = Some(Flood {
            read: 0,
            lost: metrics.events_lost.get(),
            sender: sender.join().expect("no panic"),
            kept: calls.allocations as i64 - calls.frees as i64,
            grown_bytes: resident - half.1.resident_bytes as i64,
            outputs,
        });
    });
    Flood {
        read: read.into_inner(),
        ..flood.expect("counted")
    }
}

/// Nobody is held up, and nothing grows.
fn holds(flood: &Flood, events: u64) {
    assert_eq!((flood.read, flood.lost), (events, 0), "{flood:?}");
    assert_eq!(flood.sender.total(), 0, "{flood:?}");
    // Blocks come and go with readers, and each of those takes a few.
    assert!(flood.kept < 500, "{flood:?}");
    assert!(flood.grown_bytes < 4 << 20, "{flood:?}");
}

#[test]
fn slow_and_dead_readers_cost_the_others_nothing() {
    const EVENTS: u64 = 10_000;
    let flood = flood(EVENTS, Duration::ZERO);
    holds(&flood, EVENTS);
    assert!(flood.output("socket").dropped > 0, "{flood:?}");
    for name in ["socket", "http"] {
        assert!(flood.output(name).cut > 0, "{flood:?}");
    }
    assert!(flood.output("mqtt").dropped > 0, "{flood:?}");
}

#[test]
#[ignore = "takes a minute: cargo test --test it -- --ignored --nocapture a_hundred_thousand"]
fn a_hundred_thousand_events_leave_nothing_behind() {
    const EVENTS: u64 = 100_000;
    let flood = flood(EVENTS, Duration::ZERO);
    println!("{flood:#?}");
    holds(&flood, EVENTS);
}

/// Prints the times from the decision to the write.
#[test]
#[ignore = "a measurement: cargo test --test it -- --ignored --nocapture ten_thousand_events_in_time"]
fn ten_thousand_events_in_time() {
    const EVENTS: u64 = 10_000;
    let flood = flood(EVENTS, Duration::from_millis(2));
    println!("{flood:#?}");
    assert_eq!((flood.read, flood.lost), (EVENTS, 0));
}
