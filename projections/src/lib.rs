//! The log to read models: what people read, folded from events and kept in SQL.
