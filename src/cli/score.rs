//! How well the events of a script match what its hand really did.

use palmd::camera::synthetic::Truth;
use palmd::gesture::{Event, Phase};

/// An event counts for an interval from so long before its start, in seconds,
const BEFORE: f64 = 0.1;
/// to so long after its end.
const AFTER: f64 = 0.7;

/// The outcome of a script.
#[derive(Debug, Default)]
pub struct Score {
    /// Intervals in which the gesture was recognised.
    pub recognised: usize,
    /// Intervals in the script, except those still to come when it was stopped.
    pub intervals: usize,
    /// Labels and start times of the intervals that were missed.
    pub missed: Vec<String>,
    /// Events that no interval explains.
    pub false_events: Vec<String>,
}

impl Score {
    /// Compares gesture starts with the script's intervals; `until` is where it was stopped, in
    /// seconds.
    pub fn new(events: &[Event], truth: &Truth, until: f64) -> Self {
        let mut open: Vec<_> = truth
            .intervals
            .iter()
            .filter(|i| i.end + AFTER <= until)
            .map(|i| (i, false))
            .collect();
        let mut score = Self {
            intervals: open.len(),
            ..Self::default()
        };
        for event in events {
            let Event::Gesture(g) = event else { continue };
            let t = g.t.as_secs_f64();
            if g.phase != Phase::Start || t > until {
                continue;
            }
            let mut near = open.iter_mut().filter(|(i, _)| {
                *i.gesture == *g.gesture && (i.start - BEFORE..=i.end + AFTER).contains(&t)
            });
            let mut explained = false;
            let free = near.find(|(_, hit)| {
                explained = true;
                !hit
            });
            match free {
                Some((_, hit)) => {
                    *hit = true;
                    score.recognised += 1;
                }
                None if !explained => score
                    .false_events
                    .push(format!("{} at {t:.1} s", g.gesture)),
                None => {}
            }
        }
        score.missed = open
            .iter()
            .filter(|(_, hit)| !hit)
            .map(|(i, _)| format!("{} at {:.1} s", i.gesture, i.start))
            .collect();
        score
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of {} gestures recognised",
            self.recognised, self.intervals
        )?;
        if !self.missed.is_empty() {
            write!(f, " (missed: {})", self.missed.join(", "))?;
        }
        write!(f, ", {} false", self.false_events.len())?;
        if !self.false_events.is_empty() {
            write!(f, " ({})", self.false_events.join(", "))?;
        }
        Ok(())
    }
}
