//! Devices and tokens: what is listed, what is revoked, and that it is over within a second, open streams too.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use crossport_tests::http;
use crossport_tests::world::{Company, check, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::accounts::{PASSWORD, get, login, post, redeemed};

/// How long what was revoked may still be open.
const REVOKED_WITHIN: Duration = Duration::from_secs(1);

async fn delete(company: &Company, path: &str, token: &str) -> Result<http::Reply> {
    let bearer = format!("Bearer {token}");
    let path = format!("{path}?client_id=delete");
    let headers = [("authorization", bearer.as_str())];
    http::ask(company.api()?, "DELETE", &path, &headers, None).await
}

/// An event stream that has begun.
async fn stream(company: &Company, token: &str) -> Result<TcpStream> {
    let address = company.api()?;
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /v0/changes HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("event: reset") {
        let read = stream.read_buf(&mut seen).await?;
        ensure!(read > 0, "no stream: {}", String::from_utf8_lossy(&seen));
    }
    Ok(stream)
}

/// Waits until the other side ends the stream, and says how long that took.
async fn ended(mut stream: TcpStream) -> Result<Duration> {
    let began = Instant::now();
    let mut rest = Vec::new();
    let end = tokio::time::timeout(10 * REVOKED_WITHIN, stream.read_to_end(&mut rest)).await;
    end.context("the stream goes on")??;
    Ok(began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_is_out_within_a_second_and_its_stream_ends() -> Result<()> {
    let mut acme = Company::start("Acme").await?;
    let first = redeemed(&acme, "anna", false).await?;
    let second = login(&acme, "anna", PASSWORD).await?.with(201)?;
    let second = second.text("token")?.to_owned();
    let listed = get(&acme, "/v0/me/devices", &first).await?.with(200)?;
    let devices = listed.body["items"].as_array().context("no list")?.clone();
    let names: Vec<&Value> = devices.iter().map(|device| &device["name"]).collect();
    check("devices", names, vec![&json!("first"), &json!("another")])?;
    let current: Vec<&Value> = devices.iter().map(|device| &device["current"]).collect();
    check("this one", current, vec![&json!(true), &json!(false)])?;
    ensure!(devices[0]["last_seen_at"].is_string(), "{devices:?}");
    let id = devices[1]["id"].as_str().context("no id")?;

    let open = stream(&acme, &second).await?;
    let left = delete(&acme, &format!("/v0/me/devices/{id}"), &first).await?;
    let left = left.with(200)?;
    check("left", left.body["items"].as_array().map(Vec::len), Some(1))?;
    let took = ended(open).await?;
    ensure!(took < REVOKED_WITHIN, "the stream ended after {took:?}");
    check(
        "its token",
        get(&acme, "/v0/me", &second).await?.code(),
        "X0201",
    )?;
    get(&acme, "/v0/me", &first).await?.with(200)?;
    acme.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_other_devices_are_revoked_at_once_and_nobody_elses() -> Result<()> {
    let mut acme = Company::start("Acme").await?;
    let anna = redeemed(&acme, "anna", false).await?;
    let boris = redeemed(&acme, "boris", false).await?;
    let mut others = Vec::new();
    for _ in 0..3 {
        let reply = login(&acme, "anna", PASSWORD).await?.with(201)?;
        others.push(reply.text("token")?.to_owned());
    }
    let listed = get(&acme, "/v0/me/devices", &boris).await?.with(200)?;
    let id = listed.body["items"][0]["id"].as_str().context("no id")?;
    delete(&acme, &format!("/v0/me/devices/{id}"), &anna)
        .await?
        .with(200)?;
    get(&acme, "/v0/me", &boris).await?.with(200)?;
    delete(&acme, "/v0/me/devices", &anna).await?.with(200)?;
    for other in &others {
        check(
            "another",
            get(&acme, "/v0/me", other).await?.code(),
            "X0201",
        )?;
    }
    get(&acme, "/v0/me", &anna).await?.with(200)?;
    get(&acme, "/v0/me", &boris).await?.with(200)?;
    acme.down().await
}

async fn token(company: &Company, by: &str, wanted: &Value) -> Result<http::Reply> {
    let bearer = format!("Bearer {by}");
    post(
        company,
        "/v0/me/tokens",
        &[("authorization", &bearer)],
        wanted,
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_reaches_its_scopes_until_it_is_revoked() -> Result<()> {
    let mut acme = Company::start("Acme").await?;
    let anna = redeemed(&acme, "anna", true).await?;
    acme.person("boris").await?;
    let wanted = json!({ "client_id": "1", "name": "bot", "scopes": ["write"] });
    let made = token(&acme, &anna, &wanted).await?.with(201)?;
    let bot = made.text("secret")?.to_owned();
    let bearer = format!("Bearer {bot}");
    let chat = json!({ "client_id": "2", "kind": "direct", "people": ["boris"] });
    post(&acme, "/v0/chats", &[("authorization", &bearer)], &chat)
        .await?
        .with(201)?;
    for (what, path) in [
        ("reading", "/v0/chats"),
        ("administering", "/v0/users"),
        ("the account", "/v0/me/devices"),
    ] {
        let refused = get(&acme, path, &bot).await?;
        check(what, (refused.status, refused.code()), (403, "X0203"))?;
    }
    let me = get(&acme, "/v0/me", &bot).await?.with(200)?;
    check("it is called", &me.body["device"], &json!("bot"))?;

    let again = token(&acme, &anna, &wanted).await?.with(201)?;
    check(
        "repeated, the first is void",
        get(&acme, "/v0/me", &bot).await?.code(),
        "X0201",
    )?;
    let bot = again.text("secret")?.to_owned();
    let listed = get(&acme, "/v0/me/tokens", &anna).await?.with(200)?;
    check(
        "listed",
        listed.body["items"].as_array().map(Vec::len),
        Some(1),
    )?;
    let id = listed.body["items"][0]["id"].as_str().context("no id")?;
    ensure!(
        !listed.body.to_string().contains(&bot),
        "the list shows the token"
    );

    acme.down().await?;
    acme.up().await?;
    get(&acme, "/v0/me", &bot).await?.with(200)?;
    delete(&acme, &format!("/v0/me/tokens/{id}"), &anna)
        .await?
        .with(200)?;
    check("revoked", get(&acme, "/v0/me", &bot).await?.code(), "X0201")?;
    acme.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_void_and_its_stream_ends() -> Result<()> {
    let mut acme = Company::start("Acme").await?;
    let anna = redeemed(&acme, "anna", false).await?;
    for wrong in [
        json!({ "client_id": "1", "name": "bot", "scopes": [] }),
        json!({ "client_id": "1", "name": " ", "scopes": ["read"] }),
        json!({ "client_id": "1", "name": "bot", "scopes": ["read"], "expires_in_s": 0 }),
    ] {
        check(
            "refused",
            token(&acme, &anna, &wrong).await?.code(),
            "X0102",
        )?;
    }
    let wanted = json!({ "client_id": "1", "name": "bot", "scopes": ["read"], "expires_in_s": 2 });
    let bot = token(&acme, &anna, &wanted).await?.with(201)?;
    let bot = bot.text("secret")?.to_owned();
    let open = stream(&acme, &bot).await?;
    let took = ended(open).await?;
    ensure!(
        took < Duration::from_secs(2) + REVOKED_WITHIN,
        "after {took:?}"
    );
    eventually("it opens nothing", || async {
        Ok(get(&acme, "/v0/chats", &bot).await?.code() == "X0201")
    })
    .await?;
    acme.down().await
}
