//! How enums are spelled in a database: as on the wire. And names, as they are searched for.

use domain::conversation::{Kind, MessageKind};
use domain::folding::fold;
use domain::permission::Role;
use domain::user::Status;

use super::StoreError;

pub(super) const fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Direct => "DIRECT",
        Kind::Group => "GROUP",
    }
}

pub(super) fn kind(text: &str) -> Result<Kind, StoreError> {
    match text {
        "DIRECT" => Ok(Kind::Direct),
        "GROUP" => Ok(Kind::Group),
        _ => Err(StoreError::Damaged("an unknown kind of conversation".to_owned())),
    }
}

pub(super) const fn role_text(role: Role) -> &'static str {
    match role {
        Role::Member => "MEMBER",
        Role::Moderator => "MODERATOR",
        Role::Admin => "ADMIN",
    }
}

pub(super) fn role(text: &str) -> Result<Role, StoreError> {
    match text {
        "MEMBER" => Ok(Role::Member),
        "MODERATOR" => Ok(Role::Moderator),
        "ADMIN" => Ok(Role::Admin),
        _ => Err(StoreError::Damaged("an unknown role".to_owned())),
    }
}

pub(super) const fn status_text(status: Status) -> &'static str {
    match status {
        Status::Active => "ACTIVE",
        Status::Inactive => "INACTIVE",
        Status::Blocked => "BLOCKED",
    }
}

pub(super) fn status(text: &str) -> Result<Status, StoreError> {
    match text {
        "ACTIVE" => Ok(Status::Active),
        "INACTIVE" => Ok(Status::Inactive),
        "BLOCKED" => Ok(Status::Blocked),
        _ => Err(StoreError::Damaged("an unknown status of a user".to_owned())),
    }
}

pub(super) fn message_kind(text: &str) -> Result<MessageKind, StoreError> {
    MessageKind::parse(text).ok_or_else(|| StoreError::Damaged("an unknown type of message".to_owned()))
}

/// A name, or a part of one, as it is searched for: in lower case, without diacritics.
pub(super) fn folded(name: &str) -> String {
    fold(&name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for one in [Kind::Direct, Kind::Group] {
            assert_eq!(kind(kind_text(one)).unwrap(), one);
        }
        for one in [Status::Active, Status::Inactive, Status::Blocked] {
            assert_eq!(status(status_text(one)).unwrap(), one);
        }
        for one in [Role::Member, Role::Moderator, Role::Admin] {
            assert_eq!(role(role_text(one)).unwrap(), one);
        }
        for one in MessageKind::ALL {
            assert_eq!(message_kind(one.as_str()).unwrap(), one);
        }
        assert!(kind("group").is_err() && role("").is_err() && message_kind("text").is_err());
    }
}
