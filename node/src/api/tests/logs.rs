//! What a log line may say: templates, codes and times.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::http::Method;
use serde_json::json;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

use super::World;
use super::double::ANNA;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic while held").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn nothing_private_is_logged() {
    let lines = Lines::default();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(lines.clone())
        .with_ansi(false);
    // Everything that our own code says; dependencies are kept at warnings by the node.
    let ours = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("crossport", LevelFilter::TRACE);
    // For the whole process: a subscriber of one thread misses what another thread's test met first and cached as
    // unwanted. Lines of other tests do no harm, they are held to the same rule.
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(ours));
    subscriber.try_init().expect("no other test takes the log");
    let world = World::start().await;
    let mut client = world.tcp().await;
    let send = |text: &str| json!({ "client_id": "canary-client", "text": text });
    for text in ["canary-text", "panic"] {
        client
            .write("/v0/chats/canary-chat/messages", &send(text))
            .token(ANNA)
            .reply()
            .await;
    }
    client
        .read("/v0/contacts?query=canary-query")
        .token(ANNA)
        .reply()
        .await;
    client
        .read("/v0/chats/canary-chat")
        .token(ANNA)
        .reply()
        .await;
    client
        .read("/v0/messages/canary-message/why")
        .token(ANNA)
        .reply()
        .await;
    client.read("/v0/me").token("canary-token").reply().await;
    let malformed = json!({ "client_id": "canary-client", "text": ["canary-text"] });
    client
        .write("/v0/chats/canary-chat/messages", &malformed)
        .token(ANNA)
        .reply()
        .await;
    let login = json!({ "client_id": "c", "secret": "canary-secret", "device": "canary-device" });
    client.write("/v0/redeem", &login).reply().await;
    client
        .ask(Method::PATCH, "/v0/chats/canary-chat")
        .token(ANNA)
        .reply()
        .await;
    let text =
        String::from_utf8(lines.0.lock().expect("no panic while held").clone()).expect("text");
    for expected in [
        "route=\"/v0/chats/{chat}/messages\"",
        "status=201",
        "code=\"X0401\"",
        "a handler panicked",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
    assert!(!text.contains("canary") && !text.contains(ANNA), "{text}");
}
