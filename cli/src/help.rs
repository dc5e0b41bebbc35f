//! Help texts: put into clap's command tree from the catalogue, for the chosen language.
//!
//! Owns how a command finds its texts: `cli-partner-invite` is the sentence about `crossport partner invite`, its attribute
//! `.ticket` the help of that argument, `.more` a longer explanation, `.examples` two real calls. A command without texts
//! fails a test. It must not know any command.

use crate::args::Cli;
use clap::builder::{Resettable, StyledStr};
use clap::{Arg, ArgAction, Command, CommandFactory as _};
use crossport_node::texts::Texts;
use std::ffi::OsString;

/// The whole command line in one language.
pub fn localised(texts: &Texts) -> Command {
    localise(Cli::command(), "cli", texts)
}

/// Nouns by what one comes for. Whatever is in none of them is listed last.
const GROUPS: &[(&str, &[&str])] = &[
    ("help-group-begin", &["demo", "up", "init"]),
    (
        "help-group-talk",
        &[
            "login", "logout", "whoami", "account", "contact", "chat", "msg",
        ],
    ),
    (
        "help-group-run",
        &[
            "status", "doctor", "user", "partner", "config", "audit", "metrics", "verify",
            "rebuild",
        ],
    ),
];

/// The same as people see it: one compact form of a page, commands by what they are for, and the flags that every command
/// takes told once.
pub fn for_people(texts: &Texts, width: usize) -> Command {
    let mut command = compact(localised(texts), "cli", texts).term_width(width);
    // Gives the commands below their copies of the global flags.
    command.build();
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    let groups = groups(&command, texts, width);
    for name in names {
        command = command.mut_subcommand(name, |below| without_global_flags(below).hide(true));
    }
    let header = *command.get_styles().get_header();
    let usage = texts.format("help-usage", &[]);
    command
        .override_usage("crossport [OPTIONS] <COMMAND>")
        .help_template(format!(
            "{{about-with-newline}}\n{header}{usage}{header:#} {{usage}}\n\n{groups}{{all-args}}{{after-help}}"
        ))
}

/// Without clap's long form, which puts an empty line after every flag.
fn compact(command: Command, key: &str, texts: &Texts) -> Command {
    let header = *command.get_styles().get_header();
    let title = |name: &str| texts.format(name, &[]);
    let more = texts.attribute(key, "more", &[]);
    let explained = if more.is_some() {
        "\n{before-help}"
    } else {
        "\n"
    };
    let template = format!(
        "{{about-with-newline}}{explained}{header}{}{header:#} {{usage}}\n\n{{all-args}}\n\n{header}{}:{header:#} crossport --help{{after-help}}",
        title("help-usage"),
        title("help-global"),
    );
    let mut command = command
        .help_template(template)
        .long_about(Resettable::<StyledStr>::Reset);
    if let Some(more) = more {
        command = command.before_help(more);
    }
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    for name in names {
        let key = format!("{key}-{name}");
        command = command.mut_subcommand(name, |below| compact(below, &key, texts));
    }
    command
}

fn without_global_flags(command: Command) -> Command {
    let mut command = command.mut_args(|argument| {
        let is_global = argument.is_global_set();
        argument.hide(is_global)
    });
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    for name in names {
        command = command.mut_subcommand(name, without_global_flags);
    }
    command
}

/// The commands of the first page.
fn groups(command: &Command, texts: &Texts, width: usize) -> String {
    let styles = command.get_styles();
    let (header, literal) = (*styles.get_header(), *styles.get_literal());
    let listed = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let all = || command.get_subcommands().map(Command::get_name);
    let others: Vec<&str> = all().filter(|name| !listed(name)).collect();
    let column = all().map(str::len).max().unwrap_or(0).saturating_add(4);
    let mut page = String::new();
    let others = [("help-group-more", others.as_slice())];
    for (title, names) in GROUPS.iter().copied().chain(others) {
        page.push_str(&format!("{header}{}{header:#}\n", texts.format(title, &[])));
        for name in names {
            let about = texts.format(&format!("cli-{name}"), &[]);
            let about = wrapped(&about, width.saturating_sub(column), column);
            let space = " ".repeat(column.saturating_sub(name.len()).saturating_sub(2));
            page.push_str(&format!("  {literal}{name}{literal:#}{space}{about}\n"));
        }
        page.push('\n');
    }
    page
}

/// Words on lines of this width, all but the first indented.
fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let (mut shown, mut length) = (String::new(), 0);
    for word in text.split(' ') {
        let word_length = word.chars().count();
        if length > 0 && length + 1 + word_length > width {
            shown.push_str(&format!("\n{}", " ".repeat(indent)));
            length = 0;
        } else if length > 0 {
            shown.push(' ');
            length += 1;
        }
        shown.push_str(word);
        length += word_length;
    }
    shown
}

/// `crossport help chat send` is `crossport chat send --help`.
pub fn help_noun_as_flag(mut typed: Vec<OsString>) -> Vec<OsString> {
    if typed.get(1).is_some_and(|word| word == "help") {
        typed.remove(1);
        typed.push("--help".into());
    }
    typed
}

fn localise(command: Command, key: &str, texts: &Texts) -> Command {
    let header = *command.get_styles().get_header();
    let title = |name: &str| texts.format(name, &[]);
    let template = format!(
        "{{about-with-newline}}\n{header}{}{header:#} {{usage}}\n\n{{all-args}}{{after-help}}",
        title("help-usage")
    );
    let aliases: Vec<&str> = command.get_all_aliases().collect();
    let mut about = texts.format(key, &[]);
    if !aliases.is_empty() {
        about.push_str(&format!(
            " [{}: {}]",
            title("help-aliases"),
            aliases.join(", ")
        ));
    }
    let mut command = command
        .about(about)
        .help_template(template)
        .subcommand_help_heading(title("help-commands"))
        .disable_help_flag(true)
        .disable_version_flag(true);
    if let Some(more) = texts.attribute(key, "more", &[]) {
        command = command.long_about(format!("{}\n\n{more}", texts.format(key, &[])));
    }
    if let Some(examples) = texts.attribute(key, "examples", &[]) {
        let indented: String = examples.lines().map(|line| format!("\n  {line}")).collect();
        command = command.after_help(StyledStr::from(format!(
            "{header}{}{header:#}{indented}",
            title("help-examples")
        )));
    }
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    for name in names {
        let key = format!("{key}-{name}");
        command = command.mut_subcommand(name, |below| localise(below, &key, texts));
    }
    command = command.mut_args(|argument| localise_argument(argument, key, texts));
    let help = Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::Help);
    let help = help
        .help(title("help-help"))
        .help_heading(title(if key == "cli" {
            "help-global"
        } else {
            "help-options"
        }))
        .display_order(1000);
    if key == "cli" {
        let version = Arg::new("version")
            .short('V')
            .long("version")
            .action(ArgAction::Version);
        command = command.arg(
            version
                .help(title("help-version"))
                .help_heading(title("help-global"))
                .display_order(1001),
        );
    }
    command.arg(help)
}

/// Help, heading, and what clap would add in English: choices, default, environment variable.
fn localise_argument(argument: Arg, key: &str, texts: &Texts) -> Arg {
    let title = |name: &str| texts.format(name, &[]);
    let heading = match (argument.is_positional(), argument.is_global_set()) {
        (true, _) => title("help-arguments"),
        (_, true) => title("help-global"),
        _ => title("help-options"),
    };
    let attribute = argument.get_id().as_str().replace('_', "-");
    let mut help = texts.attribute(key, &attribute, &[]).unwrap_or_default();
    let mut note =
        |name: &str, values: String| help.push_str(&format!(" [{}: {values}]", title(name)));
    let takes_values = argument.get_action().takes_values();
    let choices: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|_| takes_values)
        .map(|value| value.get_name().to_owned())
        .collect();
    if !choices.is_empty() {
        note("help-choices", choices.join(", "));
    }
    let defaults: Vec<String> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    if takes_values && !defaults.is_empty() {
        note("help-default", defaults.join(" "));
    }
    if let Some(variable) = argument.get_env() {
        note("help-environment", variable.to_string_lossy().into_owned());
    }
    let argument = argument.help(help).help_heading(heading).hide_env(true);
    if takes_values {
        argument.hide_default_value(true).hide_possible_values(true)
    } else {
        argument
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crossport_node::texts::Lang;

    /// Every command with its key and its words, `["partner", "invite"]`.
    pub fn walk(
        command: &Command,
        key: &str,
        words: &[String],
        visit: &mut impl FnMut(&Command, &str, &[String]),
    ) {
        visit(command, key, words);
        for below in command.get_subcommands() {
            let words: Vec<String> = words
                .iter()
                .cloned()
                .chain([below.get_name().to_owned()])
                .collect();
            walk(below, &format!("{key}-{}", below.get_name()), &words, visit);
        }
    }

    /// Words of a line as a shell would cut them; enough for our examples.
    fn shell_words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
        for c in line.chars() {
            match (quote, c) {
                (None, '\'' | '"') => (quote, begun) = (Some(c), true),
                (Some(open), c) if c == open => quote = None,
                (None, ' ') => {
                    if std::mem::take(&mut begun) {
                        words.push(std::mem::take(&mut word));
                    }
                }
                (_, c) => {
                    begun = true;
                    word.push(c);
                }
            }
        }
        words.extend(begun.then_some(word));
        words
    }

    #[test]
    fn the_tree_is_sound_in_both_languages() {
        for lang in Lang::ALL {
            localised(Texts::of(lang)).debug_assert();
            for_people(Texts::of(lang), 80).debug_assert();
        }
    }

    #[test]
    fn every_command_and_argument_is_explained() {
        for lang in Lang::ALL {
            let texts = Texts::of(lang);
            walk(&Cli::command(), "cli", &[], &mut |command, key, _| {
                assert!(texts.has(key), "{key} in {lang:?}");
                for argument in command
                    .get_arguments()
                    .filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
                {
                    let attribute = argument.get_id().as_str().replace('_', "-");
                    assert!(
                        texts.attribute(key, &attribute, &[]).is_some(),
                        "{key}.{attribute} in {lang:?}"
                    );
                }
            });
        }
    }

    #[test]
    fn every_command_has_two_examples_that_parse() {
        for lang in Lang::ALL {
            let texts = Texts::of(lang);
            walk(&Cli::command(), "cli", &[], &mut |_, key, words| {
                let examples = texts.attribute(key, "examples", &[]).unwrap_or_default();
                let examples = examples.replace("\\\n", "");
                let calls: Vec<&str> = examples
                    .lines()
                    .filter_map(|line| line.find("crossport ").and_then(|at| line.get(at..)))
                    .collect();
                assert!(
                    calls.len() >= 2,
                    "{key} in {lang:?} has {} examples",
                    calls.len()
                );
                for call in calls {
                    let call = call.split(['|', '>', '&']).next().unwrap_or_default();
                    let typed = help_noun_as_flag(
                        shell_words(call).into_iter().map(OsString::from).collect(),
                    );
                    let parsed = for_people(texts, 80).try_get_matches_from(&typed);
                    let matches =
                        parsed.unwrap_or_else(|error| panic!("{key} in {lang:?}: {call}: {error}"));
                    let (mut called, mut below) = (Vec::new(), matches.subcommand());
                    while let Some((name, matches)) = below {
                        called.push(name.to_owned());
                        below = matches.subcommand();
                    }
                    assert!(called.starts_with(words), "{key}: {call} shows another");
                }
            });
        }
    }

    #[test]
    fn no_text_stands_for_a_command_that_does_not_exist() {
        let mut keys = std::collections::BTreeSet::new();
        walk(&Cli::command(), "cli", &[], &mut |_, key, _| {
            keys.insert(key.to_owned());
        });
        let source = include_str!("../../node/locales/en.ftl");
        for key in source
            .lines()
            .filter_map(|line| line.split_once(" ="))
            .map(|(key, _)| key)
            .filter(|key| key.starts_with("cli"))
        {
            assert!(keys.contains(key), "{key} explains nothing");
        }
    }

    #[test]
    fn help_of_every_command() {
        for lang in Lang::ALL {
            let mut pages = String::new();
            let tree = for_people(Texts::of(lang), 100);
            walk(&tree, "cli", &[], &mut |command, _, words| {
                let page = command.clone().render_long_help();
                pages.push_str(&format!(
                    "$ crossport{} --help\n{page}\n\n",
                    words
                        .iter()
                        .map(|word| format!(" {word}"))
                        .collect::<String>()
                ));
            });
            insta::assert_snapshot!(format!("help_{}", lang.code()), pages);
        }
    }
}
