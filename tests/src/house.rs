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

/// Fails with every finding of every rule, one a line, so that one run shows all there is to repair.
pub fn settle<const N: usize>(rules: [(&str, Vec<String>); N]) -> Result<()> {
    let listed =
        |(rule, findings): &(&str, Vec<String>)| format!("{rule}:\n  {}", findings.join("\n  "));
    let broken: Vec<String> = rules
        .iter()
        .filter(|(_, findings)| !findings.is_empty())
        .map(listed)
        .collect();
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_of_a_later_rule_is_not_hidden_by_an_earlier_one() {
        assert!(settle([("first", Vec::new()), ("second", Vec::new())]).is_ok());
        let broken = settle([
            ("first", vec!["a".to_owned()]),
            ("second", vec!["b".to_owned()]),
        ]);
        let said = broken.expect_err("two rules are broken").to_string();
        assert_eq!(said, "first:\n  a\nsecond:\n  b");
    }
}
