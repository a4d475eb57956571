//! Y4M, MJPEG, AVI, PNG and JPEG files as a camera's stand-in. The first byte chooses the file's name.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use palmd::camera::{Next, recording};
use palmd_fuzz::file;

fuzz_target!(|data: &[u8]| {
    let Some((&which, content)) = data.split_first() else {
        return;
    };
    let name = ["clip.y4m", "clip.mjpeg", "clip.avi", "one.png", "one.jpg"][usize::from(which) % 5];
    let path = file(name, content);
    let Ok(mut source) = recording::open(&path, None) else {
        return;
    };
    for _ in 0..50 {
        match source.next_frame(Duration::ZERO) {
            Ok(Next::Frame(frame)) => {
                let image = frame.image();
                assert!(image.width > 0 && image.height > 0);
            }
            Ok(_) => break,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                break;
            }
        }
    }
    source.stats();
});
