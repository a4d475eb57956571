//! Poses on real clips and pictures, against MediaPipe's on the same files.
//!
//! Needs the media (the folder named by PALMD_MEDIA) and the hand models (`make models`, or the
//! folder named by PALMD_MODELS); is skipped without them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use palmd::camera::{Frame, Image, PixelFormat, Range};
use palmd::pose::{HandPose, Handedness, ModelSize, PoseParams, PoseTracker};
use serde::Deserialize;

#[derive(Deserialize)]
struct PeerHand {
    handedness: String,
    landmarks: Vec<[f32; 3]>,
}

#[derive(Deserialize)]
struct PeerClip {
    w: f32,
    h: f32,
    track1: Vec<Vec<PeerHand>>,
}

#[derive(Deserialize)]
struct PeerPicture {
    hands: Vec<PeerHand>,
}

/// How far palmd's poses are from the peer's.
#[derive(Debug)]
struct Agreement {
    /// Share of the frames with a peer's hand in which palmd sees one.
    recall: f32,
    /// Share of the frames without a peer's hand in which palmd sees one.
    extra: f32,
    /// Median distance of landmarks, in diagonals of the hand's bounding box.
    median: f32,
    /// 95th percentile of the same.
    p95: f32,
    /// Share of the hands with the other handedness than the peer's, which assumes a mirror image.
    mirrored: f32,
}

fn media_and_models() -> Option<(PathBuf, PathBuf)> {
    let models = std::env::var_os("PALMD_MODELS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("models"),
        PathBuf::from,
    );
    let Some(media) = std::env::var_os("PALMD_MEDIA") else {
        eprintln!("skipped: PALMD_MEDIA names no folder of clips and pictures");
        return None;
    };
    if !models.join("hand_landmark_full.onnx").exists() {
        eprintln!("skipped: no hand models in {}", models.display());
        return None;
    }
    Some((media.into(), models))
}

fn raw_poses(models: &Path, model: ModelSize) -> PoseTracker {
    let params = PoseParams {
        model,
        smoothing: None,
        ..PoseParams::default()
    };
    PoseTracker::load(models, params).unwrap()
}

/// The single JPEG pictures of a clip.
fn frames(clip: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = clip;
    std::iter::from_fn(move || {
        let end_and_start = rest.windows(4).position(|w| w == [0xff, 0xd9, 0xff, 0xd8]);
        let (frame, after) = rest.split_at(end_and_start.map_or(rest.len(), |at| at + 2));
        rest = after;
        (!frame.is_empty()).then_some(frame)
    })
}

fn find(tracker: &mut PoseTracker, picture: &[u8], i: usize) -> Option<HandPose> {
    let rgb = image::load_from_memory(picture).unwrap().to_rgb8();
    let (width, height) = (rgb.width() as usize, rgb.height() as usize);
    let image = Image::from_contiguous(
        PixelFormat::Rgb3,
        Range::Full,
        width,
        height,
        width * 3,
        rgb.as_raw(),
    );
    let t = Duration::from_millis(33) * i as u32;
    let frame = Frame::borrowed(image.unwrap(), i as u64, t);
    tracker.process(&frame).unwrap().hands.first().copied()
}

fn compare_clip(media: &Path, models: &Path, name: &str, model: ModelSize) -> Agreement {
    let clip = media.join("clips").join(name);
    let peer = fs::read_to_string(clip.with_extension("mediapipe.json")).unwrap();
    let peer: PeerClip = serde_json::from_str(&peer).unwrap();
    let clip = fs::read(clip.with_extension("mjpeg")).unwrap();
    let mut tracker = raw_poses(models, model);

    let (mut seen, mut both, mut none, mut extra, mut mirrored) = (0, 0, 0, 0, 0);
    let mut errors = Vec::new();
    let mut compared = 0;
    let wanted = peer.track1.len().div_ceil(super::one_in());
    let pictures = frames(&clip).zip(&peer.track1).take(wanted);
    for (i, (picture, peers)) in pictures.enumerate() {
        compared += 1;
        let hand = find(&mut tracker, picture, i);
        let Some(peer_hand) = peers.first() else {
            none += 1;
            extra += u32::from(hand.is_some());
            continue;
        };
        seen += 1;
        let Some(hand) = hand else { continue };
        both += 1;
        let label = match hand.handedness {
            Handedness::Left => "left",
            Handedness::Right => "right",
        };
        mirrored += u32::from(peer_hand.handedness.to_lowercase() != label);
        let peer_px = peer_hand
            .landmarks
            .iter()
            .map(|p| [p[0] * peer.w, p[1] * peer.h]);
        let (mut min, mut max) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
        for axis in [0, 1] {
            for p in peer_px.clone() {
                min[axis] = p[axis].min(min[axis]);
                max[axis] = p[axis].max(max[axis]);
            }
        }
        let diagonal = (max[0] - min[0]).hypot(max[1] - min[1]);
        for (ours, theirs) in hand.landmarks.iter().zip(peer_px) {
            let (dx, dy) = (ours[0] * peer.w - theirs[0], ours[1] * peer.h - theirs[1]);
            errors.push(dx.hypot(dy) / diagonal);
        }
    }
    assert_eq!(compared, wanted, "{name} was not read to its end");

    errors.sort_by(f32::total_cmp);
    let quantile = |q: f32| {
        let i = (q * errors.len() as f32) as usize;
        errors.get(i).or(errors.last()).copied().unwrap_or(0.0)
    };
    let share = |part: u32, whole: u32, empty: f32| match whole {
        0 => empty,
        _ => part as f32 / whole as f32,
    };
    let agreement = Agreement {
        recall: share(both, seen, 1.0),
        extra: share(extra, none, 0.0),
        median: quantile(0.5),
        p95: quantile(0.95),
        mirrored: share(mirrored, both, 1.0),
    };
    eprintln!("{name} {model:?}: {agreement:?}");
    agreement
}

#[test]
fn clips_agree_with_mediapipe() {
    let Some((media, models)) = media_and_models() else {
        return;
    };
    let clips = [
        "tfjs__asl_hand_25fps",
        "coderenko__hand",
        "prasad9__okay",
        "lujunwang__hand",
        "hainda__H-5",
    ];
    for name in clips.into_iter().step_by(super::one_in()) {
        for (model, slack) in [(ModelSize::Full, 1.0), (ModelSize::Lite, 2.0)] {
            let a = compare_clip(&media, &models, name, model);
            assert!(a.recall >= 1.0 - 0.02 * slack, "{name} {model:?} {a:?}");
            assert!(a.extra <= 0.05 * slack, "{name} {model:?} {a:?}");
            assert!(a.median <= 0.01 * slack, "{name} {model:?} {a:?}");
            assert!(a.p95 <= 0.03 * slack, "{name} {model:?} {a:?}");
            assert!(a.mirrored >= 0.95, "{name} {model:?} {a:?}");
        }
    }
}

#[test]
fn a_cat_is_no_hand() {
    let Some((media, models)) = media_and_models() else {
        return;
    };
    for model in [ModelSize::Full, ModelSize::Lite] {
        let agreement = compare_clip(&media, &models, "neg_kazu__cat", model);
        assert_eq!(agreement.extra, 0.0);
    }
}

#[test]
fn pictures_with_a_hand_are_told_from_those_without() {
    let Some((media, models)) = media_and_models() else {
        return;
    };
    let peer = fs::read_to_string(media.join("pictures.mediapipe.json")).unwrap();
    let peer: BTreeMap<String, PeerPicture> = serde_json::from_str(&peer).unwrap();
    let mut tracker = raw_poses(&models, ModelSize::Full);
    let (mut seen, mut both) = (0, 0);
    for (name, hands) in peer.into_iter().step_by(super::one_in()) {
        let picture = fs::read(media.join("pictures").join(&name)).unwrap();
        tracker.forget();
        let hand = find(&mut tracker, &picture, 0);
        assert!(
            hand.is_none() || !name.starts_with("neg_"),
            "a hand in {name}"
        );
        if !hands.hands.is_empty() {
            seen += 1;
            both += u32::from(hand.is_some());
            if hand.is_none() {
                eprintln!("{name}: no hand");
            }
        }
    }
    eprintln!("a hand in {both} of {seen} pictures");
    assert!(both as f32 >= 0.95 * seen as f32);
}
