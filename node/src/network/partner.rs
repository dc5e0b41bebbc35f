//! One task for each partner: agrees on sessions, runs the one that is up, and reports it.
//!
//! Owns "exactly one session": candidates come in from dials and from the partner's own, the verdict picks one, a newer one
//! replaces an older one. It alone reports `PartnerUp` and `PartnerDown`, so they never cross. It knows connections only by
//! their number and asks the network's task to close them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::AsyncWriteExt;
use libp2p::Stream;
use libp2p::swarm::ConnectionId;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Context;
use super::address::{Address, Transport};
use super::event::{DialFailure, DownReason, NetworkEvent, NobodyListens, RefusedReason};
use super::handshake::{self, HandshakeError, Standing, Verdict, Welcome};
use super::key::NodeKey;
use super::link::Link;
use super::session;
use super::streams::{OpenError, Opened};

/// A stream that may become the session.
#[derive(Debug)]
pub(super) struct Candidate {
    pub connection: ConnectionId,
    pub source: Source,
    pub address: Address,
    pub transport: Transport,
}

#[derive(Debug)]
pub(super) enum Source {
    /// This node dialled and is opening the stream.
    Opening(oneshot::Receiver<Opened>),
    /// The partner dialled and opened it.
    Inbound(Stream),
}

/// What the network's own task must know.
#[derive(Debug)]
pub(super) enum Notice {
    SessionUp {
        key: NodeKey,
        connection: ConnectionId,
    },
    SessionDown {
        key: NodeKey,
        connection: ConnectionId,
        lasted: Duration,
        refused: Option<RefusedReason>,
    },
    /// `failure` is `None` if the stream was only the lesser half of a simultaneous dial.
    NotAgreed {
        key: NodeKey,
        connection: ConnectionId,
        dialed: bool,
        failure: Option<DialFailure>,
        refused: Option<RefusedReason>,
    },
    Close {
        connection: ConnectionId,
    },
}

/// Ends a partner's task.
#[derive(Debug, Clone, Default)]
pub(super) struct Stops {
    /// At once: the partner was removed or paused.
    pub removed: CancellationToken,
    /// After what is queued has been written: this node stops.
    pub finished: CancellationToken,
    /// The task has ended and reported everything.
    pub ended: CancellationToken,
}

#[derive(Debug)]
pub(super) struct Partner {
    key: NodeKey,
    context: Arc<Context>,
    candidates: mpsc::Receiver<Candidate>,
    stops: Stops,
    handshakes: JoinSet<Attempt>,
    active: Option<Active>,
}

/// Streams being agreed at once; two cross in a simultaneous dial.
const MAX_HANDSHAKES: usize = 4;

#[derive(Debug)]
struct Attempt {
    connection: ConnectionId,
    address: Address,
    transport: Transport,
    dialed: bool,
    result: Result<Agreed, HandshakeError>,
}

#[derive(Debug)]
struct Agreed {
    stream: Stream,
    boot: u64,
    /// `None` if this node is the arbiter.
    verdict: Option<Verdict>,
}

#[derive(Debug)]
struct Active {
    link: Arc<Link>,
    connection: ConnectionId,
    boot: u64,
    sequence: u64,
    task: JoinHandle<DownReason>,
    context: Arc<Context>,
}

impl Drop for Active {
    fn drop(&mut self) {
        // Whatever ends this task, a panic included, the link must not stay in the table.
        self.link.end(DownReason::Panicked);
        self.context.shared.links.remove(&self.link);
    }
}

impl Partner {
    pub(super) fn new(
        key: NodeKey,
        context: Arc<Context>,
        candidates: mpsc::Receiver<Candidate>,
        stops: Stops,
    ) -> Self {
        Self {
            key,
            context,
            candidates,
            stops,
            handshakes: JoinSet::new(),
            active: None,
        }
    }

    /// Runs until the partner is removed or the network stops. A partner that was removed and set again has an older task, which
    /// is awaited: its `PartnerDown` comes before the next `PartnerUp`.
    pub(super) async fn run(mut self, older: Option<CancellationToken>) {
        let _ended = self.stops.ended.clone().drop_guard();
        if let Some(older) = older {
            older.cancelled().await;
        }
        // Nobody listening means that the node above is gone and the network is about to stop.
        match self.serve().await {
            Ok(()) => {}
            Err(NobodyListens) => tracing::debug!(key = ?self.key, "nobody takes events any more"),
        }
    }

    async fn serve(&mut self) -> Result<(), NobodyListens> {
        loop {
            let session_ended = async {
                match &mut self.active {
                    Some(active) => (&mut active.task).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.stops.removed.cancelled() => return self.take_down(DownReason::Removed).await,
                () = self.stops.finished.cancelled() => return self.finish().await,
                ended = session_ended => {
                    let reason = ended.unwrap_or(DownReason::Panicked);
                    self.take_down(reason).await?;
                }
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(attempt) => self.decide(attempt).await?,
                    // The connection's own deadline closes what a panic left behind.
                    Err(_) => self.context.shared.counters.panics.add(1),
                },
                candidate = self.candidates.recv() => match candidate {
                    Some(candidate) => self.begin(candidate).await,
                    None => return self.take_down(DownReason::Removed).await,
                },
            }
        }
    }

    async fn begin(&mut self, candidate: Candidate) {
        let Candidate {
            connection,
            source,
            address,
            transport,
        } = candidate;
        let dialed = matches!(source, Source::Opening(_));
        if self.handshakes.len() >= MAX_HANDSHAKES {
            let failure = DialFailure::Handshake("too many sessions at once".to_owned());
            self.notify(Notice::NotAgreed {
                key: self.key,
                connection,
                dialed,
                failure: Some(failure),
                refused: (!dialed).then_some(RefusedReason::StreamFlood),
            })
            .await;
            return;
        }
        let arbiter = self.is_arbiter();
        let (boot, deadline) = (
            self.context.boot,
            self.context.shared.limits.session_handshake,
        );
        self.handshakes.spawn(async move {
            let agreed = tokio::time::timeout(deadline, agree(source, boot, arbiter)).await;
            let late = || Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
            Attempt {
                connection,
                address,
                transport,
                dialed,
                result: agreed.unwrap_or_else(|_| late()),
            }
        });
    }

    async fn decide(&mut self, attempt: Attempt) -> Result<(), NobodyListens> {
        let agreed = match attempt.result {
            Ok(agreed) => agreed,
            Err(error) => {
                self.not_agreed(attempt.connection, attempt.dialed, error)
                    .await;
                return Ok(());
            }
        };
        let verdict = agreed
            .verdict
            .unwrap_or_else(|| self.verdict(agreed.boot, attempt.dialed));
        let Verdict::Keep { sequence } = verdict else {
            if agreed.verdict.is_none() {
                self.drop_politely(agreed.stream, attempt.connection);
            }
            self.superseded(attempt.connection, attempt.dialed).await;
            return Ok(());
        };
        let stale = self
            .active
            .as_ref()
            .is_some_and(|active| active.boot == agreed.boot && active.sequence > sequence);
        if stale {
            self.superseded(attempt.connection, attempt.dialed).await;
            self.notify(Notice::Close {
                connection: attempt.connection,
            })
            .await;
            return Ok(());
        }
        self.take_down(DownReason::Replaced).await?;
        let preamble = if agreed.verdict.is_none() {
            handshake::verdict_bytes(verdict)
        } else {
            Vec::new()
        };
        let id = NEXT_LINK.fetch_add(1, Ordering::Relaxed);
        let Attempt {
            connection,
            address,
            transport,
            dialed,
            ..
        } = attempt;
        let link = Arc::new(Link::new(
            self.key,
            id,
            address,
            transport,
            dialed,
            &self.context.shared.limits,
        ));
        self.bring_up(
            link,
            connection,
            agreed.stream,
            agreed.boot,
            sequence,
            preamble,
        )
        .await
    }

    async fn bring_up(
        &mut self,
        link: Arc<Link>,
        connection: ConnectionId,
        stream: Stream,
        boot: u64,
        sequence: u64,
        preamble: Vec<u8>,
    ) -> Result<(), NobodyListens> {
        let context = self.context.clone();
        context.shared.counters.sessions_started.add(1);
        tracing::debug!(key = ?self.key, link = link.id, address = %link.address, dialed = link.dialed, "partner up");
        // In the table before the event, so that whoever hears of the link can send on it.
        context.shared.links.insert(link.clone());
        let up = NetworkEvent::PartnerUp {
            key: self.key,
            link: link.id,
            address: link.address.clone(),
            transport: link.transport,
        };
        self.notify(Notice::SessionUp {
            key: self.key,
            connection,
        })
        .await;
        // The event before the reader, so that no frame comes ahead of its link.
        let told = context.events.send(up).await;
        let task = tokio::spawn(session::run(
            link.clone(),
            stream,
            preamble,
            context.clone(),
        ));
        self.active = Some(Active {
            link,
            connection,
            boot,
            sequence,
            task,
            context,
        });
        told
    }

    /// Ends the session that is up, if any, waits for its tasks, and reports it.
    async fn take_down(&mut self, reason: DownReason) -> Result<(), NobodyListens> {
        let Some(mut active) = self.active.take() else {
            return Ok(());
        };
        active.link.end(reason);
        if !active.task.is_finished() {
            let _panicked = (&mut active.task).await;
        }
        self.context.shared.links.remove(&active.link);
        let reason = active.link.reason();
        self.context.shared.counters.sessions_ended.add(1);
        let (key, link, lasted) = (self.key, active.link.id, active.link.since.elapsed());
        tracing::debug!(?key, link, %reason, ?lasted, "partner down");
        let refused = match &reason {
            DownReason::Refused(refused) => Some(*refused),
            _ => None,
        };
        let connection = active.connection;
        self.notify(Notice::SessionDown {
            key,
            connection,
            lasted,
            refused,
        })
        .await;
        self.context
            .events
            .send(NetworkEvent::PartnerDown { key, link, reason })
            .await
    }

    async fn finish(&mut self) -> Result<(), NobodyListens> {
        if let Some(active) = &mut self.active {
            active.link.finish();
            // Late is as good as never here: what was not written is still in the log.
            let _late =
                tokio::time::timeout(self.context.shared.limits.drain, &mut active.task).await;
        }
        self.take_down(DownReason::Stopped).await
    }

    async fn not_agreed(&self, connection: ConnectionId, dialed: bool, error: HandshakeError) {
        let refused = match &error {
            HandshakeError::Refused(_) => None,
            HandshakeError::Garbage => Some(RefusedReason::Garbage),
            HandshakeError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                Some(RefusedReason::SilentStream)
            }
            HandshakeError::Io(_) => None,
        };
        let failure = match error {
            HandshakeError::Refused(failure) => failure,
            other => DialFailure::Handshake(other.to_string()),
        };
        tracing::debug!(key = ?self.key, %failure, dialed, "no session agreed");
        let failure = Some(failure);
        self.notify(Notice::NotAgreed {
            key: self.key,
            connection,
            dialed,
            failure,
            refused,
        })
        .await;
    }

    async fn superseded(&self, connection: ConnectionId, dialed: bool) {
        tracing::debug!(key = ?self.key, dialed, "another session of the same partner stays");
        self.notify(Notice::NotAgreed {
            key: self.key,
            connection,
            dialed,
            failure: None,
            refused: None,
        })
        .await;
    }

    /// Tells the other side that this stream is not the one, and closes the connection after it could read that.
    fn drop_politely(&self, mut stream: Stream, connection: ConnectionId) {
        let notices = self.context.notices.clone();
        tokio::spawn(async move {
            let told = async {
                stream
                    .write_all(&handshake::verdict_bytes(Verdict::Drop))
                    .await?;
                stream.close().await?;
                futures::AsyncReadExt::read(&mut stream, &mut [0]).await
            };
            // Whether it was heard does not matter: the connection goes either way.
            let _heard = tokio::time::timeout(POLITE, told).await;
            let _stopping = notices.send(Notice::Close { connection }).await;
        });
    }

    fn verdict(&self, boot: u64, dialed: bool) -> Verdict {
        let active = self
            .active
            .as_ref()
            .filter(|active| !active.task.is_finished());
        let standing = active.map(|active| Standing {
            boot: active.boot,
            dialed: active.link.dialed,
            age: active.link.since.elapsed(),
        });
        if handshake::keeps_new(
            standing,
            boot,
            dialed,
            self.context.shared.limits.simultaneous,
        ) {
            Verdict::Keep {
                sequence: NEXT_LINK.load(Ordering::Relaxed),
            }
        } else {
            Verdict::Drop
        }
    }

    fn is_arbiter(&self) -> bool {
        self.context.shared.own_key < self.key
    }

    async fn notify(&self, notice: Notice) {
        // The network's task is gone only when everything stops.
        let _stopping = self.context.notices.send(notice).await;
    }
}

/// Links are numbered over all partners, so that a number never comes back.
static NEXT_LINK: AtomicU64 = AtomicU64::new(1);

/// How long a superseded connection is kept so that the other side can read why.
const POLITE: Duration = Duration::from_secs(2);

async fn agree(source: Source, boot: u64, arbiter: bool) -> Result<Agreed, HandshakeError> {
    let (mut stream, boot) = match source {
        Source::Opening(opened) => {
            let mut stream = open(opened).await?;
            let boot = handshake::greet(&mut stream, boot).await?;
            (stream, boot)
        }
        Source::Inbound(mut stream) => {
            let boot = handshake::welcome(&mut stream, boot, Welcome::Partner).await?;
            (stream, boot)
        }
    };
    let verdict = if arbiter {
        None
    } else {
        Some(handshake::read_verdict(&mut stream).await?)
    };
    Ok(Agreed {
        stream,
        boot,
        verdict,
    })
}

async fn open(opened: oneshot::Receiver<Opened>) -> Result<Stream, HandshakeError> {
    match opened.await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(OpenError::Io(error))) => Err(error.into()),
        Ok(Err(OpenError::Timeout)) => {
            Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
        }
        Ok(Err(error @ OpenError::Unsupported)) => Err(std::io::Error::other(error).into()),
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()),
    }
}
