//! Where the models lie, and the parameters that they run with.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use palmd::config::{self, Config};
use palmd::pose::{OneEuroParams, PoseParams, SearchParams};

use super::failure::{CONFIG, Failure};

/// The classifier that ships.
const GESTURES: &str = "gestures.onnx";

/// The folder of the models: as configured, or the first of the usual places that holds one.
pub fn folder(config: &config::Pose) -> Result<PathBuf, Failure> {
    if !config.models.as_os_str().is_empty() {
        return Ok(config.models.clone());
    }
    let places = usual_places();
    if let Some(place) = places.iter().find(|p| p.join(GESTURES).exists()) {
        return Ok(place.clone());
    }
    let looked: Vec<_> = places.iter().map(|p| p.display().to_string()).collect();
    Err(Failure::new(
        CONFIG,
        format_args!(
            "no models found in {}; run `make models` in palmd's source tree, \
             or name their folder with --models or pose.models",
            looked.join(", ")
        ),
    ))
}

/// `models/` here, beside or above the program (a source tree), and where packages put it.
fn usual_places() -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("models")];
    if let Ok(program) = std::env::current_exe() {
        let above = program.ancestors().skip(1).take(5);
        places.extend(above.map(|folder| folder.join("models")));
    }
    places.push("/usr/share/palmd/models".into());
    places.retain(|p| p.is_dir());
    places.dedup();
    places
}

/// The gesture classifier's file.
pub fn gestures(config: &Config, folder: &Path) -> PathBuf {
    if config.gesture.model.as_os_str().is_empty() {
        folder.join(GESTURES)
    } else {
        config.gesture.model.clone()
    }
}

/// The folder of recorded and learned gestures. A service's user has no home, hence the machine's.
pub fn learned(config: &Config) -> PathBuf {
    let configured = &config.gesture.learned;
    let machine = Path::new(config::LEARNED_PATH);
    if !configured.as_os_str().is_empty() {
        return configured.clone();
    }
    // A process's folder belongs to its user.
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if is_root || machine.exists() {
        return machine.into();
    }
    let folder = |variable, below: &str| {
        let base = std::env::var_os(variable).filter(|base| !base.is_empty());
        base.map(|base| Path::new(&base).join(below))
    };
    folder("XDG_DATA_HOME", "palmd/gestures")
        .or_else(|| folder("HOME", ".local/share/palmd/gestures"))
        .unwrap_or_else(|| machine.into())
}

/// The pose pipeline's parameters, for measurements: every frame without a hand is searched.
pub fn pose_params(config: &Config) -> PoseParams {
    let p = &config.pose;
    PoseParams {
        model: p.model,
        threads: p.threads,
        hands: p.hands,
        detection_threshold: p.detection_threshold,
        presence_threshold: p.presence_threshold,
        max_gap: config.window.max_gap,
        smoothing: p.smoothing.then(OneEuroParams::default),
        search: SearchParams {
            second_hand_interval: p.second_hand_interval,
            ..SearchParams::default()
        },
        mirrored: config.camera.mirrored,
    }
}
