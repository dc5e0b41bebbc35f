//! One node, spoken to over HTTP/1.1 on a unix socket or TCP.
//!
//! Owns connecting, sending, timeouts and the reading of problem documents. It must not know any endpoint: commands name
//! their paths. There is no TLS here: people reach distant nodes through their browser or an SSH tunnel.

mod endpoint;
mod events;
mod feed;

pub use endpoint::{Endpoint, query, segment};
pub use events::EventStream;
pub use feed::{Feed, Next};

use crate::errors::Failure;
use crossport_node::api::types::{Code, PROBLEM_CONTENT_TYPE, Problem};
use crossport_node::reasons;
use crossport_node::say;
use crossport_node::texts::Texts;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{
    ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
};
use hyper::{Method, Request, Response};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// Longest wait for the head of an answer. Every endpoint but the streams answers within a second on a healthy node.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer: a page of 200 messages of the greatest length.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Header of the change token (WHATWG server-sent events).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

type Sender = SendRequest<Full<Bytes>>;

/// A node and who asks. Keeps one connection; clones of nothing, share it by reference.
pub struct Client {
    endpoint: Endpoint,
    token: Option<String>,
    texts: &'static Texts,
    idle: tokio::sync::Mutex<Option<Sender>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token stays out of logs.
        formatter
            .debug_struct("Client")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// How one attempt ended short of an answer.
enum Lost {
    /// Nothing can have reached the node.
    Before(Failure),
    /// It may have acted; a repeat with the same `client_id` is safe.
    Midway(Failure),
}

impl Client {
    pub fn new(endpoint: Endpoint, token: Option<String>, texts: &'static Texts) -> Self {
        Self {
            endpoint,
            token,
            texts,
            idle: tokio::sync::Mutex::new(None),
        }
    }

    /// `GET`.
    pub async fn read<R: DeserializeOwned>(&self, path: &str) -> Result<R, Failure> {
        self.json(&self.exchange(Method::GET, path, Bytes::new()).await?)
    }

    /// `GET` of something that is no JSON.
    pub async fn read_text(&self, path: &str) -> Result<String, Failure> {
        let body = self.exchange(Method::GET, path, Bytes::new()).await?;
        String::from_utf8(body.to_vec()).map_err(|error| self.unreadable(&error))
    }

    /// A write with a body.
    pub async fn write<B: Serialize, R: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &B,
    ) -> Result<R, Failure> {
        self.json(&self.exchange(method, path, self.body(body)?).await?)
    }

    /// A write whose answer is empty.
    pub async fn write_only<B: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: &B,
    ) -> Result<(), Failure> {
        self.exchange(method, path, self.body(body)?)
            .await
            .map(drop)
    }

    /// `DELETE`; the `client_id` is in the query.
    pub async fn remove<R: DeserializeOwned>(
        &self,
        path: &str,
        client_id: &str,
    ) -> Result<R, Failure> {
        let path = format!("{path}{}", query(&[("client_id", Some(client_id))]));
        self.json(&self.exchange(Method::DELETE, &path, Bytes::new()).await?)
    }

    /// Opens an event stream on a connection of its own.
    pub async fn stream(
        &self,
        method: Method,
        path: &str,
        last_event_id: Option<&str>,
    ) -> Result<EventStream, Failure> {
        let mut sender = self.connect().await?;
        let mut request = self.request(method, path, Bytes::new())?;
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(value) = last_event_id.and_then(|token| HeaderValue::from_str(token).ok()) {
            request.headers_mut().insert(LAST_EVENT_ID, value);
        }
        let response = match self.head(&mut sender, request).await {
            Ok(response) => response,
            Err(Lost::Before(failure) | Lost::Midway(failure)) => return Err(failure),
        };
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        Ok(EventStream::new(response.into_body(), self.texts))
    }

    /// Sends, once more if the connection broke: every write carries a `client_id`, so repeating does nothing twice.
    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Failure> {
        match self.attempt(method.clone(), path, body.clone()).await {
            Ok(answer) => answer,
            Err(Lost::Before(failure)) => Err(failure),
            Err(Lost::Midway(_)) => match self.attempt(method, path, body).await {
                Ok(answer) => answer,
                Err(Lost::Before(failure) | Lost::Midway(failure)) => Err(failure),
            },
        }
    }

    async fn attempt(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Result<Bytes, Failure>, Lost> {
        let mut idle = self.idle.lock().await;
        let mut sender = match idle.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await.map_err(Lost::Before)?,
        };
        let request = self.request(method, path, body).map_err(Lost::Before)?;
        let response = self.head(&mut sender, request).await?;
        if !response.status().is_success() {
            return Ok(Err(self.refusal(response).await));
        }
        let bytes = self
            .collect(response.into_body())
            .await
            .map_err(Lost::Midway)?;
        *idle = Some(sender);
        Ok(Ok(bytes))
    }

    async fn connect(&self) -> Result<Sender, Failure> {
        let connected = tokio::time::timeout(ANSWER_TIMEOUT, self.endpoint.connect()).await;
        match connected {
            Err(_) => Err(self.failure(Code::TimedOut)),
            Ok(Ok(sender)) => Ok(sender),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(self
                .failure(Code::NotAllowed)
                .cause(format!("{}: {}", self.endpoint, self.told(&error)))),
            Ok(Err(error)) => Err(self.failure(Code::NodeUnreachable).cause(self.told(&error))),
        }
    }

    fn told(&self, error: &std::io::Error) -> String {
        self.texts.tell(&reasons::system(error))
    }

    /// A connection that was there and is lost.
    fn broken(&self, error: &hyper::Error) -> Failure {
        let words = if error.is_closed() || error.is_incomplete_message() || error.is_canceled() {
            say!(self.texts, "reason-connection-broke")
        } else {
            error.to_string()
        };
        self.failure(Code::NodeUnreachable).cause(words)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let mut builder = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.endpoint.host());
        builder = builder.header(ACCEPT_LANGUAGE, self.texts.lang().code());
        if !body.is_empty() {
            builder = builder.header(CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            builder = builder.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        builder
            .body(Full::new(body))
            .map_err(|error| self.failure(Code::ValueInvalid).cause(error.to_string()))
    }

    async fn head(
        &self,
        sender: &mut Sender,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Lost> {
        if let Err(error) = sender.ready().await {
            return Err(Lost::Midway(self.broken(&error)));
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, sender.send_request(request)).await {
            Err(_) => Err(Lost::Before(self.failure(Code::TimedOut))),
            Ok(Err(error)) => Err(Lost::Midway(self.broken(&error))),
            Ok(Ok(response)) => Ok(response),
        }
    }

    async fn collect(&self, body: Incoming) -> Result<Bytes, Failure> {
        let collected = tokio::time::timeout(
            ANSWER_TIMEOUT,
            Limited::new(body, ANSWER_BYTES_MAX).collect(),
        )
        .await;
        match collected {
            Err(_) => Err(self.failure(Code::TimedOut)),
            Ok(Err(error)) => Err(self.failure(Code::NodeUnreachable).cause(error.to_string())),
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
        }
    }

    /// The problem document of a refusal; whatever else answers on that port has no say in our wording.
    async fn refusal(&self, response: Response<Incoming>) -> Failure {
        let status = response.status();
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let body = match self.collect(response.into_body()).await {
            Ok(body) => body,
            Err(failure) => return failure,
        };
        if kind.starts_with(PROBLEM_CONTENT_TYPE)
            && let Ok(problem) = serde_json::from_slice::<Problem>(&body)
        {
            return problem.into();
        }
        self.failure(Code::AnswerUnreadable)
            .cause(format!("HTTP {status}"))
    }

    fn json<R: DeserializeOwned>(&self, body: &[u8]) -> Result<R, Failure> {
        serde_json::from_slice(body).map_err(|error| self.unreadable(&error))
    }

    fn body(&self, body: &impl Serialize) -> Result<Bytes, Failure> {
        serde_json::to_vec(body)
            .map(Bytes::from)
            .map_err(|error| self.failure(Code::ValueInvalid).cause(error.to_string()))
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> Failure {
        self.failure(Code::AnswerUnreadable)
            .cause(error.to_string())
    }

    fn failure(&self, code: Code) -> Failure {
        let failure = Failure::new(self.texts, code, &self.endpoint.to_string());
        match (&self.endpoint, code) {
            // Whoever asks over HTTP may not be who starts the node.
            (Endpoint::Http(_), Code::NodeUnreachable) => {
                failure.try_next(say!(self.texts, "reason-reach-node"))
            }
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Exit;
    use crate::test_node::TestNode;
    use crossport_node::api::types::{Me, Message, SendMessage};
    use crossport_node::texts::Lang;

    fn client(address: &str, token: Option<&str>) -> Client {
        let texts = Texts::of(Lang::En);
        Client::new(
            Endpoint::parse(address, texts).expect("an address"),
            token.map(str::to_owned),
            texts,
        )
    }

    #[tokio::test]
    async fn a_token_opens_the_person_plane_over_tcp_and_unix_socket() {
        let node = TestNode::start().await;
        for address in [node.url(), node.socket_url()] {
            let me: Me = client(&address, Some("anna's token"))
                .read("/v0/me")
                .await
                .expect("signed in");
            assert_eq!(me.person.nickname, "anna");
            let refused = client(&address, Some("stolen"))
                .read::<Me>("/v0/me")
                .await
                .expect_err("refused");
            assert_eq!(
                (refused.code(), refused.exit()),
                (Some(Code::NotSignedIn), Exit::NotAllowed)
            );
        }
    }

    #[tokio::test]
    async fn a_broken_connection_is_repeated_and_nothing_is_done_twice() {
        let node = TestNode::start().await;
        let client = client(&node.url(), Some("anna's token"));
        let send = |id: &str| SendMessage {
            client_id: id.to_owned(),
            text: "hello".to_owned(),
            reply_to: None,
        };
        let path = "/v0/chats/c0ffee/messages";
        node.break_after_next_write();
        let first: Message = client
            .write(Method::POST, path, &send("one"))
            .await
            .expect("repeated by itself");
        let second: Message = client
            .write(Method::POST, path, &send("two"))
            .await
            .expect("sent");
        assert_ne!(first.id, second.id);
        assert_eq!(node.messages(), 2);
        assert!(node.requests() >= 3, "the first was sent twice");
    }

    #[tokio::test]
    async fn no_node_is_exit_code_3() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("unix:{}", folder.path().join("operator.sock").display());
        let failure = client(&address, None)
            .read::<Me>("/v0/operator/status")
            .await
            .expect_err("nobody there");
        assert_eq!(failure.exit(), Exit::NodeUnreachable);
        assert!(
            failure.problem().title.contains("operator.sock"),
            "{failure:?}"
        );
        assert!(
            failure
                .problem()
                .try_next
                .as_deref()
                .is_some_and(|text| text.contains("crossport up")),
            "{failure:?}"
        );
    }

    #[tokio::test]
    async fn an_answer_that_is_not_ours_is_said_plainly() {
        let node = TestNode::start().await;
        let client = client(&node.url(), Some("anna's token"));
        let failure = client.read::<Me>("/not-crossport").await.expect_err("HTML");
        assert_eq!(failure.code(), Some(Code::AnswerUnreadable));
        let failure = client
            .read::<Me>("/nothing-here")
            .await
            .expect_err("404 without a document");
        assert!(
            failure
                .problem()
                .cause
                .as_deref()
                .is_some_and(|cause| cause.contains("404")),
            "{failure:?}"
        );
    }
}
