//! `crossport user`: people of the own company, as their operator adds them.
//!
//! With `--as PROFILE` it is an administrator who acts, from their own session; else the operator on the node's socket.
//!
//! An operator makes a one-time activation secret and nothing else: nobody can become another person (S35).

use super::shell::qr;
use crate::client::{Client, segment};
use crate::context::Context;
use crate::errors::Failure;
use crate::output::{Cell, Column};
use clap::{Args, Subcommand};
use crossport_node::api::types::{NewUser, Page, Repeatable, User as Row, UserActivation};
use crossport_node::say;
use hyper::Method;

#[derive(Debug, Subcommand)]
pub enum User {
    Add(Add),
    #[command(alias = "ls")]
    List,
    Reset(Reset),
}

#[derive(Debug, Args)]
pub struct Add {
    nickname: String,
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    administrator: bool,
}

#[derive(Debug, Args)]
pub struct Reset {
    nickname: String,
}

const COLUMNS: &[Column<Row>] = &[
    Column {
        title: "column-nickname",
        cell: |user| Cell::Text(user.person.nickname.clone()),
    },
    Column {
        title: "column-name",
        cell: |user| Cell::Person(Box::new(user.person.clone())),
    },
    Column {
        title: "column-administrator",
        cell: |user| Cell::yes(user.administrator),
    },
    Column {
        title: "column-activated",
        cell: |user| Cell::yes(user.activated),
    },
    Column {
        title: "column-sessions",
        cell: |user| Cell::Number(user.sessions.into()),
    },
    Column {
        title: "column-since",
        cell: |user| Cell::Time(user.created_at.clone()),
    },
];

pub async fn run(verb: User, context: &mut Context) -> Result<(), Failure> {
    match verb {
        User::Add(arguments) => add(arguments, context).await,
        User::List => list(context).await,
        User::Reset(arguments) => reset(arguments, context).await,
    }
}

/// Who administers, and where.
fn plane(context: &Context) -> Result<(Client, &'static str), Failure> {
    match context.globals.profile {
        Some(_) => Ok((context.person()?, "/v0/users")),
        None => Ok((context.operator(), "/v0/operator/users")),
    }
}

async fn add(arguments: Add, context: &mut Context) -> Result<(), Failure> {
    let Add {
        nickname,
        name,
        administrator,
    } = arguments;
    let body = NewUser {
        client_id: context.client_id()?,
        nickname,
        name,
        administrator,
    };
    let (client, users) = plane(context)?;
    let activation: UserActivation = client.write(Method::POST, users, &body).await?;
    show_activation(&activation, context)
}

async fn list(context: &mut Context) -> Result<(), Failure> {
    let (client, users) = plane(context)?;
    let page: Page<Row> = super::whole_list(&client, users, &[]).await?;
    context
        .output
        .list(&page, &page.items, |user| &user.person.nickname, COLUMNS)
}

async fn reset(arguments: Reset, context: &mut Context) -> Result<(), Failure> {
    context.confirm(&say!(
        context.texts,
        "ask-reset",
        name = arguments.nickname.as_str()
    ))?;
    let (client, users) = plane(context)?;
    let path = format!("{users}/{}/reset", segment(&arguments.nickname));
    let body = Repeatable {
        client_id: context.client_id()?,
    };
    let activation: UserActivation = client.write(Method::POST, &path, &body).await?;
    show_activation(&activation, context)
}

/// The link is the result; how to use it is a hint.
pub fn show_activation(activation: &UserActivation, context: &mut Context) -> Result<(), Failure> {
    qr(&activation.link, context);
    let fields = [
        (
            "field-nickname",
            Cell::Text(activation.user.person.nickname.clone()),
        ),
        ("field-link", Cell::Whole(activation.link.clone())),
        ("field-expires", Cell::Time(activation.expires_at.clone())),
    ];
    context
        .output
        .record(activation, &activation.link, &fields)?;
    context.output.gap();
    context.output.hint(
        "hint-activation",
        &[("link", activation.link.as_str().into())],
    );
    Ok(())
}
