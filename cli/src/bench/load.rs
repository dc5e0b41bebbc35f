//! The posting client: as many connections as messages in flight, each with one request under way.
//!
//! Lean on purpose: it shares the cores with both nodes, and what it burns is missing in the figures. So requests are
//! written by hand into one buffer, and of an answer only the status and the length are looked at. It must not know what
//! becomes of a message after it was acknowledged.

use crate::errors::Failure;
use crate::stage::Person;
use crossport_node::api::types::Code;
use crossport_node::texts::Texts;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Characters of a benchmark's text.
pub const TEXT_CHARS: usize = 200;
/// Digits of the number at the beginning of a text, by which it is known again.
pub const NUMBER_DIGITS: usize = 9;
/// Head and body of an answer; a message of 200 characters is told in about one kilobyte.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Where to post, as whom.
#[derive(Debug, Clone)]
pub struct Target {
    address: String,
    /// Everything of the head but the length.
    head: String,
    /// Makes client ids of this target unlike those of any other.
    prefix: String,
    texts: &'static Texts,
}

impl Target {
    /// Messages of a person into a chat.
    pub fn new(author: &Person, chat: &str, texts: &'static Texts) -> Result<Self, Failure> {
        let url = author.endpoint.to_string();
        let address = url.strip_prefix("http://").unwrap_or_default().to_owned();
        let token = &author.session.token;
        let head = format!(
            "POST /v0/chats/{chat}/messages HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: "
        );
        // Ids in order, as clients make them: a fresh one that ends in the number of the message.
        let mut prefix = crate::stage::fresh_id(texts)?;
        prefix.truncate(prefix.len().saturating_sub(NUMBER_DIGITS));
        Ok(Self {
            address,
            head,
            prefix,
            texts,
        })
    }
}

/// Posts these numbers, so many at a time; returns once each is acknowledged.
///
/// # Errors
/// The first refusal or broken connection ends it.
pub async fn post(target: &Target, numbers: Range<u32>, in_flight: usize) -> Result<(), Failure> {
    let next = Arc::new(AtomicU32::new(numbers.start));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        let (target, next, end) = (target.clone(), next.clone(), numbers.end);
        workers.spawn(async move {
            let mut connection = Connection::open(&target).await?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return Ok(());
                }
                connection.post(number).await?;
            }
        });
    }
    let mut first = Ok(());
    while let Some(ended) = workers.join_next().await {
        let ended = ended.unwrap_or_else(|error| {
            Err(Failure::new(target.texts, Code::Failed, "load").cause(error.to_string()))
        });
        if ended.is_err() && first.is_ok() {
            first = ended;
            workers.abort_all();
        }
    }
    first
}

/// One keep-alive connection.
#[derive(Debug)]
pub struct Connection {
    target: Target,
    stream: TcpStream,
    request: String,
    answer: Vec<u8>,
}

impl Connection {
    pub async fn open(target: &Target) -> Result<Self, Failure> {
        let opened = TcpStream::connect(&target.address).await;
        let stream = opened.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        let stream = stream.map_err(|error| target.unreachable(&error))?;
        Ok(Self {
            target: target.clone(),
            stream,
            request: String::with_capacity(2 * TEXT_CHARS + target.head.len()),
            answer: Vec::with_capacity(4_096),
        })
    }

    /// Posts one numbered text; returns when it was sent and acknowledged.
    pub async fn post(&mut self, number: u32) -> Result<(Instant, Instant), Failure> {
        self.write_request(number);
        let begun = Instant::now();
        let sent = self.stream.write_all(self.request.as_bytes()).await;
        sent.map_err(|error| self.target.unreachable(&error))?;
        self.read_answer().await?;
        Ok((begun, Instant::now()))
    }

    fn write_request(&mut self, number: u32) {
        // {"client_id":"<prefix><number>","text":"<number> xxx"}: no character needs an escape.
        let fixed = r#"{"client_id":"","text":""}"#.len();
        let length = fixed + self.target.prefix.len() + NUMBER_DIGITS + TEXT_CHARS;
        self.request.clear();
        self.request.push_str(&self.target.head);
        // Writing to a string does not fail.
        let _ = write!(
            self.request,
            "{length}\r\n\r\n{{\"client_id\":\"{}{number:0NUMBER_DIGITS$}\",\"text\":\"{number:0NUMBER_DIGITS$} {:x<width$}\"}}",
            self.target.prefix,
            "",
            width = TEXT_CHARS - NUMBER_DIGITS - 1,
        );
    }

    /// Reads exactly one answer: its head, and as many bytes as that says.
    async fn read_answer(&mut self) -> Result<(), Failure> {
        self.answer.clear();
        let head_end = loop {
            self.more().await?;
            if let Some(at) = find(&self.answer, b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head =
            String::from_utf8_lossy(self.answer.get(..head_end).unwrap_or_default()).into_owned();
        let length = content_length(&head).ok_or_else(|| {
            Failure::new(
                self.target.texts,
                Code::AnswerUnreadable,
                &self.target.address,
            )
        })?;
        while self.answer.len() < head_end + length {
            self.more().await?;
        }
        if head.starts_with("HTTP/1.1 201") || head.starts_with("HTTP/1.1 200") {
            return Ok(());
        }
        let body = self.answer.get(head_end..).unwrap_or_default();
        let status = head.lines().next().unwrap_or_default();
        Err(Failure::new(self.target.texts, Code::Failed, status)
            .cause(crate::output::line(&String::from_utf8_lossy(body))))
    }

    async fn more(&mut self) -> Result<(), Failure> {
        match self.stream.read_buf(&mut self.answer).await {
            Ok(0) => Err(self.target.unreachable(&"connection closed")),
            Ok(_) if self.answer.len() > ANSWER_BYTES_MAX => Err(Failure::new(
                self.target.texts,
                Code::AnswerUnreadable,
                &self.target.address,
            )),
            Ok(_) => Ok(()),
            Err(error) => Err(self.target.unreachable(&error)),
        }
    }
}

impl Target {
    fn unreachable(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure::new(self.texts, Code::NodeUnreachable, &self.address).cause(error.to_string())
    }
}

/// The number that a text begins with, if it is one of ours.
pub fn number_of(text: &str) -> Option<u32> {
    text.get(..NUMBER_DIGITS)?.parse().ok()
}

fn content_length(head: &str) -> Option<usize> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Endpoint;
    use crate::test_node::TestNode;
    use crossport_node::texts::Lang;

    #[test]
    fn answers_and_texts_are_read() {
        assert_eq!(
            content_length("HTTP/1.1 201 Created\r\nContent-Length: 12\r\n"),
            Some(12)
        );
        assert_eq!(content_length("HTTP/1.1 201 Created\r\n"), None);
        assert_eq!(number_of("000000042 xxx"), Some(42));
        assert_eq!(number_of("hello"), None);
    }

    #[tokio::test]
    async fn every_number_is_posted_once() {
        let node = TestNode::start().await;
        let texts = Texts::of(Lang::En);
        let author = Person::with_token(
            Endpoint::parse(&node.url(), texts).expect("an address"),
            "anna's token",
            texts,
        );
        let author = author.await.expect("signed in");
        let target = Target::new(&author, "c0ffee", texts).expect("random bytes");
        post(&target, 10..110, 8).await.expect("all acknowledged");
        assert_eq!(node.messages(), 100);
        let stolen = Target {
            head: target.head.replace("anna's token", "stolen"),
            ..target
        };
        let refused = post(&stolen, 0..3, 2).await;
        assert!(refused.is_err(), "a refusal is an error");
    }
}
