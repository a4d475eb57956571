//! Builds the stations from the configuration.

use std::path::Path;

use palmd::camera::Source;
use palmd::config::Config;
use palmd::daemon::Stations;
use palmd::gesture::learned::{Fingerprint, Gesture, Taught, gesture_path, learned_labels};
use palmd::gesture::{Classifier, RecognizerParams, Rules, RulesParams, Score};
use palmd::pose::{PoseParams, PoseTracker};
use palmd::window::{Grid, GridParams};

use super::failure::{CONFIG, Failure};
use super::models;

/// Everything between `source` and the events, loaded and checked.
pub fn open(config: &Config, source: Box<dyn Source>) -> Result<Stations<Taught>, Failure> {
    let folder = models::folder(&config.pose)?;
    let params = PoseParams {
        search: config.pose.search(),
        ..models::pose_params(config)
    };
    Ok(Stations {
        source,
        tracker: PoseTracker::load(&folder, params)?,
        grid: grid(config),
        scorer: classifier(config, &folder)?,
    })
}

/// Poses onto the classifier's grid.
pub fn grid(config: &Config) -> Grid {
    Grid::new(GridParams {
        max_gap: config.window.max_gap,
        mirror: config.camera.facing_user && !config.camera.mirrored,
    })
}

/// The classifier with what was learned beside it, after its labels and the rules have been held
/// against one another.
pub fn classifier(config: &Config, folder: &Path) -> Result<Taught, Failure> {
    let learned = models::learned(config);
    let taught = if learned_labels(&learned)?.is_empty() {
        let model = models::gestures(config, folder);
        Taught::new(Classifier::load(&model, own_labels(config))?, Vec::new())
    } else {
        let (classifier, fingerprint) = classifier_that_learns(config, folder)?;
        let gestures = learned_gestures(&learned, &classifier, fingerprint)?;
        Taught::new(classifier, gestures)
    };
    Rules::new(taught.labels(), &rules(config, &taught)).map_err(|e| Failure::new(CONFIG, e))?;
    Ok(taught)
}

/// The classifier alone, with its wide layer and its fingerprint.
pub fn classifier_that_learns(
    config: &Config,
    folder: &Path,
) -> Result<(Classifier, Fingerprint), Failure> {
    let model = models::gestures(config, folder);
    let classifier = Classifier::load_with_features(&model, own_labels(config))?;
    let fingerprint = Fingerprint::of(&model)
        .map_err(|e| Failure::new(CONFIG, format_args!("{}: {e}", model.display())))?;
    Ok((classifier, fingerprint))
}

/// The gestures in `folder`, which must go with the classifier.
pub fn learned_gestures(
    folder: &Path,
    classifier: &Classifier,
    fingerprint: Fingerprint,
) -> Result<Vec<Gesture>, Failure> {
    let features = classifier.features().len();
    let read = |label: String| {
        if classifier.labels().iter().any(|known| **known == *label) {
            let path = gesture_path(folder, &label);
            let message = "the model has a gesture of that name itself; delete the file";
            return Err(Failure::new(
                CONFIG,
                format_args!("{}: {message}", path.display()),
            ));
        }
        Ok(Gesture::read(folder, &label, fingerprint, features)?)
    };
    learned_labels(folder)?.into_iter().map(read).collect()
}

/// The configured labels, if any.
fn own_labels(config: &Config) -> Option<&[String]> {
    let labels = &config.gesture.labels;
    (!labels.is_empty()).then_some(labels.as_slice())
}

/// The configured rules, with learned gestures of their own kind where nothing else is said.
fn rules(config: &Config, taught: &Taught) -> RulesParams {
    let mut rules = config.rules.clone();
    for gesture in taught.gestures() {
        let keys = rules.gesture.entry(gesture.label.to_string()).or_default();
        keys.kind.get_or_insert(gesture.kind);
    }
    rules
}

/// When gestures start and end.
pub fn recognizer_params(config: &Config, taught: &Taught) -> RecognizerParams {
    RecognizerParams {
        min_poses: config.window.min_poses,
        stall_limit: config.window.stall_limit,
        rules: rules(config, taught),
    }
}
