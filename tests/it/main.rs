//! Integration tests, in one program: they share the models, the allocator and the time to link.

mod bad_input;
mod demo;
mod flood;
mod frame_memory;
mod hand_over;
mod http;
mod interposed;
mod memory_lock;
mod mqtt;
mod outputs;
mod peers;
mod pool;
mod real_camera;
mod rendered;
mod search;
mod service_manager;
mod signals;
mod socket;
mod steady;
mod teaching;
mod threads;
mod unit_file;
mod upgrade;
mod users_models;

use std::path::PathBuf;
use std::process::Command;

#[global_allocator]
static ALLOCATOR: palmd::health::CountingAllocator = palmd::health::CountingAllocator;

/// The emulator that the tests run under, if any, with its arguments (`cross/cargo.sh` says which).
fn emulator() -> Option<String> {
    std::env::var("PALMD_TEST_RUNNER").ok()
}

/// Of what a test repeats it does one in so many: under an emulator a network takes a hundred
/// times as long.
fn one_in() -> usize {
    if emulator().is_some() { 13 } else { 1 }
}

/// A script as a source that is watched until a signal comes. An emulator gets its frames so
/// seldom that it is done with one by then; palmd would not wait for a round that takes seconds.
fn watched(script: &str) -> String {
    let rate = if emulator().is_some() {
        "fps 0.01; "
    } else {
        ""
    };
    format!("synthetic:{rate}{script}")
}

/// The program, under the emulator, if any.
fn palmd() -> Command {
    let emulator = emulator().unwrap_or_default();
    let program = env!("CARGO_BIN_EXE_palmd");
    let mut words = emulator.split_whitespace().chain([program]);
    let mut palmd = Command::new(words.next().expect("one word at least"));
    palmd.args(words);
    palmd
}

/// The folder of the hand models: that of PALMD_MODELS, or the repository's. Says so where they
/// are missing.
fn hand_models_folder() -> Option<PathBuf> {
    let models = std::env::var_os("PALMD_MODELS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/models")),
        PathBuf::from,
    );
    if models.join("hand_landmark_full.onnx").exists() {
        return Some(models);
    }
    eprintln!(
        "skipped: no hand models in {} (make models)",
        models.display()
    );
    None
}
