//! What the stations refuse, as people and clients see it.

use axum::http::StatusCode;
use domain::conversation;
use eventstore::execute::ExecuteError;
use projections::store::StoreError;

use super::ApiError;
use crate::attachments::blobs::BlobError;
use crate::attachments::links::LinkError;

impl From<conversation::Error> for ApiError {
    fn from(error: conversation::Error) -> Self {
        use conversation::Error as E;
        let code = match &error {
            E::NotFound => return Self::not_found(),
            E::Forbidden => return Self::new(StatusCode::FORBIDDEN, "forbidden", error.to_string()),
            E::Exists => return Self::new(StatusCode::CONFLICT, "conversation_exists", error.to_string()),
            E::NoActor => return Self::internal(),
            E::DirectWithSelf => "direct_with_self",
            E::DirectMembersFixed => "direct_members_fixed",
            E::TooManyMembers => "too_many_members",
            E::NotAMember(_) => {
                return Self::new(StatusCode::NOT_FOUND, "member_not_found", error.to_string());
            }
            E::DirectWithoutInfo => "direct_without_info",
            E::NoSuchMessage(_) => "message_not_found",
            E::WrongBody(_) => "validation_failed",
            E::Deleted => "message_deleted",
            E::NotTheAuthor => return Self::new(StatusCode::FORBIDDEN, "not_the_author", error.to_string()),
            E::NotAText => "not_a_text",
            E::EditWindowOver => {
                return Self::new(StatusCode::FORBIDDEN, "edit_window_over", error.to_string());
            }
            E::TooManyReactions => "too_many_reactions",
        };
        Self::invalid(code, error.to_string())
    }
}

impl<E: Into<Self> + std::error::Error> From<ExecuteError<E>> for ApiError {
    fn from(error: ExecuteError<E>) -> Self {
        match error {
            ExecuteError::Refused(error) => error.into(),
            ExecuteError::AnotherPayload => Self::key_reused(),
            ExecuteError::TooLarge => Self::too_large(),
            ExecuteError::Overloaded => {
                Self::unavailable("overloaded", "too much is waiting here; try again")
            }
            ExecuteError::Unavailable(_) => {
                tracing::warn!(%error, "a command was not carried out");
                Self::unavailable(
                    "log_unavailable",
                    "the command may or may not have been recorded; repeat it with the same client id",
                )
            }
            ExecuteError::LogAway => {
                Self::unavailable("log_unavailable", "the log is away; nothing was recorded")
            }
            ExecuteError::KeysAway(_) => {
                tracing::warn!(%error, "a command was not carried out");
                Self::unavailable("keys_unavailable", "the keys are away; nothing was recorded")
            }
            ExecuteError::Undecodable(_) => {
                tracing::error!(%error, "a stream cannot be decoded");
                Self::unavailable(
                    "stream_undecodable",
                    "the conversation needs a newer version of the server",
                )
            }
        }
    }
}

impl From<domain::user::Error> for ApiError {
    fn from(error: domain::user::Error) -> Self {
        match error {
            domain::user::Error::NoActor => Self::internal(),
            domain::user::Error::MutedUntilThePast => {
                Self::invalid("muted_until_the_past", error.to_string())
            }
            domain::user::Error::Nameless => Self::invalid("nameless", error.to_string()),
            domain::user::Error::TooManySubscriptions => {
                Self::invalid("too_many_subscriptions", error.to_string())
            }
        }
    }
}

impl From<LinkError> for ApiError {
    fn from(error: LinkError) -> Self {
        let code = match error {
            LinkError::Invalid => "link_invalid",
            LinkError::Over => "link_expired",
        };
        Self::new(StatusCode::FORBIDDEN, code, error.to_string())
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Missing => Self::attachment_not_found(),
            BlobError::Unavailable(_) => {
                tracing::warn!(%error, "the blob store did not answer");
                Self::unavailable(
                    "blobs_unavailable",
                    "the store of files is unavailable; try again",
                )
            }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the read model did not answer");
        Self::unavailable(
            "read_model_unavailable",
            "the read model is unavailable; try again",
        )
    }
}

/// A command about a message that a path names. Whether there is no such message, no such conversation, or only
/// none for this user, is the same answer.
pub fn about_message(error: ExecuteError<conversation::Error>) -> ApiError {
    use conversation::Error as E;
    match error {
        ExecuteError::Refused(E::NotFound | E::NoSuchMessage(_)) => ApiError::message_not_found(),
        error => error.into(),
    }
}
