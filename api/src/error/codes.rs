//! Every `code` there is, the status that it comes with, and what it means. What is not here cannot be answered.

/// A status, a code, and what it means.
pub type Code = (u16, &'static str, &'static str);

/// All of them, by status.
pub const CODES: &[Code] = &[
    (
        400,
        "malformed_json",
        "the body is not JSON, or not JSON as it is taken here",
    ),
    (400, "unreadable_body", "the body could not be read to its end"),
    (
        400,
        "invalid_query",
        "a parameter of the query stands there twice, or is no text",
    ),
    (400, "invalid_cursor", "the cursor is not one of this list"),
    (400, "malformed_position", "`X-Min-Position` is not a position"),
    (400, "foreign_position", "`X-Min-Position` is of another log"),
    (
        400,
        "not_a_websocket",
        "the request is not an upgrade to a WebSocket",
    ),
    (
        400,
        "malformed_idempotency_key",
        "`Idempotency-Key` is not a client id, or stands there twice",
    ),
    (
        400,
        "malformed_form",
        "the form is no `multipart/form-data` that can be read",
    ),
    (400, "malformed_frame", "on sockets: the frame cannot be read"),
    (400, "unknown_event", "on sockets: there is no such event"),
    (401, "token_missing", "there is no token"),
    (401, "token_invalid", "the token is not valid"),
    (401, "token_expired", "the token was valid once"),
    (401, "user_blocked", "the user is blocked"),
    (401, "user_inactive", "the account is not in use"),
    (
        401,
        "another_user",
        "on sockets: the token that is to renew one is of somebody else",
    ),
    (403, "forbidden", "the role of who asks does not allow it"),
    (403, "not_the_author", "the message is somebody else's"),
    (403, "edit_window_over", "the message was sent too long ago"),
    (403, "link_invalid", "the URL was not made here, or was changed"),
    (403, "link_expired", "the URL has ended; there are fresh ones"),
    (
        404,
        "conversation_not_found",
        "the conversation does not exist, or not for who asks",
    ),
    (
        404,
        "message_not_found",
        "the message does not exist, or not for who asks",
    ),
    (
        404,
        "member_not_found",
        "the user is no member of the conversation",
    ),
    (
        404,
        "attachment_not_found",
        "the file does not exist, not for who asks, or not any more",
    ),
    (
        404,
        "attachments_off",
        "the node was not told where to keep files",
    ),
    (404, "push_not_configured", "the node has no key for Web Push"),
    (404, "path_not_found", "there is nothing at this path"),
    (
        405,
        "method_not_allowed",
        "the path does not take this method; `Allow` says which it takes",
    ),
    (408, "request_timeout", "the body did not come in time"),
    (409, "conversation_exists", "the conversation exists already"),
    (
        413,
        "body_too_large",
        "the body, or what would be recorded, is larger than is taken",
    ),
    (
        415,
        "unsupported_media_type",
        "the body is not said to be JSON, or is packed",
    ),
    (416, "range_not_satisfiable", "the file does not have that range"),
    (
        422,
        "validation_failed",
        "a field or a parameter breaks its rule; `detail` names it",
    ),
    (
        422,
        "message_not_found",
        "there is no such message in the conversation",
    ),
    (
        422,
        "direct_with_self",
        "nobody has a direct conversation with themselves",
    ),
    (
        422,
        "direct_members_fixed",
        "the members of a direct conversation do not change",
    ),
    (
        422,
        "direct_without_info",
        "a direct conversation has no name, description or avatar",
    ),
    (422, "too_many_members", "more members than can be named at once"),
    (422, "message_deleted", "the message was deleted for everyone"),
    (
        422,
        "nameless",
        "a user who is not called anything yet needs a name",
    ),
    (422, "not_a_text", "only texts can be edited"),
    (
        422,
        "too_many_reactions",
        "more different reactions of one user than a message takes",
    ),
    (422, "attachment_not_found", "there is no such upload of who asks"),
    (422, "attachment_too_old", "it was uploaded more than a day ago"),
    (422, "image_too_large", "the picture has too many pixels"),
    (422, "image_unreadable", "the picture cannot be decoded"),
    (422, "too_many_subscriptions", "more devices than a user may have"),
    (422, "muted_until_the_past", "the mute would be over already"),
    (
        422,
        "idempotency_key_reused",
        "the client id was used with another payload",
    ),
    (
        422,
        "invalid_search",
        "nothing can be searched for with this query",
    ),
    (
        429,
        "rate_limited",
        "too much was asked for in too short a time; nothing was done",
    ),
    (500, "internal", "something went wrong on the server"),
    (503, "overloaded", "too much is waiting; try again"),
    (
        503,
        "log_unavailable",
        "the log is away; whether it was recorded is told by `detail`",
    ),
    (503, "keys_unavailable", "the keys are away; nothing was recorded"),
    (503, "read_model_unavailable", "the read model is away; try again"),
    (
        503,
        "blobs_unavailable",
        "where files are kept is away; try again",
    ),
    (503, "search_unavailable", "the search index is away; try again"),
    (
        503,
        "position_not_reached",
        "the read model has not come that far yet; try again",
    ),
    (
        503,
        "stream_undecodable",
        "the conversation needs a newer version of the server",
    ),
];

/// What a code means under a status.
#[must_use]
pub fn meaning(status: u16, code: &str) -> Option<&'static str> {
    let found = CODES.iter().find(|known| (known.0, known.1) == (status, code));
    found.map(|(_, _, meaning)| *meaning)
}
