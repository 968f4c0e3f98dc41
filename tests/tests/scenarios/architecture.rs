//! The folders are stations, and dependencies point one way between them.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{Metadata, MetadataCommand};

/// `domain ← eventstore ← {projections, search-indexer} ← api ← tests ← benches`: what each crate may name.
const ARROW: [(&str, &[&str]); 7] = [
    ("domain", &[]),
    ("eventstore", &["domain"]),
    ("projections", &["domain", "eventstore"]),
    ("search-indexer", &["domain", "eventstore"]),
    ("api", &["domain", "eventstore", "projections", "search-indexer"]),
    (
        "tests",
        &["domain", "eventstore", "projections", "search-indexer", "api"],
    ),
    (
        "benches",
        &[
            "domain",
            "eventstore",
            "projections",
            "search-indexer",
            "api",
            "tests",
        ],
    ),
];

/// What does I/O, waits, or knows the time or chance: no business of a pure decision.
const IMPURE: [&str; 12] = [
    "async-nats",
    "axum",
    "futures",
    "getrandom",
    "rand",
    "reqwest",
    "sqlx",
    "tantivy",
    "tokio",
    "tokio-util",
    "tower",
    "tracing",
];

#[test]
fn dependencies_point_one_way() {
    let dependencies = dependencies();
    let members: BTreeSet<_> = dependencies.keys().cloned().collect();
    let arrow: BTreeMap<_, _> = ARROW.into_iter().collect();
    let known: BTreeSet<_> = arrow.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(
        members, known,
        "a crate that the arrow does not know, or the other way round"
    );
    for (name, named) in &dependencies {
        // A crate may name itself, to turn on features for its own tests.
        for other in named.intersection(&members).filter(|other| *other != name) {
            assert!(
                arrow[name.as_str()].contains(&other.as_str()),
                "{name} must not depend on {other}"
            );
        }
    }
}

#[test]
fn the_domain_is_pure() {
    let domain = &dependencies()["domain"];
    let impure: Vec<_> = IMPURE.into_iter().filter(|name| domain.contains(*name)).collect();
    assert!(impure.is_empty(), "domain depends on {impure:?}");
}

/// What each crate of the workspace names in its manifest, for tests and builds too.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata: Metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let named = |package: &&cargo_metadata::Package| {
        package
            .dependencies
            .iter()
            .map(|dependency| dependency.name.clone())
            .collect()
    };
    metadata
        .workspace_packages()
        .iter()
        .map(|package| (package.name.to_string(), named(package)))
        .collect()
}
