//! What becomes of the daemon when one of its threads fails.

use std::sync::Arc;
use std::time::Duration;

use palmd::camera::synthetic::{Script, Synthetic};
use palmd::control::Control;
use palmd::daemon::{self, Classify, DaemonError, Options, Stations};
use palmd::gesture::{RecognizerParams, Score, ScoreError};
use palmd::health::Metrics;
use palmd::pose::{PoseParams, PoseTracker};
use palmd::window::{Grid, GridParams, Window};

/// A classifier with a fault.
struct Faulty([Arc<str>; 1]);

impl Score for Faulty {
    fn labels(&self) -> &[Arc<str>] {
        &self.0
    }

    fn score(&mut self, _: &Window) -> Result<&[f32], ScoreError> {
        panic!("a fault in the classifier");
    }
}

#[test]
fn a_classifier_that_panics_ends_the_daemon_with_an_error() {
    let Some(models) = super::hand_models_folder() else {
        return;
    };
    let script = Script::parse("wait 1h").expect("a script");
    let stations = Stations {
        source: Box::new(Synthetic::new(script)),
        tracker: PoseTracker::load(&models, PoseParams::default()).expect("the hand models"),
        grid: Grid::new(GridParams::default()),
        scorer: Faulty(["fist".into()]),
    };
    let options = Options {
        classify: Classify::Aside,
        recognizer: RecognizerParams {
            // An emulator's frames may come so seldom.
            stall_limit: Duration::from_secs(60),
            ..RecognizerParams::default()
        },
        summary_interval: Duration::from_secs(60),
    };
    let ended = daemon::run(
        stations,
        &options,
        Vec::new(),
        &Arc::new(Metrics::default()),
        &Arc::new(Control::default()),
        |_| {},
    )
    .map(drop);
    assert!(
        matches!(ended, Err(DaemonError::Panicked("classifier"))),
        "{ended:?}"
    );
}
