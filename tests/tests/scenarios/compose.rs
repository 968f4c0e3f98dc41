//! `docker-compose.yml`, as far as it can be checked without containers: its NATS configuration by NATS
//! itself, its variables by the binary. The same topology runs without containers in the other scenarios.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use eventstore::contract::nats;
use tests::Folder;

fn compose() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker-compose.yml");
    std::fs::read_to_string(file).unwrap()
}

/// The block `content` of an inline configuration, without its indentation.
fn content(compose: &str, name: &str) -> String {
    let configs = compose.split_once("\nconfigs:\n").unwrap().1;
    let block = configs
        .split_once(&format!("  {name}:\n    content: |\n"))
        .unwrap()
        .1;
    let lines = block
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("      "));
    lines
        .map(|line| format!("{}\n", line.trim_start_matches("      ")))
        .collect()
}

#[tokio::test]
async fn nats_takes_its_configuration_and_syncs_always() {
    let config = content(&compose(), "nats");
    assert!(config.contains("sync_interval: always"), "{config}");
    let folder = Folder::of(None);
    let file = folder.scratch().join("nats.conf");
    std::fs::write(&file, config).unwrap();
    let checked = Command::new(nats::binary())
        .arg("-t")
        .arg("-c")
        .arg(&file)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[tokio::test]
async fn the_nodes_are_configured_with_variables_that_there_are() {
    let compose = compose();
    let words = compose.split(|c: char| !c.is_ascii_uppercase() && c != '_');
    let named: BTreeSet<_> = words.filter(|word| word.starts_with("VERBATIM_")).collect();
    assert!(named.len() >= 5, "{named:?}");
    let help = Folder::of(None).run(["serve", "--help"]).await.succeeded().stdout;
    for variable in named {
        let is_there = ["=", "]"]
            .iter()
            .any(|end| help.contains(&format!("[env: {variable}{end}")));
        assert!(is_there, "{variable} is none of {help}");
    }
}

/// A member of the workspace that the image's build does not see is one that it fails without.
#[test]
fn the_image_is_built_from_all_of_the_workspace() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(format!("{root}/Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let seen = std::fs::read_to_string(format!("{root}/.dockerignore")).unwrap();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().unwrap().file_name().unwrap();
        let is_seen = seen.lines().any(|line| line == format!("!{folder}"));
        assert!(is_seen, ".dockerignore hides {folder}");
    }
}
