//! What happens to every request, whatever it asks for.
//!
//! Owns the order: is it ours, who is at the other end, which language, the router, the problem document, the headers.
//! It must not know any endpoint. It is one function around the router and one around each handler instead of a stack
//! of layers, because every layer of the router costs an allocation and a clone for each message that is sent.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use hyper::body::Incoming;
use tower::Service as _;

use super::Api;
use super::extract::{Asker, Peer};
use super::facade::{Lang, Refused, UseCases};
use super::settings::Settings;
use super::table::Who;
use super::types::Code;
use super::{admission, origin, problems};
use crate::metrics::{RouteMetrics, Side};

/// Set on every answer that has not set its own. Documents of this API contain no markup, and are nobody else's.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Answers one request of one connection.
pub(super) async fn answer<N: UseCases>(
    api: Arc<Api<N>>,
    mut router: Router,
    peer: Peer,
    mut request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    let lang = language(request.headers());
    // A browser cannot open a unix socket, and tools name any host there.
    let ours = match peer {
        Peer::Tcp(_) => {
            let Settings { hosts, origins, .. } = &api.settings;
            origin::check(request.method(), request.headers(), hosts, origins)
        }
        Peer::Socket { .. } | Peer::SocketStranger => Ok(()),
    };
    let mut response = match ours {
        Ok(()) => {
            request.extensions_mut().insert(Asker { peer, lang });
            let Ok(response) = router.call(request).await;
            response
        }
        Err(refused) => refused.into_response(),
    };
    if let Some(code) = problems::render(&mut response, lang) {
        api.node.metrics().refused(Side::Api, code.number());
    }
    let headers = response.headers_mut();
    for (name, value) in &HEADERS {
        if !headers.contains_key(name) {
            headers.insert(name, value.clone());
        }
    }
    Ok(response)
}

fn language(headers: &HeaderMap) -> Lang {
    let header = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    header.map_or_else(Lang::default, Lang::accepted)
}

/// An address that is not there.
pub(super) async fn no_such_endpoint(request: Request) -> Refused {
    Refused::new(Code::NoSuchEndpoint, request.uri().path())
}

/// An address that is there, but not for this method; the router adds `Allow`.
pub(super) async fn no_such_method(request: Request) -> (StatusCode, Refused) {
    let refused = Refused::new(Code::NoSuchEndpoint, request.uri().path());
    let refused = refused.detail(format_args!("there is no {} of it", request.method()));
    (StatusCode::METHOD_NOT_ALLOWED, refused)
}

/// What the edge knows of an endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    /// The template, `/v0/chats/{chat}`.
    pub(super) route: String,
    pub(super) who: Who,
    /// Has query parameters; elsewhere any query is refused.
    pub(super) takes_query: bool,
    pub(super) timeout: Duration,
    pub(super) metrics: RouteMetrics,
}

/// A handler that is measured, limited in time, and whose panics stay its own.
#[derive(Debug, Clone)]
pub(super) struct Guarded<H> {
    pub(super) handler: H,
    pub(super) endpoint: Arc<Endpoint>,
}

impl<H, T, N> Handler<T, Arc<Api<N>>> for Guarded<H>
where
    H: Handler<T, Arc<Api<N>>>,
    T: 'static,
    N: UseCases,
{
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, mut request: Request, api: Arc<Api<N>>) -> Self::Future {
        Box::pin(async move {
            let started = Instant::now();
            let Self { handler, endpoint } = self;
            let response = if request.uri().query().is_some() && !endpoint.takes_query {
                Refused::from(Code::RequestMalformed)
                    .detail("this address takes no query")
                    .into_response()
            } else {
                let metrics = api.node.metrics().clone();
                let endpoint_who = endpoint.who;
                let answered = async move {
                    match admission::admit(&api, endpoint_who, &mut request).await {
                        Ok(()) => handler.call(request, api).await,
                        Err(refused) => refused.into_response(),
                    }
                };
                let answered = AssertUnwindSafe(answered).catch_unwind();
                match tokio::time::timeout(endpoint.timeout, answered).await {
                    Ok(Ok(response)) => response,
                    Ok(Err(panic)) => {
                        metrics.panicked();
                        let said = said(panic.as_ref());
                        tracing::error!(
                            method = endpoint.method,
                            route = endpoint.route,
                            said,
                            "a handler panicked"
                        );
                        Refused::from(Code::Internal).into_response()
                    }
                    Err(_) => {
                        let waited =
                            format!("no answer within {} s", endpoint.timeout.as_secs_f32());
                        Refused::from(Code::NotReady).detail(waited).into_response()
                    }
                }
            };
            let took = started.elapsed();
            endpoint.metrics.answered(response.status().as_u16(), took);
            log(&endpoint, &response, took);
            response
        })
    }
}

/// Templates, codes and times: never a body, a token, a query or an id.
fn log(endpoint: &Endpoint, response: &Response, took: Duration) {
    let Endpoint { method, route, .. } = endpoint;
    let (status, took_us) = (response.status().as_u16(), took.as_micros());
    let Some(refused) = response.extensions().get::<Refused>() else {
        tracing::debug!(method, route, status, took_us, "answered");
        return;
    };
    let code = refused.code.number();
    if status < 500 {
        tracing::info!(method, route, status, code, took_us, "refused");
    } else {
        let detail = refused.detail.as_deref().unwrap_or_default();
        tracing::error!(method, route, status, code, detail, took_us, "failed");
    }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("nothing")
}
