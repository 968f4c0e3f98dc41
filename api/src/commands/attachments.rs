//! Uploading files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, HttpBody};
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::conversation::body::{MAX_ATTACHMENT_BYTES, Upload};
use domain::user::{Command, Event};
use domain::values::FileName;
use domain::{AttachmentId, ClientId};
use eventstore::envelope::{Event as Recorded, Trace};
use eventstore::execute::{ExecuteError, Outcome, Request as Asking};
use eventstore::{Position, Stream};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use serde::Deserialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;
use utoipa::{IntoParams, ToSchema};

use super::asked::recorded;
use super::{tag, trace};
use crate::app::{App, now};
use crate::attachments::Attachments;
use crate::attachments::blobs::BlobKey;
use crate::attachments::media::Found;
use crate::attachments::spool::{self, Spooled};
use crate::auth::Identity;
use crate::consistency::At;
use crate::error::ApiError;
use crate::extract::{Query, idempotency_key};
use crate::server::Stopping;
use crate::wire::attachment::Attachment;

/// The part of a form that holds the file.
const PART: &str = "file";
/// What a form adds to its file: boundaries and headers.
const FORM_BYTES: u64 = 64 * 1024;

/// The query of `POST /attachments`.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct UploadQuery {
    /// What the file is called; what a form says comes after it.
    #[param(nullable = false, max_length = 500, pattern = r"^[^\x00]*$")]
    file_name: Option<String>,
}

/// A form with one file.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only described")]
pub struct UploadForm {
    #[schema(value_type = String, format = Binary, min_length = 1)]
    file: Vec<u8>,
}

/// The bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary, min_length = 1)]
#[allow(dead_code, reason = "only described")]
pub struct FileBytes(Vec<u8>);

/// `POST /attachments`: a file, as the body or as the part `file` of a form. It is the user's until it comes with
/// a message.
///
/// # Errors
/// 413 for a file that is too large, 429 while too many of the user are on their way, 422 for an empty one, for a picture that cannot be decoded, and for a name
/// that breaks its rule.
#[utoipa::path(
    post, path = "/attachments", operation_id = "uploadAttachment", tag = "Attachments",
    params(UploadQuery),
    request_body(content(
        (FileBytes = "application/octet-stream"),
        (UploadForm = "multipart/form-data"),
    )),
    responses((status = 201, description = "The file, as messages show it", body = Attachment)),
    extensions(("x-refusals" = json!([
        "400 malformed_form", "404 attachments_off", "404 attachment_not_found", "422 image_too_large",
        "422 image_unreadable", "422 idempotency_key_reused", "503 blobs_unavailable"
    ])))
)]
pub async fn upload(
    State(app): State<Arc<App>>,
    identity: Identity,
    Query(query): Query<UploadQuery>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let attachments = app.attachments.clone().ok_or_else(ApiError::attachments_off)?;
    let key = idempotency_key(&headers)?;
    let slot = attachments.slots.take(&identity)?;
    let (spooled, given) = receive(&attachments, request).await?;
    let (spooled, found) = attachments.examine(spooled).await?;
    let name = name(query.file_name.or(given), &found)?;
    let keeping = Keeping {
        app: Arc::clone(&app),
        attachments,
        identity,
        key,
        trace: trace(&headers),
    };
    // Who goes away in the middle leaves nothing half done.
    let kept = tokio::spawn(async move {
        let _slot = slot;
        keeping.keep(spooled, found, name).await
    })
    .await;
    let (upload, position) = kept.map_err(|error| {
        tracing::error!(%error, "an upload was not kept");
        ApiError::internal()
    })??;
    // It may be asked for, or come with a message, on any node: not before all can see it.
    let reached = app.consistency.reach(position).await;
    reached.map_err(|error| error.recorded_at(position))?;
    let shown = app.links.show_upload(upload, now());
    Ok(At(position, (StatusCode::CREATED, axum::Json(shown))).into_response())
}

/// Takes in the file of a request, and what it is called, if that is said.
async fn receive(attachments: &Attachments, request: Request) -> Result<(Spooled, Option<String>), ApiError> {
    let plain = request
        .headers()
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if !plain {
        return Err(ApiError::unsupported_media_type(
            "the body must not have a content encoding",
        ));
    }
    let stopping = request
        .extensions()
        .get::<Stopping>()
        .cloned()
        .unwrap_or_default()
        .0;
    let media_type = request.headers().get(header::CONTENT_TYPE);
    let is_form = media_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .trim_start()
                .to_ascii_lowercase()
                .starts_with("multipart/form-data")
        });
    let most = MAX_ATTACHMENT_BYTES + if is_form { FORM_BYTES } else { 0 };
    // One that announces too much is not begun with.
    if request.body().size_hint().lower() > most {
        return Err(ApiError::too_large());
    }
    if is_form {
        return receive_form(attachments, request, stopping).await;
    }
    let pieces = pieces(request.into_body());
    let spooled = spool::take_in(&attachments.spool, pieces, stopping).await?;
    Ok((spooled, None))
}

fn pieces(body: Body) -> BoxStream<'static, Result<Bytes, ApiError>> {
    let unreadable = |_| ApiError::bad_request("unreadable_body", "the body could not be read");
    body.into_data_stream()
        .map(move |piece| piece.map_err(unreadable))
        .boxed()
}

async fn receive_form(
    attachments: &Attachments,
    request: Request,
    stopping: CancellationToken,
) -> Result<(Spooled, Option<String>), ApiError> {
    // What is between the parts is kept in memory until its end is found: so it is bounded, and in time.
    let (parts, body) = request.into_parts();
    let taken = Arc::new(AtomicU64::new(0));
    let body = bounded(body, Arc::clone(&taken), stopping.clone());
    let request = Request::from_parts(parts, Body::from_stream(body));
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|_| malformed())?;
    let wrong = || {
        ApiError::invalid(
            "validation_failed",
            "the form must have one part, which is called file",
        )
    };
    let field = form
        .next_field()
        .await
        .map_err(|_| malformed())?
        .ok_or_else(wrong)?;
    if field.name() != Some(PART) {
        return Err(wrong());
    }
    let name = field.file_name().map(str::to_owned);
    let spooled = spool::take_in(&attachments.spool, of_field(field, taken), stopping).await?;
    match form.next_field().await {
        Ok(None) => Ok((spooled, name)),
        Ok(Some(_)) => Err(wrong()),
        Err(_) => Err(malformed()),
    }
}

fn malformed() -> ApiError {
    ApiError::bad_request(
        "malformed_form",
        "the form is no multipart/form-data that can be read",
    )
}

/// The body of a form, of which no more than so much comes that is not taken as part of a file, each piece in time.
fn bounded(
    body: Body,
    taken: Arc<AtomicU64>,
    stopping: CancellationToken,
) -> impl futures::Stream<Item = Result<Bytes, BadForm>> + Send + 'static {
    let state = (body.into_data_stream(), 0_u64, taken, stopping);
    stream::unfold(Some(state), |state| async move {
        let (mut pieces, mut came, taken, stopping) = state?;
        let piece = tokio::select! {
            biased;
            piece = timeout(spool::PIECE_PATIENCE, pieces.next()) => piece,
            () = stopping.cancelled() => return Some((Err(BadForm), None)),
        };
        match piece {
            Ok(None) => None,
            Ok(Some(Ok(piece))) => {
                came += piece.len() as u64;
                if came - taken.load(Ordering::Relaxed).min(came) > FORM_BYTES + piece.len() as u64 {
                    return Some((Err(BadForm), None));
                }
                Some((Ok(piece), Some((pieces, came, taken, stopping))))
            }
            Ok(Some(Err(_))) | Err(_) => Some((Err(BadForm), None)),
        }
    })
}

/// The body of a form is too long between its parts, too slow, or breaks off.
#[derive(Debug, thiserror::Error)]
#[error("the form cannot be read")]
struct BadForm;

fn of_field(field: Field<'_>, taken: Arc<AtomicU64>) -> BoxStream<'_, Result<Bytes, ApiError>> {
    let pieces = stream::unfold((field, taken), |(mut field, taken)| async move {
        match field.chunk().await {
            Ok(None) => None,
            Ok(Some(piece)) => {
                taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
                Some((Ok(piece), (field, taken)))
            }
            Err(_) => Some((Err(malformed()), (field, taken))),
        }
    });
    pieces.boxed()
}

/// What a file is called: the last step of a path, and of one that nobody named, what it is.
fn name(given: Option<String>, found: &Found) -> Result<FileName, ApiError> {
    let given = given.unwrap_or_default();
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let name = if last.is_empty() {
        format!("file.{}", found.extension)
    } else {
        last.to_owned()
    };
    FileName::parse(name).map_err(|error| ApiError::invalid_field(&error))
}

/// What it takes to keep a file.
struct Keeping {
    app: Arc<App>,
    attachments: Arc<Attachments>,
    identity: Identity,
    key: Option<ClientId>,
    trace: Trace,
}

impl Keeping {
    /// Keeps the bytes, then records them: what is recorded is there.
    async fn keep(
        self,
        spooled: Spooled,
        found: Found,
        name: FileName,
    ) -> Result<(Upload, Position), ApiError> {
        let Self {
            app,
            attachments,
            identity,
            key,
            trace,
        } = self;
        let (tenant, user) = (&identity.tenant, &identity.user);
        let upload = Upload {
            id: AttachmentId::from(Ulid::generate()),
            kind: found.kind,
            file_name: name,
            size: spooled.size,
            mime_type: found.mime_type,
            has_thumbnail: found.thumbnail.is_some(),
            width: found.size.map(|(width, _)| width),
            height: found.size.map(|(_, height)| height),
            duration_ms: found.duration_ms,
        };
        let file = spooled.open().map_err(|error| {
            tracing::error!(%error, "an upload cannot be read back");
            ApiError::internal()
        })?;
        let blobs = &attachments.blobs;
        if let Some(thumbnail) = found.thumbnail {
            let key = BlobKey::thumbnail(tenant.clone(), upload.id);
            blobs.put_bytes(&key, thumbnail).await?;
        }
        blobs
            .put(&BlobKey::original(tenant.clone(), upload.id), file)
            .await?;

        let stream = Stream::User(tenant.clone(), user.clone());
        let payload = [&spooled.digest[..], upload.file_name.as_str().as_bytes()];
        let tag = tag(&identity, "upload_attachment", &stream, key.as_ref(), &payload);
        let request = Asking {
            command: Command::Upload(upload.clone()),
            actor: Some(user.clone()),
            tag,
            trace,
        };
        let outcome = app.users.execute(&stream, request).await;
        let is_recorded = match &outcome {
            Ok(Outcome::Appended { .. }) => true,
            // It may have been, and is looked for later.
            Err(ExecuteError::Unavailable(_)) => true,
            Ok(Outcome::Repeated { .. } | Outcome::Unchanged { .. }) | Err(_) => false,
        };
        if !is_recorded && let Err(error) = blobs.delete(tenant, upload.id).await {
            tracing::warn!(%error, "bytes that are of no use were not deleted; they are, later");
        }
        let outcome = outcome?;
        let position = outcome.position();
        app.consistency.wrote(&identity, position);
        match (outcome, tag) {
            (Outcome::Repeated { .. }, Some(tag)) => {
                let events = recorded(&app, &stream, position, tag).await?;
                let original = events.into_iter().find_map(|event| match event {
                    Recorded::User(Event::AttachmentUploaded(facts)) => facts.readable(),
                    _ => None,
                });
                Ok((original.ok_or_else(ApiError::attachment_not_found)?, position))
            }
            _ => Ok((upload, position)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attachments::media;

    #[test]
    fn a_file_is_called_as_its_path_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "a text").unwrap();
        let found = media::examine(&path).unwrap();
        for (given, called) in [
            (None, "file.txt"),
            (Some(""), "file.txt"),
            (Some("a/"), "file.txt"),
            (Some("ảnh.png"), "ảnh.png"),
            (Some("../../etc/passwd"), "passwd"),
            (Some("C:\\photos\\a.png"), "a.png"),
        ] {
            let called_so = name(given.map(str::to_owned), &found).unwrap();
            assert_eq!(called_so.as_str(), called);
        }
        for bad in ["x".repeat(501), "a\0b".to_owned()] {
            assert_eq!(name(Some(bad), &found).unwrap_err().code(), "validation_failed");
        }
    }
}
