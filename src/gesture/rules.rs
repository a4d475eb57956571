//! The rules: from the classifier's probabilities to events.

use std::sync::Arc;
use std::time::Duration;

use super::rule::{Kind, Rule, RulesError, RulesParams};
use super::{GestureEvent, Phase};
use crate::pose::{Handedness, MAX_HANDS};
use crate::window::{GridPose, HandLeft};

/// A state for each hand and gesture, driven by nothing but the poses' times and their scores.
///
/// A shape of a hand ends before the next one starts. A movement starts once, and again only
/// after its score has fallen below `exit`. [`Rule`] says the rest. Nothing here allocates once
/// it is made.
#[derive(Debug)]
pub struct Rules {
    gestures: Vec<(Arc<str>, Rule)>,
    hands: [Hand; MAX_HANDS],
    /// When the newest gesture with a cool-down started, and how long that is.
    cool_down: (Duration, Duration),
}

#[derive(Debug, Clone, Default)]
struct Hand {
    /// Its track and which it is; `None` while the place is free.
    who: Option<(u32, Handedness)>,
    appeared: Duration,
    /// Time of the newest pose.
    t: Duration,
    gestures: Vec<Gesture>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Gesture {
    state: State,
    score: f32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum State {
    #[default]
    Idle,
    /// The score has reached `enter`.
    Entering { since: Duration, windows: u32 },
    /// A shape has started.
    Held {
        next_hold: Duration,
        below_since: Option<Duration>,
    },
    /// A movement has started, and its score is still up.
    Spent,
}

impl Rules {
    /// Rules for these labels, in the order of the classifier's outputs.
    ///
    /// # Errors
    /// Those of [`RulesParams::resolve`].
    pub fn new(labels: &[Arc<str>], params: &RulesParams) -> Result<Self, RulesError> {
        let rules = params.resolve(labels)?;
        let hand = Hand {
            gestures: vec![Gesture::default(); labels.len()],
            ..Hand::default()
        };
        Ok(Self {
            gestures: labels.iter().cloned().zip(rules).collect(),
            hands: std::array::from_fn(|_| hand.clone()),
            cool_down: (Duration::ZERO, Duration::ZERO),
        })
    }

    /// A hand has come into view: its arming delay begins.
    pub fn hand_appeared(&mut self, pose: &GridPose, out: impl FnMut(GestureEvent)) {
        self.hand_of(pose, out);
    }

    /// Takes a hand's newest pose and the score of each label, 0..1, and gives `out` what has
    /// happened.
    pub fn step(&mut self, pose: &GridPose, scores: &[f32], mut out: impl FnMut(GestureEvent)) {
        let i = self.hand_of(pose, &mut out);
        let hand = &mut self.hands[i];
        let t = pose.t;
        hand.t = t;
        for (gesture, &score) in hand.gestures.iter_mut().zip(scores) {
            gesture.score = score;
        }
        let event = |phase, gesture: &Arc<str>, score| GestureEvent {
            phase,
            gesture: Arc::clone(gesture),
            score,
            hand: pose.handedness,
            track: pose.track,
            seq: pose.seq,
            t,
            captured: pose.captured,
        };
        for (i, (label, rule)) in self.gestures.iter().enumerate() {
            let Gesture { state, score } = &mut hand.gestures[i];
            let armed = t.saturating_sub(hand.appeared) >= rule.arming_delay;
            let cooling = rule.kind == Kind::Movement && is_within(t, self.cool_down);
            let Some(phase) = state.advance(rule, *score, t, armed && !cooling) else {
                continue;
            };
            let now = event(phase, label, *score);
            if phase == Phase::Start && !rule.cool_down.is_zero() {
                self.cool_down = (t, rule.cool_down);
            }
            if phase == Phase::Start && rule.kind == Kind::Shape {
                for (k, (label, _)) in self.gestures.iter().enumerate() {
                    let other = &mut hand.gestures[k];
                    if k != i && other.end() {
                        out(event(Phase::End, label, other.score));
                    }
                }
            }
            out(now);
        }
    }

    /// Poses of a hand are missing, so what it was about to start must be seen anew.
    pub fn interrupt(&mut self, track: u32) {
        let hand = self.hands.iter_mut().find(|hand| hand.is(track));
        for gesture in hand.into_iter().flat_map(|hand| &mut hand.gestures) {
            if let State::Entering { .. } = gesture.state {
                gesture.state = State::Idle;
            }
        }
    }

    /// A hand is gone: what it held ends.
    pub fn hand_left(&mut self, left: &HandLeft, mut out: impl FnMut(GestureEvent)) {
        let hands = &mut self.hands;
        let Some(hand) = hands.iter_mut().find(|hand| hand.is(left.track)) else {
            return;
        };
        hand.who = None;
        for (gesture, (label, _)) in hand.gestures.iter_mut().zip(&self.gestures) {
            if gesture.end() {
                out(GestureEvent {
                    phase: Phase::End,
                    gesture: Arc::clone(label),
                    score: gesture.score,
                    hand: left.handedness,
                    track: left.track,
                    seq: left.seq,
                    t: left.t,
                    captured: None,
                });
            }
            *gesture = Gesture::default();
        }
    }

    /// The place of the pose's hand, which gets one if it has none. If all are taken, the hand
    /// that was seen least recently has left.
    fn hand_of(&mut self, pose: &GridPose, out: impl FnMut(GestureEvent)) -> usize {
        if let Some(i) = self.hands.iter().position(|hand| hand.is(pose.track)) {
            return i;
        }
        let places = self.hands.iter().enumerate();
        let longest_free = places.min_by_key(|(_, hand)| hand.who.map(|_| hand.t));
        let i = longest_free.map_or(0, |(i, _)| i);
        if let Some((track, handedness)) = self.hands[i].who {
            let left = HandLeft {
                track,
                handedness,
                seq: pose.seq,
                t: pose.t,
            };
            self.hand_left(&left, out);
        }
        let hand = &mut self.hands[i];
        hand.who = Some((pose.track, pose.handedness));
        hand.appeared = pose.t;
        hand.t = pose.t;
        i
    }
}

impl Hand {
    fn is(&self, track: u32) -> bool {
        self.who.is_some_and(|(own, _)| own == track)
    }
}

impl Gesture {
    /// Ends a held shape; whether there was one.
    fn end(&mut self) -> bool {
        let held = matches!(self.state, State::Held { .. });
        if held {
            self.state = State::Idle;
        }
        held
    }
}

impl State {
    /// Goes on to time `t`; `ready` is whether the gesture may start.
    fn advance(&mut self, rule: &Rule, score: f32, t: Duration, ready: bool) -> Option<Phase> {
        let (since, windows) = match self {
            Self::Held {
                next_hold,
                below_since,
            } => {
                if score >= rule.exit {
                    *below_since = None;
                    return hold(next_hold, rule.hold_period, t);
                }
                let since = *below_since.get_or_insert(t);
                if t.saturating_sub(since) < rule.release_time {
                    return None;
                }
                *self = Self::Idle;
                return Some(Phase::End);
            }
            Self::Spent if score >= rule.exit => return None,
            _ if score < rule.enter || !ready || rule.kind == Kind::None => {
                *self = Self::Idle;
                return None;
            }
            Self::Entering { since, windows } => (*since, windows.saturating_add(1)),
            Self::Idle | Self::Spent => (t, 1),
        };
        if windows < rule.windows || t.saturating_sub(since) < rule.hold_time {
            *self = Self::Entering { since, windows };
            return None;
        }
        *self = match rule.kind {
            Kind::Shape => Self::Held {
                next_hold: t.saturating_add(rule.hold_period),
                below_since: None,
            },
            Kind::Movement | Kind::None => Self::Spent,
        };
        Some(Phase::Start)
    }
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

/// Whether `t` lies in the time that begins at `from`.
fn is_within(t: Duration, (from, length): (Duration, Duration)) -> bool {
    t.checked_sub(from).is_some_and(|passed| passed < length)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::gesture::LABELS;
    use crate::pose::LANDMARKS;

    /// Plays a script and returns the events, as `0.33 start open-palm; ...`.
    ///
    /// A script's steps are `LABEL [P] xN` (N windows at 15 Hz in which the label has the
    /// probability P, 0.9 by default, and `none` the rest), `pause SECONDS` (no windows), `hole`
    /// (poses are missing), `gone` (the hand leaves) and `track N` (another hand's poses from
    /// here on).
    fn play(params: &str, script: &str) -> String {
        let params = toml::from_str(params).expect("params");
        let mut rules = Rules::new(&LABELS.map(Arc::from), &params).expect("rules");
        let mut events = Vec::new();
        let mut out = |e: GestureEvent| {
            let phase = format!("{:?}", e.phase).to_lowercase();
            let hand = if e.track == 1 {
                String::new()
            } else {
                format!(" {}", e.track)
            };
            events.push(format!(
                "{:.2} {phase} {}{hand}",
                e.t.as_secs_f64(),
                e.gesture
            ));
        };
        let (mut tick, mut track) = (0, 1);
        for step in script.split(';') {
            let words: Vec<&str> = step.split_whitespace().collect();
            match words[..] {
                ["gone"] => rules.hand_left(
                    &HandLeft {
                        track,
                        handedness: Handedness::Right,
                        seq: tick,
                        t: time(tick),
                    },
                    &mut out,
                ),
                ["hole"] => rules.interrupt(track),
                ["track", n] => track = n.parse().expect(step),
                ["pause", s] => tick += (s.parse::<f64>().expect(step) * 15.0) as u64,
                [label, .., times] => {
                    let p = if words.len() == 3 { words[1] } else { "0.9" };
                    let scores = scores(label, p.parse().expect(step));
                    for _ in 0..times.strip_prefix('x').expect(step).parse().expect(step) {
                        rules.step(&pose(track, tick), &scores, &mut out);
                        tick += 1;
                    }
                }
                _ => panic!("{step:?}"),
            }
        }
        events.join("; ")
    }

    fn time(tick: u64) -> Duration {
        Duration::from_secs(tick) / 15
    }

    fn pose(track: u32, tick: u64) -> GridPose {
        GridPose {
            track,
            handedness: Handedness::Right,
            tick,
            seq: tick,
            t: time(tick),
            captured: None,
            points: [[0.0; 3]; LANDMARKS],
        }
    }

    fn scores(label: &str, p: f32) -> [f32; LABELS.len()] {
        LABELS.map(|l| match l {
            _ if l == label => p,
            "none" => 1.0 - p,
            _ => 0.0,
        })
    }

    #[test]
    fn a_shape_starts_after_its_hold_time_and_ends_after_its_release_time() {
        assert_eq!(
            play("", "open-palm x10; none x5"),
            "0.33 start open-palm; 0.87 end open-palm"
        );
        assert_eq!(play("", "open-palm x5; none x9"), "");
        assert_eq!(play("", "open-palm 0.69 x30"), "");
    }

    #[test]
    fn a_held_shape_keeps_the_beat() {
        assert_eq!(
            play("", "fist x30"),
            "0.33 start fist; 0.87 hold fist; 1.33 hold fist; 1.87 hold fist"
        );
        assert_eq!(
            play("", "fist x10; pause 3; fist x10"),
            "0.33 start fist; 3.67 hold fist; 4.20 hold fist"
        );
        assert_eq!(
            play("shapes.hold-period = '0s'", "fist x30"),
            "0.33 start fist"
        );
    }

    #[test]
    fn a_dip_puts_off_a_start_but_ends_nothing() {
        assert_eq!(
            play(
                "",
                "fist x4; fist 0.6 x1; fist x6; fist 0.6 x10; fist 0.4 x3; fist 0.6 x1; fist 0.4 x4"
            ),
            "0.67 start fist; 1.20 hold fist; 1.87 end fist"
        );
    }

    #[test]
    fn what_was_about_to_start_begins_anew_after_a_hole() {
        assert_eq!(play("", "fist x4; pause 2; hole; fist x5"), "");
        assert_eq!(
            play("", "fist x6; pause 0.4; hole; fist x1; fist 0.6 x1"),
            "0.33 start fist; 0.87 hold fist"
        );
    }

    #[test]
    fn a_shape_ends_before_the_next_one_starts() {
        assert_eq!(
            play("shapes.release-time = '5s'", "fist x10; victory x8"),
            "0.33 start fist; 1.00 end fist; 1.00 start victory"
        );
    }

    #[test]
    fn a_movement_starts_once_and_again_only_after_its_score_has_fallen() {
        assert_eq!(
            play("", "none x15; swipe-left x2; none x20; swipe-left 0.69 x20"),
            ""
        );
        assert_eq!(
            play(
                "",
                "none x15; swipe-left x5; swipe-left 0.6 x20; swipe-left x20"
            ),
            "1.13 start swipe-left"
        );
        assert_eq!(
            play(
                "",
                "none x15; swipe-left x3; swipe-left 0.4 x12; swipe-left x3"
            ),
            "1.13 start swipe-left; 2.13 start swipe-left"
        );
    }

    #[test]
    fn a_movement_keeps_all_movements_quiet_for_its_cool_down() {
        assert_eq!(
            play(
                "",
                "none x15; swipe-left x3; swipe-right x12; none x3; swipe-right x3"
            ),
            "1.13 start swipe-left; 2.33 start swipe-right"
        );
        assert_eq!(
            play(
                "gesture.swipe-left.cool-down = '0s'",
                "none x15; swipe-left x3; swipe-right x3"
            ),
            "1.13 start swipe-left; 1.33 start swipe-right"
        );
        assert_eq!(
            play("", "none x15; swipe-left x3; fist x8"),
            "1.13 start swipe-left; 1.53 start fist"
        );
    }

    #[test]
    fn movements_are_armed_a_second_after_a_hand_appears() {
        assert_eq!(play("", "swipe-up x17"), "");
        assert_eq!(play("", "swipe-up x18"), "1.13 start swipe-up");
        assert_eq!(play("", "none x30; gone; track 2; swipe-up x17"), "");
        assert_eq!(
            play("", "none x30; gone; track 2; swipe-up x18"),
            "3.13 start swipe-up 2"
        );
        assert_eq!(
            play("movements.arming-delay = '0s'", "wave x3"),
            "0.13 start wave"
        );
    }

    #[test]
    fn what_a_hand_holds_ends_when_it_leaves() {
        assert_eq!(
            play("", "fist x10; gone; gone; track 2; fist x6"),
            "0.33 start fist; 0.67 end fist; 1.00 start fist 2"
        );
        // A third hand, and nobody said that the first one left.
        assert_eq!(
            play("", "fist x10; track 2; none x1; track 3; none x1"),
            "0.33 start fist; 0.73 end fist"
        );
    }

    #[test]
    fn a_gesture_can_be_switched_off_or_made_another_kind() {
        assert_eq!(play("gesture.fist.kind = 'none'", "fist x20"), "");
        assert_eq!(
            play(
                "gesture.ok = { kind = 'movement', arming-delay = '0s' }",
                "ok x20"
            ),
            "0.13 start ok"
        );
    }

    /// Poses of up to three tracks in a row with the score of one label each, and tracks that
    /// leave.
    fn stories() -> impl Strategy<Value = Vec<(u32, usize, f32, u64, bool)>> {
        let moment = (0..3u32, 0..LABELS.len(), 0.3..=1.0f32, 1..4u64, 0..40);
        // Runs of the same moment, or nothing would ever start.
        prop::collection::vec((moment, 1..12usize), 1..60).prop_map(|runs| {
            let repeat = |((track, label, p, ticks, leaves), n)| {
                std::iter::repeat_n((track, label, p, ticks, leaves == 0), n)
            };
            runs.into_iter().flat_map(repeat).collect()
        })
    }

    proptest! {
        #[test]
        fn starts_and_ends_alternate_and_nothing_starts_below_its_threshold(story in stories()) {
            let mut rules = Rules::new(&LABELS.map(Arc::from), &RulesParams::default()).unwrap();
            let mut held: BTreeMap<u32, Arc<str>> = BTreeMap::new();
            let mut last_movement = None;
            let mut in_a_row = [[0; LABELS.len()]; 3];
            let mut tick = 0;
            for (track, label, p, ticks, leaves) in story {
                tick += ticks;
                let mut events = Vec::new();
                if leaves {
                    let left = HandLeft {
                        track,
                        handedness: Handedness::Right,
                        seq: tick,
                        t: time(tick),
                    };
                    rules.hand_left(&left, |e| events.push(e));
                    prop_assert!(events.iter().all(|e| e.phase == Phase::End && e.track == track));
                } else {
                    let scores = scores(LABELS[label], p);
                    for (n, score) in in_a_row[track as usize].iter_mut().zip(scores) {
                        *n = if score >= 0.7 { *n + 1 } else { 0 };
                    }
                    rules.step(&pose(track, tick), &scores, |e| events.push(e));
                }
                for e in events {
                    let kind = Kind::of(&e.gesture);
                    match e.phase {
                        Phase::Start => {
                            let i = LABELS.iter().position(|l| **l == *e.gesture).unwrap();
                            let rule = Rule::of(kind);
                            prop_assert!(in_a_row[e.track as usize][i] >= rule.windows, "{e:?}");
                            if kind == Kind::Movement {
                                if let Some(t) = last_movement.replace(e.t) {
                                    prop_assert!(e.t - t >= rule.cool_down, "{e:?}");
                                }
                            } else {
                                prop_assert_eq!(kind, Kind::Shape);
                                prop_assert_eq!(held.insert(e.track, e.gesture), None);
                            }
                        }
                        Phase::Hold => prop_assert_eq!(held.get(&e.track), Some(&e.gesture)),
                        Phase::End => prop_assert_eq!(held.remove(&e.track), Some(e.gesture)),
                    }
                }
            }
        }
    }
}
