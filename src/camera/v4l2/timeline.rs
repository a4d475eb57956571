//! Numbers and times of frames, from the driver's own.

use std::time::Duration;

/// Places frames on one line of numbers and times that goes on when the device is opened anew.
#[derive(Debug, Default)]
pub struct Timeline {
    first: Option<Duration>,
    last_t: Duration,
    next_seq: u64,
    last_sequence: Option<u32>,
}

impl Timeline {
    /// Number of a frame and its time since the first one. Frames that the driver had to drop, and
    /// those skipped or bad, leave gaps in the numbers; time never goes back.
    pub fn place(&mut self, sequence: u32, captured: Duration) -> (u64, Duration) {
        // A driver that doesn't count, or starts over, gives no gap.
        let step = match self.last_sequence {
            Some(last) => sequence.wrapping_sub(last),
            None => 1,
        };
        let missing = if step > u32::MAX / 2 {
            0
        } else {
            step.saturating_sub(1)
        };
        let seq = self.next_seq + u64::from(missing);
        self.next_seq = seq + 1;
        self.last_sequence = Some(sequence);

        let first = *self.first.get_or_insert(captured);
        self.last_t = captured.saturating_sub(first).max(self.last_t);
        (seq, self.last_t)
    }

    /// The driver's count begins anew with the next frame.
    pub fn restart(&mut self) {
        self.last_sequence = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seqs(timeline: &mut Timeline, sequences: &[u32]) -> Vec<u64> {
        let place = |&sequence| timeline.place(sequence, Duration::ZERO).0;
        sequences.iter().map(place).collect()
    }

    #[test]
    fn gaps_of_the_driver_are_gaps_here() {
        assert_eq!(seqs(&mut Timeline::default(), &[5, 6, 9]), [0, 1, 4]);
    }

    #[test]
    fn numbers_go_on_over_wrap_reopening_and_drivers_that_do_not_count() {
        let mut timeline = Timeline::default();
        assert_eq!(seqs(&mut timeline, &[u32::MAX, 0, 0, 0]), [0, 1, 2, 3]);
        timeline.restart();
        assert_eq!(seqs(&mut timeline, &[7, 3]), [4, 5]);
    }

    #[test]
    fn time_never_goes_back() {
        let mut timeline = Timeline::default();
        let times = [10, 13, 12, 15].map(Duration::from_secs);
        let times = times.map(|time| timeline.place(0, time).1.as_secs());
        assert_eq!(times, [0, 3, 3, 5]);
    }
}
