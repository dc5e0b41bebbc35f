//! Where a node listens, and how paths to it are written.
//!
//! Must not know HTTP beyond making a connection.

use crate::errors::Failure;
use crossport_node::api::types::Code;
use crossport_node::texts::Texts;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    Unix(PathBuf),
    /// `host:port`.
    Http(String),
}

impl Endpoint {
    /// Reads `unix:/path` or `http://host:port`.
    pub fn parse(text: &str, texts: &'static Texts) -> Result<Self, Failure> {
        let invalid =
            || Failure::new(texts, Code::ValueInvalid, text).try_next("http://127.0.0.1:8460");
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let rest = text
            .strip_prefix("http://")
            .ok_or_else(invalid)?
            .trim_end_matches('/');
        if rest.is_empty() || rest.contains(['/', '@', '?', '#', ' ']) {
            return Err(invalid());
        }
        let has_port = rest
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        Ok(Self::Http(if has_port {
            rest.to_owned()
        } else {
            format!("{rest}:80")
        }))
    }

    /// Whether what is sent there stays on this machine.
    pub fn is_local(&self) -> bool {
        let Self::Http(authority) = self else {
            return true;
        };
        let host = authority
            .rsplit_once(':')
            .map_or(authority.as_str(), |(host, _)| host)
            .trim_matches(['[', ']']);
        host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// The `Host` header.
    pub(super) fn host(&self) -> &str {
        match self {
            Self::Unix(_) => "localhost",
            Self::Http(authority) => authority,
        }
    }

    pub(super) async fn connect(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        match self {
            Self::Unix(path) => shake(UnixStream::connect(path).await?).await,
            Self::Http(authority) => {
                let stream = TcpStream::connect(authority).await?;
                stream.set_nodelay(true)?;
                shake(stream).await
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
            Self::Http(authority) => write!(formatter, "http://{authority}"),
        }
    }
}

/// One segment of a path, percent-encoded (RFC 3986): chat titles and nicknames may hold anything.
pub fn segment(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if is_unreserved(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// `?name=value&...` of those that are there.
pub fn query(pairs: &[(&str, Option<&str>)]) -> String {
    let present = pairs
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", segment((*value)?))));
    let joined = present.collect::<Vec<_>>().join("&");
    if joined.is_empty() {
        joined
    } else {
        format!("?{joined}")
    }
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

async fn shake<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
) -> io::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // It ends with the sender; its error reaches whoever waits for an answer.
    tokio::spawn(connection);
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossport_node::texts::Lang;

    fn parse(text: &str) -> Option<String> {
        Endpoint::parse(text, Texts::of(Lang::En))
            .ok()
            .map(|endpoint| endpoint.to_string())
    }

    #[test]
    fn addresses_are_read_once_and_strictly() {
        assert_eq!(
            parse("http://127.0.0.1:8460/").as_deref(),
            Some("http://127.0.0.1:8460")
        );
        assert_eq!(
            parse("http://[::1]:8460").as_deref(),
            Some("http://[::1]:8460")
        );
        assert_eq!(parse("http://acme").as_deref(), Some("http://acme:80"));
        assert_eq!(
            parse("unix:/run/x.sock").as_deref(),
            Some("unix:/run/x.sock")
        );
        for wrong in [
            "https://acme",
            "acme:8460",
            "http://",
            "http://a/b",
            "http://user@acme",
            "http://a b",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn loopback_is_local_and_nothing_else() {
        let local = |text: &str| {
            Endpoint::parse(text, Texts::of(Lang::En))
                .expect("valid")
                .is_local()
        };
        assert!(
            local("http://127.0.0.1:1")
                && local("http://[::1]:1")
                && local("http://localhost:1")
                && local("unix:/x")
        );
        assert!(!local("http://10.0.0.1:1") && !local("http://localhost.example:1"));
    }

    #[test]
    fn paths_are_encoded() {
        assert_eq!(segment("boris@globex/../x"), "boris%40globex%2F..%2Fx");
        assert_eq!(
            query(&[("a", Some("x y")), ("b", None), ("c", Some("1"))]),
            "?a=x%20y&c=1"
        );
        assert_eq!(query(&[("b", None)]), "");
    }
}
