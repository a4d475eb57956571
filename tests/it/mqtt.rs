//! The MQTT output against a real broker, mosquitto. Without one (`apt-get install mosquitto
//! mosquitto-clients`) these tests say that they are skipped.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use palmd::clock::{Clock, SystemClock};
use palmd::control::Control;
use palmd::gesture::{Event, GestureEvent, Phase};
use palmd::health::Metrics;
use palmd::pose::Handedness;
use palmd::publish::{
    Condition, Decided, Mqtt, MqttParams, Output, OutputStatus, Published, Publisher, live,
};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Looks so often before it gives up, and waits for so long each time.
const LOOKS: usize = 3000;
const LOOK: Duration = Duration::from_millis(5);

/// A topic with a retained message: who has got it has subscribed.
const PROBE: &str = "probe";

/// A broker with a folder of its own. It is killed when this is dropped.
struct Broker {
    folder: tempfile::TempDir,
    program: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Broker {
    /// Starts one with these lines in its configuration, in which FOLDER is its folder. `prepare`
    /// makes the files there.
    fn start(lines: &str, prepare: impl FnOnce(&Path)) -> Option<Self> {
        let program = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
            .map(|folder| Path::new(folder).join("mosquitto"))
            .into_iter()
            .find(|program| program.exists());
        let clients = Command::new("mosquitto_sub").arg("--help").output();
        let (Some(program), Ok(_)) = (program, clients) else {
            eprintln!("skipped: no mosquitto (apt-get install mosquitto mosquitto-clients)");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
        let port = free.expect("a free port").port();
        prepare(folder.path());
        let lines = format!(
            // As root it would become a user who may not read the folder.
            "user root\nlistener {port} 127.0.0.1\npersistence_location FOLDER/\n{lines}\n"
        );
        let lines = lines.replace("FOLDER", folder.path().to_str().expect("text"));
        std::fs::write(folder.path().join("mosquitto.conf"), lines).expect("a file");
        let mut broker = Self {
            folder,
            program,
            port,
            child: None,
        };
        broker.begin();
        Some(broker)
    }

    fn plain() -> Option<Self> {
        Self::start("allow_anonymous true", |_| {})
    }

    fn begin(&mut self) {
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(self.file("mosquitto.conf"))
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("mosquitto runs"));
        for _ in 0..LOOKS {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(LOOK);
        }
        panic!("mosquitto doesn't listen");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("it runs").id();
        send(signal, id);
    }

    /// Ends it as a reboot does: it keeps what it knows of its clients.
    fn end(&mut self) {
        self.signal("TERM");
        let mut child = self.child.take().expect("it runs");
        child.wait().expect("it ends");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn params(&self) -> MqttParams {
        MqttParams {
            enabled: true,
            broker: format!("mqtt://127.0.0.1:{}", self.port),
            id: "board".into(),
            ..MqttParams::default()
        }
    }

    fn client(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        let port = self.port.to_string();
        command.args(["-h", "127.0.0.1", "-q", "1", "-p", &port]);
        command.args(arguments);
        command
    }

    fn publish(&self, topic: &str, payload: &str) {
        let sent = self
            .client("mosquitto_pub", &["-t", topic, "-m", payload])
            .status();
        assert!(sent.expect("mosquitto_pub runs").success());
    }

    /// Who listens keeps its place when the broker or it is away.
    #[expect(
        clippy::zombie_processes,
        reason = "`Listener` waits for it; without one, the test has failed"
    )]
    fn listen(&self, name: &str, topic: &str) -> Listener {
        let arguments = ["-v", "-c", "-i", name, "-t", topic, "-t", PROBE];
        let probe = ["-r", "-t", PROBE, "-m", "here"];
        let published = self.client("mosquitto_pub", &probe).status();
        assert!(published.expect("mosquitto_pub runs").success());
        let mut child = self
            .client("mosquitto_sub", &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto_sub runs");
        let output = child.stdout.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut kept = Vec::new();
        loop {
            let line = lines.recv_timeout(LOOK * LOOKS as u32);
            let line: String = line.expect("a line in time");
            if line.starts_with(PROBE) {
                return Listener { child, lines, kept };
            }
            kept.push(line);
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn send(signal: &str, process: u32) {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &process.to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}

/// A client that prints what it hears as `TOPIC PAYLOAD`, among other things.
struct Listener {
    child: Child,
    lines: Receiver<String>,
    /// What was there already when it came: what is retained.
    kept: Vec<String>,
}

impl Listener {
    /// The next message on `topic`.
    async fn next(&self, topic: &str) -> String {
        for _ in 0..LOOKS {
            match self.lines.try_recv() {
                Ok(line) => {
                    if let Some((_, payload)) = line.split_once(' ').filter(|l| l.0 == topic) {
                        return payload.to_owned();
                    }
                }
                Err(_) => sleep(LOOK).await,
            }
        }
        panic!("nothing on {topic}");
    }

    /// The first report that is so.
    async fn report(&self, so: impl Fn(&Value) -> bool) -> Value {
        loop {
            let text = self.next("palmd/board/status").await;
            let report = serde_json::from_str(&text).expect("JSON");
            if so(&report) {
                return report;
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the output, and beside it `work`.
fn run<T>(params: &MqttParams, work: impl AsyncFnOnce(Publisher) -> T) -> T {
    assert_eq!(params.check(), Ok(()));
    let mqtt = Box::new(Mqtt::new(params).expect("it is on"));
    let labels = ["fist", "none"].map(Arc::from);
    let (_, _, live) = live(&labels);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let (metrics, control) = (Arc::<Metrics>::default(), Arc::<Control>::default());
        work(Publisher::start(vec![mqtt], &live, &metrics, &control)).await
    })
}

fn publish(publisher: &mut Publisher, seq: u64) -> Arc<Published> {
    let now = SystemClock.now();
    publisher.publish(Decided {
        event: Event::Gesture(GestureEvent {
            phase: Phase::Start,
            gesture: "fist".into(),
            score: 0.9,
            hand: Handedness::Right,
            track: 1,
            seq,
            t: now,
            captured: None,
        }),
        at: now,
    })
}

async fn until(publisher: &Publisher, so: impl Fn(&OutputStatus) -> bool) -> OutputStatus {
    for _ in 0..LOOKS {
        let status = publisher.outputs().remove(0);
        if so(&status) {
            return status;
        }
        sleep(LOOK).await;
    }
    panic!("{:?}", publisher.outputs());
}

async fn works(publisher: &Publisher) {
    until(publisher, |s| s.condition == Condition::Works).await;
}

/// What the output says when it fails.
fn failure(params: &MqttParams) -> String {
    let check = Mqtt::new(params).expect("it is on").check();
    let says = run(params, async |publisher| {
        until(&publisher, |s| s.condition == Condition::Fails)
            .await
            .says
    });
    assert_eq!(check, Err(says.clone()));
    assert!(!says.contains('\n'), "{says}");
    says
}

#[test]
fn events_reach_the_broker_and_so_do_status_discovery_and_the_end() {
    let Some(broker) = Broker::plain() else {
        return;
    };
    let listener = broker.listen("listener", "#");
    run(&broker.params(), async |mut publisher| {
        works(&publisher).await;
        let discovery = listener
            .next("homeassistant/device/palmd_board/config")
            .await;
        let discovery: Value = serde_json::from_str(&discovery).expect("JSON");
        assert_eq!(
            discovery["components"]["gesture"]["event_types"],
            json!(["fist"])
        );
        assert_eq!(listener.next("palmd/board/pause/state").await, "OFF");
        listener.report(|report| report["state"] == "online").await;
        for seq in 0..3 {
            let event = publish(&mut publisher, seq);
            assert_eq!(listener.next("palmd/board/event").await, event.json());
        }
        let status = until(&publisher, |s| s.sent == 3).await;
        assert_eq!((status.dropped, status.reconnects), (0, 0));
        // What is published last goes before the good-bye.
        let event = publish(&mut publisher, 3);
        publisher.close().await;
        assert_eq!(listener.next("palmd/board/event").await, event.json());
        listener.report(|report| report["state"] == "offline").await;
    });
    // Only what is still true is kept for who comes later.
    let newcomer = broker.listen("newcomer", "palmd/board/#");
    let mut topics: Vec<_> = newcomer
        .kept
        .iter()
        .filter_map(|line| Some(line.split_once(' ')?.0))
        .collect();
    topics.sort_unstable();
    assert_eq!(topics, ["palmd/board/pause/state", "palmd/board/status"]);
    let answer = Mqtt::new(&broker.params()).expect("it is on").check();
    assert!(
        answer
            .expect("it works")
            .contains("connected; topics palmd/board/")
    );
}

/// Makes an authority, `ca.pem`, and from it a certificate for `localhost`.
fn certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let done = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .output();
        let done = done.expect("openssl runs");
        assert!(done.status.success(), "{done:?}");
    };
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost").expect("a file");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"
    ));
    openssl(&format!(
        "req {key} -keyout broker.key -out broker.csr -subj /CN=broker"
    ));
    openssl(
        "x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
         -extfile names -out broker.pem",
    );
}

#[test]
fn tls_and_a_password_keep_others_out() {
    let lines = "allow_anonymous false\npassword_file FOLDER/passwords\n\
                 cafile FOLDER/ca.pem\ncertfile FOLDER/broker.pem\nkeyfile FOLDER/broker.key";
    let broker = Broker::start(lines, |folder| {
        certificates(folder);
        let passwords = folder.join("passwords");
        let made = Command::new("mosquitto_passwd")
            .args(["-b", "-c"])
            .arg(passwords)
            .args(["kiosk", "se cret"])
            .output();
        assert!(made.expect("mosquitto_passwd runs").status.success());
        std::fs::write(folder.join("password"), "se cret\n").expect("a file");
        std::fs::write(folder.join("wrong"), "guess\n").expect("a file");
    });
    let Some(broker) = broker else {
        return;
    };
    let params = MqttParams {
        broker: format!("mqtts://localhost:{}", broker.port),
        user: "kiosk".into(),
        password_file: broker.file("password"),
        ca_file: broker.file("ca.pem"),
        ..broker.params()
    };
    let answer = Mqtt::new(&params).expect("it is on").check();
    let answer = answer.expect("it works");
    assert!(answer.contains("connected as kiosk"), "{answer}");
    run(&params, async |mut publisher| {
        works(&publisher).await;
        publish(&mut publisher, 0);
        until(&publisher, |s| s.sent == 1).await;
    });

    let wrong = |change: &dyn Fn(&mut MqttParams)| {
        let mut params = params.clone();
        change(&mut params);
        failure(&params)
    };
    let says = wrong(&|p| p.password_file = broker.file("wrong"));
    assert!(says.contains("refused user \"kiosk\""), "{says}");
    let says = wrong(&|p| p.password_file = broker.file("missing"));
    assert!(says.contains("missing: No such file"), "{says}");
    let says = wrong(&|p| p.ca_file = PathBuf::new());
    assert!(
        says.contains("outputs.mqtt.ca-file"),
        "an unknown authority, or none: {says}"
    );
    let says = wrong(&|p| p.ca_file = broker.file("password"));
    assert!(says.contains("password: holds no certificate"), "{says}");
    let says = wrong(&|p| p.broker = format!("mqtts://127.0.0.1:{}", broker.port));
    assert!(says.contains("is for another name"), "{says}");
    let says = wrong(&|p| p.broker = format!("mqtt://localhost:{}", broker.port));
    assert!(says.contains("write mqtts://"), "{says}");
}

#[test]
fn a_broker_that_is_not_there_is_said_in_a_line() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    let port = closed.expect("a free port").port();
    let params = MqttParams {
        enabled: true,
        broker: format!("mqtt://127.0.0.1:{port}"),
        ..MqttParams::default()
    };
    let says = failure(&params);
    assert!(says.contains("does a broker run there?"), "{says}");
}

#[test]
fn after_a_restart_the_newest_events_arrive_in_order() {
    let Some(mut broker) = Broker::start("allow_anonymous true\npersistence true", |_| {}) else {
        return;
    };
    let params = MqttParams {
        queue: 4,
        max_age: Duration::from_secs(600),
        ..broker.params()
    };
    let listener = broker.listen("listener", "palmd/board/event");
    run(&params, async |mut publisher| {
        works(&publisher).await;
        broker.end();
        until(&publisher, |s| s.condition == Condition::Fails).await;
        let mut events: Vec<_> = (0..6).map(|seq| publish(&mut publisher, seq)).collect();
        until(&publisher, |s| s.dropped == 2).await;
        broker.begin();
        events.push(publish(&mut publisher, 6));
        for event in &events[3..] {
            assert_eq!(listener.next("palmd/board/event").await, event.json());
        }
        let status = until(&publisher, |s| s.sent == 4).await;
        assert_eq!((status.dropped, status.condition), (3, Condition::Works));
        assert!(status.reconnects > 0);
    });
}

#[test]
fn what_has_become_too_old_is_not_sent() {
    let Some(mut broker) = Broker::plain() else {
        return;
    };
    let params = MqttParams {
        max_age: Duration::from_secs(1),
        ..broker.params()
    };
    run(&params, async |mut publisher| {
        works(&publisher).await;
        broker.end();
        until(&publisher, |s| s.condition == Condition::Fails).await;
        publish(&mut publisher, 0);
        sleep(params.max_age).await;
        broker.begin();
        works(&publisher).await;
        until(&publisher, |s| s.dropped == 1).await;
        publish(&mut publisher, 1);
        until(&publisher, |s| s.sent == 1).await;
    });
}

#[test]
fn a_broker_that_stands_still_gets_all_of_it_later() {
    const EVENTS: u64 = 100;
    let Some(broker) = Broker::plain() else {
        return;
    };
    let listener = broker.listen("listener", "palmd/board/event");
    run(&broker.params(), async |mut publisher| {
        works(&publisher).await;
        broker.signal("STOP");
        let events: Vec<_> = (0..EVENTS).map(|i| publish(&mut publisher, i)).collect();
        // Long enough for what fits on the way to be there.
        sleep(Duration::from_millis(100)).await;
        assert_eq!(publisher.outputs()[0].sent, 0);
        broker.signal("CONT");
        for event in events {
            assert_eq!(listener.next("palmd/board/event").await, event.json());
        }
        let status = until(&publisher, |s| s.sent == EVENTS).await;
        assert_eq!((status.dropped, status.reconnects), (0, 0));
    });
}

/// palmd itself with a drawn hand for a camera.
#[test]
fn a_pause_closes_the_camera_nonsense_does_not_and_a_death_is_told() {
    if super::hand_models_folder().is_none() {
        return;
    }
    let Some(broker) = Broker::plain() else {
        return;
    };
    let config = broker.file("palmd.toml");
    let text = format!(
        "outputs.stdout.enabled = false\n[outputs.mqtt]\nenabled = true\nid = \"board\"\n\
         broker = \"mqtt://127.0.0.1:{}\"\nstatus-interval = \"1s\"\n",
        broker.port
    );
    std::fs::write(&config, text).expect("a file");
    let listener = broker.listen("listener", "palmd/board/#");
    let mut palmd = super::palmd()
        .args(["run", "--source", "synthetic:size 320x240; fist 1h"])
        .arg("--config")
        .arg(&config)
        .stdout(Stdio::null())
        .spawn()
        .expect("palmd runs");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.expect("a runtime").block_on(async {
        let set = "palmd/board/pause/set";
        let state = "palmd/board/pause/state";
        listener.report(|r| r["camera"] == "streaming").await;
        broker.publish(set, "on");
        broker.publish(set, &"ON".repeat(1000));
        let report = listener.report(|r| r["ignored"] == 2).await;
        assert_eq!(report["paused"], false);
        broker.publish(set, "ON");
        assert_eq!(listener.next(state).await, "ON");
        listener
            .report(|r| r["camera"] == "closed" && r["paused"] == true)
            .await;
        broker.publish(set, "OFF");
        assert_eq!(listener.next(state).await, "OFF");
        listener.report(|r| r["camera"] == "streaming").await;
        send("KILL", palmd.id());
        palmd.wait().expect("it is dead");
        listener.report(|r| *r == json!({"state": "offline"})).await;
    });
}

/// A broker that answers with what no broker should say.
#[test]
fn a_broker_s_nonsense_ends_the_connection_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its port").port();
    let connected = [0x20, 2, 0, 0];
    let publish_too_long = [0x30, 0xff, 0xff, 0xff, 0x7f];
    let unasked = [0x40, 2, 0x12, 0x34];
    let wrong_way = [0x82, 2, 0, 1];
    let evil = std::thread::spawn(move || {
        for answer in [&publish_too_long[..], &unasked, &wrong_way] {
            let (mut stream, _) = listener.accept().expect("a client");
            let _ = stream.write_all(&connected);
            let _ = stream.write_all(answer);
            // It closes the connection by itself.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    let params = MqttParams {
        enabled: true,
        broker: format!("mqtt://127.0.0.1:{port}"),
        ..MqttParams::default()
    };
    run(&params, async |publisher| {
        until(&publisher, |s| s.reconnects == 2).await;
        until(&publisher, |s| s.condition == Condition::Fails).await;
        while !evil.is_finished() {
            sleep(LOOK).await;
        }
    });
}
