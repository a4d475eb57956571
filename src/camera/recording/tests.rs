use std::fs;
use std::io::{Cursor, Read};
use std::path::PathBuf;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use proptest::prelude::*;
use tempfile::TempDir;

use super::stream::Input;
use super::*;
use crate::camera::{PixelFormat, Range};

const WIDTH: u32 = 64;
const HEIGHT: u32 = 48;
const TIMEOUT: Duration = Duration::from_secs(1);

/// A picture whose colour tells its number.
fn jpeg(number: u8) -> Vec<u8> {
    let picture = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        image::Rgb([number * 20, (x * 4) as u8, (y * 5) as u8])
    });
    let mut data = Vec::new();
    JpegEncoder::new_with_quality(&mut data, 95)
        .write_image(&picture, WIDTH, HEIGHT, ExtendedColorType::Rgb8)
        .unwrap();
    data
}

fn mjpeg(count: u8) -> Vec<u8> {
    (0..count).flat_map(jpeg).collect()
}

fn y4m(count: u8, words: &str) -> Vec<u8> {
    let mut data = format!("YUV4MPEG2 W{WIDTH} H{HEIGHT} {words}\n").into_bytes();
    for number in 0..count {
        data.extend_from_slice(b"FRAME Ip\n");
        data.extend(vec![number * 20; (WIDTH * HEIGHT) as usize]);
        data.extend(vec![128; (WIDTH * HEIGHT / 2) as usize]);
    }
    data
}

fn chunk(tag: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut chunk = tag.to_vec();
    chunk.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    chunk.extend_from_slice(payload);
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

fn list(tag: &[u8; 4], kind: &[u8; 4], chunks: &[Vec<u8>]) -> Vec<u8> {
    chunk(tag, &[kind.to_vec(), chunks.concat()].concat())
}

fn fields(values: &[u32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Header lists of an AVI with sound as stream 0 and video at 25 frames a second as stream 1.
fn avi_header(codec: &[u8; 4]) -> Vec<u8> {
    let codec_field = u32::from_le_bytes(*codec);
    let tag = |tag: &[u8; 4]| u32::from_le_bytes(*tag);
    let sound = [tag(b"auds"), 0, 0, 0, 0, 1, 8000, 0, 0, 0, 0, 0];
    let video = [tag(b"vids"), codec_field, 0, 0, 0, 2, 50, 0, 4, 0, 0, 0];
    let bitmap = [40, WIDTH, HEIGHT, 0x0018_0001, codec_field, 0, 0, 0, 0, 0];
    list(
        b"LIST",
        b"hdrl",
        &[
            chunk(
                b"avih",
                &fields(&[33_333, 0, 0, 0, 4, 0, 2, 0, WIDTH, HEIGHT]),
            ),
            list(
                b"LIST",
                b"strl",
                &[chunk(b"strh", &fields(&sound)), chunk(b"strf", &[0; 17])],
            ),
            list(
                b"LIST",
                b"strl",
                &[
                    chunk(b"strh", &fields(&video)),
                    chunk(b"strf", &fields(&bitmap)),
                ],
            ),
        ],
    )
}

/// Two pictures, one of them in a `rec ` list, then a time without one, then a continuation with
/// the last.
fn avi(codec: &[u8; 4]) -> Vec<u8> {
    let sound = chunk(b"00wb", &[0xff, 0xd8, 0xff]);
    let picture = |number| chunk(b"01dc", &jpeg(number));
    let movi = list(
        b"LIST",
        b"movi",
        &[
            picture(0),
            sound.clone(),
            list(b"LIST", b"rec ", &[sound, chunk(b"01db", &jpeg(1))]),
            chunk(b"01dc", &[]),
        ],
    );
    let info = list(b"LIST", b"INFO", &[chunk(b"ISFT", b"01dc")]);
    let first = [info, avi_header(codec), chunk(b"JUNK", &[1; 99]), movi];
    let index = chunk(b"idx1", &[0; 32]);
    let more = list(b"LIST", b"movi", &[picture(3)]);
    [
        list(b"RIFF", b"AVI ", &[first.concat(), index]),
        list(b"RIFF", b"AVIX", &[more]),
    ]
    .concat()
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut data = Cursor::new(Vec::new());
    RgbImage::from_fn(width, height, |x, _| image::Rgb([x as u8, 0, 0]))
        .write_to(&mut data, image::ImageFormat::Png)
        .unwrap();
    data.into_inner()
}

/// `jpeg` with a segment after its start marker.
fn with_segment(jpeg: &[u8], marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &length, payload, &jpeg[2..]].concat()
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(&self, name: &str, data: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, data).unwrap();
        path
    }
}

/// What was played: number, first value of the first plane, time in ms.
type Played = Vec<(u64, u8, u128)>;

fn play(source: &mut dyn Source) -> Result<Played, SourceError> {
    let mut played = Vec::new();
    loop {
        match source.next_frame(TIMEOUT)? {
            Next::Frame(frame) => {
                let first = frame.image().planes[0][0];
                played.push((frame.seq, first, frame.t.as_millis()));
            }
            Next::Timeout => {}
            Next::End => return Ok(played),
        }
    }
}

fn play_file(path: &Path, fps: Option<f32>) -> (Played, SourceStats) {
    let mut source = open(path, fps).unwrap();
    let played = play(&mut *source).unwrap();
    (played, source.stats())
}

/// The numbers of the frames that were played, checked against their colours.
fn numbers(played: &Played) -> Vec<u64> {
    for (seq, first, _) in played {
        assert!(first.abs_diff(*seq as u8 * 20) < 12, "frame {seq}: {first}");
    }
    played.iter().map(|(seq, ..)| *seq).collect()
}

#[test]
fn concatenated_jpegs_play_at_the_given_rate() {
    let files = Files::new();
    let path = files.with("clip.mjpeg", &mjpeg(4));
    let mut source = open(&path, Some(10.0)).unwrap();
    let info = source.info();
    assert_eq!((info.size, info.fps, info.live), ((64, 48), 10.0, false));
    assert_eq!((info.format.as_str(), info.frames), ("MJPG", None));
    let played = play(&mut *source).unwrap();
    assert_eq!(numbers(&played), [0, 1, 2, 3]);
    assert_eq!(
        played.iter().map(|p| p.2).collect::<Vec<_>>(),
        [0, 100, 200, 300]
    );
    assert_eq!(source.stats().delivered, 4);
    assert_eq!(source.stats().bad, 0);
    assert!(matches!(source.next_frame(TIMEOUT), Ok(Next::End)));
}

#[test]
fn a_thumbnail_is_no_frame_and_multipart_headers_are_no_damage() {
    let mut data = Vec::new();
    for number in 0..3 {
        data.extend_from_slice(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n");
        data.extend(with_segment(&jpeg(number), 0xe1, &jpeg(9)));
        data.extend_from_slice(b"\r\n");
    }
    let files = Files::new();
    let (played, stats) = play_file(&files.with("clip.mjpg", &data), None);
    assert_eq!(numbers(&played), [0, 1, 2]);
    assert_eq!(stats.bad, 0);
}

#[test]
fn the_rest_of_a_torn_mjpeg_plays() {
    let files = Files::new();
    let whole: Vec<Vec<u8>> = (0..5).map(jpeg).collect();
    let length = whole[2].len();
    // Within the tables, within the picture, just before the end marker.
    for kept in [30, 200, 500, length / 2, length - 2] {
        let mut pieces = whole.clone();
        pieces[2].truncate(kept);
        let (played, stats) = play_file(&files.with("torn.mjpeg", &pieces.concat()), None);
        assert_eq!(
            numbers(&played),
            [0, 1, 3, 4],
            "{kept} of {length} bytes kept"
        );
        assert_eq!(stats.bad, 1);
    }
    for kept in [2, 30, length - 1] {
        let mut pieces = whole.clone();
        pieces[4].truncate(kept);
        let (played, stats) = play_file(&files.with("cut.mjpeg", &pieces.concat()), None);
        assert_eq!(numbers(&played), [0, 1, 2, 3]);
        assert_eq!(
            stats.bad,
            u64::from(kept > 2),
            "{kept} of {length} bytes kept"
        );
    }
}

#[test]
fn y4m_pictures_keep_their_planes_range_and_rate() {
    let files = Files::new();
    let path = files.with(
        "clip.dat",
        &y4m(3, "F50:2 Ip A1:1 C420mpeg2 XCOLORRANGE=FULL"),
    );
    let mut source = open(&path, Some(99.0)).unwrap();
    assert_eq!(source.info().fps, 25.0);
    assert_eq!(source.info().frames, Some(3));
    let Next::Frame(frame) = source.next_frame(TIMEOUT).unwrap() else {
        panic!("no frame");
    };
    assert_eq!(frame.image().format, PixelFormat::Yu12);
    assert_eq!(frame.image().range, Range::Full);
    assert_eq!(frame.image().strides, [64, 32, 32]);
    assert!(frame.image().planes[2].iter().all(|&v| v == 128));
    drop(frame);
    let played = play(&mut *source).unwrap();
    assert_eq!(played, [(1, 20, 40), (2, 40, 80)]);
}

#[test]
fn a_truncated_y4m_loses_its_last_frame_and_a_broken_one_says_where() {
    let files = Files::new();
    let data = y4m(3, "C420");
    let (played, stats) = play_file(&files.with("cut.y4m", &data[..data.len() - 1]), None);
    assert_eq!((played.len(), stats.bad), (2, 1));
    let (played, stats) = play_file(&files.with("cut.y4m", &data[..data.len() - 4613]), None);
    assert_eq!((played.len(), stats.bad), (2, 1));

    let mut shifted = data;
    shifted.remove(100);
    let mut source = open(&files.with("shifted.y4m", &shifted), None).unwrap();
    let error = play(&mut *source).unwrap_err().to_string();
    assert!(error.contains("shifted.y4m, frame 1, byte 46"), "{error}");
    assert!(matches!(source.next_frame(TIMEOUT), Ok(Next::End)));
}

/// Bytes that arrive a few at a time, with time-outs in between.
struct Trickle {
    data: io::Cursor<Vec<u8>>,
    dry: bool,
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.dry = !self.dry;
        if self.dry {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = buffer.len().min(1000);
        self.data.read(&mut buffer[..count])
    }
}

impl Input for Trickle {}

#[test]
fn y4m_that_trickles_in_loses_nothing() {
    let trickle = Trickle {
        data: Cursor::new(y4m(3, "F10:1")),
        dry: false,
    };
    let container = Box::new(Y4m::new(Stream::new(Box::new(trickle)), None));
    let mut source = Recording::new("trickle".into(), container, None);
    assert!(matches!(source.next_frame(TIMEOUT), Ok(Next::Timeout)));
    let played = play(&mut source).unwrap();
    assert_eq!(played, [(0, 0, 0), (1, 20, 100), (2, 40, 200)]);
    assert_eq!(source.info().size, (64, 48));
}

#[test]
fn avi_plays_the_video_stream_through_lists_gaps_and_continuations() {
    let files = Files::new();
    let path = files.with("clip.avi", &avi(b"MJPG"));
    let source = open(&path, None).unwrap();
    assert_eq!((source.info().fps, source.info().frames), (25.0, Some(4)));
    let (played, stats) = play_file(&path, None);
    assert_eq!(numbers(&played), [0, 1, 3]);
    assert_eq!(played[2].2, 120);
    assert_eq!(stats.bad, 0);
}

#[test]
fn the_rest_of_a_torn_avi_plays() {
    let files = Files::new();
    let whole = avi(b"MJPG");
    let second = whole.windows(4).position(|tag| tag == b"01db").unwrap();
    for hole in [10, 100, 301] {
        let mut torn = whole.clone();
        torn.drain(second + 300..second + 300 + hole);
        let (played, stats) = play_file(&files.with("torn.avi", &torn), None);
        assert_eq!((played.len(), stats.bad), (2, 1), "{hole} bytes lost");
    }
    let cut = &whole[..whole.len() - 5];
    let (played, stats) = play_file(&files.with("cut.avi", cut), None);
    assert_eq!((numbers(&played), stats.bad), (vec![0, 1], 1));
}

#[test]
fn a_folder_plays_by_name_and_passes_over_what_is_no_picture() {
    let files = Files::new();
    files.with("hand 10.PNG", &png(20, 10));
    files.with("hand 9.jpg", &jpeg(9));
    files.with("hand 09b.jpg", &jpeg(1)[..400]);
    files.with("notes.txt", b"left hand");
    files.with(".hidden.jpg", b"?");
    files.with("picture", &jpeg(3));
    let mut source = open(files.0.path(), Some(2.0)).unwrap();
    assert_eq!(source.info().frames, Some(4));
    let mut seen = Vec::new();
    while let Next::Frame(frame) = source.next_frame(TIMEOUT).unwrap() {
        seen.push((frame.seq, frame.image().width, frame.t.as_millis()));
    }
    assert_eq!(seen, [(0, 64, 0), (2, 20, 1000), (3, 64, 1500)]);
    let stats = source.stats();
    assert_eq!((stats.bad, stats.skipped), (1, 2));
}

#[test]
fn a_photograph_is_turned_as_its_exif_says() {
    // TIFF header, one directory entry: orientation (0x0112), SHORT, 1 value, 6 = turn right.
    let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let files = Files::new();
    let path = files.with("photo.jpg", &with_segment(&jpeg(1), 0xe1, exif));
    let mut source = open(&path, None).unwrap();
    assert_eq!(source.info().size, (HEIGHT, WIDTH));
    let Next::Frame(frame) = source.next_frame(TIMEOUT).unwrap() else {
        panic!("no frame");
    };
    // Blue grew downwards; after a turn to the right it grows to the left.
    let row = frame.image().planes[0];
    assert!(row[2] > row[47 * 3 + 2] + 200);
}

#[test]
fn bad_input_gets_one_line_that_names_the_file() {
    let files = Files::new();
    let mut wide = jpeg(0);
    let size = wide.windows(2).position(|m| m == [0xff, 0xc0]).unwrap() + 5;
    wide[size..size + 4].copy_from_slice(&[0xff; 4]);
    let mut huge_png = png(3, 2);
    huge_png[16..24].copy_from_slice(&[0x7f; 8]);
    let header = avi_header(b"MJPG");
    let whole_avi = avi(b"MJPG");
    let scrambled = |data: Vec<u8>| -> Vec<u8> {
        let keep = 200.min(data.len() / 2);
        data.iter()
            .enumerate()
            .map(|(i, b)| if i < keep { *b } else { b ^ 0x5a })
            .collect()
    };
    for (name, data, reason) in [
        (
            "broken.y4m",
            b"YUV4MPEG2 W4 H4\nFRAMEX\n".to_vec(),
            "no frame begins",
        ),
        ("empty.y4m", vec![], "the file is empty"),
        ("truncated.y4m", y4m(1, "")[..1000].to_vec(), "cut off"),
        (
            "header.y4m",
            b"YUV4MPEG2 W4 H4".to_vec(),
            "not a whole Y4M header",
        ),
        ("picture.y4m", b"hello, world".to_vec(), "first bytes"),
        ("huge.y4m", b"YUV4MPEG2 W100000 H4\n".to_vec(), "W100000"),
        ("deep.y4m", y4m(1, "C420p10"), "C420p10"),
        (
            "broken.mjpeg",
            scrambled(mjpeg(2)),
            "no picture in it can be read",
        ),
        ("empty.mjpeg", vec![], "the file is empty"),
        (
            "truncated.mjpeg",
            jpeg(0)[..300].to_vec(),
            "torn or cut off",
        ),
        (
            "text.mjpeg",
            b"hello, world".to_vec(),
            "there is no picture in it",
        ),
        ("huge.mjpeg", wide.clone(), "no picture in it can be read"),
        ("broken.avi", scrambled(whole_avi.clone()), "video stream"),
        ("empty.avi", vec![], "the file is empty"),
        ("truncated.avi", whole_avi[..100].to_vec(), "video stream"),
        (
            "pictureless.avi",
            list(b"RIFF", b"AVI ", &[header]),
            "there is no picture in it",
        ),
        ("h264.avi", avi(b"H264"), "\"H264\""),
        (
            "clip.mp4",
            b"\0\0\0\x20ftypisom\0\0\x02\0".to_vec(),
            "ffmpeg",
        ),
        ("huge.avi", wide_avi(), "100000"),
        ("broken.jpg", scrambled(jpeg(0)), "JPEG"),
        ("empty.jpg", vec![], "the file is empty"),
        ("truncated.jpg", jpeg(0)[..300].to_vec(), "ends too early"),
        ("text.jpg", b"hello, world".to_vec(), "first bytes"),
        ("huge.jpg", wide, "JPEG"),
        ("broken.png", scrambled(png(300, 200)), "PNG"),
        ("truncated.png", png(300, 200)[..100].to_vec(), "PNG"),
        ("huge.png", huge_png, "PNG"),
    ] {
        let path = files.with(name, &data);
        let error = open(&path, None)
            .err()
            .unwrap_or_else(|| panic!("{name} opens"));
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(reason), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }

    let folder = tempfile::tempdir().unwrap();
    let fault = |path: &Path| open(path, None).err().unwrap().to_string();
    assert!(fault(folder.path()).ends_with("the folder is empty"));
    fs::write(folder.path().join("notes.txt"), "?").unwrap();
    assert!(fault(folder.path()).contains("no JPEG or PNG picture"));
    fs::write(folder.path().join("a.jpg"), "?").unwrap();
    assert!(fault(folder.path()).contains("a.jpg: neither a JPEG nor a PNG"));
    let missing = open(&folder.path().join("b.jpg"), None).err().unwrap();
    assert!(matches!(missing, SourceError::Unavailable { .. }));
    let error = open(folder.path(), Some(f32::NAN)).err().unwrap();
    assert!(error.to_string().contains("NaN frames a second (--fps)"));
}

/// An AVI whose picture header claims a width of 100,000 pixels.
fn wide_avi() -> Vec<u8> {
    let mut data = avi(b"MJPG");
    let size = fields(&[40, WIDTH]);
    let at = data.windows(8).position(|bytes| bytes == size).unwrap();
    data[at + 4..at + 8].copy_from_slice(&100_000_u32.to_le_bytes());
    data
}

fn containers() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    prop_oneof![
        Just(("fuzz.y4m", y4m(3, "F25:1 C420"))),
        Just(("fuzz.mjpeg", mjpeg(3))),
        Just(("fuzz.avi", avi(b"MJPG"))),
        Just(("fuzz.jpg", jpeg(0))),
        Just(("fuzz.png", png(30, 20))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_bytes_playing_ends(
        (name, mut data) in containers(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        near_the_start in any::<bool>(),
        hole in any::<(prop::sample::Index, u8)>(),
        length in prop::option::of(any::<prop::sample::Index>()),
    ) {
        for (index, value) in changes {
            let range = if near_the_start { data.len().min(400) } else { data.len() };
            data[index.index(range)] = value;
        }
        let start = hole.0.index(data.len());
        let end = data.len().min(start + usize::from(hole.1));
        data.drain(start..end);
        if let (Some(length), false) = (length, data.is_empty()) {
            data.truncate(length.index(data.len()));
        }
        let files = Files::new();
        if let Ok(mut source) = open(&files.with(name, &data), None) {
            // Each frame takes at least a few bytes, and an error is the last but one answer.
            let mut failed = false;
            for _ in 0..1000 {
                match source.next_frame(TIMEOUT) {
                    Ok(Next::End) => return Ok(()),
                    Ok(Next::Timeout) => prop_assert!(false, "a file made us wait"),
                    Ok(Next::Frame(_)) => prop_assert!(!failed),
                    Err(_) => failed = true,
                }
            }
            prop_assert!(false, "more than 1000 frames from {} bytes", data.len());
        }
    }
}

#[test]
fn real_clips_have_all_their_frames() {
    let Some(media) = std::env::var_os("PALMD_MEDIA") else {
        println!("skipped: PALMD_MEDIA is not set");
        return;
    };
    let mut clips = 0;
    for entry in fs::read_dir(Path::new(&media).join("clips")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension() != Some("mjpeg".as_ref()) {
            continue;
        }
        let truth = fs::read(path.with_extension("mediapipe.json")).unwrap();
        let truth: serde_json::Value = serde_json::from_slice(&truth).unwrap();
        let (played, stats) = play_file(&path, None);
        let name = path.display();
        assert_eq!(
            Some(played.len() as u64),
            truth["frames"].as_u64(),
            "{name}"
        );
        assert_eq!(stats.bad, 0, "{name}");
        clips += 1;
    }
    assert!(clips > 0);
    let mut pictures = open(&Path::new(&media).join("pictures"), None).unwrap();
    let expected = pictures.info().frames.unwrap();
    assert_eq!(play(&mut *pictures).unwrap().len() as u64, expected);
}
