//! The read model from the outside: every store passes one suite, whatever happened in whatever batches.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod erasure;
mod histories;
mod home;
mod memory_log;
mod projector;
mod rebuilding;
mod rows_written;
mod swapping;
mod written;

/// The suite that every store passes.
mod sqlite {
    projections::read_model_contract!(crate::home::SqliteHome);
}

mod postgres {
    projections::read_model_contract!(crate::home::PostgresHome);
}

/// Makes a test of each function for every store.
macro_rules! on_every_store {
    ($($part:ident::$name:ident,)*) => {
        on_every_store! { @on SqliteHome on_sqlite $($part::$name,)* }
        on_every_store! { @on PostgresHome on_postgres $($part::$name,)* }
    };
    (@on $home:ident $module:ident $($part:ident::$name:ident,)*) => {
        mod $module {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::$part::$name::<crate::home::$home>().await;
            }
        )*}
    };
}

on_every_store! {
    erasure::an_erased_user_has_no_words_left_and_everything_else_stays,
    rebuilding::a_rebuild_beside_a_live_projector_loses_and_doubles_nothing,
    rebuilding::a_rebuild_that_is_given_up_leaves_the_live_one_as_it_was,
    rebuilding::a_log_that_was_recreated_is_rebuilt_from,
    projector::what_is_appended_is_readable_when_the_progress_says_so,
    projector::a_projector_that_is_killed_again_and_again_ends_with_the_same_tables,
    projector::two_projectors_on_one_store_take_in_everything_once,
    projector::what_is_away_for_a_while_is_tried_again,
    projector::what_cannot_be_decoded_stops_its_shard_and_no_other,
    projector::a_commit_that_does_not_follow_stops_the_projector,
    projector::a_store_of_another_log_is_never_resumed,
    rows_written::large_groups_write_as_few_rows_as_small_ones,
    swapping::every_node_goes_on_through_a_swap,
}
