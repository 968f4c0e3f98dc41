//! What every endpoint of a kind has: headers, refusals, and links to what can be asked next. A handler says only
//! what is its own.
//!
//! It works on the finished JSON, because most of it is about what several parts of an operation have in common.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::error::codes;

/// How a handler says what it refuses beside the usual: `"404 conversation_not_found"`.
pub const REFUSALS: &str = "x-refusals";

/// What is asked of every request with a token.
const OF_ALL: &[&str] = &[
    "401 token_missing",
    "401 token_invalid",
    "401 token_expired",
    "401 user_blocked",
    "401 user_inactive",
    "429 rate_limited",
    "500 internal",
];
const OF_READS: &[&str] = &[
    "400 malformed_position",
    "400 foreign_position",
    "503 position_not_reached",
    "503 read_model_unavailable",
];
const OF_COMMANDS: &[&str] = &[
    "503 overloaded",
    "503 log_unavailable",
    "503 keys_unavailable",
    "503 read_model_unavailable",
    "503 position_not_reached",
    "503 stream_undecodable",
];
const OF_BODIES: &[&str] = &[
    "400 unreadable_body",
    "408 request_timeout",
    "413 body_too_large",
    "415 unsupported_media_type",
    "422 validation_failed",
];

/// Adds to an operation what those of its kind have.
pub fn complete(method: &str, operation: &mut Value) {
    let own = operation
        .as_object_mut()
        .and_then(|fields| fields.remove(REFUSALS))
        .unwrap_or_default();
    let mut refusals: BTreeSet<String> = own
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|refusal| refusal.as_str().map(str::to_owned))
        .collect();
    // Most say nothing of a token, because all need one.
    let is_open = operation["security"][0] == json!({});
    let mut take = |usual: &[&str]| refusals.extend(usual.iter().map(|refusal| (*refusal).to_owned()));
    let has_query = parameters(operation).any(|parameter| parameter["in"] == "query");
    if has_query {
        take(&["400 invalid_query"]);
    }
    if operation.get("requestBody").is_some() {
        take(OF_BODIES);
    }
    if operation["requestBody"]["content"]
        .get("application/json")
        .is_some()
    {
        take(&["400 malformed_json"]);
    }
    let mut headers = vec!["XRequestId"];
    if !is_open {
        take(OF_ALL);
        if method == "get" {
            take(OF_READS);
            headers.push("XMinPosition");
        } else {
            take(OF_COMMANDS);
        }
        if method == "post" {
            take(&["400 malformed_idempotency_key"]);
            headers.push("IdempotencyKey");
        }
    }
    let references = headers
        .into_iter()
        .map(|name| json!({"$ref": format!("#/components/parameters/{name}")}));
    match &mut operation["parameters"] {
        Value::Array(parameters) => parameters.extend(references),
        missing => *missing = references.collect(),
    }
    refuse(operation, &refusals);
    let is_command = !is_open && method != "get";
    if let Some(responses) = operation["responses"].as_object_mut() {
        for (status, response) in responses {
            head(response, status, !is_open, is_command);
        }
    }
}

fn parameters(operation: &Value) -> impl Iterator<Item = &Value> {
    operation["parameters"].as_array().into_iter().flatten()
}

/// A response for each status that something is refused with.
fn refuse(operation: &mut Value, refusals: &BTreeSet<String>) {
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for refusal in refusals {
        let (status, code) = refusal.split_once(' ').unwrap_or_default();
        by_status
            .entry(status.parse().unwrap_or_default())
            .or_default()
            .push(code);
    }
    for (status, codes) in by_status {
        let lines: Vec<_> = codes
            .iter()
            .map(|code| {
                let meaning = codes::meaning(status, code).unwrap_or_default();
                format!("- `{code}`: {meaning}")
            })
            .collect();
        let known = json!({"type": "object", "properties": {
            "status": {"const": status}, "code": {"enum": codes}}});
        operation["responses"][status.to_string()] = json!({
            "description": lines.join("\n"),
            "content": {"application/problem+json": {"schema": {
                "allOf": [{"$ref": "#/components/schemas/Problem"}, known]}}},
        });
    }
}

/// The headers that an answer of this status has.
fn head(response: &mut Value, status: &str, has_token: bool, is_command: bool) {
    let mut names = vec!["X-Request-Id"];
    let is_done = status.starts_with('2');
    if has_token && status != "401" {
        names.extend(["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]);
    }
    if is_command && (is_done || status == "503") {
        names.push("X-Position");
    }
    match status {
        "401" => names.push("WWW-Authenticate"),
        "429" | "503" => names.push("Retry-After"),
        _ => {}
    }
    for name in names {
        response["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
    }
}

/// The headers that responses refer to.
pub fn headers() -> Value {
    let header = |description: &str, schema: Value| json!({"description": description, "schema": schema});
    let count = json!({"type": "integer", "minimum": 0});
    json!({
        "X-Request-Id": header("The id of the request: the client's, if it was sane, or a new one.",
            json!({"type": "string", "minLength": 1, "maxLength": 128})),
        "RateLimit-Limit": header("What the bucket holds; missing when nothing is limited.", count.clone()),
        "RateLimit-Remaining": header("What is left in it.", count.clone()),
        "RateLimit-Reset": header("Seconds until it is full again.", count),
        "Retry-After": header("Seconds after which it may be tried again.",
            json!({"type": "integer", "minimum": 1})),
        "WWW-Authenticate": header("How to show who one is.", json!({"type": "string", "const": "Bearer"})),
        "X-Position": header("Where in the log it was recorded; of a 503 only if it was.",
            json!({"$ref": "#/components/schemas/Position"})),
    })
}

/// The parameters that operations refer to.
pub fn shared_parameters() -> Value {
    let header = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema});
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    json!({
        "XRequestId": header("X-Request-Id", "What the client calls the request: 1 to 128 letters, digits and \
            `-_.:/+=@#`. Anything else is replaced.", json!({"type": "string"})),
        "XMinPosition": header("X-Min-Position", "An `X-Position` that the answer must have taken in.",
            reference("EarlierPosition")),
        "IdempotencyKey": header("Idempotency-Key",
            "Makes a repeat of the request be answered as the original was.", reference("IdempotencyKey")),
    })
}

/// Links from what makes a conversation or a message to all that can be asked about it.
pub fn link(paths: &mut Map<String, Value>) {
    let mut of_conversations = Map::new();
    let mut of_messages = Map::new();
    for (path, item) in paths.iter() {
        for operation in item.as_object().into_iter().flat_map(Map::values) {
            let Some(id) = operation["operationId"].as_str() else {
                continue;
            };
            let by_path = |operation: &str| json!({"operationId": operation, "parameters": {"id": "$response.body#/id"}});
            if path.starts_with("/conversations/messages/{id}") {
                of_messages.insert(id.to_owned(), by_path(id));
            } else if path.starts_with("/conversations/{id}") {
                of_conversations.insert(id.to_owned(), by_path(id));
            }
        }
    }
    let body = |operation: &str, body: Value| json!({"operationId": operation, "requestBody": body});
    let in_conversation = json!({"conversationId": "$response.body#/id"});
    for operation in ["sendMessage", "markRead"] {
        of_conversations.insert(operation.to_owned(), body(operation, in_conversation.clone()));
    }
    let up_to =
        json!({"conversationId": "$response.body#/conversationId", "messageId": "$response.body#/id"});
    for operation in ["markRead", "markUnread"] {
        of_messages.insert(operation.to_owned(), body(operation, up_to.clone()));
    }
    for (path, method, status, links) in [
        ("/conversations/direct", "post", "201", &of_conversations),
        ("/conversations/group", "post", "201", &of_conversations),
        ("/conversations/messages", "post", "201", &of_messages),
    ] {
        if let Some(operation) = paths.get_mut(path) {
            operation[method]["responses"][status]["links"] = Value::Object(links.clone());
        }
    }
}
