//! The statements, which both databases understand, and the store that is made of them. Only how a transaction
//! begins and how deliveries are claimed is a database's own.

/// Implements [`EffectStore`](super::EffectStore) for a store with a `pool` and a way to wait `within` reason.
macro_rules! effect_store {
    ($store:ty, $begin:literal, $claim:literal) => {
        #[async_trait::async_trait]
        impl EffectStore for $store {
            async fn checkpoint(&self, shard: u16) -> Result<Option<Checkpoint>, StoreUnavailable> {
                let asking = sqlx::query_as(
                    "SELECT shard, epoch, sequence, commit_id FROM checkpoints WHERE shard = $1",
                )
                .bind(i64::from(shard))
                .fetch_optional(&self.pool);
                within(asking).await?.map(rows::checkpoint).transpose()
            }

            async fn begin(&self, at: &Checkpoint) -> Result<(), StoreUnavailable> {
                let asking = sqlx::query(
                    "INSERT INTO checkpoints (shard, epoch, sequence, commit_id) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (shard) DO NOTHING",
                )
                .bind(i64::from(at.shard))
                .bind(at.epoch.to_string())
                .bind(integer(at.sequence)?)
                .bind(at.commit_id.map(|id| id.to_bytes().to_vec()))
                .execute(&self.pool);
                within(asking).await.map(drop)
            }

            async fn begin_anew(&self, at: &Checkpoint) -> Result<(), StoreUnavailable> {
                let (shard, sequence) = (i64::from(at.shard), integer(at.sequence)?);
                within(async {
                    let mut transaction = self.pool.begin_with($begin).await?;
                    for forget in [
                        "DELETE FROM notices WHERE shard = $1",
                        "DELETE FROM deliveries WHERE shard = $1",
                    ] {
                        sqlx::query(forget).bind(shard).execute(&mut *transaction).await?;
                    }
                    sqlx::query(
                        "INSERT INTO checkpoints (shard, epoch, sequence, commit_id) VALUES ($1, $2, $3, $4)
                         ON CONFLICT (shard) DO UPDATE SET
                             epoch = excluded.epoch, sequence = excluded.sequence, commit_id = excluded.commit_id",
                    )
                    .bind(shard)
                    .bind(at.epoch.to_string())
                    .bind(sequence)
                    .bind(at.commit_id.map(|id| id.to_bytes().to_vec()))
                    .execute(&mut *transaction)
                    .await?;
                    transaction.commit().await
                })
                .await
            }

            async fn take_in(
                &self,
                from: &Checkpoint,
                to: &Checkpoint,
                notices: &[Notice],
            ) -> Result<(), TakeInError> {
                let (before, after) = (integer(from.sequence)?, integer(to.sequence)?);
                let mut numbers = Vec::with_capacity(notices.len());
                for notice in notices {
                    numbers.push((integer(notice.message.ordinal.get())?, integer(notice.sequence)?));
                }
                let is_ours = within(async {
                    let mut transaction = self.pool.begin_with($begin).await?;
                    let moved = sqlx::query(
                        "UPDATE checkpoints SET sequence = $4, commit_id = $5
                         WHERE shard = $1 AND epoch = $2 AND sequence = $3",
                    )
                    .bind(i64::from(from.shard))
                    .bind(from.epoch.to_string())
                    .bind(before)
                    .bind(after)
                    .bind(to.commit_id.map(|id| id.to_bytes().to_vec()))
                    .execute(&mut *transaction)
                    .await?;
                    if moved.rows_affected() != 1 {
                        return Ok(false);
                    }
                    for (notice, (ordinal, sequence)) in notices.iter().zip(&numbers) {
                        sqlx::query(
                            "INSERT INTO notices (event_id, shard, tenant_id, conversation_id, ordinal, sender_id,
                                 sequence, recorded_at, standing)
                             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0) ON CONFLICT (event_id) DO NOTHING",
                        )
                        .bind(notice.event.to_bytes().to_vec())
                        .bind(i64::from(notice.shard))
                        .bind(notice.tenant.as_str())
                        .bind(notice.message.conversation.to_bytes().to_vec())
                        .bind(ordinal)
                        .bind(notice.sender.as_str())
                        .bind(sequence)
                        .bind(notice.recorded_at.as_millis())
                        .execute(&mut *transaction)
                        .await?;
                    }
                    transaction.commit().await?;
                    Ok(true)
                })
                .await?;
                if is_ours {
                    Ok(())
                } else {
                    Err(TakeInError::Superseded(from.shard))
                }
            }

            async fn notices(&self, shard: u16, limit: u32) -> Result<Vec<Notice>, StoreUnavailable> {
                let asking = sqlx::query_as(
                    "SELECT event_id, shard, tenant_id, conversation_id, ordinal, sender_id, sequence, recorded_at,
                         standing
                     FROM notices WHERE shard = $1 ORDER BY sequence, ordinal LIMIT $2",
                )
                .bind(i64::from(shard))
                .bind(i64::from(limit))
                .fetch_all(&self.pool);
                within(asking).await?.into_iter().map(rows::notice).collect()
            }

            async fn plan(&self, planned: &[Planned]) -> Result<(), StoreUnavailable> {
                let mut pages = Vec::with_capacity(planned.len());
                for page in planned {
                    let ordinal = integer(page.notice.message.ordinal.get())?;
                    let next = page.next.map(integer).transpose()?;
                    pages.push((page, integer(page.notice.standing)?, next, ordinal));
                }
                within(async {
                    let mut transaction = self.pool.begin_with($begin).await?;
                    for (page, standing, next, ordinal) in pages {
                        let event = page.notice.event.to_bytes().to_vec();
                        let moving = match next {
                            Some(next) => sqlx::query(
                                "UPDATE notices SET standing = $3 WHERE event_id = $1 AND standing = $2",
                            )
                            .bind(event)
                            .bind(standing)
                            .bind(next),
                            None => sqlx::query("DELETE FROM notices WHERE event_id = $1 AND standing = $2")
                                .bind(event)
                                .bind(standing),
                        };
                        if moving.execute(&mut *transaction).await?.rows_affected() != 1 {
                            continue;
                        }
                        // Databases take so many values at once.
                        for some in page.deliveries.chunks(500) {
                            let mut insert = sqlx::QueryBuilder::new(
                                "INSERT INTO deliveries (id, shard, tenant_id, conversation_id, ordinal, recorded_at,
                                     target, recipients, subscription_id, attempts, due_at, replayed) ",
                            );
                            insert.push_values(some, |mut row, delivery| {
                                row.push_bind(&delivery.id)
                                    .push_bind(i64::from(delivery.shard))
                                    .push_bind(delivery.tenant.as_str())
                                    .push_bind(delivery.message.conversation.to_bytes().to_vec())
                                    .push_bind(ordinal)
                                    .push_bind(delivery.recorded_at.as_millis())
                                    .push_bind(delivery.target.way().as_str())
                                    .push_bind(rows::recipients(&delivery.target))
                                    .push_bind(rows::subscription(&delivery.target))
                                    .push_bind(0_i64)
                                    .push_bind(delivery.recorded_at.as_millis())
                                    .push_bind(0_i64);
                            });
                            insert.push(" ON CONFLICT (id) DO NOTHING");
                            insert.build().execute(&mut *transaction).await?;
                        }
                    }
                    transaction.commit().await
                })
                .await
            }

            async fn claim(
                &self,
                way: Way,
                node: &str,
                now: Timestamp,
                until: Timestamp,
                limit: u32,
            ) -> Result<Vec<Delivery>, StoreUnavailable> {
                let asking = sqlx::query_as($claim)
                    .bind(way.as_str())
                    .bind(now.as_millis())
                    .bind(i64::from(limit))
                    .bind(until.as_millis())
                    .bind(node)
                    .fetch_all(&self.pool);
                within(asking).await?.into_iter().map(rows::delivery).collect()
            }

            async fn release(&self, node: &str, now: Timestamp) -> Result<(), StoreUnavailable> {
                let asking = sqlx::query(
                    "UPDATE deliveries SET due_at = $2, claimed_by = NULL WHERE claimed_by = $1 AND died_at IS NULL",
                )
                .bind(node)
                .bind(now.as_millis())
                .execute(&self.pool);
                within(asking).await.map(drop)
            }

            async fn done(&self, delivery: &Delivery) -> Result<(), StoreUnavailable> {
                let asking = sqlx::query("DELETE FROM deliveries WHERE id = $1 AND died_at IS NULL")
                    .bind(&delivery.id)
                    .execute(&self.pool);
                within(asking).await.map(drop)
            }

            async fn retry(
                &self,
                delivery: &Delivery,
                at: Timestamp,
                reason: &str,
            ) -> Result<(), StoreUnavailable> {
                let asking = sqlx::query(
                    "UPDATE deliveries SET due_at = $3, reason = $4, claimed_by = NULL
                     WHERE id = $1 AND attempts = $2 AND died_at IS NULL",
                )
                .bind(&delivery.id)
                .bind(i64::from(delivery.attempts))
                .bind(at.as_millis())
                .bind(reason)
                .execute(&self.pool);
                within(asking).await.map(drop)
            }

            async fn bury(
                &self,
                delivery: &Delivery,
                now: Timestamp,
                reason: &str,
            ) -> Result<(), StoreUnavailable> {
                let asking = sqlx::query(
                    "UPDATE deliveries SET died_at = $3, reason = $4, claimed_by = NULL
                     WHERE id = $1 AND attempts = $2 AND died_at IS NULL",
                )
                .bind(&delivery.id)
                .bind(i64::from(delivery.attempts))
                .bind(now.as_millis())
                .bind(reason)
                .execute(&self.pool);
                within(asking).await.map(drop)
            }

            async fn next_due(&self, way: Way) -> Result<Option<Timestamp>, StoreUnavailable> {
                let asking = sqlx::query_scalar::<_, Option<i64>>(
                    "SELECT min(due_at) FROM deliveries WHERE target = $1 AND died_at IS NULL",
                )
                .bind(way.as_str())
                .fetch_one(&self.pool);
                Ok(within(asking).await?.map(Timestamp::from_millis))
            }

            async fn dead(
                &self,
                after: Option<&DeadLetter>,
                limit: u32,
            ) -> Result<Vec<DeadLetter>, StoreUnavailable> {
                let (time, id) = after.map_or((i64::MIN, ""), |after| {
                    (after.died_at.as_millis(), after.delivery.id.as_str())
                });
                let asking = sqlx::query_as(
                    "SELECT id, shard, tenant_id, conversation_id, ordinal, recorded_at, target, recipients,
                         subscription_id, attempts, replayed, died_at, reason
                     FROM deliveries WHERE died_at IS NOT NULL AND (died_at, id) > ($1, $2)
                     ORDER BY died_at, id LIMIT $3",
                )
                .bind(time)
                .bind(id)
                .bind(i64::from(limit))
                .fetch_all(&self.pool);
                within(asking).await?.into_iter().map(rows::dead_letter).collect()
            }

            async fn replay(&self, which: &Which, now: Timestamp) -> Result<u64, StoreUnavailable> {
                const AGAIN: &str = "UPDATE deliveries
                     SET died_at = NULL, reason = NULL, attempts = 0, due_at = $1, replayed = 1
                     WHERE died_at IS NOT NULL";
                const THESE: &str = "UPDATE deliveries
                     SET died_at = NULL, reason = NULL, attempts = 0, due_at = $1, replayed = 1
                     WHERE died_at IS NOT NULL AND id = $2";
                within(async {
                    let mut transaction = self.pool.begin_with($begin).await?;
                    let mut count = 0;
                    let ids: &[String] = match which {
                        Which::All => {
                            let all = sqlx::query(AGAIN).bind(now.as_millis());
                            count += all.execute(&mut *transaction).await?.rows_affected();
                            &[]
                        }
                        Which::These(ids) => ids,
                    };
                    for id in ids {
                        let one = sqlx::query(THESE).bind(now.as_millis()).bind(id);
                        count += one.execute(&mut *transaction).await?.rows_affected();
                    }
                    transaction.commit().await?;
                    Ok(count)
                })
                .await
            }

            async fn prune(&self, before: Timestamp) -> Result<u64, StoreUnavailable> {
                let asking = sqlx::query("DELETE FROM deliveries WHERE died_at < $1")
                    .bind(before.as_millis())
                    .execute(&self.pool);
                Ok(within(asking).await?.rows_affected())
            }

            async fn figures(&self) -> Result<Figures, StoreUnavailable> {
                let asking = sqlx::query_as::<_, (i64, Option<i64>, i64)>(
                    "SELECT (SELECT count(*) FROM deliveries WHERE died_at IS NULL),
                         (SELECT min(recorded_at) FROM deliveries WHERE died_at IS NULL),
                         (SELECT count(*) FROM deliveries WHERE died_at IS NOT NULL)",
                )
                .fetch_one(&self.pool);
                let (waiting, oldest, dead) = within(asking).await?;
                Ok(Figures {
                    waiting: waiting.unsigned_abs(),
                    oldest: oldest.map(Timestamp::from_millis),
                    dead: dead.unsigned_abs(),
                })
            }

            async fn close(&self) {
                self.pool.close().await;
            }
        }
    };
}
