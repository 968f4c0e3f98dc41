//! Rules between the fields of a body, which no type says.

use serde_json::{Value, json};

/// Adds them to the schemas they are about.
pub fn add(schemas: &mut Value) {
    schemas["SendMessage"]["anyOf"] = messages();
    schemas["UploadForm"]["additionalProperties"] = json!(false);
    schemas["Contact"]["anyOf"] = json!([
        {"required": ["userId"], "properties": {"userId": {"type": ["string", "integer"]}}},
        {"required": ["phoneNumbers"], "properties": {"phoneNumbers": {"minItems": 1}}},
        {"required": ["emails"], "properties": {"emails": {"minItems": 1}}},
    ]);
}

/// What a message of each type has, and what it has not.
fn messages() -> Value {
    const CARDS: [&str; 3] = ["sticker", "location", "contact"];
    let without = |properties: &mut Value, fields: &[&str]| {
        for field in fields {
            properties[*field] = json!({"type": "null"});
        }
    };
    let mut text = json!({"type": {"enum": ["TEXT", null]}, "content": {"type": "string"}});
    without(&mut text, &CARDS);
    let mut files =
        json!({"type": {"enum": ["IMAGE", "VIDEO", "AUDIO", "FILE"]}, "attachments": {"minItems": 1}});
    without(&mut files, &CARDS);
    let mut all = vec![
        json!({"title": "Text", "required": ["content"], "properties": text}),
        json!({"title": "Files", "required": ["type", "attachments"], "properties": files}),
    ];
    for card in CARDS {
        let mut properties = json!({"type": {"const": card.to_uppercase()}, "content": {"type": "null"},
            "attachments": {"maxItems": 0}, card: {"type": "object"}});
        let others: Vec<_> = CARDS.into_iter().filter(|other| *other != card).collect();
        without(&mut properties, &others);
        let mut title = card.to_owned();
        title[..1].make_ascii_uppercase();
        all.push(json!({"title": title, "required": ["type", card], "properties": properties}));
    }
    all.into()
}
