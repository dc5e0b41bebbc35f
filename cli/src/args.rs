//! The global flags and the list of nouns.
//!
//! Owns what every command shares. It must not hold any help text: those are in the catalogue (`cli-*`), put in by
//! `help`. Verbs of a noun live beside their code in `commands`.

use crate::commands::Command;
use std::path::PathBuf;

#[derive(Debug, clap::Parser)]
#[command(
    name = "crossport",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes, before or after it.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Globals {
    #[arg(long, global = true, conflicts_with = "quiet")]
    pub json: bool,
    #[arg(long, short, global = true)]
    pub quiet: bool,
    #[arg(long, global = true, value_enum, default_value_t)]
    pub color: Color,
    #[arg(long, short, global = true)]
    pub yes: bool,
    #[arg(long, global = true, env = "CROSSPORT_LANG", value_parser = ["en", "ru"])]
    pub lang: Option<String>,
    #[arg(long, global = true, env = "CROSSPORT_DATA", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    #[arg(long, global = true, env = "CROSSPORT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[arg(
        long,
        global = true,
        env = "CROSSPORT_CREDENTIALS",
        value_name = "FILE"
    )]
    pub credentials: Option<PathBuf>,
    #[arg(
        long = "as",
        global = true,
        env = "CROSSPORT_PROFILE",
        value_name = "PROFILE"
    )]
    pub profile: Option<String>,
    #[arg(long, global = true, value_name = "ID")]
    pub client_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}
