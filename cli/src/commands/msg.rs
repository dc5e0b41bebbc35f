//! `crossport msg`: one message, what became of it, and how it got where it is.

use super::chat_view::{address, body};
use crate::client::{query, segment};
use crate::context::Context;
use crate::errors::Failure;
use crate::output::{Cell, Column, Format, short_id};
use clap::{Args, Subcommand};
use crossport_node::api::types::{
    CompanyBadge, EditMessage, Forward as ForwardBody, Hop, HopStep, Message, MessageDetail,
    MessagePage, React as ReactBody, Receipts, Repeatable, Why,
};
use crossport_node::say;
use hyper::Method;

#[derive(Debug, Subcommand)]
pub enum Msg {
    Show(Named),
    Edit(Edit),
    #[command(alias = "rm")]
    Delete(Named),
    React(React),
    Forward(Forward),
    Thread(Thread),
    Recall(Named),
    Receipts(Named),
    Why(Named),
}

#[derive(Debug, Args)]
pub struct Named {
    message: String,
}

#[derive(Debug, Args)]
pub struct Edit {
    message: String,
    text: Option<String>,
}

#[derive(Debug, Args)]
pub struct React {
    message: String,
    emoji: String,
    #[arg(long)]
    remove: bool,
}

#[derive(Debug, Args)]
pub struct Forward {
    message: String,
    chat: String,
}

#[derive(Debug, Args)]
pub struct Thread {
    message: String,
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

/// A company or a person, in one list.
struct Receipt {
    who: String,
    external: bool,
    state: &'static str,
    at: Option<String>,
    statement: Option<String>,
}

const RECEIPT_COLUMNS: &[Column<Receipt>] = &[
    Column {
        title: "column-who",
        cell: |receipt| Cell::Named {
            name: receipt.who.clone(),
            external: receipt.external,
        },
    },
    Column {
        title: "column-state",
        cell: |receipt| Cell::Word(receipt.state),
    },
    Column {
        title: "column-time",
        cell: |receipt| Cell::time(receipt.at.as_ref()),
    },
    Column {
        title: "column-statement",
        cell: |receipt| {
            receipt
                .statement
                .as_ref()
                .map_or(Cell::Empty, |id| Cell::Id(id.clone()))
        },
    },
];

const HOP_COLUMNS: &[Column<Hop>] = &[
    Column {
        title: "column-step",
        cell: |hop| Cell::Word(step_key(hop.step)),
    },
    Column {
        title: "column-time",
        cell: |hop| Cell::time(hop.at.as_ref()),
    },
    Column {
        title: "column-who",
        cell: who,
    },
    Column {
        title: "column-detail",
        cell: |hop| Cell::text(hop.detail.as_ref()),
    },
];

pub async fn run(verb: Msg, context: &mut Context) -> Result<(), Failure> {
    match verb {
        Msg::Show(named) => show(&named, context).await,
        Msg::Edit(arguments) => edit(arguments, context).await,
        Msg::Delete(named) => delete(&named, context).await,
        Msg::React(arguments) => react(arguments, context).await,
        Msg::Forward(arguments) => forward(&arguments, context).await,
        Msg::Thread(arguments) => thread(&arguments, context).await,
        Msg::Recall(named) => recall(&named, context).await,
        Msg::Receipts(named) => receipts(&named, context).await,
        Msg::Why(named) => why(&named, context).await,
    }
}

async fn show(named: &Named, context: &mut Context) -> Result<(), Failure> {
    let detail: MessageDetail = context.person()?.read(&path(&named.message, "")).await?;
    let message = &detail.message;
    let reactions = message.reactions.iter().map(|reaction| {
        let people = reaction
            .people
            .iter()
            .map(address)
            .collect::<Vec<_>>()
            .join(", ");
        format!("{} {people}", reaction.emoji)
    });
    let earlier = detail
        .revisions
        .iter()
        .rev()
        .skip(1)
        .rev()
        .map(|revision| format!("{} {}", revision.at, revision.text));
    let lines = |lines: Vec<String>| {
        if lines.is_empty() {
            Cell::Empty
        } else {
            Cell::Lines(lines)
        }
    };
    let text = body(
        message,
        &crate::output::Look {
            color: false,
            ..context.output.look.clone()
        },
    );
    let fields = [
        ("field-id", Cell::Text(message.id.clone())),
        ("field-chat", Cell::Id(message.chat.clone())),
        (
            "field-author",
            Cell::Person(Box::new(message.author.clone())),
        ),
        ("field-sent", Cell::Time(message.sent_at.clone())),
        ("field-arrived", Cell::Time(message.arrived_at.clone())),
        (
            "field-reply-to",
            message
                .reply_to
                .as_ref()
                .map_or(Cell::Empty, |id| Cell::Id(id.clone())),
        ),
        ("field-text", Cell::Shown(text)),
        ("field-edited", Cell::time(message.edited_at.as_ref())),
        ("field-earlier", lines(earlier.collect())),
        ("field-reactions", lines(reactions.collect())),
        (
            "field-mark",
            Cell::Mark {
                mark: message.mark,
                overdue: message.overdue,
            },
        ),
        (
            "field-read-by",
            message.read_by.map_or(Cell::Empty, |read| {
                Cell::Text(format!("{}/{}", read.people, read.of))
            }),
        ),
    ];
    context.output.record(&detail, &message.id, &fields)
}

async fn edit(arguments: Edit, context: &mut Context) -> Result<(), Failure> {
    let text = context.text_or_stdin(arguments.text)?;
    let body = EditMessage {
        client_id: context.client_id()?,
        text,
    };
    let message: Message = context
        .person()?
        .write(Method::PUT, &path(&arguments.message, ""), &body)
        .await?;
    done(&message, "done-edited", context)
}

async fn delete(named: &Named, context: &mut Context) -> Result<(), Failure> {
    context.confirm(&say!(
        context.texts,
        "ask-delete",
        id = short_id(&named.message)
    ))?;
    let message: Message = context
        .person()?
        .remove(&path(&named.message, ""), &context.client_id()?)
        .await?;
    done(&message, "done-deleted", context)
}

async fn react(arguments: React, context: &mut Context) -> Result<(), Failure> {
    let body = ReactBody {
        client_id: context.client_id()?,
        emoji: arguments.emoji,
        on: !arguments.remove,
    };
    let message: Message = context
        .person()?
        .write(Method::PUT, &path(&arguments.message, "reactions"), &body)
        .await?;
    done(
        &message,
        if arguments.remove {
            "done-unreacted"
        } else {
            "done-reacted"
        },
        context,
    )
}

async fn forward(arguments: &Forward, context: &mut Context) -> Result<(), Failure> {
    let client = context.person()?;
    let chat = super::chat::resolve(&arguments.chat, &client, context).await?;
    let body = ForwardBody {
        client_id: context.client_id()?,
        chat: chat.id,
    };
    let path = path(&arguments.message, "forward");
    let message: Message = client.write(Method::POST, &path, &body).await?;
    done(&message, "done-forwarded", context)
}

async fn thread(arguments: &Thread, context: &mut Context) -> Result<(), Failure> {
    let limit = arguments.limit.to_string();
    let query = query(&[
        ("limit", Some(&limit)),
        ("after", arguments.after.as_deref()),
    ]);
    let path = format!("{}{query}", path(&arguments.message, "thread"));
    let page: MessagePage = context.person()?.read(&path).await?;
    super::chat_view::replies(&page, context)?;
    super::hint_next(page.newer.as_deref(), context);
    Ok(())
}

async fn recall(named: &Named, context: &mut Context) -> Result<(), Failure> {
    let body = Repeatable {
        client_id: context.client_id()?,
    };
    let message: Message = context
        .person()?
        .write(Method::POST, &path(&named.message, "recall"), &body)
        .await?;
    done(&message, "done-recalled", context)
}

async fn receipts(named: &Named, context: &mut Context) -> Result<(), Failure> {
    let receipts: Receipts = context
        .person()?
        .read(&path(&named.message, "receipts"))
        .await?;
    let companies = receipts.companies.iter().map(|receipt| Receipt {
        who: receipt.company.name.clone(),
        external: !receipt.own,
        state: match (&receipt.stored_at, receipt.overdue) {
            (Some(_), _) => "receipt-stored",
            (None, true) => "receipt-overdue",
            (None, false) => "receipt-not-delivered",
        },
        at: receipt
            .stored_at
            .clone()
            .or_else(|| receipt.not_delivered_since.clone()),
        statement: receipt.statement.clone(),
    });
    let people = receipts.people.iter().map(|receipt| Receipt {
        who: address(&receipt.person),
        external: receipt.person.external,
        state: if receipt.read_at.is_some() {
            "receipt-read"
        } else {
            "receipt-unread"
        },
        at: receipt.read_at.clone(),
        statement: None,
    });
    let rows: Vec<Receipt> = companies.chain(people).collect();
    context
        .output
        .list(&receipts, &rows, |row| &row.who, RECEIPT_COLUMNS)?;
    if context.output.format == Format::Table {
        let read = receipts.read_by;
        let sentence = say!(
            context.texts,
            "receipt-read-by",
            people = read.people,
            of = read.of
        );
        context.output.print(&sentence);
    }
    Ok(())
}

async fn why(named: &Named, context: &mut Context) -> Result<(), Failure> {
    let why: Why = context.person()?.read(&path(&named.message, "why")).await?;
    context.output.list(
        &why,
        &why.hops,
        |hop| step_key(hop.step).trim_start_matches("hop-"),
        HOP_COLUMNS,
    )
}

fn done(message: &Message, sentence: &'static str, context: &mut Context) -> Result<(), Failure> {
    let sentence = context
        .texts
        .format(sentence, &[("id", short_id(&message.id).into())]);
    context.output.done(message, &message.id, &sentence)
}

fn path(message: &str, below: &str) -> String {
    let path = format!("/v0/messages/{}", segment(message));
    if below.is_empty() {
        path
    } else {
        format!("{path}/{below}")
    }
}

fn who(hop: &Hop) -> Cell {
    let company = |badge: &CompanyBadge| Cell::Text(badge.name.clone());
    let person = hop
        .person
        .as_ref()
        .map(|person| Cell::Person(Box::new(person.clone())));
    person
        .or_else(|| hop.company.as_ref().map(company))
        .unwrap_or(Cell::Empty)
}

const fn step_key(step: HopStep) -> &'static str {
    match step {
        HopStep::Signed => "hop-signed",
        HopStep::Stored => "hop-stored",
        HopStep::Received => "hop-received",
        HopStep::Released => "hop-released",
        HopStep::Sent => "hop-sent",
        HopStep::Delivered => "hop-delivered",
        HopStep::NotDelivered => "hop-not-delivered",
        HopStep::Read => "hop-read",
        HopStep::Void => "hop-void",
    }
}
