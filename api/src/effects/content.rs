//! What a notification says, read when it is delivered: what was deleted or erased meanwhile is not said any more,
//! and nobody is told who has read it, left or muted since.

use domain::conversation::Kind;
use domain::{ConversationId, UserId};
use projections::StoreError;
use projections::view::{MessageView, Profile};
use serde::Serialize;

use super::Effects;
use super::store::{Delivery, Target};
use crate::app::now;

/// Something to be told, to these.
pub(super) struct Content {
    pub(super) recipients: Vec<UserId>,
    pub(super) message: MessageView,
    pub(super) sender: Profile,
    pub(super) conversation: Place,
}

/// Where it was said.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Place {
    pub(super) id: ConversationId,
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    pub(super) name: Option<String>,
}

/// What is to be said; `None` when there is nothing or nobody left.
pub(super) async fn read(effects: &Effects, delivery: &Delivery) -> Result<Option<Content>, StoreError> {
    let (model, tenant, id) = (&effects.read_model, &delivery.tenant, delivery.message);
    let asked = match &delivery.target {
        Target::Webhook(users) => users.as_slice(),
        Target::Push(user, _) => std::slice::from_ref(user),
    };
    let recipients = model.recipients_among(tenant, id, asked, now()).await?;
    // What one of them sees, all see; but each may go at any moment.
    let mut seen = None;
    for reader in &recipients {
        let message = model.hydrate(tenant, reader, &[id]).await?.pop();
        let view = model.conversation(tenant, reader, id.conversation, now()).await?;
        if let Some(both) = message.zip(view) {
            seen = Some(both);
            break;
        }
    }
    let Some((mut message, view)) = seen else {
        return Ok(None);
    };
    let is_empty = message.content.is_none() && message.attachments.is_empty() && message.card.is_none();
    if message.deleted_at.is_some() || is_empty {
        return Ok(None);
    }
    for reaction in &mut message.reactions {
        reaction.is_mine = false;
    }
    let mut profiles = model
        .profiles(tenant, std::slice::from_ref(&message.sender))
        .await?;
    Ok(Some(Content {
        sender: profiles.remove(&message.sender).unwrap_or_default(),
        conversation: Place {
            id: view.id,
            kind: view.kind,
            name: view.name,
        },
        recipients,
        message,
    }))
}
