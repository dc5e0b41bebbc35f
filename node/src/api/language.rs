//! The language of an answer: which of ours a client prefers.
//!
//! Owns the choice only. It must not know any text.

/// A language that every text exists in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Lang {
    #[default]
    En,
    Ru,
}
