//! The receiving client: numbered messages as they come on the change feed.
//!
//! Owns what came and when. A gap of the feed is closed by reading pages, as any client must. It must not know who posts.

use super::load::number_of;
use crate::client::{EventStream, query};
use crate::errors::Failure;
use crate::stage::{Person, late};
use crossport_node::api::types::Code;
use crossport_node::texts::Texts;
use hyper::Method;
use serde::Deserialize;
use std::borrow::Cow;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Longest wait for what must come; a run that takes longer has failed.
pub const ARRIVES_WITHIN: Duration = Duration::from_secs(180);
const PAGE: u32 = 200;

/// The one field of a message that is needed here.
#[derive(Deserialize)]
struct Lean<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct LeanPage<'a> {
    #[serde(borrow)]
    messages: Vec<Lean<'a>>,
    #[serde(default)]
    older: Option<String>,
}

/// What one person received.
#[derive(Debug)]
pub struct Receiver<'a> {
    person: &'a Person,
    chat: &'a str,
    stream: EventStream,
    texts: &'static Texts,
    first: u32,
    /// When each number came, by its distance from the first.
    came: Vec<Option<Instant>>,
    missing: usize,
    pub gaps: u32,
}

impl<'a> Receiver<'a> {
    /// Opens the feed and waits until it runs.
    pub async fn open(
        person: &'a Person,
        chat: &'a str,
        numbers: Range<u32>,
        texts: &'static Texts,
    ) -> Result<Self, Failure> {
        let path = format!("/v0/changes{}", query(&[("chat", Some(chat))]));
        let mut stream = person.client.stream(Method::GET, &path, None).await?;
        let first = stream.next().await?.map(|event| event.name);
        if first.as_deref() != Some("reset") {
            return Err(Failure::new(texts, Code::AnswerUnreadable, &path));
        }
        Ok(Self {
            person,
            chat,
            stream,
            texts,
            first: numbers.start,
            came: vec![None; numbers.len()],
            missing: numbers.len(),
            gaps: 0,
        })
    }

    /// Waits until every number came; gives the moment of the last.
    pub async fn until_all(&mut self) -> Result<Instant, Failure> {
        let all = tokio::time::timeout(ARRIVES_WITHIN, async {
            while self.missing > 0 {
                self.step().await?;
            }
            Ok::<_, Failure>(Instant::now())
        });
        all.await.unwrap_or_else(|_| {
            let what = format!("{} messages of {}", self.missing, self.came.len());
            Err(late(&what, ARRIVES_WITHIN, self.texts))
        })
    }

    /// Waits for one number.
    pub async fn until(&mut self, number: u32) -> Result<Instant, Failure> {
        loop {
            if let Some(at) = self.came_at(number) {
                return Ok(at);
            }
            self.step().await?;
        }
    }

    pub fn came_at(&self, number: u32) -> Option<Instant> {
        *self.came.get(number.checked_sub(self.first)? as usize)?
    }

    async fn step(&mut self) -> Result<(), Failure> {
        let ended = || Failure::new(self.texts, Code::NodeUnreachable, "/v0/changes");
        let event = self.stream.next().await?.ok_or_else(ended)?;
        match event.name.as_str() {
            "message" => {
                if let Ok(message) = serde_json::from_str::<Lean<'_>>(&event.data) {
                    self.note(message.text.as_deref());
                }
            }
            "gap" => {
                self.gaps += 1;
                self.read_back().await?;
            }
            _ => {}
        }
        Ok(())
    }

    fn note(&mut self, text: Option<&str>) -> bool {
        let number = text.and_then(number_of);
        let at = number.and_then(|number| number.checked_sub(self.first));
        let Some(slot) = at.and_then(|at| self.came.get_mut(at as usize)) else {
            return false;
        };
        let new = slot.is_none();
        if new {
            *slot = Some(Instant::now());
            self.missing -= 1;
        }
        new
    }

    /// Pages from the newest back to one that brings nothing new.
    async fn read_back(&mut self) -> Result<(), Failure> {
        let mut before = None;
        loop {
            let text = page_text(self.person, self.chat, before.as_deref(), PAGE).await?;
            let page = page_of(&text, self.texts)?;
            let new = page
                .messages
                .iter()
                .filter(|message| self.note(message.text.as_deref()))
                .count();
            before = page.older;
            if new == 0 || before.is_none() {
                return Ok(());
            }
        }
    }
}

/// How often each of these numbers is in a chat.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub missing: u32,
    pub doubled: u32,
}

/// Reads the whole chat back and counts.
pub async fn held(
    reader: &Person,
    chat: &str,
    numbers: Range<u32>,
    texts: &'static Texts,
) -> Result<Held, Failure> {
    let mut times = vec![0_u32; numbers.len()];
    let mut before = None;
    loop {
        let text = page_text(reader, chat, before.as_deref(), PAGE).await?;
        let page = page_of(&text, texts)?;
        for number in page
            .messages
            .iter()
            .filter_map(|message| number_of(message.text.as_deref()?))
        {
            let at = number.checked_sub(numbers.start).map(|at| at as usize);
            if let Some(count) = at.and_then(|at| times.get_mut(at)) {
                *count += 1;
            }
        }
        before = page.older;
        if before.is_none() {
            break;
        }
    }
    let count = |matches: fn(&u32) -> bool| {
        u32::try_from(times.iter().filter(|times| matches(times)).count()).unwrap_or(u32::MAX)
    };
    Ok(Held {
        missing: count(|times| *times == 0),
        doubled: count(|times| *times > 1),
    })
}

/// The greatest number on the newest page.
pub async fn newest(reader: &Person, chat: &str, texts: &Texts) -> Result<Option<u32>, Failure> {
    let text = page_text(reader, chat, None, 50).await?;
    let page = page_of(&text, texts)?;
    Ok(page
        .messages
        .iter()
        .filter_map(|message| number_of(message.text.as_deref()?))
        .max())
}

async fn page_text(
    reader: &Person,
    chat: &str,
    before: Option<&str>,
    limit: u32,
) -> Result<String, Failure> {
    let limit = limit.to_string();
    let query = query(&[("before", before), ("limit", Some(&limit))]);
    reader
        .client
        .read_text(&format!("/v0/chats/{chat}/messages{query}"))
        .await
}

fn page_of<'a>(text: &'a str, texts: &Texts) -> Result<LeanPage<'a>, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::new(texts, Code::AnswerUnreadable, "messages").cause(error.to_string())
    })
}
