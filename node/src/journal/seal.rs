//! Sealing of local facts: XChaCha20-Poly1305 under a key of their own segment.
//!
//! Owns the derivation of segment keys and the layout nonce (24) | ciphertext | tag (16). It must not know files. Why
//! segment keys are *derived* from the journal's key and not stored, wrapped, in the segment: a stored key is a few
//! bytes whose damage would take 64 MiB with it, and re-wrapping is not needed here, because the journal's key is a
//! random key that the keystore itself keeps wrapped: changing a passphrase re-wraps that one entry and no segment.
//! Why nonces are random and not the position: a journal restored from a backup uses its positions a second time,
//! and the same nonce under the same key for two texts would give both away.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::format::Position;

/// Bytes that sealing adds: nonce and tag.
pub(super) const SEAL_OVERHEAD: usize = NONCE + TAG;
/// Length of a nonce.
pub(super) const NONCE: usize = 24;
const TAG: usize = 16;

/// Seals and opens the local facts of one segment.
pub(super) struct Sealer {
    cipher: XChaCha20Poly1305,
    key_check: [u8; 16],
}

impl Sealer {
    /// Derives the key of the segment that starts at `base`: the one-step derivation of NIST SP 800-56C over SHA-256,
    /// all inputs of fixed length.
    pub fn of_segment(key: &[u8; 32], generation: &[u8; 16], base: u64) -> Sealer {
        let segment_key = derive(b"crossport journal segment key 1", key, generation, base);
        // Tells a wrong key at once, by a name, instead of by every local fact failing to open.
        let check = derive(b"crossport journal check value 1", key, generation, base);
        let mut key_check = [0; 16];
        key_check.copy_from_slice(&check[..16]);
        Sealer {
            cipher: XChaCha20Poly1305::new((&*segment_key).into()),
            key_check,
        }
    }

    /// Stands in the segment header and says nothing about the key.
    pub fn key_check(&self) -> [u8; 16] {
        self.key_check
    }

    /// Appends the sealed form of `plaintext` to `out`.
    pub fn seal(
        &self,
        out: &mut Vec<u8>,
        nonce: [u8; NONCE],
        position: Position,
        kind: u16,
        plaintext: &[u8],
    ) {
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let tag = self
            .cipher
            .encrypt_inout_detached(
                &XNonce::from(nonce),
                &context(position, kind),
                (&mut out[start..]).into(),
            )
            .expect("records are far below the cipher's limit of 256 GiB");
        out.extend_from_slice(&tag);
    }

    /// Opens what [`Sealer::seal`] made for this very position and kind.
    pub fn open(&self, position: Position, kind: u16, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>()?;
        let mut plaintext = ciphertext.to_vec();
        self.cipher
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &context(position, kind),
                plaintext.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .ok()?;
        Some(plaintext)
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sealer")
    }
}

fn derive(
    label: &[u8; 31],
    key: &[u8; 32],
    generation: &[u8; 16],
    base: u64,
) -> Zeroizing<[u8; 32]> {
    let mut hasher = Sha256::new();
    hasher.update(1_u32.to_be_bytes());
    hasher.update(key);
    hasher.update(label);
    hasher.update(generation);
    hasher.update(base.to_le_bytes());
    Zeroizing::new(hasher.finalize().into())
}

/// Binds a sealed record to its place and kind, so that it cannot be moved.
fn context(position: Position, kind: u16) -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&position.0.to_le_bytes());
    bytes[8..].copy_from_slice(&kind.to_le_bytes());
    bytes
}
