//! Classifier inputs from a NumPy archive, for trying a classifier on recorded windows.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use half::f16;
use ndarray_npy::npy::header::{Header, Layout};
use zip::ZipArchive;
use zip::result::ZipError;

use crate::pose::LANDMARKS;
use crate::window::{WINDOW, WINDOW_LEN};

/// The most windows that are read: 480 MB.
const MAX_WINDOWS: usize = 1 << 16;

/// NumPy writes headers of 128 bytes; a much longer one is none.
const MAX_HEADER_BYTES: usize = 1024;

/// The array that holds the windows.
const KEY: &str = "poses";

/// Why an archive can't be used. The text names the file and the array.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct WindowsError {
    name: String,
    reason: String,
}

/// Windows of 30 x 21 x 3, oldest pose first, as the classifier takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    values: Vec<f32>,
}

impl Windows {
    /// Reads the array `poses` of an `.npz` file: n x 30 x 21 x 3 of float32, float64 or float16, in C or
    /// Fortran order, compressed or not.
    ///
    /// # Errors
    /// [`WindowsError`] if the file can't be read, is no archive or is cut off, if it has no such
    /// array, or if that has another shape or type, no windows or too many, or a number that is
    /// not finite.
    pub fn read(path: &Path) -> Result<Self, WindowsError> {
        read(path).map_err(|reason| WindowsError {
            name: path.display().to_string(),
            reason,
        })
    }

    /// The windows, in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32; WINDOW_LEN]> {
        self.values.as_chunks().0.iter()
    }
}

fn read(path: &Path) -> Result<Windows, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut archive = ZipArchive::new(io::BufReader::new(file)).map_err(|error| match error {
        ZipError::Io(error) => error.to_string(),
        error => format!("no .npz archive, or cut off: {error}"),
    })?;
    let entry = [format!("{KEY}.npy"), KEY.to_owned()]
        .iter()
        .find_map(|name| archive.index_for_name(name));
    let Some(entry) = entry else {
        return Err(missing(&archive));
    };
    let mut array = archive
        .by_index(entry)
        .map_err(|error| format!("array {KEY:?}: {error}"))?;
    read_array(&mut array).map_err(|reason| format!("array {KEY:?}: {reason}"))
}

fn missing(archive: &ZipArchive<io::BufReader<File>>) -> String {
    let mut reason = format!("no array {KEY:?} in it");
    for (index, name) in archive.file_names().take(8).enumerate() {
        let name = name.strip_suffix(".npy").unwrap_or(name);
        let separator = if index == 0 { ", only" } else { "," };
        // Writing to a string can't fail.
        let _ = write!(reason, "{separator} {name:?}");
    }
    reason
}

fn read_array(array: &mut impl Read) -> Result<Windows, String> {
    let header = read_header(array)?;
    let &[windows, WINDOW, LANDMARKS, 3] = &header.shape[..] else {
        return Err(format!(
            "its shape is {:?}, and should be n x {WINDOW} x {LANDMARKS} x 3",
            header.shape
        ));
    };
    if !(1..=MAX_WINDOWS).contains(&windows) {
        return Err(format!(
            "it has {windows} windows, and should have 1 to {MAX_WINDOWS}"
        ));
    }
    let dtype = header.type_descriptor.to_string();
    let number = Number::of(dtype.trim_matches('\''))
        .ok_or_else(|| format!("its type is {dtype}, and should be float32 ('<f4')"))?;

    let mut values = Vec::new();
    let mut buffer = vec![0; number.bytes * WINDOW_LEN];
    for window in 0..windows {
        array
            .read_exact(&mut buffer)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    format!("it ends within window {window} of {windows}")
                }
                _ => format!("window {window} of {windows}: {error}"),
            })?;
        values.extend(
            buffer
                .chunks_exact(number.bytes)
                .map(|bytes| number.read(bytes)),
        );
    }
    // The checksum is verified at the end.
    match array.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => return Err(format!("it has more data than its {windows} windows")),
        Err(error) => return Err(error.to_string()),
    }
    if header.layout == Layout::Fortran {
        values = c_order(&values, windows);
    }
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(format!(
            "window {} (of 0 to {}) has a number that is not finite: {}",
            index / WINDOW_LEN,
            windows - 1,
            values[index]
        ));
    }
    Ok(Windows { values })
}

/// Reads the header, but none that claims to be longer than any that is.
fn read_header(array: &mut impl Read) -> Result<Header, String> {
    let cut_off = |_| "it is cut off in its header".to_owned();
    let mut bytes = vec![0; 12];
    array.read_exact(&mut bytes).map_err(cut_off)?;
    // Version 1 has two bytes for the length, later ones four.
    let length = match bytes[6] {
        1 => 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]])),
        _ => 12 + u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize,
    };
    if !bytes.starts_with(b"\x93NUMPY") || !(12..=MAX_HEADER_BYTES).contains(&length) {
        return Err("no NumPy array (.npy)".into());
    }
    bytes.resize(length, 0);
    array.read_exact(&mut bytes[12..]).map_err(cut_off)?;
    Header::from_reader(&mut &bytes[..])
        .map_err(|error| format!("no NumPy array (.npy): {error}").replace('\n', " "))
}

/// How a number is stored.
#[derive(Clone, Copy)]
struct Number {
    bytes: usize,
    big_endian: bool,
}

impl Number {
    fn of(dtype: &str) -> Option<Self> {
        let big_endian = dtype.starts_with('>');
        let bytes = match dtype.strip_prefix(['<', '>', '='])? {
            "f2" => 2,
            "f4" => 4,
            "f8" => 8,
            _ => return None,
        };
        Some(Self { bytes, big_endian })
    }

    fn read(self, bytes: &[u8]) -> f32 {
        let mut little_endian = [0; 8];
        little_endian[..bytes.len()].copy_from_slice(bytes);
        if self.big_endian {
            little_endian[..bytes.len()].reverse();
        }
        let [a, b, c, d, ..] = little_endian;
        match self.bytes {
            2 => f16::from_le_bytes([a, b]).to_f32(),
            4 => f32::from_le_bytes([a, b, c, d]),
            _ => f64::from_le_bytes(little_endian) as f32,
        }
    }
}

/// Turns Fortran order (the first index runs fastest) into C order.
fn c_order(fortran: &[f32], windows: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(fortran.len());
    for window in 0..windows {
        for pose in 0..WINDOW {
            for landmark in 0..LANDMARKS {
                for axis in 0..3 {
                    let row = (axis * LANDMARKS + landmark) * WINDOW + pose;
                    values.push(fortran[row * windows + window]);
                }
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};
    use std::path::PathBuf;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    /// A number that tells its place.
    fn value(window: usize, rest: usize) -> f32 {
        window as f32 + rest as f32 / 2048.0
    }

    fn npy(dtype: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let order = if fortran { "True" } else { "False" };
        let text = format!("{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape}, }}");
        let mut npy = b"\x93NUMPY\x01\0\x76\0".to_vec();
        npy.extend(format!("{text:<117}\n").bytes());
        npy.extend_from_slice(data);
        npy
    }

    fn floats(windows: usize) -> Vec<u8> {
        (0..windows * WINDOW_LEN)
            .flat_map(|i| value(i / WINDOW_LEN, i % WINDOW_LEN).to_le_bytes())
            .collect()
    }

    fn npz(method: CompressionMethod, arrays: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(method);
        for (name, data) in arrays {
            zip.start_file(*name, options).unwrap();
            zip.write_all(data).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn stored(array: &[u8]) -> Vec<u8> {
        npz(CompressionMethod::Stored, &[("poses.npy", array)])
    }

    fn read_bytes(data: &[u8]) -> Result<Windows, WindowsError> {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("windows.npz");
        std::fs::write(&path, data).unwrap();
        Windows::read(&path)
    }

    #[test]
    fn every_way_to_store_windows_gives_the_same_ones() {
        let numbers: Vec<f32> = (0..2 * WINDOW_LEN)
            .map(|i| value(i / WINDOW_LEN, i % WINDOW_LEN))
            .collect();
        let doubles: Vec<u8> = numbers
            .iter()
            .flat_map(|&v| f64::from(v).to_le_bytes())
            .collect();
        let swapped: Vec<u8> = numbers.iter().flat_map(|v| v.to_be_bytes()).collect();
        let halves: Vec<u8> = numbers
            .iter()
            .flat_map(|&v| f16::from_f32(v).to_le_bytes())
            .collect();
        let mut fortran = vec![0.0; numbers.len()];
        for (i, &number) in numbers.iter().enumerate() {
            let (rest, axis) = (i / 3, i % 3);
            let (rest, landmark) = (rest / LANDMARKS, rest % LANDMARKS);
            let (window, pose) = (rest / WINDOW, rest % WINDOW);
            fortran[window + 2 * (pose + WINDOW * (landmark + LANDMARKS * axis))] = number;
        }
        let fortran: Vec<u8> = fortran.iter().flat_map(|v| v.to_le_bytes()).collect();

        let shape = "(2, 30, 21, 3)";
        let plain = npy("<f4", false, shape, &floats(2));
        for archive in [
            stored(&plain),
            npz(
                CompressionMethod::Deflated,
                &[("label.npy", b"?"), ("poses.npy", &plain)],
            ),
            stored(&npy("<f8", false, shape, &doubles)),
            stored(&npy(">f4", false, shape, &swapped)),
            stored(&npy("<f4", true, shape, &fortran)),
        ] {
            let windows = read_bytes(&archive).unwrap();
            assert_eq!(windows.values, numbers);
            assert_eq!(windows.iter().len(), 2);
            assert_eq!(windows.iter().nth(1).unwrap()[5], value(1, 5));
        }
        let windows = read_bytes(&stored(&npy("<f2", false, shape, &halves))).unwrap();
        for (read, written) in windows.values.iter().zip(&numbers) {
            assert!((read - written).abs() < 0.001);
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let good = npy("<f4", false, "(2, 30, 21, 3)", &floats(2));
        let archive = stored(&good);
        let mut nan = good.clone();
        let at = 128 + 4 * (WINDOW_LEN + 7);
        nan[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        let mut flipped = archive.clone();
        flipped[1000] ^= 1;
        let with_shape = |shape: &str| stored(&npy("<f4", false, shape, &floats(2)));
        let stored_as = |name| npz(CompressionMethod::Stored, &[(name, &good)]);
        let mut long_header = good.clone();
        long_header[8..10].copy_from_slice(&[0xff, 0xff]);
        let nested = format!("{}{}", "(".repeat(400), ")".repeat(400));
        let mut nested_npy = b"\x93NUMPY\x01\0\x21\x03".to_vec();
        nested_npy.extend(format!("{nested:<800}\n").bytes());
        for (data, reason) in [
            (b"hello, world".to_vec(), "no .npz archive"),
            (vec![], "no .npz archive"),
            (archive[..archive.len() / 2].to_vec(), "cut off"),
            (good.clone(), "no .npz archive"),
            (
                stored_as("pose.npy"),
                "no array \"poses\" in it, only \"pose\"",
            ),
            (with_shape("(2, 30, 63)"), "its shape is [2, 30, 63]"),
            (with_shape("(2, 15, 21, 3)"), "its shape is [2, 15, 21, 3]"),
            (with_shape("(0, 30, 21, 3)"), "it has 0 windows"),
            (
                with_shape("(3999999999, 30, 21, 3)"),
                "it has 3999999999 windows",
            ),
            (with_shape("(3, 30, 21, 3)"), "it ends within window 2 of 3"),
            (
                with_shape("(1, 30, 21, 3)"),
                "it has more data than its 1 windows",
            ),
            (
                stored(&npy("<i4", false, "(2, 30, 21, 3)", &floats(2))),
                "its type is '<i4'",
            ),
            (stored(&nan), "window 1 (of 0 to 1)"),
            (flipped, "array \"poses\": "),
            (stored(&good[..50]), "cut off in its header"),
            (stored(b"hello, world"), "no NumPy array"),
            (stored(&long_header), "no NumPy array"),
            (stored(&nested_npy), "no NumPy array"),
        ] {
            let error = read_bytes(&data).unwrap_err().to_string();
            assert!(
                error.contains("windows.npz: ") && error.contains(reason),
                "{error}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
        let error = Windows::read(Path::new("/nowhere/windows.npz")).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/windows.npz: "));
    }

    #[test]
    fn any_truncation_or_change_is_an_error_or_whole() {
        let data = npy("<f4", false, "(1, 30, 21, 3)", &floats(1));
        let archive = npz(CompressionMethod::Deflated, &[("poses.npy", &data)]);
        for at in (0..archive.len()).step_by(7) {
            assert!(read_bytes(&archive[..at]).is_err(), "{at} bytes");
            let mut changed = archive.clone();
            changed[at] ^= 0x55;
            if let Ok(windows) = read_bytes(&changed) {
                assert_eq!(windows.iter().len(), 1);
            }
        }
    }
}
