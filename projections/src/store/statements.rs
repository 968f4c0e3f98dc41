//! The statements, each in its own file, and each once in every dialect.

macro_rules! statements {
    () => { statements! { @each
        ACTIVE_CONVERSATIONS = "active_conversations.sql";
        APPLY_ATTACHMENTS = "apply_attachments.sql";
        APPLY_ATTACHMENTS_REMOVED = "apply_attachments_removed.sql";
        APPLY_ATTACHMENT_USES = "apply_attachment_uses.sql";
        APPLY_COMMANDS = "apply_commands.sql";
        APPLY_CONVERSATIONS = "apply_conversations.sql";
        APPLY_HIDDEN = "apply_hidden.sql";
        APPLY_MARKS = "apply_marks.sql";
        APPLY_MEMBERS = "apply_members.sql";
        APPLY_MESSAGES = "apply_messages.sql";
        APPLY_MESSAGE_CHANGES = "apply_message_changes.sql";
        APPLY_PUSH_SUBSCRIPTIONS = "apply_push_subscriptions.sql";
        APPLY_REACTIONS = "apply_reactions.sql";
        APPLY_REACTIONS_REMOVED = "apply_reactions_removed.sql";
        APPLY_READ_MOVES = "apply_read_moves.sql";
        APPLY_SETTINGS = "apply_settings.sql";
        APPLY_STATUSES = "apply_statuses.sql";
        APPLY_USERS = "apply_users.sql";
        APPLY_VERSIONS = "apply_versions.sql";
        AUTHORS = "authors.sql";
        ATTACHMENT = "attachment.sql";
        ATTACHMENTS_AFTER = "attachments_after.sql";
        ATTACHMENT_FOR = "attachment_for.sql";
        CHECKPOINTS = "checkpoints.sql";
        CHECKPOINT_LOAD = "checkpoint_load.sql";
        CHECKPOINT_MOVE = "checkpoint_move.sql";
        CHECKPOINT_START = "checkpoint_start.sql";
        COMMAND_IDS = "command_ids.sql";
        CONVERSATION_MEMBERS = "conversation_members.sql";
        CONVERSATION_PAGE = "conversation_page.sql";
        CONVERSATION_STATS = "conversation_stats.sql";
        CONVERSATION_VIEWS = "conversation_views.sql";
        END_PUSH_SUBSCRIPTIONS = "end_push_subscriptions.sql";
        FACTS = "facts.sql";
        HAS_READ = "has_read.sql";
        HYDRATE = "hydrate.sql";
        IS_HIDDEN = "is_hidden.sql";
        LOAD_CONVERSATIONS = "load_conversations.sql";
        LOAD_MEMBERS = "load_members.sql";
        LOAD_MESSAGES = "load_messages.sql";
        LOAD_SETTINGS = "load_settings.sql";
        MEMBERSHIPS = "memberships.sql";
        MEMBERSHIP_CHANGES = "membership_changes.sql";
        MEMBERS_NAMED = "members_named.sql";
        MEMBERS_OF = "members_of.sql";
        MEMBER_PAGE = "member_page.sql";
        MESSAGES_AFTER = "messages_after.sql";
        MESSAGES_BEFORE = "messages_before.sql";
        MESSAGE_FACTS = "message_facts.sql";
        MESSAGE_REACTIONS = "message_reactions.sql";
        MESSAGE_STATS = "message_stats.sql";
        MESSAGE_VERSIONS = "message_versions.sql";
        OWN_ATTACHMENTS = "own_attachments.sql";
        PROFILES = "profiles.sql";
        PRUNE_COMMANDS = "prune_commands.sql";
        PURGE_REACTIONS = "purge_reactions.sql";
        PURGE_VERSIONS = "purge_versions.sql";
        PUSH_SUBSCRIPTIONS = "push_subscriptions.sql";
        RECEIPTS = "receipts.sql";
        RECIPIENTS = "recipients.sql";
        RECIPIENTS_AMONG = "recipients_among.sql";
        SIZES = "sizes.sql";
        RELEASE_ATTACHMENT_USES = "release_attachment_uses.sql";
        SNAPSHOT_LOAD = "snapshot_load.sql";
        SNAPSHOT_SAVE = "snapshot_save.sql";
        STATUS_CHANGES = "status_changes.sql";
        UNREAD = "unread.sql";
    } };
    (@each $($name:ident = $file:literal;)*) => {
        $(pub(super) const $name: &str = include_str!(concat!("sql/", $file));)*

        /// Every statement with the name of its file.
        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$(($file, $name)),*];
    };
}
