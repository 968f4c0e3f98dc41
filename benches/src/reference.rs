//! What one would pick instead: the server in `benches/reference-stack`, with socket.io on Node and Postgres
//! beneath, each a process.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use eventstore::contract::postgres::PostgresServer;
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::load::Room;
use crate::processes;
use crate::seed::{Seed, words};

/// What its tokens are signed with.
pub(crate) const SECRET: &str = "the secret of a server that nobody but the bench can reach";

/// A module that ends a process when its input does, which is when this one has ended, however that came about.
const ENDS_WITH_INPUT: &str = "data:text/javascript,process.stdin.resume().once('end',()=>process.exit())";

const SCHEMA: &str = include_str!("../reference-stack/schema.sql");
const LOCK: &str = include_str!("../reference-stack/package-lock.json");
/// What it consists of, as it was when the bench was built.
const FILES: [(&str, &str); 5] = [
    (".npmrc", include_str!("../reference-stack/.npmrc")),
    ("package.json", include_str!("../reference-stack/package.json")),
    ("package-lock.json", LOCK),
    ("server.js", include_str!("../reference-stack/server.js")),
    ("store.js", include_str!("../reference-stack/store.js")),
];

/// A folder with the server and its modules.
pub(crate) struct Stack(PathBuf);

impl Stack {
    /// The one beside what cargo builds. Modules that are missing there, or are of another lock, are fetched.
    ///
    /// # Errors
    /// When there is no Node or npm, or the modules cannot be fetched.
    pub(crate) async fn provide() -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let target = program.ancestors().nth(2).context("a target folder")?;
        let folder = target.join("reference-stack");
        std::fs::create_dir_all(&folder)?;
        for (name, text) in FILES {
            std::fs::write(folder.join(name), text)?;
        }
        run(&folder, "node", &["--version"]).await?;
        // Written when everything is there, so that half of it is not taken for the whole.
        let installed = folder.join("installed.json");
        if !std::fs::read_to_string(&installed).is_ok_and(|lock| lock == LOCK) {
            run(&folder, "npm", &["ci", "--ignore-scripts"]).await?;
            std::fs::write(installed, LOCK)?;
        }
        Ok(Self(folder))
    }
}

async fn run(folder: &Path, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let running = Command::new(program).args(arguments).current_dir(folder).output();
    let output = running
        .await
        .with_context(|| format!("{program} is missing: the reference stack needs Node 20 with npm"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} {arguments:?} failed: {}",
        said.trim_end()
    );
    Ok(())
}

/// A server that runs, with its database.
pub(crate) struct Reference {
    process: Child,
    postgres: PostgresServer,
    database: PgConnection,
    users: i32,
    /// Where it listens.
    pub(crate) address: String,
}

impl Reference {
    /// Starts one with nothing in it.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn start(stack: &Stack) -> anyhow::Result<Self> {
        let postgres = PostgresServer::start().await;
        let mut database = PgConnection::connect(&postgres.url()).await?;
        sqlx::raw_sql(SCHEMA).execute(&mut database).await?;
        let mut process = Command::new("node")
            .args(["--import", ENDS_WITH_INPUT, "server.js"])
            .current_dir(&stack.0)
            .env("NODE_ENV", "production")
            .env("DATABASE_URL", postgres.url())
            .env("JWT_SECRET", SECRET)
            .env("PORT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(process.stdout.take().context("a pipe")?).lines();
        let address = lines
            .next_line()
            .await?
            .context("the reference stack did not start")?;
        Ok(Self {
            process,
            postgres,
            database,
            users: 0,
            address,
        })
    }

    /// The server's process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }

    /// CPU seconds of each process so far.
    pub(crate) fn cpu(&self) -> [(&'static str, f64); 2] {
        let postgres = self.postgres.processes().into_iter();
        [
            ("CPU s of the node", processes::cpu_seconds(self.id())),
            ("CPU s of Postgres", postgres.map(processes::cpu_seconds).sum()),
        ]
    }

    /// Conversations with so many members each, all of them different people, of whom so many send.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) async fn rooms(
        &mut self,
        rooms: usize,
        members: usize,
        senders: usize,
    ) -> anyhow::Result<Vec<Room>> {
        let mut made = Vec::with_capacity(rooms);
        for _ in 0..rooms {
            let people = self.people(members).await?;
            let id = self.conversation(&people).await?;
            made.push(room(id, &people, senders));
        }
        Ok(made)
    }

    /// The conversations of a seed, with all their messages: one of each in turns, as people write who do not wait
    /// for each other's conversations.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) async fn fill(&mut self, seed: Seed) -> anyhow::Result<Vec<Room>> {
        let shared = self.people(seed.shared).await?;
        let words = words();
        let mut rooms = Vec::with_capacity(seed.conversations);
        let mut messages = Vec::with_capacity(seed.conversations * seed.messages);
        for number in 0..seed.conversations {
            let people = [shared.clone(), self.people(seed.members).await?].concat();
            let id = self.conversation(&people).await?;
            let lines = seed.lines(number, &words).enumerate();
            messages.extend(lines.map(|(line, (member, said))| (line, id, people[member], said)));
            rooms.push(room(id, &people, 0));
        }
        messages.sort_unstable_by_key(|(line, id, ..)| (*line, *id));
        let column = messages.iter();
        sqlx::query(
            "INSERT INTO messages (conversation_id, from_user_id, content, created_at)
             SELECT conversation, author, said, now() - interval '1 day' + number * interval '1 ms'
             FROM unnest($1::bigint[], $2::int[], $3::text[])
                 WITH ORDINALITY AS m (conversation, author, said, number)
             ORDER BY number",
        )
        .bind(column.clone().map(|(_, id, ..)| *id).collect::<Vec<_>>())
        .bind(
            column
                .clone()
                .map(|(_, _, author, _)| *author)
                .collect::<Vec<_>>(),
        )
        .bind(column.map(|(.., said)| said.as_str()).collect::<Vec<_>>())
        .execute(&mut self.database)
        .await?;
        Ok(rooms)
    }

    /// Lets the database do at once what it would soon do by itself.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) async fn settle(&mut self) -> anyhow::Result<()> {
        for statement in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
            sqlx::query(statement).execute(&mut self.database).await?;
        }
        Ok(())
    }

    /// Makes an index of all groups of three letters in the messages, which the reference does not have.
    ///
    /// # Errors
    /// When the database has no such index.
    pub(crate) async fn index_trigrams(&mut self) -> anyhow::Result<()> {
        let statements = "CREATE EXTENSION pg_trgm; \
            CREATE INDEX messages_trigrams ON messages USING gin (content gin_trgm_ops)";
        sqlx::raw_sql(statements).execute(&mut self.database).await?;
        Ok(())
    }

    async fn people(&mut self, count: usize) -> anyhow::Result<Vec<i32>> {
        let first = self.users + 1;
        self.users += i32::try_from(count)?;
        sqlx::query("INSERT INTO users (id, name) SELECT n, 'User ' || n FROM generate_series($1, $2) n")
            .bind(first)
            .bind(self.users)
            .execute(&mut self.database)
            .await?;
        Ok((first..=self.users).collect())
    }

    async fn conversation(&mut self, members: &[i32]) -> anyhow::Result<i64> {
        let id =
            sqlx::query_scalar("INSERT INTO conversations (name, owner_id) VALUES ('Room', $1) RETURNING id")
                .bind(members.first())
                .fetch_one(&mut self.database)
                .await?;
        sqlx::query("INSERT INTO conversation_members (conversation_id, user_id) SELECT $1, unnest($2)")
            .bind(id)
            .bind(members)
            .execute(&mut self.database)
            .await?;
        Ok(id)
    }
}

fn room(id: i64, members: &[i32], senders: usize) -> Room {
    Room {
        id: id.to_string(),
        members: members.iter().map(i32::to_string).collect(),
        senders,
    }
}
