//! Rebuilds when a migration is added: the macro that embeds them only watches those that exist.

fn main() {
    for database in ["sqlite", "postgres"] {
        println!("cargo:rerun-if-changed=../migrations/{database}/read");
    }
}
