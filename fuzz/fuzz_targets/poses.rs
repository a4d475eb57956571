//! Lines of poses, as `palmd classify` reads them, and windows from a NumPy archive. The first byte chooses.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use palmd::gesture::windows_npz::Windows;
use palmd::pose::lines::PoseLines;
use palmd_fuzz::file;

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        None => {}
        Some((b'{', _)) => {
            for frame in PoseLines::new("poses", Cursor::new(data.to_vec())) {
                let Ok(frame) = frame else { break };
                for hand in frame.hands {
                    assert!(hand.landmarks.as_flattened().iter().all(|x| x.is_finite()));
                }
            }
        }
        Some(_) => {
            let path = file("windows.npz", data);
            if let Ok(windows) = Windows::read(&path) {
                assert!(windows.iter().flatten().all(|x| x.is_finite()));
            }
        }
    }
});
