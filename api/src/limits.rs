//! How much anyone may ask: token buckets, each node's own.
//!
//! A user (of a tenant) has one bucket for commands, whether over HTTP or sockets, and one for reads. Bad
//! tokens are counted by the address they come from. A bucket that is full again is forgotten, so memory
//! holds only those that were used just now.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use domain::{TenantId, UserId};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::auth::Identity;
use crate::error::ApiError;

/// The most that a bucket may hold, and that may come into it in its unit of time.
const MOST: u32 = 1_000_000;
/// How often buckets that are full again are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
const FORWARDED_FOR: &str = "x-forwarded-for";
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// What comes into a bucket and how much it holds: `20/s:200`, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(Option<Quota>);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || {
            format!(
                "{text:?} is neither a rate such as 20/s, 600/m or 20/s:200 (with a burst of 200), each number \
                 from 1 to {MOST}, nor off"
            )
        };
        if text == "off" {
            return Ok(Self(None));
        }
        let number = |text: &str| {
            text.parse::<NonZeroU32>()
                .ok()
                .filter(|number| number.get() <= MOST)
        };
        let (rate, burst) = match text.split_once(':') {
            Some((rate, burst)) => (rate, Some(number(burst).ok_or_else(error)?)),
            None => (text, None),
        };
        let (count, unit) = rate.split_once('/').ok_or_else(error)?;
        let count = number(count).ok_or_else(error)?;
        let quota = match unit {
            "s" => Quota::per_second(count),
            "m" => Quota::per_minute(count),
            "h" => Quota::per_hour(count),
            _ => return Err(error()),
        };
        Ok(Self(Some(quota.allow_burst(burst.unwrap_or(count)))))
    }
}

/// Where someone stands after having asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    limit: u32,
    remaining: u32,
    /// Seconds until the bucket is full again.
    reset: u64,
}

impl Standing {
    fn new(quota: Quota, remaining: u32) -> Self {
        let limit = quota.burst_size().get();
        let missing = quota
            .replenish_interval()
            .saturating_mul(limit.saturating_sub(remaining));
        Self {
            limit,
            remaining,
            reset: whole_seconds(missing),
        }
    }

    /// Tells it to who asked.
    pub fn write_to(self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RESET, HeaderValue::from(self.reset));
    }
}

const fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + if time.subsec_nanos() > 0 { 1 } else { 0 }
}

/// A bucket is empty.
struct Empty {
    standing: Standing,
    /// Seconds until there is something in it.
    wait: NonZeroU32,
}

/// A bucket for each key.
struct Buckets<K: Hash + Eq + Clone> {
    what: &'static str,
    limiter: RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(what: &'static str, rate: Rate) -> Option<Self> {
        let limiter = RateLimiter::dashmap(rate.0?).with_middleware();
        Some(Self { what, limiter })
    }

    fn take(&self, key: &K) -> Result<Standing, Empty> {
        match self.limiter.check_key(key) {
            Ok(state) => Ok(Standing::new(state.quota(), state.remaining_burst_capacity())),
            Err(until) => {
                metrics::counter!("verbatim_rate_limited_total", "what" => self.what).increment(1);
                let wait = until.wait_time_from(self.limiter.clock().now());
                Err(Empty {
                    standing: Standing::new(until.quota(), 0),
                    wait: u32::try_from(whole_seconds(wait)).map_or(NonZeroU32::MAX, |seconds| {
                        NonZeroU32::new(seconds).unwrap_or(NonZeroU32::MIN)
                    }),
                })
            }
        }
    }

    fn sweep(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// What the limits are.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Of a user's commands.
    pub commands: Rate,
    /// Of a user's reads.
    pub reads: Rate,
    /// Of an address's bad tokens.
    pub failures: Rate,
    /// How many proxies stand before the node and name in `X-Forwarded-For` whom they speak for.
    pub proxies: u8,
}

/// The buckets of a node.
pub struct Limits {
    commands: Option<Buckets<(TenantId, UserId)>>,
    reads: Option<Buckets<(TenantId, UserId)>>,
    failures: Option<Buckets<IpAddr>>,
    proxies: u8,
}

impl Limits {
    /// Buckets that are all full.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        Self {
            commands: Buckets::new("commands", rates.commands),
            reads: Buckets::new("reads", rates.reads),
            failures: Buckets::new("failures", rates.failures),
            proxies: rates.proxies,
        }
    }

    /// Takes a request of a user out of its bucket. What it leaves is there for the answer in any case.
    pub(crate) fn request(
        &self,
        identity: &Identity,
        method: &Method,
    ) -> (Option<Standing>, Result<(), ApiError>) {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        let buckets = if is_read { &self.reads } else { &self.commands };
        match buckets.as_ref().map(|buckets| buckets.take(&key(identity))) {
            None => (None, Ok(())),
            Some(Ok(standing)) => (Some(standing), Ok(())),
            Some(Err(empty)) => (Some(empty.standing), Err(ApiError::rate_limited(empty.wait))),
        }
    }

    /// Takes a command that comes over a socket out of the user's bucket.
    ///
    /// # Errors
    /// 429 when it is empty.
    pub fn command(&self, identity: &Identity) -> Result<(), ApiError> {
        self.request(identity, &Method::POST).1
    }

    /// What is told about a token that is not valid: after too many of them from the same address, only
    /// that. Good tokens are taken from there all the same, for many may share an address.
    pub fn failure(&self, address: Option<IpAddr>, error: ApiError) -> ApiError {
        let (Some(buckets), Some(address)) = (&self.failures, address) else {
            return error;
        };
        // Having no token costs nothing to find out, and who is kept out had a good one.
        let is_harmless = [
            ApiError::TOKEN_MISSING,
            ApiError::USER_BLOCKED,
            ApiError::USER_INACTIVE,
        ];
        if is_harmless.contains(&error.code()) {
            return error;
        }
        match buckets.take(&network(address)) {
            Ok(_) => error,
            Err(empty) => ApiError::rate_limited(empty.wait),
        }
    }

    /// Where a request comes from: the address that connected, or the one that the outermost of the trusted
    /// proxies names. What is written further to the left anyone can have written.
    pub fn address(&self, parts: &Parts) -> Option<IpAddr> {
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
        let Some(back) = usize::from(self.proxies).checked_sub(1) else {
            return peer;
        };
        let named: Vec<_> = parts
            .headers
            .get_all(FORWARDED_FOR)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        let named = named.into_iter().rev().nth(back).and_then(parse_address);
        named.or(peer)
    }

    /// Forgets the buckets that are full again, now and then, until it is cancelled.
    pub async fn keep_small(&self, cancel: CancellationToken) {
        while cancel.run_until_cancelled(sleep(SWEEP_EVERY)).await.is_some() {
            self.sweep();
        }
    }

    fn sweep(&self) {
        for buckets in [&self.commands, &self.reads].into_iter().flatten() {
            buckets.sweep();
        }
        if let Some(buckets) = &self.failures {
            buckets.sweep();
        }
    }
}

fn key(identity: &Identity) -> (TenantId, UserId) {
    (identity.tenant.clone(), identity.user.clone())
}

/// Among the extensions of a request: who connected.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// An address, with a port or without.
fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    bare.parse().or_else(|_| with_port()).ok()
}

/// What counts as one address: of IPv6, the 64 bits that name a network, since its owner has all the rest.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests;
