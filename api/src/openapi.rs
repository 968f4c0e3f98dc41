//! The API as an OpenAPI 3.1 document, gathered at the handlers, and where it is served.
//!
//! Each handler says what it takes and answers in its `#[utoipa::path]`; the router takes no handler without one.
//! [`values`] and [`bodies`] describe what comes from the domain, [`usual`] adds what all endpoints of a kind have,
//! [`rules`] what no type says, and [`finish()`] puts it together. `docs/api/openapi.json` is a copy that a test
//! compares.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::extract::Extension;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoParams, Modify, OpenApi};

use crate::extract::{AttachmentPath, ConversationPath, MemberPath, MessagePath, UserPath};

pub mod bodies;
pub mod finish;
pub mod rules;
pub mod usual;
pub mod values;

pub use finish::finish;

/// What the document says of the API as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Verbatim",
        description = "An event-sourced chat backend. Who is no member of a conversation is answered as if it did \
                       not exist. Every `GET` takes `HEAD`, too; any other method is 405 `method_not_allowed`, and any \
                       other path 404 `path_not_found`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "The node that serves this document")),
    tags(
        (name = "Conversations", description = "What conversations there are, and how one keeps them"),
        (name = "Members", description = "Who is in a conversation, and what they may do"),
        (name = "Messages", description = "What is said"),
        (name = "Interactions", description = "What others make of it"),
        (name = "Attachments", description = "Files: taken in, and handed out by signed URLs"),
        (name = "Users", description = "What people are called, and where they are notified"),
        (name = "Node", description = "How the node is doing; without a token"),
    ),
    security(("bearer" = [])),
    components(schemas(
        values::Position, values::EarlierPosition, values::IdempotencyKey, values::ConversationId, values::MessageId, values::UserId,
        values::AttachmentId, values::Kind, values::ListedUserId, values::MessageType, values::Cursor, values::Emoji,
    )),
    modifiers(&Bearer),
)]
pub struct Api;

/// How requests show whose they are.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some(
                "Signed with HS256, RS256, ES256 or EdDSA, as the node's keys are.",
            ));
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme.build()));
    }
}

macro_rules! path_parameters {
    ($extractor:ty, $(($name:literal, $value:ty)),+) => {
        impl IntoParams for $extractor {
            fn into_params(
                _: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
            ) -> Vec<utoipa::openapi::path::Parameter> {
                vec![$(
                    utoipa::openapi::path::ParameterBuilder::new()
                        .name($name)
                        .parameter_in(utoipa::openapi::path::ParameterIn::Path)
                        .required(utoipa::openapi::Required::True)
                        .schema(Some(utoipa::openapi::Ref::from_schema_name(
                            <$value as utoipa::ToSchema>::name(),
                        )))
                        .build()
                ),+]
            }
        }
    };
}

path_parameters!(ConversationPath, ("id", values::ConversationId));
path_parameters!(MessagePath, ("id", values::MessageId));
path_parameters!(AttachmentPath, ("id", values::AttachmentId));
path_parameters!(UserPath, ("id", values::UserId));
path_parameters!(
    MemberPath,
    ("id", values::ConversationId),
    ("memberId", values::UserId)
);

/// What these routes are, to be told when it is first asked for: a node that starts has better things to do.
pub struct Document {
    gathered: utoipa::openapi::OpenApi,
    made: OnceLock<Made>,
}

/// The document as it is sent: made once, packed once.
struct Made {
    plain: Bytes,
    packed: Bytes,
    tag: HeaderValue,
}

impl Document {
    /// The document of these routes.
    #[must_use]
    pub const fn of(gathered: utoipa::openapi::OpenApi) -> Self {
        Self {
            gathered,
            made: OnceLock::new(),
        }
    }

    fn made(&self) -> &Made {
        self.made.get_or_init(|| {
            let plain = serde_json::to_vec(&finish(&self.gathered)).unwrap_or_default();
            let mut packer = GzEncoder::new(Vec::new(), Compression::best());
            let packed = packer.write_all(&plain).and_then(|()| packer.finish());
            let hash: String = Sha256::digest(&plain)[..16]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            Made {
                plain: plain.into(),
                packed: packed.unwrap_or_default().into(),
                tag: HeaderValue::try_from(format!("W/\"{hash}\""))
                    .unwrap_or(HeaderValue::from_static("W/\"\"")),
            }
        })
    }
}

/// `GET /openapi.json`: this document.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "getDocument", tag = "Node", security(()),
    responses(
        (status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object,
            headers(("ETag" = String, description = "Names this very document"))),
        (status = 304, description = "It is the one that `If-None-Match` names"),
    )
)]
pub async fn document(Extension(document): Extension<Arc<Document>>, headers: HeaderMap) -> Response {
    let document = document.made();
    let common = [
        (header::ETAG, document.tag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if names(&headers, &document.tag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    if takes_gzip(&headers) {
        let packed = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
        (common, json, packed, document.packed.clone()).into_response()
    } else {
        (common, json, document.plain.clone()).into_response()
    }
}

/// Whether one of these tags is what the client has.
fn names(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let ours = tag.to_str().map(weak).unwrap_or_default();
    let mut theirs = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    theirs.any(|theirs| theirs.trim() == "*" || weak(theirs) == ours)
}

/// Whether the client unpacks gzip: it names it, and not with a weight of nothing.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut codings = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        is_gzip && weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
    })
}

#[cfg(test)]
mod tests;
