//! How the hand moves: postures, the paths between them, and the strokes of each movement.
//!
//! Directions are those of the picture. Speeds follow the minimum-jerk profile of people's
//! reaching movements (Flash and Hogan 1985).

use std::f32::consts::{PI, TAU};

use super::geometry::{Rotation, Vec3, vec3};
use super::shapes::{facing, shape};
use super::skeleton::Angles;

/// Where a right hand is and how it is held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Posture {
    pub angles: Angles,
    /// The middle of the palm in the camera's space, in metres.
    pub palm: Vec3,
    /// How the hand is turned.
    pub facing: Rotation,
    /// From the wrist towards the elbow.
    pub elbow: Vec3,
}

impl Posture {
    /// The named shape with the palm at `palm`.
    pub fn of(name: &str, palm: Vec3) -> Self {
        let shape = shape(name).expect("a shape that exists");
        Self {
            angles: shape.angles,
            palm,
            facing: shape.facing(),
            elbow: shape.elbow,
        }
    }

    /// The hand carried by `way`; the elbow follows half-way, so the arm tilts.
    pub fn moved(mut self, way: Vec3) -> Self {
        self.palm += way;
        self.elbow = (self.elbow.normalized() * FOREARM - way * 0.5).normalized();
        self
    }

    /// The hand turned about a direction of the camera's space.
    pub fn turned(mut self, axis: Vec3, degrees: f32) -> Self {
        self.facing = self.facing.then(Rotation::about(axis, degrees));
        self
    }

    /// The angles of another shape, everything else the same.
    pub fn shaped(mut self, angles: Angles) -> Self {
        self.angles = angles;
        self
    }

    fn lerp(&self, to: &Self, t: f32) -> Self {
        Self {
            angles: self.angles.lerp(&to.angles, t),
            palm: self.palm.lerp(to.palm, t),
            facing: self.facing.slerp(to.facing, t),
            elbow: self.elbow.lerp(to.elbow, t).normalized(),
        }
    }

    /// How long a person takes to get from here to `to` without haste, in seconds.
    pub fn time_to(&self, to: &Self) -> f32 {
        let bend = self.angles.most_apart(&to.angles);
        let way = (self.palm - to.palm).length();
        let turn = self.facing.angle_to(to.facing);
        if bend < 1.0 && way < 0.002 && turn < 1.0 {
            return 0.0;
        }
        (0.22 + 0.08 * bend / 90.0)
            .max(0.2 + way / 0.5)
            .max(0.2 + turn / 350.0)
    }
}

/// From the wrist to the elbow, in metres.
const FOREARM: f32 = 0.25;

const RIGHT: Vec3 = vec3(1.0, 0.0, 0.0);
const UP: Vec3 = vec3(0.0, -1.0, 0.0);
const DOWN: Vec3 = vec3(0.0, 1.0, 0.0);
const NEARER: Vec3 = vec3(0.0, 0.0, -1.0);
/// Turning about this tilts the picture clockwise.
const CLOCKWISE: Vec3 = vec3(0.0, 0.0, 1.0);

/// A piece of movement.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path {
    /// From one posture to another; `bow` is how far the middle of the way is off the straight.
    Ease {
        from: Posture,
        to: Posture,
        bow: Vec3,
    },
    /// To and fro about a posture, `cycles` times.
    Swing {
        about: Posture,
        reach: Vec3,
        tilt_degrees: f32,
        cycles: f32,
    },
    /// Round a centre, from `start` on by `turns`; positive is clockwise in the picture.
    Round {
        centre: Posture,
        radius: f32,
        start: f32,
        turns: f32,
    },
}

/// Progress along a movement that starts and ends at rest, for `t` from 0 to 1.
fn minimum_jerk(t: f32) -> f32 {
    t * t * t * (10.0 + t * (6.0 * t - 15.0))
}

/// Progress along a circle: a short start, an even speed, a short stop.
fn steady(t: f32) -> f32 {
    const RAMP: f32 = 0.18;
    let speed = 1.0 / (1.0 - RAMP);
    if t < RAMP {
        speed * t * t / (2.0 * RAMP)
    } else if t > 1.0 - RAMP {
        1.0 - speed * (1.0 - t) * (1.0 - t) / (2.0 * RAMP)
    } else {
        speed * (t - RAMP / 2.0)
    }
}

impl Path {
    /// The posture after the share `t` (0 to 1) of the path's time.
    pub fn at(&self, t: f32) -> Posture {
        match *self {
            Self::Ease { from, to, bow } => {
                let s = minimum_jerk(t);
                let mut posture = from.lerp(&to, s);
                posture.palm += bow * (PI * s).sin();
                posture
            }
            Self::Swing {
                about,
                reach,
                tilt_degrees,
                cycles,
            } => {
                let grow = (t * 8.0).min((1.0 - t) * 8.0).clamp(0.0, 1.0);
                let swing = minimum_jerk(grow) * (TAU * cycles * t).sin();
                about
                    .moved(reach * swing)
                    .turned(CLOCKWISE, tilt_degrees * swing)
            }
            Self::Round {
                centre,
                radius,
                start,
                turns,
            } => {
                let (sin, cos) = (TAU * (start + turns * steady(t))).sin_cos();
                centre.moved((UP * cos + RIGHT * sin) * radius)
            }
        }
    }
}

/// A piece of a movement and the seconds that it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub path: Path,
    pub seconds: f32,
    /// Whether this is the gesture itself, or getting ready for it and back.
    pub gesture: bool,
}

/// What differs from one person, and one time, to the next. All 0 is the middle.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Variation {
    /// Of the size of movements, about -1 to 1.
    pub size: f32,
    /// Of their direction, about -1 to 1.
    pub direction: f32,
    /// Of how far the arm swings off the straight, about -1 to 1.
    pub bow: f32,
    /// Where a circle begins and how far it goes, about -1 to 1.
    pub phase: f32,
}

/// The movements among [`LABELS`](crate::gesture::LABELS), in its order.
pub(super) const MOVEMENTS: [&str; 10] = [
    "swipe-left",
    "swipe-right",
    "swipe-up",
    "swipe-down",
    "wave",
    "push",
    "circle-cw",
    "circle-ccw",
    "pinch",
    "spread",
];

/// How long a movement takes unless the script says it, in seconds.
pub(super) fn usual_seconds(movement: &str) -> f64 {
    match movement {
        "wave" => 1.6,
        "circle-cw" | "circle-ccw" => 1.1,
        "push" => 0.6,
        _ => 0.5,
    }
}

/// The strokes of a movement for a right hand, from getting ready to the end of the gesture.
///
/// `from` is where the hand is before, `home` the middle of the palm when the hand is held up.
/// `mirrored` says that the result will be mirrored into a left hand, so that sides swap.
pub(super) fn strokes(
    movement: &str,
    seconds: f32,
    from: Posture,
    home: Vec3,
    mirrored: bool,
    vary: Variation,
) -> Vec<Stroke> {
    let grow = 1.0 + 0.15 * vary.size;
    // The user faces the camera, so their left is the picture's right.
    let side = if mirrored { -1.0 } else { 1.0 };
    match movement {
        "swipe-left" => swipe(seconds, from, home, RIGHT * side, grow, vary),
        "swipe-right" => swipe(seconds, from, home, RIGHT * -side, grow, vary),
        "swipe-up" => swipe(seconds, from, home, UP, grow, vary),
        "swipe-down" => swipe(seconds, from, home, DOWN, grow, vary),
        "wave" => {
            let about = Posture::of("open-palm", home + UP * 0.02);
            let path = Path::Swing {
                about,
                reach: RIGHT * (0.055 * grow),
                tilt_degrees: 17.0 * grow,
                cycles: (seconds * 1.9).round().max(1.0),
            };
            ready_then(from, path, seconds)
        }
        "push" => {
            let open = Posture::of("open-palm", home);
            let start = open.moved(NEARER * -0.05).turned(RIGHT, 8.0);
            let path = Path::Ease {
                from: start,
                to: open.moved(NEARER * (0.17 * grow) + UP * 0.01),
                bow: DOWN * (0.01 * vary.bow),
            };
            let mut strokes = ready_then(from, path, seconds);
            strokes.push(back(path, home));
            strokes
        }
        "circle-cw" | "circle-ccw" => {
            // Clockwise for the user is anticlockwise in the picture.
            let turns =
                (1.05 + 0.1 * vary.phase) * if movement == "circle-cw" { -1.0 } else { 1.0 };
            let path = Path::Round {
                centre: Posture::of("point-up", home),
                radius: 0.065 * grow,
                start: 0.06 * vary.phase,
                turns: turns * side,
            };
            ready_then(from, path, seconds)
        }
        "pinch" | "spread" => {
            let (apart, together) = pinch_ends(home);
            let (start, end) = if movement == "pinch" {
                (apart, together)
            } else {
                (together, apart)
            };
            let path = Path::Ease {
                from: start,
                to: end,
                bow: Vec3::default(),
            };
            let mut strokes = ready_then(from, path, seconds);
            strokes.push(still(end, 0.25));
            strokes
        }
        _ => unreachable!("{movement} is not among the movements"),
    }
}

/// Thumb and index finger apart, and tip on tip, the others half bent.
fn pinch_ends(home: Vec3) -> (Posture, Posture) {
    let together = Posture::of("ok", home)
        .turned(CLOCKWISE, 12.0)
        .turned(DOWN, -12.0);
    let mut closed = together.angles;
    let mut open = Posture::of("open-palm", home).angles;
    for finger in 1..4 {
        let f = &mut closed.fingers[finger];
        (f.mcp, f.pip, f.dip) = (42.0, 52.0, 22.0);
        f.spread *= 0.5;
        open.fingers[finger] = *f;
    }
    open.fingers[0].mcp = 14.0;
    open.fingers[0].pip = 12.0;
    open.thumb.radial = 56.0;
    open.thumb.palmar = 24.0;
    (together.shaped(open), together.shaped(closed))
}

fn swipe(
    seconds: f32,
    from: Posture,
    home: Vec3,
    along: Vec3,
    grow: f32,
    vary: Variation,
) -> Vec<Stroke> {
    let sideways = along.x != 0.0;
    let across = CLOCKWISE.cross(along);
    let along = (along + across * (0.12 * vary.direction)).normalized();
    let (reach, middle, turn_axis, turn, tilt) = if sideways {
        (0.135 * grow, home, UP, 18.0 * along.x, 12.0 * along.x)
    } else {
        (0.10 * grow, home + DOWN * 0.01, RIGHT, 22.0 * along.y, 0.0)
    };
    let hand = Posture::of("flat", middle);
    let hand = hand.shaped(
        hand.angles
            .lerp(&Posture::of("open-palm", middle).angles, 0.5),
    );
    let path = Path::Ease {
        from: hand
            .moved(along * -reach)
            .turned(turn_axis, turn)
            .turned(CLOCKWISE, -tilt),
        to: hand
            .moved(along * reach)
            .turned(turn_axis, -turn)
            .turned(CLOCKWISE, tilt),
        bow: if sideways {
            UP * (0.015 + 0.01 * vary.bow)
        } else {
            RIGHT * (0.01 * vary.bow)
        },
    };
    let mut strokes = ready_then(from, path, seconds);
    strokes.push(back(path, home));
    strokes
}

fn ready_then(from: Posture, path: Path, seconds: f32) -> Vec<Stroke> {
    let mut strokes = Vec::with_capacity(3);
    // A person collects themselves a little before a stroke.
    strokes.extend(ease(from, path.at(0.0)).map(|ready| Stroke {
        seconds: ready.seconds * 1.2,
        ..ready
    }));
    strokes.push(Stroke {
        path,
        seconds,
        gesture: true,
    });
    strokes
}

/// From the end of a stroke to rest, in no hurry and below the way that the stroke took.
fn back(stroke: Path, home: Vec3) -> Stroke {
    Stroke {
        path: Path::Ease {
            from: stroke.at(1.0),
            to: rest(home),
            bow: DOWN * 0.03,
        },
        seconds: 0.85,
        gesture: false,
    }
}

/// The way from one posture to another, if they differ.
pub(super) fn ease(from: Posture, to: Posture) -> Option<Stroke> {
    let seconds = from.time_to(&to);
    (seconds > 0.0).then_some(Stroke {
        path: Path::Ease {
            from,
            to,
            bow: Vec3::default(),
        },
        seconds,
        gesture: false,
    })
}

/// Staying in a posture.
pub(super) fn still(posture: Posture, seconds: f32) -> Stroke {
    Stroke {
        path: Path::Ease {
            from: posture,
            to: posture,
            bow: Vec3::default(),
        },
        seconds,
        gesture: false,
    }
}

/// A hand at rest in view: half open, a little lower than when it is held up.
pub(super) fn rest(home: Vec3) -> Posture {
    Posture::of("relaxed", home + DOWN * 0.045)
}

/// Where a hand comes from and goes to: below the view, at a distance of `drop` from `home`.
pub(super) fn below(home: Vec3, drop: f32) -> Posture {
    let mut posture = rest(home + DOWN * drop);
    posture.facing = facing(vec3(0.3, -0.8, -0.5), vec3(0.3, -0.5, -0.8));
    posture
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gesture::LABELS;

    #[test]
    fn the_movements_are_the_labels() {
        assert_eq!(MOVEMENTS, LABELS[8..18]);
    }

    #[test]
    fn strokes_join_without_a_jump() {
        let home = vec3(0.0, 0.0, 0.6);
        for movement in MOVEMENTS {
            let strokes = strokes(movement, 0.5, rest(home), home, false, Variation::default());
            assert_eq!(strokes.iter().filter(|s| s.gesture).count(), 1);
            for pair in strokes.windows(2) {
                let (end, start) = (pair[0].path.at(1.0), pair[1].path.at(0.0));
                assert!((end.palm - start.palm).length() < 1e-4, "{movement}");
                assert!(end.facing.angle_to(start.facing) < 0.5, "{movement}");
            }
        }
    }

    #[test]
    fn swipes_go_to_the_users_side_for_both_hands() {
        let home = vec3(0.0, 0.0, 0.6);
        for mirrored in [false, true] {
            for (movement, picture_x) in [("swipe-left", 1.0), ("swipe-right", -1.0)] {
                let vary = Variation::default();
                let strokes = strokes(movement, 0.5, rest(home), home, mirrored, vary);
                let stroke = strokes.iter().find(|s| s.gesture).unwrap().path;
                let way = stroke.at(1.0).palm.x - stroke.at(0.0).palm.x;
                let way = if mirrored { -way } else { way };
                assert!(way * picture_x > 0.2, "{movement} {mirrored} {way}");
            }
        }
    }

    #[test]
    fn circles_go_round_as_the_user_sees_them() {
        let home = vec3(0.0, 0.0, 0.6);
        for (movement, sign) in [("circle-cw", -1.0), ("circle-ccw", 1.0)] {
            let vary = Variation::default();
            let strokes = strokes(movement, 1.0, rest(home), home, false, vary);
            let path = strokes.iter().find(|s| s.gesture).unwrap().path;
            // Twice the area enclosed; positive is clockwise where y goes down.
            let area: f32 = (0..50)
                .map(|i| {
                    let (a, b) = (
                        path.at(i as f32 / 50.0).palm,
                        path.at((i + 1) as f32 / 50.0).palm,
                    );
                    a.x * b.y - b.x * a.y
                })
                .sum();
            assert!(area * sign > 0.01, "{movement} {area}");
        }
    }
}
