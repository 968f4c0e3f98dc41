//! Events to the log: envelope, codec, the SQLite and the JetStream log, and the executor that decides and appends.
