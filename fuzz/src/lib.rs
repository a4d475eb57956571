//! What the targets share.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

thread_local! {
    static FOLDER: TempDir = {
        // In memory, where there is a place for that.
        let shared = Path::new("/dev/shm");
        let folder = if shared.is_dir() {
            tempfile::tempdir_in(shared)
        } else {
            tempfile::tempdir()
        };
        folder.expect("a folder")
    };
}

/// A file with this content, for what is read from files. It lies in this thread's folder.
///
/// # Panics
/// If there is no room for it.
pub fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = FOLDER.with(|folder| folder.path().join(name));
    fs::write(&path, content).expect("room for a file");
    path
}
