//! What keeps one client from harming the others: limits, timeouts, foreign pages, panics.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::DEADLINE;
use super::double::{ANNA, BORIS, message};
use super::{World, until};
use crate::api::types::Change;
use crate::api::{ServeError, Server, Settings};

const SEND: &str = "/v0/chats/c4c4/messages";

/// Reads until the other side closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_string(&mut text)).await;
    // A reset is an end like any other.
    let _ = read.expect("the server closes the connection");
    text
}

async fn metric(world: &World, line: &str) -> bool {
    let text = world.unix().await.read("/metrics").reply().await;
    let text = String::from_utf8(text.body.to_vec()).expect("text");
    text.lines().any(|found| found == line)
}

#[tokio::test]
async fn a_panic_is_one_refusal_and_the_node_goes_on() {
    let world = World::start().await;
    let mut client = world.tcp().await;
    let panic = client
        .write(SEND, &json!({ "client_id": "1", "text": "panic" }))
        .token(ANNA)
        .reply()
        .await;
    assert_eq!(
        (panic.status, panic.code().as_str()),
        (StatusCode::INTERNAL_SERVER_ERROR, "X0503")
    );
    let next = client
        .write(SEND, &json!({ "client_id": "2", "text": "hello" }))
        .token(ANNA)
        .reply()
        .await;
    assert_eq!(next.status, StatusCode::CREATED, "on the same connection");
    assert!(metric(&world, "crossport_api_panics_total 1").await);
    let route = "method=\"POST\",route=\"/v0/chats/{chat}/messages\"";
    assert!(
        metric(
            &world,
            &format!("crossport_api_answers_total{{{route},status=\"500\"}} 1")
        )
        .await
    );
    assert!(
        metric(
            &world,
            "crossport_refusals_total{side=\"api\",reason=\"X0503\"} 1"
        )
        .await
    );
}

#[tokio::test]
async fn a_use_case_that_hangs_is_answered_for() {
    let world = World::with(Settings {
        request_timeout: Duration::from_millis(100),
        ..Settings::default()
    })
    .await;
    let mut client = world.tcp().await;
    let reply = client
        .write(SEND, &json!({ "client_id": "1", "text": "hang" }))
        .token(ANNA)
        .reply()
        .await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "X0504")
    );
    assert_eq!(reply.header("retry-after"), "1");
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let world = World::with(Settings {
        request_timeout: Duration::from_millis(100),
        ..Settings::default()
    })
    .await;
    let mut stream = TcpStream::connect(world.address).await.expect("connects");
    let head = format!(
        "POST {SEND} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ANNA}\r\nContent-Type: application/json\r\n\
         Content-Length: 50\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let answer = rest(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("X0504"),
        "{answer}"
    );
}

#[tokio::test]
async fn slow_headers_end_the_connection() {
    let world = World::with(Settings {
        header_timeout: Duration::from_millis(200),
        ..Settings::default()
    })
    .await;
    let mut stream = TcpStream::connect(world.address).await.expect("connects");
    let drip = async {
        for byte in b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
            .iter()
            .chain(&[b'a'; 1000])
        {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("1,000 bytes at one each 20 ms were taken");
    };
    tokio::time::timeout(DEADLINE, drip)
        .await
        .expect("cut in time");
    assert!(
        metric(
            &world,
            "crossport_refusals_total{side=\"connection\",reason=\"slow_headers\"} 1"
        )
        .await
    );
    assert_eq!(
        world.tcp().await.read("/healthz").reply().await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_header_bomb_is_refused() {
    let world = World::start().await;
    let fits = "a".repeat(8_000);
    let reply = world
        .tcp()
        .await
        .read("/healthz")
        .header("x-long", &fits)
        .reply()
        .await;
    assert_eq!(
        reply.status,
        StatusCode::OK,
        "what browsers send of their own fits"
    );
    let long = format!("X-Long: {}\r\n", "a".repeat(20_000));
    let many = "X-Many: a\r\n".repeat(500);
    for bomb in [long, many] {
        let mut stream = TcpStream::connect(world.address).await.expect("connects");
        let request = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{bomb}\r\n");
        // The server may hang up before everything is sent.
        let _ = stream.write_all(request.as_bytes()).await;
        let answer = rest(&mut stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
            "{answer}"
        );
    }
    assert_eq!(
        world.tcp().await.read("/healthz").reply().await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn what_is_not_http_harms_nobody() {
    let world = World::start().await;
    for garbage in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(world.address).await.expect("connects");
        let _ = stream.write_all(garbage).await;
        let answer = rest(&mut stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
    assert_eq!(
        world.tcp().await.read("/healthz").reply().await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_session_has_its_own_rate() {
    let world = World::with(Settings {
        requests_per_s: 1,
        request_burst: 3,
        ..Settings::default()
    })
    .await;
    let mut client = world.tcp().await;
    for _ in 0..3 {
        assert_eq!(
            client.read("/v0/me").token(ANNA).reply().await.status,
            StatusCode::OK
        );
    }
    let reply = client.read("/v0/me").token(ANNA).reply().await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "X0105")
    );
    assert_eq!(reply.header("retry-after"), "1");
    assert_eq!(
        client.read("/v0/me").token(BORIS).reply().await.status,
        StatusCode::OK,
        "others go on"
    );
}

#[tokio::test]
async fn strangers_are_slowed_down_and_lock_nobody_out() {
    let world = World::with(Settings {
        stranger_requests_per_s: 1,
        stranger_burst: 5,
        ..Settings::default()
    })
    .await;
    let mut client = world.tcp().await;
    let mut codes = Vec::new();
    for number in 0..10 {
        codes.push(
            client
                .read("/v0/me")
                .token(&format!("guess-{number}"))
                .reply()
                .await
                .code(),
        );
    }
    assert_eq!(
        codes.iter().filter(|code| *code == "X0201").count(),
        5,
        "{codes:?}"
    );
    assert!(codes[5..].iter().all(|code| code == "X0105"), "{codes:?}");
    let login = json!({ "client_id": "c", "secret": "guess", "device": "laptop" });
    assert_eq!(
        client.write("/v0/redeem", &login).reply().await.code(),
        "X0105"
    );
    assert_eq!(
        client.read("/v0/me").token(ANNA).reply().await.status,
        StatusCode::OK,
        "from the same address"
    );
}

#[tokio::test]
async fn connections_are_counted_and_operators_still_get_in() {
    let world = World::with(Settings {
        connections_max: 2,
        ..Settings::default()
    })
    .await;
    let (mut first, mut second) = (world.tcp().await, world.tcp().await);
    assert_eq!(first.read("/healthz").reply().await.status, StatusCode::OK);
    assert_eq!(second.read("/healthz").reply().await.status, StatusCode::OK);
    let mut third = TcpStream::connect(world.address)
        .await
        .expect("the system accepts");
    let _ = third
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert_eq!(rest(&mut third).await, "");
    assert!(
        metric(
            &world,
            "crossport_refusals_total{side=\"connection\",reason=\"too_many\"} 1"
        )
        .await
    );
    drop(first);
    until("a closed connection frees its seat", async || {
        world.tcp().await.read("/healthz").status().await == Some(StatusCode::OK)
    })
    .await;
}

#[tokio::test]
async fn pages_of_other_sites_reach_nothing() {
    let world = World::start().await;
    let mut client = world.tcp().await;
    let send = json!({ "client_id": "1", "text": "hello" });
    let foreign = client
        .write(SEND, &send)
        .token(ANNA)
        .header("origin", "https://evil.example")
        .reply()
        .await;
    assert_eq!(
        (foreign.status, foreign.code().as_str()),
        (StatusCode::FORBIDDEN, "X0203")
    );
    let feed = client
        .read("/v0/changes")
        .token(ANNA)
        .header("origin", "null")
        .reply()
        .await;
    assert_eq!(feed.code(), "X0203");
    let rebound = client
        .read("/v0/me")
        .token(ANNA)
        .header("host", "evil.example:80")
        .reply()
        .await;
    assert_eq!(rebound.code(), "X0106");
    assert_eq!(world.node.calls(), Vec::<String>::new());
    let own = format!("http://{}", world.address);
    let own = client
        .write(SEND, &send)
        .token(ANNA)
        .header("origin", &own)
        .reply()
        .await;
    assert_eq!(own.status, StatusCode::CREATED);
}

#[tokio::test]
async fn plain_http_beyond_this_machine_must_be_asked_for() {
    let world = World::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("operator.sock");
    let everywhere = ["0.0.0.0:0".parse().expect("an address")];
    let refused = Server::bind(
        world.node.clone(),
        &socket,
        &everywhere,
        Settings::default(),
    )
    .await;
    assert!(
        matches!(refused, Err(ServeError::PlainBeyondLoopback(_))),
        "{:?}",
        refused.map(drop)
    );
    let told = Settings {
        plain_beyond_loopback: true,
        ..Settings::default()
    };
    assert!(
        Server::bind(world.node.clone(), &socket, &everywhere, told)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn stopping_waits_for_requests_and_cuts_what_hangs() {
    let mut world = World::with(Settings {
        shutdown_grace: Duration::from_millis(200),
        ..Settings::default()
    })
    .await;
    let mut idle = world.tcp().await;
    assert_eq!(idle.read("/healthz").reply().await.status, StatusCode::OK);
    let mut hanging = world.tcp().await;
    let request = json!({ "client_id": "1", "text": "hang" });
    let hang = async { hanging.write(SEND, &request).token(ANNA).status().await };
    let running = std::mem::replace(&mut world.running, tokio::spawn(async {}));
    let stop = async {
        until("the request hangs", async || {
            metric(&world, "crossport_api_connections 3").await
        })
        .await;
        world.stop.cancel();
        tokio::time::timeout(DEADLINE, running).await
    };
    let (hung, stopped) = tokio::join!(hang, stop);
    assert_eq!(hung, None, "it had no answer to give");
    stopped
        .expect("stops in time")
        .expect("stops without a panic");
    assert!(TcpStream::connect(world.address).await.is_err());
    assert!(!world.folder.path().join("operator.sock").exists());
}

#[tokio::test]
async fn a_feed_that_nobody_reads_is_closed() {
    let world = World::with(Settings {
        write_stall_timeout: Duration::from_millis(300),
        ..Settings::default()
    })
    .await;
    let text = "a".repeat(1000);
    world
        .node
        .publish((0..20_000).map(|number| Change::Message(Box::new(message(number, &text)))));
    let mut stream = TcpStream::connect(world.address).await.expect("connects");
    let head = format!(
        "GET /v0/changes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ANNA}\r\nLast-Event-ID: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    until("the feed is open", async || {
        metric(&world, "crossport_api_feeds 1").await
    })
    .await;
    until("the feed is closed", async || {
        metric(&world, "crossport_api_feeds 0").await
    })
    .await;
    let taken = rest(&mut stream).await.len();
    assert!(
        taken < 15_000_000,
        "it did not get everything: {taken} bytes"
    );
}
