//! A program with its arguments, as the configuration names it.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};

/// A program and its arguments: `["/usr/local/bin/lamp", "on"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Program {
    name: String,
    arguments: Vec<String>,
}

impl TryFrom<Vec<String>> for Program {
    type Error = String;

    fn try_from(mut words: Vec<String>) -> Result<Self, String> {
        if let Some(word) = words.iter().find(|word| word.contains('\0')) {
            return Err(format!("{word:?} has a zero byte"));
        }
        if words.first().is_none_or(String::is_empty) {
            return Err("a program is missing; write [\"/path/of/program\", \"argument\"]".into());
        }
        let name = words.remove(0);
        if name.contains('/') && !name.starts_with('/') {
            return Err(format!(
                "{name:?} depends on where palmd was started; write the full path"
            ));
        }
        Ok(Self {
            name,
            arguments: words,
        })
    }
}

impl From<Program> for Vec<String> {
    fn from(program: Program) -> Self {
        [vec![program.name], program.arguments].concat()
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Program {
    /// Its arguments.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The file to start: a name is looked for in `PATH`.
    ///
    /// # Errors
    /// That it isn't there or can't be started, in a line.
    pub fn find(&self) -> Result<PathBuf, String> {
        let name = &self.name;
        if name.starts_with('/') {
            let path = PathBuf::from(name);
            return match path.metadata() {
                Err(error) => Err(format!("the program {name}: {error}")),
                Ok(file) if !file.is_file() => Err(format!("{name} is no program")),
                Ok(_) if !may_start(&path) => Err(format!(
                    "{name} can't be started by this user; make it executable: chmod +x {name}"
                )),
                Ok(_) => Ok(path),
            };
        }
        let folders = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&folders)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(name))
            .find(|path| path.is_file() && may_start(path))
            .ok_or_else(|| {
                let folders = folders.display();
                format!("there is no program {name} in PATH ({folders}); write its full path")
            })
    }
}

fn may_start(path: &Path) -> bool {
    access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(words: &[&str]) -> Result<Program, String> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        words.try_into()
    }

    #[test]
    fn a_program_is_a_name_or_a_full_path() {
        let env = program(&["env", "-0"]).expect("a name");
        assert_eq!(env.arguments(), ["-0"]);
        assert!(env.find().expect("in PATH").is_absolute());
        let path = env.find().expect("in PATH");
        let full = program(&[path.to_str().expect("text")]).expect("a path");
        assert_eq!(full.find(), Ok(path));

        let refused = |words: &[&str]| program(words).expect_err("no program");
        assert!(refused(&[]).contains("a program is missing"));
        assert!(refused(&["", "on"]).contains("a program is missing"));
        assert!(refused(&["bin/lamp"]).contains("write the full path"));
        assert!(refused(&["lamp", "a\0b"]).contains("zero byte"));
    }

    #[test]
    fn what_cannot_be_started_is_said_in_a_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = |name: &str| program(&[name]).expect("a name").find().unwrap_err();
        let lamp = folder.path().join("lamp");
        let path = lamp.to_str().expect("text");
        assert!(missing(path).contains("No such file"));
        std::fs::write(&lamp, "").expect("a file");
        assert!(missing(path).contains("chmod +x"));
        assert!(missing("/").contains("no program"));
        assert!(missing("no-such-lamp").contains("there is no program no-such-lamp in PATH"));
    }
}
