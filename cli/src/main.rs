//! The `crossport` binary: reads the command line, runs one command, ends with a tested exit code.
//!
//! Owns nothing but the order of these steps. It must not know any command: those are in `commands`.

mod args;
mod bench;
mod client;
mod commands;
mod context;
mod credentials;
mod demo;
mod errors;
mod help;
mod language;
mod node;
mod output;
#[cfg(test)]
mod reference;
mod secrets;
mod stage;
#[cfg(test)]
mod test_node;
mod usage;

use clap::FromArgMatches as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let typed = help::help_noun_as_flag(std::env::args_os().collect());
    let texts = language::chosen(&typed, |name| std::env::var(name).ok());
    let choice = language::color_choice(&typed);
    let parsed = help::for_people(texts, output::help_width())
        .color(choice)
        .try_get_matches_from(&typed);
    let cli = match parsed.and_then(|matches| args::Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error, &typed, texts, choice).into(),
    };
    let mut context = context::Context::of_process(cli.globals, texts);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return context
                .output
                .refuse(&errors::Failure::io(texts, "tokio", &error))
                .into();
        }
    };
    let result = runtime
        .block_on(commands::run(cli.command, &mut context))
        .and_then(|()| context.output.finish(texts));
    // Threads that still read standard input would hold the process open.
    runtime.shutdown_background();
    match result {
        Ok(()) => errors::Exit::Ok.into(),
        Err(failure) => context.output.refuse(&failure).into(),
    }
}
