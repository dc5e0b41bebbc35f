//! A plain HTTP client: one connection, requests as the test writes them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::api::types::{PROBLEM_CONTENT_TYPE, Problem};

/// Anything that takes longer is a failed test.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

pub(super) struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(super) fn problem(&self) -> Problem {
        assert_eq!(
            self.header("content-type"),
            PROBLEM_CONTENT_TYPE,
            "{self:?}"
        );
        let problem: Problem = serde_json::from_slice(&self.body).expect("a problem document");
        assert_eq!(problem.status, self.status.as_u16());
        problem
    }

    /// Number of the problem's code.
    pub(super) fn code(&self) -> String {
        self.problem().code
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("ASCII"))
    }
}

/// A request under construction.
pub(super) struct Ask<'a> {
    client: &'a mut Client,
    request: Request<Full<Bytes>>,
}

impl Client {
    pub(super) async fn tcp(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("connects");
        stream.set_nodelay(true).expect("a socket");
        Self::over(stream, address.to_string()).await
    }

    pub(super) async fn unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).await.expect("connects");
        Self::over(stream, "localhost".to_owned()).await
    }

    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        host: String,
    ) -> Self {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a handshake");
        // How the connection ends is seen by who asked.
        tokio::spawn(async move { drop(connection.await) });
        Self { sender, host }
    }

    pub(super) fn ask(&mut self, method: Method, path: &str) -> Ask<'_> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host);
        let request = request.body(Full::default()).expect("a request");
        Ask {
            client: self,
            request,
        }
    }

    pub(super) fn read(&mut self, path: &str) -> Ask<'_> {
        self.ask(Method::GET, path)
    }

    pub(super) fn write(&mut self, path: &str, body: &Value) -> Ask<'_> {
        self.ask(Method::POST, path).json(body)
    }
}

impl Ask<'_> {
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request
            .headers_mut()
            .insert(name, value.parse().expect("a header value"));
        self
    }

    pub(super) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
            .header("content-type", "application/json")
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self
    }

    /// Sends, and reads the whole answer.
    pub(super) async fn reply(self) -> Reply {
        let (status, headers, body) = self.open().await;
        let body = tokio::time::timeout(DEADLINE, body.collect())
            .await
            .expect("the answer ends in time");
        let body = body.expect("a whole answer").to_bytes();
        Reply {
            status,
            headers,
            body,
        }
    }

    /// Sends, and reads the head of the answer.
    pub(super) async fn open(self) -> (StatusCode, HeaderMap, Incoming) {
        let sender = &mut self.client.sender;
        sender.ready().await.expect("the connection is open");
        let response = tokio::time::timeout(DEADLINE, sender.send_request(self.request)).await;
        let (head, body) = response
            .expect("an answer in time")
            .expect("an answer")
            .into_parts();
        (head.status, head.headers, body)
    }

    /// Sends; the connection may end without an answer.
    pub(super) async fn status(self) -> Option<StatusCode> {
        let sender = &mut self.client.sender;
        sender.ready().await.ok()?;
        let response = tokio::time::timeout(DEADLINE, sender.send_request(self.request)).await;
        response
            .expect("an answer or an end in time")
            .ok()
            .map(|response| response.status())
    }
}
