//! Whether the node lives, whether it is ready, and its figures.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::app::{App, Health, now};
use crate::wire::Time;

#[derive(Serialize)]
struct Alive {
    status: &'static str,
    timestamp: Time,
}

/// `GET /health`: the process lives.
pub async fn health() -> Response {
    axum::Json(Alive {
        status: "OK",
        timestamp: Time(now()),
    })
    .into_response()
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    /// How each station is doing: `ok`, or what is wrong with it.
    stations: BTreeMap<&'static str, String>,
    /// How many records of the log the read models and the search index are behind.
    behind: BTreeMap<&'static str, u64>,
}

/// `GET /ready`: 503 when the log is away or a station has stopped for good, else 200: a node whose
/// database is away still takes sends. Either way it says how each station is doing.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    let mut stations = BTreeMap::new();
    let mut ready = !app.stopping.is_cancelled();
    for (name, station) in &app.stations {
        let state = match station() {
            Health::Well => "ok".to_owned(),
            Health::Limping(reason) => reason,
            Health::Down(reason) => {
                ready = false;
                reason
            }
        };
        stations.insert(*name, state);
    }
    let mut behind = BTreeMap::from([("read_models", 0), ("search", 0)]);
    for shard in 0..app.log.shards() {
        match app.log.end(shard).await {
            Ok(end) => {
                for (name, progress) in [("read_models", &app.projected), ("search", &app.indexed)] {
                    *behind.entry(name).or_default() += end.saturating_sub(progress.get(shard));
                }
            }
            Err(error) => {
                ready = false;
                stations.insert("log", error.to_string());
            }
        }
    }
    stations.entry("log").or_insert_with(|| "ok".to_owned());
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        axum::Json(Ready {
            ready,
            stations,
            behind,
        }),
    )
        .into_response()
}

/// `GET /metrics`, in the text format of Prometheus.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    metrics::counter!("verbatim_append_conflicts_total").absolute(app.conversations.conflicts());
    for shard in 0..app.log.shards() {
        let labels = [("shard", shard.to_string())];
        if let Ok(end) = app.log.end(shard).await {
            gauge("verbatim_log_end", &labels, end);
        }
        gauge("verbatim_read_models_position", &labels, app.projected.get(shard));
        gauge("verbatim_search_position", &labels, app.indexed.get(shard));
    }
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, text)], app.metrics.render()).into_response()
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; positions stay below 2^53"
)]
fn gauge(name: &'static str, labels: &[(&'static str, String); 1], value: u64) {
    metrics::gauge!(name, labels).set(value as f64);
}
