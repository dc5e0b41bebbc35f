//! Makes deceptive characters visible.
//!
//! Names and texts come from other people, at other companies. On a terminal an escape sequence can move the cursor, a
//! bidirectional override can turn a name round, a zero-width character can make two names look alike. All such
//! characters are written as `\u{...}`. Line breaks stay where a text may have several lines.

use std::fmt::Write as _;

/// A text on one line: line breaks and tabs are escaped too.
pub fn line(text: &str) -> String {
    escape(text, |c| is_deceptive(c) || matches!(c, '\n' | '\t'))
}

/// A text that may have several lines.
pub fn block(text: &str) -> String {
    escape(text, is_deceptive)
}

/// JSON whose strings hold such characters, as `\u` escapes: the same value to every parser.
pub fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_deceptive(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a string does not fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn escape(text: &str, deceptive: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut previous = None;
    for c in text.chars() {
        match c {
            '\n' | '\t' if deceptive(c) => escaped.push_str(if c == '\n' { "\\n" } else { "\\t" }),
            // Joins the parts of an emoji; elsewhere it is invisible.
            '\u{200d}' if previous.is_some_and(is_pictorial) => escaped.push(c),
            c if deceptive(c) => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
        previous = Some(c);
    }
    escaped
}

/// Controls except line feed and tab, bidirectional formatting, invisible and separator characters.
fn is_deceptive(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        c if c.is_control() => true,
        '\u{00ad}'
        | '\u{034f}'
        | '\u{061c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' => true,
        // Tag characters: a hidden ASCII alphabet.
        '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// What an emoji's joiner may follow: symbols and their variation selector.
const fn is_pictorial(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_overrides_become_visible() {
        assert_eq!(line("boris\u{1b}[2J"), "boris\\u{1b}[2J");
        assert_eq!(line("invoice\u{202e}fdp.exe"), "invoice\\u{202e}fdp.exe");
        assert_eq!(line("an\u{200b}na"), "an\\u{200b}na");
        assert_eq!(line("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(line("a\r\nb\tc"), "a\\u{d}\\nb\\tc");
        assert_eq!(block("a\nb\tc\u{7}"), "a\nb\tc\\u{7}");
        assert_eq!(line("\u{e0041}"), "\\u{e0041}");
    }

    #[test]
    fn honest_texts_stay_as_they_are() {
        for text in [
            "Привет, Борис!",
            "日本語",
            "naïve",
            "👩‍💻 ❤️ 👍🏽",
            "עברית",
            "‘quoted’ — dash…",
        ] {
            assert_eq!(line(text), text);
        }
        assert_eq!(
            line("a\u{200d}b"),
            "a\\u{200d}b",
            "a joiner between letters hides"
        );
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({ "name": "a\u{202e}b\u{9b}c\u{e0041}d\ne" });
        let text = json(&value.to_string());
        assert!(text.is_ascii(), "{text}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).expect("parses"),
            value
        );
    }
}
