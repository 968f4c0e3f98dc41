//! The suite that every log passes, and what the tests of logs and of their users are made with.
//!
//! A property is a function over a [`Home`], the place that a log lives in; [`log_contract!`](crate::log_contract)
//! makes a test of each. [`LostAcks`] loses acknowledgements on purpose, [`nats`] and [`postgres`] start private
//! servers, [`proxy`] breaks the links to them. The suite of live delivery is in [`live`], that of key stores in
//! [`keys`]. A suite fails by panicking, so nothing here returns errors.

#![allow(clippy::unwrap_used, reason = "a suite fails by panicking")]

pub mod appending;
mod fixture;
pub mod following;
pub mod keys;
pub mod live;
mod lost_acks;
pub mod nats;
pub mod postgres;
pub mod proxy;
pub mod reading;
pub mod resending;
mod signal;

use std::sync::Arc;

use async_trait::async_trait;

pub use lost_acks::{Loss, LostAcks};

use crate::log::EventLog;

/// A place that one log lives in. It is gone when it is dropped.
#[async_trait]
pub trait Home: Send + Sync + Sized + 'static {
    /// A place where no log has been.
    async fn fresh() -> Self;

    /// The log that lives here, made when it is opened first. Opening it again gives the same log.
    async fn open(&self) -> Arc<dyn EventLog>;
}

/// Makes a test of each property for logs that live in a [`Home`](crate::contract::Home).
///
/// ```ignore
/// mod embedded {
///     eventstore::log_contract!(super::EmbeddedHome);
/// }
/// ```
#[macro_export]
macro_rules! log_contract {
    ($home:ty) => {
        $crate::log_contract! { @each $home;
            appending::an_empty_log_has_nothing,
            appending::what_was_appended_is_read_back,
            appending::an_append_that_expects_another_head_conflicts,
            appending::of_concurrent_appends_at_one_head_exactly_one_wins,
            appending::concurrent_appends_keep_the_order_they_were_acknowledged_in,
            appending::a_commit_is_there_whole_or_not_at_all,
            appending::a_commit_over_the_cap_is_refused,
            appending::a_repeated_commit_id_adds_no_second_record,
            appending::a_commit_id_counts_within_its_stream,
            appending::ids_of_the_outside_stay_within_their_stream,
            appending::the_reads_lane_is_apart_from_its_conversation,
            appending::every_shard_owns_its_streams,
            reading::an_acknowledged_append_is_seen_at_once,
            reading::pages_are_complete_whatever_the_limit,
            reading::large_records_make_short_pages_and_no_holes,
            reading::pages_that_are_read_while_others_append_have_no_holes,
            reading::an_opened_log_is_the_same_log,
            reading::a_new_log_has_another_epoch,
            following::a_follower_gets_all_there_is_and_what_comes,
            following::a_follower_begins_in_the_middle,
            following::a_follower_that_was_cut_resumes_where_it_ended,
            following::followers_do_not_disturb_each_other,
            following::a_follower_gets_large_records_one_after_another,
            resending::an_append_whose_acknowledgement_was_lost_is_there_once,
            resending::an_append_that_was_lost_arrives_when_it_is_sent_again,
            resending::an_append_that_arrives_late_is_there_once,
            resending::an_append_that_was_lost_gives_way_to_another,
            resending::many_appenders_that_lose_acknowledgements_lose_and_double_nothing,
        }
    };
    (@each $home:ty; $($part:ident::$property:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $property() {
            $crate::contract::$part::$property::<$home>().await;
        }
    )*};
}

/// Makes a test of each property for logs that live in a [`LiveHome`](crate::contract::live::LiveHome).
#[macro_export]
macro_rules! live_contract {
    ($home:ty) => {
        $crate::log_contract! { @each $home;
            live::a_feed_hands_out_what_it_listens_to_and_nothing_else,
            live::who_listens_late_gets_what_came_since,
            live::who_begins_to_listen_while_others_append_misses_nothing,
            live::listening_twice_changes_nothing,
            live::what_was_left_can_be_listened_to_again,
            live::a_thousand_streams_are_listened_to_at_once,
            live::verified_advances_without_records,
            live::feeds_hear_what_several_append_at_once,
            live::a_feed_that_was_dropped_is_replaced,
        }
    };
}
