//! From what is gathered at the handlers to the document: what is written once is told everywhere.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::{rules, usual};
use crate::error::codes::CODES;
use crate::wire::user_ids;

/// The document.
#[must_use]
pub fn finish(gathered: &OpenApi) -> Value {
    let mut document = serde_json::to_value(gathered).unwrap_or_default();
    if let Some(paths) = document["paths"].as_object_mut() {
        for item in paths.values_mut() {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                describe(operation);
                unwrap_optional(operation);
                usual::complete(method, operation);
            }
        }
        usual::link(paths);
    }
    document["components"]["headers"] = usual::headers();
    document["components"]["parameters"] = usual::shared_parameters();
    document["components"]["schemas"]["Problem"] = problem();
    let schemas = &mut document["components"]["schemas"];
    refer(schemas);
    rules::add(schemas);
    if user_ids::are_numbers() {
        let number = json!({"type": "integer", "minimum": 0, "maximum": user_ids::MOST});
        let text = schemas["UserId"].take();
        schemas["UserId"] = json!({"anyOf": [text, number]});
    }
    require(&mut document);
    document
}

/// The first paragraph of a handler's documentation is what people read, without the route it begins with; the
/// name of the operation, as words, is its title.
fn describe(operation: &mut Value) {
    let about = operation["summary"]
        .as_str()
        .unwrap_or_default()
        .replace('\n', " ");
    let about = match about.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
        Some((_, rest)) => rest.trim_start_matches([':', '.', ',', ' ']).to_owned(),
        None => about,
    };
    let title = as_words(operation["operationId"].as_str().unwrap_or_default());
    operation["summary"] = title.into();
    operation["description"] = capitalized(&about).into();
}

/// `markAsRead` as `Mark as read`.
fn as_words(name: &str) -> String {
    let words = name.chars().fold(String::new(), |mut words, letter| {
        if letter.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
        words
    });
    capitalized(&words)
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

/// The items of a page are described where they are defined, not once more in the page.
fn refer(schemas: &mut Value) {
    for (name, schema) in schemas.as_object_mut().into_iter().flatten() {
        if let Some(item) = name.strip_prefix("Page_") {
            schema["properties"]["data"]["items"] = json!({"$ref": format!("#/components/schemas/{item}")});
        }
    }
}

/// A body that may be missing is an object if it is there.
fn unwrap_optional(operation: &mut Value) {
    let schema = operation.pointer_mut("/requestBody/content/application~1json/schema");
    if let Some(schema) = schema
        && let Some(first) = schema.pointer("/oneOf/0").cloned()
    {
        *schema = first;
        operation["requestBody"]["required"] = false.into();
    }
}

/// A problem document of RFC 9457.
fn problem() -> Value {
    let codes: BTreeSet<_> = CODES.iter().map(|(_, code, _)| *code).collect();
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457).",
        "required": ["type", "title", "status", "code", "detail", "requestId"],
        "properties": {
            "type": {"type": "string", "const": "about:blank"},
            "title": {"type": "string", "description": "The reason of the status."},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "code": {"type": "string", "enum": codes, "description": "Stable: a client may depend on it."},
            "detail": {"type": "string", "description": "For people: what is wrong, and with which field."},
            "retryAfter": {"type": "integer", "minimum": 1, "maximum": u32::MAX,
                "description": "Of a 429: seconds after which there is room for more."},
            "requestId": {"type": "string", "description": "As in `X-Request-Id`."},
        },
        "example": {"type": "about:blank", "title": "Not Found", "status": 404, "code": "conversation_not_found",
            "detail": "the conversation does not exist", "requestId": "01JD3V2Q8Y6W4K9TZ0M5XB7CRA"},
    })
}

/// What is only ever answered has all its fields, `null` where there is nothing: only one that is never `null` may
/// be missing.
fn require(document: &mut Value) {
    let mut asked = BTreeSet::new();
    let paths = document["paths"].as_object().into_iter().flat_map(Map::values);
    for operation in paths.flat_map(|item| item.as_object().into_iter().flat_map(Map::values)) {
        gather(document, &operation["requestBody"], &mut asked);
    }
    let schemas = document["components"]["schemas"].as_object_mut();
    for (name, schema) in schemas.into_iter().flatten() {
        if !asked.contains(name) {
            require_nullable(schema);
        }
    }
}

fn require_nullable(schema: &mut Value) {
    let parts = schema.get_mut("allOf").and_then(Value::as_array_mut);
    parts.into_iter().flatten().for_each(require_nullable);
    let nullable: Vec<_> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, property)| takes_null(property))
        .map(|(name, _)| Value::from(name.as_str()))
        .collect();
    if nullable.is_empty() {
        return;
    }
    match &mut schema["required"] {
        Value::Array(required) => required.extend(nullable),
        missing => *missing = nullable.into(),
    }
}

fn takes_null(property: &Value) -> bool {
    let is_null = |kind: &Value| kind == "null";
    is_null(&property["type"])
        || property["type"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(is_null))
        || property["oneOf"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(takes_null))
}

/// The names of the schemas that a value refers to, and those that they refer to.
fn gather(document: &Value, value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(schema_name)
                && names.insert(name.to_owned())
            {
                gather(document, &document["components"]["schemas"][name], names);
            }
            fields.values().for_each(|value| gather(document, value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| gather(document, item, names)),
        _ => {}
    }
}

fn schema_name(reference: &Value) -> Option<&str> {
    reference.as_str()?.strip_prefix("#/components/schemas/")
}
