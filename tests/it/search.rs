//! The daemon's way of looking for hands: how seldom the whole frame is searched, and how soon a
//! hand is found all the same.

use std::time::Duration;

use palmd::camera::synthetic::{Script, Synthetic};
use palmd::camera::{Frame, Image, Next, PixelFormat, Range, Source};
use palmd::config;
use palmd::pose::{PoseParams, PoseTracker, SearchParams};

/// A second of nobody, then a hand that comes into view; with the camera's noise.
const SCENES: [&str; 4] = [
    "noise 0.02; hide 1s; wait 1s",
    "noise 0.03; light 0.7; background 3; skin 5; hide 1s; wait 1s",
    "noise 0.02; distance 1m; hide 1s; open-palm 1s",
    "background 4; skin 1; hand left; hide 1s; wave 1s",
];

/// Palm detection costs so many times what following a hand does.
const SEARCH_COST: f32 = 2.2;

/// A camera that sends JPEG delivers no more while the tracker is idle.
const IDLE_FRAMES: Duration = Duration::from_millis(75);

/// When the first hand is found from `from` on, and the share of frames searched until then.
fn found(tracker: &mut PoseTracker, scene: &str, from: Duration) -> (Duration, f32) {
    let script = Script::parse(&format!("size 320x240; {scene}")).expect("a script");
    let mut hand = Synthetic::new(script);
    tracker.forget();
    let (mut frames, mut searched) = (0, 0);
    let mut last = Duration::ZERO;
    while let Next::Frame(frame) = hand.next_frame(Duration::ZERO).expect("a frame") {
        let t = frame.t;
        frames += u32::from(t >= from);
        if t < from || tracker.is_idle() && t - last < IDLE_FRAMES {
            continue;
        }
        last = t;
        let hands = tracker.process(&frame).expect("poses").hands.len();
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
    for scene in SCENES.into_iter().step_by(super::one_in()) {
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

/// Two scenes of 320x240 side by side.
struct Pair([Synthetic; 2]);

impl Pair {
    fn new(scenes: [&str; 2]) -> Self {
        let scene = |scene| Script::parse(&format!("size 320x240; noise 0.02; {scene}"));
        Self(scenes.map(|text| Synthetic::new(scene(text).expect("a script"))))
    }

    /// Processes frame `seq`; says how many hands were found, and whether it was searched.
    fn see(&mut self, tracker: &mut PoseTracker, seq: u64) -> (usize, bool) {
        let t = self.0[0].frame_time(seq);
        let [left, right] = self.0.each_mut().map(|hand| hand.draw(seq).to_vec());
        let rows = left.chunks(320 * 3).zip(right.chunks(320 * 3));
        let pixels: Vec<u8> = rows.flat_map(|(l, r)| [l, r].concat()).collect();
        let (format, range) = (PixelFormat::Rgb3, Range::Full);
        let image = Image::from_contiguous(format, range, 640, 240, 640 * 3, &pixels);
        let frame = Frame::borrowed(image.expect("a picture"), seq, t);
        let hands = tracker.process(&frame).expect("poses").hands.len();
        (hands, tracker.times().palm.is_some())
    }
}

#[test]
fn a_second_hand_is_found_soon_although_few_frames_are_searched() {
    let Some(models) = super::hand_models_folder() else {
        return;
    };
    let searches = [
        (config::Pose::default().search(), 8),
        (SearchParams::default(), 15),
    ];
    for (search, frames) in searches.into_iter().step_by(super::one_in()) {
        let params = PoseParams {
            hands: 2,
            search,
            ..PoseParams::default()
        };
        let mut tracker = PoseTracker::load(&models, params).expect("the hand models");
        let mut scenes = Pair::new(["wave 4s", "hand left; hide 2s; open-palm 2s"]);
        let in_view = |seq: &u64| {
            let t = scenes.0[1].frame_time(*seq);
            !scenes.0[1].poses_at(t).hands.is_empty()
        };
        let second = (0..100).find(in_view).expect("a second hand");
        let (mut one, mut searches) = (0, 0);
        for seq in 0..second {
            let (hands, searched) = scenes.see(&mut tracker, seq);
            if hands == 1 && one + u32::from(!searched) > 0 {
                one += 1;
                searches += u32::from(searched);
            }
        }
        let cost = 1.0 + SEARCH_COST * searches as f32 / one as f32;
        let found = (second..second + frames).find(|&seq| scenes.see(&mut tracker, seq).0 == 2);
        eprintln!(
            "{search:?}: {searches} of {one} frames searched, cost {cost:.2}; found after {:?} frames",
            found.map(|f| f - second)
        );
        assert!(one > 45, "{one}");
        assert!(cost <= 1.15, "{cost}");
        assert!(found.is_some(), "not within {frames} frames");
    }
}
