//! Whether the node lives, whether it is ready, and its figures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::app::{App, Health, now};
use crate::wire::Time;

/// How long the log is waited for: whoever asks how a node is doing wants to hear it now.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Serialize, ToSchema)]
struct Alive {
    status: &'static str,
    timestamp: Time,
}

/// `GET /health`: the process lives.
#[utoipa::path(
    get, path = "/health", operation_id = "getHealth", tag = "Node",
    security(()),
    responses((status = 200, description = "It lives", body = Alive)),
)]
pub async fn health() -> Response {
    axum::Json(Alive {
        status: "OK",
        timestamp: Time(now()),
    })
    .into_response()
}

#[derive(Serialize, ToSchema)]
struct Ready {
    ready: bool,
    /// How each station is doing: `ok`, or what is wrong with it.
    #[schema(value_type = BTreeMap<String, String>)]
    stations: BTreeMap<&'static str, String>,
    /// How many records of the log the read models and the search index are behind.
    #[schema(value_type = BTreeMap<String, u64>)]
    behind: BTreeMap<&'static str, u64>,
}

/// `GET /ready`: 503 when the log is away or a station has stopped for good, else 200: a node whose
/// database is away still takes sends. Either way it says how each station is doing.
#[utoipa::path(
    get, path = "/ready", operation_id = "getReadiness", tag = "Node",
    security(()),
    responses(
        (status = 200, description = "It is ready", body = Ready),
        (status = 503, description = "It is not", body = Ready),
    ),
)]
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
    for (shard, end) in ends(&app).await {
        match end {
            Ok(end) => {
                for (name, progress) in [("read_models", &app.projected), ("search", &app.indexed)] {
                    *behind.entry(name).or_default() += end.saturating_sub(progress.get(shard));
                }
            }
            Err(reason) => {
                ready = false;
                stations.insert("log", reason);
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

/// The end of each shard, or why the log does not say it soon.
async fn ends(app: &App) -> Vec<(u16, Result<u64, String>)> {
    let shards = (0..app.log.shards()).map(async |shard| {
        let end = match timeout(PATIENCE, app.log.end(shard)).await {
            Ok(end) => end.map_err(|error| error.to_string()),
            Err(_) => Err("the log does not answer".to_owned()),
        };
        (shard, end)
    });
    join_all(shards).await
}

/// `GET /metrics`: the node's figures, in the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", operation_id = "getMetrics", tag = "Node",
    security(()),
    responses((status = 200, description = "The figures", content_type = "text/plain", body = String)),
)]
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    metrics::counter!("verbatim_append_conflicts_total").absolute(app.conversations.conflicts());
    for (shard, end) in ends(&app).await {
        let labels = [("shard", shard.to_string())];
        if let Ok(end) = end {
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
