//! The palm network's anchors: the grid points of its feature maps.

/// Width and height of the palm network's input in pixels.
pub const PALM_INPUT: usize = 192;

/// Number of anchors, and of boxes that the palm network proposes.
pub const ANCHORS: usize = 2016;

/// Feature maps by their stride in input pixels, and the anchors at each of their points. The
/// three maps of stride 16 share one grid; each map has two anchors a point, all of one size.
const MAPS: [(usize, usize); 2] = [(8, 2), (16, 6)];

/// The centres of the anchors in 0..1, in the order of the network's outputs.
#[must_use]
pub fn anchors() -> Vec<[f32; 2]> {
    let mut anchors = Vec::with_capacity(ANCHORS);
    for (stride, per_point) in MAPS {
        let points = PALM_INPUT / stride;
        let center = |i: usize| (i as f32 + 0.5) / points as f32;
        for y in 0..points {
            for x in 0..points {
                anchors.extend(std::iter::repeat_n([center(x), center(y)], per_point));
            }
        }
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_stand_as_the_network_was_trained() {
        let anchors = anchors();
        assert_eq!(anchors.len(), ANCHORS);
        assert_eq!(anchors[0], anchors[1]);
        assert_eq!(anchors[2], [1.5 / 24.0, 0.5 / 24.0]);
        assert_eq!(anchors[2 * 24], [0.5 / 24.0, 1.5 / 24.0]);
        assert_eq!(anchors[1152], [0.5 / 12.0; 2]);
        assert_eq!(anchors[1152 + 6], [1.5 / 12.0, 0.5 / 12.0]);
        assert_eq!(anchors[2015], [11.5 / 12.0; 2]);
    }
}
