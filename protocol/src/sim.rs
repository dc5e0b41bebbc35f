//! The seeded simulator: worlds of replicators over a faulty network.
//!
//! A world is a pure function of its seed: nodes, links, faults, acts and their order. Every step of every node is
//! checked against an observer that knows all that was ever written. It must not know how the replicator decides: what
//! it checks it works out again from signed headers and from what the journals hold.

pub mod counts;
pub mod explore;
pub mod log;
pub mod quiet;
pub mod random;
pub mod shell;
pub mod watch;
pub mod world;

pub use counts::{Counts, Fault, Invariant, Violation};
pub use world::{Failure, run, run_telling};
