//! Where files are kept, for how long, and how they are fetched.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use axum::http::Uri;
use clap::Args;

use super::parse_duration;
use super::secret::{StoreSecret, Unrepeated};

/// For how long a URL may be good, at the least and at the most.
const URL_LIFETIME: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(7 * 24 * 60 * 60)];
/// How long an upload may wait for a message, at the least and at the most.
const UPLOADS_KEPT: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30 * 24 * 60 * 60)];

/// Where files are kept, for how long, and how they are fetched.
#[derive(Args, Clone, Debug)]
pub struct Storage {
    /// Where uploads are kept: a folder, or `s3://bucket/prefix`. An embedded node keeps them in the folder
    /// `blobs` of its data folder; a cluster without it takes none. Every node of a cluster is given the same, and
    /// a folder must be one that they share.
    #[arg(long, env = "VERBATIM_BLOBS", value_name = "FOLDER|URL")]
    pub blobs: Option<BlobPlace>,
    /// The server that speaks S3, if it is not Amazon's: `https://host:port`.
    #[arg(long, env = "VERBATIM_S3_ENDPOINT", value_name = "URL")]
    pub s3_endpoint: Option<WebAddress>,
    /// The region of the bucket.
    #[arg(
        long,
        env = "VERBATIM_S3_REGION",
        value_name = "REGION",
        default_value = "us-east-1"
    )]
    pub s3_region: String,
    /// The access key. Without one, the role of the machine is taken on.
    #[arg(
        long,
        env = "VERBATIM_S3_ACCESS_KEY",
        value_name = "KEY",
        requires = "s3_secret_key"
    )]
    pub s3_access_key: Option<String>,
    /// The secret of that key.
    #[arg(
        long,
        env = "VERBATIM_S3_SECRET_KEY",
        value_name = "SECRET",
        requires = "s3_access_key",
        hide_env_values = true,
        value_parser = Unrepeated::<StoreSecret>::default()
    )]
    pub s3_secret_key: Option<StoreSecret>,
    /// What the URLs of files begin with: where clients reach the API, `https://chat.example.com`. Without it
    /// they are paths.
    #[arg(long, env = "VERBATIM_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<WebAddress>,
    /// For how long the URL of a file is good, 1s to 7d.
    #[arg(
        long,
        env = "VERBATIM_ATTACHMENT_URL_LIFETIME",
        value_name = "TIME",
        default_value = "1h",
        value_parser = parse_lifetime
    )]
    pub attachment_url_lifetime: Duration,
    /// For how long an upload may be put into a message, 1s to 30d; one that never was is removed afterwards.
    #[arg(
        long,
        env = "VERBATIM_UNUSED_UPLOADS_KEPT",
        value_name = "TIME",
        default_value = "24h",
        value_parser = parse_kept
    )]
    pub unused_uploads_kept: Duration,
}

#[cfg(test)]
impl Default for Storage {
    fn default() -> Self {
        Self {
            blobs: None,
            s3_endpoint: None,
            s3_region: "us-east-1".to_owned(),
            s3_access_key: None,
            s3_secret_key: None,
            public_url: None,
            attachment_url_lifetime: Duration::from_secs(3_600),
            unused_uploads_kept: Duration::from_secs(24 * 3_600),
        }
    }
}

/// Where bytes are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobPlace {
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket of a server that speaks S3.
    Bucket {
        /// The bucket.
        bucket: String,
        /// What the names of all objects begin with.
        prefix: String,
    },
}

impl FromStr for BlobPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("s3://") else {
            return match text {
                "" => Err("it is empty".to_owned()),
                text if text.contains("://") => {
                    Err("it is neither a folder nor s3://bucket/prefix".to_owned())
                }
                text => Ok(Self::Folder(text.into())),
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte));
        if !is_bucket {
            return Err(
                "a bucket is named by 3 to 63 of a-z, 0-9, '.', '-' and '_': s3://bucket/prefix".to_owned(),
            );
        }
        Ok(Self::Bucket {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
        })
    }
}

/// An `http` or `https` URL with a host, without a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAddress(String);

impl WebAddress {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one without TLS.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.starts_with("http://")
    }
}

impl FromStr for WebAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || "it is no URL such as https://chat.example.com".to_owned();
        let uri: Uri = text.parse().map_err(|_| error())?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        let is_bare = uri.query().is_none() && !text.contains(['#', '@']);
        if is_web && has_host && is_bare {
            Ok(Self(text.trim_end_matches('/').to_owned()))
        } else {
            Err(error())
        }
    }
}

fn within(text: &str, [least, most]: [Duration; 2], bounds: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    if (least..=most).contains(&time) {
        Ok(time)
    } else {
        Err(format!("it must be {bounds}"))
    }
}

fn parse_lifetime(text: &str) -> Result<Duration, String> {
    within(text, URL_LIFETIME, "from 1s to 7d")
}

fn parse_kept(text: &str) -> Result<Duration, String> {
    within(text, UPLOADS_KEPT, "from 1s to 30d")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cli;

    #[test]
    fn a_place_is_a_folder_or_a_bucket() {
        let bucket = |bucket: &str, prefix: &str| BlobPlace::Bucket {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        };
        for (text, place) in [
            ("files", BlobPlace::Folder("files".into())),
            ("/srv/files", BlobPlace::Folder("/srv/files".into())),
            ("s3://chat", bucket("chat", "")),
            ("s3://chat.files/a/b/", bucket("chat.files", "a/b")),
        ] {
            assert_eq!(text.parse(), Ok(place));
        }
        for bad in [
            "",
            "s3://",
            "s3://a",
            "s3://Chat/x",
            "s3:///x",
            "file:///x",
            "https://x/y",
        ] {
            assert!(bad.parse::<BlobPlace>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_has_a_host_and_nothing_to_hide() {
        for good in [
            "https://chat.example.com",
            "http://127.0.0.1:9000/",
            "https://x/chat",
        ] {
            assert!(good.parse::<WebAddress>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "chat.example.com",
            "ftp://x",
            "https://",
            "https://u:p@x",
            "https://x?a=b",
            "/x",
        ] {
            assert!(bad.parse::<WebAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_of_a_bucket_is_refused_without_one() {
        let read = |args: &[&str]| {
            let all = [&["verbatim", "serve"], args].concat();
            Cli::read_from(all).map(drop).map_err(|error| error.to_string())
        };
        let keys = ["--s3-access-key", "a", "--s3-secret-key", "hush hush"];
        assert_eq!(read(&[&["--blobs", "s3://chat"], &keys[..]].concat()), Ok(()));
        assert!(read(&keys[..2]).is_err(), "half of a pair");
        for args in [&keys[..], &["--s3-endpoint", "http://x"], &["--s3-region", "eu"]] {
            let with_folder = [&["--blobs", "files"], args].concat();
            for args in [args, &with_folder] {
                let error = read(args).unwrap_err();
                assert!(error.contains("--blobs") && !error.contains("hush"), "{error}");
            }
        }
        let empty = read(&[
            "--blobs",
            "s3://chat",
            "--s3-access-key",
            "a",
            "--s3-secret-key",
            "",
        ]);
        assert!(empty.unwrap_err().contains("empty"));
        for (flag, bad) in [
            ("--attachment-url-lifetime", "0s"),
            ("--attachment-url-lifetime", "8d"),
            ("--unused-uploads-kept", "31d"),
            ("--unused-uploads-kept", "soon"),
        ] {
            assert!(read(&[flag, bad]).unwrap_err().contains(flag), "{bad}");
        }
    }
}
