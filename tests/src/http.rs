//! One request to a node's HTTP API, as the bytes that a browser or a program would send.
//!
//! It must not know any endpoint, nor help a request to be right: tests send wrong ones too.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    head: String,
    /// `null` where there is none.
    pub body: Value,
}

impl Reply {
    /// Every value of a header; its name in lower case.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(held, _)| held.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// The number of a refusal.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub fn text(&self, field: &str) -> Result<&str> {
        self.body[field]
            .as_str()
            .with_context(|| format!("no text {field:?} in {self:?}"))
    }

    /// The answer, if it has this status.
    pub fn with(self, status: u16) -> Result<Reply> {
        ensure!(self.status == status, "expected {status}: {self:?}");
        Ok(self)
    }
}

/// Sends and reads the whole answer.
pub async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Reply> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        let length = body.len();
        request.push_str(&format!(
            "content-type: application/json\r\ncontent-length: {length}\r\n"
        ));
    }
    request.push_str(&format!("\r\n{body}"));
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let body = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(body).with_context(|| format!("no JSON: {body:?}"))?
    };
    Ok(Reply {
        status,
        head: head.to_owned(),
        body,
    })
}
