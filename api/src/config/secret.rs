//! Values that are secrets or hold some: never shown, not even in the error about one that is wrong.

use std::ffi::OsStr;
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::path::Path;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};
use eventstore::postgres::{ConfigError, parse_url};
use percent_encoding::percent_decode_str;

use super::files;
use crate::auth::{MIN_SECRET_BYTES, SignError};

/// Parses an argument. clap's own parsers repeat what they cannot parse; this one tells the error alone.
#[derive(Debug)]
pub struct Unrepeated<T>(PhantomData<fn() -> T>);

impl<T> Default for Unrepeated<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for Unrepeated<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> TypedValueParser for Unrepeated<T>
where
    T: FromStr<Err: Display> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        let parsed = match value.to_str() {
            Some(text) => text.parse().map_err(|error: T::Err| error.to_string()),
            None => Err("it is not UTF-8".to_owned()),
        };
        parsed.map_err(|reason| {
            let name = arg.map_or_else(String::new, Arg::to_string);
            let message = format!("invalid value for '{name}': {reason}");
            command.clone().error(ErrorKind::ValueValidation, message)
        })
    }
}

/// The URL of a Postgres database.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL as it was given, with its password.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Refuses a URL whose parameters name files that hold no certificate or key.
    pub(super) fn check_files(&self) -> Result<(), String> {
        let query = self.0.split_once('?').map_or("", |(_, query)| query);
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .try_for_each(|(name, value)| {
                check_file(name, value).map_err(|reason| format!("{name}: {reason}"))
            })
    }
}

impl FromStr for DatabaseUrl {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        parse_url(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// Looks into the file that a parameter of a URL names, if it names one.
fn check_file(name: &str, value: &str) -> Result<(), String> {
    let check = match name {
        "sslrootcert" | "ssl-root-cert" | "ssl-ca" => files::check_authorities,
        "sslcert" | "ssl-cert" => files::check_certificate,
        "sslkey" | "ssl-key" => files::check_key,
        _ => return Ok(()),
    };
    let value = value.replace('+', " ");
    let value = percent_decode_str(&value).decode_utf8_lossy();
    // The driver takes what it names in its place, too.
    let is_inline = value.trim_start().starts_with("-----BEGIN");
    if is_inline {
        Ok(())
    } else {
        check(Path::new(&*value))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// What tokens are signed with.
#[derive(Clone)]
pub struct TokenSecret(String);

impl TokenSecret {
    /// The secret itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenSecret {
    type Err = SignError;

    fn from_str(text: &str) -> Result<Self, SignError> {
        if text.len() < MIN_SECRET_BYTES {
            return Err(SignError::ShortSecret);
        }
        Ok(Self(text.to_owned()))
    }
}

/// A key of 32 bytes.
#[derive(Clone)]
pub struct MasterKey(pub [u8; 32]);

impl FromStr for MasterKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || "a master key is 64 hexadecimal digits".to_owned();
        if text.len() != 64 || !text.is_ascii() {
            return Err(error());
        }
        let mut key = [0; 32];
        for (index, byte) in key.iter_mut().enumerate() {
            let digits = &text[2 * index..2 * index + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| error())?;
        }
        Ok(Self(key))
    }
}

/// The secret of a key for a blob store.
#[derive(Clone)]
pub struct StoreSecret(String);

impl StoreSecret {
    /// The secret itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StoreSecret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("it is empty");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for StoreSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_is_32_bytes() {
        let text = "00ff".repeat(16);
        assert!(text.parse::<MasterKey>().is_ok_and(|key| key.0[..2] == [0, 255]));
        for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert!(bad.parse::<MasterKey>().is_err(), "{bad}");
        }
    }
}
