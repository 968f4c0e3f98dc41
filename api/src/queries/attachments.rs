//! Files: their bytes to whoever has a signed URL, and such URLs to whoever may see them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::AttachmentId;
use domain::conversation::body::{AttachmentKind, Upload};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::{App, now};
use crate::attachments::blobs::{BlobKey, Variant};
use crate::attachments::links::LinkError;
use crate::commands::attachments::FileBytes;
use crate::consistency::Reader;
use crate::error::ApiError;
use crate::extract::{AttachmentPath, Query};
use crate::openapi::values;
use crate::wire::Time;

mod ranges;

use ranges::Part;

/// The query of a signed URL.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Signed {
    /// `thumbnail`, or nothing.
    #[param(nullable = false)]
    variant: Option<String>,
    /// When it ends.
    #[param(required = true, nullable = false)]
    expires: Option<String>,
    #[param(required = true, nullable = false)]
    signature: Option<String>,
}

impl Signed {
    fn variant(&self) -> Result<Variant, ApiError> {
        match self.variant.as_deref() {
            None => Ok(Variant::Original),
            Some("thumbnail") => Ok(Variant::Thumbnail),
            Some(_) => Err(LinkError::Invalid.into()),
        }
    }
}

/// `GET /attachments/{id}?expires&signature`: the bytes of a file, or a part of them. Who has the URL needs no token.
///
/// # Errors
/// 403 for a URL that was not made here, was changed, or has ended; 404 for a file that nobody may have any more;
/// 416 for a part that it does not have.
#[utoipa::path(
    get, path = "/attachments/{id}", operation_id = "fetchAttachment", tag = "Attachments", security(()),
    params(AttachmentPath, Signed),
    responses(
        (status = 200, description = "The bytes", content_type = "*/*", body = FileBytes),
        (status = 206, description = "Those that `Range` asks for", content_type = "*/*", body = FileBytes),
        (status = 304, description = "It is the one that `If-None-Match` names"),
    ),
    extensions(("x-refusals" = json!([
        "403 link_invalid", "403 link_expired", "404 attachment_not_found", "404 attachments_off",
        "416 range_not_satisfiable", "500 internal", "503 blobs_unavailable", "503 read_model_unavailable"
    ])))
)]
pub async fn fetch(
    State(app): State<Arc<App>>,
    AttachmentPath(id): AttachmentPath,
    Query(query): Query<Signed>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let variant = query.variant()?;
    let expires = query.expires.as_deref().and_then(|text| text.parse().ok());
    let (expires, signature) = expires.zip(query.signature).ok_or(LinkError::Invalid)?;
    app.links.check(id, variant, expires, &signature, now())?;
    let attachments = app.attachments.as_ref().ok_or_else(ApiError::attachments_off)?;
    let view = app.read_model.attachment(id).await?;
    let view = view.ok_or_else(ApiError::attachment_not_found)?;
    let tenant = view.tenant.clone();
    let upload = view.reachable().ok_or_else(ApiError::attachment_not_found)?;

    let tag = tag_of(id, variant);
    if ranges::is_known(&headers, &tag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        describe(response.headers_mut(), &tag)?;
        return Ok(response);
    }
    let key = match variant {
        Variant::Original => BlobKey::original(tenant, id),
        Variant::Thumbnail => BlobKey::thumbnail(tenant, id),
    };
    let length = match variant {
        Variant::Original => upload.size,
        Variant::Thumbnail => attachments.blobs.size(&key).await?,
    };
    let part = ranges::part(&headers, &tag, length);
    let (status, bytes) = match &part {
        Part::Whole => (StatusCode::OK, 0..length),
        Part::Range(range) => (StatusCode::PARTIAL_CONTENT, range.clone()),
        Part::Beyond => {
            let mut response = ApiError::range_not_satisfiable().into_response();
            let range = value(&format!("bytes */{length}"))?;
            response.headers_mut().insert(header::CONTENT_RANGE, range);
            return Ok(response);
        }
    };
    let count = bytes.end - bytes.start;
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(attachments.blobs.get(&key, bytes.clone()).await?)
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    describe(headers, &tag)?;
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{length}", bytes.start, bytes.end - 1);
        headers.insert(header::CONTENT_RANGE, value(&range)?);
    }
    headers.insert(header::CONTENT_TYPE, value(media_type(&upload, variant))?);
    headers.insert(
        header::CONTENT_DISPOSITION,
        value(&disposition(&upload, variant))?,
    );
    // Whatever the bytes are, they are what is said of them, and no page of this origin.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let nothing = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(header::CONTENT_SECURITY_POLICY, nothing);
    Ok(response)
}

/// What is said with the bytes and without. They may be kept, and are asked after each time: a file may be out of
/// reach from one moment to the next.
fn describe(headers: &mut HeaderMap, tag: &str) -> Result<(), ApiError> {
    headers.insert(header::ETAG, value(tag)?);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let asked = HeaderValue::from_static("private, no-cache");
    headers.insert(header::CACHE_CONTROL, asked);
    Ok(())
}

fn value(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(|_| ApiError::internal())
}

/// The bytes of an id never change.
fn tag_of(id: AttachmentId, variant: Variant) -> String {
    match variant {
        Variant::Original => format!("\"{id}\""),
        Variant::Thumbnail => format!("\"{id}-thumbnail\""),
    }
}

fn media_type(upload: &Upload, variant: Variant) -> &str {
    match (variant, upload.mime_type.as_str()) {
        (Variant::Thumbnail, _) => "image/jpeg",
        (Variant::Original, "text/plain") => "text/plain; charset=utf-8",
        (Variant::Original, named) => named,
    }
}

/// Pictures, sounds and films may be shown where they are; everything else is only ever saved.
fn disposition(upload: &Upload, variant: Variant) -> String {
    let is_shown = variant == Variant::Thumbnail
        || matches!(
            upload.kind,
            AttachmentKind::Image | AttachmentKind::Video | AttachmentKind::Audio
        );
    let how = if is_shown { "inline" } else { "attachment" };
    let name = upload.file_name.as_str();
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' | '%' => '_',
            c if c.is_ascii() && !c.is_control() => c,
            _ => '_',
        })
        .collect();
    let encoded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

/// Fresh URLs of a file.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Urls {
    #[schema(value_type = values::FileUrl)]
    file_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = values::FileUrl, required = false)]
    thumbnail: Option<String>,
    expires_at: Time,
}

/// `GET /attachments/{id}/url`: fresh URLs of a file, for who uploaded it and for members of a conversation that
/// carries it.
///
/// # Errors
/// 404 for a file that does not exist for this user, or not any more.
#[utoipa::path(
    get, path = "/attachments/{id}/url", operation_id = "getAttachmentUrl", tag = "Attachments",
    params(AttachmentPath),
    responses((status = 200, description = "Fresh URLs", body = Urls)),
    extensions(("x-refusals" = json!(["404 attachment_not_found"])))
)]
pub async fn url(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    AttachmentPath(id): AttachmentPath,
) -> Result<axum::Json<Urls>, ApiError> {
    let view = app
        .read_model
        .attachment_for(&identity.tenant, &identity.user, id)
        .await?;
    let upload = view.and_then(|view| view.reachable());
    let upload = upload.ok_or_else(ApiError::attachment_not_found)?;
    let now = now();
    let file = app.links.to(id, Variant::Original, now);
    let thumbnail = upload
        .has_thumbnail
        .then(|| app.links.to(id, Variant::Thumbnail, now).url);
    Ok(axum::Json(Urls {
        file_url: file.url,
        thumbnail,
        expires_at: Time(file.expires_at),
    }))
}

#[cfg(test)]
mod tests {
    use domain::values::{FileName, MediaType};

    use super::*;

    fn upload(kind: AttachmentKind, name: &str, mime: &str) -> Upload {
        Upload {
            id: AttachmentId::from_bytes([7; 16]),
            kind,
            file_name: FileName::parse(name).unwrap(),
            size: 1,
            mime_type: MediaType::parse(mime).unwrap(),
            has_thumbnail: false,
            width: None,
            height: None,
            duration_ms: None,
        }
    }

    #[test]
    fn a_name_never_leaves_its_quotes() {
        let name = "ả\"\r\nSet-Cookie: x\\%41.png";
        let told = disposition(
            &upload(AttachmentKind::Image, name, "image/png"),
            Variant::Original,
        );
        assert_eq!(
            told,
            "inline; filename=\"____Set-Cookie: x__41.png\"; \
             filename*=UTF-8''%E1%BA%A3%22%0D%0ASet%2DCookie%3A%20x%5C%2541%2Epng"
        );
        assert!(value(&told).is_ok());
    }

    #[test]
    fn pages_are_saved_and_not_shown() {
        let page = upload(AttachmentKind::Document, "a.html", "text/html");
        assert!(disposition(&page, Variant::Original).starts_with("attachment; "));
        assert_eq!(media_type(&page, Variant::Original), "text/html");
        let text = upload(AttachmentKind::Document, "a.txt", "text/plain");
        assert_eq!(media_type(&text, Variant::Original), "text/plain; charset=utf-8");
        let film = upload(AttachmentKind::Video, "a.mp4", "video/mp4");
        assert!(disposition(&film, Variant::Original).starts_with("inline; "));
        assert_eq!(media_type(&film, Variant::Thumbnail), "image/jpeg");
    }
}
