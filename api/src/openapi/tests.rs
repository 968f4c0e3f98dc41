//! The document as a whole: the copy of it, and what must be true of every operation.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

use super::*;
use crate::error::codes::CODES;
use crate::router::endpoints;

const COPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api/openapi.json");
/// Set to write the copy anew.
const WRITE: &str = "VERBATIM_WRITE_OPENAPI";

fn made() -> Value {
    finish(endpoints().get_openapi())
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let item = item.as_object().unwrap().iter();
            item.map(move |(method, operation)| (format!("{method} {path}"), operation))
        })
        .collect()
}

#[test]
fn the_copy_is_what_is_served() {
    let made = made();
    if std::env::var_os(WRITE).is_some() {
        let text = serde_json::to_string_pretty(&made).unwrap() + "\n";
        std::fs::write(Path::new(COPY), text).unwrap();
    }
    let copy: Value = serde_json::from_str(&std::fs::read_to_string(COPY).unwrap()).unwrap();
    assert!(
        copy == made,
        "docs/api/openapi.json is not what the handlers say; write it anew with \
         `{WRITE}=1 cargo test -p api --lib openapi`, and look at the difference"
    );
}

#[test]
fn every_refusal_is_a_code_there_is_and_none_is_left_out() {
    let gathered = serde_json::to_value(endpoints().get_openapi()).unwrap();
    for (name, operation) in operations(&gathered) {
        for refusal in operation[usual::REFUSALS].as_array().into_iter().flatten() {
            let (status, code) = refusal.as_str().unwrap().split_once(' ').unwrap();
            let known = crate::error::codes::meaning(status.parse().unwrap(), code);
            assert!(known.is_some(), "{name}: there is no {refusal}");
        }
    }
    let made = made();
    let told: BTreeSet<(u16, String)> = operations(&made)
        .into_iter()
        .flat_map(|(_, operation)| refusals(operation))
        .collect();
    let on_sockets_or_without_a_route = [
        "malformed_frame",
        "unknown_event",
        "another_user",
        "path_not_found",
        "method_not_allowed",
    ];
    for (status, code, _) in CODES {
        assert!(
            told.contains(&(*status, (*code).to_owned())) || on_sockets_or_without_a_route.contains(code),
            "no operation is refused with {status} {code}"
        );
    }
}

fn refusals(operation: &Value) -> Vec<(u16, String)> {
    let responses = operation["responses"].as_object().unwrap().iter();
    responses
        .flat_map(|(status, response)| {
            let schema = &response["content"]["application/problem+json"]["schema"];
            let codes = schema["allOf"][1]["properties"]["code"]["enum"].as_array();
            let codes = codes.into_iter().flatten();
            codes.map(|code| (status.parse().unwrap(), code.as_str().unwrap().to_owned()))
        })
        .collect()
}

#[test]
fn every_operation_is_described_once_and_names_what_it_refers_to() {
    let made = made();
    let mut names = BTreeSet::new();
    for (name, operation) in operations(&made) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(names.insert(id.to_owned()), "{id} names two operations");
        assert!(
            operation["description"].as_str().unwrap().len() > 10,
            "{name} is not described"
        );
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{name}");
    }
    references(&made, &mut |reference| {
        let place = reference.strip_prefix('#').unwrap();
        assert!(made.pointer(place).is_some(), "nothing is at {reference}");
    });
    assert_eq!(made["openapi"], "3.1.0");
}

fn references(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            let fields: &Map<String, Value> = fields;
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                found(reference);
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn what_stands_for_the_domain_has_its_fields() {
    use domain::conversation::body::{Attachment, Contact, Location, Sticker};
    let made = made();
    let check = |name: &str, written: Value| {
        let described: BTreeSet<_> = made["components"]["schemas"][name]["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        let written: BTreeSet<_> = written.as_object().unwrap().keys().cloned().collect();
        assert_eq!(described, written, "{name}");
    };
    let full = serde_json::json!({"type": "VIDEO", "fileName": "a", "fileUrl": "https://a.org", "fileSize": 1,
        "mimeType": "video/mp4", "thumbnail": "https://a.org", "width": 1, "height": 1, "duration": 1.5});
    let attachment: Attachment = serde_json::from_value(full).unwrap();
    check("Attachment", serde_json::to_value(attachment).unwrap());
    let full = serde_json::json!({"id": "a", "packId": "b", "url": "https://a.org"});
    let sticker: Sticker = serde_json::from_value(full).unwrap();
    check("Sticker", serde_json::to_value(sticker).unwrap());
    let full = serde_json::json!({"latitude": 1.0, "longitude": 2.0, "name": "a", "address": "b"});
    let location: Location = serde_json::from_value(full).unwrap();
    check("Location", serde_json::to_value(location).unwrap());
    let full = serde_json::json!({"name": "a", "userId": "b", "phoneNumbers": ["1"], "emails": ["a@b"]});
    let contact: Contact = serde_json::from_value(full).unwrap();
    check("Contact", serde_json::to_value(contact).unwrap());
}

#[test]
fn a_document_that_is_known_is_not_sent_again() {
    let tag = HeaderValue::from_static("W/\"ab\"");
    let known = |value: &'static str| {
        names(
            &HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(value))]),
            &tag,
        )
    };
    assert!(known("W/\"ab\"") && known("\"ab\"") && known("\"x\", W/\"ab\"") && known("*"));
    assert!(!known("\"a\"") && !known("") && !names(&HeaderMap::new(), &tag));
}

#[test]
fn who_takes_no_gzip_gets_none() {
    let takes = |value: &'static str| {
        takes_gzip(&HeaderMap::from_iter([(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static(value),
        )]))
    };
    assert!(takes("gzip") && takes("deflate, gzip;q=0.5, br") && takes("GZIP"));
    assert!(!takes("br") && !takes("gzip;q=0") && !takes("") && !takes_gzip(&HeaderMap::new()));
}
