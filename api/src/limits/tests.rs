use axum::http::Request;
use domain::testing::user;

use super::*;

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

fn limits(rates: [&str; 3], proxies: u8) -> Limits {
    let [commands, reads, failures] = rates.map(rate);
    Limits::new(Rates {
        commands,
        reads,
        failures,
        proxies,
    })
}

fn identity(tenant: &str, name: &str) -> Identity {
    Identity {
        tenant: TenantId::parse(tenant).unwrap(),
        user: user(name),
        profile: None,
        is_service: false,
        expires_at: 0,
    }
}

fn parts(headers: &[&str]) -> Parts {
    let mut request = Request::builder();
    for value in headers {
        request = request.header(FORWARDED_FOR, *value);
    }
    let mut request = request.body(()).unwrap();
    request
        .extensions_mut()
        .insert(Peer("192.0.2.1:5".parse().unwrap()));
    request.into_parts().0
}

#[test]
fn a_rate_has_a_unit_and_perhaps_a_burst() {
    let quota = |text| rate(text).0.unwrap();
    assert_eq!(rate("off").0, None);
    assert_eq!(quota("20/s").burst_size().get(), 20);
    assert_eq!(quota("20/s:200").burst_size().get(), 200);
    assert_eq!(quota("30/m").replenish_interval(), Duration::from_secs(2));
    for bad in [
        "",
        "20",
        "0/s",
        "20/d",
        "20/s:",
        "20/s:0",
        "-1/s",
        "1000001/s",
        "x/s",
        "20/s:x",
        "OFF",
    ] {
        assert!(bad.parse::<Rate>().is_err(), "{bad}");
    }
}

#[test]
fn each_user_has_a_bucket_for_commands_and_one_for_reads() {
    let limits = limits(["2/h", "1/h", "off"], 0);
    let (ann, bob, twin) = (identity("a", "ann"), identity("a", "bob"), identity("b", "ann"));
    let (standing, taken) = limits.request(&ann, &Method::POST);
    assert!(taken.is_ok());
    assert_eq!(
        standing,
        Some(Standing {
            limit: 2,
            remaining: 1,
            reset: 1_800
        })
    );
    // A socket takes from the same one.
    assert!(limits.command(&ann).is_ok());
    let (standing, taken) = limits.request(&ann, &Method::DELETE);
    let error = serde_json::to_value(taken.unwrap_err()).unwrap();
    assert_eq!(
        (&error["code"], &error["status"]),
        (&"rate_limited".into(), &429.into())
    );
    let wait = error["retryAfter"].as_u64().unwrap();
    assert!((1_790..=1_800).contains(&wait), "{wait}");
    assert_eq!(
        standing,
        Some(Standing {
            limit: 2,
            remaining: 0,
            reset: 3_600
        })
    );
    assert!(limits.command(&ann).is_err());
    assert!(limits.request(&ann, &Method::GET).1.is_ok());
    assert!(limits.request(&ann, &Method::HEAD).1.is_err());
    assert!(limits.command(&bob).is_ok() && limits.command(&twin).is_ok());
}

#[test]
fn what_is_off_limits_nothing() {
    let limits = limits(["off"; 3], 0);
    for _ in 0..1_000 {
        assert!(matches!(
            limits.request(&identity("a", "ann"), &Method::POST),
            (None, Ok(()))
        ));
    }
}

#[test]
fn bad_tokens_are_counted_by_address_and_missing_ones_are_not() {
    let limits = limits(["off", "off", "1/h"], 0);
    let status = |address: &str, code| {
        let error = ApiError::unauthenticated(code, "no");
        limits.failure(address.parse().ok(), error).status().as_u16()
    };
    for _ in 0..3 {
        assert_eq!(status("192.0.2.1", ApiError::TOKEN_MISSING), 401);
    }
    assert_eq!(status("192.0.2.1", "token_invalid"), 401);
    assert_eq!(status("192.0.2.1", "token_expired"), 429);
    assert_eq!(status("::ffff:192.0.2.1", "token_invalid"), 429);
    assert_eq!(status("192.0.2.2", "token_invalid"), 401);
    assert_eq!(status("2001:db8:0:1::1", "token_invalid"), 401);
    assert_eq!(status("2001:db8:0:1:ffff::2", "token_invalid"), 429);
    assert_eq!(status("2001:db8:0:2::1", "token_invalid"), 401);
}

#[test]
fn only_trusted_proxies_say_for_whom_they_speak() {
    let address = |proxies, headers: &[&str]| {
        let limits = limits(["off"; 3], proxies);
        limits.address(&parts(headers)).unwrap().to_string()
    };
    assert_eq!(address(0, &["203.0.113.9"]), "192.0.2.1");
    assert_eq!(address(1, &["198.51.100.7, 203.0.113.9"]), "203.0.113.9");
    assert_eq!(
        address(2, &["198.51.100.7", "203.0.113.9, 10.0.0.1"]),
        "203.0.113.9"
    );
    assert_eq!(address(1, &["[2001:db8::1]:443"]), "2001:db8::1");
    for useless in [&[][..], &["unknown"], &[""]] {
        assert_eq!(address(1, useless), "192.0.2.1");
    }
    assert_eq!(address(2, &["203.0.113.9"]), "192.0.2.1");
}

#[test]
fn buckets_that_are_full_again_are_forgotten() {
    let limits = limits(["1000000/s", "1/h", "off"], 0);
    for number in 0..100 {
        let ann = identity("a", &format!("u{number}"));
        assert!(limits.command(&ann).is_ok() && limits.request(&ann, &Method::GET).1.is_ok());
    }
    std::thread::sleep(Duration::from_millis(1));
    limits.sweep();
    assert_eq!(limits.commands.as_ref().unwrap().limiter.len(), 0);
    assert_eq!(limits.reads.as_ref().unwrap().limiter.len(), 100);
}
