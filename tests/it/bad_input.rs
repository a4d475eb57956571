//! Bad input of every kind, given to the program: one line that names the file or the key, and the
//! right exit code; never a panic.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use prost::Message;
use tempfile::TempDir;
use tract_onnx::pb::type_proto::{Tensor, Value};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto};

const DATA: i32 = 65;
const NO_INPUT: i32 = 66;
const UNAVAILABLE: i32 = 69;
const CONFIG: i32 = 78;

/// A folder with files to stumble over.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).expect("a file");
        path
    }

    /// Runs palmd with `arguments` and expects `code` and one line on standard error that
    /// contains all of `told`.
    fn refused(&self, arguments: &[&str], code: i32, told: &[&str]) {
        let done = super::palmd()
            .args(arguments)
            .current_dir(self.folder.path())
            .env("RUST_LOG", "off")
            .env_remove("PALMD_MODELS")
            .output()
            .expect("palmd runs");
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        for word in told {
            assert!(said.contains(word), "{arguments:?}: no {word:?} in {said}");
        }
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_full_disk_under_standard_error_leaves_the_exit_code() {
    let full = File::options().write(true).open("/dev/full");
    let done = super::palmd()
        .args(["pose", "--source", "none.y4m"])
        .stderr(full.expect("a device that is always full"))
        .status()
        .expect("palmd runs");
    assert_eq!(done.code(), Some(UNAVAILABLE));
}

#[test]
fn models() {
    let scene = Scene::new();
    let gestures = fs::read(repository("models/gestures.onnx")).expect("the shipped classifier");
    // Every other number turned into NaN.
    let mut nan = gestures.clone();
    let middle = nan.len() / 2..nan.len() * 3 / 4;
    nan[middle]
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .step_by(2)
        .for_each(|n| *n = [255; 4]);
    let palm = repository("models/palm_detection_lite.onnx");
    let mut wrong: Vec<(&str, Vec<u8>)> = vec![
        ("empty.onnx", Vec::new()),
        ("truncated.onnx", gestures[..gestures.len() / 2].to_vec()),
        ("noise.onnx", b"this is no model at all".repeat(50)),
        ("nan.onnx", nan),
        ("terabytes.onnx", terabytes()),
    ];
    if let Ok(palm) = fs::read(&palm) {
        wrong.push(("palm.onnx", palm));
    } else {
        eprintln!(
            "skipped in part: {} is missing (make models)",
            palm.display()
        );
    }
    let poses = scene.file("poses.ndjson", "");
    let models = repository("models");
    let classify = |model: &str| {
        let config = scene.file("palmd.toml", format!("[gesture]\nmodel = {model:?}\n"));
        let (config, models) = (text(&config).to_owned(), text(&models).to_owned());
        [
            "classify",
            "--poses",
            text(&poses),
            "--models",
            &models,
            "--config",
            &config,
        ]
        .map(str::to_owned)
    };
    for (name, content) in wrong {
        let path = scene.file(name, content);
        let arguments = classify(text(&path));
        scene.refused(&arguments.each_ref().map(String::as_str), CONFIG, &[name]);
    }
    let arguments = classify("/nowhere/mine.onnx");
    scene.refused(
        &arguments.each_ref().map(String::as_str),
        CONFIG,
        &["/nowhere/mine.onnx", "missing"],
    );

    // The hand models: a folder without them, and one with a torn one.
    scene.file("gestures.onnx", &gestures);
    let folder = text(scene.folder.path()).to_owned();
    let pose = ["pose", "--source", "synthetic:wait 1s", "--models", &folder];
    scene.refused(&pose, CONFIG, &["palm_detection_lite.onnx", "make models"]);
    scene.file("palm_detection_lite.onnx", &gestures[..1000]);
    scene.refused(&pose, CONFIG, &["palm_detection_lite.onnx", "make models"]);
}

#[test]
fn labels_that_do_not_fit_the_model() {
    let scene = Scene::new();
    let poses = scene.file("poses.ndjson", "");
    let models = repository("models");
    for (config, told) in [
        ("gesture.labels = ['a', 'b']", ["gestures.onnx", "2"]),
        ("rules.gesture.wavee.enter = 0.8", ["wavee", "wave"]),
        ("rules.movements.enter = 0.2", ["swipe-left", "0.2"]),
    ] {
        let config = scene.file("palmd.toml", config);
        let arguments = [
            "classify",
            "--poses",
            text(&poses),
            "--models",
            text(&models),
            "--config",
            text(&config),
        ];
        scene.refused(&arguments, CONFIG, &told);
    }
}

#[test]
fn recordings() {
    let scene = Scene::new();
    let jpeg = jpeg();
    let recordings: [(&str, Vec<u8>); 6] = [
        ("empty.mjpeg", Vec::new()),
        ("truncated.mjpeg", jpeg[..jpeg.len() / 2].to_vec()),
        ("noise.avi", b"RIFF\xff\xff\xff\xffAVI LIST".to_vec()),
        ("headless.y4m", b"YUV4MPEG2 W64\nFRAME\n".to_vec()),
        (
            "absurd.y4m",
            b"YUV4MPEG2 W999999 H999999 F30:1\nFRAME\n".to_vec(),
        ),
        ("letter.mjpeg", b"Dear reader, this is a letter.".to_vec()),
    ];
    for (name, content) in recordings {
        let path = scene.file(name, content);
        scene.refused(&["pose", "--source", text(&path)], DATA, &[name]);
    }
    scene.refused(
        &["pose", "--source", "gone.mjpeg"],
        UNAVAILABLE,
        &["gone.mjpeg", "no such file"],
    );
}

#[test]
fn pictures() {
    let scene = Scene::new();
    let jpeg = jpeg();
    let pictures: [(&str, Vec<u8>); 4] = [
        ("empty.jpg", Vec::new()),
        ("truncated.jpg", jpeg[..jpeg.len() / 2].to_vec()),
        ("truncated.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec()),
        ("letter.png", b"Dear reader, this is a letter.".to_vec()),
    ];
    for (name, content) in pictures {
        let path = scene.file(name, content);
        scene.refused(&["pose", "--source", text(&path)], DATA, &[name]);
    }
    let folder = scene.folder.path().join("holidays");
    fs::create_dir(&folder).expect("a folder");
    scene.refused(&["pose", "--source", text(&folder)], DATA, &["holidays"]);
}

#[test]
fn configuration() {
    let scene = Scene::new();
    for (content, told) in [
        ("[camera", "line 1"),
        ("[camera]\nwidht = 640", "camera.width"),
        ("[camera]\nwidth = \"wide\"", "line 2"),
        ("[camera]\nwidth = 0", "camera.width"),
        ("[pose]\nhands = 7", "pose.hands"),
        ("[camera]\ntimeout = \"soon\"", "timeout"),
    ] {
        let path = scene.file("my.toml", content);
        scene.refused(
            &["run", "--config", text(&path)],
            CONFIG,
            &["my.toml", told],
        );
    }
    let deep = format!("a = {}", "[".repeat(100_000));
    let long = "# nothing\n".repeat(200_000);
    for content in [deep, long] {
        let path = scene.file("my.toml", content);
        scene.refused(&["run", "--config", text(&path)], CONFIG, &["my.toml"]);
    }
    let torn = scene.file("my.toml", b"\xff\xfe\0camera");
    scene.refused(&["run", "--config", text(&torn)], CONFIG, &["my.toml"]);
    scene.refused(&["run", "--config", "gone.toml"], CONFIG, &["gone.toml"]);
}

#[test]
fn scripts() {
    let scene = Scene::new();
    for (script, told) in [
        ("", ""),
        ("wait 1s; swipe-lefd 0.5s", "swipe-left"),
        ("wait 1", "1"),
        ("wait 99999h", "99999h"),
        ("repeat 3 { wave", "column 10"),
        ("size 100000x100000; wait", "100000"),
    ] {
        scene.refused(&["demo", "--script", script], DATA, &[told]);
    }
    let path = scene.file("tour.txt", "wait 1s\nwave 2s\njump 1s\n");
    scene.refused(
        &["demo", "--script", text(&path)],
        DATA,
        &["tour.txt", "3", "jump"],
    );
}

#[test]
fn recorded_poses() {
    let scene = Scene::new();
    let models = repository("models");
    let lines = [
        ("letter.ndjson", "Dear reader"),
        ("half.ndjson", "{\"seq\":0,\"t\":0,\"size\":[640,48"),
        (
            "short.ndjson",
            "{\"seq\":0,\"t\":0,\"size\":[640,480],\"hands\":[{\"track\":1,\"hand\":\"left\",\"presence\":1,\"landmarks\":[[0,0,0]],\"world\":[]}]}",
        ),
        (
            "back.ndjson",
            "{\"seq\":1,\"t\":1,\"size\":[640,480],\"hands\":[]}\n{\"seq\":2,\"t\":0.5,\"size\":[640,480],\"hands\":[]}",
        ),
        ("windows.npz", "PK no archive"),
    ];
    for (name, content) in lines {
        let path = scene.file(name, content);
        let arguments = [
            "classify",
            "--poses",
            text(&path),
            "--models",
            text(&models),
        ];
        scene.refused(&arguments, DATA, &[name]);
    }
    let arguments = [
        "classify",
        "--poses",
        "gone.ndjson",
        "--models",
        text(&models),
    ];
    scene.refused(&arguments, NO_INPUT, &["gone.ndjson"]);
}

/// A model of a hundred bytes whose only tensor has a million millions of numbers.
fn terabytes() -> Vec<u8> {
    let node = NodeProto {
        op_type: "ConstantOfShape".into(),
        input: vec!["sizes".into()],
        output: vec!["probabilities".into()],
        ..NodeProto::default()
    };
    let sizes = TensorProto {
        name: "sizes".into(),
        dims: vec![2],
        data_type: 7,
        int64_data: vec![1_000_000; 2],
        ..TensorProto::default()
    };
    let named = |name: &str| ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(Value::TensorType(Tensor {
                elem_type: 1,
                shape: None,
            })),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    };
    let model = ModelProto {
        ir_version: 8,
        graph: Some(GraphProto {
            node: vec![node],
            initializer: vec![sizes],
            input: vec![named("x")],
            output: vec![named("probabilities")],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

/// A small picture.
fn jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture =
        image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8 * 3, y as u8 * 5, 90]));
    let mut encoder = image::codecs::jpeg::JpegEncoder::new(&mut bytes);
    encoder.encode_image(&picture).expect("a JPEG");
    bytes
}
