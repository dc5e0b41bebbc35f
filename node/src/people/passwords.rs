//! Passwords: which are taken, the slow hash that is kept of them, and who may have one computed when.
//!
//! Owns the cost of a hash and how many run at once. It must not know whose password it is. A hash takes memory and a core
//! on purpose, so strangers get one lane of the two: however many of them try, whoever is known here is not kept waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::api::facade::{Answer, Refused, Text};
use crate::api::types::Code;
use crate::core::{now, random_array};
use crate::directory::Password;

/// Shorter ones are guessed from a stolen disk however slow the hash is.
pub const PASSWORD_CHARS_MIN: usize = 10;
/// Room for a sentence; the hash reads each byte, so there must be an end.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// OWASP's first choice for argon2id where memory is not plenty: 19 MiB, two passes, one lane; some 30 ms of one core.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Two hashes take 38 MiB and leave the node's other cores to messages.
const HASHES_AT_ONCE: usize = 2;
/// Strangers that wait for their lane: about a second's work. Whoever comes then is told to come back.
const STRANGERS_WAITING_MAX: usize = 32;

/// Who asks for a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Signed in, holding an invitation, or on a device that this person signed in on before.
    Known,
    Stranger,
}

/// The two places in which hashes are computed.
#[derive(Debug, Clone)]
pub struct Hashing {
    all: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    strangers_waiting: Arc<AtomicUsize>,
}

impl Default for Hashing {
    fn default() -> Hashing {
        Hashing {
            all: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            strangers: Arc::new(Semaphore::new(HASHES_AT_ONCE - 1)),
            strangers_waiting: Arc::default(),
        }
    }
}

/// Held until the hash is computed, even if whoever asked went away: a thread that hashes cannot be called back.
struct Permits {
    _one: OwnedSemaphorePermit,
    _of_strangers: Option<OwnedSemaphorePermit>,
}

impl Hashing {
    /// The record of a new password.
    ///
    /// # Errors
    /// [`Code::ValueInvalid`] if it is too short or too long.
    pub async fn hash(&self, lane: Lane, password: String) -> Answer<Password> {
        let password = Zeroizing::new(password);
        check(&password)?;
        let permits = self.permits(lane).await?;
        let hashed = tokio::task::spawn_blocking(move || {
            let _permits = permits;
            let empty = Password {
                salt: random_array(),
                hash: [0; 32],
                memory_kib: MEMORY_KIB,
                passes: PASSES,
                lanes: LANES,
                since: now(),
            };
            let hash = computed(&password, &empty)?;
            Ok(Password { hash, ..empty })
        });
        hashed.await.map_err(|error| failed(&error))?
    }

    /// Whether it is the password of a record. Without a record the same work is done, and it is not.
    pub async fn verify(
        &self,
        lane: Lane,
        password: String,
        held: Option<Password>,
    ) -> Answer<bool> {
        let password = Zeroizing::new(password);
        let permits = self.permits(lane).await?;
        let verified = tokio::task::spawn_blocking(move || {
            let _permits = permits;
            let nobody = Password {
                salt: [0; 16],
                hash: [0; 32],
                memory_kib: MEMORY_KIB,
                passes: PASSES,
                lanes: LANES,
                since: now(),
            };
            let is_held = held.is_some();
            let record = held.unwrap_or(nobody);
            let hash = computed(&password, &record)?;
            Ok(bool::from(hash.ct_eq(&record.hash)) && is_held)
        });
        verified.await.map_err(|error| failed(&error))?
    }

    async fn permits(&self, lane: Lane) -> Answer<Permits> {
        let of_strangers = match lane {
            Lane::Known => None,
            Lane::Stranger => {
                let waiting = Waiting::among(&self.strangers_waiting)
                    .ok_or_else(|| Refused::from(Code::TooManyRequests))?;
                let permit = Arc::clone(&self.strangers).acquire_owned().await;
                drop(waiting);
                Some(permit.map_err(|error| failed(&error))?)
            }
        };
        let one = Arc::clone(&self.all).acquire_owned().await;
        Ok(Permits {
            _one: one.map_err(|error| failed(&error))?,
            _of_strangers: of_strangers,
        })
    }
}

/// One stranger in the queue; leaving it is counted however it ends.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn among(count: &Arc<AtomicUsize>) -> Option<Waiting> {
        let place = Waiting(Arc::clone(count));
        let before = count.fetch_add(1, Ordering::Relaxed);
        (before < STRANGERS_WAITING_MAX).then_some(place)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn check(password: &str) -> Answer<()> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Refused::new(Code::TooLarge, "password"));
    }
    if password.chars().count() < PASSWORD_CHARS_MIN {
        let least = PASSWORD_CHARS_MIN as u64;
        let cause = Text::key("password-too-short").with("count", least);
        return Err(Refused::new(Code::ValueInvalid, "password").cause(cause));
    }
    Ok(())
}

fn computed(password: &str, record: &Password) -> Answer<[u8; 32]> {
    let params = Params::new(record.memory_kib, record.passes, record.lanes, Some(32));
    let params = params.map_err(|error| failed(&error))?;
    let mut hash = [0; 32];
    let hashed = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
        password.as_bytes(),
        &record.salt,
        &mut hash,
    );
    hashed.map_err(|error| failed(&error))?;
    Ok(hash)
}

fn failed(error: &dyn std::fmt::Display) -> Refused {
    Refused::from(Code::Internal).detail(format_args!("a password was not hashed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "correct horse battery";

    #[tokio::test]
    async fn only_the_password_itself_verifies() {
        let hashing = Hashing::default();
        let held = hashing.hash(Lane::Known, GOOD.to_owned()).await;
        let held = held.expect("a password");
        assert_eq!(
            (held.memory_kib, held.passes, held.lanes),
            (19_456, 2, 1),
            "not below what OWASP asks for"
        );
        let verified = async |password: &str, held: Option<Password>| {
            let verified = hashing.verify(Lane::Stranger, password.to_owned(), held);
            verified.await.expect("computed")
        };
        assert!(verified(GOOD, Some(held.clone())).await);
        assert!(!verified("correct horse batterz", Some(held.clone())).await);
        assert!(!verified("", Some(held)).await);
        assert!(!verified(GOOD, None).await, "nobody has no password");
    }

    #[tokio::test]
    async fn two_equal_passwords_are_kept_differently() {
        let hashing = Hashing::default();
        let one = hashing.hash(Lane::Known, GOOD.to_owned()).await;
        let other = hashing.hash(Lane::Known, GOOD.to_owned()).await;
        assert_ne!(one.expect("one").hash, other.expect("other").hash);
    }

    #[tokio::test]
    async fn short_and_endless_passwords_are_refused() {
        let hashing = Hashing::default();
        let refused = async |password: String| {
            let hashed = hashing.hash(Lane::Known, password).await;
            hashed.expect_err("refused").code
        };
        assert_eq!(refused("девять555".to_owned()).await, Code::ValueInvalid);
        let endless = "a".repeat(PASSWORD_BYTES_MAX + 1);
        assert_eq!(refused(endless).await, Code::TooLarge);
    }

    #[tokio::test]
    async fn strangers_leave_a_lane_free_and_do_not_queue_without_end() {
        let hashing = Hashing::default();
        let first = hashing.permits(Lane::Stranger).await.expect("a lane");
        let mut queue = Vec::new();
        for _ in 0..STRANGERS_WAITING_MAX {
            let mut waits = Box::pin(hashing.permits(Lane::Stranger));
            assert!(futures::poll!(waits.as_mut()).is_pending(), "it waits");
            queue.push(waits);
        }
        let refused = hashing.permits(Lane::Stranger).await.err();
        assert_eq!(
            refused.map(|refused| refused.code),
            Some(Code::TooManyRequests)
        );
        let known = hashing.permits(Lane::Known).await.expect("at once");
        let mut third = Box::pin(hashing.permits(Lane::Known));
        assert!(
            futures::poll!(third.as_mut()).is_pending(),
            "never three at once"
        );
        drop(first);
        assert!(
            futures::poll!(queue[0].as_mut()).is_pending(),
            "who is known goes first"
        );
        assert!(futures::poll!(third.as_mut()).is_ready());
        drop((known, queue));
    }
}
