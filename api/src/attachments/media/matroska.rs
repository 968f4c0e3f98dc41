//! Matroska and WebM (RFC 9559): elements within elements, each with an id and a length, which may be unknown.
//!
//! Elements that hold others are entered, and what is asked here has ids of its own wherever it stands. So
//! there is no tree to keep, and an unknown length, as browsers write while they record, needs no end.

use std::io::{BufRead, Seek};

use super::film::Film;

/// The most elements that are looked at: some hours of blocks.
const MOST_ELEMENTS: usize = 2_000_000;

const SEGMENT: u32 = 0x1853_8067;
const INFO: u32 = 0x1549_A966;
const TRACKS: u32 = 0x1654_AE6B;
const TRACK: u32 = 0xAE;
const VIDEO: u32 = 0xE0;
const CLUSTER: u32 = 0x1F43_B675;
const BLOCK_GROUP: u32 = 0xA0;

const TIMESTAMP_SCALE: u32 = 0x002A_D7B1;
const DURATION: u32 = 0x4489;
const TRACK_TYPE: u32 = 0x83;
const PIXEL_WIDTH: u32 = 0xB0;
const PIXEL_HEIGHT: u32 = 0xBA;
const CLUSTER_TIMESTAMP: u32 = 0xE7;
const SIMPLE_BLOCK: u32 = 0xA3;
const BLOCK: u32 = 0xA1;

/// Nanoseconds of a unit of time, where nothing else is said.
const USUAL_SCALE: u64 = 1_000_000;

/// Reads what the elements of a file of this length say.
pub(super) fn read(reader: impl BufRead + Seek, length: u64) -> Film {
    let mut reading = Reading {
        reader,
        at: 0,
        scale: USUAL_SCALE,
        said: None,
        cluster: 0,
        last: 0,
        width: 0,
        height: 0,
        film: Film::default(),
    };
    // Whatever was found before something was wrong stands.
    let mut elements = 0;
    while reading.at < length && elements < MOST_ELEMENTS && reading.element().is_some() {
        elements += 1;
    }
    reading.film()
}

struct Reading<R> {
    reader: R,
    at: u64,
    scale: u64,
    /// How long it plays, as it says itself.
    said: Option<f64>,
    /// When the current cluster begins, and the last block of all.
    cluster: u64,
    last: u64,
    width: u64,
    height: u64,
    film: Film,
}

impl<R: BufRead + Seek> Reading<R> {
    fn element(&mut self) -> Option<()> {
        let (id, _) = self.number(false)?;
        let (length, is_known) = self.number(true)?;
        let id = u32::try_from(id).ok()?;
        if matches!(
            id,
            SEGMENT | INFO | TRACKS | TRACK | VIDEO | CLUSTER | BLOCK_GROUP
        ) {
            return Some(());
        }
        if !is_known {
            return None;
        }
        let end = self.at.checked_add(length)?;
        match id {
            TIMESTAMP_SCALE => self.scale = self.unsigned(length)?.max(1),
            DURATION => self.said = Some(self.float(length)?),
            TRACK_TYPE => match self.unsigned(length)? {
                1 => self.film.has_pictures = true,
                2 => self.film.has_sound = true,
                _ => {}
            },
            PIXEL_WIDTH => self.width = self.width.max(self.unsigned(length)?),
            PIXEL_HEIGHT => self.height = self.height.max(self.unsigned(length)?),
            CLUSTER_TIMESTAMP => self.cluster = self.unsigned(length)?,
            SIMPLE_BLOCK | BLOCK => {
                self.number(true)?;
                let after = i16::from_be_bytes([self.byte()?, self.byte()?]);
                self.last = self.last.max(self.cluster.saturating_add_signed(after.into()));
            }
            _ => {}
        }
        let rest = end.checked_sub(self.at)?;
        self.reader.seek_relative(i64::try_from(rest).ok()?).ok()?;
        self.at = end;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.reader.read_exact(&mut byte).ok()?;
        self.at += 1;
        Some(byte[0])
    }

    /// A number of as many bytes as the zeros before its first bit say, with that bit or without; and whether
    /// it is one, for all ones is a length that is not known.
    fn number(&mut self, is_length: bool) -> Option<(u64, bool)> {
        let first = self.byte()?;
        let more = first.leading_zeros();
        if more > 7 {
            return None;
        }
        let marker = 0x80 >> more;
        let mut number = u64::from(if is_length { first & !marker } else { first });
        for _ in 0..more {
            number = number << 8 | u64::from(self.byte()?);
        }
        Some((number, number != (1 << (7 * (more + 1))) - 1))
    }

    fn unsigned(&mut self, length: u64) -> Option<u64> {
        if length > 8 {
            return None;
        }
        let mut number = 0;
        for _ in 0..length {
            number = number << 8 | u64::from(self.byte()?);
        }
        Some(number)
    }

    fn float(&mut self, length: u64) -> Option<f64> {
        match length {
            4 => {
                let bits = u32::try_from(self.unsigned(4)?).ok()?;
                Some(f32::from_bits(bits).into())
            }
            8 => Some(f64::from_bits(self.unsigned(8)?)),
            _ => None,
        }
    }

    fn film(self) -> Film {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a duration needs no more than 53 bits, and one that is none becomes zero"
        )]
        let millis = {
            let units = self.said.filter(|said| *said > 0.0).unwrap_or(self.last as f64);
            (units * self.scale as f64 / 1e6).round() as u64
        };
        let side = |pixels| u32::try_from(pixels).ok().filter(|pixels| *pixels > 0);
        Film {
            // What would be more than a century is no duration.
            duration_ms: Some(millis).filter(|millis| (1..=3_155_760_000_000).contains(millis)),
            size: side(self.width).zip(side(self.height)),
            ..self.film
        }
    }
}
