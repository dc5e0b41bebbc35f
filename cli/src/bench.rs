//! `crossport bench federation`: what two real nodes on this machine do, measured from outside.
//!
//! Nodes are child processes of this very program, linked by real libp2p on loopback, with durable commits; messages go in
//! through the HTTP API of one and are taken from the change feed of the other. Owns the order of scenarios. It must not
//! hold a result: every figure is measured in the call that prints it. An aim that was missed is told, and is no failure of
//! the command; a scenario that could not be measured is.

mod ground;
mod load;
mod machine;
mod receiver;
mod report;
mod scenarios;

use crate::context::Context;
use crate::errors::Failure;
use crate::output::Format;
use clap::{Args, Subcommand};
use crossport_node::api::types::Code;
use machine::{Calibration, Machine};
use report::{COLUMNS, Report, Row, SCHEMA, Scenario};
use scenarios::{Name, Plan, RUNS};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Debug, Subcommand)]
pub enum Bench {
    Federation(Federation),
}

#[derive(Debug, Args)]
pub struct Federation {
    #[arg(long, value_enum, value_name = "SCENARIO")]
    only: Vec<Name>,
    #[arg(long, value_enum, default_value_t)]
    scale: Scale,
    /// Where the nodes keep their data; a memory file system would make every commit free.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    #[default]
    Quick,
    Full,
}

pub async fn run(verb: Bench, context: &mut Context) -> Result<(), Failure> {
    match verb {
        Bench::Federation(arguments) => federation(arguments, context).await,
    }
}

async fn federation(arguments: Federation, context: &mut Context) -> Result<(), Failure> {
    let texts = context.texts;
    let base = arguments.folder.unwrap_or_else(std::env::temp_dir);
    let failed = |error: std::io::Error| Failure::io(texts, &base.display().to_string(), &error);
    let folder = tempfile::Builder::new()
        .prefix("crossport-bench-")
        .tempdir_in(&base)
        .map_err(failed)?;
    let plan = match arguments.scale {
        Scale::Quick => Plan::QUICK,
        Scale::Full => Plan::FULL,
    };
    let machine = Machine::of(folder.path());
    warn(&machine, context);
    let started_at = jiff::Timestamp::now().to_string();
    let calibration = Calibration::measure(folder.path(), texts)?;
    let chosen = Name::ALL
        .into_iter()
        .filter(|name| arguments.only.is_empty() || arguments.only.contains(name));
    let measuring = async {
        let mut measured = Vec::new();
        for name in chosen {
            measured.push(scenario(name, &plan, folder.path(), context).await);
        }
        measured
    };
    // A scenario that is dropped kills its nodes; the folder goes either way.
    let measured = tokio::select! {
        measured = measuring => Ok(measured),
        stopped = crate::stage::interrupted(texts) => Err(stopped),
    };
    folder.close().map_err(failed)?;
    let report = Report {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        started_at,
        scale: arguments.scale,
        runs: RUNS,
        machine,
        calibration,
        scenarios: measured?,
    };
    show(&report, context)
}

/// What would make the figures meaningless is said before anybody waits for them.
fn warn(machine: &Machine, context: &mut Context) {
    if machine.build == "debug" {
        context.output.hint("bench-debug-build", &[]);
    }
    if matches!(machine.file_system.as_str(), "tmpfs" | "ramfs") {
        let kind = machine.file_system.clone();
        context
            .output
            .hint("bench-in-memory", &[("kind", kind.into())]);
    }
}

/// One scenario, with its failure in it if it failed; its folder is gone afterwards.
async fn scenario(name: Name, plan: &Plan, folder: &Path, context: &mut Context) -> Scenario {
    context
        .output
        .hint("bench-running", &[("name", name.text().into())]);
    let own = folder.join(name.text());
    let begun = Instant::now();
    let result = scenarios::run(name, plan, &own, context).await;
    let mut scenario = result.unwrap_or_else(|failure| {
        for log in ["acme.log", "globex.log"] {
            let lines = crate::stage::tail(&own.join(log));
            lines
                .iter()
                .for_each(|line| context.output.aside(&format!("{log}: {line}")));
        }
        let problem = failure.problem();
        let cause = problem.cause.clone().unwrap_or_default();
        let mut scenario = Scenario::new(name.text());
        scenario.failed = Some(format!("{}: {cause}", problem.title));
        scenario
    });
    scenario.took_s = begun.elapsed().as_secs_f64();
    // Space for the next one; what cannot be removed now goes with the whole folder.
    let _ = std::fs::remove_dir_all(&own);
    scenario.with_rivals(context.texts)
}

fn show(report: &Report, context: &mut Context) -> Result<(), Failure> {
    let texts = context.texts;
    let rows: Vec<Row> = report
        .scenarios
        .iter()
        .flat_map(|scenario| scenario.figures.iter().map(|figure| figure.row(texts)))
        .collect();
    context.output.list(report, &rows, Row::name, COLUMNS)?;
    if context.output.format == Format::Table {
        let number = |value: f64| crate::demo::decimal(value, 0, texts);
        let values = [
            ("cores", report.machine.cores.into()),
            ("processor", report.machine.processor.clone().into()),
            ("filesystem", report.machine.file_system.clone().into()),
            ("sign", number(report.calibration.sign_per_s).into()),
            ("verify", number(report.calibration.verify_per_s).into()),
            (
                "sync",
                crate::demo::decimal(report.calibration.fdatasync_ms, 2, texts).into(),
            ),
            ("runs", report.runs.into()),
        ];
        context.output.hint("bench-calibration", &values);
    }
    let broken: Vec<&Scenario> = report
        .scenarios
        .iter()
        .filter(|scenario| scenario.failed.is_some())
        .collect();
    let Some(first) = broken.first() else {
        return Ok(());
    };
    let names: Vec<&str> = broken.iter().map(|scenario| scenario.name).collect();
    let cause = first.failed.clone().unwrap_or_default();
    Err(context
        .failure(Code::Failed, &format!("bench: {}", names.join(", ")))
        .cause(cause))
}
