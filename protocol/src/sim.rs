//! The seeded simulator: worlds of replicators over a faulty network.
