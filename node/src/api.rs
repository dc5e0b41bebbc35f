//! The HTTP API: what clients (the command line, the web client, bots) may ask a node, in the client's words.
//!
//! The only JSON in the tree lives below this module. It must not decide anything about chats: it parses a request,
//! calls one use case, and renders the answer.

pub mod facade;
pub mod language;
pub mod types;
