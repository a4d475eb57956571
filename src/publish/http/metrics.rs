//! `/metrics`: the status as OpenMetrics.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::Desk;
use crate::health::{CameraState, Quantiles, Status};
use crate::publish::{Condition, OutputStatus};

/// Answers `/metrics`.
pub async fn answer(State(desk): State<Arc<Desk>>) -> Response {
    let status = desk.status.borrow().clone();
    let content = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match write(status) {
        Ok(text) => ([(header::CONTENT_TYPE, content)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn write(status: Arc<Status>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("palmd");
    registry.register_collector(Box::new(Metrics(status)));
    let mut text = String::with_capacity(8 << 10);
    text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Metrics(Arc<Status>);

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let status = &*self.0;
        let camera = &status.camera;
        let mut write = Writer(&mut encoder);
        write.gauge(
            "uptime",
            "Since palmd was started",
            Some(Unit::Seconds),
            status.uptime_s,
        )?;
        write.gauge(
            "paused",
            "Whether the camera is closed by a pause",
            None,
            status.paused,
        )?;
        let streams = camera.state == CameraState::Streaming;
        write.gauge("camera_up", "Whether frames come", None, streams)?;
        write.gauge(
            "frame_rate",
            "Frames a second that are worked on",
            None,
            camera.fps,
        )?;
        write.counter("frames", "Frames worked on", camera.frames)?;
        write.counter("frames_skipped", "Frames given back unseen", camera.skipped)?;
        write.counter("frames_broken", "Broken frames", camera.bad)?;
        write.counter(
            "camera_reopened",
            "Times that the camera was opened again",
            camera.reopened,
        )?;
        write.gauge("hands", "Hands in view", None, status.hands as f64)?;
        write.counter("windows", "Windows that were classified", status.windows)?;
        write.counter(
            "windows_skipped",
            "Windows that were passed over",
            status.windows_skipped,
        )?;
        write.counter("events", "Events that were published", status.events)?;
        write.counter(
            "events_lost",
            "Events that were not published in time",
            status.events_lost,
        )?;
        for (name, help, times) in [
            (
                "frame_time",
                "The vision thread's work on a frame",
                &status.frame_time,
            ),
            (
                "window_time",
                "The classifier thread's work on a window",
                &status.window_time,
            ),
            (
                "latency",
                "From taking a frame to publishing its gesture",
                &status.latency,
            ),
        ] {
            write.times(name, help, times)?;
        }
        for (name, help, places) in [
            ("ring", "Poses that wait for the classifier", status.ring),
            ("pool", "Camera buffers that are held", status.pool),
        ] {
            write.gauge(&format!("{name}_used"), help, None, places.used as f64)?;
            write.gauge(
                &format!("{name}_size"),
                "Places that there are",
                None,
                places.of as f64,
            )?;
        }
        let memory = status.memory.resident_bytes as f64;
        write.gauge(
            "memory_resident",
            "Resident memory",
            Some(Unit::Bytes),
            memory,
        )?;
        write.outputs(
            "output_up",
            "Whether it works",
            MetricType::Gauge,
            &status.outputs,
            |o| u64::from(o.condition == Condition::Works),
        )?;
        write.outputs(
            "output_readers",
            "Readers that are connected",
            MetricType::Gauge,
            &status.outputs,
            |o| o.readers,
        )?;
        for (name, help, value) in [
            (
                "output_sent",
                "Events that were written",
                (|o| o.sent) as fn(&OutputStatus) -> u64,
            ),
            ("output_dropped", "Events that were lost", |o| o.dropped),
            ("output_reconnects", "Times that it began anew", |o| {
                o.reconnects
            }),
            ("output_cut", "Readers that were sent away", |o| o.cut),
        ] {
            write.outputs(name, help, MetricType::Counter, &status.outputs, value)?;
        }
        Ok(())
    }
}

struct Writer<'a, 'b>(&'a mut DescriptorEncoder<'b>);

/// Numbers and yes or no.
trait Value {
    fn number(self) -> f64;
}

impl Value for f64 {
    fn number(self) -> f64 {
        self
    }
}

impl Value for bool {
    fn number(self) -> f64 {
        self.into()
    }
}

impl Writer<'_, '_> {
    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: impl Value,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        metric.encode_gauge(&value.number())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    /// Quantiles since the start, which palmd computes itself.
    fn times(&mut self, name: &str, help: &str, times: &Quantiles) -> fmt::Result {
        let unit = Some(&Unit::Seconds);
        let mut metric = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (quantile, ms) in [
            ("0.5", times.median_ms),
            ("0.95", times.p95_ms),
            ("0.99", times.p99_ms),
            ("1", times.max_ms),
        ] {
            metric
                .encode_family(&[("quantile", quantile)])?
                .encode_gauge(&(ms / 1000.0))?;
        }
        Ok(())
    }

    fn outputs(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        outputs: &[OutputStatus],
        value: impl Fn(&OutputStatus) -> u64,
    ) -> fmt::Result {
        let counts = matches!(kind, MetricType::Counter);
        let mut metric = self.0.encode_descriptor(name, help, None, kind)?;
        for output in outputs {
            let labels = [("output", output.name.as_str())];
            let mut metric = metric.encode_family(&labels)?;
            if counts {
                metric.encode_counter::<NoLabelSet, _, u64>(&value(output), None)?;
            } else {
                metric.encode_gauge(&(value(output) as f64))?;
            }
        }
        Ok(())
    }
}
