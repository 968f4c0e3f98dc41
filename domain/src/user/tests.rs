//! A user's profile, status, devices and own conversations.

use super::*;
use crate::push::{PushEndpoint, PushPoint, PushSecret};
use crate::testing::{given, user};

fn profile(name: &str) -> Profile {
    Profile {
        name: DisplayName::parse(name).unwrap(),
        avatar: None,
    }
}

fn updated(profile: Private<Profile>) -> Event {
    Event::ProfileUpdated {
        user: user("ann"),
        profile,
    }
}

#[test]
fn a_new_profile_is_recorded() {
    given::<User>([])
        .when("ann", Command::UpdateProfile(profile("Ann")))
        .then([updated(Private::Readable(profile("Ann")))]);
}

#[test]
fn the_same_profile_again_changes_nothing() {
    given::<User>([updated(Private::Readable(profile("Ann")))])
        .when("ann", Command::UpdateProfile(profile("Ann")))
        .then([]);
}

#[test]
fn an_erased_profile_is_recorded_anew() {
    given::<User>([updated(Private::Erased)])
        .when("ann", Command::UpdateProfile(profile("Ann")))
        .then([updated(Private::Readable(profile("Ann")))]);
}

fn change(name: Option<&str>, avatar: Option<Option<&str>>, status: Option<Status>) -> Command {
    let avatar = avatar.map(|avatar| avatar.map(|url| Avatar::parse(url).unwrap()));
    Command::Change {
        user: user("ann"),
        profile: ProfileChange {
            name: name.map(|name| DisplayName::parse(name).unwrap()),
            avatar,
        },
        status,
    }
}

fn changed(name: &str, avatar: Option<&str>) -> Event {
    Event::ProfileChanged {
        user: user("ann"),
        profile: Private::Readable(Profile {
            avatar: avatar.map(|url| Avatar::parse(url).unwrap()),
            ..profile(name)
        }),
    }
}

#[test]
fn what_a_user_changed_stays_until_the_identity_provider_has_news() {
    let told = updated(Private::Readable(profile("Ann")));
    let picture = "https://example.org/a.png";
    given::<User>([told.clone()])
        .when("ann", change(None, Some(Some(picture)), None))
        .then([changed("Ann", Some(picture))]);
    given::<User>([told.clone(), changed("Annie", Some(picture))])
        .when("ann", change(None, Some(None), None))
        .then([changed("Annie", None)]);
    given::<User>([told.clone(), changed("Annie", None)])
        .when("ann", Command::UpdateProfile(profile("Ann")))
        .then([]);
    given::<User>([told, changed("Annie", None)])
        .when("ann", Command::UpdateProfile(profile("Anna")))
        .then([updated(Private::Readable(profile("Anna")))]);
}

#[test]
fn who_is_not_called_anything_needs_a_name() {
    given::<User>([])
        .when("ann", change(None, Some(None), None))
        .then_refused(Error::Nameless);
    given::<User>([updated(Private::Erased)])
        .when("ann", change(None, Some(None), Some(Status::Blocked)))
        .then_refused(Error::Nameless);
    given::<User>([])
        .when("ann", change(Some("Ann"), None, None))
        .then([changed("Ann", None)]);
}

#[test]
fn a_status_is_changed_by_another_one() {
    let blocked = Event::StatusChanged(Status::Blocked);
    given::<User>([])
        .when("backend", change(None, None, Some(Status::Active)))
        .then([]);
    given::<User>([])
        .when("backend", change(Some("Ann"), None, Some(Status::Blocked)))
        .then([changed("Ann", None), blocked.clone()]);
    given::<User>([blocked])
        .when("backend", change(None, None, Some(Status::Active)))
        .then([Event::StatusChanged(Status::Active)]);
}

fn conversation() -> ConversationId {
    ConversationId::from_bytes([7; 16])
}

fn muted(until: Option<i64>) -> Event {
    Event::Muted {
        conversation: conversation(),
        until: until.map(Timestamp::from_millis),
    }
}

fn mute(until: Option<i64>) -> Command {
    Command::Mute {
        conversation: conversation(),
        until: until.map(Timestamp::from_millis),
        came_back: false,
    }
}

#[test]
fn what_came_back_is_not_put_away_by_muting_it() {
    let came_back = Command::Mute {
        conversation: conversation(),
        until: None,
        came_back: true,
    };
    given::<User>([Event::Archived(conversation())])
        .when("ann", came_back.clone())
        .then([Event::Unarchived(conversation()), muted(None)]);
    given::<User>([]).when("ann", came_back).then([muted(None)]);
    given::<User>([Event::Archived(conversation())])
        .when("ann", mute(None))
        .then([muted(None)]);
}

#[test]
fn archiving_counts_each_time_and_bringing_back_once() {
    let (archived, unarchived) = (Event::Archived(conversation()), Event::Unarchived(conversation()));
    given::<User>([archived.clone()])
        .when("ann", Command::Archive(conversation()))
        .then([archived.clone()]);
    given::<User>([archived.clone()])
        .when("ann", Command::Unarchive(conversation()))
        .then([unarchived.clone()]);
    given::<User>([archived, unarchived])
        .when("ann", Command::Unarchive(conversation()))
        .then([]);
}

#[test]
fn muting_is_for_ever_or_until_a_time_to_come() {
    given::<User>([]).when("ann", mute(None)).then([muted(None)]);
    given::<User>([])
        .when("ann", mute(Some(1_001)))
        .then([muted(Some(1_001))]);
    given::<User>([])
        .when("ann", mute(Some(1_000)))
        .then_refused(Error::MutedUntilThePast);
    given::<User>([muted(None)]).when("ann", mute(None)).then([]);
    given::<User>([muted(None)])
        .when("ann", mute(Some(2_000)))
        .then([muted(Some(2_000))]);
    given::<User>([muted(None)])
        .when("ann", Command::Unmute(conversation()))
        .then([Event::Unmuted(conversation())]);
    given::<User>([])
        .when("ann", Command::Unmute(conversation()))
        .then([]);
}

fn target(key: char) -> PushTarget {
    PushTarget {
        endpoint: PushEndpoint::parse("https://push.example.com/1").unwrap(),
        p256dh: PushPoint::parse(format!("B{}", String::from(key).repeat(86))).unwrap(),
        auth: PushSecret::parse("a".repeat(22)).unwrap(),
    }
}

fn subscription(number: u8) -> PushId {
    PushId::from_bytes([number; 16])
}

fn subscribed(number: u8, target: Private<PushTarget>) -> Event {
    Event::PushSubscribed {
        user: user("ann"),
        subscription: subscription(number),
        target,
    }
}

#[test]
fn a_device_is_subscribed_once_and_anew_with_new_keys() {
    let (one, other) = (target('a'), target('b'));
    let known = subscribed(1, Private::Readable(one.clone()));
    given::<User>([])
        .when("ann", Command::Subscribe(subscription(1), one.clone()))
        .then([known.clone()]);
    given::<User>([known.clone()])
        .when("ann", Command::Subscribe(subscription(1), one.clone()))
        .then([]);
    given::<User>([known.clone()])
        .when("ann", Command::Subscribe(subscription(1), other.clone()))
        .then([subscribed(1, Private::Readable(other))]);
    given::<User>([])
        .when_system(Command::Subscribe(subscription(1), one))
        .then_refused(Error::NoActor);
}

#[test]
fn a_subscription_ends_once_whoever_says_so() {
    let known = subscribed(1, Private::Readable(target('a')));
    let ended = Event::PushUnsubscribed(subscription(1));
    given::<User>([known.clone()])
        .when_system(Command::Unsubscribe(subscription(1)))
        .then([ended.clone()]);
    given::<User>([known, ended])
        .when("ann", Command::Unsubscribe(subscription(1)))
        .then([]);
}

#[test]
fn subscriptions_are_few_and_erased_ones_do_not_count() {
    let all = |target: fn() -> Private<PushTarget>| (1..=20).map(move |number| subscribed(number, target()));
    let more = || Command::Subscribe(subscription(21), target('a'));
    given::<User>(all(|| Private::Readable(target('a'))))
        .when("ann", more())
        .then_refused(Error::TooManySubscriptions);
    given::<User>(all(|| Private::Readable(target('a'))))
        .when("ann", Command::Subscribe(subscription(20), target('b')))
        .then([subscribed(20, Private::Readable(target('b')))]);
    given::<User>(all(|| Private::Erased))
        .when("ann", more())
        .then([subscribed(21, Private::Readable(target('a')))]);
}

#[test]
fn nobody_changes_a_profile_without_being_someone() {
    given::<User>([])
        .when_system(Command::UpdateProfile(profile("Ann")))
        .then_refused(Error::NoActor);
}
