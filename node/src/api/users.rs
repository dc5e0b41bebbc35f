//! What administrators do to people's accounts from their own sessions: the same use cases as the operator's.
//!
//! Must not decide anything: each handler reads its arguments, calls one use case, and hands the answer on. Chats are not
//! here: administering people opens none.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::extract::{Body, UrlPath, UrlQuery};
use super::facade::{Answer, Caller, UseCases};
use super::table::{Table, Who};
use super::types::{NewUser, Page, PageQuery, Repeatable, User, UserActivation};

pub(super) fn add<N: UseCases>(table: &mut Table<N>) {
    table.add(Who::Administrator, __path_users, users::<N>);
    table.add(Who::Administrator, __path_add_user, add_user::<N>);
    table.add(Who::Administrator, __path_reset_user, reset_user::<N>);
}

type Node<N> = State<Arc<Api<N>>>;

/// The people of this company.
#[utoipa::path(get, path = "/v0/users", tag = "administration", params(PageQuery),
    responses((status = 200, body = Page<User>)))]
async fn users<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlQuery(page): UrlQuery<PageQuery>,
) -> Answer<Json<Page<User>>> {
    api.node.users(caller, page).await.map(Json)
}

/// Invites a person: makes the one-time secret that opens their account.
#[utoipa::path(post, path = "/v0/users", tag = "administration", request_body = NewUser,
    responses((status = 201, body = UserActivation)))]
async fn add_user<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    Body(user): Body<NewUser>,
) -> Answer<(StatusCode, Json<UserActivation>)> {
    let activation = api.node.add_user(caller, user).await?;
    Ok((StatusCode::CREATED, Json(activation)))
}

/// Ends every session of a person and makes a new one-time secret.
#[utoipa::path(post, path = "/v0/users/{user}/reset", tag = "administration", params(("user" = String, Path)),
    request_body = Repeatable, responses((status = 200, body = UserActivation)))]
async fn reset_user<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(user): UrlPath<String>,
    Body(write): Body<Repeatable>,
) -> Answer<Json<UserActivation>> {
    api.node.reset_user(caller, user, write).await.map(Json)
}
