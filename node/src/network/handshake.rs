//! How two partners agree that a stream is their one session.
//!
//! The side that dialled the connection opens the stream and says its boot number (random for each start of a node). The other
//! answers with a standing and its own boot number. Then the *arbiter*, the node with the lesser key, gives the verdict: keep
//! or drop. One side decides, so the two never disagree, even when both dial at the same moment. Verdicts are numbered, so an
//! old one that arrives late on a slow connection does not undo a newer one.
//!
//! Owns the bytes of this exchange and the rule of the verdict. Deadlines are the caller's.

use std::io;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::event::DialFailure;

/// What the dialled side says about the dialler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Welcome {
    Partner,
    Unknown,
    Paused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep { sequence: u64 },
    Drop,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("refused")]
    Refused(DialFailure),
    #[error("bytes that are no handshake")]
    Garbage,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The dialler's half up to the verdict. Returns the other side's boot number.
pub(super) async fn greet(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    boot: u64,
) -> Result<u64, HandshakeError> {
    stream.write_all(&boot.to_le_bytes()).await?;
    stream.flush().await?;
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).await?;
    let [welcome, boot @ ..] = answer;
    match welcome {
        0 => Ok(u64::from_le_bytes(boot)),
        1 => Err(HandshakeError::Refused(DialFailure::NotApproved)),
        2 => Err(HandshakeError::Refused(DialFailure::Paused)),
        _ => Err(HandshakeError::Garbage),
    }
}

/// The dialled side's half up to the verdict. Returns the other side's boot number.
pub(super) async fn welcome(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    boot: u64,
    welcome: Welcome,
) -> Result<u64, HandshakeError> {
    let mut greeting = [0; 8];
    stream.read_exact(&mut greeting).await?;
    let [b0, b1, b2, b3, b4, b5, b6, b7] = boot.to_le_bytes();
    let code = match welcome {
        Welcome::Partner => 0,
        Welcome::Unknown => 1,
        Welcome::Paused => 2,
    };
    stream
        .write_all(&[code, b0, b1, b2, b3, b4, b5, b6, b7])
        .await?;
    stream.flush().await?;
    Ok(u64::from_le_bytes(greeting))
}

/// What the arbiter writes.
pub(super) fn verdict_bytes(verdict: Verdict) -> Vec<u8> {
    let (code, sequence) = match verdict {
        Verdict::Keep { sequence } => (1u8, sequence),
        Verdict::Drop => (2, 0),
    };
    let mut bytes = vec![code];
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes
}

/// What the other side reads.
pub(super) async fn read_verdict(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Verdict, HandshakeError> {
    let mut bytes = [0; 9];
    stream.read_exact(&mut bytes).await?;
    let [code, sequence @ ..] = bytes;
    match code {
        1 => Ok(Verdict::Keep {
            sequence: u64::from_le_bytes(sequence),
        }),
        2 => Ok(Verdict::Drop),
        _ => Err(HandshakeError::Garbage),
    }
}

/// What the arbiter knows of a session that is up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub boot: u64,
    pub dialed: bool,
    pub age: Duration,
}

/// Whether the arbiter keeps a new session. It does, and the new one replaces the old, except when the two are the halves of
/// one simultaneous dial: then the first stays and nothing flaps.
pub(super) fn keeps_new(
    active: Option<Standing>,
    boot: u64,
    dialed: bool,
    simultaneous: Duration,
) -> bool {
    let Some(active) = active else { return true };
    let crossed = active.dialed != dialed && active.age < simultaneous;
    // Another boot number means that the other side started anew: whatever was up is dead.
    active.boot != boot || !crossed
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(3);

    #[track_caller]
    fn check(active: (u64, bool, u64), new: (u64, bool), kept: bool) {
        let (boot, dialed, age) = active;
        let standing = Standing {
            boot,
            dialed,
            age: Duration::from_secs(age),
        };
        assert_eq!(keeps_new(Some(standing), new.0, new.1, WINDOW), kept);
    }

    #[test]
    fn the_first_half_of_a_simultaneous_dial_stays() {
        assert!(keeps_new(None, 1, true, WINDOW));
        check((1, true, 0), (1, false), false);
        check((1, false, 2), (1, true), false);
    }

    #[test]
    fn everything_else_replaces() {
        check((1, true, 0), (1, true), true);
        check((1, true, 4), (1, false), true);
        check((1, true, 0), (2, false), true);
    }

    #[tokio::test]
    async fn both_sides_learn_each_others_boot_and_the_verdict() {
        let (left, right) = tokio::io::duplex(64);
        let (mut left, mut right) = (compat(left), compat(right));
        let (greeted, welcomed) = tokio::join!(
            greet(&mut left, 7),
            welcome(&mut right, 9, Welcome::Partner)
        );
        assert_eq!((greeted.ok(), welcomed.ok()), (Some(9), Some(7)));
        let verdict = Verdict::Keep { sequence: 5 };
        right
            .write_all(&verdict_bytes(verdict))
            .await
            .expect("room");
        assert_eq!(read_verdict(&mut left).await.ok(), Some(verdict));
    }

    #[tokio::test]
    async fn a_stranger_is_told_so() {
        let (left, right) = tokio::io::duplex(64);
        let (mut left, mut right) = (compat(left), compat(right));
        let (greeted, _) = tokio::join!(
            greet(&mut left, 7),
            welcome(&mut right, 0, Welcome::Unknown)
        );
        assert!(matches!(
            greeted,
            Err(HandshakeError::Refused(DialFailure::NotApproved))
        ));
    }

    #[tokio::test]
    async fn garbage_is_no_verdict() {
        let (left, right) = tokio::io::duplex(64);
        let (mut left, mut right) = (compat(left), compat(right));
        right.write_all(&[9; 9]).await.expect("room");
        assert!(matches!(
            read_verdict(&mut left).await,
            Err(HandshakeError::Garbage)
        ));
    }

    fn compat<T: tokio::io::AsyncRead + tokio::io::AsyncWrite>(
        stream: T,
    ) -> tokio_util::compat::Compat<T> {
        tokio_util::compat::TokioAsyncReadCompatExt::compat(stream)
    }
}
