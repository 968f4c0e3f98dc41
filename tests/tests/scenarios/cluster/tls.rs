//! TLS to NATS and Postgres, under an authority that the system does not know.

use eventstore::contract::nats::NatsServer;
use eventstore::contract::postgres::PostgresServer;
use sqlx::{Connection, PgConnection};
use tests::certificates::Authority;
use tests::deployment::{Cluster, is_cluster};
use tests::{Folder, TestServer};

use super::refusals::refused;

/// The URL of a private Postgres by the name that its certificate is for, verified by this authority.
fn verified(postgres: &PostgresServer, host: &str, authority: &str) -> String {
    let port = postgres.port();
    format!("postgres://verbatim@{host}:{port}/postgres?sslmode=verify-full&sslrootcert={authority}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_speak_tls_to_both_of_their_stores() {
    if !is_cluster() {
        return;
    }
    let (authority, files) = (Authority::new(), Folder::of(None));
    let ca = authority.write_to(files.scratch()).display().to_string();
    let signed = authority.sign_localhost();
    let settings = signed.settings_of_nats(files.scratch());
    let (nats, postgres) = tokio::join!(
        NatsServer::start_with(&settings),
        PostgresServer::start_with_tls(&signed.certificate, &signed.key)
    );
    let url = format!("tls://localhost:{}", nats.port());
    let cluster = Cluster::on(url, verified(&postgres, "localhost", &ca));
    let mut folder = Folder::of(Some(cluster.clone()));
    folder.variables.push(("VERBATIM_NATS_CA", ca.clone()));
    let one = TestServer::start_on(folder).await;
    // Named without TLS, it is required nevertheless.
    let plain = Cluster {
        nats: format!("nats://localhost:{}", nats.port()),
        ..cluster.clone()
    };
    let mut folder = Folder::of(Some(plain));
    folder.variables.push(("VERBATIM_NATS_CA", ca));
    let other = TestServer::start_on(folder).await;

    let group = one.client("ann").group("Garden", &["bob"]).await;
    let mut socket = other.socket("bob").await;
    let said = one.client("ann").say(&group.id, "nobody listens in").await;
    assert_eq!(socket.new_message().await, said);
    one.settled().await;
    assert_eq!(other.client("bob").messages(&group.id).await, [said]);

    let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
    let (encrypted, all): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE ssl), count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
         WHERE application_name = 'verbatim'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!(all > 0 && encrypted == all, "{encrypted} of {all} connections");

    // Whoever does not know the authority is not connected.
    let said = refused(Folder::of(Some(cluster)), &["NATS at localhost:"]).await;
    assert!(said.contains("TLS failed: invalid peer certificate"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_that_was_asked_for_and_cannot_be_had_is_refused() {
    if !is_cluster() {
        return;
    }
    let (authority, other, files) = (Authority::new(), Authority::new(), Folder::of(None));
    let signed = authority.sign_localhost();
    let postgres = PostgresServer::start_with_tls(&signed.certificate, &signed.key).await;
    let (plain_nats, plain_postgres) = tokio::join!(NatsServer::shared(), PostgresServer::shared());

    let ca = authority.write_to(files.scratch()).display().to_string();
    let mut folder = Folder::of(Some(Cluster::on(plain_nats.url(), plain_postgres.url())));
    folder.variables.push(("VERBATIM_NATS_CA", ca.clone()));
    let said = refused(folder, &["NATS at 127.0.0.1:"]).await;
    assert!(said.contains("the server does not speak it"), "{said}");

    let unknown = Folder::of(None);
    let unknown = other.write_to(unknown.scratch()).display().to_string();
    for (url, reason) in [
        (verified(&postgres, "localhost", &unknown), "TLS failed"),
        (verified(&postgres, "127.0.0.1", &ca), "TLS failed"),
        (verified(plain_postgres, "localhost", &ca), "TLS"),
    ] {
        let said = refused(
            Folder::of(Some(Cluster::on(plain_nats.url(), url))),
            &["Postgres at "],
        )
        .await;
        assert!(said.contains(reason), "{said}");
    }
}
