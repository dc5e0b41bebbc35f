//! The specification's tables against the sources: limits, tags, kinds, frames and refusals.
//!
//! Owns reading `const NAME: T = expression;` and Markdown tables, as far as that takes. Must not know a value itself: both sides
//! come from files.

use std::collections::{BTreeMap, BTreeSet};

/// The rows of every table of a page, cells trimmed, without the lines that draw it.
pub fn rows(page: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    page.lines()
        .filter(|line| line.trim_start().starts_with('|') && !line.contains("---"))
        .map(cells)
        .collect()
}

/// The text of a section, from its heading to the next one of the same depth.
pub fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let depth = heading.split(' ').next().unwrap_or_default();
    let Some(at) = page.find(&format!("{heading}\n")) else {
        return "";
    };
    let rest = &page[at + heading.len()..];
    let end = rest.find(&format!("\n{depth} ")).unwrap_or(rest.len());
    &rest[..end]
}

/// Numeric constants of a source, with products and underscores worked out.
pub fn constants(source: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let declared = line.trim().trim_start_matches("pub(super) ");
        let declared = declared.trim_start_matches("pub ").strip_prefix("const ")?;
        let (name, rest) = declared.split_once(": ")?;
        let (_, value) = rest.split_once(" = ")?;
        let value = product(value.strip_suffix(';')?)?;
        Some((name.to_owned(), value))
    };
    source.lines().filter_map(line).collect()
}

fn product(expression: &str) -> Option<u64> {
    let factor = |text: &str| text.trim().replace('_', "").parse::<u64>().ok();
    expression
        .split('*')
        .try_fold(1u64, |product, text| product.checked_mul(factor(text)?))
}

/// Findings where a table of (`NAME`, value) and the constants of a source differ. With `whole`, every constant has a row.
pub fn limits(table: &[Vec<String>], source: &str, whole: bool) -> Vec<String> {
    let held = constants(source);
    let mut findings = Vec::new();
    let mut named = BTreeSet::new();
    for row in table {
        let Some((name, value)) = row.first().zip(row.get(1)) else {
            continue;
        };
        let Some(name) = name
            .strip_prefix('`')
            .and_then(|name| name.strip_suffix('`'))
        else {
            continue;
        };
        named.insert(name.to_owned());
        let written = value.replace(',', "").parse::<u64>().ok();
        if written.is_none() || held.get(name).copied() != written {
            findings.push(format!(
                "{name}: {value} in the book, {:?} in the source",
                held.get(name)
            ));
        }
    }
    let missing = held.keys().filter(|name| whole && !named.contains(*name));
    findings.extend(missing.map(|name| format!("{name} does not stand in the book")));
    if named.is_empty() {
        findings.push("no table was found".to_owned());
    }
    findings
}

/// Numbers of a table whose first cell is a number, with the name in the second.
pub fn numbered(table: &[Vec<String>]) -> BTreeMap<u64, String> {
    let row = |row: &Vec<String>| Some((row.first()?.parse().ok()?, row.get(1)?.clone()));
    table.iter().filter_map(row).collect()
}

/// Names in the first cells, without their backquotes.
pub fn names(table: &[Vec<String>]) -> BTreeSet<String> {
    let row = |row: &Vec<String>| {
        Some(
            row.first()?
                .strip_prefix('`')?
                .strip_suffix('`')?
                .to_owned(),
        )
    };
    table.iter().filter_map(row).collect()
}

/// The literals `"..."` behind `=>` between two marks of a source.
pub fn literals(source: &str, from: &str, to: &str) -> BTreeSet<String> {
    let Some((_, rest)) = source.split_once(from) else {
        return BTreeSet::new();
    };
    let inside = rest.split_once(to).map_or(rest, |(inside, _)| inside);
    let literal = |line: &str| {
        let (_, value) = line.split_once("=> \"")?;
        Some(value.split_once('"')?.0.to_owned())
    };
    inside.lines().filter_map(literal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "/// Why.\npub const ONE: usize = 1_024 * 2;\n    const TWO: u64 = 7;\npub const TEXT: &str = \"x\";\n";
    const PAGE: &str = "# Limits\n\n| Name | Value |\n| --- | --- |\n| `ONE` | 2,048 |\n| `TWO` | 7 |\n\n## Next\n";

    #[test]
    fn a_table_that_agrees_is_silent_and_one_that_does_not_is_named() {
        assert_eq!(limits(&rows(PAGE), SOURCE, true), Vec::<String>::new());
        let drifted = PAGE.replace("2,048", "2,049");
        assert_eq!(limits(&rows(&drifted), SOURCE, true).len(), 1);
        let forgotten = PAGE.replace("| `TWO` | 7 |\n", "");
        assert_eq!(limits(&rows(&forgotten), SOURCE, true).len(), 1);
        assert_eq!(limits(&rows(&forgotten), SOURCE, false).len(), 0);
        let invented = PAGE.replace("`TWO`", "`THREE`");
        assert_eq!(limits(&rows(&invented), SOURCE, false).len(), 1);
        assert_eq!(limits(&rows(""), SOURCE, false).len(), 1);
    }

    #[test]
    fn tables_sections_and_literals_are_read() {
        assert_eq!(
            section("## A\n\n| 1 | x |\n\n## B\n| 2 | y |\n", "## A").trim(),
            "| 1 | x |"
        );
        assert_eq!(
            numbered(&rows("| 1 | x |\n| other | y |\n")),
            [(1, "x".to_owned())].into()
        );
        assert_eq!(
            names(&rows("| `a` | x |\n| b | y |\n")),
            ["a".to_owned()].into()
        );
        let source = "fn name() {\n A => \"a\",\n B(_) => \"b\",\n}\nC => \"c\"";
        assert_eq!(
            literals(source, "fn name", "\n}"),
            ["a".to_owned(), "b".to_owned()].into()
        );
    }
}
