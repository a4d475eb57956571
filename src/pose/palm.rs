//! Palm detection: from the network's proposals to the palms in its input.

use super::anchors::{ANCHORS, PALM_INPUT};

/// Points of a palm: wrist, knuckles of index, middle, ring and little finger, two of the thumb.
const KEYPOINTS: usize = 7;

/// Numbers that describe a box: centre, size, and the points.
const BOX_LEN: usize = 4 + 2 * KEYPOINTS;

/// Boxes that overlap more than this are of the same palm.
const SAME_PALM_OVERLAP: f32 = 0.3;

/// A palm in the coordinates of the network's input, 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Palm {
    /// Confidence, 0..1.
    pub score: f32,
    /// Upper left corner of its box.
    pub min: [f32; 2],
    /// Lower right corner of its box.
    pub max: [f32; 2],
    /// Its points.
    pub keypoints: [[f32; 2]; KEYPOINTS],
}

/// Decodes the outputs of the palm network. Allocates only when it is made.
#[derive(Debug)]
pub struct PalmDecoder {
    anchors: Vec<[f32; 2]>,
    candidates: Vec<Palm>,
    non_finite: u64,
}

impl Default for PalmDecoder {
    fn default() -> Self {
        Self {
            anchors: super::anchors::anchors(),
            candidates: Vec::with_capacity(ANCHORS),
            non_finite: 0,
        }
    }
}

impl PalmDecoder {
    /// Takes in the network's outputs: `boxes` 2016 x 18 and `scores` 2016 x 1 (logits). Palms
    /// below `threshold` are dropped, and so are those that aren't finite.
    pub fn decode(&mut self, boxes: &[f32], scores: &[f32], threshold: f32) {
        self.candidates.clear();
        let boxes = boxes.as_chunks::<BOX_LEN>().0;
        // Nearly all are below, and comparing is cheaper than 2016 exponentials.
        let least = logit(threshold);
        for ((&logit, numbers), anchor) in scores.iter().zip(boxes).zip(&self.anchors) {
            if logit < least {
                continue;
            }
            let palm = Palm::decode(numbers, *anchor, sigmoid(logit));
            if logit.is_nan() || !palm.is_finite() {
                self.non_finite += 1;
            } else if palm.min[0] <= palm.max[0] && palm.min[1] <= palm.max[1] {
                self.candidates.push(palm);
            }
        }
        self.candidates
            .sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
    }

    /// Takes the best palm out of those decoded, together with all that overlap it: it is their
    /// mean, weighted by their scores.
    pub fn take_best(&mut self) -> Option<Palm> {
        let best = *self.candidates.first()?;
        let mut sum = Palm {
            score: 0.0,
            min: [0.0; 2],
            max: [0.0; 2],
            keypoints: [[0.0; 2]; KEYPOINTS],
        };
        let mut first = true;
        self.candidates.retain(|palm| {
            // An empty box overlaps nothing, not even itself.
            let same = std::mem::take(&mut first) || palm.overlap(&best) > SAME_PALM_OVERLAP;
            if same {
                sum.add(palm);
            }
            !same
        });
        Some(sum.mean(best.score))
    }

    /// Palms that were dropped because the network gave NaN or infinity.
    #[must_use]
    pub fn non_finite(&self) -> u64 {
        self.non_finite
    }
}

impl Palm {
    /// `numbers`: offset of the box's centre from the anchor, its size, and the offsets of the
    /// points, x before y, in pixels of the input.
    fn decode(numbers: &[f32; BOX_LEN], anchor: [f32; 2], score: f32) -> Self {
        let unit = 1.0 / PALM_INPUT as f32;
        let point = |i: usize| {
            [
                numbers[i] * unit + anchor[0],
                numbers[i + 1] * unit + anchor[1],
            ]
        };
        let [x, y] = point(0);
        let (half_width, half_height) = (numbers[2] * unit / 2.0, numbers[3] * unit / 2.0);
        Self {
            score,
            min: [x - half_width, y - half_height],
            max: [x + half_width, y + half_height],
            keypoints: std::array::from_fn(|i| point(4 + 2 * i)),
        }
    }

    fn is_finite(&self) -> bool {
        self.points().flatten().all(|v| v.is_finite())
    }

    /// Intersection over union of the boxes.
    fn overlap(&self, other: &Self) -> f32 {
        let shared = |axis: usize| {
            (self.max[axis].min(other.max[axis]) - self.min[axis].max(other.min[axis])).max(0.0)
        };
        let intersection = shared(0) * shared(1);
        let union = self.area() + other.area() - intersection;
        if union > 0.0 {
            intersection / union
        } else {
            0.0
        }
    }

    fn area(&self) -> f32 {
        (self.max[0] - self.min[0]) * (self.max[1] - self.min[1])
    }

    /// Adds `other` to a sum that is weighted by score.
    fn add(&mut self, other: &Self) {
        self.score += other.score;
        for (sum, numbers) in self.points_mut().zip(other.points()) {
            sum[0] += numbers[0] * other.score;
            sum[1] += numbers[1] * other.score;
        }
    }

    /// The mean of a sum that is weighted by score.
    fn mean(mut self, score: f32) -> Self {
        let total = std::mem::replace(&mut self.score, score);
        for point in self.points_mut() {
            *point = point.map(|v| v / total);
        }
        self
    }

    fn points(&self) -> impl Iterator<Item = &[f32; 2]> {
        self.keypoints.iter().chain([&self.min, &self.max])
    }

    fn points_mut(&mut self) -> impl Iterator<Item = &mut [f32; 2]> {
        self.keypoints
            .iter_mut()
            .chain([&mut self.min, &mut self.max])
    }
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit.clamp(-100.0, 100.0)).exp())
}

/// The number whose [`sigmoid`] is a share.
fn logit(share: f32) -> f32 {
    (share / (1.0 - share)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outputs in which nothing is a palm.
    fn nothing() -> (Vec<f32>, Vec<f32>) {
        (vec![0.0; ANCHORS * BOX_LEN], vec![-50.0; ANCHORS])
    }

    /// Makes box `i` a palm of 19.2 pixels, moved by `dx` pixels from its anchor.
    fn put(boxes: &mut [f32], scores: &mut [f32], i: usize, dx: f32, logit: f32) {
        scores[i] = logit;
        let numbers = &mut boxes[i * BOX_LEN..][..BOX_LEN];
        numbers.fill(0.0);
        numbers[0] = dx;
        numbers[2..4].fill(19.2);
        numbers[4] = dx + 9.6;
    }

    fn all(decoder: &mut PalmDecoder) -> Vec<Palm> {
        std::iter::from_fn(|| decoder.take_best()).collect()
    }

    #[test]
    fn overlapping_boxes_become_their_weighted_mean() {
        let (mut boxes, mut scores) = nothing();
        put(&mut boxes, &mut scores, 0, 0.0, 2.0);
        put(&mut boxes, &mut scores, 1, 3.84, 1.0);
        put(&mut boxes, &mut scores, 1000, 0.0, 0.5);
        put(&mut boxes, &mut scores, 1500, 0.0, -0.1);
        let mut decoder = PalmDecoder::default();
        decoder.decode(&boxes, &scores, 0.5);
        let palms = all(&mut decoder);
        assert_eq!(palms.len(), 2);

        let (a, b) = (sigmoid(2.0), sigmoid(1.0));
        assert_eq!(palms[0].score, a);
        let shift = 0.02 * b / (a + b);
        let anchor = 0.5 / 24.0;
        let near = |x: f32, y: f32| assert!((x - y).abs() < 1e-6, "{x} is not {y}");
        near(palms[0].min[0], anchor - 0.05 + shift);
        near(palms[0].max[1], anchor + 0.05);
        near(palms[0].keypoints[0][0], anchor + 0.05 + shift);
        near(palms[0].keypoints[6][0], anchor);
        assert_eq!(palms[1].score, sigmoid(0.5));
    }

    #[test]
    fn palms_from_the_threshold_on_are_taken() {
        let mut decoder = PalmDecoder::default();
        for (threshold, taken) in [(0.0, 4), (0.3, 3), (0.5, 2), (0.9, 1), (1.0, 0)] {
            let (mut boxes, mut scores) = nothing();
            for (i, logit) in [(0, -2.0), (600, -0.5), (1000, 0.5), (1500, 4.0)] {
                put(&mut boxes, &mut scores, i, 0.0, logit);
            }
            decoder.decode(&boxes, &scores, threshold);
            let palms = all(&mut decoder);
            let score = |palm: &Palm| palm.score >= threshold;
            assert!(palms.iter().all(score));
            let whole = palms.iter().filter(|palm| palm.max[0] > palm.min[0]);
            assert_eq!(whole.count(), taken, "{threshold}");
        }
    }

    #[test]
    fn what_is_not_finite_is_dropped_and_counted() {
        let (mut boxes, mut scores) = nothing();
        for (i, bad) in [f32::NAN, f32::INFINITY].into_iter().enumerate() {
            put(&mut boxes, &mut scores, i, 0.0, 5.0);
            boxes[i * BOX_LEN + 9] = bad;
        }
        scores[2] = f32::NAN;
        put(&mut boxes, &mut scores, 3, 0.0, f32::INFINITY);
        let mut decoder = PalmDecoder::default();
        decoder.decode(&boxes, &scores, 0.5);
        assert_eq!(decoder.non_finite(), 3);
        assert_eq!(all(&mut decoder).len(), 1);
    }

    #[test]
    fn empty_and_inverted_boxes_end() {
        let (mut boxes, mut scores) = nothing();
        scores[..20].fill(3.0);
        boxes[18 + 2] = -1.0;
        let mut decoder = PalmDecoder::default();
        decoder.decode(&boxes, &scores, 0.5);
        assert_eq!(all(&mut decoder).len(), 19);
    }

    #[test]
    fn short_outputs_are_no_palms() {
        let mut decoder = PalmDecoder::default();
        decoder.decode(&[], &[1.0], 0.5);
        assert_eq!(decoder.take_best(), None);
    }
}
