//! Measures how well gestures are told apart that are learned from five takes.
//!
//! ```text
//! cargo run --release --example teaching -- models/gestures.onnx OTHERS SET...
//! ```
//!
//! SET is a folder of takes, as `palmd record` writes them, in which each label is a gesture of the same
//! people; OTHERS is one of other movements. Of each set, drawn at random with a fixed seed, five
//! gestures are learned from five takes each, again and again, and all other takes are classified. Written is
//! a line of JSON a set:
//!
//! - `accuracy`: takes whose nearest gesture is the right one;
//! - `recall`: takes that are within the radius of their own gesture in three windows in a row,
//!   and `false_acceptance`: takes of other movements that are;
//! - `recall_at_1_percent`: the same with the radius that lets one in a hundred of the others in.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use palmd::gesture::Classifier;
use palmd::gesture::learned::{Background, Lesson, Take, Takes, descriptor, recorded_labels};
use palmd::pose::{LANDMARKS, Point3};
use palmd::window::{WINDOW, WINDOW_LEN, Window};
use serde::Serialize;

/// Takes that a gesture is learned from, gestures that are learned together, and how often.
const SHOTS: usize = 5;
const WAYS: usize = 5;
const EPISODES: usize = 20;

/// Windows in a row that the rules ask for of a movement.
const IN_A_ROW: usize = 3;

/// Poses at the end of a take in which it is looked for.
const LOOKED_AT: usize = 22;

#[derive(Serialize)]
struct Measured {
    set: String,
    gestures: usize,
    accuracy: f64,
    recall: f64,
    false_acceptance: f64,
    recall_at_1_percent: f64,
}

/// A take with the descriptors of its last windows.
struct Seen {
    take: Take,
    descriptors: Vec<Vec<f32>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, others, sets @ ..] = &args[..] else {
        return Err("usage: teaching MODEL OTHERS SET...".into());
    };
    let mut classifier = Classifier::load_with_features(Path::new(model), None)?;
    let background = Background::of(&mut classifier)?;
    let others: Vec<Seen> = read(others, &mut classifier)?
        .into_values()
        .flatten()
        .collect();
    for set in sets {
        let gestures = read(set, &mut classifier)?;
        let measured = measure(set, &gestures, &others, &mut classifier, &background)?;
        println!("{}", serde_json::to_string(&measured)?);
    }
    Ok(())
}

fn read(
    folder: &str,
    classifier: &mut Classifier,
) -> Result<BTreeMap<String, Vec<Seen>>, Box<dyn Error>> {
    let folder = Path::new(folder);
    let mut seen = BTreeMap::new();
    for label in recorded_labels(folder)? {
        let takes = Takes::read(folder, &label)?.takes.into_iter();
        let takes = takes
            .map(|take| see(take, classifier))
            .collect::<Result<_, _>>()?;
        seen.insert(label, takes);
    }
    Ok(seen)
}

fn see(take: Take, classifier: &mut Classifier) -> Result<Seen, Box<dyn Error>> {
    let first = (take.poses.len().saturating_sub(LOOKED_AT)).max(Window::MIN_POSES - 1);
    let mut descriptors = Vec::new();
    for last in first..take.poses.len() {
        let mut descriptor = vec![0.0; descriptor::len(classifier)];
        descriptor::of_window(&window(&take.poses, last), classifier, &mut descriptor)?;
        descriptors.push(descriptor);
    }
    Ok(Seen { take, descriptors })
}

fn window(poses: &[[Point3; LANDMARKS]], last: usize) -> [f32; WINDOW_LEN] {
    let mut window = [0.0; WINDOW_LEN];
    for (i, pose) in window.chunks_exact_mut(LANDMARKS * 3).enumerate() {
        pose.copy_from_slice(poses[(last + 1 + i).saturating_sub(WINDOW)].as_flattened());
    }
    window
}

fn measure(
    set: &str,
    gestures: &BTreeMap<String, Vec<Seen>>,
    others: &[Seen],
    classifier: &mut Classifier,
    background: &Background,
) -> Result<Measured, Box<dyn Error>> {
    let mut random = Random(1);
    let labels: Vec<&String> = gestures.keys().collect();
    let [mut accuracy, mut recall, mut accepted, mut at_1_percent] = [const { Mean::new() }; 4];
    for _ in 0..EPISODES {
        let mut learned = Vec::new();
        for &way in random.shuffled(labels.len()).iter().take(WAYS) {
            let seen = &gestures[labels[way]];
            let order = random.shuffled(seen.len());
            let (shots, rest) = order.split_at(SHOTS.min(order.len()));
            let takes: Vec<Take> = shots.iter().map(|&i| seen[i].take.clone()).collect();
            let lesson = Lesson::learn("x", None, &takes, classifier, &[], background)?;
            let rest: Vec<&Seen> = rest.iter().map(|&i| &seen[i]).collect();
            learned.push((lesson.gesture, rest));
        }
        for (i, (gesture, rest)) in learned.iter().enumerate() {
            let nearness = |seen: &&Seen| nearness(gesture, &seen.descriptors);
            let mut foreign: Vec<f32> = others.iter().map(|seen| nearness(&seen)).collect();
            foreign.iter().for_each(|&d| accepted.add(d <= 1.0));
            foreign.sort_by(f32::total_cmp);
            let tight = foreign[foreign.len() / 100];
            for seen in rest {
                let own = nearness(seen);
                recall.add(own <= 1.0);
                at_1_percent.add(own < tight);
                let distance = |k: usize| -> f32 {
                    let windows = seen.descriptors.iter();
                    let radii: f32 = windows.map(|d| learned[k].0.distance(d)).sum();
                    radii * learned[k].0.radius
                };
                let nearest =
                    (0..learned.len()).min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
                accuracy.add(nearest == Some(i));
            }
        }
    }
    Ok(Measured {
        set: set.into(),
        gestures: labels.len(),
        accuracy: accuracy.percent(),
        recall: recall.percent(),
        false_acceptance: accepted.percent(),
        recall_at_1_percent: at_1_percent.percent(),
    })
}

/// How near a take comes for some windows in a row, in radii.
fn nearness(gesture: &palmd::gesture::learned::Gesture, descriptors: &[Vec<f32>]) -> f32 {
    let distances: Vec<f32> = descriptors.iter().map(|d| gesture.distance(d)).collect();
    let row = IN_A_ROW.min(distances.len());
    let rows = distances.windows(row.max(1));
    rows.map(|row| row.iter().copied().fold(0.0, f32::max))
        .fold(f32::INFINITY, f32::min)
}

/// A share in percent.
struct Mean {
    yes: u32,
    all: u32,
}

impl Mean {
    const fn new() -> Self {
        Self { yes: 0, all: 0 }
    }

    fn add(&mut self, yes: bool) {
        self.yes += u32::from(yes);
        self.all += 1;
    }

    fn percent(&self) -> f64 {
        100.0 * f64::from(self.yes) / f64::from(self.all.max(1))
    }
}

/// A generator of the kind of Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn shuffled(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        for i in (1..len).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}
