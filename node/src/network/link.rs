//! One session with a partner, as the rest of the network sees it: a bounded queue outward, liveness, and a way to end it.
//!
//! Owns the queue between `send` and the writer, and the table of the links that are up. It does no input or output: the
//! session's reader and writer do, and meet here. All locks are short and never held over an `.await`.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use super::address::{Address, Transport};
use super::event::DownReason;
use super::key::NodeKey;
use super::limits::{MAX_FRAME_BYTES, NetworkLimits};

/// Why a frame was not queued. The caller keeps it: its log is the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("the partner is not connected")]
    NotConnected,
    #[error("the partner's queue is full")]
    QueueFull,
    #[error("a frame is longer than {MAX_FRAME_BYTES} bytes")]
    TooLong,
}

/// Why a round trip was not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PingError {
    #[error("the partner is not connected")]
    NotConnected,
    #[error("the partner did not answer in time")]
    NoAnswer,
}

/// One partner's session, for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionStatus {
    pub key: NodeKey,
    pub link: u64,
    pub address: Address,
    pub transport: Transport,
    /// Whether this node dialled.
    pub dialed: bool,
    pub up_for: Duration,
    /// The last measured round trip of the session itself.
    pub round_trip: Option<Duration>,
    pub queued_bytes: usize,
    pub queued_frames: usize,
    pub frames_sent: u64,
    pub frames_received: u64,
}

#[derive(Debug)]
pub(super) struct Link {
    pub key: NodeKey,
    pub id: u64,
    pub address: Address,
    pub transport: Transport,
    pub dialed: bool,
    pub since: Instant,
    pub frames_sent: AtomicU64,
    pub frames_received: AtomicU64,
    pub ended: CancellationToken,
    /// What this partner may have waiting at the node above.
    pub inbox: Arc<Semaphore>,
    pub inbox_bytes: usize,
    reason: OnceLock<DownReason>,
    queue_bytes: usize,
    queue_frames: usize,
    queue: Mutex<Queue>,
    wake: Notify,
    /// Told whenever the queue is no more than half full after a write.
    room: Notify,
    /// Makes the reader panic at its next frame, to prove that nothing else falls with it.
    #[cfg(test)]
    pub planted_panic: std::sync::atomic::AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    /// Bytes in `frames` and in the writer's hands.
    bytes: usize,
    taken_frames: usize,
    finishing: bool,
    pings: Pings,
}

#[derive(Debug, Default)]
struct Pings {
    next: u64,
    /// Answered with the latest number only: a flood of pings costs one answer for each write.
    answer: Option<u64>,
    due: bool,
    outstanding: Option<(u64, Instant)>,
    waiting: Vec<oneshot::Sender<Duration>>,
    round_trip: Option<Duration>,
}

/// What the writer does next.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub answer: Option<u64>,
    pub ping: Option<u64>,
    pub frames: Vec<Bytes>,
    /// What to give back with `written`.
    pub bytes: usize,
    /// Nothing is queued and nothing more will be.
    pub finished: bool,
}

/// Callers that wait for one round trip; more are refused as not answered.
const MAX_PING_WAITERS: usize = 16;

impl Link {
    pub(super) fn new(
        key: NodeKey,
        id: u64,
        address: Address,
        transport: Transport,
        dialed: bool,
        limits: &NetworkLimits,
    ) -> Self {
        Self {
            key,
            id,
            address,
            transport,
            dialed,
            since: Instant::now(),
            frames_sent: AtomicU64::new(0),
            frames_received: AtomicU64::new(0),
            ended: CancellationToken::new(),
            inbox: Arc::new(Semaphore::new(limits.inbox_bytes)),
            inbox_bytes: limits.inbox_bytes,
            reason: OnceLock::new(),
            queue_bytes: limits.queue_bytes,
            queue_frames: limits.queue_frames,
            queue: Mutex::default(),
            wake: Notify::new(),
            room: Notify::new(),
            #[cfg(test)]
            planted_panic: std::sync::atomic::AtomicBool::new(false),
        }
    }

    pub(super) fn send(&self, frame: Bytes) -> Result<(), SendError> {
        if frame.len() > MAX_FRAME_BYTES {
            return Err(SendError::TooLong);
        }
        if self.ended.is_cancelled() {
            return Err(SendError::NotConnected);
        }
        let mut queue = self.lock();
        if queue.finishing {
            return Err(SendError::NotConnected);
        }
        let frames = queue.frames.len() + queue.taken_frames;
        if frames >= self.queue_frames || queue.bytes.saturating_add(frame.len()) > self.queue_bytes
        {
            return Err(SendError::QueueFull);
        }
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        drop(queue);
        self.wake.notify_one();
        Ok(())
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Takes what is to be written now, at most about `bytes` of frames.
    pub(super) fn take(&self, bytes: usize) -> Batch {
        let mut queue = self.lock();
        let mut batch = Batch {
            answer: queue.pings.answer.take(),
            ..Batch::default()
        };
        if std::mem::take(&mut queue.pings.due) {
            let number = queue.pings.next;
            queue.pings.next = number.wrapping_add(1);
            queue.pings.outstanding = Some((number, Instant::now()));
            batch.ping = Some(number);
        }
        while batch.bytes < bytes {
            let Some(frame) = queue.frames.pop_front() else {
                break;
            };
            batch.bytes += frame.len();
            batch.frames.push(frame);
        }
        queue.taken_frames = batch.frames.len();
        batch.finished = queue.finishing && batch.frames.is_empty();
        batch
    }

    /// The writer handed `batch` to the transport.
    pub(super) fn written(&self, batch: &Batch) {
        let mut queue = self.lock();
        queue.bytes = queue.bytes.saturating_sub(batch.bytes);
        queue.taken_frames = 0;
        let room = self.has_room(&queue);
        drop(queue);
        if room {
            self.room.notify_waiters();
        }
        self.frames_sent
            .fetch_add(batch.frames.len() as u64, Ordering::Relaxed);
    }

    /// Waits until the queue is at most half full. Half, so that a sender which waits writes in batches and not frame by frame.
    pub(super) async fn room(&self) -> Result<(), SendError> {
        loop {
            // Registered before the look, or a write between the two would be missed.
            let told = self.room.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self.ended.is_cancelled() {
                return Err(SendError::NotConnected);
            }
            if self.has_room(&self.lock()) {
                return Ok(());
            }
            tokio::select! {
                () = told => {}
                () = self.ended.cancelled() => {}
            }
        }
    }

    fn has_room(&self, queue: &Queue) -> bool {
        let frames = queue.frames.len() + queue.taken_frames;
        queue.bytes <= self.queue_bytes / 2 && frames <= self.queue_frames / 2
    }

    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Lets the writer finish the queue and close; nothing more is accepted.
    pub(super) fn finish(&self) {
        self.lock().finishing = true;
        self.wake.notify_one();
    }

    /// Ends the link. The first reason stays.
    pub(super) fn end(&self, reason: DownReason) {
        self.give_reason(reason);
        self.ended.cancel();
    }

    /// Says why the link is about to end.
    pub(super) fn give_reason(&self, reason: DownReason) {
        let _later = self.reason.set(reason);
    }

    pub(super) fn reason(&self) -> DownReason {
        self.reason.get().cloned().unwrap_or(DownReason::Closed)
    }

    /// Sends a ping even if an older one is unanswered: the other side takes it as a sign of life.
    pub(super) fn ping_due(&self) {
        self.lock().pings.due = true;
        self.wake.notify_one();
    }

    pub(super) fn pinged(&self, number: u64) {
        self.lock().pings.answer = Some(number);
        self.wake.notify_one();
    }

    pub(super) fn ponged(&self, number: u64, now: Instant) {
        let mut queue = self.lock();
        let Some((sent, at)) = queue.pings.outstanding else {
            return;
        };
        if sent != number {
            return;
        }
        let round_trip = now.saturating_duration_since(at);
        queue.pings.outstanding = None;
        queue.pings.round_trip = Some(round_trip);
        for waiting in queue.pings.waiting.drain(..) {
            let _gone = waiting.send(round_trip);
        }
    }

    pub(super) fn measure(&self) -> Result<oneshot::Receiver<Duration>, PingError> {
        let (sender, receiver) = oneshot::channel();
        let mut queue = self.lock();
        queue.pings.waiting.retain(|waiting| !waiting.is_closed());
        if queue.pings.waiting.len() >= MAX_PING_WAITERS {
            return Err(PingError::NoAnswer);
        }
        queue.pings.waiting.push(sender);
        // One that is on its way answers this caller too; another would overwrite when the first was sent.
        queue.pings.due |= queue.pings.outstanding.is_none();
        drop(queue);
        self.wake.notify_one();
        Ok(receiver)
    }

    pub(super) fn status(&self, now: Instant) -> ConnectionStatus {
        let queue = self.lock();
        ConnectionStatus {
            key: self.key,
            link: self.id,
            address: self.address.clone(),
            transport: self.transport,
            dialed: self.dialed,
            up_for: now.saturating_duration_since(self.since),
            round_trip: queue.pings.round_trip,
            queued_bytes: queue.bytes,
            queued_frames: queue.frames.len() + queue.taken_frames,
            frames_sent: self.frames_sent.load(Ordering::Relaxed),
            frames_received: self.frames_received.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code that runs under the lock can leave the queue half changed, so a panic elsewhere does not spoil it.
        self.queue
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The links that are up, at most one for each partner.
#[derive(Debug, Default)]
pub(super) struct Links {
    up: RwLock<HashMap<NodeKey, Arc<Link>>>,
}

impl Links {
    pub(super) fn find(&self, key: &NodeKey) -> Option<Arc<Link>> {
        self.up
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .get(key)
            .cloned()
    }

    pub(super) fn insert(&self, link: Arc<Link>) {
        self.up
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .insert(link.key, link);
    }

    /// Removes this very link; a newer one of the same partner stays.
    pub(super) fn remove(&self, link: &Link) {
        let mut up = self
            .up
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if up.get(&link.key).is_some_and(|found| found.id == link.id) {
            up.remove(&link.key);
        }
    }

    /// In the order of keys.
    pub(super) fn all(&self) -> Vec<Arc<Link>> {
        let up = self
            .up
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut links: Vec<_> = up.values().cloned().collect();
        links.sort_by_key(|link| link.key);
        links
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(limits: &NetworkLimits) -> Link {
        let address = "127.0.0.1:4001".parse().expect("valid");
        Link::new(NodeKey([1; 32]), 1, address, Transport::Tcp, true, limits)
    }

    #[test]
    fn the_queue_is_bounded_in_bytes_until_they_are_written() {
        let link = link(&NetworkLimits {
            queue_bytes: 10,
            ..NetworkLimits::default()
        });
        assert_eq!(link.send(Bytes::from_static(b"1234567")), Ok(()));
        assert_eq!(
            link.send(Bytes::from_static(b"1234")),
            Err(SendError::QueueFull)
        );
        let batch = link.take(1_000);
        assert_eq!((batch.frames.len(), link.queued_bytes()), (1, 7));
        assert_eq!(
            link.send(Bytes::from_static(b"1234")),
            Err(SendError::QueueFull)
        );
        link.written(&batch);
        assert_eq!(link.send(Bytes::from_static(b"1234")), Ok(()));
    }

    #[test]
    fn the_queue_is_bounded_in_frames_even_if_they_are_empty() {
        let link = link(&NetworkLimits {
            queue_frames: 2,
            ..NetworkLimits::default()
        });
        assert_eq!(link.send(Bytes::new()), Ok(()));
        assert_eq!(link.send(Bytes::new()), Ok(()));
        assert_eq!(link.send(Bytes::new()), Err(SendError::QueueFull));
    }

    #[tokio::test]
    async fn whoever_waits_for_room_is_told_by_a_write_or_by_the_end() {
        let link = link(&NetworkLimits {
            queue_bytes: 10,
            ..NetworkLimits::default()
        });
        assert_eq!(link.room().await, Ok(()));
        assert_eq!(link.send(Bytes::from_static(b"1234567")), Ok(()));
        let batch = link.take(1_000);
        let (room, ()) = tokio::join!(link.room(), async { link.written(&batch) });
        assert_eq!(room, Ok(()));
        assert_eq!(link.send(Bytes::from_static(b"1234567")), Ok(()));
        let (room, ()) = tokio::join!(link.room(), async { link.end(DownReason::Silent) });
        assert_eq!(room, Err(SendError::NotConnected));
    }

    #[test]
    fn an_ended_or_finishing_link_takes_nothing() {
        let limits = NetworkLimits::default();
        let ended = link(&limits);
        ended.end(DownReason::Silent);
        ended.end(DownReason::Closed);
        assert_eq!(ended.send(Bytes::new()), Err(SendError::NotConnected));
        assert_eq!(ended.reason(), DownReason::Silent);
        let finishing = link(&limits);
        assert_eq!(finishing.send(Bytes::new()), Ok(()));
        finishing.finish();
        assert_eq!(finishing.send(Bytes::new()), Err(SendError::NotConnected));
        assert!(!finishing.take(1).finished);
        assert!(finishing.take(1).finished);
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_before_it_is_queued() {
        let link = link(&NetworkLimits::default());
        assert_eq!(
            link.send(Bytes::from(vec![0; MAX_FRAME_BYTES + 1])),
            Err(SendError::TooLong)
        );
    }

    #[test]
    fn only_the_answer_to_the_latest_ping_counts() {
        let link = link(&NetworkLimits::default());
        let mut waiting = link.measure().expect("room for one");
        let number = link.take(0).ping.expect("a ping is due");
        link.ponged(number.wrapping_add(1), Instant::now());
        assert!(waiting.try_recv().is_err());
        link.ponged(number, Instant::now());
        assert!(waiting.try_recv().is_ok());
    }
}
