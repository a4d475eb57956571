//! What a page shows that somebody looks at: the newest poses and probabilities.
//!
//! The hot threads fill it only while somebody watches, and never wait: each value goes through a
//! triple buffer, in which the writer always has a place of its own.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use triple_buffer::{Input, Output, TripleBuffer, triple_buffer};

use super::viewfinder::{Looking, Picture, Viewfinder};
use crate::pose::FramePoses;

/// The most probabilities that are shown; of a model with more labels the first ones are.
pub const MOST_SCORES: usize = 64;

/// The newest frame's hands, as `palmd pose` writes them: smoothed, not mirrored.
pub type LivePoses = FramePoses;

/// The newest window's probabilities.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LiveScores {
    /// The frame that completed the window.
    pub seq: u64,
    /// Its time since the source began.
    pub t: Duration,
    /// The hand's track.
    pub track: u32,
    /// Probabilities in the order of [`Live::labels`].
    pub scores: heapless::Vec<f32, MOST_SCORES>,
}

/// The writing half of a value. Belongs to a hot thread.
pub struct Show<T: Send> {
    watchers: Arc<AtomicUsize>,
    input: Input<T>,
}

/// The reading side, shared by all outputs.
pub struct Live {
    watchers: Arc<AtomicUsize>,
    poses: Mutex<Output<LivePoses>>,
    scores: Mutex<Output<LiveScores>>,
    lookers: Arc<AtomicUsize>,
    picture: Mutex<Output<Picture>>,
    /// Until the vision thread takes it.
    viewfinder: Mutex<Option<Viewfinder>>,
    labels: Vec<Arc<str>>,
}

/// Somebody watches for as long as this exists.
pub struct Watching(Arc<Live>);

/// The writing halves for the vision thread and for the classifier thread, and the reading side.
#[must_use]
pub fn live(labels: &[Arc<str>]) -> (Show<LivePoses>, Show<LiveScores>, Arc<Live>) {
    let watchers = Arc::<AtomicUsize>::default();
    let (poses, poses_out) = triple_buffer(&no_poses());
    let (scores, scores_out) = triple_buffer(&LiveScores::default());
    let show_poses = Show {
        watchers: Arc::clone(&watchers),
        input: poses,
    };
    let show_scores = Show {
        watchers: Arc::clone(&watchers),
        input: scores,
    };
    let lookers = Arc::<AtomicUsize>::default();
    // Not by a copy, which would touch memory that is mostly never needed.
    let (picture, picture_out) = TripleBuffer::<Picture>::default().split();
    let viewfinder = Viewfinder::new(Show {
        watchers: Arc::clone(&lookers),
        input: picture,
    });
    let live = Live {
        watchers,
        poses: Mutex::new(poses_out),
        scores: Mutex::new(scores_out),
        lookers,
        picture: Mutex::new(picture_out),
        viewfinder: Mutex::new(Some(viewfinder)),
        labels: labels.iter().take(MOST_SCORES).cloned().collect(),
    };
    (show_poses, show_scores, Arc::new(live))
}

fn no_poses() -> LivePoses {
    FramePoses {
        seq: 0,
        t: Duration::ZERO,
        size: (0, 0),
        hands: heapless::Vec::new(),
    }
}

impl<T: Send> Show<T> {
    /// Lets `write` put the newest value over an old one, if anybody watches. Wait-free, no
    /// allocation.
    pub fn show(&mut self, write: impl FnOnce(&mut T)) {
        if self.watchers.load(SeqCst) > 0 {
            write(self.input.input_buffer_mut());
            self.input.publish();
        }
    }
}

impl Live {
    /// The classifier's labels.
    #[must_use]
    pub fn labels(&self) -> &[Arc<str>] {
        &self.labels
    }

    /// Begins to watch.
    #[must_use]
    pub fn watch(self: &Arc<Self>) -> Watching {
        if self.watchers.fetch_add(1, SeqCst) == 0 {
            // What was shown when somebody last watched is no news.
            clear(&self.poses, no_poses());
            clear(&self.scores, LiveScores::default());
        }
        Watching(Arc::clone(self))
    }

    /// The writing half of the camera's picture, for the first who asks.
    #[must_use]
    pub fn viewfinder(&self) -> Option<Viewfinder> {
        let mut viewfinder = self.viewfinder.lock();
        viewfinder.as_deref_mut().ok()?.take()
    }

    /// Begins to look at the camera's picture.
    #[must_use]
    pub fn look(self: &Arc<Self>) -> Looking {
        if self.lookers.fetch_add(1, SeqCst) == 0 {
            clear(&self.picture, Picture::default());
        }
        Looking(Arc::clone(self))
    }

    pub(super) fn look_away(&self) {
        self.lookers.fetch_sub(1, SeqCst);
    }

    pub(super) fn newest_picture(&self) -> Picture {
        newest(&self.picture)
    }

    /// How many watch.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.watchers.load(SeqCst)
    }
}

impl Watching {
    /// The newest frame's hands; number 0 and size 0 before there is one.
    #[must_use]
    pub fn poses(&self) -> LivePoses {
        newest(&self.0.poses)
    }

    /// The newest window's probabilities; none before there is one.
    #[must_use]
    pub fn scores(&self) -> LiveScores {
        newest(&self.0.scores)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, SeqCst);
    }
}

fn newest<T: Send + Clone>(output: &Mutex<Output<T>>) -> T {
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    output.read().clone()
}

fn clear<T: Send>(output: &Mutex<Output<T>>, nothing: T) {
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    output.update();
    *output.output_buffer_mut() = nothing;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_watches_sees_and_only_what_is_new() {
        let (mut poses, mut scores, live) = live(&["fist".into(), "none".into()]);
        poses.show(|_| panic!("nobody watches"));
        let watching = live.watch();
        assert_eq!(watching.poses().seq, 0);
        for seq in 1..4 {
            poses.show(|p| p.seq = seq);
        }
        scores.show(|s| s.scores.extend([0.9, 0.1]));
        let other = live.watch();
        assert_eq!((watching.poses().seq, other.poses().seq), (3, 3));
        assert_eq!(watching.scores().scores, [0.9, 0.1]);
        drop((watching, other));
        assert_eq!(live.watchers(), 0);
        poses.show(|_| panic!("nobody watches"));
        assert_eq!(live.watch().poses().seq, 0);
    }
}
