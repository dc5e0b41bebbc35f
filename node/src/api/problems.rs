//! Refusals on their way out: from data to a problem document in the client's language (RFC 9457).
//!
//! Owns the rendering. It must not know why something was refused. A handler only names the refusal; the edge, which
//! knows the language, writes the document. So no handler can forget the language or invent a shape of its own.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::facade::{Lang, Refused};
use super::types::{Code, PROBLEM_CONTENT_TYPE, Problem};
use crate::texts::Texts;

/// Longest subject or detail: several lines of a terminal, more than any name of ours.
const SHOWN_CHARS_MAX: usize = 400;

impl IntoResponse for Refused {
    /// Carries the refusal as an extension; [`render`] gives it a body.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status(self.code);
        response.extensions_mut().insert(self);
        response
    }
}

/// The HTTP status of a code.
fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).expect("codes carry statuses between 400 and 599")
}

/// Writes the problem document into a response that carries a refusal; others stay as they are.
pub(super) fn render(response: &mut Response, lang: Lang) -> Option<Code> {
    let refused = response.extensions_mut().remove::<Refused>()?;
    let mut document = problem(&refused, lang);
    // The router may know better: a wrong method is 405 under the code of an unknown address.
    document.status = response.status().as_u16();
    let body = serde_json::to_vec(&document).expect("a problem is plain strings");
    *response.body_mut() = Body::from(body);
    let headers = response.headers_mut();
    // The router saw an empty body and said so.
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(PROBLEM_CONTENT_TYPE),
    );
    match refused.code {
        Code::NotSignedIn => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Code::TooManyRequests | Code::NotReady => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    Some(refused.code)
}

/// The document of a refusal.
pub(super) fn problem(refused: &Refused, lang: Lang) -> Problem {
    let texts = Texts::of(lang);
    let mut document = texts.problem(refused.code, &shown(&refused.subject));
    document.detail = refused.detail.as_deref().map(shown);
    if let Some(cause) = &refused.cause {
        document.cause = Some(texts.tell(cause));
    }
    if let Some(next) = &refused.try_next {
        document.try_next = Some(texts.tell(next));
    }
    document
}

/// Subjects come from clients: they are cut, and lines stay lines, because terminals show them.
fn shown(text: &str) -> String {
    let visible = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c });
    visible.take(SHOWN_CHARS_MAX).collect()
}
