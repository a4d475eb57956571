//! Scripts of the synthetic hand.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use palmd::camera::synthetic::{Script, Synthetic};

fuzz_target!(|text: &str| {
    let Ok(script) = Script::parse(text) else {
        return;
    };
    let truth = script.truth();
    let length = script.duration();
    assert!(truth.intervals.iter().all(|i| i.start <= i.end));
    let hand = Synthetic::new(script);
    for part in 0..4 {
        for hand in hand
            .poses_at(length * part / 4 + Duration::from_millis(1))
            .hands
        {
            assert!(hand.landmarks.as_flattened().iter().all(|x| x.is_finite()));
        }
    }
});
