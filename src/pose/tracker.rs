//! Following hands from frame to frame.

use std::path::Path;
use std::time::Duration;

use super::detector::PalmDetector;
use super::landmark::{HandLandmarks, LandmarkNet};
use super::region::{Region, bounds};
use super::search::Search;
use super::times::StageTimes;
use super::{FramePoses, HandPose, LANDMARKS, MAX_HANDS, OneEuro, Point3, PoseParams};
use crate::camera::{Frame, Image};
use crate::inference::{InferenceError, ModelError, Network, Team};

/// Regions that overlap more than this are of the same hand.
const SAME_HAND_OVERLAP: f32 = 0.5;

/// A hand that was lost is found again within so many sides of its region, ...
const REACH: f32 = 2.0;

/// ... which has become neither larger nor smaller by more than this.
const MOST_GROWTH: f32 = 1.6;

/// Finds the hands of each frame and follows them, as MediaPipe's hand tracking graph does.
///
/// A followed hand is looked for where its landmarks were in the frame before. Palms are looked
/// for only while there are fewer hands than allowed, and as often as [`PoseParams::search`] says.
/// One that is found near where a hand was lost within [`PoseParams::max_gap`] is that hand, if
/// that had been followed for as long.
#[derive(Debug)]
pub struct PoseTracker {
    params: PoseParams,
    detector: PalmDetector,
    landmark_net: LandmarkNet,
    tracks: heapless::Vec<Track, MAX_HANDS>,
    /// Those that were lost a moment ago, and may be found again.
    lost: heapless::Vec<Track, MAX_HANDS>,
    next_track: u32,
    search: Search,
    poses: FramePoses,
    times: StageTimes,
    non_finite: u64,
}

/// A hand that is being followed.
#[derive(Debug)]
struct Track {
    number: u32,
    /// Where the hand will be in the next frame.
    region: Region,
    /// When it was first seen, ...
    began: Duration,
    /// ... and last.
    seen: Duration,
    landmark_filter: OneEuro,
    world_filter: OneEuro,
}

/// Where a hand is looked for, and whose hand it would be.
struct Candidate {
    region: Region,
    track: Option<Track>,
}

impl PoseTracker {
    /// Loads the networks from `models`, the folder that holds `palm_detection_lite.onnx`,
    /// `hand_landmark_lite.onnx` or their `full` siblings. The number of hands in `params` is
    /// brought within 1 to [`MAX_HANDS`].
    ///
    /// # Errors
    /// [`ModelError`] when a model is missing or isn't what it should be.
    pub fn load(models: &Path, mut params: PoseParams) -> Result<Self, ModelError> {
        params.hands = params.hands.clamp(1, MAX_HANDS);
        let model = |name: &str| models.join(format!("{name}_{}.onnx", params.model.name()));
        let team = Team::new(params.threads);
        Ok(Self {
            params,
            detector: PalmDetector::load(&model("palm_detection"), &team)?,
            landmark_net: LandmarkNet::load(&model("hand_landmark"), &team)?,
            tracks: heapless::Vec::new(),
            lost: heapless::Vec::new(),
            next_track: 0,
            search: Search::new(params.search, params.hands),
            poses: FramePoses {
                seq: 0,
                t: Duration::ZERO,
                size: (0, 0),
                hands: heapless::Vec::new(),
            },
            times: StageTimes::default(),
            non_finite: 0,
        })
    }

    /// Finds the hands of the next frame. Allocates nothing beyond what the networks do.
    ///
    /// # Errors
    /// [`InferenceError`] when a network can't be run. All hands are then given up.
    pub fn process(&mut self, frame: &Frame<'_>) -> Result<&FramePoses, InferenceError> {
        let image = &frame.image();
        let size = (image.width as u32, image.height as u32);
        if self.poses.size != size {
            // Regions are in pixels of the frames before.
            self.forget();
        }
        self.poses.seq = frame.seq;
        self.poses.t = frame.t;
        self.poses.size = size;
        self.poses.hands.clear();
        self.times = StageTimes::default();

        let mut candidates = self.followed();
        let regions: heapless::Vec<Region, MAX_HANDS> =
            candidates.iter().map(|c| c.region).collect();
        if self.search.is_due(image, frame.t, &regions) {
            self.find_more(image, &mut candidates)?;
        }
        for Candidate { region, track } in candidates {
            let Some(hand) = self.look(image, &region)? else {
                if let Some(track) = track {
                    self.lose(track);
                }
                continue;
            };
            let next = Region::from_landmarks(&hand.points_px.map(|[x, y, _]| [x, y]));
            // One hand may be seen from two regions: the track that is older keeps it.
            if next.is_valid() && !self.tracks.iter().any(|t| is_same_hand(&t.region, &next)) {
                let mut track = track
                    .or_else(|| self.find_again(&next))
                    .unwrap_or_else(|| self.begin_track(next));
                track.region = next;
                track.seen = frame.t;
                let pose = self.pose(&mut track, &hand);
                // There are no more candidates than hands.
                let _ = self.poses.hands.push(pose);
                let _ = self.tracks.push(track);
            }
        }
        Ok(&self.poses)
    }

    /// Gives all hands up, so that the next frame is searched as a whole: for pictures that have
    /// nothing to do with each other.
    pub fn forget(&mut self) {
        self.tracks.clear();
        self.lost.clear();
        self.search.forget();
    }

    /// The poses of the last frame.
    #[must_use]
    pub fn poses(&self) -> &FramePoses {
        &self.poses
    }

    /// The networks: palm detection, landmarks.
    #[must_use]
    pub fn networks(&self) -> [&Network; 2] {
        [self.detector.network(), self.landmark_net.network()]
    }

    /// Where the time of the last frame went.
    #[must_use]
    pub fn times(&self) -> StageTimes {
        self.times
    }

    /// Palms and hands that were dropped because a network gave NaN or infinity.
    #[must_use]
    pub fn non_finite(&self) -> u64 {
        self.non_finite + self.detector.non_finite()
    }

    /// Frames without a hand that weren't searched for one: see [`PoseParams::search`].
    #[must_use]
    pub fn searches_skipped(&self) -> u64 {
        self.search.skipped()
    }

    /// Whether there was no hand in the last frame and nothing moved; never without a motion gate.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.tracks.is_empty() && self.search.is_idle()
    }

    /// The tracks so far, as candidates for this frame.
    fn followed(&mut self) -> heapless::Vec<Candidate, MAX_HANDS> {
        let tracks = std::mem::take(&mut self.tracks);
        let candidate = |track: Track| Candidate {
            region: track.region,
            track: Some(track),
        };
        tracks.into_iter().map(candidate).collect()
    }

    /// Adds the hands that aren't followed yet, as far as there is room.
    fn find_more(
        &mut self,
        image: &Image<'_>,
        candidates: &mut heapless::Vec<Candidate, MAX_HANDS>,
    ) -> Result<(), InferenceError> {
        let threshold = self.params.detection_threshold;
        let found = self
            .detector
            .detect(image, threshold, &mut self.times)?
            .take(self.params.hands)
            .filter(Region::is_valid);
        for region in found {
            let known = candidates.iter().any(|c| is_same_hand(&c.region, &region));
            if !known && candidates.len() < self.params.hands {
                let track = None;
                // There is room: no more hands than MAX_HANDS.
                let _ = candidates.push(Candidate { region, track });
            }
        }
        Ok(())
    }

    /// The hand in a region, if there is one.
    fn look(
        &mut self,
        image: &Image<'_>,
        region: &Region,
    ) -> Result<Option<HandLandmarks>, InferenceError> {
        let hand = self.landmark_net.run(image, region, &mut self.times)?;
        if hand.is_none() {
            self.non_finite += 1;
        }
        Ok(hand.filter(|hand| hand.presence > self.params.presence_threshold))
    }

    /// Keeps a track that may be found again. One that had only just begun isn't kept: a hand that
    /// comes into view is often found in the wrong place first.
    fn lose(&mut self, track: Track) {
        if track.seen - track.began < self.params.max_gap {
            return;
        }
        if self.lost.is_full() {
            self.lost.remove(0);
        }
        // There is room now.
        let _ = self.lost.push(track);
    }

    /// The track of a hand that was lost near `region` a moment ago: a quick stroke leaves the place
    /// where it is looked for, and blurs.
    fn find_again(&mut self, region: &Region) -> Option<Track> {
        let (now, max_gap) = (self.poses.t, self.params.max_gap);
        self.lost
            .retain(|track| now.saturating_sub(track.seen) <= max_gap);
        let distance = |track: &Track| {
            let [x, y] = track.region.center_px;
            (region.center_px[0] - x).hypot(region.center_px[1] - y)
        };
        let may_be = |track: &Track| {
            let before = track.region.side_px;
            let growth = region.side_px / before;
            distance(track) < REACH * before && (1.0 / MOST_GROWTH..MOST_GROWTH).contains(&growth)
        };
        let near = (0..self.lost.len()).filter(|&i| may_be(&self.lost[i]));
        let nearest =
            near.min_by(|&a, &b| distance(&self.lost[a]).total_cmp(&distance(&self.lost[b])))?;
        Some(self.lost.remove(nearest))
    }

    fn begin_track(&mut self, region: Region) -> Track {
        self.next_track += 1;
        Track {
            number: self.next_track,
            region,
            began: self.poses.t,
            seen: self.poses.t,
            landmark_filter: OneEuro::default(),
            world_filter: OneEuro::default(),
        }
    }

    fn pose(&self, track: &mut Track, hand: &HandLandmarks) -> HandPose {
        let mut points_px = hand.points_px;
        let mut world = hand.world;
        if let Some(params) = &self.params.smoothing {
            let t = self.poses.t;
            let size_px = hand_size(&points_px);
            track
                .landmark_filter
                .smooth(params, t, size_px, &mut points_px);
            let size = hand_size(&world);
            track.world_filter.smooth(params, t, size, &mut world);
        }
        let (width, height) = self.poses.size;
        let (width, height) = (width as f32, height as f32);
        HandPose {
            track: track.number,
            handedness: if self.params.mirrored {
                hand.handedness_mirrored
            } else {
                hand.handedness_mirrored.other()
            },
            presence: hand.presence,
            landmarks: points_px.map(|[x, y, z]| [x / width, y / height, z / width]),
            world,
        }
    }
}

fn is_same_hand(a: &Region, b: &Region) -> bool {
    a.overlap(b) > SAME_HAND_OVERLAP
}

/// The mean of the width and the height of a hand, in its points' unit.
fn hand_size(points: &[Point3; LANDMARKS]) -> f32 {
    let (min, max) = bounds(&points.map(|[x, y, _]| [x, y]));
    (max[0] - min[0] + max[1] - min[1]) / 2.0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use prost::Message;
    use tempfile::TempDir;

    use super::*;
    use crate::camera::{PixelFormat, Range};
    use crate::inference::test_model::{floats, integers, model, node};
    use crate::pose::anchors::ANCHORS;
    use crate::pose::{Handedness, SearchParams};

    /// Anchors of the two palms that the networks below always see: left and right of the middle.
    const PALMS: [usize; 2] = [(12 * 24 + 6) * 2, (12 * 24 + 18) * 2];

    const SIZE: (usize, usize) = (640, 480);
    const FRAME: Duration = Duration::from_millis(33);
    const NONE: [u32; 0] = [];

    /// Networks that are simple to foresee: palms are always at the same two places, and the
    /// presence of a hand is `presence` of the brightness of the region. The hand is upright and
    /// keeps its region in place; with a `spread` above 1 its region is that much larger.
    fn networks(presence: &str, spread: f32) -> TempDir {
        let mut boxes = vec![0.0; ANCHORS * 18];
        let mut scores = vec![-50.0; ANCHORS];
        for (i, palm) in PALMS.into_iter().enumerate() {
            let numbers = &mut boxes[palm * 18..][..18];
            numbers[2..4].fill(19.2);
            numbers[5] = 9.6;
            numbers[9] = -9.6;
            scores[palm] = 3.0 - i as f32;
        }
        let anchors = ANCHORS as i64;
        let palm = model(
            &[1, 3, 192, 192],
            vec![
                node("Identity", &["b"], "boxes"),
                node("Identity", &["s"], "scores"),
            ],
            vec![
                floats("b", &[1, anchors, 18], &boxes),
                floats("s", &[1, anchors, 1], &scores),
            ],
            &["boxes", "scores"],
        );

        let mut points = [[112.0, 123.2, 0.0]; LANDMARKS];
        points[0] = [112.0, 123.2 + 56.0 * spread, 0.0];
        points[10] = [112.0 - 56.0 * spread, 123.2, 0.0];
        points[14] = [112.0 + 56.0 * spread, 123.2, 0.0];
        for knuckle in [5, 9, 13] {
            points[knuckle] = [112.0, 123.2 - 56.0 * spread, 0.0];
        }
        let landmark = model(
            &[1, 3, 224, 224],
            vec![
                node("GlobalAveragePool", &["x"], "channels"),
                node("ReduceMean", &["channels"], "mean"),
                node("Reshape", &["mean", "one"], "brightness"),
                node(presence, &["brightness"], "presence"),
                node("Identity", &["l"], "landmarks"),
                node("Identity", &["h"], "handedness"),
                node("Identity", &["l"], "world"),
            ],
            vec![
                integers("one", &[1, 1]),
                floats("l", &[1, 63], points.as_flattened()),
                floats("h", &[1, 1], &[0.9]),
            ],
            &["landmarks", "presence", "handedness", "world"],
        );

        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, model: &tract_onnx::pb::ModelProto| {
            fs::write(folder.path().join(name), model.encode_to_vec()).unwrap();
        };
        write("palm_detection_lite.onnx", &palm);
        write("hand_landmark_lite.onnx", &landmark);
        folder
    }

    struct Scene {
        tracker: PoseTracker,
        frames: u32,
    }

    impl Scene {
        fn new(networks: &TempDir, params: PoseParams) -> Self {
            Self {
                tracker: PoseTracker::load(networks.path(), params).unwrap(),
                frames: 0,
            }
        }

        /// The tracks after a frame with hands (brightness) in its left and its right half.
        fn see(&mut self, left: bool, right: bool) -> Vec<u32> {
            let half = |hand| if hand { 255 } else { 0 };
            let row = [[half(left); SIZE.0 / 2], [half(right); SIZE.0 / 2]];
            self.see_pixels(SIZE, &row.as_flattened().repeat(SIZE.1))
        }

        fn see_pixels(&mut self, (width, height): (usize, usize), grey: &[u8]) -> Vec<u32> {
            let (format, range) = (PixelFormat::Grey, Range::Full);
            let image = Image::from_contiguous(format, range, width, height, width, grey);
            let frame = Frame::borrowed(image.unwrap(), 0, FRAME * self.frames);
            self.frames += 1;
            let poses = self.tracker.process(&frame).unwrap();
            assert_eq!(poses.size, (width as u32, height as u32));
            poses.hands.iter().map(|hand| hand.track).collect()
        }

        fn searched(&self) -> bool {
            self.tracker.times().palm.is_some()
        }
    }

    fn two_hands() -> PoseParams {
        PoseParams {
            hands: 2,
            search: SearchParams {
                second_hand_interval: FRAME * 4,
                ..SearchParams::default()
            },
            ..PoseParams::default()
        }
    }

    #[test]
    fn one_hand_is_followed_without_a_search_until_it_is_lost() {
        let networks = networks("Identity", 1.0);
        let mut scene = Scene::new(&networks, PoseParams::default());
        assert_eq!(scene.see(false, false), NONE);
        assert!(scene.searched());
        for i in 0..20 {
            assert_eq!(scene.see(true, true), [1]);
            assert_eq!(scene.searched(), i == 0);
        }
        let hand = &scene.tracker.poses().hands[0];
        assert_eq!(hand.handedness, Handedness::Right);
        // The palm's centre is at 0.27, and the hand stayed there.
        let knuckle = hand.landmarks[9];
        assert!((knuckle[0] - 0.27).abs() < 0.01, "{knuckle:?}");
        assert!(hand.presence > 0.99);

        assert_eq!(scene.see(false, true), NONE);
        assert!(!scene.searched());
        // The better palm is the left one, and there is no hand: the other isn't looked at.
        assert_eq!(scene.see(false, true), NONE);
        assert!(scene.searched());
        // It comes back soon, or too late to be the same.
        assert_eq!(scene.see(true, true), [1]);
        for _ in 0..6 {
            assert_eq!(scene.see(false, true), NONE);
        }
        assert_eq!(scene.see(true, true), [1]);
        for _ in 0..7 {
            assert_eq!(scene.see(false, true), NONE);
        }
        assert_eq!(scene.see(true, true), [2]);
        scene.tracker.forget();
        assert_eq!(scene.see(true, true), [3]);
        assert!(scene.searched());
    }

    #[test]
    fn a_hand_is_found_again_only_near_by_and_of_its_size() {
        let networks = networks("Identity", 1.0);
        let mut tracker = PoseTracker::load(networks.path(), PoseParams::default()).unwrap();
        let at = |x: f32, side_px: f32| Region {
            center_px: [x, 100.0],
            side_px,
            rotation: 0.0,
        };
        let followed = |tracker: &mut PoseTracker, x: f32, for_so_long: Duration| {
            let mut track = tracker.begin_track(at(x, 80.0));
            track.seen += for_so_long;
            tracker.poses.t = track.seen;
            tracker.lose(track);
        };
        let max_gap = tracker.params.max_gap;
        followed(&mut tracker, 100.0, max_gap / 2);
        assert!(tracker.find_again(&at(100.0, 80.0)).is_none());
        followed(&mut tracker, 100.0, max_gap);
        for other in [at(270.0, 80.0), at(100.0, 140.0), at(100.0, 45.0)] {
            assert!(tracker.find_again(&other).is_none(), "{other:?}");
        }
        // Of two the nearer one.
        tracker.poses.t = Duration::ZERO;
        followed(&mut tracker, 180.0, max_gap);
        let numbers = [170.0, 170.0, 170.0].map(|x| {
            let found = tracker.find_again(&at(x, 90.0));
            found.map(|track| track.number)
        });
        assert_eq!(numbers, [Some(3), Some(2), None]);
    }

    #[test]
    fn a_second_hand_is_found_within_the_search_interval() {
        let networks = networks("Identity", 1.0);
        let mut scene = Scene::new(&networks, two_hands());
        assert_eq!(scene.see(false, true), [1]);
        let mut searches = 0;
        for _ in 0..8 {
            assert_eq!(scene.see(false, true), [1]);
            searches += u32::from(scene.searched());
        }
        assert_eq!(searches, 2);
        let found = (0..4).map(|_| scene.see(true, true)).last();
        assert_eq!(found.unwrap(), [1, 2]);
        // With both hands in view nothing is searched.
        for _ in 0..8 {
            assert_eq!(scene.see(true, true), [1, 2]);
            assert!(!scene.searched());
        }
        for _ in 0..8 {
            assert_eq!(scene.see(true, false), [2]);
        }
        let found = (0..4).map(|_| scene.see(true, true)).last();
        assert_eq!(found.unwrap(), [2, 3]);
    }

    #[test]
    fn a_hand_seen_from_two_regions_is_one_hand() {
        // Both hands' next regions are 8 times as large and so nearly the same.
        let networks = networks("Identity", 8.0);
        let mut scene = Scene::new(&networks, two_hands());
        assert_eq!(scene.see(true, true), [1]);
    }

    #[test]
    fn a_mirrored_picture_shows_the_hand_itself() {
        let networks = networks("Identity", 1.0);
        let params = PoseParams {
            mirrored: true,
            ..PoseParams::default()
        };
        let mut scene = Scene::new(&networks, params);
        scene.see(true, true);
        let hand = &scene.tracker.poses().hands[0];
        assert_eq!(hand.handedness, Handedness::Left);
    }

    #[test]
    fn what_is_not_finite_is_no_hand_and_is_counted() {
        // The inverse hyperbolic cosine of less than 1 is NaN.
        let networks = networks("Acosh", 1.0);
        let mut scene = Scene::new(&networks, PoseParams::default());
        for i in 1..4 {
            assert_eq!(scene.see(false, false), NONE);
            assert_eq!(scene.tracker.non_finite(), i);
        }
    }

    #[test]
    fn any_frame_size_will_do_and_a_new_one_begins_anew() {
        let networks = networks("Identity", 1.0);
        let mut scene = Scene::new(&networks, two_hands());
        assert_eq!(scene.see(true, true), [1, 2]);
        assert_eq!(scene.see_pixels((320, 240), &[255; 320 * 240]), [3, 4]);
        assert!(scene.searched());
        for size in [(1, 1), (8192, 3), (3, 8192)] {
            scene.see_pixels(size, &vec![255; size.0 * size.1]);
            scene.see_pixels(size, &vec![255; size.0 * size.1]);
        }
    }

    #[test]
    fn models_are_named_when_they_are_missing_or_swapped() {
        let networks = networks("Identity", 1.0);
        let full = PoseParams {
            model: crate::pose::ModelSize::Full,
            ..PoseParams::default()
        };
        let error = PoseTracker::load(networks.path(), full).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("palm_detection_full.onnx: "), "{text}");
        assert!(text.contains("make models"), "{text}");

        let file = |name: &str| networks.path().join(name);
        fs::copy(
            file("palm_detection_lite.onnx"),
            file("hand_landmark_lite.onnx"),
        )
        .unwrap();
        let error = PoseTracker::load(networks.path(), PoseParams::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("hand_landmark_lite.onnx: "), "{text}");
        assert!(text.contains("1,3,224,224,F32"), "{text}");
    }
}
