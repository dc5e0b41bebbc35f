//! The language of an answer: which of ours a client prefers.
//!
//! Owns nothing but the name under which the API speaks of it. It must not know any text.

pub use crate::texts::Lang;
