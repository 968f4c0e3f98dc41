use super::*;
use crate::contract::nats::NatsServer;

fn user(name: &str, password: &str) -> Option<Login> {
    Some(Login::User {
        name: name.to_owned(),
        password: password.to_owned(),
    })
}

fn parsed(text: &str) -> Servers {
    text.parse().unwrap()
}

#[test]
fn servers_are_named_by_urls() {
    for (text, shown) in [
        ("nats://a", "a:4222"),
        ("a:1", "a:1"),
        ("tls://10.0.0.1:4443/", "10.0.0.1:4443"),
        ("nats://[::1]:4222", "[::1]:4222"),
        ("nats://a:1, nats://b:2", "a:1, b:2"),
    ] {
        assert_eq!(parsed(text).to_string(), shown);
        assert!(!parsed(text).have_login());
    }
}

#[test]
fn what_names_no_server_is_refused_and_not_repeated() {
    for text in [
        "",
        " ",
        ",",
        "nats://a,",
        "http://a",
        "ws://a",
        "nats://",
        "nats://:4222",
        "nats://a:port",
        "nats://a:99999",
        "nats://secret:sec/ret@a",
        "nats://a:1/secret",
        "nats://a:1?secret",
        "nats://user:1#secret@a",
        "nats://%ff:secret@a",
    ] {
        let error = text.parse::<Servers>().expect_err(text);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let error = "nats://a,http://b".parse::<Servers>().unwrap_err();
    assert!(
        error.to_string().starts_with("NATS server 2 of 2 is no URL"),
        "{error}"
    );
}

#[test]
fn the_first_says_who_connects_to_all() {
    assert!(parsed("nats://ann:p%40ss%2Fword@a,nats://b").login == user("ann", "p@ss/word"));
    assert!(parsed("nats://t%C3%B4ken@a").login == Some(Login::Token("tôken".to_owned())));
    assert!(parsed("nats://ann:1@a,nats://ann:1@b").login == user("ann", "1"));
    for text in [
        "nats://ann:1@a,nats://ann:2@b",
        "nats://a,nats://ann:1@b",
        "nats://1@a,nats://ann:1@b",
    ] {
        let differs = ServersError::Differs { number: 2, of: 2 };
        assert_eq!(text.parse::<Servers>().unwrap_err(), differs);
    }
    let servers = parsed("nats://ann:secret@a,tls://b");
    assert_eq!(
        format!("{servers:?} {servers}"),
        "Servers(a:4222, b:4222) a:4222, b:4222"
    );
    // The client library logs these.
    assert!(!format!("{:?}", servers.addresses).contains("secret"));
}

#[tokio::test]
async fn users_and_tokens_in_urls_are_those_that_connect() {
    let with_user = NatsServer::start_with("authorization { user: \"ann\", password: \"p@ss/word\" }").await;
    let with_token = NatsServer::start_with("authorization { token: \"tôken\" }").await;
    for (server, login, other) in [
        (&with_user, "ann:p%40ss%2Fword", "ann:wrong"),
        (&with_token, "t%C3%B4ken", "wrong"),
    ] {
        let address = server.address();
        let connect = |text: String| async move { parsed(&text).connect(ConnectOptions::new()).await };
        connect(format!("nats://{login}@{address}")).await.unwrap();
        for url in [format!("nats://{other}@{address}"), format!("nats://{address}")] {
            let error = connect(url).await.unwrap_err();
            assert_eq!(error.servers, address);
            assert!(error.reason.contains("refuses the user"), "{error}");
            assert!(!error.to_string().contains("wrong"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_not_connected_to_when_it_is_asked_for() {
    let server = NatsServer::start().await;
    let servers = parsed(&format!("tls://{}", server.address()));
    let error = servers.connect(ConnectOptions::new()).await.unwrap_err();
    assert_eq!(error.reason, "TLS is asked for, and the server does not speak it");
}
