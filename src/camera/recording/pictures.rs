//! Single pictures and folders of them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegDecoder as JpegMetadata;
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, Limits};

use super::{Container, Fault, MAX_SIDE, Step, mjpeg};
use crate::camera::jpeg::JpegDecoder;
use crate::camera::{Image, PixelFormat, Range};

/// What a PNG picture begins with.
pub(super) const PNG_MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The largest picture file that is read.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Reads and decodes pictures one by one, turned as their EXIF orientation says.
pub(super) struct Pictures {
    paths: std::vec::IntoIter<PathBuf>,
    /// In a folder a broken picture is passed over.
    folder: bool,
    total: u64,
    skipped: u64,
    data: Vec<u8>,
    decoder: JpegDecoder,
    /// A picture that `decoder` doesn't hold: a PNG, or one that was turned.
    turned: Option<DynamicImage>,
}

impl Pictures {
    pub(super) fn single(path: &Path) -> Self {
        Self::new(vec![path.to_owned()], false, 0)
    }

    /// All JPEG and PNG pictures of a folder (not of those within it), by name, numbers by value.
    pub(super) fn folder(folder: &Path) -> Result<Self, Fault> {
        let mut paths = Vec::new();
        let mut skipped = 0;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if is_picture(&path) {
                paths.push(path);
            } else {
                skipped += 1;
            }
        }
        if paths.is_empty() {
            return Err(Fault::Data(match skipped {
                0 => "the folder is empty".into(),
                _ => format!("no JPEG or PNG picture among the folder's {skipped} entries"),
            }));
        }
        paths.sort_by(|a, b| natural_order(a, b));
        Ok(Self::new(paths, true, skipped))
    }

    fn new(paths: Vec<PathBuf>, folder: bool, skipped: u64) -> Self {
        Self {
            total: paths.len() as u64,
            paths: paths.into_iter(),
            folder,
            skipped,
            data: Vec::new(),
            decoder: JpegDecoder::default(),
            turned: None,
        }
    }

    fn read(&mut self, path: &Path) -> Result<(), String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        self.data.clear();
        file.take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut self.data)
            .map_err(|error| error.to_string())?;
        match self.data.len() {
            0 => Err("the file is empty".into()),
            length if length as u64 > MAX_FILE_BYTES => Err(format!(
                "the file has more than {} MB",
                MAX_FILE_BYTES >> 20
            )),
            _ => Ok(()),
        }
    }

    fn decode(&mut self) -> Result<(), String> {
        self.turned = None;
        if self.data.starts_with(mjpeg::MAGIC) {
            let image = self.decoder.decode(&self.data).map_err(|e| e.to_string())?;
            // Without a readable orientation the picture stands as it lies.
            let orientation = JpegMetadata::new(Cursor::new(&self.data))
                .and_then(|mut metadata| metadata.orientation())
                .unwrap_or(Orientation::NoTransforms);
            if orientation != Orientation::NoTransforms {
                let mut turned = to_dynamic(&image).ok_or("an impossible size")?;
                turned.apply_orientation(orientation);
                self.turned = Some(turned);
            }
            Ok(())
        } else if self.data.starts_with(PNG_MAGIC) {
            let picture = decode_png(&self.data);
            self.turned =
                Some(picture.map_err(|error| format!("not a whole PNG picture: {error}"))?);
            Ok(())
        } else {
            Err("neither a JPEG nor a PNG picture".into())
        }
    }
}

fn decode_png(data: &[u8]) -> Result<DynamicImage, String> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE as u32);
    limits.max_image_height = Some(MAX_SIDE as u32);
    let mut decoder = PngDecoder::with_limits(Cursor::new(data), limits).map_err(png_error)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(png_error)?;
    let mut picture = if picture.color().has_color() {
        DynamicImage::ImageRgb8(picture.into_rgb8())
    } else {
        DynamicImage::ImageLuma8(picture.into_luma8())
    };
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn png_error(error: image::ImageError) -> String {
    match error {
        image::ImageError::Limits(_) => format!("it is larger than {MAX_SIDE} pixels a side"),
        error => error.to_string().lines().collect::<Vec<_>>().join(" "),
    }
}

/// A copy of a decoded JPEG, to be turned.
fn to_dynamic(image: &Image<'_>) -> Option<DynamicImage> {
    let (width, height) = (image.width as u32, image.height as u32);
    let pixels = image.planes[0].to_vec();
    match image.format {
        PixelFormat::Grey => {
            image::GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8)
        }
        _ => image::RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
    }
}

/// Whether a folder's entry is meant as a picture: by its name, or by its content where the name
/// says nothing.
fn is_picture(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    if hidden || !path.is_file() {
        return false;
    }
    if has_picture_name(path) || path.extension().is_some() {
        return has_picture_name(path);
    }
    let mut head = [0; PNG_MAGIC.len()];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut head).is_ok())
        && (head.starts_with(mjpeg::MAGIC) || head == PNG_MAGIC)
}

/// Whether the name ends as a picture's does.
pub(super) fn has_picture_name(path: &Path) -> bool {
    path.extension()
        .and_then(OsStr::to_str)
        .is_some_and(|extension| {
            ["jpg", "jpeg", "jpe", "jfif", "png"]
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known))
        })
}

/// Runs of digits compare by value ("9.jpg" before "10.jpg"), everything else by its bytes.
fn natural_order(a: &Path, b: &Path) -> std::cmp::Ordering {
    let mut left = a.as_os_str().as_encoded_bytes();
    let mut right = b.as_os_str().as_encoded_bytes();
    loop {
        match (digits(left), digits(right)) {
            (0, _) | (_, 0) => match (left.split_first(), right.split_first()) {
                (Some((x, left_rest)), Some((y, right_rest))) if x == y => {
                    (left, right) = (left_rest, right_rest);
                }
                _ => return left.cmp(right).then_with(|| a.cmp(b)),
            },
            (x, y) => {
                let (number, left_rest) = left.split_at(x);
                let (other, right_rest) = right.split_at(y);
                let (number, other) = (without_zeros(number), without_zeros(other));
                let order = number.len().cmp(&other.len()).then(number.cmp(other));
                if order.is_ne() {
                    return order;
                }
                (left, right) = (left_rest, right_rest);
            }
        }
    }
}

/// How many digits the text begins with.
fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|c| c.is_ascii_digit()).count()
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&digit| digit == b'0').count();
    &number[zeros..]
}

impl Container for Pictures {
    fn step(&mut self) -> Result<Step, Fault> {
        let Some(path) = self.paths.next() else {
            return Ok(Step::End);
        };
        match self.read(&path).and_then(|()| self.decode()) {
            Ok(()) => Ok(Step::Picture),
            Err(reason) if self.folder => {
                let name = path.file_name().unwrap_or_default().display();
                Ok(Step::Bad(format!("{name}: {reason}")))
            }
            Err(reason) => Err(Fault::Data(reason)),
        }
    }

    fn picture(&self) -> Option<Image<'_>> {
        let Some(turned) = &self.turned else {
            return self.decoder.image();
        };
        let format = match turned {
            DynamicImage::ImageLuma8(_) => PixelFormat::Grey,
            _ => PixelFormat::Rgb3,
        };
        let (width, height) = (turned.width() as usize, turned.height() as usize);
        let stride = format.plane_layout(width, height)[0].0;
        Image::from_contiguous(
            format,
            Range::Full,
            width,
            height,
            stride,
            turned.as_bytes(),
        )
    }

    fn stills(&self) -> bool {
        true
    }

    fn format(&self) -> &'static str {
        "RGB3"
    }

    fn frames(&self) -> Option<u64> {
        Some(self.total)
    }

    fn skipped(&self) -> u64 {
        self.skipped
    }
}
