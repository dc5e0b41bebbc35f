//! Real companies on this machine: nodes of this very program as child processes, paired, with people signed in.
//!
//! Shared by the demo and the benchmarks, so that both drive what a customer runs: `crossport up`, the operators' socket,
//! the HTTP API. It must not know the inside of a node, what is told about it, or what is measured.

mod company;
mod person;
mod process;

pub use company::{Company, pair};
pub use person::Person;
pub use process::{NodeProcess, Spec};

use crate::errors::Failure;
use crossport_node::api::types::Code;
use crossport_node::say;
use crossport_node::texts::Texts;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{SignalKind, signal};

/// Between two looks at something that is awaited: far below the aims that are measured by looking (tenths of a second),
/// and rare enough that looking does not slow down what is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Lines of a node's log that are shown when something failed.
const LOG_TAIL_LINES: usize = 15;

/// Looks again and again until there is something, and tells how long that took.
///
/// # Errors
/// A look that fails ends the waiting; so does the deadline, naming what was awaited.
pub async fn until<T>(
    what: &str,
    within: Duration,
    texts: &'static Texts,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Failure>,
) -> Result<(T, Duration), Failure> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok((found, begun.elapsed()));
        }
        if begun.elapsed() > within {
            return Err(late(what, within, texts));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What was awaited did not come in time.
pub fn late(what: &str, within: Duration, texts: &Texts) -> Failure {
    let seconds = within.as_secs();
    let cause = say!(texts, "stage-late", what = what, seconds = seconds);
    Failure::new(texts, Code::TimedOut, what).cause(cause)
}

/// An id that makes a write repeatable.
pub fn fresh_id(texts: &Texts) -> Result<String, Failure> {
    let mut random = [0_u8; 10];
    getrandom::fill(&mut random).map_err(|error| Failure::content(texts, "getrandom", &error))?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // A machine that believes to live before 1970 has ids that are as unique, only not in order.
    let millis = since.map_or(0, |since| since.as_millis() as u64);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    Ok(id.simple().to_string())
}

/// Waits for Ctrl+C or SIGTERM: whoever started children ends them in order.
pub async fn interrupted(texts: &Texts) -> Failure {
    let failure = |error: std::io::Error| Failure::io(texts, "signal", &error);
    let (mut interrupt, mut terminate) = match (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) {
        (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
        (Err(error), _) | (_, Err(error)) => return failure(error),
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Failure::new(texts, Code::Failed, "crossport").cause(say!(texts, "stage-interrupted"))
}

/// The last lines of a log; nothing if there is none.
pub fn tail(log: &Path) -> Vec<String> {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_TAIL_LINES);
    let last = lines.get(from..).unwrap_or_default();
    last.iter().map(|text| crate::output::line(text)).collect()
}

/// Opens the file that a child's standard error goes to; a restarted node goes on in it.
fn log_file(path: &Path, texts: &Texts) -> Result<std::fs::File, Failure> {
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    opened.map_err(|error| Failure::io(texts, &path.display().to_string(), &error))
}
