//! `/live`: all that the page shows, as one stream of server-sent events.
//!
//! - `hello`: palmd's version and the classifier's labels, once;
//! - `look`: the newest poses and probabilities, some 15 times a second;
//! - `status`: the [`Status`](crate::health::Status), when it is new;
//! - `event`: as in `/events`.
//!
//! Poses are asked for only while somebody looks, and rendered once for all who do. A client that
//! is slow gets fewer of them, never older ones.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::Desk;
use super::events::{Reader, answer_with};
use crate::health::Status;
use crate::pose::{FramePoses, HandPose, Handedness, LANDMARKS, MAX_HANDS, Point3};
use crate::publish::{Events, LiveScores, Received};

/// From one look to the next.
const PERIOD: Duration = Duration::from_millis(66);

/// The newest look, as it goes out.
#[derive(Debug)]
pub struct Looks {
    newest: watch::Sender<Bytes>,
    wanted: Notify,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            newest: watch::Sender::new(Bytes::new()),
            wanted: Notify::new(),
        }
    }
}

/// Poses and probabilities for a page.
#[derive(Debug, Serialize)]
struct Look<'a> {
    seq: u64,
    /// Seconds since the source began.
    t: f64,
    /// Width and height of the frame in pixels.
    size: (u32, u32),
    hands: heapless::Vec<Hand, MAX_HANDS>,
    /// In the order of the labels; empty before there are any.
    scores: &'a [f32],
    /// The hand that they are about.
    track: u32,
}

#[derive(Debug, Serialize)]
struct Hand {
    track: u32,
    hand: Handedness,
    presence: f32,
    /// Image-normalised x, y and z.
    points: [Point3; LANDMARKS],
}

impl Hand {
    fn new(pose: &HandPose) -> Self {
        let short = |x: f32| (x * 1e4).round() / 1e4;
        Self {
            track: pose.track,
            hand: pose.handedness,
            presence: short(pose.presence),
            points: pose.landmarks.map(|point| point.map(short)),
        }
    }
}

fn render(poses: &FramePoses, scores: &mut LiveScores) -> Bytes {
    for score in &mut scores.scores {
        *score = (*score * 1e3).round() / 1e3;
    }
    message(
        "look",
        &Look {
            seq: poses.seq,
            t: poses.t.as_secs_f64(),
            size: poses.size,
            hands: poses.hands.iter().map(Hand::new).collect(),
            scores: &scores.scores,
            track: scores.track,
        },
    )
}

fn message(kind: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {kind}\ndata: {data}\n\n").into()
}

/// Renders the newest look for as long as anybody wants it.
pub async fn draw(desk: Arc<Desk>) {
    let Looks { newest, wanted } = &desk.looks;
    loop {
        wanted.notified().await;
        let watching = desk.live.watch();
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut last = None;
        while newest.receiver_count() > 0 {
            tick.tick().await;
            let (poses, mut scores) = (watching.poses(), watching.scores());
            let is_new = |(p, s): &(FramePoses, LiveScores)| (p, s) != (&poses, &scores);
            if last.as_ref().is_none_or(is_new) {
                last = Some((poses.clone(), scores.clone()));
                newest.send_replace(render(&poses, &mut scores));
            }
        }
    }
}

/// A client's place.
struct Place {
    reader: Reader,
    events: Events,
    status: watch::Receiver<Arc<Status>>,
    looks: watch::Receiver<Bytes>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Hello<'a> {
    version: &'a str,
    labels: &'a [Arc<str>],
}

/// Answers `/live`.
pub async fn answer(State(desk): State<Arc<Desk>>) -> Response {
    let mut place = Place {
        reader: desk.readers.enter(),
        events: desk.events.again(),
        status: desk.status.clone(),
        looks: desk.looks.newest.subscribe(),
    };
    place.status.mark_changed();
    desk.looks.wanted.notify_one();
    let hello = Hello {
        version: env!("CARGO_PKG_VERSION"),
        labels: desk.live.labels(),
    };
    answer_with(message("hello", &hello), place, next)
}

async fn next(mut place: Place) -> Option<(Bytes, Place)> {
    let Place {
        reader,
        events,
        status,
        looks,
    } = &mut place;
    let chunk = tokio::select! {
        biased;
        received = events.receive() => match received {
            Received::Event(event) => reader.write("event: event\n", &event),
            Received::Missed(missed) => {
                reader.cut(missed);
                return None;
            }
            Received::End => return None,
        },
        changed = status.changed() => {
            changed.ok()?;
            message("status", &**status.borrow_and_update())
        }
        changed = looks.changed() => {
            changed.ok()?;
            looks.borrow_and_update().clone()
        }
    };
    Some((chunk, place))
}
