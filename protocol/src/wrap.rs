//! Epoch keys on their way to a company: HPKE base mode (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
//! ChaCha20Poly1305, to a versioned prekey that the company's node signed.
//!
//! A wrap needs no signature: the opened key must match the commitment in the owner log, so that any member may
//! wrap it again for a company that is entitled to the epoch.

use std::convert::Infallible;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open,
    single_shot_seal_with_rng,
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::clock::Time;
use crate::codec::{self, Blob};
use crate::fields::Fields;
use crate::ids::{ChatId, CompanyId, Hash, NodeKey};
use crate::seal::EpochKey;
use crate::suite::{Domain, Random, SecretKey, Signature, Suite};

/// The public half of a prekey with its version, as the company's node signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrekeyBundle {
    pub company: CompanyId,
    pub node: NodeKey,
    pub version: u32,
    pub created: Time,
    pub public: [u8; 32],
    /// For keys of later suites, for example.
    pub fields: Fields,
    pub signature: Signature,
}

impl PrekeyBundle {
    pub fn sign(
        suite: Suite,
        key: &SecretKey,
        company: CompanyId,
        version: u32,
        created: Time,
        public: [u8; 32],
    ) -> Self {
        let node = key.public(suite);
        let signature = Signature::from_bytes([0; 64]);
        let mut bundle = PrekeyBundle {
            company,
            node,
            version,
            created,
            public,
            fields: Fields::none(),
            signature,
        };
        bundle.signature = suite.sign(key, Domain::Prekey, &bundle.signed_bytes());
        bundle
    }

    /// The signature is good. Whether `node` is a key of `company` is the roster's question.
    pub fn verify(&self, suite: Suite) -> bool {
        self.fields.is_well_formed()
            && suite.verify(
                &self.node,
                Domain::Prekey,
                &self.signed_bytes(),
                &self.signature,
            )
    }

    fn signed_bytes(&self) -> Vec<u8> {
        codec::encode(&(
            self.company,
            self.node,
            self.version,
            self.created,
            self.public,
            &self.fields,
        ))
    }
}

/// The private half of a prekey.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PrekeySecret([u8; 32]);

impl PrekeySecret {
    pub fn from_bytes(bytes: [u8; 32]) -> PrekeySecret {
        PrekeySecret(bytes)
    }

    pub fn random(random: &mut impl Random) -> PrekeySecret {
        PrekeySecret(random.array())
    }

    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn public(&self) -> [u8; 32] {
        let secret = x25519_dalek::StaticSecret::from(self.0);
        x25519_dalek::PublicKey::from(&secret).to_bytes()
    }
}

impl std::fmt::Debug for PrekeySecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrekeySecret(..)")
    }
}

/// One epoch key for one company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrap {
    pub chat: ChatId,
    pub epoch: u32,
    pub recipient: CompanyId,
    pub prekey_version: u32,
    pub encapsulated: [u8; 32],
    pub sealed: Blob,
}

/// Gives `Random` the shape that the HPKE crate asks for.
struct HpkeRandom<'a, R>(&'a mut R);

impl<R: Random> rand_core::TryRng for HpkeRandom<'_, R> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.0.array()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.0.array()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl<R: Random> rand_core::TryCryptoRng for HpkeRandom<'_, R> {}

fn info(chat: &ChatId, epoch: u32, recipient: &CompanyId, prekey_version: u32) -> Vec<u8> {
    let mut info = b"crossport/0/wrap\0".to_vec();
    info.extend(codec::encode(&(chat, epoch, recipient, prekey_version)));
    info
}

/// Wraps a key to a prekey. None when the prekey is not a usable X25519 point.
pub fn wrap(
    suite: Suite,
    random: &mut impl Random,
    chat: ChatId,
    epoch: u32,
    key: &EpochKey,
    to: &PrekeyBundle,
) -> Option<Wrap> {
    let info = info(&chat, epoch, &to.company, to.version);
    let (encapsulated, sealed) = match suite {
        Suite::Ed25519 => {
            let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&to.public).ok()?;
            let mut rng = HpkeRandom(random);
            let (encapsulated, sealed) =
                single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                    &OpModeS::Base,
                    &public,
                    &info,
                    key.expose(),
                    b"",
                    &mut rng,
                )
                .ok()?;
            (encapsulated.to_bytes().into(), sealed)
        }
        Suite::KeyedHash => (random.array(), masked(&to.public, &info, key.expose())),
    };
    Some(Wrap {
        chat,
        epoch,
        recipient: to.company,
        prekey_version: to.version,
        encapsulated,
        sealed: Blob(sealed),
    })
}

/// Opens a wrap with the private half that it names. None when it was not made for this key or place.
pub fn unwrap(suite: Suite, wrap: &Wrap, secret: &PrekeySecret) -> Option<EpochKey> {
    let info = info(&wrap.chat, wrap.epoch, &wrap.recipient, wrap.prekey_version);
    let plain = match suite {
        Suite::Ed25519 => {
            let private =
                <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(secret.expose()).ok()?;
            let encapsulated =
                <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&wrap.encapsulated).ok()?;
            single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                &OpModeR::Base,
                &private,
                &encapsulated,
                &info,
                &wrap.sealed.0,
                b"",
            )
            .ok()?
        }
        Suite::KeyedHash => masked(&secret.public_for_simulation(), &info, &wrap.sealed.0),
    };
    Some(EpochKey::from_bytes(plain.try_into().ok()?))
}

impl PrekeySecret {
    /// The simulation's "public half": a hash, so that worlds need no curve arithmetic.
    pub fn public_for_simulation(&self) -> [u8; 32] {
        Hash::of(&[b"simulation prekey", &self.0]).0
    }

    /// The public half under a suite.
    pub fn public_under(&self, suite: Suite) -> [u8; 32] {
        match suite {
            Suite::Ed25519 => self.public(),
            Suite::KeyedHash => self.public_for_simulation(),
        }
    }
}

fn masked(public: &[u8; 32], info: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mask = Hash::of(&[b"simulation wrap", public, info]);
    bytes
        .iter()
        .zip(mask.0)
        .map(|(byte, mask)| byte ^ mask)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(u8);
    impl Random for Counting {
        fn fill(&mut self, bytes: &mut [u8]) {
            for byte in bytes {
                self.0 = self.0.wrapping_mul(5).wrapping_add(17);
                *byte = self.0;
            }
        }
    }

    #[test]
    fn only_the_named_prekey_at_the_named_place_opens_a_wrap() {
        for suite in [Suite::Ed25519, Suite::KeyedHash] {
            let mut random = Counting(1);
            let node = SecretKey::random(&mut random);
            let secret = PrekeySecret::random(&mut random);
            let public = secret.public_under(suite);
            let bundle = PrekeyBundle::sign(suite, &node, CompanyId([5; 32]), 3, Time(1), public);
            assert!(bundle.verify(suite));
            assert!(
                !PrekeyBundle {
                    version: 4,
                    ..bundle.clone()
                }
                .verify(suite)
            );
            let key = EpochKey::random(&mut random);
            let wrapped =
                wrap(suite, &mut random, ChatId([6; 32]), 1, &key, &bundle).expect("a good prekey");
            assert_eq!(unwrap(suite, &wrapped, &secret), Some(key.clone()));
            let moved = Wrap {
                epoch: 2,
                ..wrapped.clone()
            };
            assert_ne!(unwrap(suite, &moved, &secret), Some(key.clone()));
            assert_ne!(
                unwrap(suite, &wrapped, &PrekeySecret::random(&mut random)),
                Some(key)
            );
        }
    }
}
