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
use super::{chats, edge, feed, messages, operator, people};

/// The person plane for TCP, both planes for the operator's socket, and the document of both.
pub(super) fn routers<N: UseCases>(
    node: &N,
    settings: &Settings,
) -> (Router<Arc<Api<N>>>, Router<Arc<Api<N>>>, Bytes) {
    let Routes {
        people,
        operators,
        document,
        ..
    } = routes(node, settings);
    let document = serde_json::to_vec(&document).expect("the document is plain data");
    let operators = with_fallbacks(people.clone().merge(operators));
    (with_fallbacks(people), operators, document.into())
}

pub(super) fn routes<N: UseCases>(node: &N, settings: &Settings) -> Routes<N> {
    let mut table = Table::new(node.metrics().clone(), settings.request_timeout);
    people::add(&mut table);
    chats::add(&mut table);
    messages::add(&mut table);
    feed::add(&mut table);
    operator::add(&mut table);
    table.finish()
}

fn with_fallbacks<N: UseCases>(router: Router<Arc<Api<N>>>) -> Router<Arc<Api<N>>> {
    router
        .fallback(edge::no_such_endpoint)
        .method_not_allowed_fallback(edge::no_such_method)
}
