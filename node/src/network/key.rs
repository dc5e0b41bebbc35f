//! The name of a node on the network: its ed25519 public key.
//!
//! Owns the mapping between our key and libp2p's peer id, so that no other module ever sees a peer id. It knows nothing of
//! companies: which company a node belongs to is decided above.

use std::fmt;

use libp2p::PeerId;
use libp2p::identity::{PublicKey, ed25519};

/// An ed25519 public key that names a node. The transport proves that the other end holds the secret half.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey(pub [u8; 32]);

/// The 32 bytes are not a point on the curve, so nobody can prove to hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an ed25519 public key")]
pub struct InvalidKey(pub NodeKey);

impl NodeKey {
    pub(super) fn peer_id(self) -> Result<PeerId, InvalidKey> {
        let key = ed25519::PublicKey::try_from_bytes(&self.0).map_err(|_| InvalidKey(self))?;
        Ok(PublicKey::from(key).to_peer_id())
    }

    /// `None` if the peer uses another kind of key: such a peer can never be a partner.
    pub(super) fn of_peer(peer: &PeerId) -> Option<Self> {
        // A peer id of an ed25519 key is an identity multihash (code 0) of the encoded key itself.
        let hash = peer.as_ref();
        if hash.code() != 0 {
            return None;
        }
        let key = PublicKey::try_decode_protobuf(hash.digest()).ok()?;
        Some(Self(key.try_into_ed25519().ok()?.to_bytes()))
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Eight bytes tell nodes apart in a log line; the whole key only makes it unreadable.
        write!(
            f,
            "NodeKey({}..)",
            hex::encode(self.0.get(..8).unwrap_or_default())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::identity::Keypair;

    #[test]
    fn a_key_survives_the_way_through_a_peer_id() {
        let pair = Keypair::ed25519_from_bytes([7u8; 32]).expect("any 32 bytes are a secret key");
        let peer = pair.public().to_peer_id();
        let key = NodeKey::of_peer(&peer).expect("an ed25519 peer id holds its key");
        assert_eq!(key.peer_id(), Ok(peer));
    }

    #[test]
    fn bytes_off_the_curve_are_refused() {
        let bad = NodeKey([2; 32]);
        assert_eq!(bad.peer_id(), Err(InvalidKey(bad)));
    }

    #[test]
    fn a_hashed_peer_id_is_no_node_key() {
        assert_eq!(NodeKey::of_peer(&PeerId::random()), None);
    }
}
