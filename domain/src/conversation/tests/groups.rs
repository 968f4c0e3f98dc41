//! Who may change a group, and how: every cell of the table.

use super::*;

const NAMES: [(&str, Role); 6] = [
    ("owner", Role::Admin),
    ("admin", Role::Admin),
    ("moderator", Role::Moderator),
    ("member", Role::Member),
    ("other_moderator", Role::Moderator),
    ("other_member", Role::Member),
];

fn when(actor: &str, command: Command) -> Result<Vec<Event>, Error> {
    let mut state = Conversation::default();
    Conversation::evolve(&mut state, &group(&NAMES));
    let context = Context {
        actor: Some(user(actor)),
        ..Context::default()
    };
    Conversation::decide(&state, &command, &context)
}

fn remove(member: &str) -> Command {
    Command::RemoveMember { member: user(member) }
}

fn change_role(member: &str, role: Role) -> Command {
    Command::ChangeRole {
        member: user(member),
        role,
    }
}

fn rename(name: &str) -> InfoChange {
    InfoChange {
        name: Some(GroupName::parse(name).unwrap()),
        ..InfoChange::default()
    }
}

#[test]
fn who_removes_whom() {
    // Whether owner, admin, moderator, member may remove the one named first.
    let table = [
        ("owner", [false, false, false, false]),
        ("admin", [true, true, false, false]),
        ("moderator", [true, true, false, false]),
        ("other_moderator", [true, true, false, false]),
        ("member", [true, true, true, false]),
        ("other_member", [true, true, true, false]),
    ];
    for (target, allowed) in table {
        for (actor, may) in ["owner", "admin", "moderator", "member"].into_iter().zip(allowed) {
            let expected = if may {
                let member = user(target);
                Ok(vec![Event::MemberRemoved { member }])
            } else {
                Err(Error::Forbidden)
            };
            assert_eq!(when(actor, remove(target)), expected, "{actor} removes {target}");
        }
    }
    assert_eq!(when("stranger", remove("member")), Err(Error::NotFound));
    assert_eq!(
        when("admin", remove("stranger")),
        Err(Error::NotAMember(user("stranger")))
    );
    assert_eq!(when("member", remove("stranger")), Err(Error::Forbidden));
}

#[test]
fn who_gives_which_roles() {
    for (target, role) in NAMES {
        for actor in ["owner", "admin", "moderator", "member"] {
            for wanted in [Role::Admin, Role::Moderator, Role::Member] {
                let may = matches!(actor, "owner" | "admin");
                let expected = match (may, wanted == role, target == "owner") {
                    (false, ..) | (true, false, true) => Err(Error::Forbidden),
                    (true, true, _) => Ok(vec![]),
                    (true, false, false) => Ok(vec![Event::RoleChanged {
                        member: user(target),
                        role: wanted,
                    }]),
                };
                let found = when(actor, change_role(target, wanted));
                assert_eq!(found, expected, "{actor} makes {target} {wanted:?}");
            }
        }
    }
    assert_eq!(
        when("stranger", change_role("member", Role::Admin)),
        Err(Error::NotFound)
    );
    let nobody = when("admin", change_role("stranger", Role::Admin));
    assert_eq!(nobody, Err(Error::NotAMember(user("stranger"))));
}

#[test]
fn a_role_that_was_given_counts() {
    let given_role = Event::RoleChanged {
        member: user("bob"),
        role: Role::Moderator,
    };
    given::<Conversation>([
        group(&[("ann", Role::Admin), ("bob", Role::Member), ("cid", Role::Member)]),
        given_role,
    ])
    .when("bob", remove("cid"))
    .then([Event::MemberRemoved { member: user("cid") }]);
}

#[test]
fn admins_change_what_a_group_is_called() {
    for actor in ["owner", "admin"] {
        let expected = Event::InfoChanged {
            by: user(actor),
            fields: vec![InfoField::Name],
            change: Private::Readable(rename("Garden")),
        };
        assert_eq!(
            when(actor, Command::ChangeInfo(rename("Garden"))),
            Ok(vec![expected])
        );
    }
    for actor in ["moderator", "member"] {
        let refused = when(actor, Command::ChangeInfo(rename("Garden")));
        assert_eq!(refused, Err(Error::Forbidden));
    }
    assert_eq!(
        when("stranger", Command::ChangeInfo(rename("Garden"))),
        Err(Error::NotFound)
    );
    assert_eq!(
        when("owner", Command::ChangeInfo(InfoChange::default())),
        Ok(vec![])
    );
}

#[test]
fn a_direct_conversation_has_no_member_commands() {
    for command in [
        remove("bob"),
        change_role("bob", Role::Admin),
        add(&["cid"], Role::Member),
        Command::Leave,
    ] {
        given::<Conversation>([direct()])
            .when("ann", command.clone())
            .then_refused(Error::DirectMembersFixed);
        given::<Conversation>([direct()])
            .when("cid", command)
            .then_refused(Error::NotFound);
    }
    given::<Conversation>([direct()])
        .when("ann", Command::ChangeInfo(rename("us")))
        .then_refused(Error::DirectWithoutInfo);
}

#[test]
fn who_was_removed_is_no_member_until_added_again() {
    let removed = Event::MemberRemoved { member: user("bob") };
    given::<Conversation>([team(), removed.clone()])
        .when("bob", send(None))
        .then_refused(Error::NotFound);
    given::<Conversation>([team(), removed])
        .when("ann", add(&["bob"], Role::Member))
        .then([Event::MembersAdded {
            members: vec![(user("bob"), Role::Member)],
        }]);
}

#[test]
fn behind_the_last_one_a_group_is_closed() {
    let gone = [team(), left("bob", None), left("ann", None)];
    for command in [
        send(None),
        add(&["bob"], Role::Member),
        Command::ChangeInfo(rename("x")),
    ] {
        given::<Conversation>(gone.clone())
            .when("ann", command)
            .then_refused(Error::NotFound);
    }
}
