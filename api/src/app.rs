//! What handlers see: the ports of a node, composed.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::conversation::Event as Happened;
use domain::user::{self, Command, Profile, User};
use domain::{ConversationId, TenantId, Timestamp, UserId};
use eventstore::envelope::Trace;
use eventstore::execute::{Conversations, ExecuteError, Executor, Outcome, ReadMarks, Request};
use eventstore::signals::{Signal, Signals};
use eventstore::{Codec, EventLog, Progress, Stream};
use moka::sync::Cache;
use projections::store::ReadModel;
use search_indexer::SearchIndex;
use tokio_util::sync::CancellationToken;

use crate::attachments::Attachments;
use crate::attachments::links::Links;
use crate::auth::{Authenticator, Identity, Jwks};
use crate::commands::Repeats;
use crate::config::attachments::Storage;
use crate::consistency::Consistency;
use crate::effects::Settings;
use crate::effects::push::Push;
use crate::limits::Limits;
use crate::realtime::{Cursors, Hub};
use crate::standing::Standing;

/// How long a profile that was recorded is not looked at again.
const PROFILE_REMEMBERED: Duration = Duration::from_secs(3_600);
const PROFILES_REMEMBERED: u64 = 100_000;
/// Members of one event whom other nodes are told of.
const ANNOUNCED: usize = 500;

/// How a station of the node is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Does what it should.
    Well,
    /// Something is away, and it tries again: the node still does what does not need it.
    Limping(String),
    /// It will not go on by itself.
    Down(String),
}

/// Says how a station is doing.
pub type Station = Box<dyn Fn() -> Health + Send + Sync>;

/// What stands before a node.
pub struct Edge {
    /// Checks tokens.
    pub authenticator: Arc<Authenticator>,
    /// The keys that somebody else publishes, and how often they are read again.
    pub jwks: Option<(Arc<Jwks>, Duration)>,
    /// What cursors are sealed with.
    pub cursor_key: [u8; 32],
    /// How much anyone may ask.
    pub limits: Arc<Limits>,
    /// For how long after it was sent a message may be edited, in milliseconds; `None` is for ever.
    pub edit_window: Option<u64>,
    /// Who is told of messages while they are away; `None` is nobody.
    pub notifications: Option<Settings>,
    /// Where files are kept, for how long, and how they are fetched.
    pub storage: Storage,
    /// What the URLs of files are signed with.
    pub link_key: [u8; 32],
}

/// A running node.
pub struct App {
    /// Checks tokens.
    pub authenticator: Arc<Authenticator>,
    /// Whom not to let in, whatever their tokens say.
    pub standing: Standing,
    /// How much anyone may ask.
    pub limits: Arc<Limits>,
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// Writes and reads commits.
    pub codec: Codec,
    /// Carries out the commands of conversations.
    pub conversations: Arc<Conversations>,
    /// Carries out the commands of users.
    pub users: Arc<Executor<User>>,
    /// Moves read marks.
    pub reads: ReadMarks,
    /// What people read.
    pub read_model: Arc<dyn ReadModel>,
    /// Makes users read what they wrote.
    pub consistency: Consistency,
    /// What people search.
    pub search: SearchIndex,
    /// Delivers to sockets.
    pub hub: Hub,
    /// Seals what sockets were given.
    pub cursors: Cursors,
    /// Tells other nodes.
    pub signals: Arc<dyn Signals>,
    /// The stations and how they are doing.
    pub stations: Vec<(&'static str, Station)>,
    /// How far the read models are.
    pub projected: Progress,
    /// How far the search index is.
    pub indexed: Progress,
    /// Renders the metrics.
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
    /// Cancelled when the node is to stop.
    pub stopping: CancellationToken,
    /// Profiles that were recorded lately.
    pub profiles: ProfileCache,
    /// Keyed requests that were answered lately.
    pub repeats: Repeats,
    /// For how long after it was sent a message may be edited, in milliseconds; `None` is for ever.
    pub edit_window: Option<u64>,
    /// Checks the devices that users are to be notified at, if there is Web Push.
    pub push: Option<Arc<Push>>,
    /// Signs the URLs of files.
    pub links: Links,
    /// Takes files in; `None` where it is not said where they are kept.
    pub attachments: Option<Arc<Attachments>>,
}

/// The profiles that this node recorded lately.
pub struct ProfileCache(Cache<(TenantId, UserId), Profile>);

impl Default for ProfileCache {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(PROFILES_REMEMBERED)
                .time_to_live(PROFILE_REMEMBERED)
                .build(),
        )
    }
}

impl App {
    /// Tells the nodes at which they are online that users were made members there. Of very many at once only
    /// the first ones: the others are found when memberships are looked at, as all of them would be.
    pub fn announce(&self, tenant: &TenantId, conversation: ConversationId, outcome: &Outcome<Happened>) {
        let Outcome::Appended { position, events, .. } = outcome else {
            return;
        };
        for event in events {
            let (Happened::Created { members, .. } | Happened::MembersAdded { members }) = event else {
                continue;
            };
            for (user, _) in members.iter().take(ANNOUNCED) {
                self.signals.publish(Signal::Joined {
                    tenant: tenant.clone(),
                    user: user.clone(),
                    conversation,
                    position: *position,
                });
            }
        }
    }

    /// Takes in what a token says its user is called, unless that was done lately. In the background:
    /// nobody waits for it, and the next request tries again when it fails.
    pub fn meet(self: &Arc<Self>, identity: &Identity) {
        let Some(profile) = identity.profile.clone() else {
            return;
        };
        let key = (identity.tenant.clone(), identity.user.clone());
        if self.profiles.0.get(&key).as_ref() == Some(&profile) {
            return;
        }
        self.profiles.0.insert(key.clone(), profile.clone());
        let (app, identity) = (Arc::clone(self), identity.clone());
        tokio::spawn(async move {
            if let Err(error) = app.met(&identity).await {
                tracing::warn!(%error, "a profile was not recorded");
                app.profiles.0.invalidate(&key);
            }
        });
    }

    /// The same, and once this has returned it is done.
    ///
    /// # Errors
    /// Those of any command.
    pub async fn met(&self, identity: &Identity) -> Result<(), ExecuteError<user::Error>> {
        let Some(profile) = identity.profile.clone() else {
            return Ok(());
        };
        let request = Request {
            command: Command::UpdateProfile(profile),
            actor: Some(identity.user.clone()),
            tag: None,
            trace: Trace::default(),
        };
        let stream = Stream::User(identity.tenant.clone(), identity.user.clone());
        self.users.execute(&stream, request).await.map(drop)
    }
}

/// What time it is.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
