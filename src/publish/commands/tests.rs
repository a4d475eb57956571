use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once};

use tokio::time::sleep;

use super::*;
use crate::control::Control;
use crate::health::Metrics;
use crate::pose::Handedness;
use crate::publish::{Condition, Decided, OutputStatus, Publisher, live};

/// Everything that is logged.
struct Journal(Mutex<Vec<String>>);

static JOURNAL: Journal = Journal(Mutex::new(Vec::new()));

impl log::Log for Journal {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.target().contains("commands")
    }

    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            let line = record.args().to_string();
            self.0.lock().expect("no panic").push(line);
        }
    }

    fn flush(&self) {}
}

/// The lines of the journal that contain `text`.
fn logged(text: &str) -> Vec<String> {
    let lines = JOURNAL.0.lock().expect("no panic");
    lines.iter().filter(|l| l.contains(text)).cloned().collect()
}

/// Programs in a folder of their own, under names of their own.
struct Rig {
    folder: tempfile::TempDir,
    control: Arc<Control>,
}

impl Rig {
    fn new() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            log::set_logger(&JOURNAL).expect("the only logger");
            log::set_max_level(log::LevelFilter::Info);
        });
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            control: Arc::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `program`, under another name.
    fn named(&self, name: &str, program: &str) -> PathBuf {
        let words = vec![program.to_owned()];
        let found = Program::try_from(words).expect("a name").find();
        let path = self.path(name);
        fs::copy(found.expect("in PATH"), &path).expect("a copy");
        path
    }

    /// Runs the output, with FOLDER in its parameters for that of the rig, and beside it `work`.
    fn run(&self, params: &str, work: impl AsyncFnOnce(Publisher)) {
        let folder = self.folder.path().to_str().expect("text");
        let params = toml::from_str(&params.replace("FOLDER", folder)).expect("parameters");
        let commands = Box::new(Commands::new(&params).expect("some"));
        let (_, _, live) = live(&[]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build();
        runtime.expect("a runtime").block_on(async {
            let metrics = Arc::<Metrics>::default();
            let publisher = Publisher::start(vec![commands], &live, &metrics, &self.control);
            work(publisher).await;
        });
    }
}

fn publish(publisher: &mut Publisher, gesture: &str, phase: Phase) {
    publisher.publish(Decided {
        event: Event::Gesture(GestureEvent {
            phase,
            gesture: gesture.into(),
            score: 0.875,
            hand: Handedness::Left,
            track: 7,
            seq: 812,
            t: Duration::from_millis(1500),
            captured: None,
        }),
        at: Duration::ZERO,
    });
}

async fn until(publisher: &Publisher, so: impl Fn(&OutputStatus) -> bool) {
    for _ in 0..5000 {
        if so(&publisher.outputs()[0]) {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("{:?}", publisher.outputs());
}

/// Processes of this program: those that run, and those that are dead and palmd hasn't waited for.
fn processes(program: &Path) -> usize {
    let name = program.file_name().expect("a name").to_string_lossy();
    let stats = fs::read_dir("/proc").expect("/proc").flatten();
    let stats = stats.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    let ours = std::process::id().to_string();
    let counts = |stat: String| {
        let rest = stat.split_once(&format!("({name}) "))?.1.to_owned();
        let mut fields = rest.split(' ');
        let (state, parent) = (fields.next()?, fields.next()?);
        Some(state != "Z" || parent == ours)
    };
    stats.filter_map(counts).filter(|counts| *counts).count()
}

#[test]
fn a_program_gets_the_event_as_environment_and_on_stdin() {
    let rig = Rig::new();
    let script = r#"BEGIN { n = "PALMD_"; print ENVIRON[n "GESTURE"], ENVIRON[n "PHASE"], ENVIRON[n "HAND"], ENVIRON[n "SCORE"], ENVIRON[n "TRACK"], ENVIRON[n "SEQ"], ENVIRON[n "T"], ENVIRON[n "ID"] > "FOLDER/env" }"#;
    let params =
        format!("gesture.fist = {{ start = ['awk', '{script}'], end = ['tee', 'FOLDER/line'] }}");
    rig.run(&params, async |mut publisher| {
        publish(&mut publisher, "fist", Phase::Start);
        publish(&mut publisher, "fist", Phase::Hold);
        publish(&mut publisher, "ok", Phase::Start);
        // It waits for the other one to end.
        publish(&mut publisher, "fist", Phase::End);
        until(&publisher, |s| s.sent == 2).await;
        assert_eq!(publisher.outputs()[0].dropped, 0);
        publisher.close().await;
    });
    let text = fs::read_to_string(rig.path("env")).expect("awk has written it");
    assert_eq!(text, "fist start left 0.875 7 812 1.500 1\n");
    let text = fs::read_to_string(rig.path("line")).expect("tee has written it");
    let line: serde_json::Value = serde_json::from_str(&text).expect("one line of JSON");
    assert_eq!(
        (&line["phase"], &line["gesture"]),
        (&"end".into(), &"fist".into())
    );
    // What tee says on its standard output is in the log, cut where it is too long.
    assert_eq!(
        logged(r#"tee: {"type":"gesture","phase":"end","gesture":"fist""#).len(),
        1
    );
}

#[test]
fn nothing_is_inherited_but_standard_streams() {
    let rig = Rig::new();
    let secret = fs::File::create(rig.path("secret")).expect("a file");
    // Such as a camera: open, without O_CLOEXEC.
    let secret = rustix::io::dup(secret.as_fd()).expect("another number");
    let find = "['find', '/proc/self/fd', '-lname', '*/secret', '-fprint', 'FOLDER/open']";
    rig.run(
        &format!("gesture.ok.start = {find}"),
        async |mut publisher| {
            publish(&mut publisher, "ok", Phase::Start);
            until(&publisher, |s| s.sent == 1).await;
            publisher.close().await;
        },
    );
    drop(secret);
    let open = fs::read_to_string(rig.path("open")).expect("find has written it");
    assert_eq!(open, "");
}

#[test]
fn a_program_that_hangs_is_killed_with_its_processes_and_others_go_on() {
    let rig = Rig::new();
    let hang = rig.named("hang1", "sleep");
    let hangs = "start = ['timeout', '--foreground', '9999', 'FOLDER/hang1', '9999']";
    let params =
        format!("gesture.fist = {{ {hangs}, time-limit = '2s' }}\ngesture.ok.start = ['true']");
    rig.run(&params, async |mut publisher| {
        publish(&mut publisher, "fist", Phase::Start);
        until(&publisher, |_| processes(&hang) == 1).await;
        // The output stays alive meanwhile.
        publish(&mut publisher, "ok", Phase::Start);
        until(&publisher, |s| s.sent == 2).await;
        until(&publisher, |_| processes(&hang) == 0).await;
        publisher.close().await;
    });
    assert_eq!(
        logged("timeout: killed, because it ran for longer than 2s").len(),
        1
    );
}

#[test]
fn what_still_runs_is_killed_when_palmd_is_told_to_stop() {
    let rig = Rig::new();
    let hang = rig.named("hang2", "sleep");
    let hangs = "start = ['timeout', '--foreground', '9999', 'FOLDER/hang2', '9999']";
    rig.run(
        &format!("gesture.fist = {{ {hangs} }}"),
        async |mut publisher| {
            publish(&mut publisher, "fist", Phase::Start);
            until(&publisher, |_| processes(&hang) == 1).await;
            rig.control.stop();
            publisher.close().await;
            for _ in 0..5000 {
                if processes(&hang) == 0 {
                    return;
                }
                sleep(Duration::from_millis(1)).await;
            }
            panic!("it still runs");
        },
    );
}

#[test]
fn a_flood_on_standard_output_is_cut_and_its_program_killed() {
    let rig = Rig::new();
    rig.named("flood", "yes");
    let params = "time-limit = '2s'\ngesture.ok.start = ['FOLDER/flood', 'a flood of words']";
    rig.run(params, async |mut publisher| {
        publish(&mut publisher, "ok", Phase::Start);
        until(&publisher, |s| s.sent == 1).await;
        publisher.close().await;
    });
    let lines = logged("flood: a flood of words").len();
    // Twenty a second, however slow the machine is that takes them.
    assert!((20..2000).contains(&lines), "{lines}");
    assert_eq!(logged("flood: killed").len(), 1);
    assert_eq!(logged("lines more").len(), 1);
}

#[test]
fn a_bad_ending_is_logged_and_a_missing_program_said() {
    let rig = Rig::new();
    let params = "gesture.ok.start = ['awk', 'BEGIN { exit 3 }']\n\
                  gesture.fist.start = ['FOLDER/missing']";
    rig.run(params, async |mut publisher| {
        until(&publisher, |s| s.condition == Condition::Fails).await;
        let says = publisher.outputs()[0].says.clone();
        assert!(says.contains("missing: No such file"), "{says}");
        publish(&mut publisher, "ok", Phase::Start);
        until(&publisher, |s| s.condition == Condition::Works).await;
        publish(&mut publisher, "fist", Phase::Start);
        until(&publisher, |s| {
            s.condition == Condition::Fails && s.dropped == 1
        })
        .await;
        publisher.close().await;
    });
    assert_eq!(logged("awk ended with exit status: 3").len(), 1);
    let params = toml::from_str("gesture.ok.start = ['/nowhere/lamp']").expect("parameters");
    let error = Commands::new(&params).expect("one").check().unwrap_err();
    assert!(error.contains("/nowhere/lamp: No such file"), "{error}");
}

#[test]
fn a_thousand_events_start_one_program_at_a_time() {
    let rig = Rig::new();
    let program = rig.named("quick", "true");
    let params = "gesture.wave.start = ['FOLDER/quick']";
    rig.run(params, async |mut publisher| {
        for round in 1..=10 {
            for _ in 0..100 {
                publish(&mut publisher, "wave", Phase::Start);
            }
            until(&publisher, |s| s.sent + s.dropped == round * 100).await;
            assert!(processes(&program) <= 1);
        }
        let status = publisher.outputs().remove(0);
        assert!(status.sent >= 1 && status.dropped >= 500, "{status:?}");
        publisher.close().await;
    });
    assert_eq!(processes(&program), 0);
}
