//! The HTTP API: what clients (the command line, the web client, bots) may ask a node, in the client's words.
//!
//! The only JSON in the tree lives below this module. It must not decide anything about chats: it parses a request,
//! calls one use case of [`facade::UseCases`], and renders the answer.
//!
//! [`serve`] opens two planes: the operator's unix socket and plain HTTP/1.1 on TCP for people. HTTP/1.1 without TLS is
//! all there is on purpose: on loopback nothing else is needed, and beyond it a reverse proxy does certificates better.

mod account;
mod admission;
mod chats;
mod cookies;
mod edge;
mod events;
mod extract;
pub mod facade;
mod feed;
mod limits;
mod messages;
mod operator;
mod origin;
mod people;
mod problems;
mod routes;
mod server;
mod settings;
mod socket;
mod stalled;
mod table;
#[cfg(test)]
mod tests;
pub mod types;
mod users;
mod work;

use std::sync::Arc;

use axum::body::Bytes;
use tokio_util::sync::CancellationToken;

pub use server::{ServeError, Server, serve};
pub use settings::Settings;

use extract::Peer;
use facade::{Refused, TokenHash};
use limits::{Buckets, Slots};
use settings::FEEDS_PER_SESSION_MAX;
use types::Code;

/// What handlers share.
#[derive(Debug)]
struct Api<N> {
    node: N,
    settings: Settings,
    /// Requests by session.
    sessions: Buckets<TokenHash>,
    /// Requests by person, whatever they use.
    people: Buckets<[u8; 16]>,
    /// Logins and refused tokens by address.
    strangers: Buckets<[u8; 16]>,
    feeds: Slots<TokenHash>,
    stopping: CancellationToken,
    document: Bytes,
}

impl<N> Api<N> {
    fn new(node: N, settings: Settings, stopping: CancellationToken, document: Bytes) -> Arc<Self> {
        Arc::new(Self {
            node,
            sessions: Buckets::new(settings.requests_per_s, settings.request_burst),
            people: Buckets::new(
                settings.requests_per_s_of_person,
                settings.request_burst_of_person,
            ),
            strangers: Buckets::new(settings.stranger_requests_per_s, settings.stranger_burst),
            feeds: Slots::new(FEEDS_PER_SESSION_MAX),
            settings,
            stopping,
            document,
        })
    }

    /// The refusal for somebody who is nobody here, or that they try too often.
    fn stranger(&self, peer: Peer, code: Code) -> Refused {
        let granted = self.strangers.take(peer.key());
        Refused::from(if granted { code } else { Code::TooManyRequests })
    }
}
