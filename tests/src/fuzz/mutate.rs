//! Mutations that know the layout of our bytes: little-endian numbers, 64-bit lengths before what they count, hashes of
//! 32 bytes that link one thing to another.
//!
//! Owns nothing but the change of bytes; which input is worth keeping is the driver's question. Seeded, so that a
//! finding can be had again.

use crossport_protocol::sim::random::Seeded;

/// Inputs do not grow beyond this by mutation: what is found with more is found with less.
const LARGEST: usize = 64 * 1024;
/// Numbers at which decoders err.
const NUMBERS: [u64; 18] = [
    0,
    1,
    2,
    7,
    16,
    32,
    33,
    64,
    255,
    256,
    257,
    65_535,
    65_536,
    1 << 20,
    1 << 31,
    1 << 32,
    1 << 63,
    u64::MAX,
];

/// A changed copy of `input`; `others` are spliced in and give hashes.
pub fn mutate(random: &mut Seeded, input: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let other = random.pick(others).map_or(&[][..], Vec::as_slice);
        once(random, &mut bytes, other);
        bytes.truncate(LARGEST.max(input.len()));
    }
    bytes
}

fn once(random: &mut Seeded, bytes: &mut Vec<u8>, other: &[u8]) {
    match random.below(16) {
        0 => flip_bit(random, bytes),
        1 => set_byte(random, bytes),
        2..=4 => set_number(random, bytes),
        5 | 6 => set_length(random, bytes),
        7..=10 => inside(random, bytes, other),
        11 => copy_hash(random, bytes, other),
        12 => plain(random, bytes, other),
        13 => bytes.truncate(random.below(bytes.len() + 1)),
        14 => {
            let tail = random_bytes(random, 9);
            bytes.extend(tail);
        }
        _ => splice(random, bytes, other),
    }
}

fn flip_bit(random: &mut Seeded, bytes: &mut [u8]) {
    let at = random.below(bytes.len().max(1));
    let bit = random.below(8);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << bit;
    }
}

fn set_byte(random: &mut Seeded, bytes: &mut [u8]) {
    let at = random.below(bytes.len().max(1));
    let value = random.word() as u8;
    if let Some(byte) = bytes.get_mut(at) {
        *byte = value;
    }
}

/// A number of 2, 4 or 8 bytes becomes one at which decoders err, or moves by one.
fn set_number(random: &mut Seeded, bytes: &mut [u8]) {
    let width = [2, 4, 8][random.below(3)];
    let at = random.below(bytes.len().max(1));
    let Some(place) = bytes.get_mut(at..at + width) else {
        return;
    };
    let mut value = [0; 8];
    value[..width].copy_from_slice(place);
    let old = u64::from_le_bytes(value);
    let new = match random.below(4) {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        _ => random.pick(&NUMBERS).copied().unwrap_or_default(),
    };
    place.copy_from_slice(&new.to_le_bytes()[..width]);
}

/// Places that look like a 64-bit length whose bytes follow: where, and how many.
fn lengths(bytes: &[u8]) -> Vec<(usize, usize)> {
    let windows = bytes.windows(8).enumerate();
    windows
        .filter_map(|(at, window)| {
            let value = u64::from_le_bytes(window.try_into().ok()?);
            let length = usize::try_from(value).ok()?;
            (length > 0 && length <= bytes.len() - at - 8).then_some((at, length))
        })
        .collect()
}

/// A length lies about what follows.
fn set_length(random: &mut Seeded, bytes: &mut [u8]) {
    let found = lengths(bytes);
    let Some(&(at, length)) = random.pick(&found) else {
        return;
    };
    let left = (bytes.len() - at - 8) as u64;
    let lie = [
        length as u64 + 1,
        length as u64 - 1,
        left,
        left + 1,
        u64::MAX,
        1 << 40,
        1 << 20,
        0,
    ][random.below(8)];
    bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
}

/// Changes what a length counts and makes it, and the lengths around it, true again.
fn inside(random: &mut Seeded, bytes: &mut Vec<u8>, other: &[u8]) {
    let found = lengths(bytes);
    let Some(&(at, length)) = random.pick(&found) else {
        return plain(random, bytes, other);
    };
    let from = at + 8;
    let mut part = bytes[from..from + length].to_vec();
    if random.one_in(4) {
        // A chance for what lies deeper.
        inside(random, &mut part, other);
    } else {
        plain(random, &mut part, other);
    }
    let grown = part.len() as i64 - length as i64;
    for &(around, counted) in &found {
        let holds = around < at && around + 8 + counted >= from + length;
        if (holds || around == at) && !overlaps(around, at) {
            let new = (counted as i64 + grown).max(0) as u64;
            bytes[around..around + 8].copy_from_slice(&new.to_le_bytes());
        }
    }
    bytes.splice(from..from + length, part);
}

/// Two readings of nearly the same eight bytes: only one of them is a length.
fn overlaps(one: usize, other: usize) -> bool {
    one != other && one.abs_diff(other) < 8
}

/// A change without regard to layout.
fn plain(random: &mut Seeded, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(bytes.len() + 1);
    let length = random.below((bytes.len() - at).min(64) + 1);
    match random.below(8) {
        0 => flip_bit(random, bytes),
        1 => set_number(random, bytes),
        2 => drop(bytes.drain(at..at + length)),
        3 => {
            let new = random_bytes(random, 24);
            bytes.splice(at..at, new);
        }
        4 => {
            let twice = bytes[at..at + length].to_vec();
            bytes.splice(at..at, twice);
        }
        5 => {
            let strange = [
                "\u{202e}", "\u{200b}", "\0", "\n", "é", "👍", "\u{212a}", "ſ",
            ];
            let text = random.pick(&strange).copied().unwrap_or_default();
            bytes.splice(at..at, text.bytes());
        }
        6 => copy_hash(random, bytes, other),
        _ => set_byte(random, bytes),
    }
}

/// A link to another thing: 16 or 32 bytes from elsewhere.
fn copy_hash(random: &mut Seeded, bytes: &mut [u8], other: &[u8]) {
    let length = [16, 32][random.below(2)];
    let own = bytes.to_vec();
    let source = if random.one_in(2) { &own } else { other };
    let (from, to) = (
        random.below(source.len().max(1)),
        random.below(bytes.len().max(1)),
    );
    if let (Some(hash), Some(place)) = (
        source.get(from..from + length),
        bytes.get_mut(to..to + length),
    ) {
        place.copy_from_slice(hash);
    }
}

fn splice(random: &mut Seeded, bytes: &mut Vec<u8>, other: &[u8]) {
    bytes.truncate(random.below(bytes.len() + 1));
    let from = random.below(other.len() + 1);
    bytes.extend_from_slice(&other[from..]);
}

fn random_bytes(random: &mut Seeded, below: usize) -> Vec<u8> {
    let count = random.below(below);
    (0..count).map(|_| random.word() as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossport_protocol::codec::{self, Blob};

    #[test]
    fn nested_lengths_stay_true_often_enough() {
        let inner = codec::encode(&(7u16, Blob(vec![1; 40])));
        let outer = codec::encode(&(Blob(inner), Blob(vec![2; 60])));
        let mut random = Seeded::new(5);
        type Outer = (Blob, Blob);
        let deep = (0..2_000)
            .filter(|_| {
                let mut bytes = outer.clone();
                inside(&mut random, &mut bytes, &[]);
                let decoded = codec::decode::<Outer>(&bytes, 4_096).ok();
                let inner = decoded
                    .and_then(|(inner, _)| codec::decode::<(u16, Blob)>(&inner.0, 4_096).ok());
                bytes.len() != outer.len() && inner.is_some_and(|(_, blob)| blob.0.len() != 40)
            })
            .count();
        assert!(
            deep > 20,
            "only {deep} of 2,000 changed the innermost list and kept all lengths true"
        );
    }
}
