//! The rules' tests: one line each, `poses => events`.
//!
//! Before `=>` stand steps, with commas between them, at 15 poses a second:
//!
//! | step | what |
//! |---|---|
//! | `fist x6` | six poses in which `fist` has the probability 0.9, and `none` the rest |
//! | `fist 0.4 ok 0.3 x6` | six poses with these probabilities |
//! | `unscored x6` | six poses that nobody scores |
//! | `gap 0.4s` | no poses for so long |
//! | `gone` | the hand leaves |
//! | `track 2` | poses are another hand's from here on |
//! | `left`, `right` | which hand it is from here on; right at first |
//! | `at 0.9 0.5` | where it is from here on, in picture widths and heights |
//! | `size 0.05` | how large it is from here on, in the picture's shorter side |
//!
//! After it stand the events: `fist start@0.33, fist end@0.80`, with `2:` in front for the hand
//! of track 2, and `left` for a left hand. Rules that differ from the defaults come first:
//! `movements.cool-down = '0s'; shapes.enter = 0.8 | poses => events`.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::gesture::LABELS;
use crate::pose::LANDMARKS;
use crate::window::GRID_HZ;

/// Fails unless the line's poses make the line's events.
#[track_caller]
fn holds(line: &str) {
    let (story, expected) = line.split_once("=>").expect("poses => events");
    let (params, poses) = story.split_once('|').unwrap_or(("", story));
    let events = play(&params.replace(';', "\n"), poses);
    assert_eq!(events, expected.trim(), "{line}");
}

/// The events that the steps make under these rules. Shapes are held for 300 ms within a palm's length
/// and movements seen in three windows with 0.7 where nothing else is said, whatever the defaults are.
fn play(params: &str, steps: &str) -> String {
    let mut params: RulesParams = toml::from_str(params).expect(params);
    let of_shapes = &mut params.shapes.hold_time;
    of_shapes.get_or_insert(Duration::from_millis(300));
    params.shapes.max_drift.get_or_insert(1.0);
    params.movements.windows.get_or_insert(3);
    params.movements.enter.get_or_insert(0.7);
    let mut rules = Rules::new(&LABELS.map(Arc::from), &params).expect("rules");
    let mut events = Vec::new();
    let mut out = |e: GestureEvent| events.push(told(&e));
    let mut hand = Actor::default();
    for step in steps.split(',').map(str::trim) {
        let words: Vec<&str> = step.split_whitespace().collect();
        let number = |i: usize| words[i].parse::<f32>().expect(step);
        match words[..] {
            ["gone"] => rules.hand_left(&hand.left_now(), &mut out),
            ["track", n] => hand.track = n.parse().expect(step),
            ["left"] => hand.handedness = Handedness::Left,
            ["right"] => hand.handedness = Handedness::Right,
            ["at", _, _] => hand.at = [number(1), number(2)],
            ["size", _] => hand.size = number(1),
            ["gap", time] => {
                let seconds: f32 = time.trim_end_matches('s').parse().expect(step);
                hand.tick += (seconds * GRID_HZ as f32).round() as u64;
            }
            [ref made @ .., times] => {
                let times: u32 = times.strip_prefix('x').expect(step).parse().expect(step);
                let scores = scores(made);
                for _ in 0..times {
                    match made {
                        ["unscored"] => rules.see(&hand.pose(), &mut out),
                        _ => rules.step(&hand.pose(), &scores, &mut out),
                    }
                    hand.tick += 1;
                }
            }
            [] => panic!("an empty step in {steps:?}"),
        }
    }
    events.join(", ")
}

fn told(event: &GestureEvent) -> String {
    let track = match event.track {
        1 => String::new(),
        track => format!("{track}:"),
    };
    let left = match event.hand {
        Handedness::Left => "left ",
        Handedness::Right => "",
    };
    let phase = format!("{:?}", event.phase).to_lowercase();
    let (gesture, t) = (&event.gesture, event.t.as_secs_f64());
    format!("{track}{left}{gesture} {phase}@{t:.2}")
}

/// The probabilities of `fist 0.4 ok 0.3`.
fn scores(made: &[&str]) -> [f32; LABELS.len()] {
    let mut scores = [0.0; LABELS.len()];
    let mut words = made.iter().peekable();
    while let Some(label) = words.next() {
        let p = words.next_if(|word| word.parse::<f32>().is_ok());
        let i = LABELS
            .iter()
            .position(|l| l == label || *label == "unscored");
        scores[i.expect(label)] = p.map_or(0.9, |p| p.parse().expect("a number"));
    }
    let none = LABELS.len() - 1;
    scores[none] = 1.0 - scores[..none].iter().sum::<f32>();
    scores
}

/// The hand that the script moves.
struct Actor {
    track: u32,
    handedness: Handedness,
    tick: u64,
    at: [f32; 2],
    size: f32,
}

impl Default for Actor {
    fn default() -> Self {
        Self {
            track: 1,
            handedness: Handedness::Right,
            tick: 0,
            at: [0.5, 0.5],
            size: 0.2,
        }
    }
}

impl Actor {
    fn t(&self) -> Duration {
        Duration::from_secs(self.tick) / GRID_HZ
    }

    fn pose(&self) -> GridPose {
        let aspect = 0.75;
        let [x, y] = [self.at[0], self.at[1] * aspect];
        let half = self.size * aspect / 2.0;
        let mut points = [[x, y, 0.0]; LANDMARKS];
        points[0] = [x, y + half, 0.0];
        points[9] = [x, y - half, 0.0];
        GridPose {
            track: self.track,
            handedness: self.handedness,
            tick: self.tick,
            seq: self.tick,
            t: self.t(),
            captured: None,
            aspect,
            points,
        }
    }

    fn left_now(&self) -> HandLeft {
        HandLeft {
            track: self.track,
            handedness: self.handedness,
            seq: self.tick,
            t: self.t(),
        }
    }
}

#[test]
fn a_shape_starts_after_its_hold_time_and_ends_after_its_release_time() {
    holds("fist x10, none x6 => fist start@0.33, fist end@1.00");
    holds("fist x5, none x9 => ");
    holds("fist 0.69 x30 => ");
    holds("shapes.hold-time = '1s' | fist x16, none x6 => fist start@1.00, fist end@1.40");
    holds(
        "shapes.hold-time = '0s'; shapes.windows = 4 | fist x3, none x1, fist x4 => fist start@0.47",
    );
    holds("shapes.release-time = '0s' | fist x6, none x1 => fist start@0.33, fist end@0.40");
}

#[test]
fn a_held_shape_keeps_the_beat() {
    holds("fist x30 => fist start@0.33, fist hold@0.87, fist hold@1.33, fist hold@1.87");
    holds("shapes.hold-period = '0s' | fist x30 => fist start@0.33");
    holds("gesture.fist.hold-period = '1s' | fist x22 => fist start@0.33, fist hold@1.33");
    // No hold while it isn't seen, and no two at once after that.
    holds("fist x12, none x4, fist x4 => fist start@0.33, fist hold@1.07");
    holds("fist x10, gap 0.8s, fist x10 => fist start@0.33, fist hold@1.47, fist hold@2.00");
}

#[test]
fn a_dip_puts_off_a_start_but_ends_nothing() {
    holds("fist x4, fist 0.6 x1, fist x6 => fist start@0.67");
    holds("fist x6, fist 0.6 x9 => fist start@0.33, fist hold@0.87");
    holds("fist x6, fist 0.4 x4, fist 0.6 x1, fist 0.4 x4 => fist start@0.33");
}

#[test]
fn two_shapes_do_not_flicker() {
    holds("fist x10, ok x8 => fist start@0.33, fist end@1.00, ok start@1.00");
    holds("fist x10, ok x3, fist x3, ok x3, fist x1 => fist start@0.33, fist hold@0.87");
    // Thresholds that both can reach: the better one, and as long as it is better.
    let low = "shapes.enter = 0.4; shapes.exit = 0.3; shapes.hold-period = '0s'";
    holds(&format!("{low} | fist 0.5 ok 0.45 x30 => fist start@0.33"));
    holds(&format!(
        "{low} | fist 0.45 ok 0.4 x9, fist 0.4 ok 0.45 x3, fist 0.45 ok 0.4 x9 => fist start@0.33"
    ));
    holds(&format!(
        "{low} | fist 0.45 ok 0.4 x9, fist 0.4 ok 0.45 x30 => fist start@0.33, fist end@0.93, ok start@0.93"
    ));
}

#[test]
fn a_movement_starts_once_for_a_stroke() {
    holds("none x15, wave x2, none x20, wave 0.69 x20 => ");
    holds("none x15, wave x60 => wave start@1.13");
    holds("none x15, wave x5, wave 0.6 x20, wave x20 => wave start@1.13");
    // It dips below `exit`, shorter and longer than its release time.
    holds("none x15, wave x15, wave 0.4 x3, wave x20 => wave start@1.13");
    holds("none x15, wave x15, wave 0.4 x4, wave x20 => wave start@1.13, wave start@2.40");
    holds(
        "movements.release-time = '1s' | none x15, wave x15, none x15, wave x20 => wave start@1.13",
    );
}

#[test]
fn the_better_of_two_movements_starts() {
    let low = "movements.enter = 0.4; movements.exit = 0.3";
    holds(&format!(
        "{low} | none x15, push 0.42 swipe-up 0.5 x9 => swipe-up start@1.13"
    ));
    holds(&format!(
        "{low}; movements.cool-down = '0s' | none x15, push 0.42 swipe-up 0.5 x9 => swipe-up start@1.13"
    ));
    holds("none x15, swipe-up x4, push x10 => swipe-up start@1.13");
}

#[test]
fn a_movement_keeps_all_movements_quiet_for_its_cool_down() {
    holds("none x15, wave x3, push x12, none x3, push x3 => wave start@1.13, push start@2.33");
    holds("none x15, wave x3, push x15 => wave start@1.13, push start@2.07");
    holds(
        "gesture.wave.cool-down = '0s' | none x15, wave x3, push x3 => wave start@1.13, push start@1.33",
    );
    // Of the other hand as well.
    holds("none x15, track 2, none x15, wave x3, track 1, push x10 => 2:wave start@2.13");
    // A shorter one doesn't cut a longer one off.
    holds(
        "gesture.wave.cool-down = '9s'; shapes.cool-down = '1s' | none x15, wave x3, fist x9, none x30, push x9 => wave start@1.13, fist start@1.53, fist end@2.13",
    );
}

#[test]
fn a_stroke_back_does_not_start() {
    for (there, back) in [
        ("swipe-left", "swipe-right"),
        ("swipe-right", "swipe-left"),
        ("swipe-up", "swipe-down"),
        ("swipe-down", "swipe-up"),
        ("pinch", "spread"),
        ("spread", "pinch"),
    ] {
        holds(&format!(
            "none x15, {there} x3, none x13, {back} x9 => {there} start@1.13"
        ));
    }
    // However slow it is, ...
    holds(
        "none x15, swipe-left x3, none x15, swipe-right 0.6 x3, swipe-right x30 => swipe-left start@1.13",
    );
    // ... but what begins later or again is meant.
    holds(
        "none x15, swipe-left x3, none x18, swipe-right x3 => swipe-left start@1.13, swipe-right start@2.53",
    );
    holds(
        "none x15, swipe-left x3, none x13, swipe-right x5, none x4, swipe-right x3 => swipe-left start@1.13, swipe-right start@2.80",
    );
    // The same way once more, and back again.
    holds(
        "none x15, swipe-left x3, none x9, swipe-right x3, swipe-left x3, none x9, swipe-right x4 => swipe-left start@1.13, swipe-left start@2.13",
    );
    // Circles have no way back.
    holds(
        "none x15, circle-cw x3, none x13, circle-ccw x3 => circle-cw start@1.13, circle-ccw start@2.20",
    );
}

#[test]
fn the_way_back_is_known_by_hand_and_can_be_configured() {
    holds(
        "movements.return-time = '0s' | none x15, swipe-left x3, none x13, swipe-right x3 => swipe-left start@1.13, swipe-right start@2.20",
    );
    holds(
        "gesture.swipe-left.return-time = '3s' | none x15, swipe-left x3, none x30, swipe-right x3 => swipe-left start@1.13",
    );
    holds(
        "gesture.push.opposite = 'wave' | none x15, wave x3, none x13, push x3 => wave start@1.13",
    );
    holds(
        "gesture.swipe-left.opposite = '' | none x15, swipe-left x3, none x13, swipe-right x3 => swipe-left start@1.13, swipe-right start@2.20",
    );
    // The other hand's stroke is its own, but a hand that has just been found may be the one that was lost.
    holds(
        "movements.arming-delay = '0s' | none x1, track 2, swipe-left x3, track 1, none x12, swipe-right x3 => 2:swipe-left start@0.20, swipe-right start@1.20",
    );
    holds(
        "movements.arming-delay = '0s' | swipe-left x3, gone, track 2, none x12, swipe-right x3 => swipe-left start@0.13",
    );
    holds(
        "movements.arming-delay = '0s' | swipe-left x3, track 2, none x12, swipe-right x3 => swipe-left start@0.13",
    );
}

#[test]
fn a_movement_does_not_end_the_shape_that_its_hand_holds() {
    let swipe = "none x15, open-palm x6, open-palm 0.4 x2, swipe-left x6";
    holds(&format!(
        "{swipe}, open-palm 0.4 x10, open-palm x4 => open-palm start@1.33, swipe-left start@1.67, open-palm hold@2.60"
    ));
    // Nor while the movement has not started yet.
    holds(
        "movements.windows = 5 | none x15, open-palm x6, none x3, wave x6, open-palm x2 => open-palm start@1.33, wave start@1.87, open-palm hold@2.00",
    );
    holds(
        "none x15, open-palm x6, wave 0.3 push 0.3 x9, wave x3, open-palm x2 => open-palm start@1.33, wave start@2.13, open-palm hold@2.20",
    );
    holds(
        "none x15, open-palm x6, wave 0.3 push 0.3 x20 => open-palm start@1.33, open-palm end@2.40",
    );
    // It does if the shape isn't seen again, or is another one.
    holds(&format!(
        "{swipe}, none x20 => open-palm start@1.33, swipe-left start@1.67, open-palm end@3.20"
    ));
    holds(&format!(
        "{swipe}, fist x9 => open-palm start@1.33, swipe-left start@1.67, open-palm end@2.27, fist start@2.27"
    ));
    // Nor for ever: a wave is no open palm.
    holds(
        "none x15, open-palm x6, wave x60 => open-palm start@1.33, wave start@1.53, open-palm end@3.07",
    );
    // A shape that starts after the movement is none of its business.
    holds("none x15, wave x3, fist x6, none x6 => wave start@1.13, fist start@1.53, fist end@1.93");
    // The return from it neither starts nor ends anything.
    holds(&format!(
        "{swipe}, open-palm 0.4 x3, swipe-right x9, open-palm x6 => open-palm start@1.33, swipe-left start@1.67, open-palm hold@2.73"
    ));
    holds(&format!(
        "shapes.on-movement = 'end' | {swipe}, none x9 => open-palm start@1.33, open-palm end@1.67, swipe-left start@1.67"
    ));
    holds(&format!(
        "gesture.fist.on-movement = 'end' | {swipe}, none x9 => open-palm start@1.33, swipe-left start@1.67"
    ));
}

#[test]
fn missing_windows_are_passed_over_unless_they_are_many() {
    holds("fist x3, unscored x3, fist x1 => fist start@0.40");
    holds("fist x3, gap 0.8s, fist x1 => fist start@1.00");
    holds("fist x3, gap 1.2s, fist x6 => fist start@1.73");
    holds("shapes.max-missing = '200ms' | fist x3, unscored x4, fist x6 => fist start@0.80");
    // A held one goes on if it is seen again, and ends if nothing is known for too long.
    holds("fist x6, gap 0.4s, unscored x7, fist x1 => fist start@0.33, fist hold@1.27");
    holds("fist x6, unscored x20 => fist start@0.33, fist end@1.47");
    holds(
        "gesture.fist.max-missing = '0s' | fist x6, unscored x2 => fist start@0.33, fist end@0.47",
    );
    holds("none x15, wave x2, unscored x3, wave x1 => wave start@1.33");
    holds("none x15, wave x2, unscored x4, wave x3 => wave start@1.53");
}

#[test]
fn movements_are_armed_a_second_after_a_hand_is_found() {
    holds("swipe-up x17 => ");
    holds("swipe-up x18 => swipe-up start@1.13");
    holds("none x30, gone, track 2, swipe-up x17 => ");
    holds("none x30, track 2, swipe-up x18 => 2:swipe-up start@3.13");
    // Found again: poses are missing from its track.
    holds("none x30, gap 0.4s, swipe-up x17 => ");
    holds("none x30, gap 0.4s, swipe-up x18 => swipe-up start@3.53");
    // Poses that are there, but nobody has scored, are no gap.
    holds("none x30, unscored x5, swipe-up x3 => swipe-up start@2.47");
    holds("movements.arming-delay = '0s' | wave x3 => wave start@0.13");
    holds("shapes.arming-delay = '1s' | fist x30 => fist start@1.33, fist hold@1.87");
}

#[test]
fn what_a_hand_holds_ends_when_it_leaves() {
    holds(
        "fist x10, gone, gone, track 2, fist x6 => fist start@0.33, fist end@0.67, 2:fist start@1.00",
    );
    // A third hand, and nobody said that the first one left.
    holds("fist x10, track 2, none x1, track 3, none x1 => fist start@0.33, fist end@0.73");
    // Whatever its movement is.
    holds("none x15, fist x6, wave x3, gone => fist start@1.33, wave start@1.53, fist end@1.60");
}

#[test]
fn a_hand_must_be_large_enough() {
    let rule = "shapes.min-hand-size = 0.1; shapes.hold-period = '0s'";
    holds(&format!(
        "{rule} | size 0.09, fist x20, size 0.11, fist x6 => fist start@1.67"
    ));
    holds(&format!(
        "{rule} | fist x6, size 0.09, fist x4, size 0.11, fist x4 => fist start@0.33"
    ));
    holds(&format!(
        "{rule} | fist x6, size 0.09, fist x6 => fist start@0.33, fist end@0.73"
    ));
    holds("gesture.wave.min-hand-size = 0.1 | size 0.05, none x15, wave x9 => ");
}

#[test]
fn a_shape_is_held_only_where_the_hand_rests() {
    // A palm is 0.15 picture widths long here.
    let carried =
        "at 0.2 0.5, fist x2, at 0.3 0.5, fist x2, at 0.4 0.5, fist x2, at 0.5 0.5, fist x2";
    holds(&format!("{carried} => "));
    holds(&format!(
        "shapes.max-drift = 2 | {carried} => fist start@0.33"
    ));
    holds(&format!("{carried}, fist x6 => fist start@0.60"));
    holds("at 0.2 0.5, fist x3, at 0.3 0.5, fist x3 => fist start@0.33");
    // Towards the camera, which enlarges the hand, it goes as well.
    let nearer = "size 0.1, fist x2, size 0.12, fist x2, size 0.14, fist x2, size 0.16, fist x2";
    holds(&format!("{nearer} => "));
    holds(&format!(
        "shapes.max-drift = inf | {nearer} => fist start@0.33"
    ));
    // Once it has started, it may be carried about.
    holds(&format!(
        "at 0.2 0.5, fist x6, {carried} => fist start@0.33, fist hold@0.87"
    ));
}

#[test]
fn a_gesture_can_have_a_zone() {
    let right = "gesture.fist.zone = [0.5, 0.0, 1.0, 0.5]; shapes.hold-period = '0s'";
    holds(&format!(
        "{right} | at 0.4 0.4, fist x9, at 0.6 0.6, fist x9, at 0.6 0.4, fist x9 => fist start@1.53"
    ));
    holds(&format!(
        "{right} | at 0.6 0.4, fist x6, at 0.4 0.4, fist x6 => fist start@0.33, fist end@0.73"
    ));
    // A hand at the edge is on neither side long enough.
    holds(&format!(
        "{right} | at 0.6 0.4, fist x3, at 0.4 0.4, fist x1, at 0.6 0.4, fist x3 => "
    ));
    // One that is half out of the picture is still in the whole of it.
    holds("at 1.1 -0.1, fist x6 => fist start@0.33");
    // Out of the zone a movement is not made again.
    holds(
        "movements.zone = [0.0, 0.0, 0.5, 1.0]; movements.cool-down = '0s' | at 0.4 0.5, none x15, wave x3, at 0.6 0.5, wave x9, at 0.4 0.5, wave x9 => wave start@1.13",
    );
}

#[test]
fn a_gesture_can_be_that_of_one_hand() {
    holds("shapes.hand = 'left' | fist x9, gone, left, fist x6 => left fist start@0.93");
    holds("gesture.wave.hand = 'right' | left, none x15, wave x9 => ");
    // A hand that is named otherwise in the middle of it is still the same.
    holds(
        "fist x6, left, fist x3, none x6, fist x6 => fist start@0.33, fist end@0.93, left fist start@1.33",
    );
    holds("gesture.fist.hand = 'right' | fist x6, left, fist x3 => fist start@0.33");
}

#[test]
fn a_gesture_can_be_switched_off_or_made_another_kind() {
    holds("gesture.fist.kind = 'none' | fist x20 => ");
    holds("gesture.ok = { kind = 'movement', arming-delay = '0s' } | ok x20 => ok start@0.13");
    holds(
        "gesture.wave = { kind = 'shape', hold-period = '0s' } | wave x9, none x6 => wave start@0.33, wave end@0.93",
    );
}

/// A moment of the random test: poses of a track with two probabilities, a silence, a leave.
#[derive(Debug, Clone)]
struct Moment {
    track: u32,
    labels: [usize; 2],
    scores: [f32; 2],
    times: u64,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Scored,
    Unscored,
    Gap,
    Leaves,
}

/// Poses of up to three tracks, which two hands have to share.
fn stories() -> impl Strategy<Value = Vec<Moment>> {
    let score = || prop_oneof![9 => 0.0..=1.0f32, 9 => 0.6..=1.0f32, 1 => Just(f32::NAN)];
    // A few labels, or nothing would ever meet its opposite.
    let label = || prop_oneof![0..2usize, 8..12usize, 16..18usize];
    let what = prop_oneof![
        20 => Just(What::Scored),
        2 => Just(What::Unscored),
        2 => Just(What::Gap),
        1 => Just(What::Leaves),
    ];
    let moment = (
        1..=3u32,
        [label(), label()],
        [score(), score()],
        1..25u64,
        what,
    );
    let moment = moment.prop_map(|(track, labels, scores, times, what)| Moment {
        track,
        labels,
        scores,
        times,
        what,
    });
    prop::collection::vec(moment, 1..80)
}

/// What the random test knows of the events so far.
#[derive(Default)]
struct Witness {
    /// What each track holds, and as which hand.
    held: BTreeMap<u32, (Arc<str>, Handedness)>,
    movements: Vec<(Duration, u32, Arc<str>)>,
    /// When each track was first seen, or seen again after a gap.
    followed_since: BTreeMap<u32, Duration>,
}

impl Witness {
    fn see(&mut self, e: &GestureEvent) -> Result<(), TestCaseError> {
        prop_assert!((0.0..=1.0).contains(&e.score), "{e:?}");
        let rule = Rule::of(Kind::of(&e.gesture));
        let who = (Arc::clone(&e.gesture), e.hand);
        match e.phase {
            Phase::Start => prop_assert!(e.score >= rule.enter, "{e:?}"),
            Phase::Hold => prop_assert!(e.score >= rule.exit, "{e:?}"),
            Phase::End => {}
        }
        if rule.kind == Kind::Shape {
            match e.phase {
                Phase::Start => prop_assert_eq!(self.held.insert(e.track, who), None),
                Phase::Hold => prop_assert_eq!(self.held.get(&e.track), Some(&who)),
                Phase::End => prop_assert_eq!(self.held.remove(&e.track), Some(who)),
            }
            return Ok(());
        }
        prop_assert_eq!((rule.kind, e.phase), (Kind::Movement, Phase::Start));
        prop_assert!(
            e.t - self.followed_since[&e.track] >= rule.arming_delay,
            "{e:?}"
        );
        for (t, track, label) in &self.movements {
            let passed = e.t - *t;
            prop_assert!(passed >= rule.cool_down, "{e:?} after {label}");
            if rule::opposite(label) == Some(&e.gesture) && *track == e.track {
                prop_assert!(passed >= rule.return_time, "{e:?} after {label}");
            }
        }
        self.movements.push((e.t, e.track, Arc::clone(&e.gesture)));
        Ok(())
    }
}

proptest! {
    #[test]
    fn whatever_happens(story in stories()) {
        let mut rules = Rules::new(&LABELS.map(Arc::from), &RulesParams::default()).unwrap();
        let mut witness = Witness::default();
        let mut last_tick = BTreeMap::new();
        let mut hand = Actor::default();
        for moment in story {
            hand.track = moment.track;
            let mut scores = [0.0; LABELS.len()];
            for (label, score) in moment.labels.into_iter().zip(moment.scores) {
                scores[label] = score;
            }
            match moment.what {
                What::Gap => hand.tick += moment.times,
                What::Leaves => {
                    let mut events = Vec::new();
                    rules.hand_left(&hand.left_now(), |e| events.push(e));
                    for e in events {
                        witness.see(&e)?;
                    }
                    prop_assert!(!witness.held.contains_key(&hand.track));
                    last_tick.remove(&hand.track);
                }
                What::Scored | What::Unscored => {
                    for _ in 0..moment.times {
                        let pose = hand.pose();
                        let last = last_tick.insert(hand.track, hand.tick);
                        if last.is_none_or(|tick| tick + 1 != hand.tick) {
                            witness.followed_since.insert(hand.track, pose.t);
                        }
                        let mut events = Vec::new();
                        match moment.what {
                            What::Scored => rules.step(&pose, &scores, |e| events.push(e)),
                            _ => rules.see(&pose, |e| events.push(e)),
                        }
                        for e in events {
                            witness.see(&e)?;
                        }
                        hand.tick += 1;
                    }
                }
            }
        }
        for track in 1..=3 {
            hand.track = track;
            let mut events = Vec::new();
            rules.hand_left(&hand.left_now(), |e| events.push(e));
            for e in events {
                witness.see(&e)?;
            }
        }
        prop_assert!(witness.held.is_empty(), "{:?}", witness.held);
    }
}
