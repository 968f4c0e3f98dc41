//! Rows of files that were uploaded.

use domain::{AttachmentId, TenantId, UserId};

use super::super::column::{Cells, Columns, damaged};
use super::Read;
use crate::attachments::AttachmentView;

pub(in crate::store) fn attachment<'r>(row: impl Cells<'r>) -> Read<AttachmentView> {
    let mut columns = Columns::of(row);
    let (id, tenant) = (
        columns.id(AttachmentId::from_bytes)?,
        columns.parsed(TenantId::parse)?,
    );
    let (user, uploaded_at) = (columns.parsed(UserId::parse)?, columns.time()?);
    let upload = columns.optional_text()?;
    let upload = upload.map(|text| serde_json::from_str(&text)).transpose();
    Ok(AttachmentView {
        id,
        tenant,
        user,
        uploaded_at,
        upload: upload.map_err(|_| damaged("an upload of another shape"))?,
        was_used: columns.flag()?,
        is_used: columns.flag()?,
    })
}

pub(in crate::store) fn attachments<'r>(
    rows: impl IntoIterator<Item = impl Cells<'r>>,
) -> Read<Vec<AttachmentView>> {
    rows.into_iter().map(attachment).collect()
}
