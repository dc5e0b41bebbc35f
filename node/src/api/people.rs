//! A person's session and the people they know; and the addresses that anyone may ask.
//!
//! Must not decide anything: each handler reads its arguments, calls one use case, and hands the answer on.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::extract::{Asker, Body, UrlQuery};
use super::facade::{Answer, Caller, Refused, UseCases};
use super::table::{Table, Who};
use super::types::{
    BrowserSession, Code, Login, Me, Page, PageQuery, Person, Redeem, Session, SignedIn,
};
use super::{Api, cookies};

/// A node that does not answer by then is not ready.
const READY_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn add<N: UseCases>(table: &mut Table<N>) {
    table.add(Who::Anyone, __path_healthz, healthz);
    table.add(Who::Anyone, __path_readyz, readyz::<N>);
    table.add(Who::Anyone, __path_openapi, openapi::<N>);
    table.add(Who::Anyone, __path_redeem, redeem::<N>);
    table.add(Who::Anyone, __path_login, login::<N>);
    table.add(Who::PERSON, __path_logout, logout::<N>);
    table.add(Who::PERSON, __path_me, me::<N>);
    table.add(Who::READ, __path_contacts, contacts::<N>);
}

type Node<N> = State<Arc<Api<N>>>;

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// The node takes requests; `503` while it starts, stops, or its disk fails.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain"),
        (status = 503, body = String, content_type = "text/plain")))]
async fn readyz<N: UseCases>(State(api): Node<N>) -> (StatusCode, String) {
    match tokio::time::timeout(READY_WITHIN, api.node.ready()).await {
        Ok(Ok(())) => (StatusCode::OK, "ready\n".to_owned()),
        Ok(Err(refused)) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", refused.code.number()),
        ),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", Code::NotReady.number()),
        ),
    }
}

/// This document.
#[utoipa::path(get, path = "/v0/openapi.json", tag = "health",
    responses((status = 200, body = Object, content_type = "application/json")))]
async fn openapi<N: UseCases>(State(api): Node<N>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], api.document.clone()).into_response()
}

/// Opens an account with the secret of an invitation or of a reset. It works once.
#[utoipa::path(post, path = "/v0/redeem", tag = "people", request_body = Redeem,
    responses((status = 201, body = SignedIn)))]
async fn redeem<N: UseCases>(
    State(api): Node<N>,
    asker: Asker,
    headers: HeaderMap,
    Body(redeem): Body<Redeem>,
) -> Answer<Response> {
    if !api.strangers.take(asker.peer.key()) {
        return Err(Refused::from(Code::TooManyRequests));
    }
    let cookie = redeem.cookie;
    let session = api.node.redeem(redeem).await?;
    signed_in(&api, session, cookie, &headers)
}

/// Signs in with nickname and password.
#[utoipa::path(post, path = "/v0/login", tag = "people", request_body = Login,
    responses((status = 201, body = SignedIn)))]
async fn login<N: UseCases>(
    State(api): Node<N>,
    asker: Asker,
    headers: HeaderMap,
    Body(login): Body<Login>,
) -> Answer<Response> {
    if !api.strangers.take(asker.peer.key()) {
        return Err(Refused::from(Code::TooManyRequests));
    }
    let cookie = login.cookie;
    let session = api.node.login(login).await?;
    signed_in(&api, session, cookie, &headers)
}

/// A browser's token goes where no script can read it, and nowhere else.
fn signed_in<N>(
    api: &Api<N>,
    session: Session,
    cookie: bool,
    headers: &HeaderMap,
) -> Answer<Response> {
    if !cookie {
        let answer = SignedIn::Program(session);
        return Ok((StatusCode::CREATED, Json(answer)).into_response());
    }
    let set = cookies::open(&session.token, headers, api.settings.secure_cookies);
    let set = set.ok_or_else(|| Refused::from(Code::Internal).detail("a token is no cookie"))?;
    let answer = SignedIn::Browser(BrowserSession { me: session.me });
    let set = [(header::SET_COOKIE, set)];
    Ok((StatusCode::CREATED, set, Json(answer)).into_response())
}

/// Ends this session; the token is void.
#[utoipa::path(post, path = "/v0/logout", tag = "people", responses((status = 204)))]
async fn logout<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    headers: HeaderMap,
) -> Answer<Response> {
    api.node.logout(caller).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let closed = cookies::close(&headers, api.settings.secure_cookies);
    if let Some(closed) = closed.filter(|_| headers.contains_key(header::COOKIE)) {
        response.headers_mut().insert(header::SET_COOKIE, closed);
    }
    Ok(response)
}

/// Who is signed in.
#[utoipa::path(get, path = "/v0/me", tag = "people", responses((status = 200, body = Me)))]
async fn me<N: UseCases>(State(api): Node<N>, caller: Caller) -> Answer<Json<Me>> {
    api.node.me(caller).await.map(Json)
}

/// Colleagues and known people of partners.
#[utoipa::path(get, path = "/v0/contacts", tag = "people", params(PageQuery),
    responses((status = 200, body = Page<Person>)))]
async fn contacts<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlQuery(page): UrlQuery<PageQuery>,
) -> Answer<Json<Page<Person>>> {
    api.node.contacts(caller, page).await.map(Json)
}
