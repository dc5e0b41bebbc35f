//! From the parts of a request to typed arguments, or to a refusal that names what is wrong.
//!
//! Owns the reading of bodies, queries, path segments, tokens and the peer. It must not know any endpoint.

use std::net::{IpAddr, SocketAddr};

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::facade::{Caller, Lang, Operator, Refused};
use super::settings::BODY_BYTES_MAX;
use super::types::Code;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// The operator's socket, opened by a process of this uid.
    Socket {
        uid: u32,
    },
    /// The operator's socket, opened by somebody who is no operator.
    SocketStranger,
    Tcp(SocketAddr),
}

impl Peer {
    /// What strangers are counted by: an address, for IPv6 the part that a provider gives to one customer.
    pub(super) fn key(self) -> [u8; 16] {
        let Self::Tcp(address) = self else {
            return [0; 16];
        };
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => {
                let mut octets = ip.octets();
                // The last byte is what shards go by: a /64 has zeros there, so its own last byte is repeated.
                octets[8..].fill(0);
                octets[15] = octets[7];
                octets
            }
        }
    }
}

/// Put into every request by the edge.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    pub(super) peer: Peer,
    pub(super) lang: Lang,
}

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let missing = || Refused::from(Code::Internal).detail("a request came without its peer");
        parts.extensions.get::<Self>().copied().ok_or_else(missing)
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let asker = Asker::from_request_parts(parts, state).await?;
        match asker.peer {
            Peer::Socket { uid } => Ok(Self {
                uid,
                lang: asker.lang,
            }),
            // As if it did not exist, like on TCP.
            Peer::SocketStranger | Peer::Tcp(_) => {
                Err(Refused::new(Code::NoSuchEndpoint, parts.uri.path()))
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refused;

    /// Found by the edge, for every endpoint that the table keeps for people who are signed in.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let unknown = || Refused::from(Code::Internal).detail("the table says that anyone may ask");
        parts.extensions.get::<Self>().copied().ok_or_else(unknown)
    }
}

/// A JSON body.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        if !is_json(request.headers()) {
            // Also what a foreign page's form cannot set.
            return Err(Refused::from(Code::RequestMalformed)
                .detail("Content-Type must be application/json"));
        }
        let too_large = || {
            Refused::new(Code::TooLarge, "body")
                .detail(format_args!("more than {BODY_BYTES_MAX} bytes"))
        };
        let body = request.into_body();
        if axum::body::HttpBody::size_hint(&body).lower() > BODY_BYTES_MAX as u64 {
            return Err(too_large());
        }
        match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(collected) => parse(&collected.to_bytes()).map(Self),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
            Err(_) => Err(Refused::from(Code::RequestMalformed).detail("the body broke off")),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim_ascii();
    kind.eq_ignore_ascii_case("application/json")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(bytes)
        .map_err(|error| Refused::from(Code::RequestMalformed).detail(said(&error)))
}

/// What serde found, without values: a secret or a text that stands in the wrong place is not repeated.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let names_a_field = ["unknown field `", "missing field `", "duplicate field `"];
    if names_a_field.iter().any(|start| text.starts_with(start)) || !error.is_data() {
        return text;
    }
    let expected = text
        .split_once(", expected ")
        .map_or("another value", |(_, expected)| expected);
    let expected = expected.split(" at line ").next().unwrap_or(expected);
    format!(
        "expected {expected} at line {} column {}",
        error.line(),
        error.column()
    )
}

/// A query; unknown fields are refused.
#[derive(Debug)]
pub(super) struct UrlQuery<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for UrlQuery<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let malformed = |detail: String| Refused::from(Code::RequestMalformed).detail(detail);
        if !parts.uri.query().is_none_or(is_utf8_when_decoded) {
            return Err(malformed("the query is not UTF-8".to_owned()));
        }
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self(query)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => {
                let text = error.body_text();
                Err(malformed(
                    text.rsplit("query string: ")
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                ))
            }
            Err(error) => Err(malformed(error.to_string())),
        }
    }
}

/// The usual decoder replaces what is no UTF-8; here it is refused like everywhere else.
fn is_utf8_when_decoded(query: &str) -> bool {
    let mut decoded = Vec::with_capacity(query.len());
    let mut rest = query.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = escaped
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() {
            after.get(2..).unwrap_or_default()
        } else {
            after
        };
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// Segments of the path.
#[derive(Debug)]
pub(super) struct UrlPath<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for UrlPath<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let path = parts.uri.path();
        if path.contains("//") || path.ends_with('/') {
            // The router takes nothing for a segment like any other.
            return Err(Refused::new(Code::NoSuchEndpoint, path));
        }
        match Path::from_request_parts(parts, state).await {
            Ok(Path(path)) => Ok(Self(path)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => {
                Err(Refused::from(Code::RequestMalformed).detail("the path is not UTF-8"))
            }
            Err(error) => Err(Refused::from(Code::Internal).detail(error)),
        }
    }
}
