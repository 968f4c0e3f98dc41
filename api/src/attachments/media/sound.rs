//! Sounds: how long they play, as their header says.

use std::path::Path;

use lofty::config::ParseOptions;
use lofty::file::AudioFile;
use lofty::probe::Probe;

/// How long a sound plays, in milliseconds; `None` when that cannot be found out. What a damaged file says
/// is of no consequence beyond its own number.
pub(super) fn duration(path: &Path) -> Option<u64> {
    let probe = Probe::open(path).ok()?.guess_file_type().ok()?;
    let options = ParseOptions::new().read_tags(false).read_cover_art(false);
    let file = probe.options(options).read().ok()?;
    let millis = file.properties().duration().as_millis();
    u64::try_from(millis).ok().filter(|millis| *millis > 0)
}
