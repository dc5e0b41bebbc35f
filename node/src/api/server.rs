//! Listening, connections and the end of both.
//!
//! Owns sockets, their limits and the graceful stop. It must not know any endpoint.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::extract::Peer;
use super::facade::UseCases;
use super::settings::{FEED_WRITE_BYTES, HEADER_BYTES_MAX, Settings};
use super::socket::{self, OperatorSocket};
use super::stalled::Stalled;
use super::{Api, edge, routes};
use crate::metrics::Side;

/// After a failed accept (no descriptors left), instead of asking again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Buffered bytes of one connection: the chunk being written and the next.
const CONNECTION_BYTES_MAX: usize = 4 * FEED_WRITE_BYTES;

/// Why the API does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen at {address}: {source}")]
    Listen { address: String, source: io::Error },
    #[error("plain HTTP at {0} would carry tokens and texts readable over the network")]
    PlainBeyondLoopback(SocketAddr),
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server<N> {
    node: N,
    settings: Settings,
    socket: OperatorSocket,
    tcp: Vec<(TcpListener, SocketAddr)>,
}

impl<N: UseCases> Server<N> {
    /// Opens the operator's socket and the addresses of the person plane.
    ///
    /// # Errors
    /// [`ServeError`] names the address.
    pub async fn bind(
        node: N,
        operator_socket: &Path,
        tcp: &[SocketAddr],
        settings: Settings,
    ) -> Result<Self, ServeError> {
        let at = |address: String| move |source| ServeError::Listen { address, source };
        let mut listeners = Vec::new();
        for address in tcp {
            if !address.ip().is_loopback() && !settings.plain_beyond_loopback {
                return Err(ServeError::PlainBeyondLoopback(*address));
            }
            let listener = TcpListener::bind(address)
                .await
                .map_err(at(address.to_string()))?;
            let bound = listener.local_addr().map_err(at(address.to_string()))?;
            listeners.push((listener, bound));
        }
        let socket = OperatorSocket::bind(operator_socket).await;
        let socket = socket.map_err(at(operator_socket.display().to_string()))?;
        Ok(Self {
            node,
            settings,
            socket,
            tcp: listeners,
        })
    }

    /// Where the person plane listens, with the ports that the system chose.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.tcp.iter().map(|(_, address)| *address)
    }

    /// Answers until `stop`; then ends feeds, lets requests under way finish within the grace time, and returns.
    pub async fn run(self, stop: CancellationToken) {
        let planes = routes::planes(&self.node, &self.settings);
        let grace = self.settings.shutdown_grace;
        let api = Api::new(self.node, self.settings, stop.clone(), planes.document);
        let people = planes.tcp.with_state(Arc::clone(&api));
        let operators = planes.socket.with_state(Arc::clone(&api));
        let listening = Listening {
            tracker: TaskTracker::new(),
            killed: CancellationToken::new(),
            api,
        };
        let seats = Arc::new(Semaphore::new(listening.api.settings.connections_max));
        for (listener, _) in self.tcp {
            let task = listening
                .clone()
                .accept_tcp(listener, people.clone(), Arc::clone(&seats));
            listening.tracker.spawn(task);
        }
        let task = listening.clone().accept_operators(self.socket, operators);
        listening.tracker.spawn(task);
        stop.cancelled().await;
        listening.tracker.close();
        if tokio::time::timeout(grace, listening.tracker.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                connections = listening.tracker.len(),
                "requests did not finish in time and were cut"
            );
        }
        listening.killed.cancel();
        listening.tracker.wait().await;
    }
}

/// Opens, answers until `stop` is cancelled, and closes: [`Server::bind`] and [`Server::run`] in one.
///
/// # Errors
/// See [`Server::bind`].
pub async fn serve<N: UseCases>(
    node: N,
    operator_socket: &Path,
    tcp: Vec<SocketAddr>,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    Server::bind(node, operator_socket, &tcp, settings)
        .await?
        .run(stop)
        .await;
    Ok(())
}

struct Listening<N> {
    api: Arc<Api<N>>,
    tracker: TaskTracker,
    /// The grace time is over.
    killed: CancellationToken,
}

impl<N> Clone for Listening<N> {
    fn clone(&self) -> Self {
        Self {
            api: Arc::clone(&self.api),
            tracker: self.tracker.clone(),
            killed: self.killed.clone(),
        }
    }
}

impl<N: UseCases> Listening<N> {
    async fn accept_tcp(self, listener: TcpListener, router: Router, seats: Arc<Semaphore>) {
        while let Some(accepted) = self.until_stop(listener.accept()).await {
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.accept_failed(&error).await;
                    continue;
                }
            };
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection ended before it began");
                continue;
            }
            self.seat(stream, Peer::Tcp(address), &router, &seats);
        }
    }

    async fn accept_operators(self, socket: OperatorSocket, router: Router) {
        let seats = Arc::new(Semaphore::new(self.api.settings.operator_connections_max));
        while let Some(accepted) = self.until_stop(socket.listener.accept()).await {
            match accepted.and_then(|(stream, _)| socket::peer(&stream).map(|peer| (stream, peer)))
            {
                Ok((stream, peer)) => self.seat(stream, peer, &router, &seats),
                Err(error) => self.accept_failed(&error).await,
            }
        }
    }

    async fn until_stop<T>(&self, accept: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.api.stopping.cancelled() => None,
            accepted = accept => Some(accepted),
        }
    }

    async fn accept_failed(&self, error: &io::Error) {
        self.api
            .node
            .metrics()
            .refused(Side::Connection, "accept_failed");
        tracing::warn!(%error, "a connection could not be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }

    /// Gives a connection a task of its own, if a seat is free; else it is closed at once.
    fn seat<S>(&self, stream: S, peer: Peer, router: &Router, seats: &Arc<Semaphore>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(seat) = Arc::clone(seats).try_acquire_owned() else {
            self.api
                .node
                .metrics()
                .refused(Side::Connection, "too_many");
            return;
        };
        let (listening, router) = (self.clone(), router.clone());
        self.tracker.spawn(async move {
            let _counted = listening.api.node.metrics().connection_opened();
            listening.talk(stream, peer, router).await;
            drop(seat);
        });
    }

    async fn talk<S>(self, stream: S, peer: Peer, router: Router)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { api, killed, .. } = self;
        let io = TokioIo::new(Stalled::new(stream, api.settings.write_stall_timeout));
        let for_requests = Arc::clone(&api);
        let service = service_fn(move |request| {
            edge::answer(Arc::clone(&for_requests), router.clone(), peer, request)
        });
        let mut protocol = http1::Builder::new();
        protocol.timer(TokioTimer::new());
        protocol.header_read_timeout(api.settings.header_timeout);
        protocol.max_header_size(HEADER_BYTES_MAX);
        protocol.max_buf_size(CONNECTION_BYTES_MAX);
        let mut connection = pin!(protocol.serve_connection(io, service));
        let mut stopping = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        api.node.metrics().refused(Side::Connection, reason(&error));
                        tracing::debug!(%error, "a connection broke");
                    }
                    return;
                }
                () = api.stopping.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = killed.cancelled() => return,
            }
        }
    }
}

/// A name for the metrics.
fn reason(error: &hyper::Error) -> &'static str {
    if error.is_timeout() {
        "slow_headers"
    } else if error.is_parse_too_large() {
        "headers_too_large"
    } else if error.is_parse() {
        "not_http"
    } else {
        "broken"
    }
}
