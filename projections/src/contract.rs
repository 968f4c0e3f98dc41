//! The suite that every store passes, and what the tests of stores are made with.
//!
//! A property is a function over a [`Home`], the place that a store lives in;
//! [`read_model_contract!`](crate::read_model_contract) makes a test of each. A suite fails by panicking,
//! so nothing here returns errors.

#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a suite fails by panicking"
)]

pub mod attachments;
pub mod changes;
pub mod checkpoints;
pub mod conversations;
pub mod facts;
pub mod generations;
mod history;
pub mod memberships;
pub mod messages;
pub mod notify;
pub mod receipts;
pub mod settings;
pub mod statuses;

use std::sync::Arc;

use async_trait::async_trait;

pub use history::{History, NOW, at, list, ordinal, tenant};

use crate::rebuild::Generations;
use crate::store::{ProjectionStore, ReadModel};

/// A place that one store lives in. It is gone when it is dropped.
#[async_trait]
pub trait Home: Send + Sync + Sized + 'static {
    /// The store that lives here.
    type Store: ReadModel + ProjectionStore + Generations;

    /// A place where no store has been.
    async fn fresh() -> Self;

    /// The store that lives here, made when it is opened first. Opening it again gives what it held.
    async fn open(&self) -> Arc<Self::Store>;

    /// The store as another node has it open beside this one. Where only one node can, it is the same.
    async fn beside(&self, open: &Arc<Self::Store>) -> Arc<Self::Store>;

    /// Every row that is folded from the log, as text, in an order that depends on the rows alone.
    async fn dump(&self) -> String;
}

/// Makes a test of each property for stores that live in a [`Home`](crate::contract::Home).
///
/// ```ignore
/// mod sqlite {
///     projections::read_model_contract!(super::SqliteHome);
/// }
/// ```
#[macro_export]
macro_rules! read_model_contract {
    ($home:ty) => {
        $crate::read_model_contract! { @each $home;
            checkpoints::a_new_store_has_none,
            checkpoints::a_batch_moves_its_shard_alone,
            checkpoints::a_batch_is_applied_once,
            checkpoints::who_was_overtaken_is_told_so,
            checkpoints::a_batch_of_another_log_is_refused,
            checkpoints::a_batch_that_is_refused_changes_nothing,
            checkpoints::a_batch_that_breaks_the_tables_is_damage,
            checkpoints::what_was_applied_outlives_the_process,
            conversations::a_group_is_shown_with_everything,
            conversations::a_direct_conversation_has_no_name,
            conversations::the_newest_activity_comes_first,
            conversations::pages_continue_where_the_last_one_ended,
            conversations::conversations_of_the_same_moment_are_all_there,
            conversations::who_left_sees_nothing_and_who_is_back_sees_all,
            conversations::nothing_crosses_from_one_tenant_to_another,
            conversations::a_view_has_the_longest_standing_members,
            conversations::the_owner_who_leaves_hands_over,
            conversations::profiles_are_the_newest_ones,
            memberships::memberships_come_with_checkpoints,
            memberships::active_conversations_are_always_the_newest,
            memberships::memberships_say_what_changed_them,
            memberships::changed_memberships_are_listed_by_shard,
            memberships::a_page_of_changes_ends_between_commits,
            messages::the_newest_page_is_the_default,
            messages::pages_go_both_ways,
            messages::a_conversation_without_messages_is_an_empty_page,
            messages::messages_are_for_members_alone,
            messages::messages_are_hydrated_in_the_order_asked_for,
            messages::what_was_erased_is_gone_and_the_rest_stays,
            messages::ids_of_the_outside_are_only_text,
            receipts::own_messages_are_never_unread,
            receipts::unread_counts_after_the_mark_was_set_back,
            receipts::joining_reads_everything_but_tells_nobody,
            receipts::receipts_say_since_when,
            receipts::receipts_never_go_back,
            receipts::receipts_are_for_members_alone,
            changes::an_edited_message_keeps_what_it_said,
            changes::a_deleted_message_says_nothing_any_more,
            changes::reactions_are_counted_by_emoji,
            changes::an_answer_shows_what_it_answers,
            changes::what_becomes_of_a_message_is_for_members_alone,
            changes::files_and_cards_are_kept,
            changes::messages_are_counted_by_type_sender_and_day,
            changes::the_facts_of_a_message_come_with_their_checkpoint,
            settings::a_hidden_message_is_gone_for_one_user_alone,
            settings::what_is_deleted_or_hidden_is_not_unread,
            settings::an_archived_conversation_comes_back_with_a_message,
            settings::a_muted_conversation_stays_archived,
            settings::the_list_is_filtered_by_what_is_asked,
            settings::conversations_are_counted,
            settings::members_come_in_pages,
            settings::a_group_is_renamed_and_its_members_change,
            conversations::sizes_and_authors_are_told,
            statuses::a_status_is_told_with_the_profile,
            statuses::changed_statuses_are_listed_by_shard,
            notify::members_are_notified_who_were_there_and_have_not_read,
            notify::a_device_is_known_until_it_ends,
            facts::a_command_is_known_with_its_checkpoint,
            facts::the_first_of_a_repeated_command_stays,
            facts::old_commands_are_pruned_a_few_at_once,
            facts::a_snapshot_is_kept_until_a_newer_one_comes,
            facts::a_snapshot_of_another_log_takes_the_place,
            generations::a_rebuilt_generation_takes_the_place,
            generations::a_discarded_generation_leaves_no_trace,
            generations::there_is_one_rebuild_at_a_time,
            generations::a_held_generation_is_asked_after_the_swap,
            attachments::a_file_is_its_users_and_then_the_members,
            attachments::a_file_of_deleted_messages_is_out_of_reach,
            attachments::unused_files_are_found_and_removed,
        }
    };
    (@each $home:ty; $($part:ident::$property:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $property() {
            $crate::contract::$part::$property::<$home>().await;
        }
    )*};
}
