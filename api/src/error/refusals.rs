//! What the stations refuse, as people and clients see it.

use axum::http::StatusCode;
use domain::conversation;
use eventstore::execute::ExecuteError;
use projections::store::StoreError;

use super::ApiError;

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
            E::NoSuchMessage(_) => "message_not_found",
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
    fn from(_: domain::user::Error) -> Self {
        Self::internal()
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
