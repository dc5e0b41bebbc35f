//! What the test binaries share: the house rules and, beside them, worlds of nodes.
//!
//! Owns nothing that the product needs; nothing depends on this crate.

pub mod fuzz;
pub mod hostile;
pub mod house;
pub mod http;
pub mod namespaces;
pub mod power_cut;
pub mod process;
pub mod vectors;
pub mod world;
