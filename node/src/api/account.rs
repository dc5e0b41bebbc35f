//! A person's own account, reached from their devices and by no token.
//!
//! Must not decide anything: each handler reads its arguments, calls one use case, and hands the answer on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::extract::{Body, UrlPath, UrlQuery};
use super::facade::{Answer, Caller, UseCases};
use super::table::{Table, Who};
use super::types::{ChangePassword, Device, MadeToken, NewToken, Page, ProgramToken, Repeatable};

pub(super) fn add<N: UseCases>(table: &mut Table<N>) {
    table.add(Who::ACCOUNT, __path_change_password, change_password::<N>);
    table.add(Who::ACCOUNT, __path_devices, devices::<N>);
    table.add(Who::ACCOUNT, __path_revoke_device, revoke_device::<N>);
    table.add(
        Who::ACCOUNT,
        __path_revoke_other_devices,
        revoke_other_devices::<N>,
    );
    table.add(Who::ACCOUNT, __path_tokens, tokens::<N>);
    table.add(Who::ACCOUNT, __path_add_token, add_token::<N>);
    table.add(Who::ACCOUNT, __path_revoke_token, revoke_token::<N>);
}

type Node<N> = State<Arc<Api<N>>>;

/// Sets a password, or another; the person's other sessions end.
#[utoipa::path(post, path = "/v0/me/password", tag = "account", request_body = ChangePassword,
    responses((status = 204)))]
async fn change_password<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    Body(change): Body<ChangePassword>,
) -> Answer<StatusCode> {
    api.node.change_password(caller, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Devices that are signed in, the one used last first.
#[utoipa::path(get, path = "/v0/me/devices", tag = "account", responses((status = 200, body = Page<Device>)))]
async fn devices<N: UseCases>(State(api): Node<N>, caller: Caller) -> Answer<Json<Page<Device>>> {
    api.node.devices(caller).await.map(Json)
}

/// Ends the session of a device and its open streams.
#[utoipa::path(delete, path = "/v0/me/devices/{device}", tag = "account",
    params(("device" = String, Path), Repeatable), responses((status = 200, body = Page<Device>)))]
async fn revoke_device<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(device): UrlPath<String>,
    UrlQuery(write): UrlQuery<Repeatable>,
) -> Answer<Json<Page<Device>>> {
    api.node
        .revoke_device(caller, device, write)
        .await
        .map(Json)
}

/// Ends every session but this one.
#[utoipa::path(delete, path = "/v0/me/devices", tag = "account", params(Repeatable),
    responses((status = 200, body = Page<Device>)))]
async fn revoke_other_devices<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlQuery(write): UrlQuery<Repeatable>,
) -> Answer<Json<Page<Device>>> {
    api.node.revoke_other_devices(caller, write).await.map(Json)
}

/// Tokens of the person's programs.
#[utoipa::path(get, path = "/v0/me/tokens", tag = "account", responses((status = 200, body = Page<ProgramToken>)))]
async fn tokens<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
) -> Answer<Json<Page<ProgramToken>>> {
    api.node.tokens(caller).await.map(Json)
}

/// Makes a token for a program. It is shown once.
#[utoipa::path(post, path = "/v0/me/tokens", tag = "account", request_body = NewToken,
    responses((status = 201, body = MadeToken)))]
async fn add_token<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    Body(token): Body<NewToken>,
) -> Answer<(StatusCode, Json<MadeToken>)> {
    let made = api.node.add_token(caller, token).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Makes a token void and ends its open streams.
#[utoipa::path(delete, path = "/v0/me/tokens/{token}", tag = "account",
    params(("token" = String, Path), Repeatable), responses((status = 200, body = Page<ProgramToken>)))]
async fn revoke_token<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(token): UrlPath<String>,
    UrlQuery(write): UrlQuery<Repeatable>,
) -> Answer<Json<Page<ProgramToken>>> {
    api.node.revoke_token(caller, token, write).await.map(Json)
}
