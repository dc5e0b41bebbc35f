//! `crossport token`: tokens for a person's programs.
//!
//! The token itself is printed once, when it is made.

use super::duration_s;
use crate::client::{Client, segment};
use crate::context::Context;
use crate::errors::Failure;
use crate::output::{Cell, Column};
use clap::{Args, Subcommand, ValueEnum};
use crossport_node::api::types::{
    Code, MadeToken, NewToken, Page, ProgramToken as Row, TokenScope,
};
use hyper::Method;

#[derive(Debug, Subcommand)]
pub enum Token {
    Add(Add),
    #[command(alias = "ls")]
    List,
    #[command(alias = "rm")]
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub struct Add {
    name: String,
    #[arg(long, required = true, value_enum)]
    scope: Vec<Scope>,
    #[arg(long, value_parser = duration_s)]
    expires: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scope {
    Read,
    Write,
    Admin,
}

#[derive(Debug, Args)]
pub struct Revoke {
    token: String,
}

const COLUMNS: &[Column<Row>] = &[
    Column {
        title: "column-id",
        cell: |token| Cell::Text(token.id.clone()),
    },
    Column {
        title: "column-name",
        cell: |token| Cell::Text(token.name.clone()),
    },
    Column {
        title: "column-scopes",
        cell: |token| Cell::Text(scopes(token)),
    },
    Column {
        title: "column-since",
        cell: |token| Cell::Time(token.created_at.clone()),
    },
    Column {
        title: "column-last-seen",
        cell: |token| optional(token.last_used_at.as_ref()),
    },
    Column {
        title: "column-expires",
        cell: |token| optional(token.expires_at.as_ref()),
    },
];

pub async fn run(verb: Token, context: &mut Context) -> Result<(), Failure> {
    let client = context.person()?;
    let page: Page<Row> = match verb {
        Token::Add(arguments) => return add(arguments, &client, context).await,
        Token::List => client.read("/v0/me/tokens").await?,
        Token::Revoke(Revoke { token }) => {
            let id = whole_id(&client, &token, context).await?;
            let path = format!("/v0/me/tokens/{}", segment(&id));
            client.remove(&path, &context.client_id()?).await?
        }
    };
    context
        .output
        .list(&page, &page.items, |token| &token.id, COLUMNS)
}

async fn add(arguments: Add, client: &Client, context: &mut Context) -> Result<(), Failure> {
    let scope = |scope: &Scope| match scope {
        Scope::Read => TokenScope::Read,
        Scope::Write => TokenScope::Write,
        Scope::Admin => TokenScope::Admin,
    };
    let body = NewToken {
        client_id: context.client_id()?,
        name: arguments.name,
        scopes: arguments.scope.iter().map(scope).collect(),
        expires_in_s: arguments.expires,
    };
    let made: MadeToken = client.write(Method::POST, "/v0/me/tokens", &body).await?;
    let fields = [
        ("field-name", Cell::Text(made.token.name.clone())),
        ("field-token", Cell::Text(made.secret.clone())),
        ("field-scopes", Cell::Text(scopes(&made.token))),
        ("field-expires", optional(made.token.expires_at.as_ref())),
    ];
    context.output.record(&made, &made.secret, &fields)?;
    context.output.hint("hint-token", &[]);
    Ok(())
}

fn scopes(token: &Row) -> String {
    let name = |scope: &TokenScope| match scope {
        TokenScope::Read => "read",
        TokenScope::Write => "write",
        TokenScope::Admin => "admin",
    };
    token.scopes.iter().map(name).collect::<Vec<_>>().join(" ")
}

fn optional(time: Option<&String>) -> Cell {
    time.map_or_else(
        || Cell::Text("-".to_owned()),
        |time| Cell::Time(time.clone()),
    )
}

/// A token by a unique beginning of its id.
async fn whole_id(client: &Client, begun: &str, context: &Context) -> Result<String, Failure> {
    let page: Page<Row> = client.read("/v0/me/tokens").await?;
    let mut found = page.items.iter().filter(|row| row.id.starts_with(begun));
    match (found.next(), found.next()) {
        (Some(row), None) => Ok(row.id.clone()),
        (None, _) => Err(context.failure(Code::NotThere, begun)),
        (Some(_), Some(_)) => Err(context.failure(Code::IdAmbiguous, begun)),
    }
}
