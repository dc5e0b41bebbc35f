//! What clap says about a command line that it does not understand, in our words and in both languages.
//!
//! Must not know any command: everything comes from clap's own context of the error.

use crate::errors::{Exit, Failure};
use crate::help::localised;
use crate::output::{Look, document, render};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ColorChoice, Command};
use crossport_node::api::types::Code;
use crossport_node::say;
use crossport_node::texts::Texts;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};

/// Prints help or the error, and gives the exit code.
pub fn report(
    error: &clap::Error,
    typed: &[OsString],
    texts: &'static Texts,
    choice: ColorChoice,
) -> Exit {
    match error.kind() {
        // Help that was asked for is a result. A pipe that closed early has had enough of it.
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            Exit::Ok
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Exit::Usage
        }
        _ => {
            let color = match choice {
                ColorChoice::Always => true,
                ColorChoice::Never => false,
                ColorChoice::Auto => std::io::stderr().is_terminal(),
            };
            let failure = failure(error, typed, texts);
            let told = if crate::language::wants_json(typed) {
                document(&failure)
            } else {
                render(&failure, &Look::of_process(texts, color))
            };
            let _ = writeln!(std::io::stderr(), "{told}");
            failure.exit()
        }
    }
}

fn failure(error: &clap::Error, typed: &[OsString], texts: &Texts) -> Failure {
    let (words, command) = meant(typed, texts);
    let context = |kind: ContextKind| error.get(kind).map(shown).unwrap_or_default();
    let (argument, value) = (
        context(ContextKind::InvalidArg),
        context(ContextKind::InvalidValue),
    );
    let (argument, value) = (argument.as_str(), value.as_str());
    let what = match error.kind() {
        ErrorKind::UnknownArgument => say!(texts, "usage-unknown-argument", argument = argument),
        ErrorKind::InvalidSubcommand => say!(
            texts,
            "usage-unknown-command",
            command = context(ContextKind::InvalidSubcommand)
        ),
        ErrorKind::InvalidValue if value.is_empty() => {
            say!(texts, "usage-value-missing", argument = argument)
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => say!(
            texts,
            "usage-invalid-value",
            argument = argument,
            value = value
        ),
        ErrorKind::MissingRequiredArgument => {
            say!(texts, "usage-argument-missing", argument = argument)
        }
        ErrorKind::MissingSubcommand => say!(texts, "usage-command-missing"),
        ErrorKind::ArgumentConflict => say!(
            texts,
            "usage-conflict",
            argument = argument,
            other = context(ContextKind::PriorArg)
        ),
        ErrorKind::TooManyValues
        | ErrorKind::TooFewValues
        | ErrorKind::WrongNumberOfValues
        | ErrorKind::NoEquals => {
            say!(texts, "usage-number-of-values", argument = argument)
        }
        // Not reachable from typed words; clap's own sentence is better than none.
        _ => error.to_string(),
    };
    let mut failure = Failure::new(texts, Code::Usage, &what);
    if let Some(cause) = cause(error, argument, &command, texts) {
        failure = failure.cause(cause);
    }
    failure.try_next(format!("{words} --help"))
}

/// What would be right: near names, the list of choices, or what the argument is for.
fn cause(error: &clap::Error, argument: &str, command: &Command, texts: &Texts) -> Option<String> {
    let near = [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ];
    if let Some(near) = near
        .iter()
        .find_map(|kind| error.get(*kind))
        .map(shown)
        .filter(|text| !text.is_empty())
    {
        return Some(say!(texts, "usage-did-you-mean", name = near));
    }
    if let Some(choices) = error
        .get(ContextKind::ValidValue)
        .map(shown)
        .filter(|text| !text.is_empty())
    {
        return Some(say!(texts, "usage-choices", choices = choices));
    }
    if error.kind() == ErrorKind::ArgumentConflict {
        return None;
    }
    let is_it = |candidate: &&clap::Arg| candidate.to_string() == argument;
    let found = command.get_arguments().find(is_it)?;
    found.get_help().map(ToString::to_string)
}

fn shown(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join(", "),
        ContextValue::StyledStr(text) => text.to_string(),
        ContextValue::StyledStrs(texts) => texts
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        ContextValue::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// The command that was meant, as far as its words are known, and its place in the tree.
fn meant(typed: &[OsString], texts: &Texts) -> (String, Command) {
    let (mut words, mut command) = ("crossport".to_owned(), localised(texts));
    command.build();
    for word in typed.iter().skip(1).map_while(|word| word.to_str()) {
        if let Some(below) = command.find_subcommand(word) {
            words = format!("{words} {}", below.get_name());
            command = below.clone();
        }
    }
    (words, command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossport_node::texts::Lang;

    #[test]
    fn mistakes_are_explained_in_both_languages() {
        let mistakes = [
            "crossport chat sned",
            "crossport chat send --txet hello",
            "crossport chat send",
            "crossport chat new boris --kind circle",
            "crossport chat show c0ffee --limit many",
            "crossport status --json --quiet",
            "crossport chat show c0ffee --limit",
        ];
        for lang in Lang::ALL {
            let texts = Texts::of(lang);
            let mut shown = String::new();
            for typed in mistakes {
                let error = crate::help::localised(texts)
                    .try_get_matches_from(typed.split(' '))
                    .expect_err(typed);
                let words: Vec<OsString> = typed.split(' ').map(OsString::from).collect();
                let failure = failure(&error, &words, texts);
                assert_eq!(failure.exit(), Exit::Usage, "{typed}");
                shown.push_str(&format!(
                    "$ {typed}\n{}\n\n",
                    render(&failure, &Look::for_tests(lang))
                ));
            }
            insta::assert_snapshot!(format!("usage_{}", lang.code()), shown);
        }
    }
}
