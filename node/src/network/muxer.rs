//! Many streams on one connection, with bounds.
//!
//! Owns the yamux layer of TCP connections and a guard against floods of streams for TCP and QUIC alike. libp2p's own yamux
//! wrapper does not let the connection's receive window be set (it is 1 GiB), so this one sets it; the wire is the same. It
//! knows nothing of what the streams carry.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::UpgradeInfo;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};
use tokio::time::Sleep;

use super::rates::TokenBucket;

/// Why a connection ended, found again by `flooded` in the error that the swarm reports.
#[derive(Debug, thiserror::Error)]
pub(super) enum MuxerError {
    #[error("the peer opened streams too fast")]
    Flood,
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

pub(super) fn flooded(error: &io::Error) -> bool {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<MuxerError>());
    matches!(inner, Some(MuxerError::Flood))
}

/// Counts the streams that the peer opens and ends the connection when they come too fast.
///
/// The error is sticky: the swarm stops polling at the first one, but a muxer must not depend on that.
#[derive(Debug)]
pub(super) struct Guard<M> {
    inner: M,
    opens: TokenBucket,
    flooded: bool,
    closing: Option<Pin<Box<Sleep>>>,
}

/// A peer that does not read can keep a connection from closing in good order; after this it is dropped as it is.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

impl<M> Guard<M> {
    pub(super) fn new(inner: M, opens: TokenBucket) -> Self {
        Self {
            inner,
            opens,
            flooded: false,
            closing: None,
        }
    }
}

impl<M> StreamMuxer for Guard<M>
where
    M: StreamMuxer + Unpin,
    M::Error: Into<MuxerError>,
{
    type Substream = M::Substream;
    type Error = MuxerError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, MuxerError>> {
        if self.flooded {
            return Poll::Ready(Err(MuxerError::Flood));
        }
        let stream = ready!(Pin::new(&mut self.inner).poll_inbound(cx)).map_err(Into::into)?;
        if !self.opens.take(Instant::now()) {
            self.flooded = true;
            return Poll::Ready(Err(MuxerError::Flood));
        }
        Poll::Ready(Ok(stream))
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, MuxerError>> {
        Pin::new(&mut self.inner)
            .poll_outbound(cx)
            .map_err(Into::into)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), MuxerError>> {
        if let Poll::Ready(closed) = Pin::new(&mut self.inner).poll_close(cx) {
            return Poll::Ready(closed.map_err(Into::into));
        }
        let closing = self
            .closing
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSE_DEADLINE)));
        closing.as_mut().poll(cx).map(Ok)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, MuxerError>> {
        Pin::new(&mut self.inner).poll(cx).map_err(Into::into)
    }
}

impl From<libp2p::quic::Error> for MuxerError {
    fn from(error: libp2p::quic::Error) -> Self {
        Self::Other(Box::new(error))
    }
}

/// Puts yamux on an encrypted connection.
#[derive(Debug, Clone)]
pub(super) struct YamuxUpgrade {
    /// Streams that the peer may have open at once; one more ends the connection.
    pub streams: usize,
    /// Unread bytes of all streams together, beside the first 256 KiB that yamux grants each.
    pub growth_bytes: usize,
    pub opens: TokenBucket,
}

impl YamuxUpgrade {
    fn muxer<C>(self, connection: C, mode: yamux::Mode) -> Guard<Muxer<C>>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let mut config = yamux::Config::default();
        // yamux answers a stream beyond its own limit with a farewell, but goes on if the peer ignores it. So its limit is one
        // that a peer within ours never reaches.
        let streams = self.streams.saturating_add(OWN_STREAMS);
        let window_bytes = streams.saturating_mul(yamux::DEFAULT_CREDIT as usize);
        // It checks at each call that every stream could have its first window, so the old bound goes first.
        config.set_max_connection_receive_window(None);
        config.set_max_num_streams(streams);
        config.set_max_connection_receive_window(Some(
            window_bytes.saturating_add(self.growth_bytes),
        ));
        let muxer = Muxer {
            connection: yamux::Connection::new(connection, config, mode),
            waiting: VecDeque::new(),
            waiting_waker: None,
            streams: self.streams,
            open: Arc::default(),
        };
        Guard::new(muxer, self.opens)
    }
}

/// Streams that this node itself has open on a connection: identify, its answer to identify, a session, a pairing request.
const OWN_STREAMS: usize = 4;

impl UpgradeInfo for YamuxUpgrade {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/yamux/1.0.0")
    }
}

impl<C> InboundConnectionUpgrade<C> for YamuxUpgrade
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    type Output = Guard<Muxer<C>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, connection: C, _: &'static str) -> Self::Future {
        ready(Ok(self.muxer(connection, yamux::Mode::Server)))
    }
}

impl<C> OutboundConnectionUpgrade<C> for YamuxUpgrade
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    type Output = Guard<Muxer<C>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, connection: C, _: &'static str) -> Self::Future {
        ready(Ok(self.muxer(connection, yamux::Mode::Client)))
    }
}

/// yamux makes progress only while it is asked for the next inbound stream, but the swarm asks for progress (`poll`) and for
/// streams (`poll_inbound`) separately. Streams that turn up during progress wait here; they count as open.
#[derive(Debug)]
pub(super) struct Muxer<C> {
    connection: yamux::Connection<C>,
    waiting: VecDeque<Counted>,
    waiting_waker: Option<Waker>,
    streams: usize,
    open: Arc<AtomicUsize>,
}

impl<C> Muxer<C>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Counted, MuxerError>> {
        let next = ready!(self.connection.poll_next_inbound(cx));
        let stream = next.unwrap_or(Err(yamux::ConnectionError::Closed))?;
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.streams {
            return Poll::Ready(Err(MuxerError::Flood));
        }
        let counter = Some(self.open.clone());
        Poll::Ready(Ok(Counted { stream, counter }))
    }
}

impl<C> StreamMuxer for Muxer<C>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    type Substream = Counted;
    type Error = MuxerError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Counted, MuxerError>> {
        if let Some(stream) = self.waiting.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        if let Poll::Ready(next) = self.poll_next(cx) {
            return Poll::Ready(next);
        }
        self.waiting_waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Counted, MuxerError>> {
        let stream = ready!(self.connection.poll_new_outbound(cx))?;
        let counter = None;
        Poll::Ready(Ok(Counted { stream, counter }))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), MuxerError>> {
        self.connection.poll_close(cx).map_err(Into::into)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, MuxerError>> {
        let stream = ready!(self.poll_next(cx))?;
        self.waiting.push_back(stream);
        if let Some(waker) = self.waiting_waker.take() {
            waker.wake();
        }
        // There may be more; other work of the connection goes first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A stream that counts as open until it is dropped, if the peer opened it.
#[derive(Debug)]
pub(super) struct Counted {
    stream: yamux::Stream,
    counter: Option<Arc<AtomicUsize>>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(open) = &self.counter {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

impl From<yamux::ConnectionError> for MuxerError {
    fn from(error: yamux::ConnectionError) -> Self {
        Self::Other(Box::new(error))
    }
}
