//! `crossport contact`: colleagues and partners' people one can write to.

use crate::context::Context;
use crate::errors::Failure;
use crate::output::{Cell, Column};
use clap::{Args, Subcommand};
use crossport_node::api::types::{Page, Person};

#[derive(Debug, Subcommand)]
pub enum Contact {
    #[command(alias = "ls")]
    List(List),
}

#[derive(Debug, Args)]
pub struct List {
    query: Option<String>,
}

const COLUMNS: &[Column<Person>] = &[
    Column {
        title: "column-nickname",
        cell: |person| Cell::Text(person.nickname.clone()),
    },
    Column {
        title: "column-name",
        cell: |person| Cell::Person(Box::new(person.clone())),
    },
    Column {
        title: "column-company",
        cell: |person| Cell::Named {
            name: person.company.name.clone(),
            external: person.external,
        },
    },
    Column {
        title: "column-id",
        cell: |person| Cell::Id(person.id.clone()),
    },
];

pub async fn run(verb: Contact, context: &mut Context) -> Result<(), Failure> {
    let Contact::List(arguments) = verb;
    let page: Page<Person> = super::whole_list(
        &context.person()?,
        "/v0/contacts",
        &[("query", arguments.query.as_deref())],
    )
    .await?;
    context
        .output
        .list(&page, &page.items, |person| &person.id, COLUMNS)?;
    if page.items.is_empty() {
        context.output.hint("hint-no-contact", &[]);
    }
    Ok(())
}
