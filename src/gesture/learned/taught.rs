//! The classifier with the gestures that were learned beside it.

use std::sync::Arc;

use super::Gesture;
use super::descriptor;
use crate::gesture::{Classifier, Score, ScoreError};
use crate::window::{WINDOW_LEN, Window};

/// The probability of a learned gesture at its radius: what starts a gesture by default.
const AT_RADIUS: f32 = 0.7;

/// How fast the probability falls around the radius: it is 0.5 at 1.1 radii, 0.9 at 0.8.
const STEEPNESS: f32 = 8.0;

/// Scores windows by the classifier and by learned gestures: its labels are the model's, followed
/// by the learned ones.
///
/// Of the learned gestures the one with the nearest prototype has a probability, by its distance in
/// radii; the model's labels share the rest. Nothing here allocates once it is made.
#[derive(Debug)]
pub struct Taught {
    classifier: Classifier,
    gestures: Vec<Gesture>,
    labels: Vec<Arc<str>>,
    descriptor: Vec<f32>,
    scores: Vec<f32>,
}

impl Taught {
    /// A classifier, [loaded with its features](Classifier::load_with_features) if there are
    /// gestures, none of which has one of its labels.
    #[must_use]
    pub fn new(classifier: Classifier, gestures: Vec<Gesture>) -> Self {
        let learned = gestures.iter().map(|gesture| Arc::clone(&gesture.label));
        let labels: Vec<_> = classifier.labels().iter().cloned().chain(learned).collect();
        Self {
            descriptor: vec![0.0; descriptor::len(&classifier)],
            scores: vec![0.0; labels.len()],
            labels,
            classifier,
            gestures,
        }
    }

    /// The classifier alone.
    #[must_use]
    pub fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// The learned gestures.
    #[must_use]
    pub fn gestures(&self) -> &[Gesture] {
        &self.gestures
    }

    /// As [`Classifier::score_points`], with the learned gestures.
    ///
    /// # Errors
    /// [`ScoreError`] when the network fails or gives no probabilities.
    pub fn score_points(&mut self, points: &[f32; WINDOW_LEN]) -> Result<&[f32], ScoreError> {
        if self.gestures.is_empty() {
            return self.classifier.score_points(points);
        }
        descriptor::of_window(points, &mut self.classifier, &mut self.descriptor)?;
        let known = self.classifier.probabilities();
        let radii = |g: &Gesture| g.distance(&self.descriptor);
        // Not the nearest in radii: those say what is no gesture, and choose worse among several.
        let distances = self.gestures.iter().map(|g| radii(g) * g.radius);
        let nearest = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
        let nearest = nearest.map_or(0, |(i, _)| i);
        let probability = probability(radii(&self.gestures[nearest]));
        let (of_known, of_learned) = self.scores.split_at_mut(known.len());
        for (score, known) in of_known.iter_mut().zip(known) {
            *score = known * (1.0 - probability);
        }
        of_learned.fill(0.0);
        of_learned[nearest] = probability;
        Ok(&self.scores)
    }
}

impl Score for Taught {
    fn labels(&self) -> &[Arc<str>] {
        &self.labels
    }

    fn score(&mut self, window: &Window) -> Result<&[f32], ScoreError> {
        let mut points = [0.0; WINDOW_LEN];
        window.copy_into(&mut points);
        self.score_points(&points)
    }
}

/// The probability of a learned gesture, from the distance in radii.
fn probability(distance: f32) -> f32 {
    let odds = (1.0 / AT_RADIUS - 1.0) * (STEEPNESS * (distance - 1.0)).exp();
    1.0 / (1.0 + odds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_within_the_radius_starts_and_what_is_well_beyond_ends() {
        assert!((probability(1.0) - 0.7).abs() < 1e-6);
        assert!(probability(0.0) > 0.99 && probability(0.8) > 0.9);
        assert!(probability(1.15) < 0.5 && probability(f32::INFINITY) == 0.0);
    }
}
