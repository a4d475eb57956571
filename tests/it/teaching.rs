//! Recording, learning and recognising gestures of one's own, through the program.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use palmd::camera::synthetic::{Script, Synthetic};
use palmd::gesture::learned::{Gesture, Taught, descriptor};
use palmd::gesture::{Classifier, Kind, Score};
use palmd::health::thread_calls;
use palmd::window::WINDOW_LEN;
use tempfile::TempDir;

const USAGE: i32 = 64;
const DATA: i32 = 65;
const NO_INPUT: i32 = 66;
const IO: i32 = 74;
const CONFIG: i32 = 78;

/// A folder in which gestures are learned.
struct School {
    folder: TempDir,
}

impl School {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!(
            "[gesture]\nlearned = {:?}\n",
            folder.path().join("gestures")
        );
        fs::write(folder.path().join("palmd.toml"), config).expect("writes");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn gestures(&self, name: &str) -> PathBuf {
        self.path("gestures").join(name)
    }

    /// Writes the exact poses of a script.
    fn poses(&self, name: &str, script: &str) -> PathBuf {
        let hand = Synthetic::new(Script::parse(script).expect("a script"));
        let mut text = String::new();
        for seq in 0..hand.frames() {
            let poses = hand.poses_at(hand.frame_time(seq));
            let line = serde_json::to_string(&poses).expect("JSON");
            writeln!(text, "{line}").expect("a text");
        }
        let path = self.path(name);
        fs::write(&path, text).expect("writes");
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = super::palmd();
        command
            .args(arguments)
            .args(["--config", "palmd.toml"])
            .args(["--models", concat!(env!("CARGO_MANIFEST_DIR"), "/models")])
            .current_dir(self.folder.path())
            .env("RUST_LOG", "off");
        command
    }

    fn palmd(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("palmd runs")
    }

    /// Runs palmd, which must succeed, and returns what it says.
    fn does(&self, arguments: &[&str]) -> String {
        let done = self.palmd(arguments);
        let said = text(&done.stdout) + &text(&done.stderr);
        assert!(done.status.success(), "{arguments:?}: {said}");
        said
    }

    /// Runs palmd, which must end with `code` and one line of error that contains all of `told`.
    fn refuses(&self, arguments: &[&str], code: i32, told: &[&str]) {
        refused(&self.palmd(arguments), code, told);
    }

    /// Records what a script of one stretch does, five times with another hand each.
    fn record(&self, label: &str, gesture: &str) -> String {
        let mut script = "size 320x240; seed 9;".to_owned();
        for (size, x) in [
            ("0.9", 0.4),
            ("1.0", 0.45),
            ("1.1", 0.5),
            ("0.95", 0.55),
            ("1.05", 0.6),
        ] {
            write!(script, "hand-size {size}; at {x} 0.5; {gesture}; hide 1s;").expect("a text");
        }
        let poses = self.poses("poses.ndjson", &script);
        self.does(&["record", "--label", label, "--poses", utf8(&poses)])
    }
}

fn refused(done: &Output, code: i32, told: &[&str]) {
    let said = text(&done.stderr);
    assert_eq!(done.status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for word in told {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The gestures that started, in order.
fn started(events: &str) -> Vec<String> {
    let events = events
        .lines()
        .map(serde_json::from_str::<serde_json::Value>);
    let events = events.map(|event| event.expect("JSON"));
    events
        .filter(|event| event["type"] == "gesture" && event["phase"] == "start")
        .map(|event| event["gesture"].as_str().expect("a label").to_owned())
        .collect()
}

#[test]
fn a_gesture_is_recorded_learned_recognised_and_forgotten() {
    let school = School::new();
    let said = school.record("horns", "rock 1.5s");
    assert!(
        said.contains("take 5: good") && said.contains("5 takes of horns"),
        "{said}"
    );
    let said = school.does(&["learn", "--check", "horns"]);
    assert!(said.contains("horns: a held shape, from 5 takes"), "{said}");
    assert!(!school.gestures("horns.gesture.json").exists());
    let said = school.does(&["learn", "horns"]);
    assert!(said.contains("learned: "), "{said}");
    let said = school.does(&["learn", "--list"]);
    assert!(
        said.contains("5 takes; learned from 5, a held shape"),
        "{said}"
    );

    let poses = school.poses(
        "poses.ndjson",
        "seed 3; rock 1.5s; wait 1s; fist 1.5s; wait 1s; rock 1.2s; hide 1s",
    );
    let events = school.does(&["classify", "--poses", utf8(&poses)]);
    assert_eq!(started(&events), ["horns", "fist", "horns"]);

    school.does(&["learn", "--remove", "horns"]);
    let events = school.does(&["classify", "--poses", utf8(&poses)]);
    assert_eq!(started(&events), ["fist"]);
    assert!(school.gestures("horns.takes.ndjson").exists());
    school.refuses(
        &["learn", "--remove", "horns"],
        NO_INPUT,
        &["never learned"],
    );
}

#[test]
fn what_lies_next_to_another_class_is_refused_unless_forced() {
    let school = School::new();
    school.record("my-fist", "fist 1.5s");
    school.refuses(
        &["learn", "my-fist"],
        DATA,
        &["my-fist was not learned", "5 of the takes for fist"],
    );
    assert!(!school.gestures("my-fist.gesture.json").exists());
    school.does(&["learn", "my-fist", "--force"]);

    school.record("horns", "rock 1.5s");
    school.does(&["learn", "horns"]);
    school.record("horns-again", "rock 1.5s");
    school.refuses(&["learn", "horns-again"], DATA, &["next to horns"]);
    school.refuses(
        &["learn", "horns-again", "--check"],
        DATA,
        &["can't be recommended"],
    );
}

#[test]
fn labels_that_can_not_be_learned_are_refused() {
    let school = School::new();
    for label in ["none", "../star", "a/b", ""] {
        school.refuses(
            &["record", "--label", label, "--poses", "gone"],
            USAGE,
            &["label"],
        );
        school.refuses(&["learn", label], USAGE, &["label"]);
    }
    school.refuses(
        &["learn", "star"],
        NO_INPUT,
        &["star.takes.ndjson", "palmd record --label star"],
    );
    school.refuses(&["learn"], NO_INPUT, &["nothing was recorded"]);
    school.record("horns", "rock 1.5s");
    school.refuses(&["learn", "horns", "horns"], USAGE, &["named twice"]);
    // What the model knows itself is recorded for training alone.
    school.record("fist", "fist 1.5s");
    school.refuses(
        &["learn", "fist"],
        USAGE,
        &["the model knows \"fist\" already"],
    );
    // One label's takes under the name of another.
    fs::copy(
        school.gestures("horns.takes.ndjson"),
        school.gestures("star.takes.ndjson"),
    )
    .expect("copies");
    school.refuses(
        &["learn", "star"],
        DATA,
        &["star.takes.ndjson", "takes of \"horns\""],
    );
}

#[test]
fn recordings_that_are_empty_short_or_contradict_themselves_are_refused() {
    let school = School::new();
    let nobody = school.poses("nobody.ndjson", "hide 3s");
    school.refuses(
        &["record", "--label", "star", "--poses", utf8(&nobody)],
        DATA,
        &["0 usable takes"],
    );
    school.refuses(
        &["learn", "star"],
        DATA,
        &["0 usable takes of \"star\" are too few"],
    );
    let once = school.poses("once.ndjson", "rock 1.5s; hide 1s");
    let record = ["record", "--label", "star", "--poses", utf8(&once)];
    school.refuses(
        &[&record[..], &["--count", "2"]].concat(),
        DATA,
        &["1 usable takes of 2"],
    );
    school.does(&record);
    school.refuses(
        &["learn", "star"],
        DATA,
        &["2 usable takes of \"star\" are too few"],
    );

    let takes = |shapes: &[&str]| {
        let stretch = |shape: &&str| format!("{shape} 1.5s; hide 1s;");
        school.poses(
            "takes.ndjson",
            &shapes.iter().map(stretch).collect::<String>(),
        )
    };
    let poses = takes(&["rock", "rock", "rock", "rock", "flat", "rock"]);
    let said = school.does(&["record", "--label", "odd", "--poses", utf8(&poses)]);
    assert!(
        said.contains("quite different from the other takes") && said.contains("5 takes of odd"),
        "{said}"
    );
    let poses = takes(&["fist", "open-palm", "victory", "thumb-up", "ok", "point-up"]);
    school.does(&[
        "record",
        "--label",
        "all",
        "--poses",
        utf8(&poses),
        "--keep",
    ]);
    school.refuses(&["learn", "all"], DATA, &["contradict one another"]);
}

#[test]
fn files_of_another_version_or_classifier_are_refused_and_cut_off_ones_go_on() {
    let school = School::new();
    school.record("horns", "rock 1.5s");
    school.does(&["learn", "horns"]);
    let takes = school.gestures("horns.takes.ndjson");
    let good = fs::read_to_string(&takes).expect("reads");

    fs::write(&takes, &good[..good.len() - 100]).expect("writes");
    let said = school.does(&["learn", "horns", "--check"]);
    assert!(said.contains("from 4 takes"), "{said}");
    school.record("horns", "rock 1.5s");
    let said = school.does(&["learn", "horns", "--check"]);
    assert!(said.contains("from 9 takes"), "{said}");

    fs::write(&takes, good.replacen("\"version\":1", "\"version\":2", 1)).expect("writes");
    school.refuses(
        &["learn", "horns"],
        DATA,
        &["horns.takes.ndjson, line 1", "version 2"],
    );

    let gesture = school.gestures("horns.gesture.json");
    let good = fs::read_to_string(&gesture).expect("reads");
    let poses = school.poses("poses.ndjson", "wait 1s");
    let classify = ["classify", "--poses", utf8(&poses)];
    let at = good.find("\"model\":\"").expect("a fingerprint") + 9;
    let other = good[..at].to_owned() + "0000000000000000" + &good[at + 16..];
    for (text, told) in [
        (&other[..], "another classifier"),
        (&good[..500], "cut off"),
        ("", "cut off"),
    ] {
        fs::write(&gesture, text).expect("writes");
        school.refuses(
            &classify,
            CONFIG,
            &["horns.gesture.json", told, "palmd learn horns"],
        );
    }
}

#[test]
fn a_disk_that_fills_loses_no_take() {
    let school = School::new();
    school.record("horns", "rock 1.5s");
    let takes = school.gestures("horns.takes.ndjson");
    let before = fs::read(&takes).expect("reads");
    let poses = school.path("poses.ndjson");
    let record = school.command(&["record", "--label", "horns", "--poses", utf8(&poses)]);
    // Room for some takes more; what goes beyond fails, as on a full disk, but with EFBIG.
    let blocks = before.len() * 3 / 2 / 512;
    let done = Command::new("sh")
        .args([
            "-c",
            &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""),
            "sh",
        ])
        .arg(record.get_program())
        .args(record.get_args())
        .current_dir(school.folder.path())
        .env("RUST_LOG", "off")
        .output()
        .expect("a shell");
    refused(
        &done,
        IO,
        &["horns.takes.ndjson", "earlier takes are kept", "--output"],
    );
    let after = fs::read(&takes).expect("reads");
    assert!(after.starts_with(&before) && after.len() > before.len() && after.ends_with(b"\n"));
    school.does(&["learn", "horns", "--check"]);
}

#[test]
fn learned_gestures_share_the_probability_and_cost_no_allocation() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/models/gestures.onnx");
    let mut classifier = Classifier::load_with_features(Path::new(model), None).expect("loads");
    assert_eq!(classifier.network().folding().kept, []);
    let points: [f32; WINDOW_LEN] = std::array::from_fn(|i| 0.3 + (i % 63) as f32 / 200.0);
    classifier.score_points(&points).expect("scores");
    let features = classifier.features().to_vec();
    let mut prototype = vec![0.0; features.len()];
    descriptor::describe(&features, &mut prototype);
    let gesture = |label: &str, prototypes| Gesture {
        label: label.into(),
        kind: Kind::Shape,
        takes: 5,
        radius: 0.3,
        features: features.len(),
        prototypes,
    };
    let far = vec![0.0; features.len()];
    let gestures = vec![gesture("far", far), gesture("star", prototype)];
    let mut taught = Taught::new(classifier, gestures);
    let labels = taught.labels().to_vec();
    assert_eq!(labels[labels.len() - 2..], ["far", "star"].map(Into::into));

    taught.score_points(&points).expect("scores");
    let before = thread_calls();
    for _ in 0..20 {
        taught.score_points(&points).expect("scores");
    }
    let calls = thread_calls() - before;
    assert_eq!(calls, Default::default());
    let scores = taught.score_points(&points).expect("scores");
    assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-3);
    assert!(scores[labels.len() - 1] > 0.99 && scores[labels.len() - 2] == 0.0);
}
