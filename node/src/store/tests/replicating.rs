//! replicating
