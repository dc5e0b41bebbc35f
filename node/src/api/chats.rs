//! Chats and who is in them.
//!
//! Must not decide anything: each handler reads its arguments, calls one use case, and hands the answer on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::extract::{Body, UrlPath, UrlQuery};
use super::facade::{Answer, Caller, Made, UseCases};
use super::table::{Table, Who};
use super::types::{
    AddMembers, Chat, Commands, MarkRead, Members, Message, MessagePage, MessagePageQuery, NewChat,
    Page, PageQuery, Repeatable, SendMessage, SetTopic,
};

pub(super) fn add<N: UseCases>(table: &mut Table<N>) {
    table.add(Who::READ, __path_chats, chats::<N>);
    table.add(Who::WRITE, __path_new_chat, new_chat::<N>);
    table.add(Who::READ, __path_chat, chat::<N>);
    table.add(Who::READ, __path_messages, messages::<N>);
    table.add(Who::WRITE, __path_send_message, send_message::<N>);
    table.add(Who::WRITE, __path_mark_read, mark_read::<N>);
    table.add(Who::WRITE, __path_set_topic, set_topic::<N>);
    table.add(Who::READ, __path_commands, commands::<N>);
    table.add(Who::READ, __path_members, members::<N>);
    table.add(Who::WRITE, __path_add_members, add_members::<N>);
    table.add(Who::WRITE, __path_remove_member, remove_member::<N>);
    table.add(Who::WRITE, __path_leave, leave::<N>);
}

type Node<N> = State<Arc<Api<N>>>;

/// Own chats, the one with the last message first.
#[utoipa::path(get, path = "/v0/chats", tag = "chats", params(PageQuery), responses((status = 200, body = Page<Chat>)))]
async fn chats<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlQuery(page): UrlQuery<PageQuery>,
) -> Answer<Json<Page<Chat>>> {
    api.node.chats(caller, page).await.map(Json)
}

/// Makes a chat; `200` if a direct chat with that person exists.
#[utoipa::path(post, path = "/v0/chats", tag = "chats", request_body = NewChat,
    responses((status = 201, body = Chat), (status = 200, body = Chat)))]
async fn new_chat<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    Body(chat): Body<NewChat>,
) -> Answer<(StatusCode, Json<Chat>)> {
    match api.node.new_chat(caller, chat).await? {
        Made::New(chat) => Ok((StatusCode::CREATED, Json(chat))),
        Made::Existing(chat) => Ok((StatusCode::OK, Json(chat))),
    }
}

/// One chat, by id or a unique prefix of it (4 digits or more).
#[utoipa::path(get, path = "/v0/chats/{chat}", tag = "chats", params(("chat" = String, Path)),
    responses((status = 200, body = Chat)))]
async fn chat<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(chat): UrlPath<String>,
) -> Answer<Json<Chat>> {
    api.node.chat(caller, chat).await.map(Json)
}

/// A page of messages, the newest without parameters; oldest first within the page.
#[utoipa::path(get, path = "/v0/chats/{chat}/messages", tag = "messages",
    params(("chat" = String, Path), MessagePageQuery), responses((status = 200, body = MessagePage)))]
async fn messages<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(chat): UrlPath<String>,
    UrlQuery(page): UrlQuery<MessagePageQuery>,
) -> Answer<Json<MessagePage>> {
    api.node.messages(caller, chat, page).await.map(Json)
}

/// Sends a message. It is durable when this is answered.
#[utoipa::path(post, path = "/v0/chats/{chat}/messages", tag = "messages", params(("chat" = String, Path)),
    request_body = SendMessage, responses((status = 201, body = Message)))]
async fn send_message<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(chat): UrlPath<String>,
    Body(message): Body<SendMessage>,
) -> Answer<(StatusCode, Json<Message>)> {
    let message = api.node.send_message(caller, chat, message).await?;
    Ok((StatusCode::CREATED, Json(message)))
}

/// Everything up to a message was shown.
#[utoipa::path(post, path = "/v0/chats/{chat}/read", tag = "chats", params(("chat" = String, Path)),
    request_body = MarkRead, responses((status = 200, body = Chat)))]
async fn mark_read<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(chat): UrlPath<String>,
    Body(read): Body<MarkRead>,
) -> Answer<Json<Chat>> {
    api.node.mark_read(caller, chat, read).await.map(Json)
}

/// Gives a chat another title; people of the company that owns it may.
#[utoipa::path(put, path = "/v0/chats/{chat}/topic", tag = "chats", params(("chat" = String, Path)),
    request_body = SetTopic, responses((status = 200, body = Chat)))]
async fn set_topic<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(chat): UrlPath<String>,
    Body(topic): Body<SetTopic>,
) -> Answer<Json<Chat>> {
    api.node.set_topic(caller, chat, topic).await.map(Json)
}

/// What a composer offers on `/`, in the language of the request.
#[utoipa::path(get, path = "/v0/commands", tag = "messages", responses((status = 200, body = Commands)))]
async fn commands<N: UseCases>(State(api): Node<N>, caller: Caller) -> Answer<Json<Commands>> {
    api.node.commands(caller).await.map(Json)
}

/// Everyone in a chat, by company name, then by name.
#[utoipa::path(get, path = "/v0/chats/{chat}/members", tag = "chats", params(("chat" = String, Path)),
    responses((status = 200, body = Members)))]
async fn members<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(chat): UrlPath<String>,
) -> Answer<Json<Members>> {
    api.node.members(caller, chat).await.map(Json)
}

/// Adds people, colleagues or of approved partners.
#[utoipa::path(post, path = "/v0/chats/{chat}/members", tag = "chats", params(("chat" = String, Path)),
    request_body = AddMembers, responses((status = 200, body = Members)))]
async fn add_members<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(chat): UrlPath<String>,
    Body(people): Body<AddMembers>,
) -> Answer<Json<Members>> {
    api.node.add_members(caller, chat, people).await.map(Json)
}

/// Removes a person, by id, nickname or `nickname@company`.
#[utoipa::path(delete, path = "/v0/chats/{chat}/members/{person}", tag = "chats",
    params(("chat" = String, Path), ("person" = String, Path), Repeatable), responses((status = 200, body = Members)))]
async fn remove_member<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath((chat, person)): UrlPath<(String, String)>,
    UrlQuery(write): UrlQuery<Repeatable>,
) -> Answer<Json<Members>> {
    api.node
        .remove_member(caller, chat, person, write)
        .await
        .map(Json)
}

/// Leaves a chat; the history until then stays readable.
#[utoipa::path(post, path = "/v0/chats/{chat}/leave", tag = "chats", params(("chat" = String, Path)),
    request_body = Repeatable, responses((status = 204)))]
async fn leave<N: UseCases>(
    State(api): Node<N>,
    caller: Caller,
    UrlPath(chat): UrlPath<String>,
    Body(write): Body<Repeatable>,
) -> Answer<StatusCode> {
    api.node.leave(caller, chat, write).await?;
    Ok(StatusCode::NO_CONTENT)
}
