//! The edge and the composition root: HTTP, WebSocket and the command line.
