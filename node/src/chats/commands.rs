//! Slash commands: the list that a composer opens on `/`, and the two that are only a way of writing.
//!
//! Owns the names and what each asks of the API. A command that acts is done by the client through its endpoint, so that nothing
//! can be done by a text that could not be done without one. Commands of bots will stand in the same list.

use crate::api::facade::{Answer, Caller, Refused};
use crate::api::types::{Code, Command, CommandCall, Commands, DoneBy};
use crate::core::Core;
use crate::texts::Texts;

/// Name, key of its texts, whether it takes arguments, method and path of what it asks of the API.
type BuiltIn = (
    &'static str,
    &'static str,
    bool,
    Option<(&'static str, &'static str)>,
);

const BUILT_IN: [BuiltIn; 6] = [
    ("help", "command-help", false, None),
    ("me", "command-me", true, None),
    ("shrug", "command-shrug", true, None),
    (
        "invite",
        "command-invite",
        true,
        Some(("POST", "/v0/chats/{chat}/members")),
    ),
    (
        "topic",
        "command-topic",
        true,
        Some(("PUT", "/v0/chats/{chat}/topic")),
    ),
    (
        "leave",
        "command-leave",
        false,
        Some(("POST", "/v0/chats/{chat}/leave")),
    ),
];

/// As Markdown: the signs stand for themselves.
const SHRUG: &str = r"¯\\\_(ツ)\_/¯";

impl Core {
    /// In the caller's language.
    pub fn commands(&self, caller: Caller) -> Commands {
        let texts = Texts::of(caller.lang);
        let command = |(name, key, takes_arguments, call): BuiltIn| Command {
            name: name.to_owned(),
            description: texts.format(key, &[]),
            arguments: takes_arguments
                .then(|| texts.attribute(key, "arguments", &[]))
                .flatten(),
            done_by: if is_way_of_writing(name) {
                DoneBy::Node
            } else {
                DoneBy::Client
            },
            call: call.map(|(method, path)| CommandCall {
                method: method.to_owned(),
                path: path.to_owned(),
            }),
        };
        Commands {
            commands: BUILT_IN.map(command).to_vec(),
        }
    }
}

/// The text that a person means: `/me` and `/shrug` are ways of writing, everything else stays as it is.
pub(super) fn meant(text: String) -> Answer<String> {
    let Some(command) = text.strip_prefix('/') else {
        return Ok(text);
    };
    let name_ends = command.find(char::is_whitespace).unwrap_or(command.len());
    let (name, rest) = command.split_at(name_ends);
    let rest = rest.trim_start();
    match name {
        "me" => {
            let (first, others) = rest.split_at(rest.find('\n').unwrap_or(rest.len()));
            let first = first.trim().replace('*', r"\*");
            if first.is_empty() {
                return Err(Refused::new(Code::ValueInvalid, "/me"));
            }
            Ok(format!("*{first}*{others}"))
        }
        "shrug" => Ok(format!("{rest} {SHRUG}").trim_start().to_owned()),
        _ => Ok(text),
    }
}

fn is_way_of_writing(name: &str) -> bool {
    matches!(name, "me" | "shrug")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::TokenKind;
    use crate::markdown;

    fn check(text: &str, expected: &str) {
        let meant = meant(text.to_owned()).expect("a sound text");
        assert_eq!(meant, expected, "{text:?}");
    }

    #[test]
    fn s21_me_and_shrug_are_ways_of_writing() {
        check("/me waves", "*waves*");
        check("/me has 2 * 3\nand more", "*has 2 \\* 3*\nand more");
        check("/shrug", SHRUG);
        check("/shrug who knows", &format!("who knows {SHRUG}"));
        for other in ["/mean", "me", "/ me", "/help", "//me x"] {
            check(other, other);
        }
        assert!(meant("/me  ".to_owned()).is_err());
    }

    #[test]
    fn s21_what_is_meant_is_shown() {
        let shown = markdown::tokens(SHRUG, &[]);
        assert_eq!(markdown::told(&shown), r"¯\_(ツ)_/¯");
        let waves = markdown::tokens("*waves*", &[]);
        let inner = waves.first().and_then(|paragraph| paragraph.tokens.first());
        assert_eq!(inner.map(|token| token.kind), Some(TokenKind::Italic));
    }
}
