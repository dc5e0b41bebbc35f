//! What is true in Crossport.
//!
//! This crate owns every byte that is signed, sealed, sent or compared between companies, and every rule that
//! decides what those bytes mean. It is pure: it has no async, clock, randomness of its own, disk or socket.
//! `now` and randomness are arguments, so that a simulator can run the same code through millions of worlds.

pub mod actions;
pub mod clock;
pub mod codec;
pub mod envelope;
pub mod event;
pub mod fields;
pub mod fold;
pub mod frame;
pub mod identity;
pub mod ids;
pub mod limits;
pub mod owner_log;
pub mod pairing;
pub mod read;
pub mod replicator;
pub mod roster;
pub mod seal;
#[cfg(feature = "sim")]
pub mod sim;
pub mod statement;
pub mod stream;
pub mod suite;
pub mod wrap;
