//! Poses on pictures of the synthetic hand, whose points are known exactly.

use std::time::Duration;

use palmd::camera::synthetic::{Script, Synthetic};
use palmd::camera::{Next, Source};
use palmd::gesture::{LABELS, MOVEMENTS};
use palmd::pose::{HandPose, ModelSize, PoseParams, PoseTracker};

/// Shapes besides the labelled ones.
const OTHERS: [&str; 4] = ["relaxed", "three", "four", "call"];

/// Median distance of a scene's points over the hand's size that is still right.
const LIMIT: f32 = 0.06;

/// The lite networks place the points of a thumb that points up or down less well.
const LITE_THUMB_LIMIT: f32 = 0.09;

/// Ten and more shapes, both hands, four skin tones: a hand in every frame, of the right side,
/// and its points where they are.
fn poses_match_the_truth(model: ModelSize) {
    let Some(models) = super::hand_models_folder() else {
        return;
    };
    let params = PoseParams {
        model,
        smoothing: None,
        ..PoseParams::default()
    };
    let mut tracker = PoseTracker::load(&models, params).expect("the hand models");
    let mut scenes = Vec::new();
    for hand in ["left", "right"] {
        for skin in [1, 3, 4, 6] {
            for shape in LABELS[..MOVEMENTS.start].iter().chain(&OTHERS) {
                let scene = format!("size 320x240; fps 10; hand {hand}; skin {skin}; {shape} 1s");
                let limit = match model {
                    ModelSize::Lite if shape.starts_with("thumb") => LITE_THUMB_LIMIT,
                    _ => LIMIT,
                };
                scenes.push((scene, limit));
            }
        }
    }
    let mut failures = Vec::new();
    for (scene, limit) in scenes.iter().step_by(super::one_in()) {
        if let Err(what) = scene_matches(&mut tracker, scene, *limit) {
            failures.push(format!("{scene}: {what}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

fn scene_matches(tracker: &mut PoseTracker, scene: &str, limit: f32) -> Result<(), String> {
    let script = Script::parse(scene).map_err(|e| e.to_string())?;
    let held = script.truth().intervals.first().map_or(0.5, |i| i.start);
    let mut hand = Synthetic::new(script.clone());
    let truth = Synthetic::new(script);
    tracker.forget();
    let mut errors = Vec::new();
    while let Next::Frame(frame) = hand.next_frame(Duration::ZERO).map_err(|e| e.to_string())? {
        if frame.t.as_secs_f64() < held || errors.len() >= 2 * 21 {
            continue;
        }
        let exact = truth.poses_at(frame.t);
        let exact = exact.hands.first().ok_or("no hand in the truth")?;
        let found = tracker.process(&frame).map_err(|e| e.to_string())?;
        let found = found.hands.first().ok_or("no hand found")?;
        if found.handedness != exact.handedness {
            return Err(format!("taken for a {:?} hand", found.handedness));
        }
        errors.extend(distances(found, exact, 320.0, 240.0));
    }
    errors.sort_by(f32::total_cmp);
    match errors.get(errors.len() / 2) {
        Some(&median) if median < limit => Ok(()),
        median => Err(format!("median error {median:?} of the hand's size")),
    }
}

/// Distances of the points over the diagonal of the true hand's bounding box.
fn distances(found: &HandPose, exact: &HandPose, width: f32, height: f32) -> Vec<f32> {
    let px = |p: [f32; 3]| (p[0] * width, p[1] * height);
    let points: Vec<_> = exact.landmarks.iter().map(|&p| px(p)).collect();
    let span = |of: fn(&(f32, f32)) -> f32| {
        let values = points.iter().map(of);
        values.clone().fold(f32::MIN, f32::max) - values.fold(f32::MAX, f32::min)
    };
    let size = span(|p| p.0).hypot(span(|p| p.1));
    let distance = |(&p, &(x, y)): (&[f32; 3], &(f32, f32))| {
        let (fx, fy) = px(p);
        (fx - x).hypot(fy - y) / size
    };
    found.landmarks.iter().zip(&points).map(distance).collect()
}

#[test]
fn full_model() {
    poses_match_the_truth(ModelSize::Full);
}

#[test]
fn lite_model() {
    poses_match_the_truth(ModelSize::Lite);
}
