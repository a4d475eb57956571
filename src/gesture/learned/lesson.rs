//! A lesson: what was learned from takes, and how far it can be trusted.

use std::fmt;
use std::sync::Arc;

use super::descriptor::{self, nearest};
use super::take::WINDOWS;
use super::{Background, Gesture, NameError, Take, check_name};
use crate::gesture::{Classifier, Kind, Score, ScoreError};

/// The fewest takes that can be learned from: each is held against at least two others.
pub const MIN_TAKES: usize = 3;

/// The radius reaches beyond the take that is farthest from the others by so much at most ...
const REACH: f32 = 1.5;

/// ... for which takes count as this far apart at least, however alike they are: nobody makes a gesture
/// the next day as five times in a row ...
const LEAST_UNLIKENESS: f32 = 0.12;

/// ... and takes in so much of the background at most. Measured: with this share, one in a
/// hundred other movements of real people is taken for the gesture.
const BACKGROUND_SHARE: f32 = 0.007;

/// From so many takes on that the others don't recognise, out of all, they are no gesture.
const MAX_UNLIKE: f32 = 0.4;

/// From so many takes on that are taken for another gesture, out of all, they are that gesture.
const MAX_TAKEN_FOR: f32 = 0.34;

/// From this probability on the model has made up its mind.
const SURE: f32 = 0.5;

/// What the model makes of the takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// A label of the model, or of a gesture that was learned before.
    pub label: Arc<str>,
    /// Takes that it is sure of.
    pub takes: usize,
}

/// What speaks against a gesture.
#[derive(Debug, Clone, PartialEq)]
pub enum Objection {
    /// The takes don't look like one another; these (from 1) are farthest from the others.
    Unlike(Vec<usize>),
    /// The model takes them for one of its own labels.
    IsKnown(Told),
    /// They lie within the radius of a gesture that was learned before, or that one within
    /// theirs.
    IsLearned(Told),
}

/// A gesture that was learned, and what there is to say about it.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// The gesture.
    pub gesture: Gesture,
    /// For each take, how far it is from the others, in radii.
    pub unlikeness: Vec<f32>,
    /// What the model takes the takes for, most frequent first. `none` is not listed.
    pub known: Vec<Told>,
    /// The nearest thing that the drawn hand does, and how far it is, in radii.
    pub background: Option<(&'static str, f32)>,
    /// Share of the background that lies within the radius.
    pub background_share: f32,
    /// The nearest gesture that was learned before, and how far it is, in radii.
    pub neighbour: Option<(Arc<str>, f32)>,
    /// What speaks against using it.
    pub objections: Vec<Objection>,
}

/// Why nothing can be learned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LessonError {
    /// The label can't be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The model has the label.
    #[error("the model knows {0:?} already; record the gesture under a label of its own")]
    Known(String),
    /// There are too few takes.
    #[error(
        "{takes} usable takes of {label:?} are too few; record at least {MIN_TAKES}, better 5, \
         with `palmd record --label {label}`"
    )]
    TooFew {
        /// The label.
        label: String,
        /// Takes that there are.
        takes: usize,
    },
    /// The classifier failed.
    #[error(transparent)]
    Score(#[from] ScoreError),
}

impl Lesson {
    /// Learns a gesture from its takes. `kind` says whether it is held or moved, if not what the
    /// hand does in most takes. `others` are the gestures that were learned before; one of the
    /// same label is passed over.
    ///
    /// # Errors
    /// [`LessonError`] when there is nothing to learn. That the gesture should not be used is no error
    /// but an [`Objection`].
    pub fn learn(
        label: &str,
        kind: Option<Kind>,
        takes: &[Take],
        classifier: &mut Classifier,
        others: &[Gesture],
        background: &Background,
    ) -> Result<Self, LessonError> {
        check_name(label)?;
        if classifier.labels().iter().any(|known| **known == *label) {
            return Err(LessonError::Known(label.into()));
        }
        if takes.len() < MIN_TAKES {
            return Err(LessonError::TooFew {
                label: label.into(),
                takes: takes.len(),
            });
        }
        let moves = takes.iter().filter(|take| take.kind() == Kind::Movement);
        let kind = kind.unwrap_or(match moves.count() * 2 > takes.len() {
            true => Kind::Movement,
            false => Kind::Shape,
        });
        let mut known = vec![0; classifier.labels().len()];
        let mut descriptors = Vec::with_capacity(takes.len());
        for take in takes {
            let mut sure = vec![0; known.len()];
            descriptors.push(descriptor::of_take(take, classifier, |probabilities| {
                for (sure, &p) in sure.iter_mut().zip(probabilities) {
                    *sure += usize::from(p > SURE);
                }
            })?);
            for (known, sure) in known.iter_mut().zip(sure) {
                *known += usize::from(sure * 2 > WINDOWS);
            }
        }
        let features = classifier.features().len();
        let examples = examples(kind, &descriptors, features);
        let mut unlikeness = unlikeness(&examples, features);
        let prototypes = examples.concat();
        let beside = background.distances(kind, &prototypes);
        let farthest = unlikeness.iter().copied().fold(LEAST_UNLIKENESS, f32::max);
        let share = (beside.len() as f32 * BACKGROUND_SHARE) as usize;
        let free = beside.get(share).map_or(f32::INFINITY, |&(d, _)| d);
        let gesture = Gesture {
            label: label.into(),
            kind,
            takes: takes.len(),
            radius: (REACH * farthest).min(free).max(f32::MIN_POSITIVE),
            features,
            prototypes,
        };
        unlikeness.iter_mut().for_each(|d| *d /= gesture.radius);
        let within = beside.iter().filter(|(d, _)| *d <= gesture.radius).count();
        let labels = classifier.labels().iter().zip(known);
        let mut known: Vec<Told> = labels
            .filter(|(label, takes)| ***label != *"none" && *takes > 0)
            .map(|(label, takes)| Told {
                label: Arc::clone(label),
                takes,
            })
            .collect();
        known.sort_by_key(|told| std::cmp::Reverse(told.takes));
        let others = others.iter().filter(|other| *other.label != *label);
        let neighbours: Vec<_> = others
            .map(|other| {
                (
                    Arc::clone(&other.label),
                    Neighbour::of(&gesture, &descriptors, other),
                )
            })
            .collect();
        let nearest = neighbours
            .iter()
            .min_by(|a, b| a.1.distance.total_cmp(&b.1.distance));
        let mut lesson = Self {
            background: beside
                .first()
                .map(|&(d, doing)| (doing, d / gesture.radius)),
            background_share: within as f32 / beside.len().max(1) as f32,
            neighbour: nearest.map(|(label, n)| (Arc::clone(label), n.distance)),
            gesture,
            unlikeness,
            known,
            objections: Vec::new(),
        };
        lesson.object(&neighbours);
        Ok(lesson)
    }

    fn object(&mut self, neighbours: &[(Arc<str>, Neighbour)]) {
        let takes = self.gesture.takes as f32;
        let unlike: Vec<usize> = (1..)
            .zip(&self.unlikeness)
            .filter_map(|(i, &d)| (d > 1.0).then_some(i))
            .collect();
        if unlike.len() as f32 > MAX_UNLIKE * takes {
            self.objections.push(Objection::Unlike(unlike));
        }
        let many = |told: &&Told| told.takes as f32 > MAX_TAKEN_FOR * takes;
        let known = self.known.iter().filter(many).cloned();
        self.objections.extend(known.map(Objection::IsKnown));
        let learned = neighbours.iter().filter_map(|(label, n)| {
            let told = Told {
                label: Arc::clone(label),
                takes: n.takes,
            };
            (n.covers || many(&&told)).then_some(Objection::IsLearned(told))
        });
        self.objections.extend(learned);
    }

    /// Takes that the others recognise.
    #[must_use]
    pub fn recognised(&self) -> usize {
        self.unlikeness.iter().filter(|&&d| d <= 1.0).count()
    }
}

/// How a gesture stands to one that was learned before.
struct Neighbour {
    /// From one's prototypes to the other's, in radii of the larger.
    distance: f32,
    /// Takes of the new one that lie within the other's radius.
    takes: usize,
    /// Whether much of the other one lies within the radius of the new one.
    covers: bool,
}

impl Neighbour {
    /// A shape and a movement are held against each other as the other one is recognised.
    fn of(gesture: &Gesture, descriptors: &[Vec<f32>], other: &Gesture) -> Self {
        let features = gesture.features;
        let examples = examples(other.kind, descriptors, features);
        let is_other = |take: &&Vec<f32>| middle(take, &other.prototypes, features) <= other.radius;
        let prototypes = examples.concat();
        let apart = other.each_prototype().map(|p| nearest(p, &prototypes));
        let apart: Vec<f32> = apart.collect();
        let within = |d: &&f32| other.kind == gesture.kind && **d <= gesture.radius;
        let covered = apart.iter().filter(within).count();
        let apart = apart.into_iter().fold(f32::INFINITY, f32::min);
        Self {
            distance: apart / gesture.radius.max(other.radius),
            takes: examples.iter().filter(is_other).count(),
            covers: covered as f32 > MAX_TAKEN_FOR * (other.takes * WINDOWS) as f32,
        }
    }
}

/// The takes as gestures of a kind are compared.
fn examples(kind: Kind, descriptors: &[Vec<f32>], features: usize) -> Vec<Vec<f32>> {
    let takes = descriptors.iter();
    takes
        .map(|d| descriptor::parts(kind, d, features))
        .collect()
}

/// How far each take is from the others.
pub(super) fn unlikeness(examples: &[Vec<f32>], features: usize) -> Vec<f32> {
    let to_others = |i: usize| {
        let others: Vec<f32> = examples
            .iter()
            .enumerate()
            .filter(|(k, _)| *k != i)
            .flat_map(|(_, example)| example.iter().copied())
            .collect();
        middle(&examples[i], &others, features)
    };
    (0..examples.len()).map(to_others).collect()
}

/// How far the middle one of a take's windows is from `prototypes`: half of the windows are as near.
pub(super) fn middle(take: &[f32], prototypes: &[f32], features: usize) -> f32 {
    let windows = take.chunks_exact(features.max(1));
    let mut distances: Vec<f32> = windows.map(|w| nearest(w, prototypes)).collect();
    distances.sort_by(f32::total_cmp);
    distances[distances.len() / 2]
}

impl fmt::Display for Lesson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gesture = &self.gesture;
        let takes = gesture.takes;
        let kind = match gesture.kind {
            Kind::Movement => "a movement",
            _ => "a held shape",
        };
        writeln!(f, "{}: {kind}, from {takes} takes", gesture.label)?;
        let farthest = self.unlikeness.iter().copied().fold(0.0, f32::max);
        writeln!(
            f,
            "  among themselves   {} of {takes} takes are recognised by the others (the farthest is {farthest:.2} radii away)",
            self.recognised(),
        )?;
        match &self.neighbour {
            Some((label, d)) => {
                writeln!(
                    f,
                    "  learned gestures   the nearest is {label}, {d:.2} radii away"
                )?;
            }
            None => writeln!(f, "  learned gestures   there is no other")?,
        }
        write!(f, "  known gestures     the model is sure of ")?;
        match &self.known[..] {
            [] => writeln!(f, "none of its own in any take")?,
            known => {
                let told: Vec<_> = known
                    .iter()
                    .map(|t| format!("{} in {} of {takes}", t.label, t.takes))
                    .collect();
                writeln!(f, "{}", told.join(", "))?;
            }
        }
        if let Some((doing, d)) = self.background {
            writeln!(
                f,
                "  the drawn hand     the nearest that it does is {doing}, {d:.2} radii away; {:.1} % of what it does is within",
                100.0 * self.background_share
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlike(takes) => {
                let takes: Vec<_> = takes.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "the takes contradict one another: take {} is like none of the others; \
                     delete such lines and record more",
                    takes.join(", ")
                )
            }
            Self::IsKnown(told) => write!(
                f,
                "the model takes {} of the takes for {}; choose a gesture that differs more from it",
                told.takes, told.label
            ),
            Self::IsLearned(told) => write!(
                f,
                "it lies next to {}, which was learned before; choose a gesture that differs more, \
                 or remove that one",
                told.label
            ),
        }
    }
}
