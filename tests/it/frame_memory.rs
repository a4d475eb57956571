//! What is palmd's own of a frame asks nobody for memory. What the networks ask for is counted
//! elsewhere.

use std::time::Duration;

use palmd::camera::synthetic::{Script, Synthetic};
use palmd::camera::{Next, Source};
use palmd::config;
use palmd::health::thread_calls;
use palmd::pose::anchors::{ANCHORS, PALM_INPUT};
use palmd::pose::palm::PalmDecoder;
use palmd::pose::region::Region;
use palmd::pose::sample::{Border, sample};
use palmd::pose::{LANDMARKS, OneEuro, OneEuroParams, PoseParams, PoseTracker};

/// Asserts that `work` makes no call to the allocator.
fn without_memory<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let before = thread_calls();
    let done = work();
    let calls = thread_calls() - before;
    assert_eq!(calls.total(), 0, "{what}: {calls:?}");
    done
}

#[test]
fn sampling_decoding_and_smoothing_ask_for_no_memory() {
    let script = Script::parse("size 320x240; open-palm 1s").expect("a script");
    let mut hand = Synthetic::new(script);
    let mut decoder = PalmDecoder::default();
    let mut filter = OneEuro::default();
    let mut input = vec![0.0; 3 * PALM_INPUT * PALM_INPUT];
    // Every box is a palm, which is the most that there can be.
    let scores = vec![2.0; ANCHORS];
    let mut boxes = vec![0.0; ANCHORS * 18];
    boxes.chunks_exact_mut(18).for_each(|b| b[2..4].fill(40.0));
    for _ in 0..10 {
        let Next::Frame(frame) = hand.next_frame(Duration::ZERO).expect("a frame") else {
            panic!("the script ended");
        };
        let image = frame.image();
        let letterbox = Region::letterbox(image.width, image.height);
        without_memory("sampling", || {
            sample(&image, &letterbox, Border::Black, PALM_INPUT, &mut input);
        });
        without_memory("decoding", || decoder.decode(&boxes, &scores, 0.5));
        while let Some(palm) = without_memory("suppression", || decoder.take_best()) {
            without_memory("regions", || Region::from_palm(&palm, &letterbox));
        }
        let mut points = [[frame.t.as_secs_f32(); 3]; LANDMARKS];
        let params = OneEuroParams::default();
        without_memory("smoothing", || {
            filter.smooth(&params, frame.t, 0.3, &mut points);
        });
    }
}

#[test]
fn a_frame_that_is_not_searched_asks_for_no_memory() {
    let Some(models) = super::hand_models_folder() else {
        return;
    };
    let params = PoseParams {
        search: config::Pose::default().search(),
        ..PoseParams::default()
    };
    let mut tracker = PoseTracker::load(&models, params).expect("the hand models");
    let script = Script::parse("size 320x240; noise 0.02; hide 3s").expect("a script");
    let mut nobody = Synthetic::new(script);
    while let Next::Frame(frame) = nobody.next_frame(Duration::ZERO).expect("a frame") {
        let skipped = tracker.searches_skipped();
        let before = thread_calls();
        tracker.process(&frame).expect("poses");
        let calls = thread_calls() - before;
        if tracker.searches_skipped() > skipped {
            assert_eq!(calls.total(), 0, "{calls:?}");
        }
    }
    assert!(tracker.searches_skipped() > 60);
}
