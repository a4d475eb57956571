//! An event as a line: NDJSON for programs, words for people.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::gesture::{CameraPhase, Event, HandPhase, Phase};
use crate::pose::Handedness;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One JSON object.
    Json,
    /// Readable columns.
    Text,
}

/// An event with what is only known when it is written.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    #[serde(flatten)]
    event: &'a Event,
    #[serde(serialize_with = "milliseconds")]
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
}

fn milliseconds<S: serde::Serializer>(time: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&format_args!("{time:.3}"))
}

impl<'a> Line<'a> {
    /// A line for `event`, written at wall-clock `time`, which is `now` on the clock that stamped
    /// its frame.
    #[must_use]
    pub fn new(event: &'a Event, time: Timestamp, now: Duration) -> Self {
        let captured = match event {
            Event::Gesture(gesture) => gesture.captured,
            Event::Hand(_) | Event::Camera(_) => None,
        };
        let latency = captured.map(|at| now.saturating_sub(at));
        Self {
            event,
            time,
            latency_ms: latency.map(|l| (l.as_secs_f64() * 1e4).round() / 10.0),
        }
    }

    /// Appends the line with its end to `text`.
    pub fn write(&self, style: Style, text: &mut Vec<u8>) {
        let written = match style {
            Style::Json => serde_json::to_writer(&mut *text, self).map_err(std::io::Error::from),
            Style::Text => std::io::Write::write_fmt(text, format_args!("{self}")),
        };
        debug_assert!(written.is_ok(), "memory takes every line");
        text.push(b'\n');
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |hand: Handedness| match hand {
            Handedness::Left => "left",
            Handedness::Right => "right",
        };
        let at = |t: Duration| t.as_secs_f64();
        match self.event {
            Event::Gesture(g) => {
                let phase = match g.phase {
                    Phase::Start => "start",
                    Phase::Hold => "hold",
                    Phase::End => "end",
                };
                write!(
                    f,
                    "{:8.2} s  {:<12} {:<6} {:<5} hand  {:3.0} %",
                    at(g.t),
                    g.gesture,
                    phase,
                    side(g.hand),
                    g.score * 100.0
                )?;
                match self.latency_ms {
                    Some(ms) => write!(f, "  {ms:.0} ms"),
                    None => Ok(()),
                }
            }
            Event::Hand(h) => {
                let phase = match h.phase {
                    HandPhase::Appear => "appears",
                    HandPhase::Leave => "leaves",
                };
                write!(f, "{:8.2} s  {} hand {phase}", at(h.t), side(h.hand))
            }
            Event::Camera(c) => {
                let phase = match c.phase {
                    CameraPhase::Lost => "lost",
                    CameraPhase::Found => "found",
                };
                write!(f, "{:8.2} s  camera {phase}: {}", at(c.t), c.camera)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gesture::{GestureEvent, HandEvent};

    fn line(event: &Event, style: Style) -> String {
        let time: Timestamp = "2026-11-20T10:00:00.1234Z".parse().unwrap();
        let mut text = Vec::new();
        Line::new(event, time, Duration::from_millis(30_041)).write(style, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_gesture_is_one_json_object_with_time_and_latency() {
        let event = Event::Gesture(GestureEvent {
            phase: Phase::Start,
            gesture: "swipe-left".into(),
            score: 0.5,
            hand: Handedness::Right,
            track: 1,
            seq: 812,
            t: Duration::from_secs_f64(27.071),
            captured: Some(Duration::from_secs(30)),
        });
        assert_eq!(
            line(&event, Style::Json),
            "{\"type\":\"gesture\",\"phase\":\"start\",\"gesture\":\"swipe-left\",\"score\":0.5,\
             \"hand\":\"right\",\"track\":1,\"seq\":812,\"t\":27.071,\
             \"time\":\"2026-11-20T10:00:00.123Z\",\"latency_ms\":41.0}\n"
        );
        assert_eq!(
            line(&event, Style::Text),
            "   27.07 s  swipe-left   start  right hand   50 %  41 ms\n"
        );
    }

    #[test]
    fn a_hand_has_no_latency() {
        let event = Event::Hand(HandEvent {
            phase: HandPhase::Appear,
            hand: Handedness::Left,
            track: 3,
            seq: 1,
            t: Duration::from_secs(1),
        });
        assert!(!line(&event, Style::Json).contains("latency"));
        assert_eq!(line(&event, Style::Text), "    1.00 s  left hand appears\n");
    }
}
