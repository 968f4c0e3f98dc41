//! Times as clients write them.

use domain::Timestamp;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::error::ApiError;

/// A time of this field, as in RFC 3339.
///
/// # Errors
/// 422 when it is none, or beyond the calendar.
pub fn instant(field: &str, text: &str) -> Result<Timestamp, ApiError> {
    let wrong = |what: &str| ApiError::invalid("validation_failed", format!("{field} {what}"));
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| wrong("must be a time as in RFC 3339, like 2030-01-31T12:00:00Z"))?;
    let beyond = || wrong("is beyond the calendar");
    // It is told in UTC, where it may be in another year.
    let time = time
        .checked_to_offset(UtcOffset::UTC)
        .filter(|time| (0..=9_999).contains(&time.year()))
        .ok_or_else(beyond)?;
    let millis = i64::try_from(time.unix_timestamp_nanos() / 1_000_000);
    millis.map(Timestamp::from_millis).map_err(|_| beyond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_in_rfc_3339() {
        let millis = |text| instant("at", text).unwrap().as_millis();
        assert_eq!(millis("1970-01-01T00:00:01Z"), 1_000);
        assert_eq!(millis("1970-01-01T07:00:00.250+07:00"), 250);
        for bad in [
            "",
            "tomorrow",
            "2030-01-31",
            "2030-01-31T12:00:00",
            "1e9",
            "9999-12-31T23:59:59-23:00",
        ] {
            assert!(instant("at", bad).is_err(), "{bad}");
        }
    }
}
