//! `completions`, `man`, `version`, and the QR codes that other commands draw.

use crate::context::Context;
use crate::errors::Failure;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Completions {
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct Man {
    /// One page a command into this folder; without it the main page is printed.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

pub fn completions(arguments: &Completions, context: &mut Context) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut crate::help::localised(context.texts),
        "crossport",
        &mut script,
    );
    let script = String::from_utf8_lossy(&script);
    let json = serde_json::json!({ "shell": arguments.shell.to_string(), "script": script });
    context.output.raw_or(&script, &json)
}

pub fn man(arguments: &Man, context: &mut Context) -> Result<(), Failure> {
    let tree = crate::help::localised(context.texts);
    let Some(folder) = &arguments.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(tree)
            .render(&mut page)
            .map_err(|error| Failure::io(context.texts, "stdout", &error))?;
        let page = String::from_utf8_lossy(&page);
        return context
            .output
            .raw_or(&page, &serde_json::json!({ "page": page }));
    };
    let shown = folder.display().to_string();
    let written =
        std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(tree, folder));
    written.map_err(|error| Failure::io(context.texts, &shown, &error))?;
    let json = serde_json::json!({ "folder": shown });
    let sentence = crate::output::line(&shown);
    context.output.done(&json, &sentence, &sentence)
}

pub fn version(context: &mut Context) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let json = serde_json::json!({ "version": version, "os": std::env::consts::OS, "architecture": std::env::consts::ARCH });
    context.output.done(
        &json,
        version,
        &format!(
            "crossport {version} ({} {})",
            std::env::consts::OS,
            std::env::consts::ARCH
        ),
    )
}

/// Lines that stay free for what is printed below a picture.
const LINES_BELOW: usize = 12;

/// A picture for a telephone's camera, on a terminal that has room for it and for the words below. A text too long for a QR
/// code has none, and needs none.
pub fn qr(text: &str, context: &mut Context) {
    if !context.output.draws() {
        return;
    }
    let Ok(size) = rustix::termios::tcgetwinsize(std::io::stderr()) else {
        return;
    };
    if let Ok(code) = fast_qr::QRBuilder::new(text).build() {
        let picture = code.to_str();
        let columns = picture.lines().map(|line| line.chars().count()).max();
        let lines = picture.lines().count().saturating_add(LINES_BELOW);
        if columns.unwrap_or(0) <= size.ws_col.into() && lines <= size.ws_row.into() {
            context.output.picture(&picture);
        }
    }
}
