//! Placeholder of the first build.

pub mod api;
