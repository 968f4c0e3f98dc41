//! The files that a message is to come with: uploads, which are named by their ids, and links to somewhere else.

use std::collections::HashMap;

use domain::conversation::body::{Attachment, BodyError, File, MAX_ATTACHMENTS, Upload};
use domain::{AttachmentId, Timestamp};
use serde_json::Value;

use crate::app::{App, now};
use crate::auth::Identity;
use crate::error::ApiError;

/// A file as it was asked for.
enum Named {
    Upload(AttachmentId),
    Link(Attachment),
}

/// Finds the files of a message. Uploads are the user's own, and young enough that nobody removes them meanwhile.
///
/// # Errors
/// 422 for one that has not the shape it should have, that there is not, or that is too old.
pub(super) async fn files(app: &App, identity: &Identity, given: Vec<Value>) -> Result<Vec<File>, ApiError> {
    if given.len() > MAX_ATTACHMENTS {
        return Err(ApiError::invalid_field(&BodyError::TooManyAttachments));
    }
    let mut named = Vec::with_capacity(given.len());
    for (index, value) in given.into_iter().enumerate() {
        named.push(read(index, value)?);
    }
    let ids: Vec<_> = named
        .iter()
        .filter_map(|file| match file {
            Named::Upload(id) => Some(*id),
            Named::Link(_) => None,
        })
        .collect();
    let uploads = uploads(app, identity, &ids).await?;
    let find = |(index, file)| match file {
        Named::Link(attachment) => Ok(File::Linked(attachment)),
        Named::Upload(id) => match uploads.get(&id) {
            Some(Ok(upload)) => Ok(File::Uploaded(upload.clone())),
            Some(Err(TooOld)) => Err(refused(
                index,
                "attachment_too_old",
                "it was uploaded too long ago; upload it again",
            )),
            None => Err(refused(
                index,
                "attachment_not_found",
                "there is no such upload of this user",
            )),
        },
    };
    named.into_iter().enumerate().map(find).collect()
}

fn refused(index: usize, code: &'static str, detail: &'static str) -> ApiError {
    ApiError::invalid(code, detail).of_field(&format!("attachments[{index}]"))
}

/// What is sent back as it was answered to the upload has an id as well, and URLs that say nothing new.
fn read(index: usize, value: Value) -> Result<Named, ApiError> {
    let wrong = |path: &str, error: &dyn std::fmt::Display| {
        let field = format!("attachments[{index}]{path}");
        ApiError::invalid_field(&error.to_string()).of_field(&field)
    };
    if let Some(id) = value.get("attachmentId").filter(|id| !id.is_null()) {
        let id = id.as_str().unwrap_or_default().parse();
        return id
            .map(Named::Upload)
            .map_err(|error| wrong(".attachmentId", &error));
    }
    if let Some(Ok(id)) = value.get("id").and_then(Value::as_str).map(str::parse) {
        return Ok(Named::Upload(id));
    }
    if !value.is_object() {
        return Err(wrong("", &"an attachment must be an object"));
    }
    serde_path_to_error::deserialize(value)
        .map(Named::Link)
        .map_err(|error| {
            let path = match error.path().iter().next() {
                Some(_) => format!(".{}", error.path()),
                None => String::new(),
            };
            wrong(&path, error.inner())
        })
}

/// It was uploaded too long ago.
struct TooOld;

async fn uploads(
    app: &App,
    identity: &Identity,
    ids: &[AttachmentId],
) -> Result<HashMap<AttachmentId, Result<Upload, TooOld>>, ApiError> {
    let Some(attachments) = app.attachments.as_ref().filter(|_| !ids.is_empty()) else {
        return Ok(HashMap::new());
    };
    app.consistency.caught_up(identity).await?;
    let own = app
        .read_model
        .own_attachments(&identity.tenant, &identity.user, ids)
        .await?;
    let kept = i64::try_from(attachments.kept.as_millis()).unwrap_or(i64::MAX);
    let oldest = Timestamp::from_millis(now().as_millis().saturating_sub(kept));
    let usable = own.into_iter().filter_map(|view| {
        let (id, is_old) = (view.id, view.uploaded_at < oldest);
        let upload = view.reachable()?;
        Some((id, if is_old { Err(TooOld) } else { Ok(upload) }))
    });
    Ok(usable.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_is_named_or_linked() {
        let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let link = json!({"type": "IMAGE", "fileName": "a.png", "fileUrl": "https://example.org/a.png"});
        for upload in [
            json!({"attachmentId": id}),
            json!({"id": id}),
            json!({"id": id, "type": "IMAGE", "fileName": "a.png", "fileUrl": "/attachments/x"}),
        ] {
            assert!(matches!(read(0, upload), Ok(Named::Upload(found)) if found.to_string() == id));
        }
        let mut with_own_id = link.clone();
        with_own_id["id"] = "7".into();
        for given in [link.clone(), with_own_id] {
            assert!(matches!(read(0, given), Ok(Named::Link(_))));
        }
        let mut insecure = link;
        insecure["fileUrl"] = "http://example.org".into();
        for (bad, begins) in [
            (insecure, "attachments[3].fileUrl: "),
            (json!({"attachmentId": 7}), "attachments[3].attachmentId: "),
            (json!({"attachmentId": "x"}), "attachments[3].attachmentId: "),
            (json!({"type": "IMAGE"}), "attachments[3]: missing field"),
            (json!([]), "attachments[3]: an attachment must be an object"),
        ] {
            let error = read(3, bad).err().unwrap();
            assert_eq!(error.code(), "validation_failed");
            let told = serde_json::to_value(&error).unwrap()["detail"].clone();
            assert!(told.as_str().unwrap().starts_with(begins), "{told}");
        }
    }
}
