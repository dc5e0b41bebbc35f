//! `crossport config`: the values in force, read on this machine; no node needs to run.

use crate::context::Context;
use crate::errors::Failure;
use crate::output::{Cell, Column};
use clap::{Args, Subcommand};
use crossport_node::api::types::{Code, ConfigEntry};
use crossport_node::config::{Config as Loaded, ConfigError, Origin, Sources};

#[derive(Debug, Subcommand)]
pub enum Config {
    Show(Show),
}

#[derive(Debug, Args)]
pub struct Show {
    #[arg(long)]
    origin: bool,
}

const COLUMNS: &[Column<ConfigEntry>] = &[
    Column {
        title: "column-key",
        cell: |entry| Cell::Text(entry.key.clone()),
    },
    Column {
        title: "column-value",
        cell: |entry| Cell::Text(entry.value.clone()),
    },
    Column {
        title: "column-origin",
        cell: |entry| Cell::Told {
            text: Origin::parse(&entry.origin).text(),
            plain: entry.origin.clone(),
        },
    },
];

pub fn run(verb: Config, context: &mut Context) -> Result<(), Failure> {
    let Config::Show(arguments) = verb;
    let sources = context.sources(Vec::new());
    let config = load(&sources, context)?;
    let report = config.report();
    let columns = if arguments.origin {
        COLUMNS
    } else {
        COLUMNS.get(..2).unwrap_or(COLUMNS)
    };
    context
        .output
        .list(report, &report.entries, |entry| &entry.key, columns)
}

/// Reads the configuration, naming what is wrong; misspelt variables are hinted at.
pub fn load(sources: &Sources, context: &mut Context) -> Result<Loaded, Failure> {
    for name in Loaded::unknown_environment(sources) {
        context
            .output
            .hint("hint-unknown-variable", &[("name", name.into())]);
    }
    Loaded::load(sources).map_err(|error| match &error {
        ConfigError::FileUnreadable { path, cause } => {
            Failure::io(context.texts, &path.display().to_string(), cause)
        }
        _ => context
            .failure(Code::ConfigInvalid, &error.subject())
            .cause(context.texts.tell(&error.text())),
    })
}
