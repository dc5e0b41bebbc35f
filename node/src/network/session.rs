//! One agreed session: frames in and frames out on one stream.
//!
//! Owns the reader and the writer, two tasks that meet only in the `Link`: the reader never writes, or two sides that both
//! write before they read would wait for each other for ever. The reader waits for the node above, so a slow node slows its
//! partner; the writer waits for the partner, and gives up when nothing moves.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use libp2p::Stream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Context;
use super::event::{DownReason, NetworkEvent, NobodyListens, RefusedReason};
use super::framing::{self, Decoder, Item};
use super::link::{Batch, Link};

/// Frames are gathered up to this size and written at once: a write and a flush cost as much as copying many small frames.
const WRITE_BYTES: usize = 256 << 10;

/// A frame of this size is written from where it lies; copying it would cost more than a write.
const COPY_BELOW_BYTES: usize = 32 << 10;

/// Runs until either side ends the session. `preamble` is written before the first frame.
pub(super) async fn run(
    link: Arc<Link>,
    stream: Stream,
    preamble: Vec<u8>,
    context: Arc<Context>,
) -> DownReason {
    let (read_half, write_half) = stream.split();
    let mut tasks = JoinSet::new();
    tasks.spawn({
        let (link, context) = (link.clone(), context.clone());
        async move {
            tokio::select! {
                () = link.ended.cancelled() => link.reason(),
                reason = read(&link, read_half, &context) => reason,
            }
        }
    });
    tasks.spawn({
        let (link, context) = (link.clone(), context.clone());
        async move {
            tokio::select! {
                () = link.ended.cancelled() => link.reason(),
                reason = write(&link, write_half, preamble, &context) => reason,
            }
        }
    });
    while let Some(done) = tasks.join_next().await {
        link.end(match done {
            Ok(reason) => reason,
            Err(error) => {
                if error.is_panic() {
                    context.shared.counters.panics.add(1);
                }
                DownReason::Panicked
            }
        });
    }
    link.reason()
}

async fn read(link: &Link, mut stream: ReadHalf<Stream>, context: &Context) -> DownReason {
    let mut decoder = Decoder::new();
    loop {
        loop {
            match decoder.next() {
                Ok(Some(item)) => {
                    if take(link, item, context).await.is_err() {
                        return DownReason::Stopped;
                    }
                }
                Ok(None) => break,
                Err(reason) => return DownReason::Refused(reason),
            }
        }
        // The clock of silence runs only while this side listens, not while the node above is slow.
        match timeout(context.shared.limits.silence, stream.read(decoder.space())).await {
            Err(_) => return DownReason::Silent,
            Ok(Ok(0)) => return DownReason::Closed,
            Ok(Ok(count)) => {
                context.shared.counters.bytes_received.add(count as u64);
                decoder.filled(count);
            }
            Ok(Err(error)) => return DownReason::Broken(error.to_string()),
        }
    }
}

async fn take(link: &Link, item: Item, context: &Context) -> Result<(), NobodyListens> {
    match item {
        Item::Ping(number) => link.pinged(number),
        Item::Pong(number) => link.ponged(number, Instant::now()),
        Item::Frame(bytes) => {
            #[cfg(test)]
            assert!(!link.planted_panic.load(Ordering::Relaxed), "planted");
            link.frames_received.fetch_add(1, Ordering::Relaxed);
            context.shared.counters.frames_received.add(1);
            let share = context
                .events
                .share(&link.inbox, link.inbox_bytes, bytes.len());
            let event = NetworkEvent::Frame {
                key: link.key,
                link: link.id,
                bytes,
                share: share.await?,
            };
            context.events.send(event).await?;
        }
    }
    Ok(())
}

async fn write(
    link: &Link,
    stream: WriteHalf<Stream>,
    preamble: Vec<u8>,
    context: &Context,
) -> DownReason {
    let mut output = Output {
        stream,
        buffer: preamble,
        stall: context.shared.limits.write_stall,
    };
    let mut ping = interval(context.shared.limits.ping_every);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let batch = link.take(WRITE_BYTES);
        if let Err(reason) = output.put(&batch).await {
            return reason;
        }
        link.written(&batch);
        context
            .shared
            .counters
            .frames_sent
            .add(batch.frames.len() as u64);
        context.shared.counters.bytes_sent.add(batch.bytes as u64);
        if batch.finished {
            return finish(link, output).await;
        }
        if batch.frames.is_empty() {
            tokio::select! {
                () = link.woken() => {}
                _ = ping.tick() => link.ping_due(),
            }
        }
    }
}

struct Output {
    stream: WriteHalf<Stream>,
    buffer: Vec<u8>,
    stall: Duration,
}

impl Output {
    async fn put(&mut self, batch: &Batch) -> Result<(), DownReason> {
        if let Some(number) = batch.answer {
            framing::put_pong(&mut self.buffer, number);
        }
        if let Some(number) = batch.ping {
            framing::put_ping(&mut self.buffer, number);
        }
        for frame in &batch.frames {
            framing::put_length(&mut self.buffer, frame);
            if frame.len() < COPY_BELOW_BYTES {
                self.buffer.extend_from_slice(frame);
            } else {
                self.write_buffer().await?;
                write_all(&mut self.stream, frame, self.stall).await?;
            }
        }
        if self.buffer.is_empty() && batch.frames.is_empty() {
            return Ok(());
        }
        self.write_buffer().await?;
        moved(timeout(self.stall, self.stream.flush()).await)
    }

    async fn write_buffer(&mut self) -> Result<(), DownReason> {
        write_all(&mut self.stream, &self.buffer, self.stall).await?;
        self.buffer.clear();
        Ok(())
    }
}

/// Ends the stream after its last frame. The connection must stay until the partner has read that far, and that is when it
/// ends its side of the stream, which the reader sees.
async fn finish(link: &Link, mut output: Output) -> DownReason {
    link.give_reason(DownReason::Stopped);
    match moved(timeout(output.stall, output.stream.close()).await) {
        Ok(()) => link.ended.cancelled().await,
        Err(reason) => return reason,
    }
    link.reason()
}

async fn write_all(
    stream: &mut WriteHalf<Stream>,
    mut bytes: &[u8],
    stall: Duration,
) -> Result<(), DownReason> {
    while !bytes.is_empty() {
        // The deadline is for each step, so it measures progress and not the size of what is written.
        let count = moved(timeout(stall, stream.write(bytes)).await)?;
        if count == 0 {
            return Err(DownReason::Closed);
        }
        bytes = bytes.get(count..).unwrap_or_default();
    }
    Ok(())
}

fn moved<T>(
    result: Result<std::io::Result<T>, tokio::time::error::Elapsed>,
) -> Result<T, DownReason> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(DownReason::Broken(error.to_string())),
        Err(_) => Err(DownReason::Refused(RefusedReason::Stalled)),
    }
}
