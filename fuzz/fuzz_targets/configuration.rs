//! Configuration files.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use palmd::config::Config;

fuzz_target!(|text: &str| {
    if let Err(error) = Config::parse(text, Path::new("palmd.toml")) {
        // People are told about their file, in one line.
        let message = error.to_string();
        assert!(
            message.starts_with("palmd.toml") && !message.contains('\n'),
            "{message}"
        );
    }
});
