//! What the edge itself costs, printed. Nothing is asserted about time: machines and builds differ.

use std::time::Instant;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::World;
use super::double::{ANNA, Double};
use crate::api::extract::{Asker, Peer};
use crate::api::facade::Lang;
use crate::api::routes::planes;
use crate::api::{Api, Settings};

/// As many keep-alive connections as a load generator opens.
const CONNECTIONS: usize = 64;
const REQUESTS_EACH: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_messages_over_many_connections() {
    let all = u32::try_from(CONNECTIONS * REQUESTS_EACH).expect("small");
    let world = World::with(Settings {
        request_burst: all,
        ..Settings::default()
    })
    .await;
    let body = json!({ "client_id": "0123456789abcdef", "text": "a message of the usual length, some sixty characters of it" });
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut client = world.tcp().await;
        let body = body.clone();
        tasks.spawn(async move {
            for _ in 0..REQUESTS_EACH {
                let reply = client
                    .write("/v0/chats/speed/messages", &body)
                    .token(ANNA)
                    .reply()
                    .await;
                assert_eq!(reply.status, StatusCode::CREATED);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no request failed");
    }
    let took = started.elapsed();
    let each = took / all;
    println!(
        "edge: {all} messages over {CONNECTIONS} connections in {took:?}, {each:?} each, client included"
    );
}

/// The same without sockets and HTTP: routing, the token, JSON in, JSON out, counting.
#[tokio::test]
async fn sending_messages_without_a_network() {
    const COUNT: u32 = 5_000;
    let settings = Settings {
        request_burst: COUNT,
        ..Settings::default()
    };
    let node = Double::new();
    let planes = planes(&node, &settings);
    let api = Api::new(node, settings, CancellationToken::new(), planes.document);
    let mut router = planes.tcp.with_state(api);
    let body = json!({ "client_id": "0123456789abcdef", "text": "a message of the usual length, some sixty characters of it" });
    let body = body.to_string();
    let started = Instant::now();
    for _ in 0..COUNT {
        let request = Request::post("/v0/chats/speed/messages")
            .header("authorization", format!("Bearer {ANNA}"))
            .header("content-type", "application/json")
            .extension(Asker {
                peer: Peer::SocketStranger,
                lang: Lang::En,
            });
        let request = request.body(Body::from(body.clone())).expect("a request");
        let Ok(response) = router.call(request).await;
        assert_eq!(response.status(), StatusCode::CREATED);
    }
    let took = started.elapsed();
    println!(
        "edge: {COUNT} messages without a network in {took:?}, {:?} each",
        took / COUNT
    );
}
