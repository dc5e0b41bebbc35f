//! What is refused, with which code, in which language, and what a refusal never repeats.

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::World;
use super::client::Reply;
use super::double::ANNA;
use crate::api::settings::BODY_BYTES_MAX;

const SEND: &str = "/v0/chats/c4c4/messages";

/// Sends a body as JSON, and gives the code with the detail of the refusal.
async fn refused(
    world: &World,
    path: &str,
    body: impl Into<axum::body::Bytes>,
) -> (String, String) {
    let mut client = world.tcp().await;
    let ask = client
        .ask(Method::POST, path)
        .body(body)
        .header("content-type", "application/json");
    let problem = ask.token(ANNA).reply().await.problem();
    (problem.code, problem.detail.unwrap_or_default())
}

#[tokio::test]
async fn a_malformed_body_is_named_and_never_repeated() {
    let world = World::start().await;
    let deep = format!("{{\"client_id\":\"1\",\"text\":{}", "[".repeat(100_000));
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        (
            r#"{"client_id":"1","text":"a","titel":"b"}"#,
            "unknown field `titel`, expected one of `client_id`, `text`, `reply_to`",
        ),
        (r#"{"client_id":"1"}"#, "missing field `text`"),
        (
            r#"{"client_id":"1","text":"a","text":"b"}"#,
            "duplicate field `text`",
        ),
        (
            r#"{"client_id":"1","text":12}"#,
            "expected a string at line 1 column 26",
        ),
        (
            r#"{"client_id":"1","text":"a"} more"#,
            "trailing characters",
        ),
        (r#"{"client_id":"1","text":"a""#, "EOF while parsing"),
        ("", "EOF while parsing"),
        ("[]", "expected"),
        ("null", "expected struct SendMessage at line 1 column 4"),
        (&deep, "expected a string"),
        (&nested, "expected"),
    ];
    for (body, expected) in cases {
        let (code, detail) = refused(&world, SEND, body.to_owned()).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(code, "X0101", "{shown}");
        assert!(detail.starts_with(expected), "{shown}: {detail}");
    }
    let secret = r#"{"client_id":"1","people":"hunter2","kind":"hunter2"}"#;
    let (_, detail) = refused(&world, "/v0/chats", secret).await;
    assert!(!detail.contains("hunter2"), "{detail}");
    assert_eq!(
        world.node.calls(),
        Vec::<String>::new(),
        "nothing of it reached a use case"
    );
}

#[tokio::test]
async fn what_is_no_utf_8_is_refused_everywhere() {
    let world = World::start().await;
    let mut body = br#"{"client_id":"1","text":"x"}"#.to_vec();
    body[25] = 0xff;
    let (code, detail) = refused(&world, SEND, body).await;
    assert_eq!(code, "X0101");
    assert!(detail.contains("invalid unicode"), "{detail}");
    let mut client = world.tcp().await;
    for path in [
        "/v0/chats/%FF%FE",
        "/v0/contacts?query=%FF",
        "/v0/contacts?query=a%C3",
    ] {
        let reply = client.read(path).token(ANNA).reply().await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::BAD_REQUEST, "X0101"),
            "{path}"
        );
    }
    let valid = client
        .read("/v0/contacts?query=%C3%A9%zz")
        .token(ANNA)
        .reply()
        .await;
    assert_eq!(
        valid.status,
        StatusCode::OK,
        "a lone percent sign is just that"
    );
}

#[tokio::test]
async fn queries_take_only_what_they_know() {
    let world = World::start().await;
    let mut client = world.tcp().await;
    let detail = async |client: &mut super::Client, path: &str| {
        let problem = client.read(path).token(ANNA).reply().await.problem();
        assert_eq!(problem.code, "X0101", "{path}");
        problem.detail.unwrap_or_default()
    };
    let unknown = detail(&mut client, "/v0/chats?limt=3").await;
    assert!(unknown.contains("unknown field `limt`"), "{unknown}");
    let number = detail(&mut client, "/v0/chats?limit=many").await;
    assert!(
        number.contains("limit") && number.contains("invalid digit"),
        "{number}"
    );
    let twice = detail(&mut client, "/v0/chats?limit=1&limit=2").await;
    assert!(twice.contains("duplicate field"), "{twice}");
    assert_eq!(
        detail(&mut client, &format!("/v0/me?token={ANNA}")).await,
        "this address takes no query"
    );
    let token = detail(&mut client, "/v0/changes?last_event_id=7").await;
    assert!(
        token.contains("unknown field `last_event_id`"),
        "tokens do not go into addresses: {token}"
    );
    let missing = client
        .ask(Method::DELETE, "/v0/messages/3fa9.0")
        .token(ANNA)
        .reply()
        .await
        .problem();
    assert_eq!(missing.detail.as_deref(), Some("missing field `client_id`"));
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json() {
    let world = World::start().await;
    let mut client = world.tcp().await;
    let body = json!({ "client_id": "1", "text": "a" }).to_string();
    for kind in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
    ] {
        let mut ask = client
            .ask(Method::POST, SEND)
            .body(body.clone())
            .token(ANNA);
        if !kind.is_empty() {
            ask = ask.header("content-type", kind);
        }
        let problem = ask.reply().await.problem();
        assert_eq!(
            problem.detail.as_deref(),
            Some("Content-Type must be application/json"),
            "{kind}"
        );
    }
    let ask = client.ask(Method::POST, SEND).body(body).token(ANNA);
    let sent = ask
        .header("content-type", "Application/JSON; charset=utf-8")
        .reply()
        .await;
    assert_eq!(sent.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_body_is_as_long_as_the_limit_and_no_longer() {
    let world = World::start().await;
    let sized = |bytes: usize| {
        let frame = json!({ "client_id": "1", "text": "" }).to_string().len();
        json!({ "client_id": "1", "text": "a".repeat(bytes - frame) })
    };
    let largest = world
        .tcp()
        .await
        .write(SEND, &sized(BODY_BYTES_MAX))
        .token(ANNA)
        .reply()
        .await;
    assert_eq!(largest.status, StatusCode::CREATED);
    let reply = world
        .tcp()
        .await
        .write(SEND, &sized(BODY_BYTES_MAX + 1))
        .token(ANNA)
        .reply()
        .await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "X0103")
    );
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_problems_too() {
    let world = World::start().await;
    let mut client = world.tcp().await;
    for path in [
        "/",
        "/v0",
        "/v1/me",
        "/v0/me/",
        "/v0/chats/../me",
        "/v0/chats//messages",
        "/v0/chats/",
        "/v0/operator/nothing",
    ] {
        let reply = client.read(path).token(ANNA).reply().await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::NOT_FOUND, "X0106"),
            "{path}"
        );
    }
    let reply = client
        .ask(Method::PATCH, "/v0/me")
        .token(ANNA)
        .reply()
        .await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, "X0106")
    );
    assert_eq!(reply.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn refusals_speak_the_language_of_the_client() {
    let world = World::start().await;
    let mut client = world.unix().await;
    let accept = json!({ "client_id": "1", "ticket": "T" });
    let path = "/v0/operator/partners/accept";
    let english = client.write(path, &accept).reply().await.problem();
    let russian = client
        .write(path, &accept)
        .header("accept-language", "ru-RU, ru;q=0.9, en;q=0.5")
        .reply()
        .await
        .problem();
    assert_eq!(english.title, "partner \"globex\" refused");
    assert_eq!(english.cause.as_deref(), Some("2 min ago"));
    assert_eq!(russian.cause.as_deref(), Some("2 мин назад"));
    assert_ne!(english.title, russian.title);
    assert!(russian.title.contains("globex"));
    for problem in [&english, &russian] {
        assert_eq!((problem.code.as_str(), problem.status), ("X0312", 409));
        assert_eq!(problem.kind, "urn:crossport:problem:X0312");
        assert_eq!(problem.detail.as_deref(), Some("pairing/3"));
        assert_eq!(problem.try_next.as_deref(), Some("crossport up"));
    }
    let default = client
        .read("/v0/operator/nothing")
        .header("accept-language", "de")
        .reply()
        .await
        .problem();
    assert_eq!(default.title, "this address does not exist on the node");
    let me = client
        .read("/v0/me")
        .header("accept-language", "ru")
        .token(ANNA)
        .reply()
        .await;
    assert_eq!(
        me.json()["device"],
        "ru",
        "the use case hears the language too"
    );
}

#[tokio::test]
async fn names_from_outside_cannot_break_lines() {
    let world = World::start().await;
    let mut client = world.unix().await;
    let problem = client
        .read("/v0/operator/partners/a%0Ab%1B%5B31m")
        .reply()
        .await
        .problem();
    assert_eq!(problem.code, "X0301");
    assert!(
        !problem.title.contains(char::is_control),
        "{:?}",
        problem.title
    );
    let long = format!("/v0/operator/partners/{}", "a".repeat(4000));
    assert!(client.read(&long).reply().await.problem().title.len() < 600);
}

#[tokio::test]
async fn every_answer_carries_the_headers_of_a_careful_server() {
    let world = World::start().await;
    let mut client = world.tcp().await;
    let check = |reply: &Reply| {
        assert_eq!(reply.header("cache-control"), "no-store", "{reply:?}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert_eq!(reply.header("cross-origin-resource-policy"), "same-origin");
        assert!(
            reply
                .header("content-security-policy")
                .starts_with("default-src 'none';")
        );
        assert!(!reply.headers.contains_key("access-control-allow-origin"));
        assert!(!reply.headers.contains_key("server"));
    };
    check(&client.read("/healthz").reply().await);
    check(&client.read("/v0/openapi.json").reply().await);
    check(&client.read("/v0/me").token(ANNA).reply().await);
    check(&client.read("/v0/me").reply().await);
    check(&client.read("/nowhere").reply().await);
    check(
        &client
            .read("/v0/me")
            .header("origin", "http://evil.example")
            .reply()
            .await,
    );
    check(&client.ask(Method::OPTIONS, "/v0/me").reply().await);
}
