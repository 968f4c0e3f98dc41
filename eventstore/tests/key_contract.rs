//! Both stores of keys pass one suite.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use async_trait::async_trait;
use domain::{TenantId, UserId};
use eventstore::contract::keys::KeysHome;
use eventstore::contract::postgres::{PostgresServer, fresh_namespace};
use eventstore::sealing::KeyStore;
use eventstore::sealing::postgres::PostgresKeys;
use eventstore::sealing::sqlite::SqliteKeys;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

struct SqliteHome(TempDir);

#[async_trait]
impl KeysHome for SqliteHome {
    async fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> Arc<dyn KeyStore> {
        Arc::new(SqliteKeys::open(&self.0.path().join("keys.db")).await.unwrap())
    }

    async fn erase(&self, tenant: &TenantId, user: &UserId) {
        let path = self.0.path().join("keys.db");
        let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
        sqlx::query("DELETE FROM user_keys WHERE tenant_id = ?1 AND user_id = ?2")
            .bind(tenant.as_str())
            .bind(user.as_str())
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

struct PostgresHome {
    url: String,
    namespace: String,
}

#[async_trait]
impl KeysHome for PostgresHome {
    async fn fresh() -> Self {
        Self {
            url: PostgresServer::shared().await.url(),
            namespace: fresh_namespace(),
        }
    }

    async fn open(&self) -> Arc<dyn KeyStore> {
        let keys = PostgresKeys::open(&self.url, &self.namespace, &[7; 32], 4).await;
        Arc::new(keys.unwrap())
    }

    async fn erase(&self, tenant: &TenantId, user: &UserId) {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let delete = format!(
            "DELETE FROM \"{}_keys\".user_keys WHERE tenant_id = $1 AND user_id = $2",
            self.namespace
        );
        sqlx::query(AssertSqlSafe(delete))
            .bind(tenant.as_str())
            .bind(user.as_str())
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

mod sqlite {
    eventstore::key_store_contract!(super::SqliteHome);
}

mod postgres {
    eventstore::key_store_contract!(super::PostgresHome);
}
