//! Files of takes and of learned gestures, which somebody else may have written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palmd::gesture::learned::{Fingerprint, Gesture, Takes};
use palmd_fuzz::file;

fuzz_target!(|data: &[u8]| {
    let takes = file("star.takes.ndjson", data);
    let folder = takes.parent().expect("a folder");
    if let Ok(read) = Takes::read(folder, "star") {
        assert!(read.takes.iter().all(|take| !take.poses.is_empty()));
    }
    file("star.gesture.json", data);
    let model = Fingerprint::of(&takes).expect("the file is there");
    if let Ok(gesture) = Gesture::read(folder, "star", model, 4) {
        assert!(gesture.radius.is_finite());
    }
});
