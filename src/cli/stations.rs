//! Builds the stations from the configuration.

use std::path::Path;

use palmd::camera::Source;
use palmd::config::Config;
use palmd::daemon::Stations;
use palmd::gesture::{Classifier, RecognizerParams, Rules, Score};
use palmd::pose::{PoseParams, PoseTracker};
use palmd::window::{Grid, GridParams};

use super::failure::{CONFIG, Failure};
use super::models;

/// Everything between `source` and the events, loaded and checked.
pub fn open(config: &Config, source: Box<dyn Source>) -> Result<Stations<Classifier>, Failure> {
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

/// The classifier, after its labels and the rules have been held against one another.
pub fn classifier(config: &Config, folder: &Path) -> Result<Classifier, Failure> {
    let labels = &config.gesture.labels;
    let labels = (!labels.is_empty()).then_some(labels.as_slice());
    let classifier = Classifier::load(&models::gestures(config, folder), labels)?;
    Rules::new(classifier.labels(), &config.rules).map_err(|e| Failure::new(CONFIG, e))?;
    Ok(classifier)
}

/// When gestures start and end.
pub fn recognizer_params(config: &Config) -> RecognizerParams {
    RecognizerParams {
        min_poses: config.window.min_poses,
        stall_limit: config.window.stall_limit,
        rules: config.rules.clone(),
    }
}
