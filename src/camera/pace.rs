//! A recording at its own pace.

use std::sync::Arc;
use std::time::Duration;

use super::{Next, Source, SourceError, SourceInfo, SourceStats};
use crate::clock::Clock;

/// Hands out a source's frames at their own times, counted from the first one. Frames that are
/// late come at once; none is skipped.
///
/// A frame can't be held back once it is read, so its time is foretold from the frame before and
/// the source's rate. Where broken frames leave a gap longer than the time-out, the frame after
/// it comes early.
pub struct Paced<S> {
    source: S,
    clock: Arc<dyn Clock>,
    /// The clock's time at which the source's time was zero.
    origin: Option<Duration>,
    /// The source's time of the next frame.
    upcoming: Duration,
    interval: Option<Duration>,
}

impl<S: Source> Paced<S> {
    /// Paces `source`, which should not be live.
    pub fn new(source: S, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            clock,
            origin: None,
            upcoming: Duration::ZERO,
            interval: None,
        }
    }

    /// Time between two frames. A source knows its rate when it has handed out a frame.
    fn interval(&mut self) -> Duration {
        *self.interval.get_or_insert_with(|| {
            let fps = f64::from(self.source.info().fps);
            Duration::try_from_secs_f64(1.0 / fps).unwrap_or_default()
        })
    }
}

impl<S: Source> Source for Paced<S> {
    fn next_frame(&mut self, timeout: Duration) -> Result<Next<'_>, SourceError> {
        let deadline = self.clock.now() + timeout;
        if let Some(origin) = self.origin {
            let due = origin + self.upcoming + self.interval();
            if !sleep_until(&*self.clock, due, deadline) {
                return Ok(Next::Timeout);
            }
        }
        let left = deadline.saturating_sub(self.clock.now());
        let next = self.source.next_frame(left)?;
        if let Next::Frame(frame) = &next {
            let now = self.clock.now();
            let origin = *self.origin.get_or_insert(now.saturating_sub(frame.t));
            sleep_until(&*self.clock, origin + frame.t, deadline);
            self.upcoming = frame.t;
        }
        Ok(next)
    }

    fn close(&mut self) {
        self.source.close();
        // What comes next comes at once, and what follows that at its own pace.
        self.origin = None;
    }

    fn info(&self) -> SourceInfo {
        self.source.info()
    }

    fn stats(&self) -> SourceStats {
        self.source.stats()
    }
}

/// Sleeps until `due`, but not beyond `deadline`, and returns whether `due` was reached.
fn sleep_until(clock: &dyn Clock, due: Duration, deadline: Duration) -> bool {
    let wait = due.min(deadline).saturating_sub(clock.now());
    if !wait.is_zero() {
        clock.sleep(wait);
    }
    due <= deadline
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::{Frame, Image, PixelFormat, Range};
    use crate::clock::SimulatedClock;

    /// Frames at the given times, in milliseconds.
    struct Script(std::collections::VecDeque<u64>);

    impl Source for Script {
        fn next_frame(&mut self, _timeout: Duration) -> Result<Next<'_>, SourceError> {
            static PIXEL: [u8; 1] = [0];
            let image =
                Image::from_contiguous(PixelFormat::Grey, Range::Full, 1, 1, 1, &PIXEL).unwrap();
            Ok(self.0.pop_front().map_or(Next::End, |t_ms| {
                Next::Frame(Frame::borrowed(image, 0, Duration::from_millis(t_ms)))
            }))
        }

        fn info(&self) -> SourceInfo {
            SourceInfo {
                name: "script".into(),
                size: (1, 1),
                fps: 10.0,
                format: "GREY".into(),
                live: false,
                stills: false,
                frames: None,
            }
        }

        fn stats(&self) -> SourceStats {
            SourceStats::default()
        }
    }

    /// Plays frames to the end and notes when each came, in milliseconds, and the time-outs.
    fn play(times_ms: &[u64], timeout_ms: u64, work_ms: u64) -> (Vec<u128>, u32) {
        let clock = Arc::new(SimulatedClock::default());
        clock.advance(Duration::from_millis(5000));
        let script = Script(times_ms.to_vec().into());
        let source: Box<dyn Source> = Box::new(script);
        let mut paced = Paced::new(source, clock.clone());
        let (mut came, mut timeouts) = (Vec::new(), 0);
        loop {
            let before = clock.now();
            let next = paced.next_frame(Duration::from_millis(timeout_ms)).unwrap();
            let waited = clock.now() - before;
            assert!(waited <= Duration::from_millis(timeout_ms), "{waited:?}");
            match next {
                Next::Frame(_) => {
                    came.push(clock.now().as_millis() - 5000);
                    clock.advance(Duration::from_millis(work_ms));
                }
                Next::Timeout => timeouts += 1,
                Next::End => return (came, timeouts),
            }
        }
    }

    #[test]
    fn frames_come_at_their_own_times() {
        let (came, timeouts) = play(&[0, 100, 200, 300], 1000, 30);
        assert_eq!((came, timeouts), (vec![0, 100, 200, 300], 0));
    }

    #[test]
    fn waiting_is_cut_into_time_outs() {
        let (came, timeouts) = play(&[0, 100, 200], 40, 0);
        // Two before each frame and before the end.
        assert_eq!((came, timeouts), (vec![0, 100, 200], 6));
    }

    #[test]
    fn late_frames_come_at_once_and_none_is_skipped() {
        let (came, _) = play(&[0, 100, 200, 300], 1000, 150);
        assert_eq!(came, [0, 150, 300, 450]);
    }

    #[test]
    fn a_gap_is_waited_for() {
        let (came, _) = play(&[0, 100, 500, 600], 1000, 0);
        assert_eq!(came, [0, 100, 500, 600]);
    }
}
