//! Event streams: the change feed and long work of the operator.

use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::client::DEADLINE;
use super::double::{ANNA, BORIS, message};
use super::{Client, World, until};
use crate::api::Settings;
use crate::api::settings::FEEDS_PER_SESSION_MAX;
use crate::api::types::Change;

/// One event as it came.
#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

/// Reads events off a body.
struct Events {
    body: Incoming,
    buffer: Vec<u8>,
    /// How many chunks came.
    chunks: usize,
    comments: usize,
}

impl Events {
    fn new(body: Incoming) -> Self {
        Self {
            body,
            buffer: Vec::new(),
            chunks: 0,
            comments: 0,
        }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let block = std::str::from_utf8(&block)
                    .expect("UTF-8")
                    .trim_end()
                    .to_owned();
                if block == ":" {
                    self.comments += 1;
                    continue;
                }
                return Some(parse(&block));
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Takes one more chunk; false at the end.
    async fn more(&mut self) -> bool {
        let frame = tokio::time::timeout(DEADLINE, self.body.frame())
            .await
            .expect("something within the deadline");
        let Some(Ok(frame)) = frame else { return false };
        self.buffer
            .extend_from_slice(frame.data_ref().expect("data"));
        self.chunks += 1;
        true
    }
}

fn parse(block: &str) -> Event {
    let field = |name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let data = field("data").unwrap_or_else(|| panic!("data in {block}"));
    Event {
        name: field("event").unwrap_or_default().to_owned(),
        id: field("id").unwrap_or_default().to_owned(),
        data: serde_json::from_str(data).expect("JSON"),
    }
}

async fn open(client: &mut Client, token: &str, last: Option<&str>) -> Events {
    let mut ask = client.read("/v0/changes").token(token);
    if let Some(last) = last {
        ask = ask.header("last-event-id", last);
    }
    let (status, headers, body) = ask.open().await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-store");
    Events::new(body)
}

fn lines(from: u64, count: u64) -> impl Iterator<Item = Change> {
    (from..from + count)
        .map(|number| Change::Message(Box::new(message(number, &format!("line {number}")))))
}

#[tokio::test]
async fn a_feed_begins_with_a_reset_and_goes_on_where_it_was_left() {
    let world = World::start().await;
    let mut client = world.tcp().await;
    let mut feed = open(&mut client, ANNA, None).await;
    let first = feed.next().await.expect("a reset");
    assert_eq!(
        (first.name.as_str(), first.data),
        ("reset", json!({ "reason": "new_client" }))
    );
    world.node.publish(lines(0, 3));
    let mut last = String::new();
    for number in 0..2 {
        let event = feed.next().await.expect("a message");
        assert_eq!(
            (event.name.as_str(), &event.data["text"]),
            ("message", &json!(format!("line {number}")))
        );
        last = event.id;
    }
    drop((feed, client));
    world.node.publish(lines(3, 2));
    let mut client = world.tcp().await;
    let mut feed = open(&mut client, ANNA, Some(&last)).await;
    for number in 2..5 {
        assert_eq!(
            feed.next().await.expect("a message").data["text"],
            json!(format!("line {number}"))
        );
    }
    assert_eq!(
        world.node.calls(),
        ["changes  -".to_owned(), format!("changes  {last}")]
    );
}

#[tokio::test]
async fn a_feed_ends_with_its_session_and_others_go_on() {
    let world = World::start().await;
    let (mut annas, mut boriss) = (world.tcp().await, world.tcp().await);
    let mut anna = open(&mut annas, ANNA, Some("0")).await;
    let mut boris = open(&mut boriss, BORIS, Some("0")).await;
    world.node.revoke(ANNA);
    assert_eq!(anna.next().await, None);
    world.node.publish(lines(7, 1));
    assert_eq!(
        boris.next().await.expect("a message").data["text"],
        "line 7"
    );
    assert_eq!(
        world
            .tcp()
            .await
            .read("/v0/changes")
            .token(ANNA)
            .reply()
            .await
            .code(),
        "X0201"
    );
}

#[tokio::test]
async fn a_stopping_node_ends_its_feeds() {
    let world = World::start().await;
    let mut client = world.tcp().await;
    let mut feed = open(&mut client, ANNA, Some("0")).await;
    world.stop.cancel();
    assert_eq!(feed.next().await, None);
    tokio::time::timeout(DEADLINE, world.running)
        .await
        .expect("stops in time")
        .expect("without a panic");
}

#[tokio::test]
async fn a_silent_feed_is_kept_alive() {
    let world = World::with(Settings {
        feed_keep_alive: Duration::from_millis(20),
        ..Settings::default()
    })
    .await;
    let mut client = world.tcp().await;
    let mut feed = open(&mut client, ANNA, Some("0")).await;
    for _ in 0..3 {
        assert!(feed.more().await);
    }
    assert_eq!(feed.buffer, b":\n\n:\n\n:\n\n");
    world.node.publish(lines(1, 1));
    assert_eq!(feed.next().await.expect("a message").data["text"], "line 1");
    assert!(feed.comments >= 3);
}

#[tokio::test]
async fn a_session_has_only_so_many_feeds() {
    let world = World::start().await;
    let mut open_ones = Vec::new();
    for _ in 0..FEEDS_PER_SESSION_MAX {
        let mut client = world.tcp().await;
        let feed = open(&mut client, ANNA, Some("0")).await;
        open_ones.push((client, feed));
    }
    assert_eq!(
        world
            .tcp()
            .await
            .read("/v0/changes")
            .token(ANNA)
            .reply()
            .await
            .code(),
        "X0105"
    );
    let mut other = world.tcp().await;
    open(&mut other, BORIS, Some("0")).await;
    open_ones.clear();
    until("closed feeds free their places", async || {
        world
            .tcp()
            .await
            .read("/v0/changes")
            .token(ANNA)
            .status()
            .await
            == Some(StatusCode::OK)
    })
    .await;
}

#[tokio::test]
async fn strange_tokens_are_handed_on_and_hurt_nobody() {
    let world = World::start().await;
    let long = "9".repeat(5000);
    for token in ["", "no such token", "\u{7f}", long.as_str()] {
        let Ok(_) = axum::http::HeaderValue::from_str(token) else {
            continue;
        };
        let mut client = world.tcp().await;
        let mut feed = open(&mut client, ANNA, Some(token)).await;
        assert_eq!(
            feed.next().await.expect("a reset").name,
            "reset",
            "{token:?}"
        );
    }
    assert!(world.node.calls().iter().all(|call| call.len() < 300));
}

/// Prints what one client gets through one feed; the batches are asserted, the speed is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lagging_reader_gets_many_events_in_one_write() {
    const COUNT: u64 = 20_000;
    let world = World::start().await;
    world.node.publish(lines(0, COUNT));
    let mut client = world.tcp().await;
    let started = Instant::now();
    let mut feed = open(&mut client, ANNA, Some("0")).await;
    let mut bytes = 0;
    let mut events = 0;
    while events < COUNT as usize {
        assert!(feed.more().await);
        bytes += feed.buffer.len();
        events += feed
            .buffer
            .windows(2)
            .filter(|pair| pair == b"\n\n")
            .count();
        feed.buffer.clear();
    }
    let took = started.elapsed();
    let per_s = COUNT as f64 / took.as_secs_f64();
    println!(
        "feed: {COUNT} events, {bytes} bytes in {} reads, {took:?}, {per_s:.0} events/s",
        feed.chunks
    );
    assert!(
        (feed.chunks as u64) < COUNT / 20,
        "{} reads for {COUNT} events",
        feed.chunks
    );
}

#[tokio::test]
async fn long_work_tells_of_itself() {
    let world = World::start().await;
    let mut client = world.unix().await;
    let (status, _, body) = client.ask(Method::POST, "/v0/operator/verify").open().await;
    assert_eq!(status, StatusCode::OK);
    let mut events = Events::new(body);
    let progress = events.next().await.expect("progress");
    assert_eq!(
        (progress.name.as_str(), &progress.data["total"]),
        ("progress", &json!(500))
    );
    let mut last = progress;
    while last.name == "progress" {
        last = events.next().await.expect("more");
    }
    assert_eq!(
        (last.name.as_str(), &last.data["records"]),
        ("report", &json!(500))
    );
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn long_work_that_fails_ends_with_a_problem_in_the_clients_language() {
    let world = World::start().await;
    let mut client = world.unix().await;
    let ask = client
        .ask(Method::POST, "/v0/operator/rebuild")
        .header("accept-language", "ru");
    let (_, _, body) = ask.open().await;
    let mut events = Events::new(body);
    let mut last = events.next().await.expect("an event");
    while last.name == "progress" {
        last = events.next().await.expect("more");
    }
    assert_eq!(
        (last.name.as_str(), &last.data["code"]),
        ("problem", &json!("X0502"))
    );
    let title = last.data["title"].as_str().expect("a title");
    assert!(title.contains("диск"), "{title}");
}
