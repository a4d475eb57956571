//! What a user may name as a source.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::SourceError;

/// The forms that a source may have, for messages.
pub const FORMS: &str = "a source is a camera (auto, /dev/video0, /dev/v4l/by-id/...), \
    a recording (.y4m, .mjpeg, .avi, a picture, a folder of pictures), - for Y4M on standard \
    input, or synthetic:SCRIPT";

/// A source as the user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceSpec {
    /// A V4L2 device, or `auto` for the first real camera.
    Camera(String),
    /// A recording, a picture or a folder of pictures.
    Recording(PathBuf),
    /// Y4M on standard input.
    Stdin,
    /// The synthetic hand with its script, or the file that the script is in.
    Synthetic(String),
}

impl FromStr for SourceSpec {
    type Err = SourceError;

    /// A camera need not be there (it may come), a recording must.
    fn from_str(spec: &str) -> Result<Self, SourceError> {
        if let Some(script) = spec.strip_prefix("synthetic:") {
            if script.trim().is_empty() {
                return Err(misspelt(
                    spec,
                    "the script is missing, as in synthetic:demo.txt",
                ));
            }
            return Ok(Self::Synthetic(script.into()));
        }
        match spec {
            "" => return Err(misspelt(spec, FORMS)),
            "-" => return Ok(Self::Stdin),
            "auto" => return Ok(Self::Camera(spec.into())),
            _ => {}
        }
        let path = Path::new(spec);
        if let Some(name) = spec.strip_prefix("/dev/")
            && (name.starts_with("v4l/") || is_video_device(name))
        {
            return Ok(Self::Camera(spec.into()));
        }
        match fs::metadata(path) {
            // A udev rule may give a camera any name.
            Ok(metadata) if metadata.file_type().is_char_device() && spec.starts_with("/dev/") => {
                Ok(Self::Camera(spec.into()))
            }
            Ok(_) => Ok(Self::Recording(path.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(not_there(spec)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(SourceError::Permission {
                    name: spec.into(),
                    hint: "its folders must be readable for the user that palmd runs as".into(),
                })
            }
            Err(error) => Err(SourceError::Io {
                name: spec.into(),
                doing: "look for it",
                error,
            }),
        }
    }
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Camera(device) => f.write_str(device),
            Self::Recording(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("-"),
            Self::Synthetic(script) => write!(f, "synthetic:{script}"),
        }
    }
}

fn is_video_device(name: &str) -> bool {
    name.strip_prefix("video").is_some_and(is_number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

fn misspelt(spec: &str, reason: &str) -> SourceError {
    SourceError::Spec {
        spec: spec.into(),
        reason: reason.into(),
    }
}

/// The error for something that is no file: what may have been meant.
fn not_there(spec: &str) -> SourceError {
    let lower = spec.to_lowercase();
    let (scheme, rest) = lower.split_once(':').unwrap_or((&lower, ""));
    let near = |word| strsim::osa_distance(scheme, word) <= 2;
    if rest.starts_with("//") {
        misspelt(
            spec,
            &format!(
                "palmd reads no network streams; pipe it in: ffmpeg -i {spec} -f yuv4mpegpipe - | palmd ... --source -"
            ),
        )
    } else if near("synthetic") {
        misspelt(spec, "did you mean synthetic:SCRIPT?")
    } else if lower == "stdin" {
        misspelt(spec, "did you mean - (Y4M on standard input)?")
    } else if rest.is_empty() && strsim::osa_distance(&lower, "auto") <= 1 {
        misspelt(spec, "did you mean auto?")
    } else if is_number(spec) {
        misspelt(spec, &format!("did you mean /dev/video{spec}?"))
    } else if is_video_device(&lower) {
        misspelt(spec, &format!("did you mean /dev/{lower}?"))
    } else {
        SourceError::Unavailable {
            name: spec.into(),
            reason: format!("no such file; {FORMS}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_back() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_str().unwrap();
        for (text, spec) in [
            ("auto", SourceSpec::Camera("auto".into())),
            ("/dev/video12", SourceSpec::Camera("/dev/video12".into())),
            (
                "/dev/v4l/by-id/usb-046d_C270-video-index0",
                SourceSpec::Camera("/dev/v4l/by-id/usb-046d_C270-video-index0".into()),
            ),
            ("-", SourceSpec::Stdin),
            (folder, SourceSpec::Recording(folder.into())),
            (
                "synthetic:wait 1s; fist 2s",
                SourceSpec::Synthetic("wait 1s; fist 2s".into()),
            ),
        ] {
            let parsed: SourceSpec = text.parse().unwrap();
            assert_eq!(parsed, spec);
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn a_mistake_gets_a_hint() {
        for (text, hint) in [
            ("", "auto"),
            ("0", "/dev/video0"),
            ("Video1", "/dev/video1"),
            ("Auto", "did you mean auto"),
            ("synthetic", "synthetic:SCRIPT"),
            ("sythetic:demo.txt", "synthetic:SCRIPT"),
            ("synthetic:", "script is missing"),
            ("rtsp://camera/live", "ffmpeg -i rtsp://camera/live"),
            ("/nowhere/clip.mjpeg", "no such file"),
        ] {
            let error = text.parse::<SourceSpec>().unwrap_err().to_string();
            assert!(error.contains(hint) && error.contains(text), "{error}");
        }
        let error = "/nowhere/clip.mjpeg".parse::<SourceSpec>().unwrap_err();
        assert!(matches!(error, SourceError::Unavailable { .. }));
    }
}
