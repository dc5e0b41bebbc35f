//! What happens in a Crossport node: durable storage, network, use cases and the HTTP API.

pub mod api;
pub mod audit;
pub mod changes;
pub mod chats;
pub mod config;
pub mod core;
pub mod directory;
pub mod index;
pub mod journal;
pub mod keystore;
pub mod lock;
pub mod markdown;
pub mod metrics;
pub mod network;
pub mod node;
pub mod paging;
pub mod partners;
pub mod people;
pub mod random;
pub mod reasons;
pub mod registers;
pub mod status;
pub mod store;
pub mod texts;
pub mod verify;
