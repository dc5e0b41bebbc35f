//! Server-sent events: bytes in, events out (WHATWG HTML, 9.2).
//!
//! The parser is pure; the stream around it only feeds it. It must not know what events mean.

use crate::errors::Failure;
use crossport_node::api::types::{Code, FEED_KEEP_ALIVE_S};
use crossport_node::say;
use crossport_node::texts::Texts;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::time::Duration;

/// Largest event: one message of the greatest length, with its JSON escapes, several times over.
const EVENT_BYTES_MAX: usize = 8 << 20;
/// A stream that is silent for three comment lines is dead.
const SILENCE_MAX: Duration = Duration::from_secs(3 * FEED_KEEP_ALIVE_S);

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub data: String,
    /// The token to come back with, if the stream gave one so far.
    pub id: Option<String>,
}

/// Events of one response.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    parser: Parser,
    ready: VecDeque<Event>,
    texts: &'static Texts,
}

impl EventStream {
    pub(super) fn new(body: Incoming, texts: &'static Texts) -> Self {
        Self {
            body,
            parser: Parser::default(),
            ready: VecDeque::new(),
            texts,
        }
    }

    /// The next event; `None` when the node ended the stream.
    ///
    /// # Errors
    /// The connection broke, was silent too long, or an event is longer than any real one.
    pub async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let failure = |code| Failure::new(self.texts, code, "text/event-stream");
            let frame = match tokio::time::timeout(SILENCE_MAX, self.body.frame()).await {
                Err(_) => return Err(failure(Code::TimedOut)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    let words = if error.is_incomplete_message() || error.is_body_write_aborted() {
                        say!(self.texts, "reason-connection-broke")
                    } else {
                        error.to_string()
                    };
                    return Err(failure(Code::NodeUnreachable).cause(words));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            if let Ok(bytes) = frame.into_data() {
                self.parser
                    .push(&bytes, &mut self.ready)
                    .map_err(|TooLong| failure(Code::AnswerUnreadable))?;
            }
        }
    }
}

/// An event beyond [`EVENT_BYTES_MAX`].
#[derive(Debug, PartialEq, Eq)]
struct TooLong;

/// Lines so far.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    after_return: bool,
    name: String,
    data: String,
    has_data: bool,
    id: Option<String>,
}

impl Parser {
    fn push(&mut self, bytes: &[u8], ready: &mut VecDeque<Event>) -> Result<(), TooLong> {
        for byte in bytes {
            let second_of_pair = *byte == b'\n' && std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if second_of_pair => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    ready.extend(self.end_line(&String::from_utf8_lossy(&line)));
                }
                _ => {
                    self.after_return = false;
                    self.line.push(*byte);
                }
            }
            if self.line.len() + self.data.len() > EVENT_BYTES_MAX {
                return Err(TooLong);
            }
        }
        Ok(())
    }

    fn end_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            return self.end_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            // Comments (an empty field), `retry` and fields of the future.
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        let has_data = std::mem::take(&mut self.has_data);
        let name = if name.is_empty() {
            "message".to_owned()
        } else {
            name
        };
        has_data.then(|| Event {
            name,
            data,
            id: self.id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the bytes are cut, the events are the same.
    fn check(source: &str, expected: &[(&str, &str, Option<&str>)]) {
        for size in 1..=source.len() {
            let (mut parser, mut ready) = (Parser::default(), VecDeque::new());
            for piece in source.as_bytes().chunks(size) {
                parser.push(piece, &mut ready).expect("short");
            }
            let found: Vec<_> = ready
                .iter()
                .map(|event| {
                    (
                        event.name.as_str(),
                        event.data.as_str(),
                        event.id.as_deref(),
                    )
                })
                .collect();
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn events_survive_any_cut_of_the_bytes() {
        check(
            "event: chat\nid: 7-1\ndata: {\"a\":1}\n\n",
            &[("chat", "{\"a\":1}", Some("7-1"))],
        );
        check(
            "event: chat\r\ndata: привет\r\n\r\ndata: x\r\rdata: y\n\n",
            &[
                ("chat", "привет", None),
                ("message", "x", None),
                ("message", "y", None),
            ],
        );
        check(
            ": keep-alive\n\ndata: one\ndata: two\n\n",
            &[("message", "one\ntwo", None)],
        );
        check("id: 1\n\nevent: gap\ndata\n\n", &[("gap", "", Some("1"))]);
        check(
            "retry: 5\nfuture: x\ndata:no space\n\ndata: unfinished\n",
            &[("message", "no space", None)],
        );
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut ready = VecDeque::new();
        assert_eq!(
            Parser::default().push(&vec![b'x'; EVENT_BYTES_MAX + 1], &mut ready),
            Err(TooLong)
        );
    }
}
