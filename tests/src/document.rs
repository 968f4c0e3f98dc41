//! The API's own document, and whether an answer is one that it tells of.
//!
//! Every answer that a [`Client`](crate::Client) is given is held against `docs/api/openapi.json`: its status, its
//! type, its headers, and each field of its body, none of which may be more than the document says. The bench,
//! which measures, is built without debug assertions and goes without.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, OnceLock};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::Answer;

/// The document, as it stands in the repository.
pub static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../docs/api/openapi.json")).unwrap());

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(operations);
static SCHEMAS: LazyLock<Value> = LazyLock::new(|| closed(&DOCUMENT["components"]["schemas"]));

/// The headers that only stand where the document says so.
const TOLD: [&str; 7] = [
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
    "www-authenticate",
    "x-indexed-position",
    "x-position",
];

/// A method at a path.
pub struct Operation {
    /// In upper case.
    pub method: String,
    /// As in the document: `/conversations/{id}`.
    pub path: String,
    /// What it is called.
    pub id: String,
    answers: BTreeMap<u16, Told>,
}

/// What is told of an answer.
struct Told {
    /// Its media type and schema; none where there is no body.
    content: Option<(String, Value)>,
    validator: OnceLock<Validator>,
    headers: BTreeSet<String>,
}

/// All that can be asked for.
#[must_use]
pub fn all() -> &'static [Operation] {
    &OPERATIONS
}

impl Operation {
    /// The codes that it refuses with, each with its status.
    ///
    /// # Panics
    /// If the document says it in another way.
    #[must_use]
    pub fn codes(&self) -> BTreeSet<(u16, String)> {
        let of = |(status, told): (&u16, &Told)| {
            let schema = told.content.as_ref().map(|(_, schema)| schema);
            let codes = schema.and_then(|schema| schema["allOf"][1]["properties"]["code"]["enum"].as_array());
            let codes = codes.cloned().unwrap_or_default().into_iter();
            let status = *status;
            codes.map(move |code| (status, code.as_str().unwrap().to_owned()))
        };
        self.answers.iter().flat_map(of).collect()
    }

    /// The operation, as the document describes it.
    #[must_use]
    pub fn described(&self) -> &'static Value {
        &DOCUMENT["paths"][&self.path][self.method.to_lowercase()]
    }
}

/// The operation at a path without its query, and whether another method is taken there.
fn find(method: &str, path: &str) -> (Option<&'static Operation>, bool) {
    let parts: Vec<_> = path.split('/').collect();
    let fits = |template: &str| {
        let template: Vec<_> = template.split('/').collect();
        let same = |(one, other): (&&str, &&str)| one.starts_with('{') && !other.is_empty() || one == other;
        template.len() == parts.len() && template.iter().zip(&parts).all(same)
    };
    // Where several fit, the one that names more of it itself.
    let literal =
        |template: &str| -> Vec<bool> { template.split('/').map(|part| !part.starts_with('{')).collect() };
    let fitting = || OPERATIONS.iter().filter(|operation| fits(&operation.path));
    let Some(path) = fitting()
        .map(|operation| &operation.path)
        .max_by_key(|path| literal(path))
    else {
        return (None, false);
    };
    let found = fitting().find(|operation| operation.path == *path && operation.method == method);
    (found, true)
}

/// The answer to a request is as the document says.
///
/// # Panics
/// If it is not.
pub fn check(method: &str, path: &str, answer: &Answer) {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let name = format!("{method} {path}: {}", answer.status);
    // What comes before the routes is not of any of them.
    if method == "OPTIONS" && !answer.header("access-control-allow-methods").is_empty() {
        return;
    }
    assert!(!answer.header("x-request-id").is_empty(), "{name} has no id");
    let asked = if method == "HEAD" { "GET" } else { method };
    match find(asked, path) {
        (Some(operation), _) => operation.check(&name, method == "HEAD", answer),
        (None, true) => {
            assert_eq!(answer.problem()["code"], "method_not_allowed", "{name}");
            assert!(
                !answer.header("allow").is_empty(),
                "{name} does not say what is allowed"
            );
        }
        (None, false) => assert_eq!(answer.problem()["code"], "path_not_found", "{name}"),
    }
}

impl Operation {
    fn check(&self, name: &str, is_head: bool, answer: &Answer) {
        let Some(told) = self.answers.get(&answer.status) else {
            panic!("the document does not tell of {name}: {}", answer.text());
        };
        for header in TOLD {
            assert!(
                answer.header(header).is_empty() || told.headers.contains(header),
                "{name} has {header}, of which the document does not tell"
            );
        }
        let must_have_position = answer.status < 300 && told.headers.contains("x-position");
        assert!(
            !must_have_position || !answer.header("x-position").is_empty(),
            "{name} has no position"
        );
        let Some((media_type, schema)) = &told.content else {
            assert!(answer.body.is_empty(), "{name} has a body: {}", answer.text());
            return;
        };
        let found = answer
            .header("content-type")
            .split(';')
            .next()
            .unwrap_or_default();
        assert!(media_type == "*/*" || found == media_type, "{name} is {found}");
        let is_packed = !answer.header("content-encoding").is_empty();
        if is_head || is_packed || !media_type.ends_with("json") {
            assert!(!is_head || answer.body.is_empty(), "{name} has a body");
            return;
        }
        let validator = told.validator.get_or_init(|| validator(schema));
        let body: Value = answer.json();
        let faults: Vec<_> = validator
            .iter_errors(&body)
            .map(|fault| format!("at {}: {fault}", fault.instance_path()))
            .collect();
        assert!(
            faults.is_empty(),
            "{name} is not as the document says: {faults:?}\n{body}"
        );
    }
}

/// Checks values against a schema of the document.
///
/// # Panics
/// If it is no schema.
#[must_use]
pub fn validator(schema: &Value) -> Validator {
    let mut root = schema.clone();
    if root["allOf"].is_array() {
        root["unevaluatedProperties"] = json!(false);
    }
    root["components"] = json!({"schemas": *SCHEMAS});
    jsonschema::options()
        .should_validate_formats(true)
        .build(&root)
        .unwrap()
}

fn operations() -> Vec<Operation> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let of_path = |(path, item): (&String, &'static Value)| {
        let path = path.clone();
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, described)| Operation {
            method: method.to_uppercase(),
            path: path.clone(),
            id: described["operationId"].as_str().unwrap().to_owned(),
            answers: described["responses"]
                .as_object()
                .unwrap()
                .iter()
                .map(told)
                .collect(),
        })
    };
    paths.flat_map(of_path).collect()
}

fn told((status, response): (&String, &Value)) -> (u16, Told) {
    let content = response["content"]
        .as_object()
        .and_then(|content| content.iter().next());
    let headers = response["headers"].as_object().into_iter().flatten();
    let told = Told {
        content: content.map(|(kind, content)| (kind.clone(), content["schema"].clone())),
        validator: OnceLock::new(),
        headers: headers.map(|(name, _)| name.to_lowercase()).collect(),
    };
    (status.parse().unwrap(), told)
}

/// The schemas, so that no object has a field more than they tell of: a client must bear that, we need not.
fn closed(schemas: &Value) -> Value {
    let mut parts = BTreeSet::new();
    parts_of_others(schemas, false, &mut parts);
    let mut schemas = schemas.clone();
    // With `--user-id-format number` some are numbers, and a node that is told so says that of itself.
    let text = schemas["UserId"].take();
    schemas["UserId"] = json!({"anyOf": [text, {"type": "integer"}]});
    for (name, schema) in schemas.as_object_mut().unwrap() {
        if schema["allOf"].is_array() {
            schema["unevaluatedProperties"] = json!(false);
        } else if schema["properties"].is_object() && !parts.contains(name) {
            schema["additionalProperties"] = json!(false);
        }
    }
    schemas
}

/// The names of the schemas that are no more than a part of another, or of an answer.
fn parts_of_others(value: &Value, is_part: bool, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str).filter(|_| is_part) {
                names.insert(reference.rsplit('/').next().unwrap_or_default().to_owned());
            }
            for (name, value) in fields {
                parts_of_others(value, name == "allOf", names);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| parts_of_others(item, is_part, names)),
        _ => {}
    }
    // Problems are answered with the codes of the operation beside.
    names.insert("Problem".to_owned());
}
