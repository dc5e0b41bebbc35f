//! `crossport status` and `crossport doctor`: is the node well, and if not, what to do.

use super::partner::state;
use crate::context::Context;
use crate::errors::Failure;
use crate::output::{Cell, Column};
use crossport_node::api::facade::Text;
use crossport_node::api::types::{Check, Code, Doctor, PartnerLine, Status, Verdict};

const PARTNER_COLUMNS: &[Column<PartnerLine>] = &[
    Column {
        title: "column-id",
        cell: |partner| Cell::Id(partner.id.clone()),
    },
    Column {
        title: "column-partner",
        cell: |partner| Cell::Named {
            name: partner.name.clone(),
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
        title: "column-lacks-since",
        cell: |partner| Cell::time(partner.not_delivered_since.as_ref()),
    },
];

const CHECK_COLUMNS: &[Column<Check>] = &[
    Column {
        title: "column-verdict",
        cell: |check| Cell::Verdict(check.verdict),
    },
    Column {
        title: "column-check",
        cell: named,
    },
    Column {
        title: "column-detail",
        cell: |check| Cell::Text(check.detail.clone()),
    },
    Column {
        title: "column-try",
        cell: |check| Cell::text(check.try_next.as_ref()),
    },
];

/// Scripts see the name as it is.
fn named(check: &Check) -> Cell {
    match check.name.as_str() {
        "disk" => Cell::Word("check-disk"),
        "permissions" => Cell::Word("check-permissions"),
        "listen" => Cell::Word("check-listen"),
        name => match name.strip_prefix("partner ") {
            Some(partner) => Cell::Told {
                text: Text::key("check-partner").with("name", partner),
                plain: name.to_owned(),
            },
            // Checks of a newer node.
            None => Cell::Text(name.to_owned()),
        },
    }
}

pub async fn status(context: &mut Context) -> Result<(), Failure> {
    let status: Status = context.operator().read("/v0/operator/status").await?;
    show(&status, context)
}

/// A node that has just come up: what others need of it. Scripts get all of its status.
pub fn introduce(status: &Status, context: &mut Context) -> Result<(), Failure> {
    if context.output.format != crate::output::Format::Table {
        return show(status, context);
    }
    let company = &status.company;
    let fields = [
        ("field-company", Cell::Text(company.name.clone())),
        (
            "field-words",
            Cell::Text(company.fingerprint_words.join(" ")),
        ),
        (
            "field-addresses",
            Cell::Addresses(company.addresses.clone()),
        ),
        ("field-api", Cell::Text(status.api.clone())),
        ("field-data-dir", Cell::Text(status.data_dir.clone())),
    ];
    context.output.record(status, &company.id, &fields)
}

/// The node in a few lines; its partners below on a terminal.
pub fn show(status: &Status, context: &mut Context) -> Result<(), Failure> {
    let fields = [
        ("field-company", Cell::Text(status.company.name.clone())),
        ("field-id", Cell::Id(status.company.id.clone())),
        (
            "field-words",
            Cell::Text(status.company.fingerprint_words.join(" ")),
        ),
        ("field-ready", Cell::yes(status.ready)),
        (
            "field-addresses",
            Cell::Addresses(status.company.addresses.clone()),
        ),
        ("field-api", Cell::Text(status.api.clone())),
        ("field-data-dir", Cell::Text(status.data_dir.clone())),
        ("field-users", Cell::Number(status.users.into())),
        ("field-chats", Cell::Number(status.chats.into())),
        ("field-journal", Cell::Bytes(status.journal.bytes)),
        ("field-free-disk", Cell::Bytes(status.journal.free_bytes)),
        ("field-index-lag", Cell::Number(status.index.lag_records)),
        ("field-started", Cell::Time(status.started_at.clone())),
        ("field-version", Cell::Text(status.version.clone())),
    ];
    context.output.record(status, &status.company.id, &fields)?;
    if context.output.format == crate::output::Format::Table && !status.partners.is_empty() {
        context.output.print("");
        context.output.list(
            &status.partners,
            &status.partners,
            |partner| &partner.id,
            PARTNER_COLUMNS,
        )?;
    }
    Ok(())
}

/// Exit code 1 if a check failed, so that monitoring may call it.
pub async fn doctor(context: &mut Context) -> Result<(), Failure> {
    let doctor: Doctor = context.operator().read("/v0/operator/doctor").await?;
    context
        .output
        .list(&doctor, &doctor.checks, |check| &check.name, CHECK_COLUMNS)?;
    let failed: Vec<&Check> = doctor
        .checks
        .iter()
        .filter(|check| check.verdict == Verdict::Failed)
        .collect();
    let Some(first) = failed.first() else {
        return Ok(());
    };
    let names = failed
        .iter()
        .map(|check| named(check).words(&context.output.look))
        .collect::<Vec<_>>()
        .join(", ");
    let failure = context
        .failure(Code::Failed, &names)
        .cause(first.detail.clone());
    Err(match &first.try_next {
        Some(next) => failure.try_next(next.clone()),
        None => failure,
    })
}
