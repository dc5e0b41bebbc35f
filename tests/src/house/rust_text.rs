//! Rust text taken apart just far enough: code, comments, words, functions.
//!
//! Owns a scanner that knows comments, strings and characters, so that a rule about code is not upset by a sentence about
//! it. Must not parse the language: a real parser would be a dependency that has to follow every edition, and the house
//! rules only need words, lines and braces.

/// One text, split into two of the same lines and columns: what is not in the part is a space.
#[derive(Debug)]
pub struct Parts {
    /// Without comments and without the insides of strings and characters.
    pub code: String,
    /// Only comments, markers included.
    pub comments: String,
}

/// A function as written: from the line of `fn` to the line of its closing brace.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// First line, counted from 1.
    pub line: usize,
    pub lines: usize,
}

/// Splits a Rust text into code and comments.
pub fn split(text: &str) -> Parts {
    let mut scanner = Scanner {
        chars: text.chars().collect(),
        at: 0,
        code: String::new(),
        comments: String::new(),
    };
    while scanner.at < scanner.chars.len() {
        scanner.step();
    }
    Parts {
        code: scanner.code,
        comments: scanner.comments,
    }
}

/// Every identifier of a masked code text with its line, counted from 1.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.lines().enumerate().flat_map(|(index, line)| {
        line.split(|c: char| !is_word(c))
            .filter(|word| !word.is_empty())
            .map(move |word| (index + 1, word))
    })
}

/// Every function of a masked code text, nested ones too; a declaration without a body has none.
pub fn functions(code: &str) -> Vec<Function> {
    let chars: Vec<char> = code.chars().collect();
    let mut found = Vec::new();
    let mut line = 1;
    for at in 0..chars.len() {
        if chars[at] == '\n' {
            line += 1;
        }
        if let Some(name) = name_after_fn(&chars, at)
            && let Some(lines) = body_lines(&chars, at)
        {
            found.push(Function { name, line, lines });
        }
    }
    found
}

/// The first words below `std::` in a masked code text: `use std::{fs, net::TcpStream}` gives `fs` and `net`.
pub fn std_modules(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("std::") {
        if code[..start].chars().next_back().is_some_and(is_word) {
            continue;
        }
        let line = code[..start].matches('\n').count() + 1;
        let rest = &code[start + "std::".len()..];
        for branch in branches(rest) {
            let name: String = branch
                .trim_start()
                .chars()
                .take_while(|c| is_word(*c))
                .collect();
            found.push((line, name));
        }
    }
    found
}

/// `{a, b::{c, d}}` gives `a` and `b::{c, d}`; anything else is itself.
fn branches(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![rest.chars().take_while(|c| is_word(*c)).collect()];
    };
    let mut parts = vec![String::new()];
    let mut depth = 1;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match c {
            _ if depth == 0 => break,
            ',' if depth == 1 => parts.push(String::new()),
            _ => parts.last_mut().expect("there is always one part").push(c),
        }
    }
    parts
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn name_after_fn(chars: &[char], at: usize) -> Option<String> {
    let starts = chars.get(at..at + 2)? == ['f', 'n'] && (at == 0 || !is_word(chars[at - 1]));
    if !starts || !chars.get(at + 2)?.is_whitespace() {
        return None;
    }
    let rest = chars[at + 2..].iter().skip_while(|c| c.is_whitespace());
    let name: String = rest.take_while(|c| is_word(**c)).collect();
    (!name.is_empty()).then_some(name)
}

/// Lines from `at` to the brace that closes the body. `;` inside brackets, as in `[u8; 32]`, ends nothing.
fn body_lines(chars: &[char], at: usize) -> Option<usize> {
    let mut brackets = 0_i32;
    let mut braces = 0_i32;
    let mut lines = 1;
    for c in &chars[at..] {
        match c {
            '\n' => lines += 1,
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if brackets == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' => braces -= 1,
            _ => continue,
        }
        if *c == '}' && braces == 0 && brackets == 0 {
            return Some(lines);
        }
    }
    None
}

enum Part {
    Code,
    Comment,
    Nothing,
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    code: String,
    comments: String,
}

impl Scanner {
    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (Some('/'), Some('/')) => self.line_comment(),
            (Some('/'), Some('*')) => self.block_comment(),
            (Some('"'), _) => self.string(),
            (Some('r'), Some('"' | '#')) if self.raw_string_starts() => self.raw_string(),
            (Some('\''), _) => self.quote(),
            _ => self.take(1, &Part::Code),
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn take(&mut self, count: usize, into: &Part) {
        for _ in 0..count {
            let Some(c) = self.peek(0) else { return };
            let blank = if c == '\n' { '\n' } else { ' ' };
            self.code
                .push(if matches!(into, Part::Code) { c } else { blank });
            self.comments.push(if matches!(into, Part::Comment) {
                c
            } else {
                blank
            });
            self.at += 1;
        }
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.take(1, &Part::Comment);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.peek(0).is_some() {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.take(2, &Part::Comment);
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.take(2, &Part::Comment);
                }
                _ => self.take(1, &Part::Comment),
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.take(1, &Part::Code);
        while let Some(c) = self.peek(0) {
            match c {
                '"' => return self.take(1, &Part::Code),
                '\\' => self.take(2, &Part::Nothing),
                _ => self.take(1, &Part::Nothing),
            }
        }
    }

    /// `r"`, `r#"`, also after `b` or `c`; not the `r` that ends a name and not a raw name such as `r#type`.
    fn raw_string_starts(&self) -> bool {
        let before = self.at.checked_sub(1).map(|at| self.chars[at]);
        let earlier = self.at.checked_sub(2).map(|at| self.chars[at]);
        let prefixed = matches!(before, Some('b' | 'c')) && !earlier.is_some_and(is_word);
        if before.is_some_and(is_word) && !prefixed {
            return false;
        }
        self.chars[self.at + 1..].iter().find(|c| **c != '#') == Some(&'"')
    }

    fn raw_string(&mut self) {
        let hashes = self.chars[self.at + 1..]
            .iter()
            .take_while(|c| **c == '#')
            .count();
        self.take(hashes + 2, &Part::Code);
        while let Some(c) = self.peek(0) {
            let closes = c == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            if closes {
                return self.take(hashes + 1, &Part::Code);
            }
            self.take(1, &Part::Nothing);
        }
    }

    /// A character such as `'x'` or `'\n'`, else a lifetime.
    fn quote(&mut self) {
        if self.peek(1) == Some('\\') {
            self.take(3, &Part::Nothing);
            while self.peek(0).is_some_and(|c| c != '\'') {
                self.take(1, &Part::Nothing);
            }
            self.take(1, &Part::Nothing);
        } else if self.peek(2) == Some('\'') {
            self.take(3, &Part::Nothing);
        } else {
            self.take(1, &Part::Code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_not_code() {
        let text = "let a = \"sled // no\"; // sled\nlet b = r#\"sled \" x\"#; /* sled /* deep */ */ let c = 'x';\nuse sled;";
        let parts = split(text);
        let lines: Vec<usize> = words(&parts.code)
            .filter(|(_, word)| *word == "sled")
            .map(|(line, _)| line)
            .collect();
        assert_eq!(lines, [3]);
        assert_eq!(parts.comments.matches("sled").count(), 2);
        assert_eq!(parts.code.lines().count(), text.lines().count());
    }

    #[test]
    fn quotes_in_characters_and_lifetimes_do_not_open_strings() {
        let parts = split(
            "fn f<'a>(x: &'a str) { let q = '\"'; let e = '\\''; let u = '\\u{1f}'; marker(); r#type(); }",
        );
        assert!(parts.code.contains("marker"));
        assert!(parts.code.contains("r#type"));
    }

    #[test]
    fn functions_are_counted_to_their_closing_brace() {
        let code = "fn one() {}\ntrait T { fn none(&self) -> [u8; 4]; }\npub async fn two<const N: usize>(\n    x: [u8; N],\n) {\n    if x { y } else { z }\n}\n";
        let found = functions(code);
        let expected = [("one", 1, 1), ("two", 3, 5)];
        assert_eq!(
            found
                .iter()
                .map(|f| (f.name.as_str(), f.line, f.lines))
                .collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn grouped_imports_are_taken_apart() {
        let found = std_modules(
            "use std::{collections::{BTreeMap, HashMap}, fs};\nlet x = std::net::y();\nuse mystd::z;",
        );
        let expected = [
            (1, "collections".to_owned()),
            (1, "fs".to_owned()),
            (2, "net".to_owned()),
        ];
        assert_eq!(found, expected);
    }
}
