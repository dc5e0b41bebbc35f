//! `crossport demo`: two companies on this machine, and everything that is promised about them, checked before it is told.
//!
//! Owns the temporary folder and the children in it: whatever happens, both are gone at the end, and what the children
//! logged is shown if something failed. It must not hold any text: the story is in the catalogue (`demo-*`). Exit code 0
//! means that every claim was read back through the API and was true; a failed one is exit code 1, whatever its cause.

mod absence;
mod cast;
mod opening;
mod proof;
mod story;
mod talk;

use crate::context::Context;
use crate::errors::Failure;
use crate::output::Format;
use cast::Cast;
use clap::Args;
use crossport_node::api::types::Code;
use crossport_node::say;
use std::path::Path;
pub use story::decimal;
use story::{Story, took};

/// The children's logs, in the order of the story.
const LOGS: [&str; 2] = ["acme.log", "globex.log"];

#[derive(Debug, Args)]
pub struct Demo {
    #[arg(long, conflicts_with = "exit")]
    stay: bool,
    #[arg(long)]
    exit: bool,
}

pub async fn run(arguments: Demo, context: &mut Context) -> Result<(), Failure> {
    let texts = context.texts;
    let folder = tempfile::Builder::new().prefix("crossport-demo-").tempdir();
    let folder = folder.map_err(|error| Failure::io(texts, "tmp", &error))?;
    let stays = arguments.stay || (!arguments.exit && context.output.format == Format::Table);
    let credentials = folder.path().join("credentials.toml");
    let mut story = Story::new(context);
    let told = tokio::select! {
        told = tell(&mut story, folder.path(), &credentials) => told,
        stopped = crate::stage::interrupted(texts) => Err(stopped),
    };
    let ended = match told {
        Ok(cast) => end(&mut story, cast, &credentials, stays).await,
        Err(failure) => Err(failed(&story, &failure)),
    };
    if ended.is_err() {
        show_logs(folder.path(), context);
    }
    let shown = folder.path().display().to_string();
    let removed = folder
        .close()
        .map_err(|error| Failure::io(texts, &shown, &error));
    ended.and(removed)
}

/// The whole story.
async fn tell(story: &mut Story<'_>, folder: &Path, credentials: &Path) -> Result<Cast, Failure> {
    let texts = story.texts;
    story.title(&say!(texts, "demo-title"))?;
    story.note(&say!(
        texts,
        "demo-intro",
        folder = folder.display().to_string()
    ))?;
    let (acme, globex) = opening::companies(story, folder).await?;
    opening::pairing(story, &acme, &globex).await?;
    let mut cast = opening::people(story, acme, globex, credentials).await?;
    talk::direct(story, &mut cast).await?;
    talk::group(story, &mut cast).await?;
    let missed = absence::gone(story, &mut cast).await?;
    absence::back(story, &mut cast, &missed).await?;
    proof::evidence(story, &cast, &missed).await?;
    proof::administrator(story, &cast).await?;
    proof::disk(story, &cast, folder)?;
    Ok(cast)
}

/// The sum, what to try next, and both nodes' clean end.
async fn end(
    story: &mut Story<'_>,
    mut cast: Cast,
    credentials: &Path,
    stays: bool,
) -> Result<(), Failure> {
    let texts = story.texts;
    story.act(say!(texts, "demo-act-end"))?;
    let sum = say!(
        texts,
        "demo-sum",
        checks = story.checks(),
        time = took(story.elapsed(), texts)
    );
    story.title(&format!("    {sum}"))?;
    if stays {
        commands(story, &cast, credentials)?;
        let failure = tokio::select! {
            _ = crate::stage::interrupted(texts) => None,
            failure = cast.acme.ended() => Some(failure),
            failure = cast.globex.ended() => Some(failure),
        };
        if let Some(failure) = failure {
            return Err(failed(story, &failure));
        }
    } else {
        story.note(&say!(texts, "demo-next"))?;
    }
    let (acme, globex) = tokio::join!(cast.acme.stop(), cast.globex.stop());
    acme.and(globex).map_err(|failure| failed(story, &failure))
}

/// What can be pasted into another terminal.
fn commands(story: &mut Story<'_>, cast: &Cast, credentials: &Path) -> Result<(), Failure> {
    let texts = story.texts;
    story.note(&say!(texts, "demo-try"))?;
    // The beginning of a profile is enough, and a shorter line is easier to paste.
    let as_person = |nickname: &str| {
        let file = credentials.display();
        format!("{} --credentials {file} --as {nickname}", program())
    };
    for person in [&cast.anna, &cast.boris] {
        let who = as_person(&person.who.nickname);
        story.command(&format!("{who} chat watch --last 5"))?;
    }
    let (title, text) = (
        say!(texts, "demo-group-title"),
        say!(texts, "demo-try-text"),
    );
    let who = as_person(&cast.anna.who.nickname);
    story.command(&format!("{who} chat send '{title}' '{text}'"))?;
    story.note(&say!(texts, "demo-stays"))
}

/// How this program was called, so that a pasted line finds it.
fn program() -> String {
    std::env::current_exe().map_or_else(
        |_| "crossport".to_owned(),
        |path| path.display().to_string(),
    )
}

/// Whatever failed, the demo failed: its exit code is 1, and the reason is the cause.
fn failed(story: &Story<'_>, failure: &Failure) -> Failure {
    let problem = failure.problem();
    let reason = match &problem.cause {
        Some(cause) => format!("{}: {cause}", problem.title),
        None => problem.title.clone(),
    };
    let subject = format!("demo: {}", story.act_title());
    Failure::new(story.texts, Code::Failed, &subject).cause(reason)
}

fn show_logs(folder: &Path, context: &mut Context) {
    for name in LOGS {
        let lines = crate::stage::tail(&folder.join(name));
        if !lines.is_empty() {
            context.output.aside(&format!("{name}:"));
            lines
                .iter()
                .for_each(|line| context.output.aside(&format!("  {line}")));
        }
    }
}
