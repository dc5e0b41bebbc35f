//! The seeded simulator: worlds of replicators over a faulty network.

pub mod log;
pub mod quiet;
pub mod random;
pub mod shell;
