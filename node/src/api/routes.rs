//! All endpoints together.
//!
//! Owns which groups there are. It must not know what one of them does.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;

use super::Api;
use super::facade::UseCases;
use super::settings::Settings;
use super::table::{Routes, Table};
use super::{account, chats, edge, feed, messages, operator, people, users};

/// What is served where.
pub(super) struct Planes<N> {
    /// On TCP: the person plane.
    pub(super) tcp: Router<Arc<Api<N>>>,
    /// On the operator's socket: both planes.
    pub(super) socket: Router<Arc<Api<N>>>,
    /// The API document.
    pub(super) document: Bytes,
}

pub(super) fn planes<N: UseCases>(node: &N, settings: &Settings) -> Planes<N> {
    let routes = routes(node, settings);
    let document = serde_json::to_vec(&routes.document).expect("the document is plain data");
    Planes {
        socket: with_fallbacks(routes.people.clone().merge(routes.operators)),
        tcp: with_fallbacks(routes.people),
        document: document.into(),
    }
}

pub(super) fn routes<N: UseCases>(node: &N, settings: &Settings) -> Routes<N> {
    let mut table = Table::new(node.metrics().clone(), settings.request_timeout);
    people::add(&mut table);
    account::add(&mut table);
    chats::add(&mut table);
    messages::add(&mut table);
    feed::add(&mut table);
    users::add(&mut table);
    operator::add(&mut table);
    table.finish()
}

fn with_fallbacks<N: UseCases>(router: Router<Arc<Api<N>>>) -> Router<Arc<Api<N>>> {
    router
        .fallback(edge::no_such_endpoint)
        .method_not_allowed_fallback(edge::no_such_method)
}
