//! How frames lie on a session's stream: a little-endian `u32` length, then that many bytes.
//!
//! A length with the highest bit set is a control word instead: ping or pong, followed by a `u64` number. Owns encoding and
//! decoding, both pure. What a frame means is not its business.

use bytes::Bytes;

use super::event::RefusedReason;
use super::limits::MAX_FRAME_BYTES;

const CONTROL: u32 = 1 << 31;
const PING: u32 = CONTROL | 1;
const PONG: u32 = CONTROL | 2;

/// The buffer of a session that carries small frames. It grows for a larger frame and shrinks again.
const BUFFER_BYTES: usize = 64 << 10;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Frame(Bytes),
    Ping(u64),
    Pong(u64),
}

pub(super) fn put_ping(into: &mut Vec<u8>, number: u64) {
    into.extend_from_slice(&PING.to_le_bytes());
    into.extend_from_slice(&number.to_le_bytes());
}

pub(super) fn put_pong(into: &mut Vec<u8>, number: u64) {
    into.extend_from_slice(&PONG.to_le_bytes());
    into.extend_from_slice(&number.to_le_bytes());
}

/// The length word of a frame that was checked against `MAX_FRAME_BYTES` when it was queued.
pub(super) fn put_length(into: &mut Vec<u8>, frame: &[u8]) {
    let length = u32::try_from(frame.len()).expect("a queued frame is at most 1 MiB");
    into.extend_from_slice(&length.to_le_bytes());
}

/// Cuts a stream of bytes into items. It never holds more than one frame of the longest kind and one read beyond it.
#[derive(Debug)]
pub(super) struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
        }
    }

    /// Room for the next read; never empty. Grows only as bytes really arrive, not by the length that a peer declares.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.buffer.len() > BUFFER_BYTES {
                self.buffer = vec![0; BUFFER_BYTES];
            }
        } else if self.start > 0 && self.buffer.len() - self.end < BUFFER_BYTES / 4 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// `count` bytes were read into `space`.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// The next whole item, `None` if more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Item>, RefusedReason> {
        let pending = self.buffer.get(self.start..self.end).unwrap_or_default();
        let Some((word, rest)) = pending.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let word = u32::from_le_bytes(*word);
        if word & CONTROL != 0 {
            let number = rest
                .first_chunk::<8>()
                .map(|number| u64::from_le_bytes(*number));
            let item = match (word, number) {
                (PING | PONG, None) => return Ok(None),
                (PING, Some(number)) => Item::Ping(number),
                (PONG, Some(number)) => Item::Pong(number),
                _ => return Err(RefusedReason::Garbage),
            };
            self.start += 12;
            return Ok(Some(item));
        }
        let length = word as usize;
        if length > MAX_FRAME_BYTES {
            return Err(RefusedReason::FrameTooLong);
        }
        let Some(frame) = rest.get(..length) else {
            return Ok(None);
        };
        // Copied, not sliced: a node that keeps a hundred bytes must not keep the whole read buffer alive.
        let frame = Bytes::copy_from_slice(frame);
        self.start += 4 + length;
        Ok(Some(Item::Frame(frame)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], step: usize) -> Result<Vec<Item>, RefusedReason> {
        let mut decoder = Decoder::new();
        let mut items = Vec::new();
        for mut chunk in bytes.chunks(step) {
            while !chunk.is_empty() {
                let space = decoder.space();
                let count = space.len().min(chunk.len());
                space[..count].copy_from_slice(&chunk[..count]);
                decoder.filled(count);
                chunk = &chunk[count..];
                while let Some(item) = decoder.next()? {
                    items.push(item);
                }
            }
        }
        Ok(items)
    }

    #[test]
    fn items_survive_any_cut_of_the_stream() {
        let long = vec![7u8; MAX_FRAME_BYTES];
        let mut bytes = Vec::new();
        for frame in [b"" as &[u8], b"abc", &long, b"after"] {
            put_length(&mut bytes, frame);
            bytes.extend_from_slice(frame);
            put_ping(&mut bytes, 9);
        }
        put_pong(&mut bytes, u64::MAX);
        for step in [1, 3, 4_096, 65_536, bytes.len()] {
            let items = decode(&bytes, step).expect("well formed");
            let ping = || Item::Ping(9);
            let frame = |bytes: &[u8]| Item::Frame(Bytes::copy_from_slice(bytes));
            let expected = [
                frame(b""),
                ping(),
                frame(b"abc"),
                ping(),
                frame(&long),
                ping(),
                frame(b"after"),
                ping(),
                Item::Pong(u64::MAX),
            ];
            assert!(items == expected, "cut into {step}");
        }
    }

    #[test]
    fn a_long_frame_is_refused_by_its_length_alone() {
        let word = (MAX_FRAME_BYTES as u32 + 1).to_le_bytes();
        assert_eq!(decode(&word, 4), Err(RefusedReason::FrameTooLong));
        assert_eq!(
            decode(&(u32::MAX >> 1).to_le_bytes(), 4),
            Err(RefusedReason::FrameTooLong)
        );
    }

    #[test]
    fn an_unknown_control_word_is_garbage() {
        assert_eq!(
            decode(&u32::MAX.to_le_bytes(), 4),
            Err(RefusedReason::Garbage)
        );
        assert_eq!(
            decode(&CONTROL.to_le_bytes(), 4),
            Err(RefusedReason::Garbage)
        );
    }

    #[test]
    fn the_buffer_grows_with_what_arrived_and_shrinks_again() {
        let mut decoder = Decoder::new();
        decoder.space()[..4].copy_from_slice(&(MAX_FRAME_BYTES as u32).to_le_bytes());
        decoder.filled(4);
        assert_eq!(decoder.next(), Ok(None));
        decoder.space();
        assert_eq!(
            decoder.buffer.len(),
            BUFFER_BYTES,
            "a declared length reserves nothing"
        );
        let mut left = MAX_FRAME_BYTES;
        while left > 0 {
            let count = decoder.space().len().min(left);
            decoder.filled(count);
            left -= count;
        }
        assert!(matches!(decoder.next(), Ok(Some(Item::Frame(_)))));
        assert!(decoder.buffer.len() <= 2 * MAX_FRAME_BYTES + BUFFER_BYTES);
        decoder.space();
        assert_eq!(decoder.buffer.len(), BUFFER_BYTES);
    }
}
