//! `crossport partner`: pairing with other companies, and what became of it.
//!
//! Trust is never taken from a flag: comparing words needs a person, even with `--yes`.

use super::shell::qr;
use crate::client::segment;
use crate::context::Context;
use crate::errors::Failure;
use crate::output::{Cell, Column};
use clap::{Args, Subcommand};
use crossport_node::api::types::{
    AcceptInvitation, Code, Invitation, Invite as InviteBody, Page, Partner as Row, PartnerState,
    Ping, Repeatable, VerifyPartner,
};
use crossport_node::say;
use hyper::Method;
use std::io::IsTerminal as _;

#[derive(Debug, Subcommand)]
pub enum Partner {
    Invite(Invite),
    Accept(Accept),
    Verify(Verify),
    #[command(alias = "ls")]
    List,
    Show(Named),
    Pause(Named),
    Resume(Named),
    #[command(alias = "rm")]
    Remove(Named),
    Ping(Named),
}

#[derive(Debug, Args)]
pub struct Invite {
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = super::duration_s)]
    expires: u64,
    #[arg(long)]
    alias: Option<String>,
}

#[derive(Args)]
pub struct Accept {
    ticket: Option<String>,
    #[arg(long)]
    alias: Option<String>,
}

impl std::fmt::Debug for Accept {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A ticket opens a pairing.
        formatter
            .debug_struct("Accept")
            .field("alias", &self.alias)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Args)]
pub struct Verify {
    partner: String,
    words: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Named {
    partner: String,
}

const COLUMNS: &[Column<Row>] = &[
    Column {
        title: "column-id",
        cell: |partner| Cell::Id(partner.id.clone()),
    },
    Column {
        title: "column-name",
        cell: |partner| Cell::Named {
            name: called(partner).to_owned(),
            external: true,
        },
    },
    Column {
        title: "column-state",
        cell: |partner| state(partner.state),
    },
    Column {
        title: "column-connected",
        cell: |partner| Cell::yes(partner.connected),
    },
    Column {
        title: "column-verified",
        cell: |partner| Cell::yes(partner.verified_at.is_some()),
    },
    Column {
        title: "column-chats",
        cell: |partner| Cell::Number(partner.chats.into()),
    },
    Column {
        title: "column-lacks-since",
        cell: |partner| Cell::time(partner.not_delivered_since.as_ref()),
    },
];

pub async fn run(verb: Partner, context: &mut Context) -> Result<(), Failure> {
    match verb {
        Partner::Invite(arguments) => invite(arguments, context).await,
        Partner::Accept(arguments) => accept(arguments, context).await,
        Partner::Verify(arguments) => verify(arguments, context).await,
        Partner::List => list(context).await,
        Partner::Show(named) => show(&named, context).await,
        Partner::Pause(named) => switch(&named, "pause", "done-partner-paused", context).await,
        Partner::Resume(named) => switch(&named, "resume", "done-partner-resumed", context).await,
        Partner::Remove(named) => remove(&named, context).await,
        Partner::Ping(named) => ping(&named, context).await,
    }
}

async fn invite(arguments: Invite, context: &mut Context) -> Result<(), Failure> {
    let body = InviteBody {
        client_id: context.client_id()?,
        expires_in_s: Some(arguments.expires),
        alias: arguments.alias,
    };
    let invitation: Invitation = context
        .operator()
        .write(Method::POST, "/v0/operator/partners/invitations", &body)
        .await?;
    qr(&invitation.ticket, context);
    let fields = [
        ("field-ticket", Cell::Whole(invitation.ticket.clone())),
        ("field-expires", Cell::Time(invitation.expires_at.clone())),
        (
            "field-words",
            Cell::Text(invitation.fingerprint_words.join(" ")),
        ),
        (
            "field-addresses",
            Cell::Addresses(invitation.addresses.clone()),
        ),
    ];
    context
        .output
        .record(&invitation, &invitation.ticket, &fields)?;
    context.output.gap();
    context.output.hint("hint-invitation", &[]);
    Ok(())
}

async fn accept(arguments: Accept, context: &mut Context) -> Result<(), Failure> {
    let ticket = context.line_or_stdin(arguments.ticket)?.trim().to_owned();
    let partner = join(ticket, arguments.alias, context).await?;
    let sentence = accepted(&partner, context);
    context.output.done(&partner, &partner.id, &sentence)?;
    hint_verify(&partner, context);
    Ok(())
}

/// What makes a partner certain.
pub fn hint_verify(partner: &Row, context: &mut Context) {
    let name = crate::output::line(called(partner));
    context.output.hint("hint-verify", &[("name", name.into())]);
}

/// Accepts a ticket; `up --join` does the same.
pub async fn join(
    ticket: String,
    alias: Option<String>,
    context: &Context,
) -> Result<Row, Failure> {
    let body = AcceptInvitation {
        client_id: context.client_id()?,
        ticket,
        alias,
    };
    context
        .operator()
        .write(Method::POST, "/v0/operator/partners/accept", &body)
        .await
}

/// What accepting led to.
pub fn accepted(partner: &Row, context: &Context) -> String {
    let name = crate::output::line(called(partner));
    match partner.state {
        PartnerState::Active => say!(context.texts, "done-partner-active", name = name),
        _ => say!(context.texts, "done-partner-waiting", name = name),
    }
}

async fn verify(arguments: Verify, context: &mut Context) -> Result<(), Failure> {
    let path = path(&arguments.partner, "");
    let words = if arguments.words.is_empty() {
        let partner: Row = context.operator().read(&path).await?;
        if !std::io::stdin().is_terminal() {
            let next = format!("crossport partner verify '{}' WORDS", called(&partner));
            return Err(context
                .failure(Code::NotConfirmed, &say!(context.texts, "ask-words-typed"))
                .try_next(next));
        }
        let shown = crate::output::line(&partner.fingerprint_words.join(" "));
        let question = say!(
            context.texts,
            "ask-words",
            name = crate::output::line(called(&partner)),
            words = shown
        );
        if !context.ask(&question)? {
            return Err(context.failure(Code::WordsDiffer, called(&partner)));
        }
        partner.fingerprint_words
    } else {
        arguments
            .words
            .iter()
            .flat_map(|words| words.split([' ', ',']))
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    };
    let body = VerifyPartner {
        client_id: context.client_id()?,
        words,
    };
    let partner: Row = context
        .operator()
        .write(Method::POST, &format!("{path}/verify"), &body)
        .await?;
    done(&partner, "done-partner-verified", context)
}

async fn list(context: &mut Context) -> Result<(), Failure> {
    let page: Page<Row> =
        super::whole_list(&context.operator(), "/v0/operator/partners", &[]).await?;
    context
        .output
        .list(&page, &page.items, |partner| &partner.id, COLUMNS)?;
    if page.items.is_empty() {
        context.output.hint("hint-no-partner", &[]);
    }
    Ok(())
}

async fn show(named: &Named, context: &mut Context) -> Result<(), Failure> {
    let partner: Row = context.operator().read(&path(&named.partner, "")).await?;
    let refusals = partner
        .refusals
        .iter()
        .map(|(reason, count)| format!("{reason}: {count}"))
        .collect();
    let fields = [
        ("field-id", Cell::Id(partner.id.clone())),
        (
            "field-name",
            Cell::Named {
                name: partner.name.clone(),
                external: true,
            },
        ),
        ("field-alias", Cell::text(partner.alias.as_ref())),
        ("field-state", state(partner.state)),
        (
            "field-words",
            Cell::Text(partner.fingerprint_words.join(" ")),
        ),
        (
            "field-verified",
            partner
                .verified_at
                .as_ref()
                .map_or(Cell::Word("word-no"), |time| Cell::Time(time.clone())),
        ),
        ("field-connected", Cell::yes(partner.connected)),
        ("field-transport", Cell::text(partner.transport.as_ref())),
        (
            "field-addresses",
            Cell::Addresses(partner.addresses.clone()),
        ),
        ("field-last-seen", Cell::time(partner.last_seen_at.as_ref())),
        ("field-chats", Cell::Number(partner.chats.into())),
        (
            "field-lacks-since",
            Cell::time(partner.not_delivered_since.as_ref()),
        ),
        (
            "field-refusals",
            if partner.refusals.is_empty() {
                Cell::Empty
            } else {
                Cell::Lines(refusals)
            },
        ),
        ("field-since", Cell::Time(partner.since.clone())),
    ];
    context.output.record(&partner, &partner.id, &fields)
}

async fn switch(
    named: &Named,
    verb: &str,
    sentence: &'static str,
    context: &mut Context,
) -> Result<(), Failure> {
    let body = Repeatable {
        client_id: context.client_id()?,
    };
    let partner: Row = context
        .operator()
        .write(Method::POST, &path(&named.partner, verb), &body)
        .await?;
    done(&partner, sentence, context)
}

async fn remove(named: &Named, context: &mut Context) -> Result<(), Failure> {
    context.confirm(&say!(
        context.texts,
        "ask-partner-remove",
        name = named.partner.as_str()
    ))?;
    let partner: Row = context
        .operator()
        .remove(&path(&named.partner, ""), &context.client_id()?)
        .await?;
    done(&partner, "done-partner-removed", context)
}

async fn ping(named: &Named, context: &mut Context) -> Result<(), Failure> {
    let body = Repeatable {
        client_id: context.client_id()?,
    };
    let ping: Ping = context
        .operator()
        .write(Method::POST, &path(&named.partner, "ping"), &body)
        .await?;
    let fields = [
        ("field-round-trip-us", Cell::Took(ping.round_trip_us)),
        ("field-transport", Cell::Text(ping.transport.clone())),
        ("field-address", Cell::Addresses(vec![ping.address.clone()])),
    ];
    context.output.record(&ping, &ping.partner, &fields)
}

fn done(partner: &Row, sentence: &'static str, context: &mut Context) -> Result<(), Failure> {
    let name = crate::output::line(called(partner));
    let sentence = context.texts.format(sentence, &[("name", name.into())]);
    context.output.done(partner, &partner.id, &sentence)
}

fn path(partner: &str, verb: &str) -> String {
    let path = format!("/v0/operator/partners/{}", segment(partner));
    if verb.is_empty() {
        path
    } else {
        format!("{path}/{verb}")
    }
}

fn called(partner: &Row) -> &str {
    partner.alias.as_deref().unwrap_or(&partner.name)
}

pub const fn state(state: PartnerState) -> Cell {
    Cell::Word(match state {
        PartnerState::Waiting => "state-waiting",
        PartnerState::Active => "state-active",
        PartnerState::Paused => "state-paused",
        PartnerState::Quarantined => "state-quarantined",
        PartnerState::Removed => "state-removed",
    })
}
