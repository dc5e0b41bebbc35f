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
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::UpgradeInfo;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};

use super::limits::TokenBucket;

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
}

impl<M> Guard<M> {
    pub(super) fn new(inner: M, opens: TokenBucket) -> Self {
        Self {
            inner,
            opens,
            flooded: false,
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
        Pin::new(&mut self.inner).poll_close(cx).map_err(Into::into)
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
    pub streams: usize,
    pub window_bytes: usize,
    pub opens: TokenBucket,
}

impl YamuxUpgrade {
    fn muxer<C>(self, connection: C, mode: yamux::Mode) -> Guard<Muxer<C>>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let mut config = yamux::Config::default();
        // The order matters: yamux checks at each call that every stream could have its first window of 256 KiB.
        config.set_max_num_streams(self.streams);
        config.set_max_connection_receive_window(Some(self.window_bytes));
        let muxer = Muxer {
            connection: yamux::Connection::new(connection, config, mode),
            waiting: VecDeque::new(),
            waiting_waker: None,
            streams: self.streams,
        };
        Guard::new(muxer, self.opens)
    }
}

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
/// streams (`poll_inbound`) separately. Streams that turn up during progress wait here, at most as many as may be open.
#[derive(Debug)]
pub(super) struct Muxer<C> {
    connection: yamux::Connection<C>,
    waiting: VecDeque<yamux::Stream>,
    waiting_waker: Option<Waker>,
    streams: usize,
}

impl<C> Muxer<C>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<yamux::Stream, MuxerError>> {
        let next = ready!(self.connection.poll_next_inbound(cx));
        Poll::Ready(
            next.unwrap_or(Err(yamux::ConnectionError::Closed))
                .map_err(Into::into),
        )
    }
}

impl<C> StreamMuxer for Muxer<C>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    type Substream = yamux::Stream;
    type Error = MuxerError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<yamux::Stream, MuxerError>> {
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
    ) -> Poll<Result<yamux::Stream, MuxerError>> {
        self.connection.poll_new_outbound(cx).map_err(Into::into)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), MuxerError>> {
        self.connection.poll_close(cx).map_err(Into::into)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, MuxerError>> {
        let stream = ready!(self.poll_next(cx))?;
        if self.waiting.len() >= self.streams {
            return Poll::Ready(Err(MuxerError::Flood));
        }
        self.waiting.push_back(stream);
        if let Some(waker) = self.waiting_waker.take() {
            waker.wake();
        }
        // There may be more; other work of the connection goes first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl From<yamux::ConnectionError> for MuxerError {
    fn from(error: yamux::ConnectionError) -> Self {
        Self::Other(Box::new(error))
    }
}
