//! The HTTP output, asked over real connections, also by those who mean no good.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use palmd::camera::{Image, PixelFormat, Range};
use palmd::control::Control;
use palmd::gesture::{CameraEvent, CameraPhase, Event};
use palmd::health::Metrics;
use palmd::publish::{
    Condition, Decided, Http, HttpParams, Live, LivePoses, Output, OutputStatus, Publisher, Show,
    live,
};
use tokio::sync::mpsc as orders;

/// What a test has the publishing thread do.
enum Order {
    Publish(u64),
    Tell(mpsc::Sender<OutputStatus>),
}

/// A server on a port of its own.
struct Rig {
    orders: orders::UnboundedSender<Order>,
    thread: JoinHandle<()>,
    address: String,
    poses: Show<LivePoses>,
    live: Arc<Live>,
}

impl Rig {
    fn new(change: impl FnOnce(&mut HttpParams)) -> Self {
        let mut params = HttpParams {
            enabled: true,
            listen: "127.0.0.1:0".parse().expect("an address"),
            allowed_origins: vec!["http://kiosk.example".into()],
            ..HttpParams::default()
        };
        change(&mut params);
        let http = Http::new(&params).expect("it is on");
        let (poses, _, live) = live(&["fist".into(), "none".into()]);
        let (orders, mut inbox) = orders::unbounded_channel();
        let shown = Arc::clone(&live);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let (metrics, control) = (Arc::<Metrics>::default(), Arc::<Control>::default());
                let outputs: Vec<Box<dyn Output>> = vec![Box::new(http)];
                let mut publisher = Publisher::start(outputs, &shown, &metrics, &control);
                while let Some(order) = inbox.recv().await {
                    match order {
                        Order::Publish(events) => (0..events).for_each(|_| publish(&mut publisher)),
                        Order::Tell(to) => {
                            let _ = to.send(publisher.outputs().remove(0));
                        }
                    }
                }
                publisher.close().await;
            });
        });
        let mut rig = Self {
            orders,
            thread,
            address: String::new(),
            poses,
            live,
        };
        let says = rig.until(|s| s.condition == Condition::Works).says;
        let address = says.split("http://").nth(1).expect("where it listens");
        rig.address = address.trim_end_matches('/').into();
        rig
    }

    fn order(&self, order: Order) {
        assert!(self.orders.send(order).is_ok(), "the thread is there");
    }

    /// Waits until the output is as it should be.
    fn until(&self, so: impl Fn(&OutputStatus) -> bool) -> OutputStatus {
        let mut last = None;
        for _ in 0..5000 {
            let (to, status) = mpsc::channel();
            self.order(Order::Tell(to));
            let status = status.recv().expect("an answer");
            if so(&status) {
                return status;
            }
            last = Some(status);
            thread::sleep(Duration::from_millis(1));
        }
        panic!("{last:?}");
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).expect("a socket");
        stream
    }

    /// Begins a request (`GET /`) with lines of the head after the first.
    fn open(&self, request: &str, head: &[&str]) -> TcpStream {
        self.open_as(request, "HTTP/1.1", head)
    }

    fn open_as(&self, request: &str, version: &str, head: &[&str]) -> TcpStream {
        let mut stream = self.connect();
        let mut text = format!("{request} {version}\r\n");
        head.iter().for_each(|line| text += &format!("{line}\r\n"));
        stream
            .write_all((text + "\r\n").as_bytes())
            .expect("it reads");
        stream
    }

    /// Asks as a program on this machine would: the whole answer.
    fn get(&self, path: &str, head: &[&str]) -> String {
        self.ask(&format!("GET {path}"), head)
    }

    fn ask(&self, request: &str, head: &[&str]) -> String {
        let all = [&["Host: localhost", "Connection: close"], head].concat();
        rest(self.open(request, &all))
    }

    /// Begins to read a stream of events. With HTTP/1.0 it comes as it is, not in chunks.
    fn stream(&self, path: &str, head: &[&str]) -> TcpStream {
        let head = [&["Host: localhost"], head].concat();
        let stream = self.open_as(&format!("GET {path}"), "HTTP/1.0", &head);
        let first = until(&stream, "\n\n");
        assert!(first.contains("text/event-stream"), "{first}");
        stream
    }

    fn close(self) {
        drop(self.orders);
        self.thread.join().expect("no panic");
    }
}

fn publish(publisher: &mut Publisher) {
    publisher.publish(Decided {
        event: Event::Camera(CameraEvent {
            phase: CameraPhase::Found,
            camera: "a camera".into(),
            t: Duration::ZERO,
        }),
        at: Duration::ZERO,
    });
}

fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A server that closes before it has read everything resets the connection.
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into()
}

/// Reads until `end` has come.
fn until(mut stream: &TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with(end) && matches!(stream.read(&mut byte), Ok(1)) {
        text.push(byte[0].into());
    }
    assert!(text.ends_with(end), "{text}");
    text
}

fn code(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("nothing")
}

fn ids(text: &str) -> Vec<u64> {
    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    let number = |id: &str| id.split_once('-')?.1.parse().ok();
    ids.map(|id| number(id).expect("a number")).collect()
}

#[test]
fn pages_from_elsewhere_learn_nothing() {
    let rig = Rig::new(|_| ());
    for path in [
        "/", "/events", "/live", "/status", "/metrics", "/healthz", "/nothing",
    ] {
        let request = format!("GET {path}");
        let ask =
            |head: &[&str]| rest(rig.open(&request, &[head, &["Connection: close"]].concat()));
        let rebound = ask(&["Host: evil.example"]);
        assert_eq!(code(&rebound), "421", "{path}");
        let other = ask(&["Host: localhost", "Origin: http://evil.example"]);
        assert_eq!(code(&other), "403", "{path}");
        assert!(!other.to_lowercase().contains("access-control"), "{other}");
    }
    let allowed = rig.get("/status", &["Origin: http://kiosk.example"]);
    assert_eq!(code(&allowed), "200");
    let header = "access-control-allow-origin: http://kiosk.example\r\n";
    assert!(allowed.contains(header), "{allowed}");
    rig.close();
}

#[test]
fn the_page_comes_with_a_strict_policy() {
    let rig = Rig::new(|_| ());
    let page = rig.get("/", &[]);
    assert_eq!(code(&page), "200");
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; script-src 'sha256-",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "x-frame-options: DENY",
        "cache-control: no-store",
        "cross-origin-resource-policy: same-origin",
    ] {
        assert!(page.contains(header), "{header}");
    }
    assert!(page.ends_with("</html>\n"));
    assert_eq!(code(&rig.get("/nothing", &[])), "404");
    rig.close();
}

#[test]
fn who_comes_back_gets_what_was_missed_and_all_get_the_rest() {
    let rig = Rig::new(|_| ());
    let stream = rig.stream("/events", &[]);
    rig.order(Order::Publish(5));
    let seen: String = (0..5).map(|_| until(&stream, "\n\n")).collect();
    assert_eq!(ids(&seen), [1, 2, 3, 4, 5]);
    assert!(seen.contains("data: {\"type\":\"camera\""), "{seen}");
    let run = seen
        .split("id: ")
        .nth(1)
        .and_then(|id| id.split('-').next());
    let run = run.expect("the name of the run").to_owned();
    drop(stream);

    let back = rig.stream("/events", &[&format!("Last-Event-ID: {run}-3")]);
    let other_run = rig.stream("/events", &["Last-Event-ID: 1a2b-4"]);
    let new = rig.stream("/events", &["Last-Event-ID: nonsense"]);
    rig.until(|s| s.readers == 3);
    rig.order(Order::Publish(2));
    // What is on its way at the end still comes.
    rig.close();
    assert_eq!(ids(&rest(back)), [4, 5, 6, 7]);
    assert_eq!(ids(&rest(other_run)), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(ids(&rest(new)), [6, 7]);
}

#[test]
fn poses_are_taken_only_while_somebody_looks() {
    let mut rig = Rig::new(|_| ());
    assert_eq!(rig.live.watchers(), 0);
    let stream = rig.stream("/live", &[]);
    let status = until(&stream, "\n\n");
    assert!(status.starts_with("event: status\ndata: {"), "{status}");
    while rig.live.watchers() == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    rig.poses
        .show(|poses| (poses.seq, poses.size) = (42, (640, 480)));
    let look = loop {
        let message = until(&stream, "\n\n");
        if message.contains("\"seq\":42") {
            break message;
        }
    };
    assert!(
        look.starts_with("event: look\ndata: {\"seq\":42,\"t\":0.0,\"size\":[640,480]"),
        "{look}"
    );
    rig.order(Order::Publish(1));
    while !until(&stream, "\n\n").starts_with("event: event\nid: ") {}
    drop(stream);
    while rig.live.watchers() > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    rig.close();
}

#[test]
fn programs_get_status_metrics_and_health() {
    let rig = Rig::new(|_| ());
    let body = |answer: String| answer.split_once("\r\n\r\n").expect("a head").1.to_owned();
    let status: serde_json::Value =
        serde_json::from_str(&body(rig.get("/status", &[]))).expect("JSON");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    let metrics = rig.get("/metrics", &[]);
    assert!(metrics.contains("application/openmetrics-text; version=1.0.0"));
    for line in [
        "palmd_frames_total 0\n",
        "palmd_uptime_seconds ",
        "\n# EOF\n",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert_eq!(body(rig.get("/healthz", &[])), "starting\n");
    rig.close();
}

#[test]
fn others_than_this_machine_need_the_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    std::fs::write(&path, "0123456789abcdef\n").expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, mode).expect("my file");
    let rig = Rig::new(|params| params.token_file = path);
    let proxied = "X-Forwarded-For: 192.168.1.9";
    let refused = rig.get("/events", &[proxied]);
    assert_eq!(code(&refused), "401");
    assert!(refused.contains("www-authenticate: Bearer"), "{refused}");
    assert_eq!(
        code(&rig.get(
            "/status",
            &[proxied, "Authorization: Bearer 0123456789abcdeF"]
        )),
        "401"
    );
    assert_eq!(
        code(&rig.get(
            "/status",
            &[proxied, "Authorization: Bearer 0123456789abcdef"]
        )),
        "200"
    );
    assert_eq!(code(&rig.get("/", &[proxied])), "200");
    rig.close();
}

#[test]
fn the_cameras_picture_is_shown_when_the_page_asks() {
    let rig = Rig::new(|_| ());
    let mut viewfinder = rig.live.viewfinder().expect("nobody has it");
    let grey = [128; 32 * 24];
    let image = Image::from_contiguous(PixelFormat::Grey, Range::Full, 32, 24, 32, &grey);
    let image = image.expect("a picture");
    viewfinder.take(&image, Duration::from_secs(1));
    let picture = || rig.get("/set-up/picture", &[]);
    assert_eq!(code(&picture()), "404");
    // Not for other pages, not even for those that may read events.
    for origin in ["http://kiosk.example", "http://evil.example"] {
        let header = format!("Origin: {origin}");
        assert_eq!(
            code(&rig.ask("POST /set-up", &[&header])),
            "403",
            "{origin}"
        );
    }
    assert_eq!(code(&picture()), "404");
    let on = rig.ask("POST /set-up", &["Origin: http://localhost"]);
    assert!(on.contains("{\"time-s\":300,\"left-s\":"), "{on}");
    assert_eq!(code(&picture()), "204");
    viewfinder.take(&image, Duration::from_secs(2));
    let shown = picture();
    assert!(shown.contains("content-type: image/jpeg"), "{shown}");
    assert!(shown.contains("JFIF"), "{shown}");
    let off = rig.ask("DELETE /set-up", &[]);
    assert!(off.ends_with("\"left-s\":0}\n"), "{off}");
    assert_eq!(code(&picture()), "404");
    rig.close();
}

#[test]
fn the_cameras_picture_ends_by_itself() {
    let rig = Rig::new(|params| params.set_up_time = Duration::from_millis(1));
    assert_eq!(code(&rig.ask("POST /set-up", &[])), "200");
    for _ in 0..100 {
        if code(&rig.get("/set-up/picture", &[])) == "404" {
            return rig.close();
        }
        // No quicker than the guard allows.
        thread::sleep(Duration::from_millis(50));
    }
    panic!("it is still shown");
}

#[test]
fn hostile_clients_get_nowhere_and_others_are_still_served() {
    const PLACES: usize = 8;
    let rig = Rig::new(|params| params.max_connections = PLACES);
    // A head without end.
    let huge = format!("X-Huge: {}", "x".repeat(64 << 10));
    let mut stream = rig.connect();
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{huge}\r\n\r\n");
    let _ = stream.write_all(head.as_bytes());
    assert!(["431", "nothing"].contains(&code(&rest(stream))));
    let many = vec!["X: y"; 200];
    assert_eq!(code(&rig.get("/", &many)), "431");
    // What is no HTTP, or none of what is served.
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\r\n\0\0\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
    ] {
        let mut stream = rig.connect();
        stream.write_all(bytes).expect("it reads");
        stream.shutdown(std::net::Shutdown::Write).expect("open");
        assert!(!rest(stream).contains(" 200 "));
    }
    let mut stream = rig.connect();
    let post = b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
    stream.write_all(post).expect("it reads");
    assert_eq!(code(&until(&stream, "\r\n")), "405");
    drop(stream);
    // Many who say nothing: the first have all places, the others are sent away.
    let silent: Vec<_> = (0..200).map(|_| rig.connect()).collect();
    let status = rig.until(|s| s.cut >= (200 - PLACES) as u64);
    assert_eq!(status.cut, (200 - PLACES) as u64);
    assert_eq!(code(&rest(rig.connect())), "503");
    drop(silent);
    // Their places are free again as soon as that is noticed.
    for _ in 0..100 {
        if code(&rig.get("/healthz", &[])) == "200" {
            return rig.close();
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("there is no place");
}

#[test]
fn a_port_that_is_taken_is_said_in_a_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("its address");
    let http = |listen| {
        let params = HttpParams {
            enabled: true,
            listen,
            ..HttpParams::default()
        };
        Http::new(&params).expect("it is on").check()
    };
    let error = http(listen).expect_err("it is taken");
    assert!(error.contains("another program listens there"), "{error}");
    drop(taken);
    let elsewhere = http("192.0.2.1:8095".parse().expect("an address"));
    let error = elsewhere.expect_err("a documentation address");
    assert!(error.contains("no such address"), "{error}");
    assert!(!error.contains('\n'), "{error}");
    http(listen).expect("it is free");
}
