//! Films: how long they play and how large they are, as their containers say. Nothing is decoded.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use super::{matroska, mp4};

/// What was found in a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Film {
    pub(super) duration_ms: Option<u64>,
    /// Pixels across and down, as it is shown.
    pub(super) size: Option<(u32, u32)>,
    pub(super) has_pictures: bool,
    pub(super) has_sound: bool,
}

impl Film {
    /// Whether it is a sound, in a container that could hold a film: what phones and browsers record.
    pub(super) const fn is_only_heard(self) -> bool {
        self.has_sound && !self.has_pictures
    }
}

/// Looks into a film; of containers that are not known here, and of damaged ones, little or nothing is found.
pub(super) fn understand(path: &Path, mime: &str) -> io::Result<Film> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let reader = BufReader::new(file);
    Ok(match mime {
        "video/mp4" | "video/x-m4v" | "video/quicktime" => mp4::read(reader, length),
        "video/webm" | "video/x-matroska" => matroska::read(reader, length),
        _ => Film::default(),
    })
}
