//! The statements as Postgres has them.

statements!();
