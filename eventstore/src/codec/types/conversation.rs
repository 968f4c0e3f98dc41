//! The events of a conversation: from each to its type's name and shape, and back.

use domain::conversation::body::{Attachment, File};
use domain::conversation::{
    Body, Edit, Event as Happened, GroupInfo, InfoChange, InfoField, Message, MessageKind, Reaction,
};
use domain::permission::Role;
use domain::values::Emoji;
use domain::{Private, UserId};

use super::{ReadEventError, Shape, Written, clear};
use crate::codec::shapes::{
    ConversationCreatedV1, EmojiV1, GroupInfoV1, InfoChangeV1, InfoChangedV1, MemberLeftV1, MemberRemovedV1,
    MemberV1, MembersAddedV1, MessageBodyV1, MessageBodyV2, MessageBodyV3, MessageDeletedV1, MessageEditedV1,
    MessageSentV1, MessageTextV1, ReactionV1, RoleChangedV1,
};

const CONVERSATION_CREATED: &str = "chat.conversation.created.v1";
const MEMBERS_ADDED: &str = "chat.conversation.members_added.v1";
const MEMBER_LEFT: &str = "chat.conversation.member_left.v1";
const MEMBER_REMOVED: &str = "chat.conversation.member_removed.v1";
const ROLE_CHANGED: &str = "chat.conversation.role_changed.v1";
const INFO_CHANGED: &str = "chat.conversation.info_changed.v1";
const MESSAGE_SENT: &str = "chat.message.sent.v1";
const MESSAGE_SENT_V2: &str = "chat.message.sent.v2";
const MESSAGE_SENT_V3: &str = "chat.message.sent.v3";
const MESSAGE_EDITED: &str = "chat.message.edited.v1";
const MESSAGE_DELETED: &str = "chat.message.deleted.v1";
const REACTION_ADDED: &str = "chat.reaction.added.v1";
const REACTION_REMOVED: &str = "chat.reaction.removed.v1";

pub(super) fn write(event: &Happened) -> Written {
    match event {
        Happened::Created {
            kind,
            founder,
            owner,
            members,
            about,
        } => {
            let data = ConversationCreatedV1 {
                kind: *kind,
                founder: founder.clone(),
                owner: owner.clone(),
                members: write_members(members),
            };
            let body = about
                .as_ref()
                .and_then(Private::readable)
                .cloned()
                .map(|about| GroupInfoV1 {
                    name: about.name,
                    description: about.description,
                    avatar: about.avatar,
                });
            clear(CONVERSATION_CREATED, &data).sealing(founder, body.as_ref())
        }
        Happened::MembersAdded { members } => clear(
            MEMBERS_ADDED,
            &MembersAddedV1 {
                members: write_members(members),
            },
        ),
        Happened::MemberLeft { member, new_owner } => clear(
            MEMBER_LEFT,
            &MemberLeftV1 {
                member: member.clone(),
                new_owner: new_owner.clone(),
            },
        ),
        Happened::MessageSent(message) => write_message(message),
        Happened::MemberRemoved { member } => clear(
            MEMBER_REMOVED,
            &MemberRemovedV1 {
                member: member.clone(),
            },
        ),
        Happened::RoleChanged { member, role } => clear(
            ROLE_CHANGED,
            &RoleChangedV1 {
                member: member.clone(),
                role: *role,
            },
        ),
        Happened::InfoChanged { by, fields, change } => {
            let data = InfoChangedV1 {
                by: by.clone(),
                fields: fields.clone(),
            };
            let body = change.readable().cloned().map(|change| InfoChangeV1 {
                name: change.name,
                description: change.description.flatten(),
                avatar: change.avatar.flatten(),
            });
            clear(INFO_CHANGED, &data).sealing(by, body.as_ref())
        }
        Happened::MessageEdited(edit) => {
            let data = MessageEditedV1 {
                ordinal: edit.message,
                sender: edit.sender.clone(),
                reply_to: edit.reply_to,
                sent_at: edit.sent_at,
            };
            let content = edit.content.readable().cloned();
            let body = content.map(|content| MessageTextV1 { content });
            clear(MESSAGE_EDITED, &data).sealing(&edit.sender, body.as_ref())
        }
        Happened::MessageDeleted { message, by } => clear(
            MESSAGE_DELETED,
            &MessageDeletedV1 {
                ordinal: *message,
                by: by.clone(),
            },
        ),
        Happened::ReactionAdded(reaction) => write_reaction(REACTION_ADDED, reaction),
        Happened::ReactionRemoved(reaction) => write_reaction(REACTION_REMOVED, reaction),
    }
}

/// A plain text as it was from the first version on, files that were uploaded in the third, and everything else
/// in the second.
fn write_message(message: &Message) -> Written {
    let data = MessageSentV1 {
        ordinal: message.ordinal,
        sender: message.sender.clone(),
        kind: message.kind,
        reply_to: message.reply_to,
        sent_at: message.sent_at,
        imported_line: message.imported_line,
    };
    let body = message.body.readable().cloned();
    let is_plain = |body: &Body| body.attachments.is_empty() && body.card.is_none();
    match body {
        Some(body) if message.kind == MessageKind::Text && is_plain(&body) => {
            let body = body.content.map(|content| MessageBodyV1 {
                content,
                client_id: body.client_id,
            });
            clear(MESSAGE_SENT, &data).sealing(&message.sender, body.as_ref())
        }
        Some(body) if body.attachments.iter().any(|file| file.uploaded().is_some()) => {
            let body = MessageBodyV3 {
                content: body.content,
                attachments: body.attachments,
                client_id: body.client_id,
            };
            clear(MESSAGE_SENT_V3, &data).sealing(&message.sender, Some(&body))
        }
        body => {
            let body = body.map(|body| MessageBodyV2 {
                content: body.content,
                attachments: body.attachments.into_iter().filter_map(linked).collect(),
                card: body.card,
                client_id: body.client_id,
            });
            clear(MESSAGE_SENT_V2, &data).sealing(&message.sender, body.as_ref())
        }
    }
}

fn linked(file: File) -> Option<Attachment> {
    match file {
        File::Linked(attachment) => Some(attachment),
        File::Uploaded(_) => None,
    }
}

fn write_reaction(event_type: &'static str, reaction: &Reaction) -> Written {
    let data = ReactionV1 {
        ordinal: reaction.message,
        user: reaction.user.clone(),
    };
    let emoji = reaction.emoji.readable().cloned();
    let body = emoji.map(|emoji| EmojiV1 { emoji: emoji.into() });
    clear(event_type, &data).sealing(&reaction.user, body.as_ref())
}

fn write_members(members: &[(UserId, Role)]) -> Vec<MemberV1> {
    members
        .iter()
        .map(|(user, role)| MemberV1 {
            user: user.clone(),
            role: *role,
        })
        .collect()
}

/// Reads an event of a conversation in its current version.
pub(super) fn read(event_type: &str, shape: &Shape<'_>) -> Result<Happened, ReadEventError> {
    Ok(match event_type {
        CONVERSATION_CREATED => {
            let data: ConversationCreatedV1 = shape.data()?;
            let about = shape.optional_body(|body: GroupInfoV1| GroupInfo {
                name: body.name,
                description: body.description,
                avatar: body.avatar,
            })?;
            Happened::Created {
                kind: data.kind,
                founder: data.founder,
                owner: data.owner,
                members: read_members(data.members),
                about,
            }
        }
        MEMBERS_ADDED => {
            let data: MembersAddedV1 = shape.data()?;
            Happened::MembersAdded {
                members: read_members(data.members),
            }
        }
        MEMBER_LEFT => {
            let data: MemberLeftV1 = shape.data()?;
            Happened::MemberLeft {
                member: data.member,
                new_owner: data.new_owner,
            }
        }
        MESSAGE_SENT => {
            let body = shape.body(|body: MessageBodyV1| Body::text(body.content, body.client_id))?;
            Happened::MessageSent(read_message(shape, body)?)
        }
        MESSAGE_SENT_V2 => {
            let body = shape.body(|body: MessageBodyV2| Body {
                content: body.content,
                attachments: body.attachments.into_iter().map(File::from).collect(),
                card: body.card,
                client_id: body.client_id,
            })?;
            Happened::MessageSent(read_message(shape, body)?)
        }
        MESSAGE_SENT_V3 => {
            let body = shape.body(|body: MessageBodyV3| Body {
                content: body.content,
                attachments: body.attachments,
                card: None,
                client_id: body.client_id,
            })?;
            Happened::MessageSent(read_message(shape, body)?)
        }
        MEMBER_REMOVED => {
            let data: MemberRemovedV1 = shape.data()?;
            Happened::MemberRemoved { member: data.member }
        }
        ROLE_CHANGED => {
            let data: RoleChangedV1 = shape.data()?;
            Happened::RoleChanged {
                member: data.member,
                role: data.role,
            }
        }
        INFO_CHANGED => {
            let data: InfoChangedV1 = shape.data()?;
            let has = |field| data.fields.contains(&field);
            let change = shape.body(|body: InfoChangeV1| InfoChange {
                name: body.name,
                description: has(InfoField::Description).then_some(body.description),
                avatar: has(InfoField::Avatar).then_some(body.avatar),
            })?;
            Happened::InfoChanged {
                by: data.by,
                fields: data.fields,
                change,
            }
        }
        MESSAGE_EDITED => {
            let data: MessageEditedV1 = shape.data()?;
            Happened::MessageEdited(Edit {
                message: data.ordinal,
                sender: data.sender,
                reply_to: data.reply_to,
                sent_at: data.sent_at,
                content: shape.body(|body: MessageTextV1| body.content)?,
            })
        }
        MESSAGE_DELETED => {
            let data: MessageDeletedV1 = shape.data()?;
            Happened::MessageDeleted {
                message: data.ordinal,
                by: data.by,
            }
        }
        REACTION_ADDED => Happened::ReactionAdded(read_reaction(shape)?),
        REACTION_REMOVED => Happened::ReactionRemoved(read_reaction(shape)?),
        unknown => return Err(ReadEventError::UnknownType(unknown.to_owned())),
    })
}

fn read_message(shape: &Shape<'_>, body: Private<Body>) -> Result<Message, ReadEventError> {
    let data: MessageSentV1 = shape.data()?;
    Ok(Message {
        ordinal: data.ordinal,
        sender: data.sender,
        kind: data.kind,
        body,
        reply_to: data.reply_to,
        sent_at: data.sent_at,
        imported_line: data.imported_line,
    })
}

fn read_members(members: Vec<MemberV1>) -> Vec<(UserId, Role)> {
    members
        .into_iter()
        .map(|member| (member.user, member.role))
        .collect()
}

fn read_reaction(shape: &Shape<'_>) -> Result<Reaction, ReadEventError> {
    let data: ReactionV1 = shape.data()?;
    Ok(Reaction {
        message: data.ordinal,
        user: data.user,
        emoji: shape.body(|body: EmojiV1| Emoji::recorded(body.emoji))?,
    })
}
