//! Files that were uploaded: whose they are, and with which messages they came.
//!
//! Whose they are is written from the user's shard, and how they are used from those of conversations. So the
//! two are tables of their own, and are joined by whoever asks.

use async_trait::async_trait;
use domain::conversation::Message;
use domain::conversation::body::Upload;
use domain::user::UploadFacts;
use domain::{AttachmentId, ConversationId, MessageId, TenantId, Timestamp, UserId};

use crate::store::StoreError;

/// A file that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentRow {
    /// The file.
    pub id: AttachmentId,
    /// The tenant.
    pub tenant: TenantId,
    /// Who uploaded it.
    pub user: UserId,
    /// When that was recorded.
    pub uploaded_at: Timestamp,
    /// What is known of it, as JSON; `None` when its user was erased.
    pub upload: Option<String>,
}

impl AttachmentRow {
    /// A file that was just uploaded.
    pub(crate) fn uploaded(tenant: TenantId, facts: &UploadFacts, at: Timestamp) -> Self {
        let upload = facts.readable();
        Self {
            id: facts.id,
            tenant,
            user: facts.user.clone(),
            uploaded_at: at,
            upload: upload.and_then(|upload| serde_json::to_string(&upload).ok()),
        }
    }
}

/// That a file came with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttachmentUse {
    /// The message.
    pub message: MessageId,
    /// The file.
    pub attachment: AttachmentId,
}

impl AttachmentUse {
    /// The files that were uploaded and came with a message.
    pub(crate) fn all_of(conversation: ConversationId, message: &Message) -> Vec<Self> {
        let message_id = MessageId {
            conversation,
            ordinal: message.ordinal,
        };
        let files = message.body.readable().map(|body| body.attachments.iter());
        let uploaded = files.into_iter().flatten().filter_map(|file| file.uploaded());
        let uses = uploaded.map(|attachment| Self {
            message: message_id,
            attachment,
        });
        uses.collect()
    }
}

/// A file that was uploaded, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentView {
    /// The file.
    pub id: AttachmentId,
    /// The tenant.
    pub tenant: TenantId,
    /// Who uploaded it.
    pub user: UserId,
    /// When that was recorded.
    pub uploaded_at: Timestamp,
    /// What is known of it; `None` when its user was erased.
    pub upload: Option<Upload>,
    /// Whether it ever came with a message.
    pub was_used: bool,
    /// Whether it comes with a message that was not deleted for everyone.
    pub is_used: bool,
}

impl AttachmentView {
    /// What is known of it, if anyone may still have it: not of an erased user, and not after every message that
    /// it came with was deleted.
    #[must_use]
    pub fn reachable(self) -> Option<Upload> {
        self.upload.filter(|_| self.is_used || !self.was_used)
    }

    /// Whether nobody needs it any more, when what was uploaded before a time can come with no message any more.
    #[must_use]
    pub fn is_unused(&self, before: Timestamp) -> bool {
        self.upload.is_none() || (self.uploaded_at < before && !self.is_used)
    }
}

/// What is asked about files.
#[async_trait]
pub trait AttachmentModel: Send + Sync + 'static {
    /// A file.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn attachment(&self, id: AttachmentId) -> Result<Option<AttachmentView>, StoreError>;

    /// Those of the files that are the user's own.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn own_attachments(
        &self,
        tenant: &TenantId,
        user: &UserId,
        ids: &[AttachmentId],
    ) -> Result<Vec<AttachmentView>, StoreError>;

    /// A file, for who uploaded it and for active members of a conversation that carries it in a message they did
    /// not hide; `None` for everyone else.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn attachment_for(
        &self,
        tenant: &TenantId,
        user: &UserId,
        id: AttachmentId,
    ) -> Result<Option<AttachmentView>, StoreError>;

    /// Up to `limit` files with ids after this one, of all tenants, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn attachments_after(
        &self,
        after: Option<AttachmentId>,
        limit: u32,
    ) -> Result<Vec<AttachmentView>, StoreError>;
}
