//! `crossport audit`: what administrators did.

use crate::client::query;
use crate::context::Context;
use crate::errors::Failure;
use crate::output::{Cell, Column};
use clap::Args;
use crossport_node::api::types::{AuditEntry, Page};

#[derive(Debug, Args)]
pub struct Audit {
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    #[arg(long)]
    cursor: Option<String>,
}

const COLUMNS: &[Column<AuditEntry>] = &[
    Column {
        title: "column-time",
        cell: |entry| Cell::Time(entry.at.clone()),
    },
    Column {
        title: "column-who",
        cell: |entry| Cell::Text(entry.who.clone()),
    },
    Column {
        title: "column-what",
        cell: |entry| Cell::Text(entry.what.clone()),
    },
    Column {
        title: "column-subject",
        cell: |entry| Cell::text(entry.subject.as_ref()),
    },
];

pub async fn audit(arguments: Audit, context: &mut Context) -> Result<(), Failure> {
    let limit = arguments.limit.to_string();
    let query = query(&[
        ("limit", Some(&limit)),
        ("cursor", arguments.cursor.as_deref()),
    ]);
    let page: Page<AuditEntry> = context
        .operator()
        .read(&format!("/v0/operator/audit{query}"))
        .await?;
    context
        .output
        .list(&page, &page.items, |entry| &entry.at, COLUMNS)?;
    super::hint_next(page.next.as_deref(), context);
    Ok(())
}
