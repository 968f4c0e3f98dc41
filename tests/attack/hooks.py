"""What Schemathesis cannot know: values that no schema describes, what there is on the server, and which refusals
are right for a request that is right by the document."""

import json
import os
import re

import schemathesis
from hypothesis import strategies as st

SEED = json.loads(os.environ["ATTACK_SEED"])

# Codes that a request may get though each of its parts is right: they are about what the server knows.
ABOUT_STATE = {
    "attachment_not_found",
    "attachment_too_old",
    "conversation_exists",
    "conversation_not_found",
    "direct_members_fixed",
    "direct_with_self",
    "direct_without_info",
    "edit_window_over",
    "forbidden",
    "foreign_position",
    "idempotency_key_reused",
    "invalid_cursor",
    "image_too_large",
    "image_unreadable",
    "invalid_search",
    "link_expired",
    "link_invalid",
    "member_not_found",
    "message_deleted",
    "message_not_found",
    "muted_until_the_past",
    "nameless",
    "not_a_text",
    "not_a_websocket",
    "not_the_author",
    "push_not_configured",
    "too_many_reactions",
    "too_many_subscriptions",
}


def printable(most_bytes):
    characters = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))
    texts = st.text(characters, min_size=1, max_size=most_bytes)
    return texts.filter(lambda text: len(text.encode()) <= most_bytes)


EMOJI = ["👍", "❤️", "😂", "🇻🇳", "👩‍👩‍👧‍👦", "party_parrot", ":wave:", "+1", "1️⃣"]
schemathesis.openapi.format("user-id", st.one_of(st.sampled_from(["ann", "bob", "cat", "eve"]), printable(128)))
schemathesis.openapi.format("client-id", printable(128))
schemathesis.openapi.format("position", st.sampled_from([SEED["position"], "01JD3V2Q8Y6W4K9TZ0M5XB7CRA-0-42"]))
schemathesis.openapi.format("emoji", st.sampled_from(EMOJI))
schemathesis.openapi.format("cursor", st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1))
schemathesis.openapi.format(
    "url",
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=40).map(
        lambda text: "https://example.org/" + text
    ),
)


def known(kind, instead_of):
    """One of the ids that there are, for three in four of those that are only well formed."""
    index = sum(map(ord, instead_of))
    ids = SEED[kind]
    return ids[index % len(ids)] if index % 4 else instead_of


ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
WELL_FORMED = {"attachments": ULID, "conversations": ULID, "messages": ULID + "[1-9A-HJKMNP-TV-Z][0-9A-HJKMNP-TV-Z]{0,11}"}


def is_id(kind, value):
    """Whether it is well formed. What was broken on purpose stays broken."""
    return isinstance(value, str) and re.fullmatch(WELL_FORMED[kind], value) is not None


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    path = context.operation.path
    if path.startswith("/conversations/messages/"):
        kind = "messages"
    elif path.startswith("/conversations/"):
        kind = "conversations"
    elif path.startswith("/attachments/"):
        kind = "attachments"
    else:
        return path_parameters
    if not path_parameters or not is_id(kind, path_parameters.get("id")):
        return path_parameters
    return {**path_parameters, "id": known(kind, path_parameters["id"])}


def written_whole(value):
    """The same value, with whole numbers written as such: `1e16` is one by JSON Schema, and beyond 2^48 not here, where
    the parser may be off by one."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [written_whole(item) for item in value]
    if isinstance(value, dict):
        return {name: written_whole(item) for name, item in value.items()}
    return value


@schemathesis.hook
def map_body(context, body):
    body = written_whole(body)
    if not isinstance(body, dict) or not is_id("conversations", body.get("conversationId")):
        return body
    body = {**body, "conversationId": known("conversations", body["conversationId"])}
    for field in ("messageId", "replyToId"):
        if is_id("messages", body.get(field)):
            body[field] = known("messages", body[field])
    return body


@schemathesis.hook
def before_call(context, case, kwargs):
    """Values are taken over from earlier answers, and not all of them can stand in a header."""
    for name, value in list((case.headers or {}).items()):
        if isinstance(value, str) and not value.isascii():
            del case.headers[name]


@schemathesis.check
def refusals_of_what_is_right(ctx, response, case):
    """What is right by the document is refused for what the server knows, and for nothing else."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code < 400:
        return
    if response.status_code in (401, 405) or not response.headers.get("content-type"):
        return
    code = response.json().get("code")
    assert code in ABOUT_STATE, f"refused as {code}: {response.json().get('detail')}"


@schemathesis.check
def problems_are_whole(ctx, response, case):
    """Whatever went wrong, it is told by a problem document that names its request."""
    if response.status_code < 400 or response.request.method == "HEAD" or case.operation.path == "/ready":
        return
    kind = response.headers.get("content-type", [""])[0]
    assert kind == "application/problem+json", f"{response.status_code} with {kind!r}"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["requestId"] == response.headers["x-request-id"][0]


@schemathesis.check
def nobody_else_is_told(ctx, response, case):
    """What a stranger wrote in a conversation of their own stands in no answer."""
    assert SEED["secret"] not in response.text, "an answer has what another user wrote elsewhere"
