//! What happens in a Crossport node: durable storage, network, use cases and the HTTP API.

pub mod api;
pub mod config;
pub mod index;
pub mod journal;
pub mod metrics;
pub mod network;
pub mod registers;
pub mod store;
pub mod texts;
