//! Where a command writes its lines: a file, or standard output.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::failure::{Failure, IO};

/// A buffered output that names itself in errors.
pub struct Output {
    name: String,
    out: Box<dyn Write>,
}

impl Output {
    /// Standard output, or the file at `path`.
    pub fn create(path: Option<&PathBuf>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self {
                name: "standard output".into(),
                out: Box::new(BufWriter::new(io::stdout().lock())),
            });
        };
        let name = path.display().to_string();
        let file = File::create(path).map_err(|e| Failure::new(IO, format_args!("{name}: {e}")))?;
        Ok(Self {
            name,
            out: Box::new(BufWriter::new(file)),
        })
    }

    /// Writes a value as one line of JSON.
    pub fn json_line(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.out, value)
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"))
            .map_err(|e| Failure::write(&self.name, &e))
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out
            .write_all(bytes)
            .map_err(|e| Failure::write(&self.name, &e))
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|e| Failure::write(&self.name, &e))
    }
}

/// Writes `value` as JSON into the file at `path`.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Failure> {
    let mut output = Output::create(Some(&path.to_path_buf()))?;
    output.json_line(value)?;
    output.flush()
}
