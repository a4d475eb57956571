//! Following hands from frame to frame.

use std::path::Path;
use std::time::Duration;

use super::detector::PalmDetector;
use super::landmark::{HandLandmarks, LandmarkNet};
use super::region::{Region, bounds};
use super::times::StageTimes;
use super::{FramePoses, HandPose, LANDMARKS, MAX_HANDS, OneEuro, Point3, PoseParams};
use crate::camera::{Frame, Image};
use crate::inference::{InferenceError, ModelError};

/// Regions that overlap more than this are of the same hand.
const SAME_HAND_OVERLAP: f32 = 0.5;

/// Finds the hands of each frame and follows them, as MediaPipe's hand tracking graph does.
///
/// A followed hand is looked for where its landmarks were in the frame before. Palms are looked
/// for only while there are fewer hands than allowed: in every frame while there is none, at
/// [`PoseParams::search_interval`] while there is one of two.
#[derive(Debug)]
pub struct PoseTracker {
    params: PoseParams,
    detector: PalmDetector,
    landmark_net: LandmarkNet,
    tracks: heapless::Vec<Track, MAX_HANDS>,
    next_track: u32,
    last_search: Option<Duration>,
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
        Ok(Self {
            params,
            detector: PalmDetector::load(&model("palm_detection"))?,
            landmark_net: LandmarkNet::load(&model("hand_landmark"))?,
            tracks: heapless::Vec::new(),
            next_track: 0,
            last_search: None,
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
        let image = &frame.image;
        let size = (image.width as u32, image.height as u32);
        if self.poses.size != size {
            // Regions are in pixels of the frames before.
            self.tracks.clear();
        }
        self.poses.seq = frame.seq;
        self.poses.t = frame.t;
        self.poses.size = size;
        self.poses.hands.clear();
        self.times = StageTimes::default();

        let mut candidates = self.followed();
        if self.must_search(candidates.len(), frame.t) {
            self.search(image, frame.t, &mut candidates)?;
        }
        for Candidate { region, track } in candidates {
            let Some(hand) = self.look(image, &region)? else {
                continue;
            };
            let next = Region::from_landmarks(&hand.points_px.map(|[x, y, _]| [x, y]));
            // One hand may be seen from two regions: the track that is older keeps it.
            if next.is_valid() && !self.tracks.iter().any(|t| is_same_hand(&t.region, &next)) {
                let mut track = track.unwrap_or_else(|| self.begin_track());
                track.region = next;
                let pose = self.pose(&mut track, &hand);
                // There are no more candidates than hands.
                let _ = self.poses.hands.push(pose);
                let _ = self.tracks.push(track);
            }
        }
        Ok(&self.poses)
    }

    /// The poses of the last frame.
    #[must_use]
    pub fn poses(&self) -> &FramePoses {
        &self.poses
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

    /// The tracks so far, as candidates for this frame.
    fn followed(&mut self) -> heapless::Vec<Candidate, MAX_HANDS> {
        let tracks = std::mem::take(&mut self.tracks);
        let candidate = |track: Track| Candidate {
            region: track.region,
            track: Some(track),
        };
        tracks.into_iter().map(candidate).collect()
    }

    fn must_search(&self, followed: usize, t: Duration) -> bool {
        let waited = match self.last_search {
            // A recording may begin anew.
            Some(last) => t < last || t - last >= self.params.search_interval,
            None => true,
        };
        followed == 0 || followed < self.params.hands && waited
    }

    /// Adds the hands that aren't followed yet, as far as there is room.
    fn search(
        &mut self,
        image: &Image<'_>,
        t: Duration,
        candidates: &mut heapless::Vec<Candidate, MAX_HANDS>,
    ) -> Result<(), InferenceError> {
        self.last_search = Some(t);
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

    fn begin_track(&mut self) -> Track {
        self.next_track += 1;
        Track {
            number: self.next_track,
            region: Region::letterbox(0, 0),
            landmark_filter: OneEuro::new(),
            world_filter: OneEuro::new(),
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
