//! End-to-end tests over real sockets, real files and real processes.
