//! Every rule of a conversation: given, when, then.

use super::*;
use crate::testing::{given, user};
use crate::values::GroupName;
use crate::{Private, Timestamp};

mod groups;
mod messages;

fn about(name: &str) -> GroupInfo {
    GroupInfo {
        name: GroupName::parse(name).unwrap(),
        description: None,
        avatar: None,
    }
}

fn direct() -> Event {
    Event::Created {
        kind: Kind::Direct,
        founder: user("ann"),
        owner: None,
        members: vec![(user("ann"), Role::Member), (user("bob"), Role::Member)],
        about: None,
    }
}

fn group(members: &[(&str, Role)]) -> Event {
    let founder = user(members[0].0);
    Event::Created {
        kind: Kind::Group,
        owner: Some(founder.clone()),
        founder,
        members: members.iter().map(|(name, role)| (user(name), *role)).collect(),
        about: Some(Private::Readable(about("team"))),
    }
}

fn team() -> Event {
    group(&[("ann", Role::Admin), ("bob", Role::Member)])
}

fn message(ordinal: u64, sender: &str) -> Message {
    Message {
        ordinal: Ordinal::new(ordinal).unwrap(),
        sender: user(sender),
        kind: MessageKind::Text,
        body: Private::Readable(Body::text(Content::parse("hi").unwrap(), None)),
        reply_to: None,
        sent_at: Timestamp::from_millis(1_000),
        imported_line: None,
    }
}

fn send(reply_to: Option<u64>) -> Command {
    Command::SendMessage {
        kind: MessageKind::Text,
        body: Body::text(Content::parse("hi").unwrap(), None),
        reply_to: reply_to.and_then(Ordinal::new),
    }
}

fn line(line: u64, sender: &str, reply_to: Option<u64>) -> ImportedLine {
    ImportedLine {
        line,
        sender: user(sender),
        content: Content::parse("hi").unwrap(),
        sent_at: Timestamp::from_millis(1_000),
        reply_to: reply_to.and_then(Ordinal::new),
    }
}

fn import(lines: Vec<ImportedLine>) -> Command {
    Command::Import {
        about: about("team"),
        lines,
    }
}

fn imported(ordinal: u64, sender: &str, line: u64) -> Event {
    Event::MessageSent(Message {
        imported_line: Some(line),
        ..message(ordinal, sender)
    })
}

fn add(names: &[&str], role: Role) -> Command {
    Command::AddMembers {
        members: names.iter().map(|name| user(name)).collect(),
        role,
    }
}

fn left(member: &str, new_owner: Option<&str>) -> Event {
    Event::MemberLeft {
        member: user(member),
        new_owner: new_owner.map(user),
    }
}

#[test]
fn a_direct_conversation_is_created_once() {
    let wish = Command::CreateDirect { with: user("bob") };
    given::<Conversation>([])
        .when("ann", wish.clone())
        .then([direct()]);
    given::<Conversation>([direct()]).when("ann", wish).then([]);
    given::<Conversation>([direct()])
        .when("bob", Command::CreateDirect { with: user("ann") })
        .then([]);
}

#[test]
fn a_direct_conversation_needs_someone_else() {
    given::<Conversation>([])
        .when("ann", Command::CreateDirect { with: user("ann") })
        .then_refused(Error::DirectWithSelf);
}

#[test]
fn the_members_of_a_direct_conversation_never_change() {
    given::<Conversation>([direct()])
        .when("ann", add(&["cid"], Role::Member))
        .then_refused(Error::DirectMembersFixed);
    given::<Conversation>([direct()])
        .when("ann", Command::Leave)
        .then_refused(Error::DirectMembersFixed);
    given::<Conversation>([direct()])
        .when("eve", add(&["eve"], Role::Member))
        .then_refused(Error::NotFound);
}

#[test]
fn the_founder_of_a_group_is_its_owner_and_admin_and_nobody_is_in_it_twice() {
    given::<Conversation>([])
        .when(
            "ann",
            Command::CreateGroup {
                members: vec![user("bob"), user("ann"), user("bob")],
                about: about("team"),
            },
        )
        .then([team()]);
}

#[test]
fn a_group_is_not_founded_twice() {
    given::<Conversation>([team()])
        .when(
            "ann",
            Command::CreateGroup {
                members: vec![],
                about: about("team"),
            },
        )
        .then_refused(Error::Exists);
}

#[test]
fn one_command_names_a_bounded_number_of_members() {
    let many: Vec<_> = (0..=MAX_MEMBERS_AT_ONCE).map(|n| user(&n.to_string())).collect();
    given::<Conversation>([])
        .when(
            "ann",
            Command::CreateGroup {
                members: many.clone(),
                about: about("team"),
            },
        )
        .then_refused(Error::TooManyMembers);
    given::<Conversation>([team()])
        .when(
            "ann",
            Command::AddMembers {
                members: many,
                role: Role::Member,
            },
        )
        .then_refused(Error::TooManyMembers);
}

#[test]
fn messages_are_numbered_without_a_hole() {
    given::<Conversation>([team()])
        .when("bob", send(None))
        .then([Event::MessageSent(message(1, "bob"))]);
    given::<Conversation>([team(), Event::MessageSent(message(1, "bob"))])
        .when("ann", send(None))
        .then([Event::MessageSent(message(2, "ann"))]);
}

#[test]
fn only_members_send() {
    given::<Conversation>([team()])
        .when("eve", send(None))
        .then_refused(Error::NotFound);
    given::<Conversation>([])
        .when("eve", send(None))
        .then_refused(Error::NotFound);
    given::<Conversation>([team(), left("bob", None)])
        .when("bob", send(None))
        .then_refused(Error::NotFound);
    given::<Conversation>([team()])
        .when_system(send(None))
        .then_refused(Error::NoActor);
}

#[test]
fn a_reply_answers_a_message_that_exists() {
    let answer = Message {
        reply_to: Ordinal::new(1),
        ..message(2, "bob")
    };
    let history = [team(), Event::MessageSent(message(1, "ann"))];
    given::<Conversation>(history.clone())
        .when("bob", send(Some(1)))
        .then([Event::MessageSent(answer)]);
    given::<Conversation>(history)
        .when("bob", send(Some(2)))
        .then_refused(Error::NoSuchMessage(Ordinal::new(2).unwrap()));
}

#[test]
fn admins_and_moderators_add_members_and_only_admins_grant_roles() {
    let roles = group(&[
        ("ann", Role::Admin),
        ("mod", Role::Moderator),
        ("bob", Role::Member),
    ]);
    let added = |role| Event::MembersAdded {
        members: vec![(user("cid"), role)],
    };
    let given = || given::<Conversation>([roles.clone()]);
    given()
        .when("ann", add(&["cid"], Role::Moderator))
        .then([added(Role::Moderator)]);
    given()
        .when("mod", add(&["cid"], Role::Member))
        .then([added(Role::Member)]);
    given()
        .when("mod", add(&["cid"], Role::Moderator))
        .then_refused(Error::Forbidden);
    given()
        .when("bob", add(&["cid"], Role::Member))
        .then_refused(Error::Forbidden);
    given()
        .when("eve", add(&["cid"], Role::Member))
        .then_refused(Error::NotFound);
}

#[test]
fn who_is_a_member_already_is_not_added_again() {
    given::<Conversation>([team()])
        .when("ann", add(&["bob"], Role::Admin))
        .then([]);
    given::<Conversation>([team()])
        .when("ann", add(&["bob", "cid", "cid"], Role::Member))
        .then([Event::MembersAdded {
            members: vec![(user("cid"), Role::Member)],
        }]);
}

#[test]
fn who_left_can_come_back() {
    let rejoined = Event::MembersAdded {
        members: vec![(user("bob"), Role::Member)],
    };
    given::<Conversation>([team(), left("bob", None)])
        .when("ann", add(&["bob"], Role::Member))
        .then([rejoined.clone()]);
    given::<Conversation>([team(), left("bob", None), rejoined])
        .when("bob", send(None))
        .then([Event::MessageSent(message(1, "bob"))]);
}

#[test]
fn an_owner_hands_over_to_the_longest_standing_of_the_highest_role() {
    let cases = [
        (
            vec![
                ("ann", Role::Admin),
                ("m", Role::Member),
                ("b", Role::Admin),
                ("a", Role::Admin),
            ],
            Some("b"),
        ),
        (
            vec![("ann", Role::Admin), ("m", Role::Member), ("b", Role::Moderator)],
            Some("b"),
        ),
        (
            vec![("ann", Role::Admin), ("z", Role::Member), ("b", Role::Member)],
            Some("z"),
        ),
        (vec![("ann", Role::Admin)], None),
    ];
    for (members, heir) in cases {
        given::<Conversation>([group(&members)])
            .when("ann", Command::Leave)
            .then([left("ann", heir)].into_iter().chain(promoted(heir, &members)));
    }
}

/// Whoever takes over is an ADMIN from then on.
fn promoted(heir: Option<&str>, members: &[(&str, Role)]) -> Option<Event> {
    let (name, role) = members.iter().find(|(name, _)| heir == Some(*name))?;
    if *role == Role::Admin {
        return None;
    }
    Some(Event::RoleChanged {
        member: user(name),
        role: Role::Admin,
    })
}

#[test]
fn a_plain_member_leaves_without_a_handover() {
    given::<Conversation>([team()])
        .when("bob", Command::Leave)
        .then([left("bob", None)]);
    given::<Conversation>([team(), left("bob", None)])
        .when("bob", Command::Leave)
        .then_refused(Error::NotFound);
}

#[test]
fn an_import_founds_the_group_and_takes_each_line_once() {
    given::<Conversation>([])
        .when_system(import(vec![
            line(3, "ann", None),
            line(5, "bob", Some(1)),
            line(6, "ann", None),
        ]))
        .then([
            team(),
            imported(1, "ann", 3),
            Event::MessageSent(Message {
                reply_to: Ordinal::new(1),
                imported_line: Some(5),
                ..message(2, "bob")
            }),
            imported(3, "ann", 6),
        ]);
    let history = [team(), imported(1, "ann", 3), imported(2, "bob", 5)];
    given::<Conversation>(history.clone())
        .when_system(import(vec![line(3, "ann", None), line(5, "bob", None)]))
        .then([]);
    given::<Conversation>(history)
        .when_system(import(vec![line(5, "bob", None), line(7, "cid", None)]))
        .then([
            Event::MembersAdded {
                members: vec![(user("cid"), Role::Member)],
            },
            imported(3, "cid", 7),
        ]);
}

#[test]
fn an_import_goes_on_where_people_have_written_since() {
    given::<Conversation>([
        team(),
        imported(1, "ann", 3),
        Event::MessageSent(message(2, "bob")),
    ])
    .when_system(import(vec![line(3, "ann", None), line(4, "bob", None)]))
    .then([imported(3, "bob", 4)]);
}

#[test]
fn an_imported_reply_answers_an_earlier_message() {
    given::<Conversation>([])
        .when_system(import(vec![line(0, "ann", Some(1))]))
        .then_refused(Error::NoSuchMessage(Ordinal::new(1).unwrap()));
}

#[test]
fn marks_are_a_matter_of_members_and_of_messages_that_exist() {
    let mut state = Conversation::default();
    Conversation::evolve(&mut state, &team());
    let (bob, first) = (user("bob"), Ordinal::new(1).unwrap());
    assert_eq!(
        reads::decide(&state, &bob, reads::Command::MarkRead(None)),
        Ok(None)
    );
    Conversation::evolve(&mut state, &Event::MessageSent(message(1, "ann")));
    assert_eq!(
        reads::decide(&state, &bob, reads::Command::MarkRead(None)),
        Ok(Some(reads::Event::ReadMarked {
            member: bob.clone(),
            up_to: first
        }))
    );
    assert_eq!(
        reads::decide(&state, &bob, reads::Command::MarkUnread(first)),
        Ok(Some(reads::Event::MarkedUnread {
            member: bob.clone(),
            mark: 0
        }))
    );
    let second = Ordinal::new(2).unwrap();
    for command in [
        reads::Command::MarkRead(Some(second)),
        reads::Command::MarkUnread(second),
    ] {
        assert_eq!(
            reads::decide(&state, &bob, command),
            Err(Error::NoSuchMessage(second))
        );
    }
    assert_eq!(
        reads::decide(&state, &user("eve"), reads::Command::MarkRead(None)),
        Err(Error::NotFound)
    );
}
