//! A histogram of durations that many threads may read while one writes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Buckets for each power of two: the relative error of a quantile is below 1 / 8.
const STEPS: usize = 8;
/// Powers of two of microseconds: from 1 us to over an hour.
const OCTAVES: usize = 32;

/// Counts of durations in buckets of about 12 % width. Recording is one relaxed increment.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; STEPS * OCTAVES],
    sum_us: AtomicU64,
    max_us: AtomicU64,
}

/// What a [`Histogram`] says.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Quantiles {
    /// Number of durations.
    pub count: u64,
    /// Mean, in milliseconds.
    pub mean_ms: f64,
    /// Half are below, in milliseconds.
    pub median_ms: f64,
    /// 95 in 100 are below, in milliseconds.
    pub p95_ms: f64,
    /// 99 in 100 are below, in milliseconds.
    pub p99_ms: f64,
    /// The longest, in milliseconds.
    pub max_ms: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; STEPS * OCTAVES],
            sum_us: AtomicU64::new(0),
            max_us: AtomicU64::new(0),
        }
    }
}

fn bucket(us: u64) -> usize {
    let us = us.max(1);
    let octave = us.ilog2() as usize;
    let step = ((us as f64 / (1u64 << octave) as f64 - 1.0) * STEPS as f64) as usize;
    (octave * STEPS + step).min(STEPS * OCTAVES - 1)
}

/// The middle of a bucket in microseconds.
fn middle_us(bucket: usize) -> f64 {
    let (octave, step) = (bucket / STEPS, bucket % STEPS);
    (1u64 << octave) as f64 * (1.0 + (step as f64 + 0.5) / STEPS as f64)
}

impl Histogram {
    /// Counts one duration. Wait-free, no allocation.
    pub fn record(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(us)].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
        self.max_us.fetch_max(us, Relaxed);
    }

    /// Reads the quantiles.
    #[must_use]
    pub fn quantiles(&self) -> Quantiles {
        let counts: Vec<u64> = self.buckets.iter().map(|b| b.load(Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        if count == 0 {
            return Quantiles::default();
        }
        let max_ms = self.max_us.load(Relaxed) as f64 / 1e3;
        let quantile = |share: f64| {
            let rank = (share * count as f64).ceil() as u64;
            let mut below = 0;
            let at = counts.iter().position(|&n| {
                below += n;
                below >= rank
            });
            (middle_us(at.unwrap_or(counts.len() - 1)) / 1e3).min(max_ms)
        };
        Quantiles {
            count,
            mean_ms: self.sum_us.load(Relaxed) as f64 / count as f64 / 1e3,
            median_ms: quantile(0.5),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            max_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_an_eighth() {
        let h = Histogram::default();
        for us in 1..=10_000 {
            h.record(Duration::from_micros(us));
        }
        let q = h.quantiles();
        assert_eq!(q.count, 10_000);
        assert!((q.median_ms / 5.0 - 1.0).abs() < 0.125, "{q:?}");
        assert!((q.p99_ms / 9.9 - 1.0).abs() < 0.125, "{q:?}");
        assert!((q.mean_ms - 5.0005).abs() < 1e-6, "{q:?}");
        assert_eq!(q.max_ms, 10.0);
    }

    #[test]
    fn extremes_fall_into_the_outer_buckets() {
        let h = Histogram::default();
        h.record(Duration::ZERO);
        h.record(Duration::MAX);
        assert_eq!(h.quantiles().count, 2);
        assert_eq!(Histogram::default().quantiles(), Quantiles::default());
    }
}
