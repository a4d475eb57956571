//! The landmark network: 21 points of the hand in a region.

use std::path::Path;

use super::region::{Region, rotate};
use super::sample::{Border, sample};
use super::times::{StageTimes, timed};
use super::{Handedness, LANDMARKS};
use crate::camera::Image;
use crate::inference::{Expectation, ExpectedOutput, InferenceError, ModelError, Network, Team};

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
    /// Loads the model at `path`, to be run by a team.
    ///
    /// # Errors
    /// [`ModelError`] when it is missing or isn't the landmark model.
    pub fn load(path: &Path, team: &Team) -> Result<Self, ModelError> {
        Ok(Self {
            network: Network::load(path, &EXPECTATION, team)?,
        })
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
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
            Handedness::Left
        } else {
            Handedness::Right
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

#[cfg(test)]
mod tests {
    use std::f32::consts::FRAC_PI_2;

    use super::*;

    const REGION: Region = Region {
        center_px: [100.0, 50.0],
        side_px: 448.0,
        rotation: FRAC_PI_2,
    };

    #[test]
    fn points_come_back_from_the_turned_region() {
        let mut landmarks = [112.0; 63];
        landmarks[2] = 0.4;
        // The middle of the upper side, which is turned to the right.
        landmarks[4] = 0.0;
        let mut world = [0.0; 63];
        world[1] = -0.1;
        let hand = decode(&landmarks, &[0.8], &[0.9], &world, &REGION).unwrap();
        let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-3, "{a} is not {b}");
        near(hand.points_px[0][0], 100.0);
        near(hand.points_px[0][1], 50.0);
        near(hand.points_px[0][2], 2.0);
        near(hand.points_px[1][0], 324.0);
        near(hand.points_px[1][1], 50.0);
        near(hand.world[0][0], 0.1);
        near(hand.world[0][1], 0.0);
        assert_eq!(hand.presence, 0.8);
        assert_eq!(hand.handedness_mirrored, Handedness::Left);
    }

    #[test]
    fn what_is_not_finite_is_no_hand() {
        let good = [1.0; 63];
        let mut bad = good;
        bad[62] = f32::NAN;
        for (landmarks, presence, handedness, world) in [
            (&bad, 1.0, 1.0, &good),
            (&good, f32::NAN, 1.0, &good),
            (&good, 1.0, f32::INFINITY, &good),
            (&good, 1.0, 1.0, &bad),
        ] {
            assert_eq!(
                decode(landmarks, &[presence], &[handedness], world, &REGION),
                None
            );
        }
    }
}
