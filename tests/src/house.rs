//! The house rules as functions over inputs: text in, findings out.
//!
//! Owns the rules that a compiler does not know: who may depend on whom, where a foreign crate may be named, how long
//! a file may grow, which licences and versions are let in, which links and commands the pages may show. Must not know
//! any rule of the product. `tests/tests/house.rs` runs them over the repository; each module ends with controls that
//! plant a violation, because a check that cannot turn red is a defect.

pub mod commands;
pub mod layering;
pub mod pages;
pub mod purity;
pub mod rust_text;
pub mod shape;
pub mod supply;
pub mod tree;

use anyhow::{Result, ensure};

/// Fails with every finding, one a line, so that one run shows all there is to repair.
pub fn settle(rule: &str, findings: &[String]) -> Result<()> {
    ensure!(
        findings.is_empty(),
        "{rule}: {} finding(s)\n  {}",
        findings.len(),
        findings.join("\n  ")
    );
    Ok(())
}
