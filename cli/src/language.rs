//! The language and the colours, found before the command line is parsed: its own help needs them.
//!
//! Must not read anything but what is handed in.

use clap::ColorChoice;
use crossport_node::texts::{Lang, Texts};
use std::ffi::OsString;

/// `--lang`, `CROSSPORT_LANG`, then the locale in the order of POSIX; English if none is ours.
pub fn chosen(typed: &[OsString], environment: impl Fn(&str) -> Option<String>) -> &'static Texts {
    let variables = ["CROSSPORT_LANG", "LC_ALL", "LC_MESSAGES", "LANG"];
    let from_environment = || {
        variables
            .iter()
            .filter_map(|name| environment(name))
            .find(|value| !value.is_empty())
    };
    let tag = flag(typed, "--lang").or_else(from_environment);
    Texts::of(tag.and_then(|tag| Lang::parse(&tag)).unwrap_or_default())
}

/// `--json`, for mistakes that are found before parsing is done.
pub fn wants_json(typed: &[OsString]) -> bool {
    let texts = typed.iter().map_while(|word| word.to_str());
    texts
        .take_while(|word| *word != "--")
        .any(|word| word == "--json")
}

/// `--color` for texts that come before parsing; clap itself reads `NO_COLOR` and asks the terminal.
pub fn color_choice(typed: &[OsString]) -> ColorChoice {
    match flag(typed, "--color").as_deref() {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) => {
            ColorChoice::Never
        }
        _ => ColorChoice::Auto,
    }
}

/// The last value of `--name VALUE` or `--name=VALUE`, up to `--`.
fn flag(typed: &[OsString], name: &str) -> Option<String> {
    let texts: Vec<&str> = typed
        .iter()
        .map_while(|word| word.to_str())
        .take_while(|word| *word != "--")
        .collect();
    let with_sign = format!("{name}=");
    let joined = texts
        .iter()
        .enumerate()
        .filter_map(|(at, word)| Some((at, word.strip_prefix(&with_sign)?)));
    let apart = texts
        .iter()
        .enumerate()
        .filter(|(_, word)| **word == name)
        .filter_map(|(at, _)| Some((at, *texts.get(at + 1)?)));
    joined
        .chain(apart)
        .max_by_key(|(at, _)| *at)
        .map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, environment: &[(&str, &str)], expected: Lang) {
        let words: Vec<OsString> = typed.split(' ').map(OsString::from).collect();
        let lookup = |name: &str| {
            environment
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(
            chosen(&words, lookup).lang(),
            expected,
            "{typed} {environment:?}"
        );
    }

    #[test]
    fn the_flag_wins_then_the_locale() {
        check("crossport status", &[], Lang::En);
        check("crossport status", &[("LANG", "ru_RU.UTF-8")], Lang::Ru);
        check(
            "crossport status",
            &[("LANG", "ru_RU.UTF-8"), ("LC_ALL", "C")],
            Lang::En,
        );
        check(
            "crossport status",
            &[("LC_ALL", ""), ("LANG", "ru_RU.UTF-8")],
            Lang::Ru,
        );
        check(
            "crossport --lang en status",
            &[("LANG", "ru_RU.UTF-8")],
            Lang::En,
        );
        check(
            "crossport status --lang=ru",
            &[("LANG", "en_GB.UTF-8")],
            Lang::Ru,
        );
        check(
            "crossport status",
            &[("CROSSPORT_LANG", "ru"), ("LANG", "en_GB.UTF-8")],
            Lang::Ru,
        );
        check("crossport chat send x -- --lang=ru", &[], Lang::En);
    }
}
