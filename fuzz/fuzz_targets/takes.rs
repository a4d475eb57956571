//! Files of takes and of learned gestures, which somebody else may have written.
#![no_main]

use std::cell::LazyCell;

use libfuzzer_sys::fuzz_target;
use palmd::gesture::learned::{Fingerprint, Gesture, Takes};
use palmd_fuzz::Folder;

thread_local! {
    static FOLDER: LazyCell<Folder> = const { LazyCell::new(Folder::new) };
}

fuzz_target!(|data: &[u8]| {
    FOLDER.with(|folder| {
        let file = folder.file("star.takes.ndjson", data);
        if let Ok(read) = Takes::read(folder.path(), "star") {
            assert!(read.takes.iter().all(|take| !take.poses.is_empty()));
        }
        folder.file("star.gesture.json", data);
        let model = Fingerprint::of(&file).expect("the file is there");
        if let Ok(gesture) = Gesture::read(folder.path(), "star", model, 4) {
            assert!(gesture.radius.is_finite());
        }
    });
});
