//! One message: its text, reactions, receipts and road.
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
use super::types::{
    EditMessage, Forward, Message, MessageDetail, MessagePage, MessagePageQuery, React, Receipts,
    Repeatable, Why,
};

pub(super) fn add<N: UseCases>(table: &mut Table<N>) {
    table.add(Who::READ, __path_message, message::<N>);
    table.add(Who::WRITE, __path_edit, edit::<N>);
    table.add(Who::WRITE, __path_delete, delete::<N>);
    table.add(Who::WRITE, __path_react, react::<N>);
    table.add(Who::WRITE, __path_forward, forward::<N>);
    table.add(Who::READ, __path_thread, thread::<N>);
    table.add(Who::WRITE, __path_recall, recall::<N>);
    table.add(Who::READ, __path_receipts, receipts::<N>);
    table.add(Who::READ, __path_why, why::<N>);
}

type Node<N> = State<Arc<Api<N>>>;

/// One message with every text it ever had, by id or a unique prefix of it (4 digits or more).
#[utoipa::path(get, path = "/v0/messages/{message}", tag = "messages", params(("message" = String, Path)),
    responses((status = 200, body = MessageDetail)))]
async fn message<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(message): UrlPath<String>,
) -> Answer<Json<MessageDetail>> {
    api.node.message(caller, message).await.map(Json)
}

/// Changes the text of an own message.
#[utoipa::path(put, path = "/v0/messages/{message}", tag = "messages", params(("message" = String, Path)),
    request_body = EditMessage, responses((status = 200, body = Message)))]
async fn edit<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(message): UrlPath<String>,
    Body(edit): Body<EditMessage>,
) -> Answer<Json<Message>> {
    api.node.edit(caller, message, edit).await.map(Json)
}

/// Deletes a message everywhere.
#[utoipa::path(delete, path = "/v0/messages/{message}", tag = "messages",
    params(("message" = String, Path), Repeatable), responses((status = 200, body = Message)))]
async fn delete<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(message): UrlPath<String>,
    UrlQuery(write): UrlQuery<Repeatable>,
) -> Answer<Json<Message>> {
    api.node.delete(caller, message, write).await.map(Json)
}

/// Sets or takes back one emoji.
#[utoipa::path(put, path = "/v0/messages/{message}/reactions", tag = "messages", params(("message" = String, Path)),
    request_body = React, responses((status = 200, body = Message)))]
async fn react<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(message): UrlPath<String>,
    Body(react): Body<React>,
) -> Answer<Json<Message>> {
    api.node.react(caller, message, react).await.map(Json)
}

/// Passes a message on into another chat; whether the caller may read it is checked now.
#[utoipa::path(post, path = "/v0/messages/{message}/forward", tag = "messages", params(("message" = String, Path)),
    request_body = Forward, responses((status = 201, body = Message)))]
async fn forward<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(message): UrlPath<String>,
    Body(forward): Body<Forward>,
) -> Answer<(StatusCode, Json<Message>)> {
    let message = api.node.forward(caller, message, forward).await?;
    Ok((StatusCode::CREATED, Json(message)))
}

/// The replies to a message and to its replies, oldest first; `after` is the cursor, `before` is refused.
#[utoipa::path(get, path = "/v0/messages/{message}/thread", tag = "messages",
    params(("message" = String, Path), MessagePageQuery), responses((status = 200, body = MessagePage)))]
async fn thread<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(message): UrlPath<String>,
    UrlQuery(page): UrlQuery<MessagePageQuery>,
) -> Answer<Json<MessagePage>> {
    api.node.thread(caller, message, page).await.map(Json)
}

/// Takes an own message back before it left this node; `409 X0407` if a byte of it may have left.
#[utoipa::path(post, path = "/v0/messages/{message}/recall", tag = "messages", params(("message" = String, Path)),
    request_body = Repeatable, responses((status = 200, body = Message)))]
async fn recall<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(message): UrlPath<String>,
    Body(write): Body<Repeatable>,
) -> Answer<Json<Message>> {
    api.node.recall(caller, message, write).await.map(Json)
}

/// Which companies stored it and which people read it.
#[utoipa::path(get, path = "/v0/messages/{message}/receipts", tag = "messages", params(("message" = String, Path)),
    responses((status = 200, body = Receipts)))]
async fn receipts<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(message): UrlPath<String>,
) -> Answer<Json<Receipts>> {
    api.node.receipts(caller, message).await.map(Json)
}

/// Everything this node knows about the road of one message.
#[utoipa::path(get, path = "/v0/messages/{message}/why", tag = "messages", params(("message" = String, Path)),
    responses((status = 200, body = Why)))]
async fn why<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(message): UrlPath<String>,
) -> Answer<Json<Why>> {
    api.node.why(caller, message).await.map(Json)
}
