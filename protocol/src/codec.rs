//! The one place that names the encoding crate. The layout is ours and is written down byte by byte in
//! `docs/src/spec/encoding.md`: fixed-size little-endian integers, u64 lengths, one byte for option and bool.
//!
//! Decoding is strict: a size limit, no trailing bytes, and the value must encode to the very bytes it came from.

use bincode::Options;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

/// Why bytes are not what they should be. Decided by the bytes alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("{found} bytes, at most {limit} are allowed")]
    TooLong { found: usize, limit: usize },
    #[error("malformed bytes")]
    Malformed,
    #[error("bytes are not in canonical form")]
    NotCanonical,
}

fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_little_endian()
        .reject_trailing_bytes()
}

/// Encodes a value of ours. Our own values always encode: they hold no maps, floats or unsized parts.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    options()
        .serialize(value)
        .expect("own wire types always encode")
}

/// Decodes bytes from anywhere.
pub fn decode<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    limit: usize,
) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLong {
            found: bytes.len(),
            limit,
        });
    }
    let value: T = options()
        .with_limit(limit as u64)
        .deserialize(bytes)
        .map_err(|_| CodecError::Malformed)?;
    if encode(&value) != bytes {
        return Err(CodecError::NotCanonical);
    }
    Ok(value)
}

/// Bytes that are carried as they are: a u64 length, then the bytes. Decoded in one copy rather than one by one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Blob;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A type as ours must never be: two spellings of one value.
    #[derive(Debug, PartialEq, Serialize)]
    struct Lax(bool);

    impl<'de> Deserialize<'de> for Lax {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            u8::deserialize(deserializer).map(|byte| Lax(byte != 0))
        }
    }

    #[test]
    fn a_second_spelling_is_refused() {
        assert_eq!(decode::<Lax>(&[1], 1), Ok(Lax(true)));
        assert_eq!(decode::<Lax>(&[2], 1), Err(CodecError::NotCanonical));
    }

    #[test]
    fn decoding_is_strict() {
        let bytes = encode(&(7u16, Blob(vec![1, 2, 3])));
        assert_eq!(bytes, [7, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]);
        type Pair = (u16, Blob);
        assert_eq!(decode::<Pair>(&bytes, 64), Ok((7, Blob(vec![1, 2, 3]))));
        assert_eq!(
            decode::<Pair>(&bytes, 12),
            Err(CodecError::TooLong {
                found: 13,
                limit: 12
            })
        );
        let mut trailing = bytes.clone();
        trailing.push(0);
        assert_eq!(decode::<Pair>(&trailing, 64), Err(CodecError::Malformed));
        let mut huge = bytes;
        huge[2..10].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(decode::<Pair>(&huge, 64), Err(CodecError::Malformed));
        assert_eq!(
            decode::<Vec<Blob>>(&[255; 8], 64),
            Err(CodecError::Malformed)
        );
        assert_eq!(decode::<bool>(&[2], 64), Err(CodecError::Malformed));
    }
}
