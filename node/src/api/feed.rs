//! `GET /v0/changes`: a person's change feed as an event stream.
//!
//! Owns batching, keep-alive and the end of a stream. It must not know what changed or who may see it: the feed comes
//! from the node, ends when the session ends, and says `gap` when its reader was too slow.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use serde::Deserialize;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::Api;
use super::events;
use super::extract::UrlQuery;
use super::facade::{Answer, Caller, Feed, FeedItem, Refused, Text, TokenHash, UseCases};
use super::limits::Slot;
use super::settings::{FEED_WRITE_BYTES, TOKEN_CHARS_MAX};
use super::table::{Table, Who};
use super::types::{Change, Code};
use crate::metrics::Open;

pub(super) fn add<N: UseCases>(table: &mut Table<N>) {
    table.add(Who::READ, __path_changes, changes::<N>);
}

/// The query of the change feed. The token is a header and never here: addresses end up in logs and histories.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ChangesQuery {
    /// Restricts the feed to one chat.
    #[serde(default)]
    chat: Option<String>,
}

/// What changed since a token, then what changes. Events: `reset`, `chat`, `message`, `receipt`, `gap`; each `id:` is the
/// token to come back with in `Last-Event-ID`.
#[utoipa::path(get, path = "/v0/changes", tag = "changes",
    params(ChangesQuery, ("Last-Event-ID" = Option<String>, Header, description = "The last token that was seen")),
    responses((status = 200, body = Change, content_type = "text/event-stream")))]
async fn changes<N: UseCases>(
    State(api): State<Arc<Api<N>>>,
    caller: Caller,
    headers: HeaderMap,
    UrlQuery(query): UrlQuery<ChangesQuery>,
) -> Answer<Response> {
    let too_many =
        || Refused::from(Code::TooManyRequests).cause(Text::key("reason-too-many-feeds"));
    let slot = api.feeds.take(caller.session).ok_or_else(too_many)?;
    let feed = api
        .node
        .changes(caller, query.chat, last_event_id(&headers))
        .await?;
    let open = OpenFeed {
        feed,
        stopping: api.stopping.clone(),
        timer: Box::pin(sleep(api.settings.feed_keep_alive)),
        keep_alive: api.settings.feed_keep_alive,
        ended: false,
        _slot: slot,
        _counted: api.node.metrics().feed_opened(),
    };
    Ok(events::response(chunks(open)))
}

/// Whatever cannot be one of our tokens is passed on as none that is known: the answer is then a `reset`.
fn last_event_id(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("last-event-id")?;
    let token = value.to_str().unwrap_or("?");
    Some(token.chars().take(TOKEN_CHARS_MAX).collect())
}

struct OpenFeed {
    feed: Feed,
    stopping: CancellationToken,
    timer: std::pin::Pin<Box<Sleep>>,
    keep_alive: Duration,
    ended: bool,
    _slot: Slot<TokenHash>,
    _counted: Open,
}

/// Everything that is there goes out in one write: a reader who lags gets large chunks and catches up, one who is
/// up to date gets each change at once.
fn chunks(open: OpenFeed) -> impl Stream<Item = Bytes> + Send {
    stream::unfold(open, |mut open| async move {
        let chunk = next_chunk(&mut open).await?;
        let next = Instant::now() + open.keep_alive;
        open.timer.as_mut().reset(next);
        Some((chunk, open))
    })
}

async fn next_chunk(open: &mut OpenFeed) -> Option<Bytes> {
    if open.ended {
        return None;
    }
    let first = tokio::select! {
        biased;
        () = open.stopping.cancelled() => return None,
        item = open.feed.next() => item?,
        () = open.timer.as_mut() => return Some(events::COMMENT),
    };
    let mut buffer = Vec::with_capacity(1024);
    push(&mut buffer, &first);
    while buffer.len() < FEED_WRITE_BYTES {
        match open.feed.next().now_or_never() {
            Some(Some(item)) => push(&mut buffer, &item),
            Some(None) => {
                open.ended = true;
                break;
            }
            None => break,
        }
    }
    Some(buffer.into())
}

fn push(buffer: &mut Vec<u8>, FeedItem { token, change }: &FeedItem) {
    let token = Some(token.as_str());
    match change {
        Change::Reset(data) => events::push(buffer, change.name(), token, data),
        Change::Chat(data) => events::push(buffer, change.name(), token, data),
        Change::Message(data) => events::push(buffer, change.name(), token, data),
        Change::Receipt(data) => events::push(buffer, change.name(), token, data),
        Change::Gap(data) => events::push(buffer, change.name(), token, data),
    }
}
