//! From an empty folder to a first request, and what the command line promises.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::deployment::{Cluster, is_cluster};
use tests::{Client, Folder, Process, TestServer, eventually, report, token};

#[tokio::test]
async fn the_first_start_says_what_it_runs_and_the_printed_command_works() {
    let mut server = TestServer::start().await;
    let data = server.folder.data();
    let address = server.address().to_owned();
    let (mode, last) = if is_cluster() {
        (
            "mode: cluster",
            "make a token: verbatim token --user alice --jwt-secret",
        )
    } else {
        ("mode: embedded", "Bearer ")
    };
    let said = eventually("the server says how to try it", || {
        let said = server.process().stdout();
        std::future::ready(said.contains(last).then_some(said.clone()).ok_or(said))
    })
    .await;
    assert!(said.contains(mode), "which mode: {said}");
    assert!(
        said.contains(data.to_str().unwrap()),
        "where the data lies: {said}"
    );
    if is_cluster() {
        // What the nodes of a cluster print is kept where more people read it.
        let secret = server.folder.secret();
        assert!(!said.contains("Bearer ") && !said.contains(&secret), "{said}");
        return;
    }
    let command = said
        .lines()
        .find(|line| line.trim().starts_with("curl "))
        .unwrap();
    let quoted: Vec<_> = command.split('\'').collect();
    let token = quoted
        .iter()
        .find_map(|part| part.strip_prefix("Authorization: Bearer "))
        .unwrap();
    let path = command.split_once(&format!("http://{address}")).unwrap().1;
    let path = path.split([' ', '\'', '"']).next().unwrap();
    let client = server.with_token(token);
    let call = match quoted.iter().find(|part| part.starts_with('{')) {
        Some(body) => client.call("POST", path).body(*body),
        None => client.get(path),
    };
    call.send().await.expect_any(&[200, 201]);
}

#[tokio::test]
async fn a_second_start_is_quick_and_keeps_what_there_was() {
    let mut server = TestServer::start().await;
    let group = server.client("ann").group("Garden", &["bob"]).await;
    let sent = server.client("ann").say(&group.id, "still here?").await;
    assert!(server.terminate().await.success());
    let start = Instant::now();
    server.restart().await;
    let took = start.elapsed();
    report(&format!("the second start was ready after {took:?}"));
    let said = server.process().stderr();
    assert!(
        !said.contains("sqlx") && !said.contains("already exists"),
        "noise: {said}"
    );
    assert!(took < Duration::from_secs(15), "the second start took {took:?}");
    assert_eq!(server.client("bob").messages(&group.id).await, [sent]);
}

#[tokio::test]
async fn health_readiness_and_metrics_need_no_token() {
    let server = TestServer::start().await;
    let nobody = server.anonymous();
    nobody.get("/health").send().await.expect(200);
    nobody.get("/ready").send().await.expect(200);
    let group = server.client("ann").group("Garden", &["bob"]).await;
    server.client("ann").say(&group.id, "counted").await;
    let metrics = nobody.get("/metrics").send().await.expect(200);
    assert!(
        metrics.header("content-type").starts_with("text/plain"),
        "{}",
        metrics.header("content-type")
    );
    let lines = metrics.text();
    assert!(lines.lines().any(|line| line.starts_with("# TYPE ")), "{lines}");
    assert!(
        !lines.contains(&group.id),
        "a metric names a conversation: {lines}"
    );
}

#[tokio::test]
async fn the_token_command_prints_a_token_and_nothing_else() {
    let server = TestServer::start().await;
    let printed = server.folder.run(["token", "--user", "ann"]).await.succeeded();
    let printed = printed.stdout.strip_suffix('\n').unwrap().to_owned();
    assert!(!printed.contains(char::is_whitespace), "{printed}");
    assert_eq!(token::decoded(&printed)["sub"], "ann");
    let ann = server.with_token(&printed);
    let group = ann.group("Garden", &["bob"]).await;
    assert_eq!(group.owner_id.as_deref(), Some("ann"));
    let group_of_ann = group.id;

    let options = [
        "token",
        "--user",
        "7",
        "--name",
        "Bích Ngọc",
        "--tenant",
        "acme",
        "--ttl",
        "30m",
    ];
    let printed = server.folder.run(options).await.succeeded();
    let claims = token::decoded(printed.stdout.trim());
    assert_eq!(claims["name"], "Bích Ngọc");
    assert_eq!(claims["tenant"], "acme");
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        30 * 60
    );
    let client = server.with_token(printed.stdout.trim());
    let group = client.group("Garden", &[]).await;
    assert_eq!(group.members[0].user_id, "7");
    // As a node of a cluster says: with the secret, wherever one is.
    let elsewhere = Folder::of(None);
    let secret = server.folder.secret();
    let made = elsewhere
        .run(["token", "--user", "ann", "--jwt-secret", &secret])
        .await;
    let made = made.succeeded();
    assert!(!format!("{made:?}").contains(&secret), "the secret is repeated");
    let ann = server.with_token(made.stdout.trim());
    assert!(
        ann.conversations()
            .await
            .iter()
            .any(|shown| shown.id == group_of_ann)
    );

    // A profile is recorded beside the request that brought it, and nobody waits for it.
    eventually("the name in the token is shown", || async {
        let name = client.conversation(&group.id).await.members.remove(0).user.name;
        (name.as_deref() == Some("Bích Ngọc"))
            .then_some(())
            .ok_or(format!("{name:?}"))
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_secret_and_the_keys_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    // In a cluster neither lies in the folder.
    let server = TestServer::start_on(Folder::of(None)).await;
    let data = server.folder.data();
    let open = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o077 != 0;
    assert!(!open(&data.join("jwt-secret")), "others can read the secret");
    // The keys open what everyone wrote. A closed folder protects them as well as closed files.
    assert!(
        !open(&data) || !open(&data.join("keys.db")),
        "others can read the keys"
    );
    assert!(server.folder.secret().len() >= 32, "the secret is short");
}

#[tokio::test]
async fn two_folders_have_two_secrets() {
    let (one, other) = (TestServer::start().await, TestServer::start().await);
    assert_ne!(one.folder.secret(), other.folder.secret());
    let foreign = other.folder.token("ann");
    one.with_token(&foreign)
        .get("/conversations")
        .send()
        .await
        .expect(401)
        .problem();
}

#[tokio::test]
async fn a_data_folder_belongs_to_one_process() {
    let mut server = TestServer::start().await;
    let log = tests::corpus::generated(server.folder.scratch(), "2004-01-01", 10, 2);
    let import = ["import".into(), "irc".into(), log.into_os_string()];
    let second: [Vec<std::ffi::OsString>; 3] = [
        ["serve", "--listen", "127.0.0.1:0"].map(Into::into).to_vec(),
        vec!["rebuild".into()],
        import.to_vec(),
    ];
    for args in second {
        let refused = server.folder.run(&args).await;
        assert!(!refused.status.success(), "{args:?} ran beside the server");
        let said = refused.stderr.to_lowercase();
        assert!(
            said.contains("another process") || said.contains("in use") || said.contains("locked"),
            "not a clear error: {said}"
        );
        assert!(!said.contains("panicked"), "{said}");
    }
    assert!(server.process().is_running());
    server.client("ann").group("Garden", &["bob"]).await;
}

#[tokio::test]
async fn what_the_command_line_does_not_understand_is_an_error() {
    let folder = Folder::new().await;
    for args in [
        &["serve", "--listen", "nowhere"][..],
        &["dance"],
        &["import", "irc", "no-such-file"],
    ] {
        let refused = folder.run(args).await;
        assert!(!refused.status.success(), "{args:?}: {refused:?}");
        assert!(
            !refused.stderr.is_empty() && !refused.stderr.contains("panicked"),
            "{refused:?}"
        );
    }
    for (variable, flag) in [("VERBATIM_LISTEN", "--listen"), ("VERBATIM_LOG", "--log")] {
        for bad in ["", "=,="] {
            let refused = Process::spawn_with(["serve"], &[(variable, bad.to_owned())]);
            let refused = refused.wait().await;
            assert_eq!(refused.status.code(), Some(2), "{refused:?}");
            assert!(refused.stderr.contains(flag), "{}", refused.stderr);
        }
    }
    let help = Process::spawn(["serve", "--help"])
        .wait()
        .await
        .succeeded()
        .stdout;
    for flag in ["--listen", "--data", "VERBATIM_LISTEN", "VERBATIM_DATA"] {
        assert!(help.contains(flag), "the help does not name {flag}: {help}");
    }
}

#[tokio::test]
async fn an_embedded_log_that_was_lost_is_refused_as_empty() {
    if is_cluster() {
        return;
    }
    let mut server = TestServer::start().await;
    let group = server.client("ann").group("Garden", &["bob"]).await;
    server.client("ann").say(&group.id, "is it gone?").await;
    server.settled().await;
    assert!(server.terminate().await.success());
    let data = server.folder.data();
    std::fs::remove_file(data.join("log.db")).unwrap();
    // The read models say so first, and the index if they are gone too.
    for _ in 0..2 {
        let refused = server.folder.spawn_server().wait().await;
        assert!(!refused.status.success(), "the empty log was accepted");
        assert!(refused.stderr.contains("the log is EMPTY"), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("verbatim rebuild --new-epoch"),
            "{}",
            refused.stderr
        );
        std::fs::remove_file(data.join("read.db")).unwrap();
    }
    server.folder.run(["rebuild"]).await.succeeded();
    server.restart().await;
    assert!(server.client("bob").conversations().await.is_empty());
}

#[tokio::test]
async fn what_configures_a_cluster_never_starts_an_embedded_node() {
    let folder = Folder::of(None);
    let variable = ("VERBATIM_NAMESPACE", "chat".to_owned());
    for (args, variables, told) in [
        (&["serve", "--shards", "8"][..], &[][..], "--shards is for"),
        (&["serve"], &[variable], "the variable VERBATIM_NAMESPACE is for"),
        (&["serve", "--nats", ""], &[], "is empty"),
        (&["serve"], &[("VERBATIM_NATS", String::new())], "is empty"),
        (
            &["serve"],
            &[("VERBATIM_DATABASE", "x://u:secret@h/d".to_owned())],
            "--database",
        ),
    ] {
        let mut args = args.to_vec();
        let data = folder.data().display().to_string();
        args.extend(["--data", &data]);
        let refused = Process::spawn_with(&args, variables).wait().await;
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert!(refused.stderr.contains(told), "{args:?}: {}", refused.stderr);
        assert!(!refused.stderr.contains("secret"), "{}", refused.stderr);
    }
    assert!(!folder.data().exists(), "something was made");
}

/// A node of a cluster whose stores are away: whatever it is refused for comes before it connects.
fn on_nothing() -> Folder {
    let cluster = Cluster::on("nats://127.0.0.1:1".into(), "postgres://u@127.0.0.1:1/d".into());
    Folder::of(Some(cluster))
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused_before_anything_is_made_or_connected_to() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for folder in [Folder::of(None), on_nothing()] {
        let refused = folder.run(["serve", "--listen", &address]).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let told = format!("Error: {address} cannot be listened on");
        assert!(refused.stderr.contains(&told), "{}", refused.stderr);
        assert!(refused.stdout.is_empty(), "{}", refused.stdout);
        assert!(!folder.data().exists(), "something was made");
    }
}

#[tokio::test]
async fn a_token_of_a_cluster_is_never_signed_with_a_secret_of_its_own() {
    let mut folder = Folder::of(None);
    folder
        .variables
        .push(("VERBATIM_NATS", "nats://ann:hush@127.0.0.1:1".to_owned()));
    let refused = folder.run(["token", "--user", "ann"]).await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("VERBATIM_JWT_SECRET"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stdout.is_empty() && !refused.stderr.contains("hush"),
        "{refused:?}"
    );
    assert!(!folder.data().exists(), "a secret was made");
    // The whole environment of a node is enough.
    let folder = on_nothing();
    let printed = folder.run(["token", "--user", "ann"]).await.succeeded();
    assert_eq!(token::decoded(printed.stdout.trim())["sub"], "ann");
    assert!(!folder.data().exists(), "something was made");
}

#[tokio::test]
async fn files_without_certificates_are_refused_before_anything_is_connected_to() {
    let mut folder = on_nothing();
    folder
        .variables
        .push(("VERBATIM_NATS_CA", "/dev/null".to_owned()));
    let mut other = on_nothing();
    let database = "postgres://u:hush@127.0.0.1:1/d?sslmode=verify-full&sslrootcert=/no/such/ca.pem";
    other.variables.push(("VERBATIM_DATABASE", database.to_owned()));
    for (folder, told) in [
        (folder, "--nats-ca: there is no certificate in /dev/null"),
        (other, "sslrootcert: /no/such/ca.pem cannot be read"),
    ] {
        let refused = folder.spawn_server().wait().await;
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
        assert!(!refused.stderr.contains("hush"), "{}", refused.stderr);
        assert!(!folder.data().exists(), "something was made");
    }
}

#[tokio::test]
async fn secrets_in_variables_are_not_shown_by_the_help() {
    let variables = [
        ("VERBATIM_NATS", "nats://ann:secret@h".to_owned()),
        ("VERBATIM_DATABASE", "postgres://ann:secret@h/d".to_owned()),
        ("VERBATIM_JWT_SECRET", "secret".repeat(8)),
        ("VERBATIM_MASTER_KEY", "07".repeat(32)),
    ];
    for command in ["serve", "rebuild", "token"] {
        let help = Process::spawn_with([command, "--help"], &variables).wait().await;
        let help = help.succeeded().stdout;
        assert!(
            !help.contains("=secret") && !help.contains(":secret") && !help.contains("0707"),
            "{help}"
        );
    }
}

#[tokio::test]
async fn what_people_write_and_what_they_show_to_enter_is_not_in_the_output() {
    let mut server = TestServer::start().await;
    let ann = server.folder.token("ann");
    let client: Client = server.with_token(&ann);
    let group = client.group("zebrafish-name", &["bob"]).await;
    client.say(&group.id, "zebrafish-text").await;
    let unknown = json!({"conversationId": group.id, "content": "zebrafish-refused", "type": "CAROUSEL"});
    client.post("/conversations/messages", &unknown).send().await;
    client
        .get("/conversations/messages/search?q=zebrafish")
        .send()
        .await
        .expect(200);
    let mut socket = server.socket("ann").await;
    socket.say(&group.id, "zebrafish-socket").await;
    socket.send_raw("zebrafish-garbage").await;
    let _: Value = socket.wait("message_error").await;
    let said = format!("{}{}", server.process().stdout(), server.process().stderr());
    assert!(!said.contains("zebrafish"), "{said}");
    assert!(!said.contains(&ann), "a token: {said}");
}
