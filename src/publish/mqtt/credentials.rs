//! The password for a broker: from a file or from systemd, never from the command line.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Name of the credential (`LoadCredential=mqtt-password:...` in the unit).
const CREDENTIAL: &str = "mqtt-password";

/// No password is longer.
const LONGEST: u64 = 1024;

/// The file that is configured, or systemd's credential, if there is one.
fn file(configured: &Path) -> Option<PathBuf> {
    if configured != Path::new("") {
        return Some(configured.into());
    }
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    let file = Path::new(&folder).join(CREDENTIAL);
    file.exists().then_some(file)
}

/// The password without the end of its line, if one is configured.
///
/// # Errors
/// Why it can't be read, in a line that names the file.
pub fn password(configured: &Path) -> Result<Option<String>, String> {
    let Some(path) = file(configured) else {
        return Ok(None);
    };
    match read(&path) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) => Err(format!(
            "{}: {error}; it must hold the broker's password in one line",
            path.display()
        )),
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(LONGEST + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other("longer than 1024 bytes"));
    }
    Ok(text)
}

/// Says so if every user of the machine may read the password.
pub fn exposed(configured: &Path) -> Option<String> {
    let path = file(configured)?;
    let mode = path.metadata().ok()?.permissions().mode();
    (mode & 0o004 != 0).then(|| {
        let path = path.display();
        format!("every user may read {path} (chmod o-r {path})")
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn a_password_is_one_short_line_for_few_eyes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        assert!(password(&path).unwrap_err().contains("password: No such"));
        std::fs::write(&path, "se cret \n").expect("a file");
        assert_eq!(password(&path), Ok(Some("se cret ".into())));
        let set = |mode| std::fs::set_permissions(&path, Permissions::from_mode(mode));
        set(0o644).expect("its owner");
        assert!(exposed(&path).expect("a warning").contains("chmod o-r"));
        set(0o640).expect("its owner");
        assert_eq!(exposed(&path), None);
        std::fs::write(&path, "x".repeat(2000)).expect("a file");
        assert!(password(&path).unwrap_err().contains("longer than"));
        std::fs::write(&path, b"\xff").expect("a file");
        assert!(password(&path).is_err());
    }
}
