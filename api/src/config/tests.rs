use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn serve_is_the_default() {
    let cli = Cli::parse_from(["verbatim", "--listen", "127.0.0.1:0", "--data", "x"]);
    assert!(cli.command.is_none());
    assert_eq!(cli.serve.listen, "127.0.0.1:0");
    let cli = Cli::parse_from(["verbatim", "serve", "--data", "x"]);
    assert!(matches!(cli.command, Some(Command::Serve(serve)) if serve.deployment.data.data.ends_with("x")));
}

const CLUSTER: [&str; 8] = [
    "verbatim",
    "serve",
    "--nats",
    "nats://x",
    "--database",
    "postgres://x",
    "--master-key",
    "0707070707070707070707070707070707070707070707070707070707070707",
];

/// What is told about these arguments.
fn refused(args: &[&str]) -> String {
    let error = Cli::read_from(args).expect_err(&args.join(" ")).to_string();
    assert!(!error.contains("hush"), "{error}");
    error
}

/// The same, for a cluster's arguments with these ones instead or beside.
fn refused_with(flag: &str, value: &str) -> String {
    let mut args = CLUSTER.to_vec();
    match args.iter().position(|arg| *arg == flag) {
        Some(at) => args[at + 1] = value,
        None => args.extend([flag, value]),
    }
    let error = refused(&args);
    assert!(error.contains(flag), "{error}");
    error
}

#[test]
fn a_cluster_needs_its_stores_and_its_key() {
    assert!(Cli::read_from(CLUSTER).is_ok());
    let lacking = refused(&CLUSTER[..4]);
    assert!(
        lacking.contains("--database <URL>") && lacking.contains("--master-key <KEY>"),
        "{lacking}"
    );
}

#[test]
fn what_configures_a_cluster_is_refused_without_one() {
    let given = [
        ["--database", "postgres://x"],
        ["--master-key", CLUSTER[7]],
        ["--namespace", "verbatim"],
        ["--shards", "4"],
        ["--replicas", "1"],
        ["--nats-credentials", "x"],
        ["--nats-ca", "x"],
    ];
    let commands = [
        &["verbatim"][..],
        &["verbatim", "serve"],
        &["verbatim", "rebuild"],
    ];
    for [flag, value] in given {
        for command in commands {
            let error = refused(&[command, &[flag, value]].concat());
            assert!(
                error.contains(&format!("{flag} is for the nodes of a cluster")),
                "{error}"
            );
        }
        let import = ["verbatim", "import", "irc", "x", flag, value];
        assert!(refused(&import).contains("--nats or VERBATIM_NATS"));
    }
    for command in commands {
        assert!(Cli::read_from(command).is_ok());
    }
}

#[test]
fn stores_are_named_by_urls_that_are_never_repeated() {
    for bad in ["", "http://hush@x", "nats://hush:port", "nats://u:hush@x,"] {
        refused_with("--nats", bad);
    }
    for bad in ["", "x", "mysql://u:hush@x/d", "postgres://u:hush@x:port/d"] {
        assert!(refused_with("--database", bad).contains("postgres://user:password@host/database"));
    }
    refused_with("--master-key", "hush");
    refused_with("--master-key", "");
    let args = CLUSTER.map(|arg| if arg == "nats://x" { "nats://u:hush@x" } else { arg });
    let cli = Cli::read_from(args).unwrap();
    let shown = format!("{cli:?}");
    assert!(
        shown.contains("x:4222") && !shown.contains("hush") && !shown.contains("0707"),
        "{shown}"
    );
    let twice = [&args[..], &["--nats-credentials", "file"]].concat();
    assert!(refused(&twice).contains("one of them is too much"));
}

#[test]
fn numbers_and_names_have_bounds() {
    for bad in ["0", "257", "x"] {
        refused_with("--shards", bad);
    }
    for bad in ["0", "6", "7", "x"] {
        refused_with("--replicas", bad);
    }
    for bad in ["", "a.b", "PG_chat", "pg"] {
        assert!(refused_with("--namespace", bad).contains("1 to 32 letters, digits, _ and -"));
    }
}

#[test]
fn durations_have_a_unit() {
    assert_eq!(parse_duration("12h"), Ok(Duration::from_secs(43_200)));
    assert_eq!(parse_duration("5"), Ok(Duration::from_secs(5)));
    for bad in [
        "",
        "h",
        "-1s",
        "1y",
        "99999999999999999999d",
        "18446744073709551615d",
    ] {
        assert!(parse_duration(bad).is_err(), "{bad}");
    }
}
