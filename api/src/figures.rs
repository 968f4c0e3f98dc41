//! What the figures of `GET /metrics` are called and what they mean.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Describes every figure to the recorder of this process.
pub fn describe() {
    describe_counter!(
        "verbatim_http_requests_total",
        "Requests that were answered, by method, route and status."
    );
    describe_histogram!(
        "verbatim_http_request_seconds",
        Unit::Seconds,
        "How long requests took to be answered, by method and route."
    );
    describe_counter!(
        "verbatim_jwks_refreshes_total",
        "Reads of the JWKS after the first, by outcome: ok, or failed, after which the keys stay as they were."
    );
    describe_gauge!(
        "verbatim_jwks_keys",
        "Keys of the JWKS that tokens are checked with."
    );
    describe_gauge!(
        "verbatim_jwks_refreshed_seconds",
        Unit::Seconds,
        "When the JWKS was last read, in seconds after the Unix epoch."
    );
    describe_counter!(
        "verbatim_rate_limited_total",
        "What was refused because too much was asked for, by what: commands, reads, or failures (bad tokens)."
    );
    describe_gauge!("verbatim_sockets", "WebSockets that are open on this node.");
    describe_counter!(
        "verbatim_messages_sent_total",
        "Messages that this node acknowledged, repeats among them."
    );
    describe_counter!(
        "verbatim_append_conflicts_total",
        "Appends to conversations that met another node's and were decided again."
    );
    describe_counter!(
        "verbatim_notifications_total",
        "Attempts at notifications, by target (webhook, push) and outcome: delivered, failed (it is tried again), dead, \
         gone (the device), or needless."
    );
    describe_gauge!(
        "verbatim_notifications_waiting",
        "Notifications that are to be delivered."
    );
    describe_gauge!(
        "verbatim_notifications_oldest_seconds",
        Unit::Seconds,
        "How old the oldest message is whose notification waits."
    );
    describe_gauge!(
        "verbatim_notifications_dead",
        "Notifications that are not tried any more."
    );
    describe_gauge!(
        "verbatim_log_end",
        "The sequence of the newest record of the log, by shard."
    );
    describe_gauge!(
        "verbatim_read_models_position",
        "The sequence up to which the read models have taken in the log, by shard."
    );
    describe_gauge!(
        "verbatim_search_position",
        "The sequence up to which the search index has taken in the log, by shard."
    );
}
