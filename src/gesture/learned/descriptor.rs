//! Descriptors: what windows are compared by.
//!
//! A descriptor has two parts of equal length: one of the whole window, by which movements are
//! compared, and one of its newest poses alone, so that a held shape is what it is now, whatever the
//! hand did before.
//!
//! Over real gestures of ten people, five examples each, the fourth roots of the features scaled to
//! length one rejected other movements far better than the features themselves: many features that are
//! a little active say more about a gesture than the few that are most.

use super::Take;
use super::take::WINDOWS;
use crate::gesture::{Classifier, Kind, ScoreError};
use crate::pose::LANDMARKS;
use crate::window::{WINDOW, WINDOW_LEN};

/// Poses that a shape is compared by: two thirds of a second, shorter than a held shape.
const NEWEST: usize = 10;

/// Length of a window's descriptor.
#[must_use]
pub fn len(classifier: &Classifier) -> usize {
    2 * classifier.features().len()
}

/// Writes the descriptor of a window into `out`, which is [`len`] long. The classifier has looked at the
/// whole window last: its probabilities are those. Allocates nothing.
///
/// # Errors
/// [`ScoreError`] when the classifier fails.
pub fn of_window(
    points: &[f32; WINDOW_LEN],
    classifier: &mut Classifier,
    out: &mut [f32],
) -> Result<(), ScoreError> {
    let (whole, newest) = out.split_at_mut(classifier.features().len());
    classifier.score_points(&newest_poses(points))?;
    describe(classifier.features(), newest);
    classifier.score_points(points)?;
    describe(classifier.features(), whole);
    Ok(())
}

/// The part of a window's descriptor that gestures of a kind are compared by.
#[must_use]
pub fn part(kind: Kind, descriptor: &[f32]) -> &[f32] {
    let (whole, newest) = descriptor.split_at(descriptor.len() / 2);
    match kind {
        Kind::Movement => whole,
        _ => newest,
    }
}

/// The window of a hand that appeared with its newest poses.
fn newest_poses(points: &[f32; WINDOW_LEN]) -> [f32; WINDOW_LEN] {
    const POSE: usize = LANDMARKS * 3;
    let mut newest = *points;
    let (before, shown) = newest.split_at_mut((WINDOW - NEWEST) * POSE);
    for pose in before.chunks_exact_mut(POSE) {
        pose.copy_from_slice(&shown[..POSE]);
    }
    newest
}

/// Writes a descriptor's part: the fourth roots of `features` (with the sign kept), scaled to length
/// one. Allocates nothing.
pub fn describe(features: &[f32], out: &mut [f32]) {
    let mut length = 0.0;
    for (out, &x) in out.iter_mut().zip(features) {
        let root = x.abs().sqrt();
        *out = root.sqrt().copysign(x);
        length += root;
    }
    let scale = 1.0 / length.sqrt().max(f32::MIN_POSITIVE);
    out.iter_mut().for_each(|x| *x *= scale);
}

/// How far apart two descriptors' parts are: 0 to 2.
#[must_use]
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
    squares.sum::<f32>().sqrt()
}

/// How far a descriptor's part is from the nearest of `prototypes`, which lie one after the other.
#[must_use]
pub fn nearest(descriptor: &[f32], prototypes: &[f32]) -> f32 {
    let distances = prototypes
        .chunks_exact(descriptor.len().max(1))
        .map(|prototype| distance(descriptor, prototype));
    distances.fold(f32::INFINITY, f32::min)
}

/// The descriptors of a take's windows, one after the other; `told` is called with the
/// classifier's probabilities for each.
///
/// # Errors
/// [`ScoreError`] when the classifier fails on a window.
pub fn of_take(
    take: &Take,
    classifier: &mut Classifier,
    mut told: impl FnMut(&[f32]),
) -> Result<Vec<f32>, ScoreError> {
    let len = len(classifier);
    let mut descriptors = vec![0.0; WINDOWS * len];
    for (window, out) in take.windows().zip(descriptors.chunks_exact_mut(len.max(1))) {
        of_window(&window, classifier, out)?;
        told(classifier.probabilities());
    }
    Ok(descriptors)
}

/// The parts of descriptors that lie one after the other, by which gestures of a kind are compared.
pub(super) fn parts(kind: Kind, descriptors: &[f32], features: usize) -> Vec<f32> {
    let descriptors = descriptors.chunks_exact((2 * features).max(1));
    descriptors.flat_map(|d| part(kind, d)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_has_length_one_and_does_not_depend_on_the_scale() {
        let (mut a, mut b) = ([0.0; 3], [0.0; 3]);
        describe(&[4.0, -9.0, 0.0], &mut a);
        describe(&[40.0, -90.0, 0.0], &mut b);
        assert!(distance(&a, &b) < 1e-6);
        assert!((a.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(a[1] < 0.0);
        describe(&[0.0; 3], &mut a);
        assert_eq!(a, [0.0; 3]);
    }

    #[test]
    fn of_a_shape_only_the_newest_poses_count() {
        let points: [f32; WINDOW_LEN] = std::array::from_fn(|i| (i / (LANDMARKS * 3)) as f32);
        let newest = newest_poses(&points);
        let first = WINDOW - NEWEST;
        for (pose, points) in newest.chunks_exact(LANDMARKS * 3).enumerate() {
            assert!(points.iter().all(|&x| x == pose.max(first) as f32));
        }
    }

    #[test]
    fn the_nearest_of_several_counts() {
        assert_eq!(nearest(&[1.0, 0.0], &[0.0, 0.0, 1.0, 0.5]), 0.5);
        assert_eq!(nearest(&[1.0, 0.0], &[]), f32::INFINITY);
    }
}
