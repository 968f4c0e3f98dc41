use domain::testing::user;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, get_current_timestamp};
use rcgen::{KeyPair, RsaKeySize};
use serde_json::json;

use super::*;

mod published;

const SECRET: &str = "a secret of at least thirty-two bytes";

/// A new key pair, and what it is for.
struct Pair {
    algorithm: Algorithm,
    signs: EncodingKey,
    public_pem: String,
}

impl Pair {
    fn new(algorithm: Algorithm) -> Self {
        let pair = match algorithm {
            Algorithm::RS256 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
            Algorithm::ES256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Algorithm::ES384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            _ => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        };
        let pair = pair.unwrap();
        let pem = pair.serialize_pem();
        let signs = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_ec_pem(pem.as_bytes()),
        };
        Self {
            algorithm,
            signs: signs.unwrap(),
            public_pem: pair.public_key_pem(),
        }
    }

    fn each() -> [Self; 3] {
        [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA].map(Self::new)
    }

    fn verifying(&self) -> VerifyingKey {
        VerifyingKey::of_pem(self.public_pem.as_bytes()).unwrap()
    }

    fn jwk(&self, id: &str) -> Jwk {
        let mut jwk = Jwk::from_decoding_key(self.verifying().decoding(), Some(self.algorithm)).unwrap();
        jwk.common.key_id = Some(id.to_owned());
        jwk
    }

    fn sign(&self, id: Option<&str>, claims: &Value) -> String {
        let header = Header {
            kid: id.map(str::to_owned),
            ..Header::new(self.algorithm)
        };
        jsonwebtoken::encode(&header, claims, &self.signs).unwrap()
    }
}

fn rules() -> Rules {
    Rules {
        issuers: Vec::new(),
        audiences: Vec::new(),
        clock_skew: Duration::from_secs(5),
        tenant_claim: None,
    }
}

fn shared() -> Authenticator {
    with_rules(rules())
}

fn with_rules(rules: Rules) -> Authenticator {
    let key = VerifyingKey::of_secret(SECRET).unwrap();
    Authenticator::new(KeySet::new(vec![key]), None, rules)
}

fn claims() -> Value {
    json!({"sub": "ann", "exp": get_current_timestamp() + 60})
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

fn sign(claims: &Value, secret: &[u8], algorithm: Algorithm) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn honest(claims: &Value) -> String {
    sign(claims, SECRET.as_bytes(), Algorithm::HS256)
}

async fn refused(authenticator: &Authenticator, token: &str) -> String {
    let error = authenticator.check(token).await.unwrap_err();
    assert_eq!(error.status(), 401);
    let told = serde_json::to_value(&error).unwrap();
    told["code"].as_str().unwrap().to_owned()
}

async fn is_good(authenticator: &Authenticator, token: &str) -> bool {
    authenticator.check(token).await.is_ok()
}

#[tokio::test]
async fn a_token_says_who_asks() {
    let tenant = TenantId::parse("acme").unwrap();
    let grant = Grant {
        tenant: &tenant,
        user: &user("ann"),
        name: Some("Ann"),
        scope: &["service".to_owned()],
        ttl: Duration::from_secs(60),
    };
    let token = Signer::new(SECRET).unwrap().issue(&grant).unwrap();
    let identity = shared().check(&token).await.unwrap();
    assert_eq!((&identity.tenant, identity.user.as_str()), (&tenant, "ann"));
    assert_eq!(identity.profile.unwrap().name.as_str(), "Ann");
    assert!(identity.is_service);
}

#[tokio::test]
async fn users_are_numbers_too_as_in_the_reference() {
    let number = with("userId", 42);
    let identity = shared().check(&honest(&number)).await.unwrap();
    assert_eq!(
        (identity.user.as_str(), identity.tenant.as_str()),
        ("42", "default")
    );
    assert!(!identity.is_service);
    for written_otherwise in ["42.0", "4.2e1", "42.5", "99999999999999999999"] {
        let claims = honest(&with(
            "userId",
            serde_json::from_str::<Value>(written_otherwise).unwrap(),
        ));
        assert_eq!(
            refused(&shared(), &claims).await,
            "token_invalid",
            "{written_otherwise}"
        );
    }
}

#[tokio::test]
async fn forged_expired_and_nameless_tokens_are_refused() {
    let authenticator = shared();
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjk5OTk5OTk5OTl9.";
    let another = sign(&claims(), SECRET.to_uppercase().as_bytes(), Algorithm::HS256);
    let longer = sign(&claims(), SECRET.as_bytes(), Algorithm::HS512);
    let mut critical = Header::new(Algorithm::HS256);
    critical.crit = Some(vec!["exp".to_owned()]);
    let critical = jsonwebtoken::encode(&critical, &claims(), &EncodingKey::from_secret(SECRET.as_bytes()));
    for forged in [none, "x", "", &another, &longer, &critical.unwrap()] {
        assert_eq!(refused(&authenticator, forged).await, "token_invalid", "{forged}");
    }
    for nameless in [
        json!({"exp": get_current_timestamp() + 60}),
        json!({"sub": "ann"}),
        with("sub", ""),
        with("sub", Value::Null),
        with("sub", json!(["ann"])),
        with("scope", 7),
        with("scope", json!([7])),
        with("tenant", "a b/c\n"),
        with("exp", "soon"),
    ] {
        assert_eq!(
            refused(&authenticator, &honest(&nameless)).await,
            "token_invalid",
            "{nameless}"
        );
    }
}

#[tokio::test]
async fn clocks_may_differ_by_the_skew_and_no_more() {
    let now = get_current_timestamp();
    let skew = Duration::from_secs(100);
    let lax = with_rules(Rules {
        clock_skew: skew,
        ..rules()
    });
    let identity = lax.check(&honest(&with("exp", now - 60))).await.unwrap();
    assert_eq!(identity.expires_at, now + 40);
    assert!(is_good(&lax, &honest(&with("nbf", now + 60))).await);
    for authenticator in [&lax, &shared()] {
        assert_eq!(
            refused(authenticator, &honest(&with("exp", now - 160))).await,
            "token_expired"
        );
        assert_eq!(
            refused(authenticator, &honest(&with("nbf", now + 160))).await,
            "token_invalid"
        );
    }
    assert_eq!(
        refused(&shared(), &honest(&with("exp", now - 60))).await,
        "token_expired"
    );
    assert_eq!(
        refused(&shared(), &honest(&with("nbf", now + 60))).await,
        "token_invalid"
    );
}

#[tokio::test]
async fn issuer_and_audience_are_checked_where_they_are_configured() {
    let strict = with_rules(Rules {
        issuers: vec!["https://id.example".to_owned(), "https://old.example".to_owned()],
        audiences: vec!["chat".to_owned()],
        ..rules()
    });
    let claims = |issuer: Value, audience: Value| {
        let mut claims = with("iss", issuer);
        claims["aud"] = audience;
        honest(&claims)
    };
    assert!(is_good(&strict, &claims(json!("https://id.example"), json!("chat"))).await);
    assert!(
        is_good(
            &strict,
            &claims(json!("https://old.example"), json!(["mail", "chat"]))
        )
        .await
    );
    for (issuer, audience) in [
        (json!("https://evil.example"), json!("chat")),
        (json!("https://id.example"), json!("mail")),
        (json!("https://id.example"), json!(["mail"])),
        (json!("https://id.example"), Value::Null),
        (Value::Null, json!("chat")),
        (json!(7), json!("chat")),
    ] {
        assert_eq!(refused(&strict, &claims(issuer, audience)).await, "token_invalid");
    }
    assert!(is_good(&shared(), &claims(json!("anyone"), json!("anything"))).await);
}

#[tokio::test]
async fn a_tenant_claim_that_is_named_must_be_there() {
    let named = with_rules(Rules {
        tenant_claim: Some("org_id".to_owned()),
        ..rules()
    });
    for (tenant, is) in [(json!("acme"), "acme"), (json!(7), "7")] {
        let identity = named.check(&honest(&with("org_id", tenant))).await.unwrap();
        assert_eq!(identity.tenant.as_str(), is);
    }
    for lacking in [
        claims(),
        with("tenant", "acme"),
        with("org_id", Value::Null),
        with("org_id", ""),
    ] {
        assert_eq!(
            refused(&named, &honest(&lacking)).await,
            "token_invalid",
            "{lacking}"
        );
    }
}

#[tokio::test]
async fn the_scope_is_a_text_or_a_list() {
    for (scope, is_service) in [
        (json!("service"), true),
        (json!("read service"), true),
        (json!(["read", "service"]), true),
        (json!("services"), false),
        (json!("SERVICE"), false),
        (json!(""), false),
        (json!([]), false),
        (Value::Null, false),
    ] {
        let identity = shared()
            .check(&honest(&with("scope", scope.clone())))
            .await
            .unwrap();
        assert_eq!(identity.is_service, is_service, "{scope}");
    }
}

#[tokio::test]
async fn each_public_key_takes_its_own_algorithm_and_no_other() {
    let pairs = Pair::each();
    for pair in &pairs {
        let alone = Authenticator::new(KeySet::new(vec![pair.verifying()]), None, rules());
        assert!(
            is_good(&alone, &pair.sign(None, &claims())).await,
            "{:?}",
            pair.algorithm
        );
        assert!(is_good(&alone, &pair.sign(Some("any"), &claims())).await);
        // The public key, which everyone has, as the secret of HS256.
        let der = pair.verifying();
        let der = der.decoding().try_get_as_bytes().unwrap();
        for secret in [
            pair.public_pem.as_bytes(),
            pair.public_pem.trim().as_bytes(),
            der,
            b"",
        ] {
            let confused = sign(&claims(), secret, Algorithm::HS256);
            assert_eq!(refused(&alone, &confused).await, "token_invalid");
        }
        let twin = Pair::new(pair.algorithm);
        assert_eq!(
            refused(&alone, &twin.sign(None, &claims())).await,
            "token_invalid"
        );
        for other in pairs.iter().filter(|other| other.algorithm != pair.algorithm) {
            assert_eq!(
                refused(&alone, &other.sign(None, &claims())).await,
                "token_invalid"
            );
        }
        let expired = with("exp", get_current_timestamp() - 60);
        assert_eq!(refused(&alone, &pair.sign(None, &expired)).await, "token_expired");
        // The same key with another algorithm of its family.
        if pair.algorithm == Algorithm::RS256 {
            for other in [Algorithm::RS512, Algorithm::PS256] {
                let token = jsonwebtoken::encode(&Header::new(other), &claims(), &pair.signs).unwrap();
                assert_eq!(refused(&alone, &token).await, "token_invalid");
            }
        }
        assert_eq!(refused(&alone, &honest(&claims())).await, "token_invalid");
    }
    let all = Authenticator::new(
        KeySet::new(pairs.iter().map(Pair::verifying).collect()),
        None,
        rules(),
    );
    for pair in &pairs {
        assert!(is_good(&all, &pair.sign(None, &claims())).await);
    }
}

#[test]
fn what_is_no_public_key_is_none() {
    let (first, second) = (Pair::new(Algorithm::ES256), Pair::new(Algorithm::EdDSA));
    let private = KeyPair::generate().unwrap().serialize_pem();
    assert!(matches!(
        VerifyingKey::of_pem(private.as_bytes()),
        Err(keys::KeyError::PrivateKey)
    ));
    let two = first.public_pem.clone() + &second.public_pem;
    let other_curve = Pair::new(Algorithm::ES384).public_pem;
    for bad in [
        "",
        "x",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        &two,
        &other_curve,
    ] {
        assert!(
            matches!(
                VerifyingKey::of_pem(bad.as_bytes()),
                Err(keys::KeyError::NotPublicKey)
            ),
            "{bad}"
        );
    }
    assert!(VerifyingKey::of_secret("short").is_err() && Signer::new("short").is_err());
}
