//! One question and one answer with a node that is no partner yet.
//!
//! Owns the pairing stream: a length and at most 64 KiB each way, under one deadline. Who may ask, and how often, is decided
//! before these functions run; what the bytes mean is decided above.

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::Stream;
use tokio::sync::oneshot;

use super::Context;
use super::address::Address;
use super::event::{DialFailure, NetworkEvent, RefusedReason};
use super::key::{InvalidKey, NodeKey};
use super::limits::MAX_PAIR_BYTES;
use super::streams::Opened;

/// Why a pairing request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    #[error(transparent)]
    InvalidKey(#[from] InvalidKey),
    #[error("a pairing request is longer than {MAX_PAIR_BYTES} bytes")]
    TooLong,
    #[error("too many pairing requests are under way")]
    Busy,
    #[error(transparent)]
    Dial(#[from] DialFailure),
    #[error("the other node gave no answer: {0}")]
    NoAnswer(String),
    #[error("the other node did not answer in time")]
    Deadline,
    #[error("the network has stopped")]
    Stopped,
}

/// Asks on a stream that is being opened.
pub(super) async fn ask(
    opened: oneshot::Receiver<Opened>,
    request: Bytes,
) -> Result<Bytes, PairError> {
    let lost = |text: &str| PairError::NoAnswer(text.to_owned());
    let mut stream = match opened.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(lost(&error.to_string())),
        Err(_) => return Err(lost("the connection ended")),
    };
    write_block(&mut stream, &request)
        .await
        .map_err(|error| lost(&error.to_string()))?;
    match read_block(&mut stream).await {
        Ok(answer) => Ok(answer),
        Err(BlockError::TooLong) => Err(lost("the answer is too long")),
        Err(BlockError::Io(error)) => Err(lost(&format!("refused ({error})"))),
    }
}

/// Answers one request. The error is what the stranger did wrong.
pub(super) async fn answer(
    mut stream: Stream,
    key: NodeKey,
    address: Address,
    context: &Context,
) -> Result<(), RefusedReason> {
    let deadline = context.shared.limits.pair_deadline;
    let exchange = async {
        let request = match tokio::time::timeout(deadline / 2, read_block(&mut stream)).await {
            Ok(Ok(request)) => request,
            Ok(Err(BlockError::TooLong)) => return Err(RefusedReason::PairingTooLong),
            Ok(Err(BlockError::Io(_))) => return Err(RefusedReason::Garbage),
            Err(_) => return Err(RefusedReason::SilentStream),
        };
        context.shared.counters.pair_requests.add(1);
        let length = request.len();
        let (reply, answered) = oneshot::channel();
        let event = NetworkEvent::PairRequest {
            key,
            address,
            request,
            reply,
        };
        if context.events.send_sized(event, length).await.is_err() {
            return Ok(());
        }
        let Ok(answer) = answered.await else {
            tracing::debug!(?key, "pairing request left without an answer");
            return Ok(());
        };
        if answer.len() > MAX_PAIR_BYTES {
            tracing::error!(
                ?key,
                bytes = answer.len(),
                "a pairing answer of ours is too long and was not sent"
            );
            return Ok(());
        }
        if let Err(error) = write_block(&mut stream, &answer).await {
            tracing::debug!(?key, %error, "pairing answer not delivered");
        }
        Ok(())
    };
    // An answer that comes too late is no fault of the stranger.
    tokio::time::timeout(deadline, exchange)
        .await
        .unwrap_or(Ok(()))
}

#[derive(Debug)]
enum BlockError {
    TooLong,
    Io(std::io::Error),
}

async fn write_block(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
    stream.write_all(&length.to_le_bytes()).await?;
    stream.write_all(bytes).await?;
    stream.flush().await
}

async fn read_block(stream: &mut (impl AsyncRead + Unpin)) -> Result<Bytes, BlockError> {
    let mut length = [0; 4];
    stream
        .read_exact(&mut length)
        .await
        .map_err(BlockError::Io)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_PAIR_BYTES {
        return Err(BlockError::TooLong);
    }
    // Allocated by the declared length, which is small and counted by the bound on concurrent requests.
    let mut bytes = vec![0; length];
    stream
        .read_exact(&mut bytes)
        .await
        .map_err(BlockError::Io)?;
    Ok(bytes.into())
}
