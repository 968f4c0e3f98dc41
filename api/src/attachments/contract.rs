//! What every blob store does, on a folder and on a server that speaks S3.

use bytes::Bytes;
use domain::{AttachmentId, TenantId};
use futures::TryStreamExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::blobs::{BlobError, BlobKey, Blobs, day, millis_of};
use crate::config::attachments::{BlobPlace, Storage};
use crate::node::blobs::open_at;

const KEY: &str = "a key";
const SECRET: &str = "a secret that nobody else has";

/// A folder with nothing in it.
async fn in_folder(home: &TempDir) -> Blobs {
    let folder = home.path().join("blobs");
    open_at(&BlobPlace::Folder(folder), &Storage::default()).unwrap()
}

/// A bucket with nothing in it.
async fn in_bucket(home: &TempDir) -> Blobs {
    std::fs::create_dir_all(home.path().join("bucket")).unwrap();
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(home.path()).unwrap());
    service.set_auth(SimpleAuth::from_single(KEY, SECRET));
    let service = service.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service.clone();
            tokio::spawn(async move {
                let _ = Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    let storage = Storage {
        s3_endpoint: Some(endpoint.parse().unwrap()),
        s3_access_key: Some(KEY.to_owned()),
        s3_secret_key: Some(SECRET.parse().unwrap()),
        ..Storage::default()
    };
    open_at(&"s3://bucket/a/prefix".parse().unwrap(), &storage).unwrap()
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn id(number: u8) -> AttachmentId {
    AttachmentId::from_bytes([0, 0, 0, 0, 0, number, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

/// A file of so many bytes, each another than the one before.
async fn file(length: usize) -> (tokio::fs::File, Vec<u8>) {
    let bytes: Vec<_> = (0..length).map(|n| (n % 251) as u8).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    (tokio::fs::File::from_std(file.reopen().unwrap()), bytes)
}

async fn read(blobs: &Blobs, key: &BlobKey, range: std::ops::Range<u64>) -> Vec<u8> {
    let pieces: Vec<Bytes> = blobs.get(key, range).await.unwrap().try_collect().await.unwrap();
    pieces.concat()
}

async fn what_was_put_is_had_whole_and_in_part(blobs: &Blobs) {
    // Less than a part, and more than two.
    for (number, length) in [(1, 1_000), (2, 11 * 1024 * 1024)] {
        let key = BlobKey::original(tenant("acme"), id(number));
        let (source, bytes) = file(length).await;
        blobs.put(&key, source).await.unwrap();
        assert_eq!(blobs.size(&key).await.unwrap(), length as u64);
        assert!(read(blobs, &key, 0..length as u64).await == bytes);
        assert_eq!(read(blobs, &key, 7..10).await, [7, 8, 9]);
        let end = length as u64;
        assert_eq!(read(blobs, &key, end - 2..end).await, bytes[length - 2..]);
    }
}

async fn what_was_put_again_is_the_new_one(blobs: &Blobs) {
    let key = BlobKey::thumbnail(tenant("acme"), id(3));
    for text in ["one", "another"] {
        blobs.put_bytes(&key, Bytes::from(text)).await.unwrap();
        assert_eq!(read(blobs, &key, 0..text.len() as u64).await, text.as_bytes());
    }
}

async fn what_is_not_there_is_missing(blobs: &Blobs) {
    let key = BlobKey::original(tenant("nobody"), id(4));
    assert!(matches!(blobs.size(&key).await, Err(BlobError::Missing)));
    assert!(matches!(blobs.get(&key, 0..1).await, Err(BlobError::Missing)));
    blobs.delete(&key.tenant, key.id).await.unwrap();
    assert_eq!(blobs.health(), Ok(()), "that is no fault of the store");
}

/// Whatever a tenant is called, and no other tenant's.
async fn what_is_deleted_is_gone_with_its_thumbnail(blobs: &Blobs) {
    for name in ["..", "a/b", ".", "ü %2F", &"x".repeat(64)] {
        let (one, other) = (tenant(name), tenant("other"));
        for tenant in [&one, &other] {
            for key in [
                BlobKey::original(tenant.clone(), id(5)),
                BlobKey::thumbnail(tenant.clone(), id(5)),
            ] {
                blobs.put_bytes(&key, Bytes::from(name.to_owned())).await.unwrap();
            }
        }
        let found = blobs.of_day("1970-01-01").await.unwrap();
        assert_eq!(
            found
                .iter()
                .filter(|found| **found == (one.clone(), id(5)))
                .count(),
            2,
            "{name}"
        );
        blobs.delete(&one, id(5)).await.unwrap();
        blobs.delete(&one, id(5)).await.unwrap();
        for key in [
            BlobKey::original(one.clone(), id(5)),
            BlobKey::thumbnail(one.clone(), id(5)),
        ] {
            assert!(
                matches!(blobs.size(&key).await, Err(BlobError::Missing)),
                "{name}"
            );
        }
        let kept = BlobKey::original(other, id(5));
        assert_eq!(blobs.size(&kept).await.unwrap(), name.len() as u64);
        let found = blobs.of_day("1970-01-01").await.unwrap();
        assert!(!found.contains(&(one, id(5))), "{name}");
    }
    assert_eq!(blobs.of_day("1970-01-02").await.unwrap(), []);
}

async fn every_property(blobs: &Blobs) {
    what_was_put_is_had_whole_and_in_part(blobs).await;
    what_was_put_again_is_the_new_one(blobs).await;
    what_is_not_there_is_missing(blobs).await;
    what_is_deleted_is_gone_with_its_thumbnail(blobs).await;
}

#[tokio::test]
async fn a_folder_is_a_blob_store() {
    let home = tempfile::tempdir().unwrap();
    every_property(&in_folder(&home).await).await;
    let beside = std::fs::read_dir(home.path()).unwrap().count();
    assert_eq!(beside, 1, "nothing is written beside the folder");
}

#[tokio::test]
async fn a_bucket_is_a_blob_store() {
    let home = tempfile::tempdir().unwrap();
    every_property(&in_bucket(&home).await).await;
}

#[tokio::test]
async fn a_store_that_is_away_is_said_to_be() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let storage = Storage {
        s3_endpoint: Some(endpoint.parse().unwrap()),
        s3_access_key: Some(KEY.to_owned()),
        s3_secret_key: Some(SECRET.parse().unwrap()),
        ..Storage::default()
    };
    let blobs = open_at(&"s3://bucket".parse().unwrap(), &storage).unwrap();
    let key = BlobKey::original(tenant("acme"), id(1));
    let error = blobs.put_bytes(&key, Bytes::from("x")).await.unwrap_err();
    assert!(matches!(error, BlobError::Unavailable(_)), "{error}");
    assert!(!error.to_string().contains(SECRET) && blobs.health().is_err());
}

#[test]
fn the_day_of_an_id_is_in_its_path() {
    let id: AttachmentId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    assert_eq!(day(millis_of(id)), "2016-07-30");
    assert_eq!(day(i64::MAX), "later");
}
