//! How people get an account, prove who they are, and lose what others should not have.

use anyhow::{Context as _, Result, ensure};
use crossport_node::api::facade::UseCases;
use crossport_node::api::types::Repeatable;
use crossport_tests::http::{self, Reply};
use crossport_tests::world::{Company, OPERATOR, check, eventually};
use serde_json::{Value, json};

pub const PASSWORD: &str = "correct horse battery";

/// Opens the account of an invitation with a password; returns the token.
pub async fn redeemed(company: &Company, nickname: &str, administrator: bool) -> Result<String> {
    let secret = company.invite(nickname, administrator).await?;
    let redeem = json!({
        "client_id": "redeem", "secret": secret, "device": "first", "password": PASSWORD,
    });
    let reply = post(company, "/v0/redeem", &[], &redeem).await?.with(201)?;
    Ok(reply.text("token")?.to_owned())
}

pub async fn post(
    company: &Company,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Result<Reply> {
    http::ask(company.api()?, "POST", path, headers, Some(body)).await
}

pub async fn get(company: &Company, path: &str, token: &str) -> Result<Reply> {
    let bearer = format!("Bearer {token}");
    http::ask(
        company.api()?,
        "GET",
        path,
        &[("authorization", &bearer)],
        None,
    )
    .await
}

pub async fn login(company: &Company, name: &str, password: &str) -> Result<Reply> {
    let login = json!({
        "client_id": "login", "name": name, "password": password, "device": "another",
    });
    post(company, "/v0/login", &[], &login).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_redeemed_once_and_chooses_name_nickname_and_password() -> Result<()> {
    let mut acme = Company::start("Acme").await?;
    redeemed(&acme, "anna", false).await?;
    let secret = acme.invite("boris", false).await?;
    let redeem = |nickname: &str, password: &str| {
        json!({
            "client_id": "redeem", "secret": secret, "device": "first", "nickname": nickname,
            "name": "Boris Orlov", "password": password,
        })
    };
    let refused = post(&acme, "/v0/redeem", &[], &redeem("anna", PASSWORD)).await?;
    check("somebody else's nickname", refused.code(), "X0410")?;
    let refused = post(&acme, "/v0/redeem", &[], &redeem("borya", "short")).await?;
    check("a short password", refused.code(), "X0102")?;
    let opened = post(&acme, "/v0/redeem", &[], &redeem("borya", PASSWORD)).await?;
    let opened = opened.with(201)?;
    check(
        "nickname",
        &opened.body["me"]["person"]["nickname"],
        &json!("borya"),
    )?;
    check(
        "name",
        &opened.body["me"]["person"]["name"],
        &json!("Boris Orlov"),
    )?;
    let again = post(&acme, "/v0/redeem", &[], &redeem("borya", PASSWORD)).await?;
    check(
        "a second time",
        (again.status, again.code()),
        (403, "X0202"),
    )?;
    login(&acme, "borya", PASSWORD).await?.with(201)?;
    acme.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_name_are_told_alike() -> Result<()> {
    let mut acme = Company::start("Acme").await?;
    redeemed(&acme, "anna", false).await?;
    acme.person("vera").await?;
    let right = login(&acme, "anna", PASSWORD).await?.with(201)?;
    get(&acme, "/v0/me", right.text("token")?)
        .await?
        .with(200)?;
    let wrong = login(&acme, "anna", "another long password").await?;
    check(
        "a wrong password",
        (wrong.status, wrong.code()),
        (403, "X0204"),
    )?;
    for (what, name) in [
        ("nobody", "nobody"),
        ("somebody without a password", "vera"),
    ] {
        let other = login(&acme, name, PASSWORD).await?;
        check(what, &other.body, &wrong.body)?;
    }
    acme.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_given_a_cookie_that_only_its_own_pages_can_use() -> Result<()> {
    let mut acme = Company::start("Acme").await?;
    redeemed(&acme, "anna", false).await?;
    let wanted = json!({
        "client_id": "1", "name": "anna", "password": PASSWORD, "device": "browser", "cookie": true,
    });
    let reply = post(&acme, "/v0/login", &[], &wanted).await?.with(201)?;
    ensure!(
        reply.body["token"].is_null(),
        "a script could read it: {reply:?}"
    );
    let set = reply.headers("set-cookie").concat();
    let port = acme.api()?.port();
    ensure!(set.starts_with(&format!("crossport-{port}=")), "{set}");
    for attribute in ["; Path=/;", "; HttpOnly", "; SameSite=Strict"] {
        ensure!(set.contains(attribute), "{attribute} in {set}");
    }
    let cookie = set.split(';').next().context("a cookie")?;
    let ask = async |method, path, more: &[(&str, &str)]| {
        let headers = [&[("cookie", cookie)], more].concat();
        http::ask(acme.api()?, method, path, &headers, None).await
    };
    ask("GET", "/v0/me", &[]).await?.with(200)?;
    let own = format!("http://{}", acme.api()?);
    let nameless = ask("POST", "/v0/logout", &[]).await?;
    check("a write that names no page", nameless.code(), "X0203")?;
    let other = format!("http://127.0.0.1:{}", port ^ 1);
    let foreign = ask("POST", "/v0/logout", &[("origin", &other)]).await?;
    check("a page of another port", foreign.code(), "X0203")?;
    let out = ask("POST", "/v0/logout", &[("origin", &own)])
        .await?
        .with(204)?;
    ensure!(
        out.headers("set-cookie").concat().contains("Max-Age=0"),
        "the browser keeps a cookie that opens nothing: {out:?}"
    );
    check(
        "afterwards",
        ask("GET", "/v0/me", &[]).await?.code(),
        "X0201",
    )?;
    acme.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_invites_from_their_own_session_and_others_may_not() -> Result<()> {
    let mut acme = Company::start("Acme").await?;
    let olga = redeemed(&acme, "olga", true).await?;
    let anna = redeemed(&acme, "anna", false).await?;
    let new = json!({ "client_id": "add", "nickname": "boris" });
    let bearer = |token: &str| format!("Bearer {token}");
    let refused = post(
        &acme,
        "/v0/users",
        &[("authorization", &bearer(&anna))],
        &new,
    )
    .await?;
    check("Anna", (refused.status, refused.code()), (403, "X0203"))?;
    check(
        "Anna looks",
        get(&acme, "/v0/users", &anna).await?.code(),
        "X0203",
    )?;
    let made = post(
        &acme,
        "/v0/users",
        &[("authorization", &bearer(&olga))],
        &new,
    )
    .await?;
    let secret = made.with(201)?.text("secret")?.to_owned();
    let redeem = json!({ "client_id": "1", "secret": secret, "device": "first" });
    post(&acme, "/v0/redeem", &[], &redeem).await?.with(201)?;
    let audit = acme.node().audit(OPERATOR, Default::default()).await?;
    let entry = audit
        .items
        .iter()
        .find(|entry| entry.subject.as_deref() == Some("boris"));
    let who = &entry.context("no entry")?.who;
    ensure!(who.starts_with("olga "), "the audit says who it was: {who}");
    acme.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_the_other_sessions_and_a_reset_forgets_it() -> Result<()> {
    let mut acme = Company::start("Acme").await?;
    let first = redeemed(&acme, "anna", false).await?;
    let second = login(&acme, "anna", PASSWORD).await?.with(201)?;
    let second = second.text("token")?.to_owned();
    let bearer = format!("Bearer {second}");
    let change = |current: &str| json!({ "client_id": "c", "current": current, "password": "a quite different one" });
    let with = [("authorization", bearer.as_str())];
    let refused = post(
        &acme,
        "/v0/me/password",
        &with,
        &change("not the present one"),
    )
    .await?;
    check("without the present one", refused.code(), "X0204")?;
    get(&acme, "/v0/me", &first).await?.with(200)?;
    post(&acme, "/v0/me/password", &with, &change(PASSWORD))
        .await?
        .with(204)?;
    check(
        "the other session",
        get(&acme, "/v0/me", &first).await?.code(),
        "X0201",
    )?;
    get(&acme, "/v0/me", &second).await?.with(200)?;
    check(
        "the old password",
        login(&acme, "anna", PASSWORD).await?.code(),
        "X0204",
    )?;
    login(&acme, "anna", "a quite different one")
        .await?
        .with(201)?;

    let write = Repeatable {
        client_id: "reset".to_owned(),
    };
    acme.node()
        .reset_user(OPERATOR, "anna".to_owned(), write)
        .await?;
    check(
        "this one too",
        get(&acme, "/v0/me", &second).await?.code(),
        "X0201",
    )?;
    check(
        "after the reset",
        login(&acme, "anna", "a quite different one").await?.code(),
        "X0204",
    )?;
    acme.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_sessions_outlive_a_restart() -> Result<()> {
    let mut acme = Company::start("Acme").await?;
    let token = redeemed(&acme, "anna", false).await?;
    acme.down().await?;
    acme.up().await?;
    get(&acme, "/v0/me", &token).await?.with(200)?;
    eventually("the password is known", || async {
        Ok(login(&acme, "anna", PASSWORD).await?.status == 201)
    })
    .await?;
    acme.down().await
}
