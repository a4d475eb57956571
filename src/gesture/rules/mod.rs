//! The rules: from the classifier's probabilities to events.
//!
//! [`RulesParams`] are what a person configures; they resolve to one [`Rule`] a label. [`Rules`]
//! keeps, for each hand and gesture, a state that is driven by nothing but the poses' times,
//! places and scores.

mod params;
mod rule;
#[cfg(test)]
mod script;
mod span;
mod state;

pub use params::{RuleKeys, RulesError, RulesParams};
pub use rule::{Kind, OnMovement, Rule, WhichHand, Zone};

use std::sync::Arc;
use std::time::Duration;

use self::rule::Place;
use self::span::Span;
use self::state::{Sight, State};
use super::{GestureEvent, Phase};
use crate::pose::{Handedness, MAX_HANDS};
use crate::window::{GRID_HZ, GridPose, HandLeft};

/// When gestures start, go on and end.
///
/// A shape of a hand ends before the next one starts. A movement starts once, and again only
/// after its score has fallen. Of several gestures of a kind only the one with the highest score
/// can start. [`Rule`] says the rest. Nothing here allocates once it is made.
#[derive(Debug)]
pub struct Rules {
    gestures: Vec<(Arc<str>, Rule)>,
    hands: [Hand; MAX_HANDS],
    /// In this time no movement starts.
    cool_down: Span,
}

#[derive(Debug, Clone)]
struct Hand {
    /// Its track; `None` while the place is free.
    track: Option<u32>,
    /// Left or right. It stays the same while a shape is held, so that its events agree.
    handedness: Handedness,
    /// Since when it has been followed without a break.
    followed_since: Duration,
    /// Time and tick of the newest pose.
    t: Duration,
    tick: u64,
    /// Tick of the newest pose that has been scored.
    scored_tick: u64,
    gestures: Vec<Gesture>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Gesture {
    state: State,
    score: f32,
    /// In this time it is taken for the return from its opposite.
    returning: Span,
}

impl Rules {
    /// Rules for these labels, in the order of the classifier's outputs.
    ///
    /// # Errors
    /// Those of [`RulesParams::resolve`].
    pub fn new(labels: &[Arc<str>], params: &RulesParams) -> Result<Self, RulesError> {
        let rules = params.resolve(labels)?;
        let hand = Hand {
            track: None,
            handedness: Handedness::Right,
            followed_since: Duration::ZERO,
            t: Duration::ZERO,
            tick: 0,
            scored_tick: 0,
            gestures: vec![Gesture::default(); labels.len()],
        };
        Ok(Self {
            gestures: labels.iter().cloned().zip(rules).collect(),
            hands: std::array::from_fn(|_| hand.clone()),
            cool_down: Span::default(),
        })
    }

    /// Takes a hand's newest pose, whether or not it will be scored: a hand that has appeared or
    /// was out of sight is to be armed, and what has been without scores for too long ends.
    pub fn see(&mut self, pose: &GridPose, mut out: impl FnMut(GestureEvent)) {
        let i = self.place_of(pose, &mut out);
        let hand = &mut self.hands[i];
        if hand.tick == pose.tick {
            return;
        }
        if hand.tick.wrapping_add(1) != pose.tick {
            hand.followed_since = pose.t;
        }
        (hand.t, hand.tick) = (pose.t, pose.tick);
        let ticks = pose.tick.saturating_sub(hand.scored_tick).saturating_sub(1);
        let missing = Duration::from_secs(ticks) / GRID_HZ;
        for (gesture, (label, rule)) in hand.gestures.iter_mut().zip(&self.gestures) {
            if missing > rule.max_missing && gesture.state.lose() {
                out(event(
                    Phase::End,
                    label,
                    gesture.score,
                    hand.handedness,
                    pose,
                ));
            }
        }
    }

    /// Takes a hand's newest pose and the score of each label, 0..1, and gives `out` what has
    /// happened.
    pub fn step(&mut self, pose: &GridPose, scores: &[f32], mut out: impl FnMut(GestureEvent)) {
        self.see(pose, &mut out);
        let i = self.place_of(pose, &mut out);
        let hand = &mut self.hands[i];
        hand.scored_tick = pose.tick;
        for (gesture, score) in hand.gestures.iter_mut().zip(scores) {
            // A NaN counts as nothing.
            gesture.score = score.max(0.0);
        }
        if !hand.gestures.iter().any(|gesture| gesture.state.is_held()) {
            hand.handedness = pose.handedness;
        }
        // Movements first: what they do to a held shape comes before it is looked at.
        for kind in [Kind::Movement, Kind::Shape] {
            self.advance(i, kind, pose, &mut out);
        }
    }

    /// Advances the gestures of a kind of the hand at place `i`.
    fn advance(
        &mut self,
        i: usize,
        kind: Kind,
        pose: &GridPose,
        out: &mut impl FnMut(GestureEvent),
    ) {
        let hand = &mut self.hands[i];
        let t = pose.t;
        let place = Place::of(pose);
        let of_kind = || (0..self.gestures.len()).filter(|&k| self.gestures[k].1.kind == kind);
        let score = |k: usize| hand.gestures[k].score;
        let leader = of_kind().max_by(|&a, &b| score(a).total_cmp(&score(b)));
        let movements = hand.gestures.iter().zip(&self.gestures);
        let movements = movements.filter(|(_, (_, rule))| rule.kind == Kind::Movement);
        let moving = movements.map(|(gesture, _)| gesture.score).sum::<f32>() > 0.5;
        for k in of_kind() {
            let (label, rule) = &self.gestures[k];
            let gesture = &mut hand.gestures[k];
            let armed = t.saturating_sub(hand.followed_since) >= rule.arming_delay;
            let cooling = kind == Kind::Movement && self.cool_down.contains(t);
            let sight = Sight {
                t,
                place,
                score: gesture.score,
                admitted: rule.admits(hand.handedness, &place),
                leads: leader == Some(k),
                ready: armed && !cooling,
                returning: gesture.returning.contains(t),
                moving,
            };
            let Some(phase) = gesture.state.advance(rule, &sight) else {
                continue;
            };
            let score = gesture.score;
            if phase == Phase::Start {
                self.cool_down.extend(t, rule.cool_down);
                if let Some(opposite) = rule.opposite {
                    hand.gestures[opposite].returning = Span::new(t, rule.return_time);
                }
                let others = self.gestures.iter().enumerate();
                for (other, (label, other_rule)) in others.filter(|(other, _)| *other != k) {
                    let Gesture { state, score, .. } = &mut hand.gestures[other];
                    if kind == Kind::Movement && other_rule.on_movement == OnMovement::Stay {
                        let time = rule.return_time.saturating_add(other_rule.release_time);
                        state.outlast(Span::new(t, time));
                    } else if state.end() {
                        out(event(Phase::End, label, *score, hand.handedness, pose));
                    }
                }
            }
            out(event(phase, label, score, hand.handedness, pose));
        }
    }

    /// A hand is gone: what it held ends.
    pub fn hand_left(&mut self, left: &HandLeft, mut out: impl FnMut(GestureEvent)) {
        let mut hands = self.hands.iter_mut();
        let Some(hand) = hands.find(|hand| hand.track == Some(left.track)) else {
            return;
        };
        hand.track = None;
        for (gesture, (label, _)) in hand.gestures.iter_mut().zip(&self.gestures) {
            if gesture.state.end() {
                out(GestureEvent {
                    phase: Phase::End,
                    gesture: Arc::clone(label),
                    score: gesture.score,
                    hand: hand.handedness,
                    track: left.track,
                    seq: left.seq,
                    t: left.t,
                    captured: None,
                });
            }
        }
    }

    /// The place of the pose's hand, which gets one if it has none. If all are taken, the hand
    /// that was seen least recently has left.
    fn place_of(&mut self, pose: &GridPose, out: impl FnMut(GestureEvent)) -> usize {
        let is_its = |hand: &Hand| hand.track == Some(pose.track);
        if let Some(i) = self.hands.iter().position(is_its) {
            return i;
        }
        let places = self.hands.iter().enumerate();
        let longest_free = places.min_by_key(|(_, hand)| hand.track.map(|_| hand.t));
        let i = longest_free.map_or(0, |(i, _)| i);
        if let Some(track) = self.hands[i].track {
            let left = HandLeft {
                track,
                handedness: self.hands[i].handedness,
                seq: pose.seq,
                t: pose.t,
            };
            self.hand_left(&left, out);
        }
        for k in 0..self.gestures.len() {
            // It may be a hand that was lost on its way back.
            let returns = self.hands.iter().map(|hand| hand.gestures[k].returning);
            let returning = returns.filter(|span| span.contains(pose.t));
            self.hands[i].gestures[k] = Gesture {
                returning: returning.max_by_key(Span::end).unwrap_or_default(),
                ..Gesture::default()
            };
        }
        let hand = &mut self.hands[i];
        hand.track = Some(pose.track);
        hand.handedness = pose.handedness;
        hand.followed_since = pose.t;
        hand.t = pose.t;
        hand.tick = pose.tick.wrapping_sub(1);
        hand.scored_tick = hand.tick;
        i
    }
}

fn event(
    phase: Phase,
    gesture: &Arc<str>,
    score: f32,
    hand: Handedness,
    pose: &GridPose,
) -> GestureEvent {
    GestureEvent {
        phase,
        gesture: Arc::clone(gesture),
        score,
        hand,
        track: pose.track,
        seq: pose.seq,
        t: pose.t,
        captured: pose.captured,
    }
}
