//! The server itself: what was committed outlives a crash, and nothing outlives the test.

use super::*;

async fn connect(server: &PostgresServer) -> PgConnection {
    PgConnection::connect(&server.url()).await.unwrap()
}

async fn count(server: &PostgresServer) -> i64 {
    let mut connection = connect(server).await;
    sqlx::query_scalar("SELECT count(*) FROM kept")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_server_is_killed_stopped_started_again_and_gone_in_the_end() {
    let mut server = PostgresServer::start().await;
    let url = server.url();
    let mut connection = connect(&server).await;
    sqlx::raw_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
        .execute(&mut connection)
        .await
        .unwrap();
    let (pid, folder) = (
        server.running.as_ref().unwrap().pid,
        server.folder.path().to_owned(),
    );
    assert!(!children_of(pid).is_empty());
    server.kill().await;
    assert!(sqlx::raw_sql("SELECT 1").execute(&mut connection).await.is_err());
    assert!(PgConnection::connect(&url).await.is_err());
    server.restart().await;
    assert_eq!((server.url(), count(&server).await), (url.clone(), 1));
    server.stop();
    assert!(PgConnection::connect(&url).await.is_err());
    server.restart().await;
    assert_eq!(count(&server).await, 1);
    let pid = server.running.as_ref().unwrap().pid;
    drop(server);
    assert!(!is_running(pid) && !folder.exists());
    assert!(PgConnection::connect(&url).await.is_err());
}

#[tokio::test]
async fn a_server_that_nobody_drops_ends_with_its_pipe() {
    let mut server = PostgresServer::start().await;
    let Running {
        mut watcher,
        pipe,
        pid,
    } = server.running.take().unwrap();
    // As when the process that holds it ends, however it does.
    drop(pipe);
    watcher.wait().unwrap();
    // The folder itself stays where another than its owner may not delete it.
    assert!(!is_running(pid) && !server.folder.path().join("data").exists());
}

#[tokio::test]
async fn texts_are_not_sorted_by_bytes_unless_told_so() {
    let mut connection = connect(PostgresServer::shared().await).await;
    let sort = "SELECT string_agg(t, '' ORDER BY t) || string_agg(t, '' ORDER BY t COLLATE \"C\") FROM unnest('{b,A,a,B}'::text[]) t";
    let sorted: String = sqlx::query_scalar(sort).fetch_one(&mut connection).await.unwrap();
    assert_eq!(sorted, "aAbBABab");
}
