//! The palm network: where hands are in a whole frame.

use std::path::Path;

use super::anchors::{ANCHORS, PALM_INPUT};
use super::palm::PalmDecoder;
use super::region::Region;
use super::sample::{Border, sample};
use super::times::{StageTimes, timed};
use crate::camera::Image;
use crate::inference::{Expectation, ExpectedOutput, InferenceError, ModelError, Network, Team};

const EXPECTATION: Expectation<'static> = Expectation {
    purpose: "palm detection",
    input: &[1, 3, PALM_INPUT, PALM_INPUT],
    outputs: &[
        ExpectedOutput {
            name: "boxes",
            shape: &[Some(1), Some(ANCHORS), Some(18)],
        },
        ExpectedOutput {
            name: "scores",
            shape: &[Some(1), Some(ANCHORS), Some(1)],
        },
    ],
    remedy: "run `make models`",
};

/// The palm network and what it takes to use it on a frame.
#[derive(Debug)]
pub struct PalmDetector {
    network: Network,
    decoder: PalmDecoder,
}

impl PalmDetector {
    /// Loads the model at `path`, to be run by a team.
    ///
    /// # Errors
    /// [`ModelError`] when it is missing or isn't the palm model.
    pub fn load(path: &Path, team: &Team) -> Result<Self, ModelError> {
        Ok(Self {
            network: Network::load(path, &EXPECTATION, team)?,
            decoder: PalmDecoder::default(),
        })
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Looks for palms of at least `threshold` in the whole of `image`, and gives the regions of
    /// their hands, best first.
    ///
    /// # Errors
    /// [`InferenceError`] when the network can't be run.
    pub fn detect(
        &mut self,
        image: &Image<'_>,
        threshold: f32,
        times: &mut StageTimes,
    ) -> Result<impl Iterator<Item = Region>, InferenceError> {
        let letterbox = Region::letterbox(image.width, image.height);
        timed(&mut times.letterbox, || {
            let input = self.network.input();
            sample(image, &letterbox, Border::Black, PALM_INPUT, input);
        });
        timed(&mut times.palm, || self.network.run())?;
        timed(&mut times.decode, || {
            let (boxes, scores) = (self.network.output(0), self.network.output(1));
            self.decoder.decode(boxes, scores, threshold);
        });
        Ok(std::iter::from_fn(move || {
            let palm = self.decoder.take_best()?;
            Some(Region::from_palm(&palm, &letterbox))
        }))
    }

    /// Palms that were dropped because the network gave NaN or infinity.
    #[must_use]
    pub fn non_finite(&self) -> u64 {
        self.decoder.non_finite()
    }
}
