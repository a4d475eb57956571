//! The landmark network: 21 points of the hand in a region.

use std::path::Path;

use super::region::{Region, rotate};
use super::sample::{Border, sample};
use super::times::{StageTimes, timed};
use super::{Handedness, LANDMARKS};
use crate::camera::Image;
use crate::inference::{Expectation, ExpectedOutput, InferenceError, ModelError, Network};

/// Width and height of the network's input in pixels.
const INPUT: usize = 224;

/// The network's z is larger than its x and y by this.
const Z_SCALE: f32 = 0.4;

const EXPECTATION: Expectation<'static> = Expectation {
    purpose: "hand landmark",
    input: &[1, 3, INPUT, INPUT],
    outputs: &[
        ExpectedOutput {
            name: "landmarks",
            shape: &[Some(1), Some(3 * LANDMARKS)],
        },
        ExpectedOutput {
            name: "presence",
            shape: &[Some(1), Some(1)],
        },
        ExpectedOutput {
            name: "handedness",
            shape: &[Some(1), Some(1)],
        },
        ExpectedOutput {
            name: "world",
            shape: &[Some(1), Some(3 * LANDMARKS)],
        },
    ],
    remedy: "run `make models`",
};

/// The landmark network and what it takes to use it on a frame.
#[derive(Debug)]
pub struct LandmarkNet {
    network: Network,
}

/// What the network sees in a region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HandLandmarks {
    /// Confidence that a hand is there, 0..1.
    pub presence: f32,
    /// The hand, if the picture is a mirror image.
    pub handedness_mirrored: Handedness,
    /// x, y in pixels of the frame, z in pixels away from the camera.
    pub points_px: [[f32; 3]; LANDMARKS],
    /// Metres around the hand's centre, upright as the frame is.
    pub world: [[f32; 3]; LANDMARKS],
}

impl LandmarkNet {
    /// Loads the model at `path`.
    ///
    /// # Errors
    /// [`ModelError`] when it is missing or isn't the landmark model.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        Ok(Self {
            network: Network::load(path, &EXPECTATION)?,
        })
    }

    /// Looks at `region` of `image`. `None` when what the network gives isn't finite.
    ///
    /// # Errors
    /// [`InferenceError`] when the network can't be run.
    pub fn run(
        &mut self,
        image: &Image<'_>,
        region: &Region,
        times: &mut StageTimes,
    ) -> Result<Option<HandLandmarks>, InferenceError> {
        timed(&mut times.warp, || {
            let input = self.network.input();
            sample(image, region, Border::Replicate, INPUT, input);
        });
        timed(&mut times.landmark, || self.network.run())?;
        let [landmarks, presence, handedness, world] = [0, 1, 2, 3].map(|i| self.network.output(i));
        Ok(decode(landmarks, presence, handedness, world, region))
    }
}

fn decode(
    landmarks: &[f32],
    presence: &[f32],
    handedness: &[f32],
    world: &[f32],
    region: &Region,
) -> Option<HandLandmarks> {
    let mut all = [landmarks, presence, handedness, world]
        .into_iter()
        .flatten();
    if !all.all(|v| v.is_finite()) {
        return None;
    }
    let landmarks: &[[f32; 3]; LANDMARKS] = landmarks.as_chunks().0.try_into().ok()?;
    let world: &[[f32; 3]; LANDMARKS] = world.as_chunks().0.try_into().ok()?;
    let unit = 1.0 / INPUT as f32;
    Some(HandLandmarks {
        presence: *presence.first()?,
        handedness_mirrored: if *handedness.first()? > 0.5 {
            Handedness::Right
        } else {
            Handedness::Left
        },
        points_px: landmarks.map(|[x, y, z]| {
            let [px, py] = region.project([x * unit, y * unit]);
            [px, py, z * unit / Z_SCALE * region.side_px]
        }),
        world: world.map(|[x, y, z]| {
            let [x, y] = rotate([x, y], region.rotation);
            [x, y, z]
        }),
    })
}
