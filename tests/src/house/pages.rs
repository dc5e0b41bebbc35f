//! Pages that keep what they promise: links lead somewhere, the table of contents is whole, promises name their tests.
//!
//! Owns reading Markdown as far as links, headings and tables. Must not open a link to another host: a test that needs the
//! network fails for reasons that are not ours.

use std::collections::BTreeSet;

use super::rust_text::{functions, split};
use super::tree::Source;

/// Where the book's table of contents stands.
pub const SUMMARY: &str = "docs/src/SUMMARY.md";
/// Where each promise stands with its test.
pub const STATUS: &str = "docs/src/internals/status.md";
/// Where each invariant stands with its test.
pub const ARCHITECTURE: &str = "docs/src/architecture.md";

/// Relative links lead to a file that exists, and to a heading that exists in it.
pub fn links(pages: &[Source], files: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    for page in pages {
        for (line, target) in targets(&page.text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = if path.is_empty() {
                page.path.clone()
            } else {
                resolve(&page.path, path)
            };
            if !files.contains(&path)
                && !files
                    .iter()
                    .any(|file| file.starts_with(&format!("{path}/")))
            {
                findings.push(format!("{}:{line}: {target} leads nowhere", page.path));
                continue;
            }
            let aimed = pages.iter().find(|page| page.path == path);
            if !anchor.is_empty() && aimed.is_some_and(|page| !anchors(&page.text).contains(anchor))
            {
                findings.push(format!("{}:{line}: {target}: no such heading", page.path));
            }
        }
    }
    findings
}

/// Every page of the book stands in its table of contents. That each entry exists is said by [`links`].
pub fn summary(pages: &[Source]) -> Vec<String> {
    let Some(summary) = pages.iter().find(|page| page.path == SUMMARY) else {
        return vec![format!("{SUMMARY} is missing")];
    };
    let listed: BTreeSet<String> = targets(&summary.text)
        .into_iter()
        .map(|(_, target)| resolve(SUMMARY, &target))
        .collect();
    let book = pages
        .iter()
        .filter(|page| page.path.starts_with("docs/src/") && page.path != SUMMARY);
    let unlisted = book.filter(|page| !listed.contains(&page.path));
    unlisted
        .map(|page| format!("{} does not stand in {SUMMARY}", page.path))
        .collect()
}

/// In a table with a column `Shown by`, every row ends in `open`, or in tests and benchmarks that exist: a function, or a
/// path. The named page must hold such a row.
pub fn promises(page: &str, pages: &[Source], sources: &[Source], files: &[String]) -> Vec<String> {
    let Some(source) = pages.iter().find(|source| source.path == page) else {
        return vec![format!("{page} is missing")];
    };
    let rust = sources.iter().filter(|source| source.is_rust());
    let known: BTreeSet<String> = rust
        .flat_map(|source| functions(&split(&source.text).code))
        .map(|function| function.name)
        .collect();
    let mut findings = Vec::new();
    let rows = promise_rows(&source.text);
    for (line, shown) in &rows {
        let names: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        if names.is_empty() && !shown.starts_with("open") {
            findings.push(format!(
                "{page}:{line}: neither `open` nor the name of a test"
            ));
        }
        for name in names
            .iter()
            .filter(|name| !known.contains(**name) && !files.iter().any(|file| file == *name))
        {
            findings.push(format!(
                "{page}:{line}: no test and no file is called `{name}`"
            ));
        }
    }
    if rows.is_empty() {
        findings.push(format!("{page} promises nothing"));
    }
    findings
}

/// Inside of fenced blocks, each with its first line's number and what stands behind the opening fence.
pub fn blocks(text: &str) -> Vec<(usize, String, String)> {
    let mut found: Vec<(usize, String, String)> = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            if !inside {
                found.push((index + 2, info.trim().to_owned(), String::new()));
            }
            inside = !inside;
        } else if inside && let Some((_, _, body)) = found.last_mut() {
            body.push_str(line);
            body.push('\n');
        }
    }
    found
}

/// Lines outside fenced blocks, with their numbers.
pub fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            found.push((index + 1, line));
        }
    }
    found
}

/// `](target)` and `[name]: target`, with line numbers.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let line = without_inline_code(line);
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            if let Some(end) = rest.find(')') {
                found.push((
                    number,
                    rest[..end].split(' ').next().unwrap_or_default().to_owned(),
                ));
            }
        }
        if line.starts_with('[')
            && let Some((_, target)) = line.split_once("]: ")
        {
            found.push((number, target.trim().to_owned()));
        }
    }
    found
}

fn without_inline_code(line: &str) -> String {
    line.split('`')
        .enumerate()
        .map(|(index, part)| if index % 2 == 0 { part } else { "" })
        .collect()
}

/// The anchors that mdBook gives to the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text)
        .into_iter()
        .filter(|(_, line)| line.starts_with('#'));
    let slug = |line: &str| -> String {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(|(_, line)| slug(line)).collect()
}

/// A path relative to the page it stands on becomes one relative to the root.
fn resolve(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('#').next().unwrap_or_default().split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Last cells of the tables whose head ends in `Shown by`, with line numbers.
fn promise_rows(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut head = None;
    for (number, line) in prose(text) {
        let Some(row) = line.strip_prefix('|') else {
            head = None;
            continue;
        };
        let last = row
            .trim_end_matches(['|', ' '])
            .rsplit('|')
            .next()
            .unwrap_or_default()
            .trim();
        match head {
            None => head = Some(last),
            Some("Shown by") if !last.starts_with("---") => found.push((number, last)),
            Some(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pages: &[Source]) -> Vec<String> {
        pages.iter().map(|page| page.path.clone()).collect()
    }

    #[test]
    fn a_dead_link_and_a_dead_anchor_are_found() {
        let check = |text: &str| {
            let pages = [
                Source::new("docs/src/a.md", text),
                Source::new("docs/src/sub/b.md", "# One word\n## Two, words\n"),
            ];
            links(&pages, &files(&pages)).len()
        };
        assert_eq!(
            check("[b](sub/b.md) [b](./sub/b.md#two-words) [x](https://example.org) [s](sub)"),
            0
        );
        assert_eq!(
            check("# Here\n[self](#here) `[code](no.md)`\n```\n[block](no.md)\n```"),
            0
        );
        assert_eq!(check("[b](b.md)"), 1);
        assert_eq!(check("[b](sub/b.md#three)"), 1);
        assert_eq!(check("[self](#there)"), 1);
        assert_eq!(check("[b]: no.md"), 1);
    }

    #[test]
    fn a_page_outside_the_table_of_contents_is_found() {
        let contents = Source::new(SUMMARY, "- [A](a.md)\n- [B](sub/b.md)\n");
        let page = |path| Source::new(path, "# x");
        let whole = [
            contents.clone(),
            page("docs/src/a.md"),
            page("docs/src/sub/b.md"),
            page("README.md"),
        ];
        assert_eq!(summary(&whole), Vec::<String>::new());
        assert_eq!(summary(&[contents, page("docs/src/c.md")]).len(), 1);
        assert_eq!(summary(&[page("docs/src/a.md")]).len(), 1);
    }

    #[test]
    fn a_promise_without_test_is_found() {
        let source = Source::new("node/src/x.rs", "//! X.\nfn kills_lose_nothing() {}\n");
        let check = |row: &str| {
            let page = Source::new(
                STATUS,
                &format!("| Promise | Shown by |\n| --- | --- |\n{row}\n"),
            );
            promises(
                STATUS,
                &[page],
                std::slice::from_ref(&source),
                std::slice::from_ref(&source.path),
            )
            .len()
        };
        assert_eq!(check("| kill -9 | `kills_lose_nothing` |"), 0);
        assert_eq!(check("| kill -9 | `node/src/x.rs` |"), 0);
        assert_eq!(check("| kill -9 | open: waits for the node |"), 0);
        assert_eq!(check("| kill -9 | `kills_win_something` |"), 1);
        assert_eq!(check("| kill -9 | surely |"), 1);
        assert_eq!(check(""), 1, "an empty page");
        assert_eq!(
            check("\n| Word | Means |\n| --- | --- |\n| Open | free |"),
            1,
            "only a table of another kind"
        );
    }
}
