//! `crossport audit`: what administrators did.

use crate::client::query;
use crate::context::Context;
use crate::errors::Failure;
use crate::output::{Cell, Column};
use clap::Args;
use crossport_node::api::facade::Text;
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
        cell: who,
    },
    Column {
        title: "column-what",
        cell: |entry| Cell::Text(entry.what.clone()),
    },
    Column {
        title: "column-subject",
        cell: subject,
    },
];

/// Operators and the node itself have words; people have ids.
fn who(entry: &AuditEntry) -> Cell {
    let plain = entry.who.clone();
    let text = match plain.as_str() {
        "node" => Text::key("audit-node"),
        "ticket" => Text::key("audit-ticket"),
        who => match who.strip_prefix("operator uid ") {
            Some(uid) => Text::key("audit-operator").with("uid", uid),
            None => return Cell::Text(plain),
        },
    };
    Cell::Told { text, plain }
}

/// Companies and people are shown by the beginning of their ids, as everywhere.
fn subject(entry: &AuditEntry) -> Cell {
    let is_id = |text: &&String| {
        let digits = text.replacen('.', "", 1);
        digits.len() >= 64 && digits.chars().all(|c| c.is_ascii_hexdigit())
    };
    match entry.subject.as_ref().filter(is_id) {
        Some(id) => Cell::Id(id.clone()),
        None => Cell::text(entry.subject.as_ref()),
    }
}

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
