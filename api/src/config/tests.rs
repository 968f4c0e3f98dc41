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

const CLUSTER: [&str; 10] = [
    "verbatim",
    "serve",
    "--nats",
    "nats://x",
    "--database",
    "postgres://x",
    "--master-key",
    "0707070707070707070707070707070707070707070707070707070707070707",
    "--jwt-secret",
    "hush-hush-hush-hush-hush-hush-hush-hush",
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
fn whoever_signs_tokens_of_a_cluster_needs_their_secret() {
    let token = ["verbatim", "token", "--user", "ann"];
    let of_a_cluster = [&token[..], &CLUSTER[2..4]].concat();
    for lacking in [&CLUSTER[..8], &of_a_cluster] {
        let error = refused(lacking);
        assert!(
            error.contains("--jwt-secret or VERBATIM_JWT_SECRET") && error.contains("VERBATIM_NATS"),
            "{error}"
        );
    }
    assert!(Cli::read_from([&of_a_cluster, &CLUSTER[8..]].concat()).is_ok());
    assert!(Cli::read_from(token).is_ok());
    assert!(refused(&[&token[..], &["--nats", ""], &CLUSTER[8..]].concat()).contains("is empty"));
    for bad in ["", "hush"] {
        assert!(refused_with("--jwt-secret", bad).contains("at least 32 bytes"));
        assert!(refused(&[&token[..], &["--jwt-secret", bad]].concat()).contains("at least 32 bytes"));
    }
    // What has nothing to do with tokens needs none.
    let rebuild = [&["verbatim", "rebuild"], &CLUSTER[2..8]].concat();
    assert!(Cli::read_from(rebuild).is_ok());
}

#[test]
fn files_hold_what_they_are_named_for() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.pem");
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&broken, pem).unwrap();
    let broken = broken.display().to_string();
    for (file, reason) in [
        ("/no/such/file", "/no/such/file cannot be read: No such file"),
        ("/dev/null", "there is no certificate in /dev/null"),
        (&*broken, "broken.pem cannot be used"),
    ] {
        let error = refused_with("--nats-ca", file);
        assert!(error.contains(reason), "{error}");
        for name in ["sslrootcert", "ssl-ca"] {
            let url = format!("postgres://u:hush@x/d?sslmode=verify-full&{name}={file}");
            let error = refused_with("--database", &url);
            assert!(error.contains(reason) && error.contains(name), "{error}");
        }
    }
    let written = "postgres://u:hush@x/d?sslrootcert=%2Fno%2Fsuch+file";
    assert!(refused_with("--database", written).contains("/no/such file cannot be read"));
    assert!(refused_with("--nats-credentials", "/no/such/file").contains("cannot be read"));
    for (certificate, key, reason) in [
        ("/dev/null", "/dev/null", "no certificate in /dev/null"),
        (&*broken, "/dev/null", "no key in /dev/null"),
    ] {
        let pair = ["--nats-cert", certificate, "--nats-key", key];
        let error = refused(&[&CLUSTER[..], &pair].concat());
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn an_address_has_a_host_and_a_port() {
    let read = |address: &str| Cli::read_from(["verbatim", "serve", "--listen", address]);
    for good in [
        "127.0.0.1:0",
        "0.0.0.0:8080",
        "[::1]:8080",
        "localhost:80",
        "node-1:65535",
    ] {
        assert!(read(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "8080",
        ":8080",
        "localhost",
        "localhost:",
        "h:65536",
        "h:http",
        "::1:80",
        "http://h:80",
    ] {
        for command in ["serve", "health"] {
            let error = refused(&["verbatim", command, "--listen", bad]);
            assert!(error.contains("--listen"), "{error}");
        }
    }
}

#[test]
fn a_log_filter_can_be_read_and_says_something() {
    let read = |filter: &str| Cli::read_from(["verbatim", "serve", "--log", filter]);
    for good in [DEFAULT_LOG, "off", "api=debug,info", "async_nats=info"] {
        assert!(read(good).is_ok(), "{good}");
    }
    for bad in ["", ",", " ", "api=loud", "info,=,[", "a=b=c"] {
        assert!(
            refused(&["verbatim", "serve", "--log", bad]).contains("--log"),
            "{bad}"
        );
    }
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

#[test]
fn keys_of_tokens_are_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let pair = rcgen::KeyPair::generate().unwrap();
    std::fs::write(path("public.pem"), pair.public_key_pem()).unwrap();
    std::fs::write(path("private.pem"), pair.serialize_pem()).unwrap();
    std::fs::write(path("empty.json"), "{\"keys\": []}").unwrap();
    let read = |flag: &str, value: &str| Cli::read_from(["verbatim", flag, value]);
    assert!(read("--jwt-public-key", &path("public.pem")).is_ok());
    assert!(read("--jwt-jwks", "https://id.example/jwks").is_ok());
    for (flag, value, reason) in [
        ("--jwt-public-key", path("private.pem"), "private key"),
        ("--jwt-public-key", "/dev/null".to_owned(), "not one public key"),
        ("--jwt-public-key", "/no/such/file".to_owned(), "cannot be read"),
        ("--jwt-jwks", path("empty.json"), "no key for RS256"),
        ("--jwt-jwks", "/dev/null".to_owned(), "not a JWKS"),
        ("--jwt-jwks", "/no/such/file".to_owned(), "cannot be read"),
        ("--jwt-jwks", "ftp://x".to_owned(), "neither a file nor a URL"),
        ("--jwt-jwks-refresh", "1m".to_owned(), "there is none"),
        ("--jwt-clock-skew", "11m".to_owned(), "more than 10m"),
        ("--jwt-clock-skew", "x".to_owned(), "is not a time"),
        ("--jwt-issuer", String::new(), "value is required"),
        ("--jwt-audience", String::new(), "value is required"),
        ("--jwt-tenant-claim", String::new(), "value is required"),
    ] {
        let error = refused(&["verbatim", "serve", flag, &value]);
        assert!(error.contains(flag) && error.contains(reason), "{error}");
    }
    // A cluster that has them needs no secret.
    let jwks = ["--jwt-jwks", "https://id.example/jwks"];
    assert!(Cli::read_from([&CLUSTER[..8], &jwks].concat()).is_ok());
}

#[test]
fn limits_and_origins_are_read_before_anything_is_connected_to() {
    let good = [
        "verbatim",
        "--rate-limit-commands",
        "off",
        "--rate-limit-reads",
        "600/m:100",
        "--rate-limit-failures",
        "1/h",
        "--trusted-proxies",
        "1",
        "--cors-origin",
        "https://chat.example.com,http://localhost:3000",
    ];
    let cli = Cli::read_from(good).unwrap();
    assert_eq!(cli.serve.access.cors_origin.len(), 2);
    for (flag, value) in [
        ("--rate-limit-commands", ""),
        ("--rate-limit-reads", "fast"),
        ("--rate-limit-failures", "0/s"),
        ("--trusted-proxies", "9"),
        ("--cors-origin", ""),
        ("--cors-origin", "https://chat.example.com/"),
    ] {
        let error = refused(&["verbatim", "serve", flag, value]);
        assert!(error.contains(flag), "{error}");
    }
}

#[test]
fn who_is_told_is_said_whole_or_not_at_all() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let webhook = [
        "verbatim",
        "--webhook-url",
        "https://h/hush",
        "--webhook-secret",
        secret,
    ];
    let cli = Cli::read_from(webhook).unwrap();
    assert_eq!(cli.serve.notifications.webhook_secret.len(), 1);
    assert!(!format!("{cli:?}").contains("hush"));
    let two = format!("{secret},{secret}");
    let cli = Cli::read_from(["verbatim", "serve", webhook[1], webhook[2], webhook[3], &two]).unwrap();
    assert!(matches!(cli.command, Some(Command::Serve(it)) if it.notifications.webhook_secret.len() == 2));
    let key = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
    let push = ["verbatim", "--vapid-key", key, "--vapid-subject", "mailto:a@b"];
    assert!(Cli::read_from(push).is_ok());
    for (args, named) in [
        (&webhook[..3], "--webhook-secret"),
        (&["verbatim", "--webhook-secret", secret], "--webhook-url"),
        (&push[..3], "--vapid-subject"),
        (&["verbatim", "--vapid-subject", "mailto:a@b"], "--vapid-key"),
        (&["verbatim", "--webhook-url", "http://h/hush"], "--webhook-url"),
        (&["verbatim", "--webhook-secret", "hush"], "--webhook-secret"),
        (&["verbatim", "--vapid-key", "hush"], "--vapid-key"),
        (&["verbatim", "--notify-attempts", "0"], "--notify-attempts"),
        (&["verbatim", "--notify-max-age", "0s"], "--notify-max-age"),
        (&["verbatim", "dead-letters", "replay"], "<ID>"),
        (&["verbatim", "dead-letters", "replay", "--all", "id"], "--all"),
    ] {
        let error = refused(args);
        assert!(error.contains(named), "{error}");
    }
    assert!(Cli::read_from(["verbatim", "dead-letters", "list", "--json", "--data", "x"]).is_ok());
}
