//! Long work of the operator as an event stream: `progress` ..., then `report` or `problem`.
//!
//! Must not know what the work is.

use std::pin::Pin;
use std::time::Duration;

use axum::body::Bytes;
use axum::response::Response;
use futures::{Stream, stream};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::facade::{Answer, Lang, OnProgress};
use super::types::{FEED_KEEP_ALIVE_S, Progress};
use super::{events, problems};

/// Between two `progress` events: people cannot read faster, and the work may tell of every record.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// Work that refuses does so at once, and is then a refusal like any other; what runs longer becomes a stream.
const REFUSES_WITHIN: Duration = Duration::from_secs(1);

const KEEP_ALIVE: Duration = Duration::from_secs(FEED_KEEP_ALIVE_S);

type Work<T> = Pin<Box<dyn Future<Output = Answer<T>> + Send>>;

/// Starts the work and tells of it. It stops where it stands when the client goes away, unless the node says otherwise.
pub(super) async fn told<T, F>(lang: Lang, start: impl FnOnce(OnProgress) -> F) -> Answer<Response>
where
    T: Serialize + Send + 'static,
    F: Future<Output = Answer<T>> + Send + 'static,
{
    let (tell, mut progress) = watch::channel(None);
    let told: OnProgress = Box::new(move |now| {
        tell.send_replace(Some(now));
    });
    let mut work: Work<T> = Box::pin(start(told));
    let ended = tokio::select! {
        biased;
        ended = &mut work => Some(ended?),
        _ = progress.wait_for(Option::is_some) => None,
        () = sleep(REFUSES_WITHIN) => None,
    };
    let stage = match ended {
        Some(report) => Stage::Ended { report: Ok(report) },
        None => {
            progress.mark_changed();
            let silent_since = Instant::now();
            Stage::Running(Running {
                work,
                progress,
                silent_since,
            })
        }
    };
    Ok(events::response(chunks(stage, lang)))
}

enum Stage<T> {
    Running(Running<T>),
    Ended { report: Answer<T> },
    Told,
}

struct Running<T> {
    work: Work<T>,
    progress: watch::Receiver<Option<Progress>>,
    silent_since: Instant,
}

fn chunks<T: Serialize + Send + 'static>(
    stage: Stage<T>,
    lang: Lang,
) -> impl Stream<Item = Bytes> + Send {
    stream::unfold(stage, move |mut stage| async move {
        loop {
            stage = match stage {
                Stage::Running(mut running) => {
                    let ended = tokio::select! {
                        biased;
                        ended = &mut running.work => Some(ended),
                        () = sleep(PROGRESS_EVERY) => None,
                    };
                    if let Some(report) = ended {
                        Stage::Ended { report }
                    } else if let Some(chunk) = running.chunk() {
                        return Some((chunk, Stage::Running(running)));
                    } else {
                        Stage::Running(running)
                    }
                }
                Stage::Ended { report } => return Some((last_chunk(report, lang), Stage::Told)),
                Stage::Told => return None,
            }
        }
    })
}

impl<T> Running<T> {
    /// News, or after a while a comment, so that a client can tell slow work from a dead node.
    fn chunk(&mut self) -> Option<Bytes> {
        // The sender is gone once the work needs it no more: then there are no news either.
        let news = self.progress.has_changed().unwrap_or(false);
        let now = if news {
            self.progress.borrow_and_update().clone()
        } else {
            None
        };
        let chunk = match now {
            Some(now) => {
                let mut buffer = Vec::new();
                events::push(&mut buffer, "progress", None, &now);
                buffer.into()
            }
            None if self.silent_since.elapsed() >= KEEP_ALIVE => events::COMMENT,
            None => return None,
        };
        self.silent_since = Instant::now();
        Some(chunk)
    }
}

fn last_chunk<T: Serialize>(report: Answer<T>, lang: Lang) -> Bytes {
    let mut buffer = Vec::new();
    match report {
        Ok(report) => events::push(&mut buffer, "report", None, &report),
        Err(refused) => events::push(
            &mut buffer,
            "problem",
            None,
            &problems::problem(&refused, lang),
        ),
    }
    buffer.into()
}
