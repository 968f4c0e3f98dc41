//! MP4 and QuickTime (ISO/IEC 14496-12): boxes within boxes, of which a few say what is asked here.

use std::io::{BufRead, Read, Seek, SeekFrom};

use super::film::Film;

/// The most boxes that are looked at: a film has some dozens, one in fragments some thousands.
const MOST_BOXES: usize = 20_000;
/// The most bytes that are read of a box.
const MOST_BYTES: u64 = 128;

/// Reads what the boxes of a file of this length say.
pub(super) fn read(reader: impl BufRead + Seek, length: u64) -> Film {
    let mut reading = Reading {
        reader,
        boxes: 0,
        film: Film::default(),
        track: None,
    };
    // Whatever was found before something was wrong stands.
    let _ = reading.boxes_until(0, length, 0);
    reading.film
}

struct Reading<R> {
    reader: R,
    boxes: usize,
    film: Film,
    /// The size that the track which is being read says.
    track: Option<(u32, u32)>,
}

impl<R: BufRead + Seek> Reading<R> {
    fn boxes_until(&mut self, mut at: u64, end: u64, depth: usize) -> Option<()> {
        while at + 8 <= end {
            self.boxes += 1;
            if self.boxes > MOST_BOXES {
                return None;
            }
            self.reader.seek(SeekFrom::Start(at)).ok()?;
            let header: [u8; 8] = self.take()?;
            let (size, kind) = (u32_at(&header, 0)?, [header[4], header[5], header[6], header[7]]);
            let (size, header) = match size {
                0 => (end - at, 8),
                1 => (u64::from_be_bytes(self.take()?), 16),
                size => (u64::from(size), 8),
            };
            if size < header {
                return None;
            }
            let next = at.checked_add(size)?.min(end);
            if next < at + header {
                return None;
            }
            match (&kind, depth) {
                (b"moov", 0) | (b"mvex" | b"trak", 1) | (b"mdia", 2) => {
                    self.boxes_until(at + header, next, depth + 1)?;
                }
                (b"mvhd", 1) => self.movie(next - at - header)?,
                (b"tkhd", 2) => self.track = self.track_size(next - at - header),
                (b"hdlr", 3) => self.handler(next - at - header)?,
                _ => {}
            }
            at = next;
        }
        Some(())
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    fn body(&mut self, length: u64) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        let taken = (&mut self.reader).take(length.min(MOST_BYTES));
        taken.take(MOST_BYTES).read_to_end(&mut body).ok()?;
        Some(body)
    }

    /// The movie header: how many units a second has, and how many the film.
    fn movie(&mut self, length: u64) -> Option<()> {
        let body = self.body(length)?;
        let (scale, units) = match body.first()? {
            1 => (u32_at(&body, 20)?, u64_at(&body, 24)?),
            _ => (u32_at(&body, 12)?, u64::from(u32_at(&body, 16)?)),
        };
        let unknown = [0, u64::from(u32::MAX), u64::MAX].contains(&units);
        if scale > 0 && !unknown {
            let millis = u128::from(units) * 1_000 / u128::from(scale);
            self.film.duration_ms = u64::try_from(millis).ok().filter(|millis| *millis > 0);
        }
        Some(())
    }

    /// The header of a track ends with its size in 16.16 numbers, after the nine of a matrix; one that turns by
    /// a quarter has its first number at zero.
    fn track_size(&mut self, length: u64) -> Option<(u32, u32)> {
        let body = self.body(length)?;
        let matrix = if *body.first()? == 1 { 52 } else { 40 };
        let (width, height) = (
            u32_at(&body, matrix + 36)? >> 16,
            u32_at(&body, matrix + 40)? >> 16,
        );
        let is_turned = u32_at(&body, matrix)? == 0 && u32_at(&body, matrix + 4)? != 0;
        let size = if is_turned {
            (height, width)
        } else {
            (width, height)
        };
        Some(size).filter(|(width, height)| *width > 0 && *height > 0)
    }

    fn handler(&mut self, length: u64) -> Option<()> {
        let body = self.body(length)?;
        match body.get(8..12)? {
            b"vide" => {
                self.film.has_pictures = true;
                self.film.size = self.film.size.or(self.track);
            }
            b"soun" => self.film.has_sound = true,
            _ => {}
        }
        Some(())
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    bytes.try_into().ok().map(u32::from_be_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    bytes.try_into().ok().map(u64::from_be_bytes)
}
