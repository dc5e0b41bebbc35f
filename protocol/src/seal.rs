//! Sealing of payloads with the epoch key of a chat: XChaCha20-Poly1305 with a random 24-byte nonce
//! (draft-irtf-cfrg-xchacha). The sealed form is nonce, then ciphertext with its tag.
//!
//! Nonces are random rather than counted because a node restored from a snapshot would count the same ones again.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::ids::{ChatId, Hash};
use crate::suite::Random;

pub const NONCE_BYTES: usize = 24;
pub const TAG_BYTES: usize = 16;
/// What sealing adds to a payload.
pub const OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// The secret of one epoch of one chat.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct EpochKey([u8; 32]);

impl EpochKey {
    pub fn from_bytes(bytes: [u8; 32]) -> EpochKey {
        EpochKey(bytes)
    }

    pub fn random(random: &mut impl Random) -> EpochKey {
        EpochKey(random.array())
    }

    /// For the keystore and for wrapping.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the owner log says of the key: anyone who is given the key can check that it is the one. The first epoch's
    /// commitment is part of the genesis, whose hash the chat's id is: it stands for the zero chat.
    pub fn commitment(&self, chat: &ChatId, epoch: u32) -> Hash {
        let chat = if epoch == 1 { &ChatId::ZERO } else { chat };
        Hash::of(&[
            b"crossport/0/epoch\0",
            &chat.0,
            &epoch.to_le_bytes(),
            &self.0,
        ])
    }

    pub fn seal(&self, nonce: [u8; NONCE_BYTES], associated: &[u8], plain: &[u8]) -> Vec<u8> {
        let cipher = XChaCha20Poly1305::new(&self.0.into());
        let payload = Payload {
            msg: plain,
            aad: associated,
        };
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("payloads are far below the cipher's limit");
        [nonce.as_slice(), &sealed].concat()
    }

    /// None when the key, the place or the bytes are not the ones that were sealed.
    pub fn open(&self, associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let cipher = XChaCha20Poly1305::new(&self.0.into());
        cipher
            .decrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: ciphertext,
                    aad: associated,
                },
            )
            .ok()
    }
}

impl std::fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EpochKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_at_its_place() {
        let key = EpochKey::from_bytes([1; 32]);
        let sealed = key.seal([2; 24], b"place 1", b"hello");
        assert_eq!(sealed.len(), 5 + OVERHEAD_BYTES);
        assert_eq!(
            key.open(b"place 1", &sealed).as_deref(),
            Some(b"hello".as_slice())
        );
        assert_eq!(key.open(b"place 2", &sealed), None);
        assert_eq!(key.open(b"place 1", &sealed[..20]), None);
        assert_eq!(
            EpochKey::from_bytes([3; 32]).open(b"place 1", &sealed),
            None
        );
    }
}
