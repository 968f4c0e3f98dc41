//! Rebuilds when a migration is added: the macro that embeds them only watches those that exist.

fn main() {
    println!("cargo:rerun-if-changed=../migrations/sqlite/read");
}
