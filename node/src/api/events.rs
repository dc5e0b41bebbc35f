//! Server-sent events as bytes (WHATWG HTML, 9.2).
//!
//! Owns the form. It must not know what an event means.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures::Stream;
use serde::Serialize;

/// Keeps proxies and clients from taking a silent stream for a dead one.
pub(super) const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// Appends one event. JSON has no line breaks of its own, so that one `data:` line is enough.
pub(super) fn push(buffer: &mut Vec<u8>, name: &str, token: Option<&str>, data: &impl Serialize) {
    buffer.extend_from_slice(b"event: ");
    buffer.extend_from_slice(name.as_bytes());
    if let Some(token) = token.filter(|token| is_sound(token)) {
        buffer.extend_from_slice(b"\nid: ");
        buffer.extend_from_slice(token.as_bytes());
    }
    buffer.extend_from_slice(b"\ndata: ");
    serde_json::to_writer(&mut *buffer, data).expect("wire types serialise into memory");
    buffer.extend_from_slice(b"\n\n");
}

/// A token with a line break would forge events; the node makes none, and none is written.
fn is_sound(token: &str) -> bool {
    let sound = token.bytes().all(|byte| byte.is_ascii_graphic());
    debug_assert!(sound, "a token is visible ASCII: {token:?}");
    sound
}

/// An event stream as an answer.
pub(super) fn response(stream: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let chunks = futures::StreamExt::map(stream, Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    // Proxies that collect answers would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
