//! When the whole frame is searched for palms.

use std::time::Duration;

use super::motion::MotionGate;
use super::region::Region;
use crate::camera::Image;

/// How often the whole frame is searched for palms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchParams {
    /// While no hand is followed; with a motion gate, while something moves. Zero is every frame.
    pub interval: Duration,
    /// With this, a motion gate watches the frames: while nothing moves, they are searched only
    /// so often.
    pub idle_interval: Option<Duration>,
    /// While one hand of two is followed: the mean time between searches. A motion gate spends
    /// them when something moves beside the hand.
    pub second_hand_interval: Duration,
}

impl Default for SearchParams {
    /// Without a motion gate: every frame that has no hand is searched.
    fn default() -> Self {
        Self {
            interval: Duration::ZERO,
            idle_interval: None,
            second_hand_interval: Duration::from_millis(500),
        }
    }
}

/// After the last motion, frames count as moving for so long: a hand that has just come to rest
/// is found more easily than a blurred one.
const MOTION_LASTS: Duration = Duration::from_millis(300);

/// A hand that was lost is looked for in every frame for so long.
const LOSS_LASTS: Duration = Duration::from_secs(1);

/// Searches for a second hand that may follow one another quickly after a rest.
const SAVED_SEARCHES: u32 = 3;

/// Decides which frames are searched.
#[derive(Debug)]
pub struct Search {
    params: SearchParams,
    hands: usize,
    gate: MotionGate,
    last_frame: Option<Duration>,
    last_search: Option<Duration>,
    last_motion: Option<Duration>,
    last_loss: Option<Duration>,
    followed: usize,
    /// Time that hasn't been spent on searches for a second hand.
    saved: Duration,
    skipped: u64,
    idle: bool,
}

impl Search {
    /// For up to `hands` hands.
    pub fn new(params: SearchParams, hands: usize) -> Self {
        Self {
            params,
            hands,
            gate: MotionGate::default(),
            last_frame: None,
            last_search: None,
            last_motion: None,
            last_loss: None,
            followed: 0,
            saved: Duration::ZERO,
            skipped: 0,
            idle: false,
        }
    }

    /// Whether to search this frame, in which the hands of the regions are followed. If so, it
    /// counts as searched. Doesn't allocate.
    pub fn is_due(&mut self, image: &Image<'_>, t: Duration, followed: &[Region]) -> bool {
        // A recording may begin anew.
        if self.last_frame.is_some_and(|last| t < last) {
            self.forget();
        }
        let passed = t - self.last_frame.unwrap_or(t);
        self.last_frame = Some(t);
        let lost = followed.len() < self.followed;
        self.followed = followed.len();
        if lost {
            self.last_loss = Some(t);
        }
        self.idle = false;
        if followed.len() >= self.hands {
            return false;
        }
        let due = match (self.params.idle_interval, followed.len()) {
            (None, 0) => self.waited(t, self.params.interval),
            (None, _) => self.waited(t, self.params.second_hand_interval),
            (Some(idle), 0) => {
                if self.gate.moved(image, &[]) {
                    self.last_motion = Some(t);
                }
                let lost = within(self.last_loss, t, LOSS_LASTS);
                let moving = within(self.last_motion, t, MOTION_LASTS);
                self.idle = !lost && !moving;
                lost || moving && self.waited(t, self.params.interval) || self.waited(t, idle)
            }
            (Some(idle), _) => {
                let price = self.params.second_hand_interval;
                self.saved = (self.saved + passed).min(price * SAVED_SEARCHES);
                let moved = self.gate.moved(image, followed);
                let may = self.saved >= price && self.waited(t, price / 4);
                may && (moved || lost) || self.waited(t, idle.max(price))
            }
        };
        if due {
            self.last_search = Some(t);
            self.saved = self.saved.saturating_sub(self.params.second_hand_interval);
            self.gate.searched();
        } else if followed.is_empty() {
            self.skipped += 1;
        }
        due
    }

    /// Has the next frame searched if there is room for a hand.
    pub fn forget(&mut self) {
        self.last_frame = None;
        self.last_search = None;
        self.last_motion = None;
        self.last_loss = None;
        self.followed = 0;
    }

    /// Frames without a hand that weren't searched.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whether the motion gate saw nothing in the last frame, nor shortly before.
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    fn waited(&self, t: Duration, interval: Duration) -> bool {
        self.last_search.is_none_or(|last| t - last >= interval)
    }
}

fn within(moment: Option<Duration>, t: Duration, lasts: Duration) -> bool {
    moment.is_some_and(|moment| t - moment < lasts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::{PixelFormat, Range};

    const LIVE: SearchParams = SearchParams {
        interval: Duration::from_millis(60),
        idle_interval: Some(Duration::from_secs(1)),
        second_hand_interval: Duration::from_millis(500),
    };

    /// Where a hand of the tests below is, and what is followed of it.
    const HAND: [usize; 2] = [48, 48];
    const REGION: Region = Region {
        center_px: [56.0, 56.0],
        side_px: 32.0,
        rotation: 0.0,
    };

    /// A camera at 30 frames a second in front of a grey wall.
    struct Watch {
        search: Search,
        frames: u32,
    }

    impl Watch {
        fn new(params: SearchParams, hands: usize) -> Self {
            Self {
                search: Search::new(params, hands),
                frames: 0,
            }
        }

        /// Whether a frame with white squares at the places is searched.
        fn see(&mut self, squares: &[[usize; 2]], followed: &[Region]) -> bool {
            const SIZE: (usize, usize) = (192, 144);
            let is_white = |i: usize| {
                let (x, y) = (i % SIZE.0, i / SIZE.0);
                let is_in = |[left, top]: &[usize; 2]| {
                    (*left..left + 16).contains(&x) && (*top..top + 16).contains(&y)
                };
                squares.iter().any(is_in)
            };
            let pixels: Vec<u8> = (0..SIZE.0 * SIZE.1)
                .map(|i| if is_white(i) { 220 } else { 90 })
                .collect();
            let (format, range) = (PixelFormat::Grey, Range::Full);
            let image = Image::from_contiguous(format, range, SIZE.0, SIZE.1, SIZE.0, &pixels);
            let t = Duration::from_secs(1) * self.frames / 30;
            self.frames += 1;
            self.search.is_due(&image.unwrap(), t, followed)
        }

        /// How many of so many frames are searched.
        fn searches(
            &mut self,
            frames: usize,
            squares: impl Fn(usize) -> [usize; 2],
            followed: &[Region],
        ) -> usize {
            let see = |i: &usize| self.see(&[HAND, squares(*i)], followed);
            (0..frames).filter(see).count()
        }
    }

    /// Somebody who walks about beside the hand, never twice in the same place.
    fn somebody(i: usize) -> [usize; 2] {
        [80 + i * 7 % 90, 70 + i * 11 % 50]
    }

    #[test]
    fn without_a_gate_every_frame_without_a_hand_is_searched() {
        let mut watch = Watch::new(SearchParams::default(), 1);
        assert_eq!(watch.searches(30, |_| HAND, &[]), 30);
        assert_eq!(watch.searches(30, |_| HAND, &[REGION]), 0);
        assert_eq!(watch.search.skipped(), 0);
    }

    #[test]
    fn nobody_there_costs_a_search_a_second() {
        let mut watch = Watch::new(LIVE, 1);
        watch.searches(60, |_| HAND, &[]);
        let skipped = watch.search.skipped();
        assert_eq!(watch.searches(300, |_| HAND, &[]), 10);
        assert_eq!(watch.search.skipped() - skipped, 290);
        assert!(watch.search.is_idle());
    }

    #[test]
    fn what_moves_is_searched_for_at_once_and_until_it_rests() {
        let mut watch = Watch::new(LIVE, 1);
        watch.searches(100, |_| HAND, &[]);
        let moving = |i| [16 * i, 0];
        assert!(watch.see(&[HAND, moving(1)], &[]));
        assert!(!watch.search.is_idle());
        assert_eq!(watch.searches(10, |i| moving(2 + i), &[]), 5);
        // At rest it may be found that wasn't in motion.
        assert_eq!(watch.searches(10, |_| moving(11), &[]), 4);
        assert_eq!(watch.searches(40, |_| moving(11), &[]), 1);
    }

    #[test]
    fn a_hand_that_was_lost_is_looked_for_in_every_frame() {
        let mut watch = Watch::new(LIVE, 1);
        watch.searches(100, |_| HAND, &[REGION]);
        assert_eq!(watch.searches(30, |_| HAND, &[]), 30);
        assert!(!watch.search.is_idle());
        assert_eq!(watch.searches(90, |_| HAND, &[]), 3);
    }

    #[test]
    fn a_second_hand_is_looked_for_where_something_moves() {
        let mut watch = Watch::new(LIVE, 2);
        watch.searches(30, |_| HAND, &[REGION]);
        // Nothing moves but the hand that is followed.
        let restless = |i: usize| [HAND[0] + i % 2 * 4, HAND[1]];
        assert_eq!(watch.searches(300, restless, &[REGION]), 10);
        // At once, and twice more before the savings are spent.
        assert!(watch.see(&[HAND, [112, 0]], &[REGION]));
        assert_eq!(watch.searches(12, |i| [112 + i * 3, 0], &[REGION]), 2);
    }

    #[test]
    fn searches_for_a_second_hand_cost_little_whatever_moves() {
        for params in [LIVE, SearchParams::default()] {
            let mut watch = Watch::new(params, 2);
            let searches = watch.searches(3000, somebody, &[REGION]);
            // At 2.2 times the cost of following a hand, less than 15 % of it.
            assert!(searches <= 3000 / 15 + 1, "{searches}");
            assert!(searches >= 3000 / 16, "{searches}");
        }
    }

    #[test]
    fn a_second_hand_that_was_lost_is_looked_for_at_once() {
        let mut watch = Watch::new(LIVE, 2);
        watch.searches(30, |_| HAND, &[REGION]);
        assert_eq!(watch.searches(30, |_| HAND, &[REGION, REGION]), 0);
        assert!(watch.see(&[HAND], &[REGION]));
    }

    #[test]
    fn a_recording_that_begins_anew_is_searched_anew() {
        let mut watch = Watch::new(LIVE, 1);
        watch.searches(100, |_| HAND, &[]);
        watch.frames = 0;
        assert!(watch.see(&[HAND], &[]));
        assert!(!watch.see(&[HAND], &[]));
        watch.search.forget();
        assert!(watch.see(&[HAND], &[]));
    }
}
