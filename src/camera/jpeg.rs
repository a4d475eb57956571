//! JPEG pictures, as cameras (`MJPG`) and recordings bring them.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use super::{Image, PixelFormat, Range};

/// Widest and highest picture that is decoded by default, in pixels.
const MAX_SIDE: usize = 8192;

/// An APP0 segment by which motion JPEG announces that it leaves the standard Huffman tables out.
const MOTION_JPEG_APP0: [u8; 10] = [0xff, 0xe0, 0, 8, b'A', b'V', b'I', b'1', 0, 0];

/// More than the decoder reads ahead.
const PADDING: [u8; 16] = [0; 16];

/// Why a JPEG picture can't be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a whole JPEG picture: {0}")]
pub struct JpegError(String);

/// Decodes JPEG pictures into one buffer that is used again for each.
///
/// The buffers grow to the largest picture; the decoding library itself still allocates for each.
#[derive(Debug)]
pub struct JpegDecoder {
    max_width: usize,
    max_height: usize,
    input: Vec<u8>,
    pixels: Vec<u8>,
    /// Format, width and height of the picture in `pixels`.
    decoded: Option<(PixelFormat, usize, usize)>,
}

impl Default for JpegDecoder {
    /// Takes pictures up to 8192 pixels wide and high.
    fn default() -> Self {
        Self::with_limit(MAX_SIDE, MAX_SIDE)
    }
}

impl JpegDecoder {
    /// A decoder that refuses larger pictures before it makes room for them.
    #[must_use]
    pub fn with_limit(max_width: usize, max_height: usize) -> Self {
        Self {
            max_width,
            max_height,
            input: Vec::new(),
            pixels: Vec::new(),
            decoded: None,
        }
    }

    /// Decodes one picture to RGB, or to grey where it has no colour. Bytes after its end are
    /// ignored. Motion JPEG without Huffman tables gets the standard ones.
    ///
    /// # Errors
    /// [`JpegError`] when the data isn't a JPEG, ends before its end marker, has less entropy-coded
    /// data than pixels, or is larger than the limit.
    pub fn decode(&mut self, data: &[u8]) -> Result<Image<'_>, JpegError> {
        self.decoded = None;
        let outline = Outline::of(data).map_err(|reason| JpegError(reason.into()))?;
        self.input.clear();
        self.input.extend_from_slice(&data[..2]);
        if !outline.has_huffman_tables {
            self.input.extend_from_slice(&MOTION_JPEG_APP0);
        }
        if outline.single_scan {
            // At an end marker the decoder goes on with zeros for ever and so fills up what is
            // missing from a torn picture with grey. The end of the data is an error to it.
            self.input.extend_from_slice(&data[2..outline.end]);
            self.input.extend_from_slice(&PADDING);
        } else {
            self.input.extend_from_slice(&data[2..outline.end + 2]);
        }

        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .set_max_width(self.max_width)
            .set_max_height(self.max_height)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder =
            zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(&self.input), options);
        decoder.decode_headers().map_err(error)?;
        let format = match decoder.input_colorspace() {
            Some(ColorSpace::Luma) => {
                decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
                PixelFormat::Grey
            }
            _ => PixelFormat::Rgb3,
        };
        let (width, height) = decoder.dimensions().unwrap_or_default();
        let size = decoder.output_buffer_size().unwrap_or_default();
        if self.pixels.len() < size {
            self.pixels.resize(size, 0);
        }
        decoder
            .decode_into(&mut self.pixels[..size])
            .map_err(error)?;
        self.decoded = Some((format, width, height));
        self.image()
            .ok_or_else(|| JpegError(format!("impossible size {width}x{height}")))
    }

    /// The picture that was decoded last; `None` if that failed.
    #[must_use]
    pub fn image(&self) -> Option<Image<'_>> {
        let (format, width, height) = self.decoded?;
        let (stride, rows) = format.plane_layout(width, height)[0];
        let pixels = self.pixels.get(..stride * rows)?;
        Image::from_contiguous(format, Range::Full, width, height, stride, pixels)
    }
}

fn error(error: zune_jpeg::errors::DecodeErrors) -> JpegError {
    JpegError(error.to_string().lines().collect::<Vec<_>>().join(" "))
}

/// What the markers tell without decoding.
struct Outline {
    has_huffman_tables: bool,
    /// All components come in one sequential scan.
    single_scan: bool,
    /// Where the end marker stands.
    end: usize,
}

impl Outline {
    fn of(data: &[u8]) -> Result<Self, &'static str> {
        const TRUNCATED: &str = "it ends too early";
        if !data.starts_with(&[0xff, 0xd8]) {
            return Err("it doesn't begin with FF D8");
        }
        let mut has_huffman_tables = false;
        let mut sequential_components = None;
        let mut at = 2;
        loop {
            let skip = data[at..].iter().position(|&byte| byte == 0xff);
            at += skip.ok_or(TRUNCATED)? + 1;
            let marker = *data.get(at).ok_or(TRUNCATED)?;
            match marker {
                // Fill bytes.
                0x00 | 0xff => continue,
                // Markers without a segment.
                0x01 | 0xd0..=0xd8 => {
                    at += 1;
                    continue;
                }
                0xd9 => return Err("it has no picture data"),
                _ => {}
            }
            let length = data.get(at + 1..at + 3).ok_or(TRUNCATED)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            let segment = data.get(at + 1..at + 1 + length).ok_or(TRUNCATED)?;
            at += 1 + length;
            match marker {
                0xc4 => has_huffman_tables = true,
                0xc0 | 0xc1 => sequential_components = segment.get(7),
                // Within entropy-coded data FF is always followed by 00 or a marker.
                0xda => {
                    let mut pairs = data[at..].windows(2);
                    let end = pairs.position(|pair| pair == [0xff, 0xd9]);
                    return Ok(Self {
                        has_huffman_tables,
                        single_scan: sequential_components.is_some()
                            && sequential_components == segment.get(2),
                        end: at + end.ok_or(TRUNCATED)?,
                    });
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::jpeg::JpegEncoder;
    use image::{ExtendedColorType, ImageEncoder};
    use proptest::prelude::*;

    fn picture(width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
        let channels = usize::from(color.channel_count());
        // Smooth enough for JPEG, busy enough to fill some kilobytes.
        let pixels: Vec<u8> = (0..width * height)
            .flat_map(|i| {
                let (x, y) = (i % width, i / width);
                [
                    x * 255 / width,
                    y * 255 / height,
                    (x / 8 * 37 + y / 8 * 91) % 256,
                ]
            })
            .enumerate()
            .filter_map(|(i, value)| (i % 3 < channels).then_some(value as u8))
            .collect();
        let mut data = Vec::new();
        JpegEncoder::new_with_quality(&mut data, 95)
            .write_image(&pixels, width, height, color)
            .unwrap();
        data
    }

    #[test]
    fn colour_becomes_rgb_and_grey_stays_grey() {
        let mut decoder = JpegDecoder::default();
        let data = picture(64, 48, ExtendedColorType::Rgb8);
        let image = decoder.decode(&data).unwrap();
        assert_eq!(
            (image.format, image.width, image.height, image.strides[0]),
            (PixelFormat::Rgb3, 64, 48, 192)
        );
        let (red, green) = (image.planes[0][63 * 3], image.planes[0][47 * 192 + 1]);
        assert!(red > 230 && green > 230, "{red} {green}");

        let data = picture(33, 17, ExtendedColorType::L8);
        let image = decoder.decode(&data).unwrap();
        assert_eq!(
            (image.format, image.width, image.height),
            (PixelFormat::Grey, 33, 17)
        );
    }

    #[test]
    fn every_truncation_is_an_error() {
        let data = picture(64, 48, ExtendedColorType::Rgb8);
        let mut decoder = JpegDecoder::default();
        for length in 0..data.len() - 1 {
            assert!(decoder.decode(&data[..length]).is_err(), "{length} bytes");
        }
        assert!(decoder.decode(&data).is_ok());
    }

    #[test]
    fn padding_after_the_end_is_ignored() {
        let mut data = picture(64, 48, ExtendedColorType::Rgb8);
        data.resize(data.len() + 1000, 0);
        assert!(JpegDecoder::default().decode(&data).is_ok());
    }

    #[test]
    fn a_hole_in_the_middle_is_an_error() {
        let data = picture(320, 240, ExtendedColorType::Rgb8);
        let mut decoder = JpegDecoder::default();
        let middle = data.len() / 2;
        for hole in [64, 512, 4096] {
            for start in (middle..middle + 1000).step_by(50) {
                let mut torn = data.clone();
                torn.drain(start..start + hole);
                assert!(decoder.decode(&torn).is_err(), "{hole} bytes at {start}");
            }
        }
    }

    #[test]
    fn motion_jpeg_without_huffman_tables_is_decoded() {
        let data = picture(64, 48, ExtendedColorType::Rgb8);
        let mut bare = data.clone();
        while let Some(at) = bare.windows(2).position(|pair| pair == [0xff, 0xc4]) {
            let length = usize::from(u16::from_be_bytes([bare[at + 2], bare[at + 3]]));
            bare.drain(at..at + 2 + length);
        }
        let mut decoder = JpegDecoder::default();
        let expected = decoder.decode(&data).unwrap().planes[0].to_vec();
        assert_eq!(decoder.decode(&bare).unwrap().planes[0], expected);
    }

    #[test]
    fn a_picture_beyond_the_limit_is_an_error() {
        let data = picture(64, 48, ExtendedColorType::Rgb8);
        assert!(JpegDecoder::with_limit(64, 48).decode(&data).is_ok());
        assert!(JpegDecoder::with_limit(64, 47).decode(&data).is_err());
        assert!(JpegDecoder::with_limit(63, 48).decode(&data).is_err());
    }

    proptest! {
        #[test]
        fn damage_never_panics(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            length in any::<prop::sample::Index>(),
            cut in any::<bool>(),
        ) {
            let mut data = picture(48, 32, ExtendedColorType::Rgb8);
            if cut {
                data.truncate(length.index(data.len()) + 1);
            }
            for (at, value) in damage {
                let at = at.index(data.len());
                data[at] = value;
            }
            let mut decoder = JpegDecoder::with_limit(64, 64);
            let _ = decoder.decode(&data);
        }
    }
}
