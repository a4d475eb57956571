//! A camera that a preloaded library serves is a camera like any other: palmd's calls go through libc's
//! symbols, which is how `libcamerify` brings in those of a Raspberry Pi.

use std::path::Path;
use std::process::{Command, Output};

/// The node that `interposed_camera.c` serves.
pub const NODE: &str = "/dev/video63";

/// A preloaded library of the tests' architecture (`cross/cargo.sh` names the compiler).
pub fn library(folder: &Path) -> std::path::PathBuf {
    let library = folder.join("camera.so");
    let compiler = std::env::var("PALMD_TEST_CC").unwrap_or_else(|_| "cc".into());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/interposed_camera.c");
    let compiled = Command::new(&compiler)
        .args(["-Wall", "-Werror", "-O1", "-shared", "-fPIC", "-o"])
        .args([&library, Path::new(source)])
        .arg("-ldl")
        .status();
    let compiled = compiled.unwrap_or_else(|error| panic!("{compiler}: {error}"));
    assert!(compiled.success(), "{compiler} {source}");
    library
}

fn check(preloaded: Option<&Path>) -> (String, String) {
    let mut palmd = super::palmd();
    palmd.args(["check", "--source", NODE]);
    if let Some(library) = preloaded {
        palmd.env("LD_PRELOAD", library);
    }
    let Output { stdout, stderr, .. } = palmd.output().unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    let source = stdout.lines().find(|line| line.contains(NODE));
    (
        source.unwrap_or_default().to_owned(),
        String::from_utf8(stderr).unwrap(),
    )
}

#[test]
fn a_preloaded_camera_is_opened_streams_and_is_left_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (source, log) = check(Some(&library(folder.path())));
    assert!(source.starts_with("ok"), "{source}\n{log}");
    assert!(
        source.ends_with("(Interposed camera): YUYV 64x48 at 30 frames a second"),
        "{source}"
    );
    assert!(log.contains("camera: left in order"), "{log}");
}

#[test]
fn without_the_library_it_is_not_there() {
    if Path::new(NODE).exists() {
        return eprintln!("skipped: this machine has a {NODE}");
    }
    let (source, _) = check(None);
    assert!(source.starts_with("FAIL"), "{source}");
}
