//! Who is in a conversation, and what they may do there.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Conversation, Error, Event, GroupInfo, InfoChange, Kind, MAX_MEMBERS_AT_ONCE, Member};
use crate::aggregate::Context;
use crate::permission::{Permission, Role};
use crate::{Private, UserId};

type Decided = Result<Vec<Event>, Error>;

impl Conversation {
    pub(super) fn join(&mut self, joining: &[(UserId, Role)]) {
        let members = Arc::make_mut(&mut self.members);
        for (user, role) in joining {
            members.insert(
                user.clone(),
                Member {
                    role: *role,
                    standing: self.joins,
                },
            );
            self.joins += 1;
        }
    }

    pub(super) fn part(&mut self, member: &UserId) {
        Arc::make_mut(&mut self.members).remove(member);
    }

    pub(super) fn give_role(&mut self, member: &UserId, role: Role) {
        if let Some(member) = Arc::make_mut(&mut self.members).get_mut(member) {
            member.role = role;
        }
    }

    /// Who takes over from the owner: the longest-standing ADMIN, then MODERATOR, then MEMBER.
    fn successor(&self, leaving: &UserId) -> Option<(&UserId, &Member)> {
        let remaining = self.members.iter().filter(|(user, _)| *user != leaving);
        remaining.min_by_key(|(_, m)| (Reverse(m.role), m.standing))
    }

    /// Who acts, if that is a member of a group whose members may change.
    fn actor_in_group(&self, context: &Context) -> Result<UserId, Error> {
        let actor = self.authorize(context, Permission::Participate)?;
        if self.kind == Some(Kind::Direct) {
            return Err(Error::DirectMembersFixed);
        }
        Ok(actor)
    }

    fn is_owner(&self, user: &UserId) -> bool {
        self.owner.as_ref() == Some(user)
    }
}

pub(super) fn create_direct(state: &Conversation, with: &UserId, context: &Context) -> Decided {
    let founder = context.actor.clone().ok_or(Error::NoActor)?;
    if *with == founder {
        return Err(Error::DirectWithSelf);
    }
    if state.kind.is_some() {
        // The id is made of the two, so what is there is what was wished for.
        state.member(&founder)?;
        return Ok(Vec::new());
    }
    Ok(vec![Event::Created {
        kind: Kind::Direct,
        members: vec![(founder.clone(), Role::Member), (with.clone(), Role::Member)],
        founder,
        owner: None,
        about: None,
    }])
}

pub(super) fn create_group(
    state: &Conversation,
    members: &[UserId],
    about: &GroupInfo,
    context: &Context,
) -> Decided {
    let founder = context.actor.clone().ok_or(Error::NoActor)?;
    if state.kind.is_some() {
        return Err(Error::Exists);
    }
    if members.len() > MAX_MEMBERS_AT_ONCE {
        return Err(Error::TooManyMembers);
    }
    let mut joining = vec![(founder.clone(), Role::Admin)];
    let mut seen = BTreeSet::from([&founder]);
    joining.extend(
        members
            .iter()
            .filter(|m| seen.insert(m))
            .map(|m| (m.clone(), Role::Member)),
    );
    Ok(vec![Event::Created {
        kind: Kind::Group,
        members: joining,
        owner: Some(founder.clone()),
        founder,
        about: Some(Private::Readable(about.clone())),
    }])
}

pub(super) fn add(state: &Conversation, members: &[UserId], role: Role, context: &Context) -> Decided {
    state.actor_in_group(context)?;
    state.authorize(context, Permission::AddMembers)?;
    if role != Role::Member {
        state.authorize(context, Permission::GrantRoles)?;
    }
    if members.len() > MAX_MEMBERS_AT_ONCE {
        return Err(Error::TooManyMembers);
    }
    let mut seen = BTreeSet::new();
    let joining: Vec<_> = members
        .iter()
        .filter(|user| !state.members.contains_key(user) && seen.insert(*user))
        .map(|user| (user.clone(), role))
        .collect();
    Ok(if joining.is_empty() {
        Vec::new()
    } else {
        vec![Event::MembersAdded { members: joining }]
    })
}

pub(super) fn remove(state: &Conversation, member: &UserId, context: &Context) -> Decided {
    state.actor_in_group(context)?;
    let role = state.members.get(member).map(|member| member.role);
    // Who may remove nobody is not told who is a member.
    state.authorize(context, Permission::Remove(role.unwrap_or(Role::Member)))?;
    if role.is_none() {
        return Err(Error::NotAMember(member.clone()));
    }
    if state.is_owner(member) {
        return Err(Error::Forbidden);
    }
    let member = member.clone();
    Ok(vec![Event::MemberRemoved { member }])
}

pub(super) fn change_role(state: &Conversation, member: &UserId, role: Role, context: &Context) -> Decided {
    state.actor_in_group(context)?;
    state.authorize(context, Permission::GrantRoles)?;
    let current = state.members.get(member);
    let current = current.ok_or_else(|| Error::NotAMember(member.clone()))?.role;
    if current == role {
        return Ok(Vec::new());
    }
    if state.is_owner(member) {
        return Err(Error::Forbidden);
    }
    let member = member.clone();
    Ok(vec![Event::RoleChanged { member, role }])
}

pub(super) fn change_info(state: &Conversation, change: &InfoChange, context: &Context) -> Decided {
    state.authorize(context, Permission::Participate)?;
    if state.kind == Some(Kind::Direct) {
        return Err(Error::DirectWithoutInfo);
    }
    let by = state.authorize(context, Permission::ChangeInfo)?;
    let fields = change.fields();
    Ok(if fields.is_empty() {
        Vec::new()
    } else {
        vec![Event::InfoChanged {
            by,
            fields,
            change: Private::Readable(change.clone()),
        }]
    })
}

/// An owner hands over to whoever remains, who becomes an ADMIN: a group is never without one.
pub(super) fn leave(state: &Conversation, context: &Context) -> Decided {
    let member = state.actor_in_group(context)?;
    let heir = state.successor(&member).filter(|_| state.is_owner(&member));
    let promoted = heir.filter(|(_, heir)| heir.role != Role::Admin);
    let mut events = vec![Event::MemberLeft {
        new_owner: heir.map(|(heir, _)| heir.clone()),
        member,
    }];
    events.extend(promoted.map(|(heir, _)| Event::RoleChanged {
        member: heir.clone(),
        role: Role::Admin,
    }));
    Ok(events)
}
