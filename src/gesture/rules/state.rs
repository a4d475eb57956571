//! The state of one gesture of one hand.

use std::time::Duration;

use super::rule::{Kind, OnMovement, Place, Rule};
use super::span::Span;
use crate::gesture::Phase;

/// A stroke and its preparation take no longer. Before it starts, windows know that the hand moves
/// but not yet how.
const LONGEST_STROKE: Duration = Duration::from_secs(1);

/// Where a gesture of a hand stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum State {
    #[default]
    Idle,
    /// The score has reached `enter`.
    Entering {
        since: Duration,
        place: Place,
        windows: u32,
    },
    /// A shape has started.
    Held {
        next_hold: Duration,
        below_since: Option<Duration>,
        /// In this time the hand makes a movement that doesn't end the shape.
        movement: Span,
    },
    /// A movement has started, or was taken for a return, and its score is still up.
    Spent { below_since: Option<Duration> },
}

/// What a window says about a gesture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    pub(super) t: Duration,
    pub(super) place: Place,
    pub(super) score: f32,
    /// Its hand, size and place are such as the rule asks for.
    pub(super) admitted: bool,
    /// No gesture of its kind has a higher score.
    pub(super) leads: bool,
    /// It is armed, and nothing has to cool down.
    pub(super) ready: bool,
    /// Its opposite has just been made: if this is seen, it is the hand coming back.
    pub(super) returning: bool,
    /// The hand is more likely to make a movement, whichever, than not.
    pub(super) moving: bool,
}

impl State {
    /// Takes a window, and tells what has happened.
    pub(super) fn advance(&mut self, rule: &Rule, sight: &Sight) -> Option<Phase> {
        let t = sight.t;
        match self {
            Self::Held {
                next_hold,
                below_since,
                movement,
            } => {
                if sight.admitted && sight.score >= rule.exit {
                    *below_since = None;
                    return hold(next_hold, rule.hold_period, t);
                }
                let stays = rule.on_movement == OnMovement::Stay;
                if !has_lasted(below_since, rule.release_time, t)
                    || movement.contains(t)
                    || (stays && sight.moving && !has_lasted(below_since, LONGEST_STROKE, t))
                {
                    return None;
                }
                *self = Self::Idle;
                Some(Phase::End)
            }
            Self::Spent { below_since } => {
                if sight.score >= rule.exit {
                    *below_since = None;
                } else if has_lasted(below_since, rule.release_time, t) {
                    *self = Self::Idle;
                }
                None
            }
            Self::Idle | Self::Entering { .. } => self.enter(rule, sight),
        }
    }

    fn enter(&mut self, rule: &Rule, sight: &Sight) -> Option<Phase> {
        let t = sight.t;
        if sight.returning && sight.score >= rule.exit {
            *self = Self::Spent { below_since: None };
            return None;
        }
        if sight.score < rule.enter || !(sight.admitted && sight.leads && sight.ready) {
            *self = Self::Idle;
            return None;
        }
        let (since, place, windows) = match *self {
            Self::Entering {
                since,
                place,
                windows,
            } if sight.place.way_from(&place) <= rule.max_drift => {
                (since, place, windows.saturating_add(1))
            }
            _ => (t, sight.place, 1),
        };
        if windows < rule.windows || t.saturating_sub(since) < rule.hold_time {
            *self = Self::Entering {
                since,
                place,
                windows,
            };
            return None;
        }
        *self = match rule.kind {
            Kind::Shape => Self::Held {
                next_hold: t.saturating_add(rule.hold_period),
                below_since: None,
                movement: Span::default(),
            },
            Kind::Movement | Kind::None => Self::Spent { below_since: None },
        };
        Some(Phase::Start)
    }

    /// Windows were missing for too long. Whether that ends a held shape.
    pub(super) fn lose(&mut self) -> bool {
        let held = self.end();
        if let Self::Entering { .. } = self {
            *self = Self::Idle;
        }
        held
    }

    /// A movement has started, and in its time a held shape doesn't end.
    pub(super) fn outlast(&mut self, time: Span) {
        if let Self::Held { movement, .. } = self {
            *movement = time;
        }
    }

    /// Ends a held shape. Whether there was one.
    pub(super) fn end(&mut self) -> bool {
        let held = self.is_held();
        if held {
            *self = Self::Idle;
        }
        held
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }
}

/// Whether what began at `since`, or begins now, has lasted for `length`.
fn has_lasted(since: &mut Option<Duration>, length: Duration, t: Duration) -> bool {
    t.saturating_sub(*since.get_or_insert(t)) >= length
}

/// Keeps the beat of the hold events, unless the poses came too late for it.
fn hold(next: &mut Duration, period: Duration, t: Duration) -> Option<Phase> {
    if period.is_zero() || t < *next {
        return None;
    }
    let beat = next.saturating_add(period);
    *next = if beat > t {
        beat
    } else {
        t.saturating_add(period)
    };
    Some(Phase::Hold)
}
