//! Events to the log: the port of the log, the envelope and codec of what is in it, and the executor
//! that decides commands and appends their events.
//!
//! In reading order: [`subject`] names streams, [`log`] is the port, [`envelope`] is what a record
//! holds and [`codec`] how it is written, [`sealing`] keeps what people wrote under their keys,
//! [`embedded`] and [`jetstream`] are the two logs, [`namespace`] is what a cluster's parts are named with and
//! [`mod@postgres`] how its stores connect,
//! [`consumer`] follows a log from a checkpoint, [`live`] listens to streams as they grow, [`lease`],
//! [`signals`] and [`roll_call`] are how nodes share work and news, [`execute`] turns commands into commits.

pub mod codec;
pub mod consumer;
pub mod embedded;
pub mod envelope;
pub mod execute;
pub mod facts;
pub mod jetstream;
pub mod lease;
pub mod live;
pub mod log;
pub mod namespace;
pub mod postgres;
pub mod progress;
pub mod roll_call;
pub mod sealing;
pub mod signals;
pub mod snapshot;
pub mod subject;

#[cfg(any(test, feature = "contract"))]
pub mod contract;

pub use codec::{Codec, DecodeError};
pub use consumer::{Checkpoint, ResumeError};
pub use envelope::{CommandTag, Commit, Event, Recorded, Trace};
pub use log::{Append, AppendError, Appended, Epoch, EventLog, Expected, Position, ReadError, Record};
pub use namespace::{Namespace, NamespaceError};
pub use progress::Progress;
pub use subject::Stream;
