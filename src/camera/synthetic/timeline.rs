//! A script laid out in time: which path the hand is on, and how it looks, at every moment.

use super::geometry::{Rotation, Vec3, vec3};
use super::movement::{Path, Posture, Stroke, Variation, below, ease, rest, strokes};
use super::scene::{Look, PlacedHand, View};
use super::truth::Interval;
use crate::pose::Handedness;

/// What a statement makes the hand do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Action {
    /// Rest in view.
    Wait,
    /// Leave the view.
    Hide,
    /// Hold a shape; the flag says whether it is a label.
    Hold(&'static str, bool),
    /// Make a movement.
    Move(&'static str),
}

/// A stretch of time in which the hand is on one path.
#[derive(Debug, Clone)]
struct Piece {
    start: f64,
    end: f64,
    /// `None` while no hand is in view.
    path: Option<Path>,
    look: Look,
    /// Grows whenever a hand comes into view.
    track: u32,
}

/// The pieces of a script without gaps, and its labelled intervals.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    view: View,
    /// Where the hand is held up at first: what the camera looks at.
    centre: Vec3,
    pieces: Vec<Piece>,
    pub intervals: Vec<Interval>,
    seed: u32,
}

/// What is to be seen at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub look: Look,
    /// The hand and its track, when there is one.
    pub hand: Option<(PlacedHand, u32)>,
}

/// How long a hand takes to come into view or to leave it, in seconds.
const ENTER_SECONDS: f32 = 0.55;

impl Timeline {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.pieces.last().map_or(0.0, |p| p.end)
    }

    /// What is to be seen `t` seconds after the start; the last moment beyond the end.
    pub fn at(&self, t: f64) -> Moment {
        let i = self.pieces.partition_point(|p| p.end <= t);
        let piece = &self.pieces[i.min(self.pieces.len() - 1)];
        let share = ((t - piece.start) / (piece.end - piece.start)).clamp(0.0, 1.0);
        let hand = piece.path.map(|path| {
            let posture = alive(path.at(share as f32), t, self.seed);
            let look = &piece.look;
            let posture = self.view.seen(posture, self.centre, look.hand);
            (
                PlacedHand::new(&posture, look.hand, look.hand_size),
                piece.track,
            )
        });
        Moment {
            look: piece.look,
            hand,
        }
    }
}

/// Nobody's hand is ever quite still: a slow sway and a faint tremor.
fn alive(mut posture: Posture, t: f64, seed: u32) -> Posture {
    let wave = |hz: f64, salt: u32| {
        let phase = f64::from(mix(seed ^ salt)) / f64::from(u32::MAX);
        ((t * hz + phase).fract() * std::f64::consts::TAU).sin() as f32
    };
    let sway = vec3(wave(0.43, 1), wave(0.57, 2), wave(0.31, 3)) * 0.0022;
    let tremor = vec3(wave(3.1, 4), wave(3.7, 5), 0.0) * 0.0004;
    posture.palm += sway + tremor;
    let lean = vec3(wave(0.37, 6), wave(0.29, 7), wave(0.41, 8)).normalized();
    posture.facing = posture
        .facing
        .then(Rotation::about(lean, 1.6 * wave(0.53, 9)));
    posture
}

/// A hash of 32 bits (Murmur3's finaliser).
pub(super) fn mix(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

/// Lays statements out in time, one after the other.
#[derive(Debug)]
pub(super) struct Builder {
    view: View,
    seed: u32,
    centre: Option<Vec3>,
    pieces: Vec<Piece>,
    intervals: Vec<Interval>,
    now: Option<Posture>,
    /// The look of the hand that is in view, or was last.
    look: Look,
    track: u32,
    actions: u32,
    /// The look from the next action on.
    pub next_look: Look,
    /// Where the hand is held up, in picture widths and heights.
    pub home: (f32, f32),
    /// From the camera, in metres.
    pub distance: f32,
}

impl Builder {
    pub fn new(view: View, seed: u32) -> Self {
        Self {
            view,
            seed,
            centre: None,
            pieces: Vec::new(),
            intervals: Vec::new(),
            now: None,
            look: Look::default(),
            track: 0,
            actions: 0,
            next_look: Look::default(),
            home: (0.5, 0.52),
            distance: 0.5,
        }
    }

    /// Seconds laid out so far.
    pub fn seconds(&self) -> f64 {
        self.pieces.last().map_or(0.0, |p| p.end)
    }

    pub fn finish(self) -> Timeline {
        Timeline {
            view: self.view,
            centre: self.centre.unwrap_or_default(),
            pieces: self.pieces,
            intervals: self.intervals,
            seed: self.seed,
        }
    }

    /// Adds what one statement makes the hand do for `seconds`.
    pub fn act(&mut self, action: Action, seconds: f64) {
        let other_person = {
            let (a, b) = (&self.look, &self.next_look);
            (a.hand, a.skin, a.hand_size) != (b.hand, b.skin, b.hand_size)
        };
        if other_person && self.now.is_some() {
            self.leave();
        }
        self.look = self.next_look;
        self.actions += 1;
        let in_view = self.view.point_at(self.home, self.distance);
        self.centre.get_or_insert(in_view);
        let home = self.palm_home();
        match action {
            Action::Hide => {
                self.leave();
                self.add(None, seconds);
            }
            Action::Wait => self.hold(rest(home), None, seconds),
            Action::Hold(name, label) => {
                self.hold(Posture::of(name, home), label.then_some(name), seconds);
            }
            Action::Move(name) => {
                let from = self.enter(rest(home));
                let mirrored = self.look.hand == Handedness::Left;
                let vary = self.variation();
                for stroke in strokes(name, seconds as f32, from, home, mirrored, vary) {
                    let start = self.seconds();
                    // Sums of f32 seconds would drift away from what the script says.
                    let seconds = if stroke.gesture {
                        seconds
                    } else {
                        f64::from(stroke.seconds)
                    };
                    self.add(Some(stroke.path), seconds);
                    if stroke.gesture {
                        self.label(name, start);
                    }
                }
            }
        }
    }

    fn hold(&mut self, posture: Posture, label: Option<&'static str>, seconds: f64) {
        let from = self.enter(posture);
        if let Some(Stroke { path, seconds, .. }) = ease(from, posture) {
            self.add(Some(path), f64::from(seconds));
        }
        let start = self.seconds();
        let still = Path::Ease {
            from: posture,
            to: posture,
            bow: Vec3::default(),
        };
        self.add(Some(still), seconds);
        if let Some(name) = label {
            self.label(name, start);
        }
    }

    /// Brings the hand into view if there is none, on its way to `towards`. At the very start of
    /// a script it is simply there.
    fn enter(&mut self, towards: Posture) -> Posture {
        if let Some(now) = self.now {
            return now;
        }
        self.track += 1;
        if !self.pieces.is_empty() {
            let home = self.palm_home();
            let path = Path::Ease {
                from: below(home, self.drop()),
                to: towards,
                bow: Vec3::default(),
            };
            self.add(Some(path), f64::from(ENTER_SECONDS));
        }
        towards
    }

    fn leave(&mut self) {
        if let Some(from) = self.now {
            let path = Path::Ease {
                from,
                to: below(self.palm_home(), self.drop()),
                bow: Vec3::default(),
            };
            self.add(Some(path), f64::from(ENTER_SECONDS));
            self.now = None;
        }
    }

    fn add(&mut self, path: Option<Path>, seconds: f64) {
        let start = self.seconds();
        self.now = path.map(|p| p.at(1.0));
        self.pieces.push(Piece {
            start,
            end: start + seconds,
            path,
            look: self.look,
            track: self.track,
        });
    }

    /// Labels the time from `start` to now. A shape that is simply held on is one gesture.
    fn label(&mut self, gesture: &'static str, start: f64) {
        let end = self.seconds();
        match self.intervals.last_mut() {
            Some(last) if last.gesture == gesture && last.end == start => last.end = end,
            _ => self.intervals.push(Interval {
                gesture,
                start,
                end,
            }),
        }
    }

    /// The middle of the palm of a hand that is held up. A left hand is laid out in a mirror.
    fn palm_home(&self) -> Vec3 {
        let home = self.view.point_at(self.home, self.distance);
        match self.look.hand {
            Handedness::Right => home,
            Handedness::Left => home.mirrored(),
        }
    }

    /// How far below its place the whole hand is out of view, in metres.
    fn drop(&self) -> f32 {
        let bottom = self.view.point_at((0.5, 1.0), self.distance).y;
        (bottom - self.palm_home().y).max(0.0) + 0.14 * self.look.hand_size
    }

    fn variation(&self) -> Variation {
        let draw = |salt: u32| {
            let hash = mix(mix(self.seed ^ salt).wrapping_add(self.actions));
            (f64::from(hash) / f64::from(u32::MAX) * 2.0 - 1.0) as f32
        };
        Variation {
            size: draw(0x11),
            direction: draw(0x22),
            bow: draw(0x33),
            phase: draw(0x44),
        }
    }
}
