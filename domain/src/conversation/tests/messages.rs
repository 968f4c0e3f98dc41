//! What may become of a message after it was sent.

use super::super::messages::{FactChange, MAX_REACTIONS};
use super::*;

fn first() -> Ordinal {
    Ordinal::new(1).unwrap()
}

fn facts(events: &[Event]) -> Facts {
    let mut facts = None;
    for (_, change) in events.iter().filter_map(Event::fact_change) {
        Facts::apply(&mut facts, &change);
    }
    facts.unwrap()
}

/// Bob, a plain member, has sent the one message; then these things happened.
fn sent(then: impl IntoIterator<Item = Event>) -> crate::testing::Given<Conversation> {
    let team = group(&[
        ("ann", Role::Admin),
        ("bob", Role::Member),
        ("mod", Role::Moderator),
        ("cid", Role::Member),
    ]);
    let about: Vec<_> = std::iter::once(Event::MessageSent(message(1, "bob")))
        .chain(then)
        .collect();
    given::<Conversation>(std::iter::once(team).chain(about.clone())).knowing(facts(&about))
}

fn edit(text: &str, within: Option<u64>) -> Command {
    Command::EditMessage {
        message: first(),
        content: Content::parse(text).unwrap(),
        within,
    }
}

fn edited(text: &str) -> Event {
    Event::MessageEdited(Edit {
        message: first(),
        sender: user("bob"),
        reply_to: None,
        sent_at: Timestamp::from_millis(1_000),
        content: Private::Readable(Content::parse(text).unwrap()),
    })
}

fn delete() -> Command {
    Command::DeleteMessage { message: first() }
}

fn deleted(by: &str) -> Event {
    Event::MessageDeleted {
        message: first(),
        by: user(by),
    }
}

fn emoji(text: &str) -> Emoji {
    Emoji::parse(text).unwrap()
}

fn toggle(text: &str) -> Command {
    Command::ToggleReaction {
        message: first(),
        emoji: emoji(text),
    }
}

fn unreact(text: &str) -> Command {
    Command::RemoveReaction {
        message: first(),
        emoji: emoji(text),
    }
}

fn reaction(of: &str, text: &str) -> Reaction {
    Reaction {
        message: first(),
        user: user(of),
        emoji: Private::Readable(emoji(text)),
    }
}

#[test]
fn only_its_author_edits_a_message() {
    sent([])
        .when("bob", edit("better", None))
        .then([edited("better")]);
    for other in ["ann", "mod", "cid"] {
        sent([])
            .when(other, edit("better", None))
            .then_refused(Error::NotTheAuthor);
    }
    sent([])
        .when("eve", edit("better", None))
        .then_refused(Error::NotFound);
    sent([left("bob", None)])
        .when("bob", edit("better", None))
        .then_refused(Error::NotFound);
}

#[test]
fn a_message_is_edited_within_its_window() {
    let edit_at = |now, within| {
        let mut state = Conversation::default();
        for event in [team(), Event::MessageSent(message(1, "bob"))] {
            Conversation::evolve(&mut state, &event);
        }
        let context = Context {
            actor: Some(user("bob")),
            now: Timestamp::from_millis(now),
            message: Some(facts(&[Event::MessageSent(message(1, "bob"))])),
        };
        Conversation::decide(&state, &edit("better", within), &context)
    };
    assert_eq!(edit_at(1_500, Some(500)), Ok(vec![edited("better")]));
    assert_eq!(edit_at(1_501, Some(500)), Err(Error::EditWindowOver));
    assert_eq!(edit_at(9_999_999, None), Ok(vec![edited("better")]));
}

#[test]
fn what_is_deleted_is_neither_edited_nor_reacted_to() {
    for command in [edit("x", None), toggle("👍"), unreact("👍")] {
        sent([deleted("bob")])
            .when("bob", command)
            .then_refused(Error::Deleted);
    }
    sent([deleted("bob")]).when("ann", delete()).then([]);
}

#[test]
fn the_author_an_admin_and_a_moderator_delete_for_everyone() {
    for by in ["bob", "ann", "mod"] {
        sent([]).when(by, delete()).then([deleted(by)]);
    }
    sent([]).when("cid", delete()).then_refused(Error::Forbidden);
    sent([]).when("eve", delete()).then_refused(Error::NotFound);
}

#[test]
fn in_a_direct_conversation_each_deletes_the_own_messages() {
    let there = || {
        let sent = Event::MessageSent(message(1, "bob"));
        given::<Conversation>([direct(), sent.clone()]).knowing(facts(&[sent]))
    };
    there().when("bob", delete()).then([deleted("bob")]);
    there().when("ann", delete()).then_refused(Error::NotTheAuthor);
}

#[test]
fn a_reaction_is_toggled_by_each_for_themselves() {
    sent([])
        .when("cid", toggle("👍"))
        .then([Event::ReactionAdded(reaction("cid", "👍"))]);
    let there = || sent([Event::ReactionAdded(reaction("cid", "👍"))]);
    there()
        .when("cid", toggle("👍"))
        .then([Event::ReactionRemoved(reaction("cid", "👍"))]);
    there()
        .when("cid", toggle("🎉"))
        .then([Event::ReactionAdded(reaction("cid", "🎉"))]);
    there()
        .when("ann", toggle("👍"))
        .then([Event::ReactionAdded(reaction("ann", "👍"))]);
    there()
        .when("cid", unreact("👍"))
        .then([Event::ReactionRemoved(reaction("cid", "👍"))]);
    there().when("ann", unreact("👍")).then([]);
    there().when("eve", toggle("👍")).then_refused(Error::NotFound);
}

#[test]
fn one_user_reacts_with_a_bounded_number_of_emoji() {
    let many = (0..MAX_REACTIONS).map(|n| Event::ReactionAdded(reaction("cid", &format!("e{n}"))));
    sent(many.clone())
        .when("cid", toggle("👍"))
        .then_refused(Error::TooManyReactions);
    sent(many.clone())
        .when("cid", toggle("e0"))
        .then([Event::ReactionRemoved(reaction("cid", "e0"))]);
    sent(many)
        .when("ann", toggle("👍"))
        .then([Event::ReactionAdded(reaction("ann", "👍"))]);
}

#[test]
fn a_command_about_no_message_is_refused() {
    for command in [edit("x", None), delete(), toggle("👍"), unreact("👍")] {
        given::<Conversation>([team()])
            .when("bob", command)
            .then_refused(Error::NoSuchMessage(first()));
    }
}

#[test]
fn an_erased_reaction_changes_nothing_that_is_known() {
    let erased = Reaction {
        emoji: Private::Erased,
        ..reaction("cid", "👍")
    };
    assert_eq!(Event::ReactionAdded(erased).fact_change(), None);
    let mut nothing = None;
    Facts::apply(&mut nothing, &FactChange::Deleted);
    assert_eq!(nothing, None);
}
