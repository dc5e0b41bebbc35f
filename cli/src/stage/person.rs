//! A signed-in person: the API's use cases as short calls.
//!
//! It must not know any process: a person has an address and a token, as on their own machine.

use super::fresh_id;
use crate::client::{Client, Endpoint, query, segment};
use crate::errors::Failure;
use crossport_node::api::types::{
    AddMembers, Chat, ChatKind, EditMessage, MarkRead, Members, Message, MessageDetail,
    MessagePage, NewChat, Page, Person as Who, React, Receipts, Redeem, Repeatable, SendMessage,
    Session, Why,
};
use crossport_node::texts::Texts;
use hyper::Method;

#[derive(Debug)]
pub struct Person {
    pub who: Who,
    pub client: Client,
    pub endpoint: Endpoint,
    pub session: Session,
    texts: &'static Texts,
}

impl Person {
    /// Redeems a one-time secret.
    pub async fn sign_in(
        endpoint: Endpoint,
        secret: &str,
        texts: &'static Texts,
    ) -> Result<Self, Failure> {
        let body = Redeem {
            client_id: fresh_id(texts)?,
            secret: secret.to_owned(),
            device: "crossport".to_owned(),
            ..Redeem::default()
        };
        let stranger = Client::new(endpoint.clone(), None, texts);
        let session: Session = stranger.write(Method::POST, "/v0/redeem", &body).await?;
        let client = Client::new(endpoint.clone(), Some(session.token.clone()), texts);
        let who = session.me.person.clone();
        Ok(Self {
            who,
            client,
            endpoint,
            session,
            texts,
        })
    }

    /// With a token that is there already.
    #[cfg(test)]
    pub async fn with_token(
        endpoint: Endpoint,
        token: &str,
        texts: &'static Texts,
    ) -> Result<Self, Failure> {
        let client = Client::new(endpoint.clone(), Some(token.to_owned()), texts);
        let me: crossport_node::api::types::Me = client.read("/v0/me").await?;
        let (who, token) = (me.person.clone(), token.to_owned());
        Ok(Self {
            who,
            client,
            endpoint,
            session: Session { token, me },
            texts,
        })
    }

    pub async fn chats(&self) -> Result<Page<Chat>, Failure> {
        self.client.read("/v0/chats").await
    }

    pub async fn chat(&self, chat: &str) -> Result<Chat, Failure> {
        self.client.read(&chat_path(chat, "")).await
    }

    pub async fn new_chat(
        &self,
        kind: ChatKind,
        title: Option<&str>,
        people: &[&str],
    ) -> Result<Chat, Failure> {
        let body = NewChat {
            client_id: fresh_id(self.texts)?,
            kind,
            title: title.map(str::to_owned),
            people: people.iter().map(|person| (*person).to_owned()).collect(),
            from: None,
        };
        self.client.write(Method::POST, "/v0/chats", &body).await
    }

    pub async fn members(&self, chat: &str) -> Result<Members, Failure> {
        self.client.read(&chat_path(chat, "/members")).await
    }

    pub async fn add_members(&self, chat: &str, people: &[&str]) -> Result<Members, Failure> {
        let body = AddMembers {
            client_id: fresh_id(self.texts)?,
            people: people.iter().map(|person| (*person).to_owned()).collect(),
        };
        self.client
            .write(Method::POST, &chat_path(chat, "/members"), &body)
            .await
    }

    pub async fn send(&self, chat: &str, text: &str) -> Result<Message, Failure> {
        self.answer(chat, text, None).await
    }

    pub async fn answer(
        &self,
        chat: &str,
        text: &str,
        reply_to: Option<&str>,
    ) -> Result<Message, Failure> {
        let body = SendMessage {
            client_id: fresh_id(self.texts)?,
            text: text.to_owned(),
            reply_to: reply_to.map(str::to_owned),
        };
        self.client
            .write(Method::POST, &chat_path(chat, "/messages"), &body)
            .await
    }

    /// The newest page, or the one before a cursor.
    pub async fn page(
        &self,
        chat: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<MessagePage, Failure> {
        let limit = limit.to_string();
        let query = query(&[("before", before), ("limit", Some(&limit))]);
        self.client
            .read(&format!("{}{query}", chat_path(chat, "/messages")))
            .await
    }

    pub async fn read(&self, chat: &str, up_to: Option<&str>) -> Result<Chat, Failure> {
        let body = MarkRead {
            client_id: fresh_id(self.texts)?,
            up_to: up_to.map(str::to_owned),
        };
        self.client
            .write(Method::POST, &chat_path(chat, "/read"), &body)
            .await
    }

    pub async fn message(&self, message: &str) -> Result<MessageDetail, Failure> {
        self.client.read(&message_path(message, "")).await
    }

    pub async fn receipts(&self, message: &str) -> Result<Receipts, Failure> {
        self.client.read(&message_path(message, "/receipts")).await
    }

    pub async fn why(&self, message: &str) -> Result<Why, Failure> {
        self.client.read(&message_path(message, "/why")).await
    }

    pub async fn edit(&self, message: &str, text: &str) -> Result<Message, Failure> {
        let body = EditMessage {
            client_id: fresh_id(self.texts)?,
            text: text.to_owned(),
        };
        self.client
            .write(Method::PUT, &message_path(message, ""), &body)
            .await
    }

    pub async fn delete(&self, message: &str) -> Result<Message, Failure> {
        let id = fresh_id(self.texts)?;
        self.client.remove(&message_path(message, ""), &id).await
    }

    pub async fn react(&self, message: &str, emoji: &str) -> Result<Message, Failure> {
        let body = React {
            client_id: fresh_id(self.texts)?,
            emoji: emoji.to_owned(),
            on: true,
        };
        self.client
            .write(Method::PUT, &message_path(message, "/reactions"), &body)
            .await
    }

    pub async fn recall(&self, message: &str) -> Result<Message, Failure> {
        let body = Repeatable {
            client_id: fresh_id(self.texts)?,
        };
        self.client
            .write(Method::POST, &message_path(message, "/recall"), &body)
            .await
    }
}

fn chat_path(chat: &str, below: &str) -> String {
    format!("/v0/chats/{}{below}", segment(chat))
}

fn message_path(message: &str, below: &str) -> String {
    format!("/v0/messages/{}{below}", segment(message))
}
