//! The nouns of the command line.
//!
//! Owns only the list. To add a verb, touch its noun's file and the catalogue; to add a noun, also these two lists. A
//! command must not print or connect on its own: it is given a `Context`.

mod account;
mod audit;
mod chat;
mod chat_view;
mod chat_watch;
mod config;
mod contact;
mod device;
mod init;
mod journal;
mod metrics;
mod msg;
mod partner;
mod session;
mod shell;
mod status;
mod token;
mod up;
mod user;

use crate::client::{Client, query};
use crate::context::Context;
use crate::errors::Failure;
use clap::Subcommand;
use crossport_node::api::types::{PAGE_LIMIT_MAX, Page};
use serde::de::DeserializeOwned;

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(crate::demo::Demo),
    #[command(subcommand)]
    Bench(crate::bench::Bench),
    Up(up::Up),
    Init(init::Init),
    Status,
    Doctor,
    #[command(subcommand)]
    User(user::User),
    Login(session::Login),
    Logout(session::Logout),
    Whoami,
    #[command(subcommand)]
    Account(account::Account),
    #[command(subcommand)]
    Device(device::Device),
    #[command(subcommand)]
    Token(token::Token),
    #[command(subcommand)]
    Partner(partner::Partner),
    #[command(subcommand)]
    Contact(contact::Contact),
    #[command(subcommand)]
    Chat(chat::Chat),
    #[command(subcommand)]
    Msg(msg::Msg),
    Verify,
    Rebuild,
    #[command(subcommand)]
    Config(config::Config),
    Audit(audit::Audit),
    Metrics,
    Completions(shell::Completions),
    Man(shell::Man),
    Version,
}

pub async fn run(command: Command, context: &mut Context) -> Result<(), Failure> {
    match command {
        Command::Demo(arguments) => crate::demo::run(arguments, context).await,
        Command::Bench(verb) => crate::bench::run(verb, context).await,
        Command::Up(arguments) => up::run(arguments, context).await,
        Command::Init(arguments) => init::run(arguments, context).await,
        Command::Status => status::status(context).await,
        Command::Doctor => status::doctor(context).await,
        Command::User(verb) => user::run(verb, context).await,
        Command::Login(arguments) => session::login(arguments, context).await,
        Command::Logout(arguments) => session::logout(arguments, context).await,
        Command::Whoami => session::whoami(context).await,
        Command::Account(verb) => account::run(verb, context).await,
        Command::Device(verb) => device::run(verb, context).await,
        Command::Token(verb) => token::run(verb, context).await,
        Command::Partner(verb) => partner::run(verb, context).await,
        Command::Contact(verb) => contact::run(verb, context).await,
        Command::Chat(verb) => chat::run(verb, context).await,
        Command::Msg(verb) => msg::run(verb, context).await,
        Command::Verify => journal::verify(context).await,
        Command::Rebuild => journal::rebuild(context).await,
        Command::Config(verb) => config::run(verb, context),
        Command::Audit(arguments) => audit::audit(arguments, context).await,
        Command::Metrics => metrics::metrics(context).await,
        Command::Completions(arguments) => shell::completions(&arguments, context),
        Command::Man(arguments) => shell::man(&arguments, context),
        Command::Version => shell::version(context),
    }
}

/// A whole list, page by page: lists of partners, users and contacts are short enough for one screen's worth of memory.
async fn whole_list<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    parameters: &[(&str, Option<&str>)],
) -> Result<Page<T>, Failure> {
    let limit = PAGE_LIMIT_MAX.to_string();
    let mut whole = Page {
        items: Vec::new(),
        next: None,
    };
    loop {
        let mut pairs = parameters.to_vec();
        pairs.push(("limit", Some(&limit)));
        pairs.push(("cursor", whole.next.as_deref()));
        let page: Page<T> = client.read(&format!("{path}{}", query(&pairs))).await?;
        whole.items.extend(page.items);
        // A cursor that does not move would never end.
        let moved = page.next != whole.next;
        whole.next = page.next.filter(|_| moved);
        if whole.next.is_none() {
            return Ok(whole);
        }
    }
}

/// Tells how to go on where a page is not the last.
fn hint_next(next: Option<&str>, context: &mut Context) {
    if let Some(next) = next {
        context.output.hint("hint-more", &[("cursor", next.into())]);
    }
}

/// `90s`, `15m`, `2h`, `7d` in seconds.
fn duration_s(text: &str) -> Result<u64, String> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let split = units
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let product =
        split.and_then(|(number, seconds)| number.parse::<u64>().ok()?.checked_mul(seconds));
    product.ok_or_else(|| "90s, 15m, 2h, 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::duration_s;

    #[test]
    fn durations_have_one_unit() {
        assert_eq!(duration_s("90s"), Ok(90));
        assert_eq!(duration_s("7d"), Ok(604_800));
        for wrong in [
            "",
            "d",
            "1",
            "1.5h",
            "-1h",
            "1w",
            "99999999999999999999d",
            "300000000000000000d",
        ] {
            assert!(duration_s(wrong).is_err(), "{wrong}");
        }
    }
}
