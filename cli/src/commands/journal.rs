//! `crossport verify` and `crossport rebuild`: long work on the journal, with progress.

use crate::context::Context;
use crate::errors::Failure;
use crate::output::{Cell, Column};
use crossport_node::api::types::{Code, Fault, Problem, Progress, RebuildReport, VerifyReport};
use crossport_node::say;
use hyper::Method;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::de::DeserializeOwned;

const FAULT_COLUMNS: &[Column<Fault>] = &[
    Column {
        title: "column-place",
        cell: |fault| Cell::Text(fault.place.clone()),
    },
    Column {
        title: "column-id",
        cell: |fault| {
            fault
                .id
                .as_ref()
                .map_or(Cell::Empty, |id| Cell::Id(id.clone()))
        },
    },
    Column {
        title: "column-reason",
        cell: |fault| Cell::Text(fault.reason.clone()),
    },
];

pub async fn verify(context: &mut Context) -> Result<(), Failure> {
    let report: VerifyReport = long_work("/v0/operator/verify", "progress-verify", context).await?;
    let fields = [
        ("field-records", Cell::Number(report.records)),
        ("field-envelopes", Cell::Number(report.envelopes)),
        ("field-signatures", Cell::Number(report.signatures)),
        ("field-chats", Cell::Number(report.chats)),
        ("field-faults", Cell::Number(report.faults_total)),
        ("field-took-ms", Cell::TookMs(report.took_ms)),
    ];
    context
        .output
        .record(&report, &report.faults_total.to_string(), &fields)?;
    let Some(first) = report.faults.first() else {
        return Ok(());
    };
    if context.output.format == crate::output::Format::Table {
        context.output.print("");
        context.output.list(
            &report.faults,
            &report.faults,
            |fault| &fault.place,
            FAULT_COLUMNS,
        )?;
    }
    let cause = say!(
        context.texts,
        "verify-first-fault",
        place = first.place.as_str(),
        reason = first.reason.as_str()
    );
    Err(context
        .failure(Code::VerificationFailed, &report.faults_total.to_string())
        .cause(cause))
}

pub async fn rebuild(context: &mut Context) -> Result<(), Failure> {
    let report: RebuildReport =
        long_work("/v0/operator/rebuild", "progress-rebuild", context).await?;
    let fields = [
        ("field-records", Cell::Number(report.records)),
        ("field-messages", Cell::Number(report.messages)),
        ("field-took-ms", Cell::TookMs(report.took_ms)),
    ];
    context
        .output
        .record(&report, &report.records.to_string(), &fields)
}

/// Follows an event stream of `progress` to its `report` or `problem`.
async fn long_work<R: DeserializeOwned>(
    path: &str,
    title: &str,
    context: &mut Context,
) -> Result<R, Failure> {
    let client = context.operator();
    let mut stream = client.stream(Method::POST, path, None).await?;
    let target = if context.output.draws() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{msg} {bar:30} {human_pos}/{human_len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(Some(0), target)
        .with_style(style)
        .with_message(context.texts.format(title, &[]));
    let unreadable = |error: serde_json::Error| {
        context
            .failure(Code::AnswerUnreadable, path)
            .cause(error.to_string())
    };
    while let Some(event) = stream.next().await? {
        match event.name.as_str() {
            "progress" => {
                let progress: Progress = serde_json::from_str(&event.data).map_err(unreadable)?;
                bar.set_length(progress.total);
                bar.set_position(progress.done);
            }
            "report" => {
                bar.finish_and_clear();
                return serde_json::from_str(&event.data).map_err(unreadable);
            }
            "problem" => {
                bar.finish_and_clear();
                let problem: Problem = serde_json::from_str(&event.data).map_err(unreadable)?;
                return Err(problem.into());
            }
            // Events of the future.
            _ => {}
        }
    }
    bar.finish_and_clear();
    Err(context
        .failure(Code::NodeUnreachable, path)
        .cause(say!(context.texts, "work-ended-early")))
}
