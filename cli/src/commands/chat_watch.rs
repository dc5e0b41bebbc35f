//! `crossport chat watch`: messages as they come, through outages and restarts of the node.
//!
//! Owns what was already shown: by arrival within each chat, since a late message may carry an early clock.

use super::chat::{path, resolve};
use super::chat_view;
use crate::client::{Client, Feed, Next, query};
use crate::context::Context;
use crate::errors::Failure;
use crate::output::Format;
use clap::Args;
use crossport_node::api::types::{Change, Chat, Code, MarkRead, Message, MessagePage, Page};
use hyper::Method;
use std::collections::BTreeMap;
use std::time::Duration;

/// Pages read back after a gap before older late-comers are left to `chat show`.
const CATCH_UP_PAGES_MAX: usize = 20;

#[derive(Debug, Args)]
pub struct Watch {
    chat: Option<String>,
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=200))]
    last: u32,
    #[arg(long)]
    read: bool,
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[arg(long, value_name = "DURATION", value_parser = super::duration_s)]
    timeout: Option<u64>,
}

/// What was shown so far.
struct Watching<'a> {
    client: &'a Client,
    arguments: &'a Watch,
    /// Id of the only chat that is watched.
    only: Option<String>,
    chats: BTreeMap<String, Seen>,
    /// New messages shown; history does not count.
    shown: u64,
}

struct Seen {
    title: String,
    arrival: u64,
}

pub async fn run(arguments: Watch, context: &mut Context) -> Result<(), Failure> {
    let Some(seconds) = arguments.timeout else {
        return watch(&arguments, context).await;
    };
    match tokio::time::timeout(Duration::from_secs(seconds), watch(&arguments, context)).await {
        Ok(result) => result,
        Err(_) => Err(context.failure(Code::TimedOut, "chat watch")),
    }
}

async fn watch(arguments: &Watch, context: &mut Context) -> Result<(), Failure> {
    let client = context.person()?;
    let only = match &arguments.chat {
        Some(named) => Some(resolve(named, &client, context).await?.id),
        None => None,
    };
    let mut feed = Feed::new(&client, only.as_deref());
    let mut watching = Watching {
        client: &client,
        arguments,
        only: only.clone(),
        chats: BTreeMap::new(),
        shown: 0,
    };
    while arguments.count.is_none_or(|count| watching.shown < count) && !context.output.is_broken()
    {
        match feed.next().await? {
            Next::Change(change) => watching.take(change, context).await?,
            Next::Lost(failure) => context.output.hint(
                "hint-connection-lost",
                &[("reason", reason(&failure).into())],
            ),
            Next::Restored => context.output.hint("hint-connection-restored", &[]),
        }
    }
    Ok(())
}

impl Watching<'_> {
    async fn take(&mut self, change: Change, context: &mut Context) -> Result<(), Failure> {
        if context.output.format == Format::Json {
            // Scripts get the feed itself; history comes as messages.
            if !matches!(change, Change::Message(_)) {
                context.output.json_line(&change)?;
            }
        }
        match change {
            Change::Reset(_) => self.read_lists(&[], context).await,
            Change::Gap(gap) => self.read_lists(&gap.chats, context).await,
            Change::Chat(chat) => {
                let seen = self.chats.entry(chat.id.clone()).or_insert(Seen {
                    title: String::new(),
                    arrival: 0,
                });
                seen.title = chat.title;
                Ok(())
            }
            Change::Message(message) => self.message(&message, context).await,
            Change::Receipt(receipt) => {
                if context.output.format == Format::Table {
                    let mark = context
                        .output
                        .look
                        .mark(Some(receipt.mark), receipt.overdue);
                    let (people, of) = (receipt.read_by.people.into(), receipt.read_by.of.into());
                    let id = crate::output::short_id(&receipt.message);
                    context.output.hint(
                        "hint-receipt",
                        &[
                            ("id", id.into()),
                            ("mark", mark.into()),
                            ("people", people),
                            ("of", of),
                        ],
                    );
                }
                Ok(())
            }
        }
    }

    /// Reads the chats again and shows what came since.
    async fn read_lists(
        &mut self,
        concerned: &[String],
        context: &mut Context,
    ) -> Result<(), Failure> {
        let chats: Vec<Chat> = match &self.only {
            Some(chat) => vec![self.client.read(&path(chat, "")).await?],
            None => {
                let list: Page<Chat> = super::whole_list(self.client, "/v0/chats", &[]).await?;
                list.items
            }
        };
        for chat in chats
            .into_iter()
            .filter(|chat| concerned.is_empty() || concerned.contains(&chat.id))
        {
            match self.chats.get(&chat.id).map(|seen| seen.arrival) {
                None => self.begin(chat, context).await?,
                Some(arrival) if chat.arrival > arrival => {
                    for message in self.since(&chat.id, arrival).await? {
                        self.message(&message, context).await?;
                    }
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// A chat met for the first time: its last messages, if asked for, then only what is new.
    async fn begin(&mut self, chat: Chat, context: &mut Context) -> Result<(), Failure> {
        let (id, arrival) = (chat.id.clone(), chat.arrival);
        self.chats.insert(
            chat.id,
            Seen {
                title: chat.title,
                arrival,
            },
        );
        if self.arguments.last == 0 {
            return Ok(());
        }
        let limit = self.arguments.last.to_string();
        let page: MessagePage = self
            .client
            .read(&format!(
                "{}{}",
                path(&id, "messages"),
                query(&[("limit", Some(&limit))])
            ))
            .await?;
        for message in &page.messages {
            // What arrived between the two requests is new, and the feed brings it as well.
            if message.arrival <= arrival {
                self.print(message, context)?;
            }
        }
        Ok(())
    }

    /// Messages that arrived after `arrival`, in the order of arrival.
    async fn since(&self, chat: &str, arrival: u64) -> Result<Vec<Message>, Failure> {
        let (mut missed, mut before) = (Vec::new(), None);
        for _ in 0..CATCH_UP_PAGES_MAX {
            let query = query(&[("limit", Some("200")), ("before", before.as_deref())]);
            let page: MessagePage = self
                .client
                .read(&format!("{}{query}", path(chat, "messages")))
                .await?;
            let known = missed.len();
            missed.extend(
                page.messages
                    .into_iter()
                    .filter(|message| message.arrival > arrival),
            );
            before = page.older;
            if before.is_none() || missed.len() == known {
                break;
            }
        }
        missed.sort_by_key(|message| message.arrival);
        Ok(missed)
    }

    /// Shows a message that is new; one that changed is shown again with its new state.
    async fn message(&mut self, message: &Message, context: &mut Context) -> Result<(), Failure> {
        let seen = self.chats.entry(message.chat.clone()).or_insert(Seen {
            title: String::new(),
            arrival: 0,
        });
        let is_new = message.arrival > seen.arrival;
        seen.arrival = seen.arrival.max(message.arrival);
        self.print(message, context)?;
        if is_new {
            self.shown += 1;
        }
        if is_new && self.arguments.read && !message.mine {
            let body = MarkRead {
                client_id: context.fresh_id()?,
                up_to: Some(message.id.clone()),
            };
            let _: Chat = self
                .client
                .write(Method::POST, &path(&message.chat, "read"), &body)
                .await?;
        }
        Ok(())
    }

    fn print(&self, message: &Message, context: &mut Context) -> Result<(), Failure> {
        if context.output.format == Format::Json {
            return context
                .output
                .json_line(&Change::Message(Box::new(message.clone())));
        }
        let title = self
            .chats
            .get(&message.chat)
            .map(|seen| seen.title.clone())
            .filter(|_| self.only.is_none());
        chat_view::row(message, title.as_deref(), context);
        Ok(())
    }
}

fn reason(failure: &Failure) -> String {
    failure
        .problem()
        .cause
        .clone()
        .unwrap_or_else(|| failure.problem().title.clone())
}
