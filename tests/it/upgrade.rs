//! What earlier versions wrote. `tests/upgrade` keeps a configuration of each release, as it was
//! shipped, and takes in each of their formats.

use std::fs;
use std::path::{Path, PathBuf};

use palmd::config::Config;
use palmd::gesture::learned::Takes;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade")
}

#[test]
fn the_configuration_of_every_release_still_works() {
    let entries = fs::read_dir(folder()).expect("a folder");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.extension().is_some_and(|e| e == "toml"));
    let mut count = 0;
    for path in files {
        if let Err(error) = Config::load(&path) {
            panic!("{error}");
        }
        count += 1;
    }
    assert!(count > 0, "no configuration in {}", folder().display());
}

#[test]
fn takes_of_the_first_version_are_read() {
    let read = Takes::read(&folder(), "star").expect("takes");
    assert!(!read.torn);
    assert_eq!(read.takes.len(), 1);
    assert_eq!(read.takes[0].poses.len(), 15);
}
