//! A rule: when a gesture counts as made.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gesture::{LABELS, MOVEMENTS};
use crate::pose::Handedness;
use crate::window::GridPose;

/// What kind of gesture a label stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Held for a while: starts, goes on and ends.
    Shape,
    /// Over when it is recognised: starts only.
    Movement,
    /// No gesture; never an event.
    None,
}

impl Kind {
    /// The kind of a label by default: that of palmd's own labels, and a shape for any other.
    #[must_use]
    pub fn of(label: &str) -> Self {
        if label == "none" {
            Self::None
        } else if LABELS[MOVEMENTS].contains(&label) {
            Self::Movement
        } else {
            Self::Shape
        }
    }
}

/// The movement that a hand makes when it comes back from this one, for palmd's own labels.
/// A circle ends where it began, and a push comes back as nothing that has a name.
#[must_use]
pub fn opposite(label: &str) -> Option<&'static str> {
    Some(match label {
        "swipe-left" => "swipe-right",
        "swipe-right" => "swipe-left",
        "swipe-up" => "swipe-down",
        "swipe-down" => "swipe-up",
        "pinch" => "spread",
        "spread" => "pinch",
        _ => return None,
    })
}

/// Which hand may make a gesture: the person's own left or right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "they say what they are")]
pub enum WhichHand {
    Any,
    Left,
    Right,
}

impl WhichHand {
    fn allows(self, hand: Handedness) -> bool {
        match self {
            Self::Any => true,
            Self::Left => hand == Handedness::Left,
            Self::Right => hand == Handedness::Right,
        }
    }
}

/// What happens to a held shape when its hand makes a movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMovement {
    /// It stays held, if it is seen again when the movement is over.
    Stay,
    /// It ends.
    End,
}

/// A part of the picture as the user sees it, in picture widths and heights, 0..1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f32; 4]", into = "[f32; 4]")]
#[allow(missing_docs, reason = "they say what they are")]
pub struct Zone {
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
}

impl Zone {
    /// The whole picture.
    pub const WHOLE: Self = Self {
        left: 0.0,
        top: 0.0,
        right: 1.0,
        bottom: 1.0,
    };

    /// Whether the point lies inside. The whole picture has no outside: a hand that is half out
    /// of sight can have its middle there.
    fn contains(&self, [x, y]: [f32; 2]) -> bool {
        *self == Self::WHOLE
            || (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }
}

impl From<[f32; 4]> for Zone {
    fn from([left, top, right, bottom]: [f32; 4]) -> Self {
        Self {
            left,
            top,
            right,
            bottom,
        }
    }
}

impl From<Zone> for [f32; 4] {
    fn from(zone: Zone) -> Self {
        [zone.left, zone.top, zone.right, zone.bottom]
    }
}

/// When one gesture starts, goes on and ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// What happens once it has started.
    pub kind: Kind,
    /// Probability from which on it may start, 0..1.
    pub enter: f32,
    /// Probability below which it is over, 0..1, not above `enter`.
    pub exit: f32,
    /// Consecutive windows that must reach `enter` before it starts.
    pub windows: u32,
    /// How long the windows must have reached `enter` before it starts.
    pub hold_time: Duration,
    /// How far the palm may move meanwhile, in lengths of the palm; when it has moved on, a shape
    /// is to be held anew. A hand on its way makes a movement, not a shape.
    pub max_drift: f32,
    /// Time from one [`Hold`](crate::gesture::Phase::Hold) event of a shape to the next; zero for
    /// none.
    pub hold_period: Duration,
    /// How long the probability must have been below `exit` before a shape ends, or before a
    /// movement can start again.
    pub release_time: Duration,
    /// For how long a hand must have been followed without a break before this gesture can start.
    /// Half of all false movements were seen in the second after a hand was found or found again.
    pub arming_delay: Duration,
    /// How long windows may be missing while it is about to start or held. After more it ends, or
    /// is to begin anew.
    pub max_missing: Duration,
    /// Time after its start in which no movement of any hand can start.
    pub cool_down: Duration,
    /// Time after its start in which the `opposite` is taken for the hand coming back.
    pub return_time: Duration,
    /// The movement that its return looks like, as an index of the labels.
    pub opposite: Option<usize>,
    /// What becomes of a held shape when its hand makes a movement.
    pub on_movement: OnMovement,
    /// The least length of the palm, in lengths of the picture's shorter side.
    pub min_hand_size: f32,
    /// Where the palm's middle must be.
    pub zone: Zone,
    /// Which hand must make it.
    pub hand: WhichHand,
}

impl Rule {
    /// The rule for gestures of this kind, where nothing else is said.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        let rule = Self {
            kind,
            enter: 0.7,
            exit: 0.5,
            windows: 1,
            hold_time: Duration::from_millis(400),
            max_drift: 0.6,
            hold_period: Duration::from_millis(500),
            release_time: Duration::from_millis(300),
            arming_delay: Duration::ZERO,
            max_missing: Duration::from_secs(1),
            cool_down: Duration::ZERO,
            return_time: Duration::ZERO,
            opposite: None,
            on_movement: OnMovement::Stay,
            min_hand_size: 0.0,
            zone: Zone::WHOLE,
            hand: WhichHand::Any,
        };
        match kind {
            Kind::Shape | Kind::None => rule,
            Kind::Movement => Self {
                windows: 5,
                hold_time: Duration::ZERO,
                max_drift: f32::INFINITY,
                hold_period: Duration::ZERO,
                release_time: Duration::from_millis(200),
                arming_delay: Duration::from_secs(1),
                max_missing: Duration::from_millis(200),
                cool_down: Duration::from_millis(800),
                return_time: Duration::from_millis(1200),
                ..rule
            },
        }
    }

    /// Whether a hand at this place may make the gesture.
    pub(super) fn admits(&self, hand: Handedness, place: &Place) -> bool {
        self.hand.allows(hand)
            && self.zone.contains(place.middle)
            && place.size >= self.min_hand_size
    }
}

/// Where a hand is and how large.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The palm's middle in picture widths and heights.
    middle: [f32; 2],
    /// Length of the palm in lengths of the picture's shorter side.
    size: f32,
    /// The picture's height in widths.
    aspect: f32,
}

impl Place {
    pub(super) fn of(pose: &GridPose) -> Self {
        const WRIST: usize = 0;
        const MIDDLE_KNUCKLE: usize = 9;
        let (from, to) = (pose.points[WRIST], pose.points[MIDDLE_KNUCKLE]);
        let middle = |axis: usize| (from[axis] + to[axis]) / 2.0;
        // With depth, or a palm that leans towards the camera would be a small one.
        let length = (0..3)
            .map(|axis| (to[axis] - from[axis]).powi(2))
            .sum::<f32>();
        Self {
            middle: [middle(0), middle(1) / pose.aspect],
            size: length.sqrt() / pose.aspect.min(1.0),
            aspect: pose.aspect,
        }
    }

    /// The way from an earlier place, in lengths of the palm.
    pub(super) fn way_from(&self, earlier: &Self) -> f32 {
        /// A person's hand is about so many palms away from the camera, so that one palm nearer
        /// makes it larger by a fifth.
        const PALMS_AWAY: f32 = 5.0;
        let palm = self.size * self.aspect.min(1.0);
        let x = (self.middle[0] - earlier.middle[0]) / palm;
        let y = (self.middle[1] - earlier.middle[1]) * self.aspect / palm;
        let z = (self.size / earlier.size).ln() * PALMS_AWAY;
        (x * x + y * y + z * z).sqrt()
    }
}
