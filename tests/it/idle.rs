//! The daemon's way of looking for hands: how seldom when nobody is there, and how soon a hand is
//! found all the same.

use std::time::Duration;

use palmd::camera::synthetic::{Script, Synthetic};
use palmd::camera::{Next, Source};
use palmd::config;
use palmd::pose::{PoseParams, PoseTracker, SearchParams};

/// A second of nobody, then a hand that comes into view; with the camera's noise.
const SCENES: [&str; 4] = [
    "noise 0.02; hide 1s; wait 1s",
    "noise 0.03; light 0.7; background 3; skin 5; hide 1s; wait 1s",
    "noise 0.02; distance 1m; hide 1s; open-palm 1s",
    "background 4; skin 1; hand left; hide 1s; wave 1s",
];

/// When the first hand is found from `from` on, and the share of frames searched until then.
fn found(tracker: &mut PoseTracker, scene: &str, from: Duration) -> (Duration, f32) {
    let script = Script::parse(&format!("size 320x240; {scene}")).expect("a script");
    let mut hand = Synthetic::new(script);
    tracker.forget();
    let (mut frames, mut searched) = (0, 0);
    while let Next::Frame(frame) = hand.next_frame(Duration::ZERO).expect("a frame") {
        if frame.t < from {
            continue;
        }
        let t = frame.t;
        let hands = tracker.process(&frame).expect("poses").hands.len();
        frames += 1;
        searched += u32::from(tracker.times().palm.is_some());
        if hands > 0 {
            return (t, searched as f32 / frames as f32);
        }
    }
    panic!("no hand was found in {scene:?}");
}

#[test]
fn a_hand_is_found_soon_although_few_frames_are_searched() {
    let Some(models) = super::hand_models_folder() else {
        return;
    };
    let load = |search: SearchParams| {
        let params = PoseParams {
            search,
            ..PoseParams::default()
        };
        PoseTracker::load(&models, params).expect("the hand models")
    };
    let mut every_frame = load(SearchParams::default());
    let mut live = load(config::Pose::default().search());
    for scene in SCENES {
        let script = Script::parse(scene).expect("a script");
        let truth = Synthetic::new(script);
        let in_view = |seq: &u64| !truth.poses_at(truth.frame_time(*seq)).hands.is_empty();
        let in_view = (0..truth.frames()).find(in_view).expect("a hand");
        let before = truth.frame_time(in_view.saturating_sub(8));
        let (at_best, _) = found(&mut every_frame, scene, before);
        let (at, searched) = found(&mut live, scene, Duration::ZERO);
        let later = at.saturating_sub(at_best);
        eprintln!("{scene}: {later:?} later, {searched:.2} of the frames searched");
        assert!(later <= Duration::from_millis(150), "{scene}: {later:?}");
        assert!(searched < 0.4, "{scene}: {searched}");
    }
}
