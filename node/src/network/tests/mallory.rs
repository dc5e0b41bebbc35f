//! A peer without manners: real TCP, Noise and yamux with a real key, and full control of every byte above that.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::Endpoint;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, SubstreamBox};
use libp2p::core::transport::{DialOpts, PortUse};
use libp2p::core::upgrade::Version;
use libp2p::{Transport as _, noise, tcp};
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::network::muxer::YamuxUpgrade;
use crate::network::rates::TokenBucket;

pub(super) struct Mallory {
    keys: Keypair,
}

impl Mallory {
    pub(super) fn new(secret: u8) -> Self {
        Self {
            keys: Keypair::ed25519_from_bytes([secret; 32]).expect("any 32 bytes are a key"),
        }
    }

    pub(super) fn key(&self) -> NodeKey {
        NodeKey::of_peer(&self.keys.public().to_peer_id()).expect("an ed25519 key")
    }

    /// A connection on which nothing happens by itself.
    pub(super) async fn connect(&self, address: &Address) -> Option<Raw> {
        const NO_LIMIT: u32 = u32::MAX;
        let noise = noise::Config::new(&self.keys).expect("a good key");
        let mut transport = tcp::tokio::Transport::new(tcp::Config::new())
            .upgrade(Version::V1Lazy)
            .authenticate(noise)
            .multiplex(YamuxUpgrade {
                streams: NO_LIMIT as usize,
                growth_bytes: usize::MAX,
                opens: TokenBucket::new(NO_LIMIT, 0.0, std::time::Instant::now()),
            })
            .boxed();
        let options = DialOpts {
            role: Endpoint::Dialer,
            port_use: PortUse::New,
        };
        let address = address.to_string().parse().expect("a multiaddr");
        let (_, muxer) = transport.dial(address, options).ok()?.await.ok()?;
        Some(Raw::drive(muxer))
    }

    /// A session as a partner has it, agreed and ready for frames.
    pub(super) async fn session(&self, address: &Address, partner: NodeKey) -> (Raw, SubstreamBox) {
        let raw = self.connect(address).await.expect("a partner is admitted");
        let mut stream = raw
            .speak("/crossport/session/0")
            .await
            .expect("a session is offered");
        stream.write_all(&7u64.to_le_bytes()).await.expect("open");
        let mut welcome = [0; 9];
        stream.read_exact(&mut welcome).await.expect("a welcome");
        assert_eq!(welcome[0], 0, "a partner is welcome");
        assert!(
            partner < self.key(),
            "the tests leave the verdict to the node"
        );
        let mut verdict = [0; 9];
        stream.read_exact(&mut verdict).await.expect("a verdict");
        assert_eq!(verdict[0], 1, "the session is kept");
        (raw, stream)
    }
}

/// One connection, driven by a task of its own until it is dropped.
pub(super) struct Raw {
    open: mpsc::Sender<oneshot::Sender<Option<SubstreamBox>>>,
    closed: tokio::task::JoinHandle<()>,
}

impl Raw {
    fn drive(mut muxer: StreamMuxerBox) -> Self {
        let (open, mut orders) = mpsc::channel::<oneshot::Sender<Option<SubstreamBox>>>(1);
        let closed = tokio::spawn(async move {
            let mut order: Option<oneshot::Sender<Option<SubstreamBox>>> = None;
            // Streams that the node opens (identify) are held and never answered.
            let mut held = Vec::new();
            poll_fn(|cx| {
                loop {
                    match Pin::new(&mut muxer).poll_inbound(cx) {
                        Poll::Ready(Ok(stream)) => {
                            held.push(stream);
                            continue;
                        }
                        Poll::Ready(Err(_)) => return Poll::Ready(()),
                        Poll::Pending => {}
                    }
                    if Pin::new(&mut muxer).poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                    if order.is_none() {
                        match orders.poll_recv(cx) {
                            Poll::Ready(Some(next)) => order = Some(next),
                            Poll::Ready(None) => return Poll::Ready(()),
                            Poll::Pending => return Poll::Pending,
                        }
                    }
                    match Pin::new(&mut muxer).poll_outbound(cx) {
                        Poll::Ready(Ok(stream)) => {
                            if let Some(order) = order.take() {
                                let _gone = order.send(Some(stream));
                            }
                        }
                        Poll::Ready(Err(_)) => return Poll::Ready(()),
                        Poll::Pending => return Poll::Pending,
                    }
                }
            })
            .await;
        });
        Self { open, closed }
    }

    /// A bare stream; `None` when the connection has ended.
    pub(super) async fn stream(&self) -> Option<SubstreamBox> {
        let (reply, opened) = oneshot::channel();
        self.open.send(reply).await.ok()?;
        // An order that is sent while the driver ends may stay in the channel for ever.
        tokio::select! {
            opened = opened => opened.ok()?,
            () = self.open.closed() => None,
        }
    }

    /// A stream on which a protocol has been agreed.
    pub(super) async fn speak(&self, protocol: &str) -> Option<SubstreamBox> {
        let mut stream = self.stream().await?;
        let proposal = propose(protocol);
        stream.write_all(&proposal).await.ok()?;
        stream.flush().await.ok()?;
        // A node that agrees says the same.
        let mut answer = vec![0; proposal.len()];
        stream.read_exact(&mut answer).await.ok()?;
        (answer == proposal).then_some(stream)
    }

    /// Waits until the node closes the connection.
    pub(super) async fn closed(&mut self) {
        let ended = tokio::time::timeout(DEADLINE, &mut self.closed).await;
        ended
            .expect("the connection is closed in time")
            .expect("no panic");
    }
}

/// The bytes that propose a protocol (multistream-select 1.0): each line with its length in front.
pub(super) fn propose(protocol: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in ["/multistream/1.0.0", protocol] {
        bytes.push(u8::try_from(line.len() + 1).expect("short names"));
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

/// Reads until the node ends the stream.
pub(super) async fn read_to_end(stream: &mut SubstreamBox) -> Vec<u8> {
    let mut bytes = Vec::new();
    let reading = stream.read_to_end(&mut bytes);
    // A reset is an end as well.
    let _reset = tokio::time::timeout(DEADLINE, reading)
        .await
        .expect("the stream is ended in time");
    bytes
}
