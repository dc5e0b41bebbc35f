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
use crossport_node::api::types::{
    Change, Chat, Code, CompanyLag, MarkRead, Message, MessagePage, Page, ReceiptChange,
};
use hyper::Method;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Pages read back after a gap before older late-comers are left to `chat show`.
const CATCH_UP_PAGES_MAX: usize = 20;
/// Lines remembered against showing the same twice: more than a page that is read back.
const RECENT_LINES_MAX: usize = 512;

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
    /// Id and line of what was shown last: a message may come by the feed and by reading back, and many changes of
    /// a message (who read it, unread here) do not show.
    recent: VecDeque<(String, String)>,
}

#[derive(Default)]
struct Seen {
    title: String,
    arrival: u64,
    /// Companies that were said to lack something.
    late: Vec<String>,
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
        recent: VecDeque::new(),
    };
    // Before the feed opens, so that whatever comes from now on counts as new.
    watching.begin(context).await?;
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
                self.lags(&chat, context);
                let seen = self.chats.entry(chat.id.clone()).or_default();
                seen.title = chat.title;
                Ok(())
            }
            Change::Message(message) => self.message(&message, context).await,
            Change::Receipt(receipt) => {
                tell_receipt(&receipt, context);
                Ok(())
            }
        }
    }

    /// Tells, once each, which companies became late.
    fn lags(&mut self, chat: &Chat, context: &mut Context) {
        let named = self.only.is_none().then_some(chat);
        let seen = self.chats.entry(chat.id.clone()).or_default();
        let is_new = |lag: &&CompanyLag| !seen.late.contains(&lag.company.id);
        for lag in chat.overdue.iter().filter(is_new) {
            chat_view::hint_lag(named, lag, context);
        }
        let late = chat.overdue.iter().map(|lag| lag.company.id.clone());
        seen.late = late.collect();
    }

    /// Reads the chats again and shows what came since.
    async fn read_lists(
        &mut self,
        concerned: &[String],
        context: &mut Context,
    ) -> Result<(), Failure> {
        let is_concerned = |chat: &Chat| concerned.is_empty() || concerned.contains(&chat.id);
        for chat in self.chats_now().await?.into_iter().filter(is_concerned) {
            let seen = self.chats.get(&chat.id).map_or(0, |seen| seen.arrival);
            if chat.arrival > seen {
                for message in self.since(&chat.id, seen).await? {
                    self.message(&message, context).await?;
                }
            }
        }
        Ok(())
    }

    async fn chats_now(&self) -> Result<Vec<Chat>, Failure> {
        match &self.only {
            Some(chat) => Ok(vec![self.client.read(&path(chat, "")).await?]),
            None => {
                let list: Page<Chat> = super::whole_list(self.client, "/v0/chats", &[]).await?;
                Ok(list.items)
            }
        }
    }

    /// Where each chat stands now, after its last messages if those were asked for.
    async fn begin(&mut self, context: &mut Context) -> Result<(), Failure> {
        for chat in self.chats_now().await? {
            let (id, arrival) = (chat.id.clone(), chat.arrival);
            self.chats.insert(
                chat.id,
                Seen {
                    title: chat.title,
                    arrival,
                    late: Vec::new(),
                },
            );
            if self.arguments.last == 0 {
                continue;
            }
            let limit = self.arguments.last.to_string();
            let path = format!(
                "{}{}",
                path(&id, "messages"),
                query(&[("limit", Some(&limit))])
            );
            let page: MessagePage = self.client.read(&path).await?;
            // What arrived between the two requests is new.
            for message in page
                .messages
                .iter()
                .filter(|message| message.arrival <= arrival)
            {
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
        let seen = self.chats.entry(message.chat.clone()).or_default();
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

    fn print(&mut self, message: &Message, context: &mut Context) -> Result<(), Failure> {
        let title = self.chats.get(&message.chat).map(|seen| seen.title.clone());
        let title = title.filter(|_| self.only.is_none());
        let line = match context.output.format {
            Format::Json => context
                .output
                .json_of(&Change::Message(Box::new(message.clone())))?,
            _ => chat_view::row(message, title.as_deref(), context),
        };
        let shown = (message.id.clone(), line);
        if !self.recent.contains(&shown) {
            context.output.print(&shown.1);
            self.recent.push_back(shown);
            if self.recent.len() > RECENT_LINES_MAX {
                self.recent.pop_front();
            }
        }
        Ok(())
    }
}

/// How far an own message got.
fn tell_receipt(receipt: &ReceiptChange, context: &mut Context) {
    if context.output.format != Format::Table {
        return;
    }
    // A hint has one style, and what stands in it is made harmless: colours of its parts would show as escapes.
    let mark = crate::output::sign(Some(receipt.mark), receipt.overdue);
    let id = crate::output::short_id(&receipt.message);
    let (people, of) = (receipt.read_by.people.into(), receipt.read_by.of.into());
    let mut values = vec![("id", id.into()), ("mark", mark.into())];
    if receipt.overdue && receipt.read_by.people == 0 {
        return context.output.hint("hint-receipt-overdue", &values);
    }
    values.extend([("people", people), ("of", of)]);
    context.output.hint("hint-receipt", &values);
}

fn reason(failure: &Failure) -> String {
    failure
        .problem()
        .cause
        .clone()
        .unwrap_or_else(|| failure.problem().title.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Globals;
    use crate::credentials::{Credentials, Profile};
    use crate::output::{Look, Output};
    use crate::test_node::TestNode;
    use crossport_node::texts::{Lang, Texts};
    use std::sync::{Arc, Mutex};

    type Screen = Arc<Mutex<Vec<u8>>>;

    /// Anna at a terminal, signed in at this node.
    fn anna(node: &TestNode, folder: &std::path::Path) -> (Context, Screen) {
        let texts = Texts::of(Lang::En);
        let file = folder.join("credentials.toml");
        let mut credentials = Credentials::open(file.clone(), texts).expect("empty");
        let (endpoint, token) = (node.url(), "anna's token".to_owned());
        let (nickname, company) = ("anna".to_owned(), "Acme".to_owned());
        let profile = Profile {
            endpoint,
            token,
            nickname,
            company,
        };
        credentials.put("anna@acme", profile).expect("writes");
        let (output, screen) = Output::into_memory(Format::Table, Look::for_tests(Lang::En));
        let globals = Globals {
            credentials: Some(file),
            ..Globals::default()
        };
        (
            Context {
                texts,
                globals,
                output,
            },
            screen,
        )
    }

    fn arguments(count: u64, last: u32) -> Watch {
        let chat = Some("launch".to_owned());
        Watch {
            chat,
            last,
            read: false,
            count: Some(count),
            timeout: Some(20),
        }
    }

    fn said(screen: &Screen) -> Vec<String> {
        let bytes = screen.lock().expect("no panic while held").clone();
        let text = String::from_utf8(bytes).expect("UTF-8");
        text.lines()
            .filter_map(|line| Some(line.split_once("Anna: ")?.1.to_owned()))
            .collect()
    }

    /// Waits until the screen shows a text.
    async fn shown(screen: &Screen, text: &str) {
        let wait = async {
            while !said(screen).iter().any(|line| line == text) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let result = tokio::time::timeout(Duration::from_secs(10), wait).await;
        assert!(
            result.is_ok(),
            "awaited {text:?}, the screen shows {:?}",
            said(screen)
        );
    }

    #[tokio::test]
    async fn messages_come_once_and_in_order_through_outage_and_gap() {
        let node = TestNode::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        node.say("yesterday");
        let (mut context, screen) = anna(&node, folder.path());
        let play = async {
            shown(&screen, "yesterday").await;
            node.say("one");
            shown(&screen, "one").await;
            node.cut_feeds();
            node.say("two");
            shown(&screen, "two").await;
            node.drop_into_gap(&["three", "four"]);
            shown(&screen, "four").await;
            node.say("five");
        };
        let (watched, ()) = tokio::join!(run(arguments(5, 10), &mut context), play);
        watched.expect("ends after five new messages");
        let expected = ["yesterday", "one", "two", "three", "four", "five"];
        assert_eq!(said(&screen), expected);
    }

    #[tokio::test]
    async fn history_is_not_shown_unless_asked_for() {
        let node = TestNode::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        node.say("yesterday");
        let (mut context, screen) = anna(&node, folder.path());
        let play = async {
            while node.feeds_opened() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            node.say("today");
        };
        let (watched, ()) = tokio::join!(run(arguments(1, 0), &mut context), play);
        watched.expect("ends after one");
        assert_eq!(said(&screen), ["today"]);
    }
}
