//! Model files from elsewhere: whatever they are, they are loaded and run once, or refused.
#![no_main]

use std::panic;

use libfuzzer_sys::fuzz_target;
use palmd::gesture::Classifier;
use palmd_fuzz::file;

// A panic of tract's is an error of palmd's, and must stay one: only those that get as far as here count.
fn let_panics_pass() {
    panic::set_hook(Box::new(|_| {}));
}

fuzz_target!(init: let_panics_pass(), |data: &[u8]| {
    let path = file("model.onnx", data);
    match Classifier::load(&path, None) {
        Ok(classifier) => assert!(classifier.probabilities().iter().all(|p| p.is_finite())),
        Err(error) => assert!(error.to_string().contains("model.onnx"), "{error}"),
    }
});
