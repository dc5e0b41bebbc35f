//! `crossport init`: makes the company and its keys in an empty data folder, without starting anything.

use super::up::Settings;
use crate::context::Context;
use crate::errors::Failure;
use crate::output::Cell;
use clap::Args;
use crossport_node::api::types::{Code, InitReport};

#[derive(Debug, Args)]
pub struct Init {
    #[command(flatten)]
    settings: Settings,
}

pub async fn run(arguments: Init, context: &mut Context) -> Result<(), Failure> {
    let sources = context.sources(arguments.settings.flags(context)?);
    let config = super::config::load(&sources, context)?;
    let report = crate::node::init(config, context.texts).await?;
    if !report.created {
        return Err(context.failure(Code::CompanyExists, &report.company.name));
    }
    show(&report, context)
}

fn show(report: &InitReport, context: &mut Context) -> Result<(), Failure> {
    let fields = [
        ("field-company", Cell::Text(report.company.name.clone())),
        ("field-id", Cell::Id(report.company.id.clone())),
        (
            "field-words",
            Cell::Text(report.company.fingerprint_words.join(" ")),
        ),
        ("field-data-dir", Cell::Text(report.data_dir.clone())),
    ];
    context.output.record(report, &report.company.id, &fields)?;
    context.output.hint("hint-after-init", &[]);
    Ok(())
}
