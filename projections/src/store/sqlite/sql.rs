//! The statements as SQLite has them.

statements!();
