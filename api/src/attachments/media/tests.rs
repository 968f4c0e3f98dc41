//! Files that say what they are, and files that lie.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use proptest::prelude::*;

use super::*;

fn examined(bytes: &[u8]) -> Result<Found, MediaError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).unwrap();
    examine(&path)
}

fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let picture = RgbaImage::from_pixel(width, height, Rgba([250, 20, 20, 255]));
    let mut bytes = Cursor::new(Vec::new());
    let picture = DynamicImage::ImageRgba8(picture);
    let picture = match format {
        ImageFormat::Jpeg => picture.to_rgb8().into(),
        _ => picture,
    };
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A small PNG that says it has so many pixels.
pub(crate) fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encoded(1, 1, ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            sum >> 1 ^ (0xEDB8_8320 & 0_u32.wrapping_sub(sum & 1))
        })
    })
}

#[test]
fn pictures_have_a_size_and_a_thumbnail() {
    for (format, mime) in [
        (ImageFormat::Png, "image/png"),
        (ImageFormat::Jpeg, "image/jpeg"),
        (ImageFormat::Gif, "image/gif"),
        (ImageFormat::WebP, "image/webp"),
    ] {
        let found = examined(&encoded(640, 80, format)).unwrap();
        assert_eq!(
            (found.kind, found.mime_type.as_str()),
            (AttachmentKind::Image, mime)
        );
        assert_eq!(found.size, Some((640, 80)));
        let small = image::load_from_memory(&found.thumbnail.unwrap()).unwrap();
        assert_eq!((small.width(), small.height()), (320, 40), "{mime}");
        let [red, green, blue] = small.to_rgb8().get_pixel(100, 20).0;
        assert!(red > 200 && green < 60 && blue < 60, "{mime}");
    }
    let tiny = examined(&encoded(3, 4, ImageFormat::Png)).unwrap();
    let small = image::load_from_memory(&tiny.thumbnail.unwrap()).unwrap();
    assert_eq!((small.width(), small.height()), (3, 4), "nothing is made larger");
}

#[test]
fn how_a_camera_was_held_counts() {
    let mut bytes = encoded(640, 80, ImageFormat::Jpeg);
    // An APP1 segment with the one tag that says: turn it by a quarter.
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    bytes.splice(2..2, exif.iter().copied());
    let found = examined(&bytes).unwrap();
    assert_eq!(found.size, Some((80, 640)));
    let small = image::load_from_memory(&found.thumbnail.unwrap()).unwrap();
    assert_eq!((small.width(), small.height()), (40, 320));
}

#[test]
fn bombs_and_ruins_are_refused() {
    for (width, height) in [
        (50_000, 50_000),
        (u32::MAX >> 1, 1),
        (8_000, 8_000),
        (1_000_000, 51),
    ] {
        let refused = examined(&bomb(width, height));
        assert!(
            matches!(refused, Err(MediaError::TooLarge)),
            "{width}x{height}: {refused:?}"
        );
    }
    let mut ruin = encoded(640, 480, ImageFormat::Png);
    ruin.truncate(ruin.len() / 2);
    assert!(matches!(examined(&ruin), Err(MediaError::Broken)));
    assert!(matches!(
        examined(b"\x89PNG\r\n\x1a\nand no more"),
        Err(MediaError::Broken)
    ));
}

#[test]
fn the_bytes_say_what_a_file_is() {
    let text = "chào ".repeat(5_000);
    for (bytes, kind, mime) in [
        (&b"%PDF-1.7\n"[..], AttachmentKind::Document, "application/pdf"),
        (
            b"PK\x03\x04 and so on",
            AttachmentKind::Document,
            "application/zip",
        ),
        (b"<html><script>", AttachmentKind::Document, "text/html"),
        (text.as_bytes(), AttachmentKind::Document, "text/plain"),
        (b"\x00\x01\x02\x03", AttachmentKind::Document, ANYTHING),
        (b"half a character \xc3", AttachmentKind::Document, ANYTHING),
    ] {
        let found = examined(bytes).unwrap();
        assert_eq!((found.kind, found.mime_type.as_str()), (kind, mime));
        assert_eq!((found.size, found.duration_ms), (None, None));
    }
}

/// Mono, 8 bits, 8,000 a second.
fn wav(samples: u32) -> Vec<u8> {
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + samples).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data");
    bytes.extend(samples.to_le_bytes());
    bytes.resize(bytes.len() + samples as usize, 128);
    bytes
}

#[test]
fn sounds_have_a_duration() {
    let found = examined(&wav(12_000)).unwrap();
    assert_eq!(found.kind, AttachmentKind::Audio);
    assert_eq!(found.duration_ms, Some(1_500));
    // One that says nothing of use is taken all the same.
    let found = examined(&wav(12_000)[..40]).unwrap();
    assert_eq!((found.kind, found.duration_ms), (AttachmentKind::Audio, None));
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&length.to_be_bytes()[..], kind, body].concat()
}

/// A film of 2.5 seconds, of tracks with these handlers.
fn mp4(handlers: &[&[u8; 4]], is_turned: bool) -> Vec<u8> {
    let mut movie = vec![0; 100];
    movie[12..16].copy_from_slice(&1_000_u32.to_be_bytes());
    movie[16..20].copy_from_slice(&2_500_u32.to_be_bytes());
    let mut inside = boxed(b"mvhd", &movie);
    for handler in handlers {
        let mut header = vec![0; 84];
        let at = if is_turned { 44 } else { 40 };
        header[at..at + 4].copy_from_slice(&0x0001_0000_u32.to_be_bytes());
        if **handler == *b"vide" {
            header[76..80].copy_from_slice(&(640_u32 << 16).to_be_bytes());
            header[80..84].copy_from_slice(&(480_u32 << 16).to_be_bytes());
        }
        let mut of_media = vec![0; 24];
        of_media[8..12].copy_from_slice(*handler);
        let media = boxed(b"mdia", &boxed(b"hdlr", &of_media));
        inside.extend(boxed(b"trak", &[boxed(b"tkhd", &header), media].concat()));
    }
    let data = boxed(b"mdat", &[0; 1_000]);
    [boxed(b"ftyp", b"isom\0\0\0\0isom"), data, boxed(b"moov", &inside)].concat()
}

#[test]
fn films_have_a_duration_and_a_size() {
    let found = examined(&mp4(&[b"soun", b"vide"], false)).unwrap();
    assert_eq!(
        (found.kind, found.mime_type.as_str()),
        (AttachmentKind::Video, "video/mp4")
    );
    assert_eq!((found.duration_ms, found.size), (Some(2_500), Some((640, 480))));
    let turned = examined(&mp4(&[b"vide"], true)).unwrap();
    assert_eq!(turned.size, Some((480, 640)));
    let heard = examined(&mp4(&[b"soun"], false)).unwrap();
    assert_eq!(
        (heard.kind, heard.mime_type.as_str()),
        (AttachmentKind::Audio, "audio/mp4")
    );
    assert_eq!((heard.duration_ms, heard.size), (Some(2_500), None));
}

fn element(id: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u64::try_from(body.len()).unwrap() | 1 << 56;
    [id, &length.to_be_bytes(), body].concat()
}

/// As a browser records: no lengths of what is not over yet, and with a duration only when it is told.
fn webm(track: u8, duration: Option<f64>) -> Vec<u8> {
    const UNKNOWN: [u8; 8] = [1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let mut info = element(b"\x2a\xd7\xb1", &1_000_000_u32.to_be_bytes());
    if let Some(duration) = duration {
        info.extend(element(b"\x44\x89", &duration.to_be_bytes()));
    }
    let mut entry = element(b"\x83", &[track]);
    if track == 1 {
        let size = [element(b"\xb0", &[2, 128]), element(b"\xba", &[1, 224])].concat();
        entry.extend(element(b"\xe0", &size));
    }
    // Its kind with the short length that all write, and room for what is told later.
    let mut bytes = element(b"\x1a\x45\xdf\xa3", b"\x42\x82\x84webm");
    bytes.extend([b"\x18\x53\x80\x67", &UNKNOWN[..]].concat());
    bytes.extend(element(b"\xec", &[0; 256]));
    bytes.extend(element(b"\x15\x49\xa9\x66", &info));
    bytes.extend(element(b"\x16\x54\xae\x6b", &element(b"\xae", &entry)));
    for (time, after) in [(0_u16, 20_i16), (2_000, 40)] {
        bytes.extend([b"\x1f\x43\xb6\x75", &UNKNOWN[..]].concat());
        bytes.extend(element(b"\xe7", &time.to_be_bytes()));
        let block = [&[0x81][..], &after.to_be_bytes(), &[0x80, 1, 2, 3]].concat();
        bytes.extend(element(b"\xa3", &block));
    }
    bytes
}

#[test]
fn what_browsers_record_is_understood() {
    let film = examined(&webm(1, Some(2_500.0))).unwrap();
    assert_eq!(
        (film.kind, film.mime_type.as_str()),
        (AttachmentKind::Video, "video/webm")
    );
    assert_eq!((film.duration_ms, film.size), (Some(2_500), Some((640, 480))));
    let heard = examined(&webm(2, None)).unwrap();
    assert_eq!(
        (heard.kind, heard.mime_type.as_str()),
        (AttachmentKind::Audio, "audio/webm")
    );
    assert_eq!(heard.duration_ms, Some(2_040), "when the last block begins");
}

proptest! {
    #[test]
    fn no_film_does_harm(
        mut bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..400),
            Just(mp4(&[b"soun", b"vide"], false)),
            Just(webm(1, Some(1.0))),
        ],
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..8),
    ) {
        for (at, byte) in changes {
            let length = bytes.len().max(1);
            if let Some(place) = bytes.get_mut(at % length) {
                *place = byte;
            }
        }
        let length = bytes.len() as u64;
        let _ = mp4::read(Cursor::new(&bytes), length);
        let _ = matroska::read(Cursor::new(&bytes), length);
    }
}
