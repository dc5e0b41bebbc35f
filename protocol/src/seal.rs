//! Sealing under the epoch key of a chat: XChaCha20-Poly1305 with a random 24-byte nonce (draft-irtf-cfrg-xchacha).
//! The sealed form is nonce, commitment to the payload's key, then ciphertext with its tag.
//!
//! Every payload has a key of its own, derived from the epoch's: whoever must prove one message shows that key and
//! nothing else of the epoch. The commitment makes the proof binding, because the cipher alone does not: an author could
//! make one ciphertext that opens to two texts under two keys. Nonces are random rather than counted because a node
//! restored from a snapshot would count the same ones again.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::ids::{ChatId, Hash};
use crate::suite::Random;

pub const NONCE_BYTES: usize = 24;
pub const COMMITMENT_BYTES: usize = 32;
pub const TAG_BYTES: usize = 16;
/// What sealing adds to a payload.
pub const OVERHEAD_BYTES: usize = NONCE_BYTES + COMMITMENT_BYTES + TAG_BYTES;

const PAYLOAD_KEY_TAG: &[u8] = b"crossport/0/payload-key\0";
const COMMITMENT_TAG: &[u8] = b"crossport/0/payload-commitment\0";

/// The secret of one sealed payload. It says nothing of the epoch's key or of any other payload.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct PayloadKey([u8; 32]);

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
        let key = self.payload_key(&nonce, associated);
        let payload = Payload {
            msg: plain,
            aad: associated,
        };
        let sealed = key
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .expect("payloads are far below the cipher's limit");
        [nonce.as_slice(), &key.commitment().0, &sealed].concat()
    }

    /// None when the key, the place or the bytes are not the ones that were sealed.
    pub fn open(&self, associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let nonce = sealed.first_chunk::<NONCE_BYTES>()?;
        self.payload_key(nonce, associated).open(associated, sealed)
    }

    /// The key of these sealed bytes alone: to be shown instead of the epoch's when one payload is to be proved.
    pub fn key_of(&self, associated: &[u8], sealed: &[u8]) -> Option<PayloadKey> {
        let nonce = sealed.first_chunk::<NONCE_BYTES>()?;
        Some(self.payload_key(nonce, associated))
    }

    fn payload_key(&self, nonce: &[u8; NONCE_BYTES], associated: &[u8]) -> PayloadKey {
        let mut key = PayloadKey([0; 32]);
        Hkdf::<Sha256>::from_prk(&self.0)
            .expect("a key as long as the hash")
            .expand_multi_info(&[PAYLOAD_KEY_TAG, nonce, associated], &mut key.0)
            .expect("one block of the hash");
        key
    }
}

impl PayloadKey {
    pub fn from_bytes(bytes: [u8; 32]) -> PayloadKey {
        PayloadKey(bytes)
    }

    /// For whoever is to be shown this payload.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// None when these bytes were not sealed with this key at this place: there is no second key that opens them.
    pub fn open(&self, associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let (commitment, ciphertext) = rest.split_first_chunk::<COMMITMENT_BYTES>()?;
        if !bool::from(self.commitment().0.ct_eq(commitment)) {
            return None;
        }
        let payload = Payload {
            msg: ciphertext,
            aad: associated,
        };
        self.cipher().decrypt(&XNonce::from(*nonce), payload).ok()
    }

    fn commitment(&self) -> Hash {
        Hash::of(&[COMMITMENT_TAG, &self.0])
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }
}

impl std::fmt::Debug for PayloadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PayloadKey(..)")
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

    #[test]
    fn one_payload_is_shown_without_the_rest_of_its_epoch() {
        let epoch = EpochKey::from_bytes([1; 32]);
        let one = epoch.seal([2; 24], b"place 1", b"hello");
        let other = epoch.seal([4; 24], b"place 1", b"world");
        let key = epoch.key_of(b"place 1", &one).expect("sealed bytes");
        assert_eq!(key.open(b"place 1", &one), Some(b"hello".to_vec()));
        assert_eq!(key.open(b"place 1", &other), None, "a fork at one place");
        assert_eq!(
            EpochKey::from_bytes(*key.expose()).open(b"place 1", &one),
            None
        );
        assert_eq!(PayloadKey::from_bytes([9; 32]).open(b"place 1", &one), None);
    }

    #[test]
    fn a_key_without_its_commitment_opens_nothing() {
        let epoch = EpochKey::from_bytes([1; 32]);
        let mut sealed = epoch.seal([2; 24], b"place", b"hello");
        sealed[NONCE_BYTES] ^= 1;
        assert_eq!(epoch.open(b"place", &sealed), None);
        for length in 0..OVERHEAD_BYTES {
            assert_eq!(epoch.open(b"place", &sealed[..length]), None, "{length}");
        }
    }
}
