//! The change feed with reconnection: gives changes in order, coming back with the last token.
//!
//! Must not know what a command does with a change.

use super::{Client, EventStream, query};
use crate::errors::{Exit, Failure};
use crossport_node::api::types::Change;
use hyper::Method;
use std::time::Duration;

/// First wait before a new attempt; doubles up to [`WAIT_MAX`].
const WAIT_MIN: Duration = Duration::from_millis(100);
/// A person who looks at a terminal should not wait longer for a node that came back.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// What the feed has to say.
#[derive(Debug)]
pub enum Next {
    Change(Change),
    /// The connection is gone; the feed goes on trying.
    Lost(Failure),
    /// Back again.
    Restored,
}

/// A feed that outlives its connections.
#[derive(Debug)]
pub struct Feed<'a> {
    client: &'a Client,
    path: String,
    stream: Option<EventStream>,
    token: Option<String>,
    /// Attempts since the last event.
    failures: u32,
    /// The outage was already told.
    told: bool,
}

impl<'a> Feed<'a> {
    pub fn new(client: &'a Client, chat: Option<&str>) -> Self {
        let path = format!("/v0/changes{}", query(&[("chat", chat)]));
        Self {
            client,
            path,
            stream: None,
            token: None,
            failures: 0,
            told: false,
        }
    }

    /// Waits for the next change. An outage is told once when it begins and once when it ends.
    ///
    /// # Errors
    /// Only what waiting cannot heal: no access, no such chat, an answer that is not ours.
    pub async fn next(&mut self) -> Result<Next, Failure> {
        loop {
            let Some(stream) = &mut self.stream else {
                if let Some(news) = self.open().await? {
                    return Ok(news);
                }
                continue;
            };
            match stream.next().await {
                Ok(Some(event)) => {
                    self.failures = 0;
                    self.token = event.id.or_else(|| self.token.take());
                    // Kinds of the future carry a token like any other, and nothing for us.
                    let Ok(data) = serde_json::from_str::<serde_json::Value>(&event.data) else {
                        continue;
                    };
                    let tagged = serde_json::json!({ "event": event.name, "data": data });
                    if let Ok(change) = serde_json::from_value(tagged) {
                        return Ok(Next::Change(change));
                    }
                }
                // A node that restarts ends its streams: come back at once, then slower.
                Ok(None) => self.stream = None,
                Err(failure) => {
                    self.stream = None;
                    if let Some(news) = self.lost(failure) {
                        return Ok(news);
                    }
                }
            }
        }
    }

    async fn open(&mut self) -> Result<Option<Next>, Failure> {
        if self.failures > 0 {
            let factor = 1_u32 << (self.failures - 1).min(10);
            tokio::time::sleep((WAIT_MIN * factor).min(WAIT_MAX)).await;
        }
        self.failures = self.failures.saturating_add(1);
        match self
            .client
            .stream(Method::GET, &self.path, self.token.as_deref())
            .await
        {
            Ok(stream) => {
                self.stream = Some(stream);
                Ok(std::mem::take(&mut self.told).then_some(Next::Restored))
            }
            // Before the first connection an absent node is an error; later it is an outage.
            Err(failure) if self.token.is_some() && is_outage(&failure) => Ok(self.lost(failure)),
            Err(failure) => Err(failure),
        }
    }

    fn lost(&mut self, failure: Failure) -> Option<Next> {
        (!std::mem::replace(&mut self.told, true)).then_some(Next::Lost(failure))
    }
}

fn is_outage(failure: &Failure) -> bool {
    matches!(failure.exit(), Exit::NodeUnreachable | Exit::TimedOut)
        || failure.problem().status >= 500
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Endpoint;
    use crate::test_node::TestNode;
    use crossport_node::api::types::{Code, ResetReason};
    use crossport_node::texts::{Lang, Texts};

    fn client(node: &TestNode, token: &str) -> Client {
        let texts = Texts::of(Lang::En);
        Client::new(
            Endpoint::parse(&node.url(), texts).expect("an address"),
            Some(token.to_owned()),
            texts,
        )
    }

    async fn change(feed: &mut Feed<'_>) -> Change {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(10), feed.next());
            if let Next::Change(change) = next
                .await
                .expect("a change within 10 s")
                .expect("the feed lives")
            {
                return change;
            }
        }
    }

    #[tokio::test]
    async fn a_feed_comes_back_with_its_token_and_misses_nothing() {
        let node = TestNode::start().await;
        let client = client(&node, "anna's token");
        let mut feed = Feed::new(&client, None);
        let Change::Reset(reset) = change(&mut feed).await else {
            panic!("a new client is reset first")
        };
        assert_eq!(reset.reason, ResetReason::NewClient);
        let mut seen = Vec::new();
        for number in 0..6 {
            node.say(&format!("line {number}"));
            if number % 2 == 0 {
                node.cut_feeds();
            }
            let Change::Message(message) = change(&mut feed).await else {
                panic!("a message")
            };
            seen.push(message.text.clone().unwrap_or_default());
        }
        assert_eq!(
            seen,
            ["line 0", "line 1", "line 2", "line 3", "line 4", "line 5"]
        );
        assert!(node.feeds_opened() > 1, "it did reconnect");
    }

    #[tokio::test]
    async fn no_access_ends_the_feed() {
        let node = TestNode::start().await;
        let client = client(&node, "stolen");
        let failure = Feed::new(&client, None).next().await.expect_err("refused");
        assert_eq!(failure.code(), Some(Code::NotSignedIn));
    }
}
