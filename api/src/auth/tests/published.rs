use std::path::Path;

use jsonwebtoken::jwk::{KeyAlgorithm, PublicKeyUse};
use tempfile::TempDir;

use super::super::jwks::JwksSource;
use super::*;

/// A JWKS in a file, and who checks with it.
struct Published {
    folder: TempDir,
    authenticator: Authenticator,
}

impl Published {
    async fn of(keys: &[Value]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), keys);
        let source = JwksSource::File(folder.path().join("jwks.json"));
        let jwks = Jwks::open(source).await.unwrap();
        Self {
            folder,
            authenticator: Authenticator::new(KeySet::default(), Some(jwks), rules()),
        }
    }

    fn change(&self, keys: &[Value]) {
        write(self.folder.path(), keys);
    }

    async fn refresh(&self) -> bool {
        self.authenticator.jwks.as_ref().unwrap().refresh().await
    }
}

fn write(folder: &Path, keys: &[Value]) {
    std::fs::write(folder.join("jwks.json"), json!({"keys": keys}).to_string()).unwrap();
}

fn value(jwk: &Jwk) -> Value {
    serde_json::to_value(jwk).unwrap()
}

#[tokio::test]
async fn a_jwks_says_which_key_is_for_which_algorithm() {
    let pairs = Pair::each();
    let ids = ["r", "e", "d"];
    let mut keys: Vec<_> = pairs
        .iter()
        .zip(ids)
        .map(|(pair, id)| value(&pair.jwk(id)))
        .collect();
    // Without `alg`, type and curve say it.
    keys[1].as_object_mut().unwrap().remove("alg");
    // What cannot be read is left out.
    keys.push(json!({"kty": "EC", "crv": "P-999", "x": "", "y": ""}));
    keys.push(json!("nonsense"));
    let published = Published::of(&keys).await;
    for (pair, id) in pairs.iter().zip(ids) {
        assert!(
            is_good(&published.authenticator, &pair.sign(Some(id), &claims())).await,
            "{id}"
        );
        assert!(
            is_good(&published.authenticator, &pair.sign(None, &claims())).await,
            "{id}"
        );
        for other in ids.iter().filter(|other| **other != id).chain([&"unknown"]) {
            let token = pair.sign(Some(other), &claims());
            assert_eq!(refused(&published.authenticator, &token).await, "token_invalid");
        }
        let confused = Header {
            kid: Some(id.to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        let secret = EncodingKey::from_secret(pair.public_pem.as_bytes());
        let confused = jsonwebtoken::encode(&confused, &claims(), &secret).unwrap();
        assert_eq!(
            refused(&published.authenticator, &confused).await,
            "token_invalid"
        );
    }
}

#[test]
fn keys_for_something_else_are_left_out() {
    let pair = Pair::new(Algorithm::RS256);
    let usable = |jwk: &Jwk| {
        KeySet::of_jwks(json!({"keys": [jwk]}).to_string().as_bytes())
            .unwrap()
            .len()
    };
    let good = pair.jwk("k");
    assert_eq!(usable(&good), 1);
    let mut encrypts = good.clone();
    encrypts.common.public_key_use = Some(PublicKeyUse::Encryption);
    let mut signs = good.clone();
    signs.common.key_operations = Some(vec![jsonwebtoken::jwk::KeyOperations::Sign]);
    let mut other = good.clone();
    other.common.key_algorithm = Some(KeyAlgorithm::PS256);
    let mut confused = good.clone();
    confused.common.key_algorithm = Some(KeyAlgorithm::HS256);
    let secret =
        Jwk::from_encoding_key(&EncodingKey::from_secret(SECRET.as_bytes()), Algorithm::HS256).unwrap();
    for bad in [encrypts, signs, other, confused, secret] {
        assert_eq!(usable(&bad), 0, "{bad:?}");
    }
    let many = vec![value(&good); 65];
    for none in [
        "",
        "[]",
        "{}",
        "{\"keys\": 7}",
        &json!({"keys": many}).to_string(),
    ] {
        assert!(KeySet::of_jwks(none.as_bytes()).is_err(), "{none}");
    }
}

#[tokio::test]
async fn a_key_that_is_new_is_found_by_its_first_token_and_others_are_not_looked_for_again() {
    let (old, new, newer) = (
        Pair::new(Algorithm::ES256),
        Pair::new(Algorithm::EdDSA),
        Pair::new(Algorithm::ES256),
    );
    let published = Published::of(&[value(&old.jwk("old"))]).await;
    let token = new.sign(Some("new"), &claims());
    published.change(&[value(&old.jwk("old")), value(&new.jwk("new"))]);
    assert!(is_good(&published.authenticator, &token).await);
    assert!(is_good(&published.authenticator, &old.sign(Some("old"), &claims())).await);
    // So soon after, the next unknown key leads to no look, whoever made it up.
    published.change(&[value(&newer.jwk("newer"))]);
    let token = newer.sign(Some("newer"), &claims());
    assert_eq!(refused(&published.authenticator, &token).await, "token_invalid");
    assert!(published.refresh().await);
    assert!(is_good(&published.authenticator, &token).await);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_is_good_for_nothing_and_a_failed_refresh_withdraws_none() {
    let (stays, goes) = (Pair::new(Algorithm::ES256), Pair::new(Algorithm::ES256));
    let published = Published::of(&[value(&stays.jwk("stays")), value(&goes.jwk("goes"))]).await;
    let [stays_token, goes_token] =
        [(&stays, "stays"), (&goes, "goes")].map(|(pair, id)| pair.sign(Some(id), &claims()));
    let file = published.folder.path().join("jwks.json");
    for broken in [Some("{\"keys\""), None] {
        match broken {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        assert!(!published.refresh().await);
        assert!(is_good(&published.authenticator, &goes_token).await);
    }
    published.change(&[value(&stays.jwk("stays"))]);
    assert!(published.refresh().await);
    assert_eq!(
        refused(&published.authenticator, &goes_token).await,
        "token_invalid"
    );
    assert!(is_good(&published.authenticator, &stays_token).await);
    published.change(&[]);
    assert!(published.refresh().await);
    assert_eq!(
        refused(&published.authenticator, &stays_token).await,
        "token_invalid"
    );
}

#[tokio::test]
async fn a_jwks_comes_over_http() {
    let pair = Pair::new(Algorithm::ES256);
    let body = json!({"keys": [pair.jwk("k")]}).to_string();
    let router = axum::Router::new()
        .route("/keys", axum::routing::get(|| async { body }))
        .route(
            "/moved",
            axum::routing::get(|| async { axum::response::Redirect::temporary("/keys") }),
        )
        .route(
            "/large",
            axum::routing::get(|| async { " ".repeat(2 * 1024 * 1024) }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let open = |path: &str| Jwks::open(format!("http://{address}{path}").parse().unwrap());
    let authenticator = Authenticator::new(KeySet::default(), Some(open("/keys").await.unwrap()), rules());
    assert!(is_good(&authenticator, &pair.sign(Some("k"), &claims())).await);
    for bad in ["/moved", "/nothing", "/large"] {
        assert!(open(bad).await.is_err(), "{bad}");
    }
    serving.abort();
    let _ = serving.await;
    assert!(!authenticator.jwks.as_ref().unwrap().refresh().await);
    assert!(is_good(&authenticator, &pair.sign(Some("k"), &claims())).await);
}

#[test]
fn a_jwks_is_in_a_file_or_at_a_url() {
    let parse = |text: &str| text.parse::<JwksSource>();
    assert!(matches!(parse("keys/jwks.json"), Ok(JwksSource::File(_))));
    let url = parse("https://id.example/jwks?key=hush").unwrap();
    assert_eq!(
        format!("{url} {url:?}"),
        "https://id.example/jwks https://id.example/jwks"
    );
    for bad in [
        "",
        "ftp://x/jwks",
        "https://",
        "https://u:hush@x/jwks",
        "file:///x",
    ] {
        let error = parse(bad).unwrap_err();
        assert!(!error.contains("hush"));
    }
}
