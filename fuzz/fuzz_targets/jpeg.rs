//! Pictures of a camera that sends Motion JPEG.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use palmd::camera::JpegDecoder;

thread_local! {
    // One for all, as a camera has one: what a picture leaves behind mustn't harm the next.
    static DECODER: RefCell<JpegDecoder> = RefCell::new(JpegDecoder::with_limit(1024, 1024));
}

fuzz_target!(|data: &[u8]| {
    DECODER.with_borrow_mut(|decoder| match decoder.decode(data) {
        Ok(image) => assert!(image.width <= 1024 && image.height <= 1024),
        Err(error) => assert!(!error.to_string().is_empty()),
    });
});
