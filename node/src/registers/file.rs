//! The bytes of a register file: header, sealed entries, and reading a file that may be torn or damaged.
//!
//! It opens no file: it turns bytes into a map and changes into bytes.

use std::collections::BTreeMap;
use std::path::Path;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{DamagedEntry, MAX_KEY_BYTES, MAX_VALUE_BYTES, RegistersError};
use crate::journal::Fields;

/// Length of both header copies.
pub(super) const HEADER: u64 = 2 * HEADER_COPY as u64;

const VERSION: u16 = 1;
const HEADER_COPY: usize = 64;
const HEADER_CRC_OFFSET: usize = 48;
const FILE_MAGIC: [u8; 8] = *b"XPREGIS1";
const ENTRY_MAGIC: [u8; 4] = *b"XPE1";
const ENTRY_HEADER: usize = 28;
const ENTRY_CRC_OFFSET: usize = 24;
const LAST_OF_BATCH: u32 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;
const INNER_FIXED: usize = 5;
const LARGEST_PAYLOAD: usize = NONCE + TAG + INNER_FIXED + MAX_KEY_BYTES + MAX_VALUE_BYTES;

/// Seals and opens the entries of one file.
pub(super) struct Codec {
    cipher: XChaCha20Poly1305,
    tag_key: Zeroizing<[u8; 32]>,
    key_check: [u8; 16],
    file_id: [u8; 16],
}

/// What a file contained.
pub(super) struct Loaded {
    pub codec: Codec,
    pub map: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where the last whole batch ends.
    pub length: u64,
    pub torn_bytes: u64,
    pub damaged: Vec<DamagedEntry>,
}

impl Loaded {
    pub fn empty(codec: Codec) -> Loaded {
        Loaded {
            codec,
            map: BTreeMap::new(),
            length: HEADER,
            torn_bytes: 0,
            damaged: Vec::new(),
        }
    }
}

/// Bytes that an entry takes.
pub(super) fn entry_length(key: &[u8], value: Option<&[u8]>) -> u64 {
    (ENTRY_HEADER + NONCE + TAG + INNER_FIXED + key.len() + value.map_or(0, <[u8]>::len)) as u64
}

impl Codec {
    /// For a new file.
    pub fn new(key: &[u8; 32]) -> Result<Codec, RegistersError> {
        Ok(Codec::of_file(key, random()?))
    }

    /// The same keys for another new file: with a new id no entry of the old file passes in it.
    pub fn renewed(&self) -> Result<Codec, RegistersError> {
        let (cipher, tag_key) = (self.cipher.clone(), self.tag_key.clone());
        Ok(Codec {
            cipher,
            tag_key,
            key_check: self.key_check,
            file_id: random()?,
        })
    }

    pub fn header(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(HEADER_COPY);
        copy.extend_from_slice(&FILE_MAGIC);
        copy.extend_from_slice(&VERSION.to_le_bytes());
        copy.extend_from_slice(&[0; 6]);
        copy.extend_from_slice(&self.file_id);
        copy.extend_from_slice(&self.key_check);
        let crc = crc32fast::hash(&copy);
        copy.extend_from_slice(&crc.to_le_bytes());
        copy.resize(HEADER_COPY, 0);
        copy.repeat(2)
    }

    /// Appends an entry to `out`, whose first byte will stand at `start` of the file.
    pub fn encode(
        &self,
        out: &mut Vec<u8>,
        start: u64,
        is_last: bool,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), RegistersError> {
        let offset = start + out.len() as u64;
        let nonce: [u8; NONCE] = random()?;
        let mut inner = Zeroizing::new(Vec::with_capacity(
            INNER_FIXED + key.len() + value.map_or(0, <[u8]>::len),
        ));
        inner.extend_from_slice(&(key.len() as u32).to_le_bytes());
        inner.push(u8::from(value.is_some()));
        inner.extend_from_slice(key);
        inner.extend_from_slice(value.unwrap_or_default());
        let context = self.context(offset);
        let tag = self
            .cipher
            .encrypt_inout_detached(&XNonce::from(nonce), &context, inner.as_mut_slice().into())
            .expect("entries are far below the cipher's limit of 256 GiB");
        let payload = [&nonce[..], &inner[..], &tag[..]].concat();
        let mut header = Vec::with_capacity(ENTRY_HEADER);
        header.extend_from_slice(&ENTRY_MAGIC);
        header.extend_from_slice(&(if is_last { LAST_OF_BATCH } else { 0 }).to_le_bytes());
        header.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        header.extend_from_slice(&self.tag_of(key));
        header.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
        let crc = self.header_crc(offset, &header);
        header.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(&payload);
        Ok(())
    }

    fn of_file(key: &[u8; 32], file_id: [u8; 16]) -> Codec {
        let cipher_key = derive(b"crossport registers entry key 1", key);
        let check = derive(b"crossport registers key check 1", key);
        let mut key_check = [0; 16];
        key_check.copy_from_slice(&check[..16]);
        let tag_key = derive(b"crossport registers tagging key", key);
        Codec {
            cipher: XChaCha20Poly1305::new((&*cipher_key).into()),
            tag_key,
            key_check,
            file_id,
        }
    }

    fn open(&self, offset: u64, payload: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let (nonce, rest) = payload.split_first_chunk::<NONCE>()?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>()?;
        let mut inner = Zeroizing::new(ciphertext.to_vec());
        let context = self.context(offset);
        self.cipher
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &context,
                inner.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .ok()?;
        let mut fields = Fields(&inner);
        let key_length = usize::try_from(fields.u32()?).ok()?;
        let [has_value] = fields.array()?;
        let key = fields.bytes(key_length)?.to_vec();
        Some((key, (has_value != 0).then(|| fields.0.to_vec())))
    }

    fn entry_header(&self, bytes: &[u8], offset: u64) -> Option<EntryHeader> {
        let rest = bytes.get(usize::try_from(offset).ok()?..)?;
        let mut fields = Fields(rest);
        if fields.array::<4>()? != ENTRY_MAGIC {
            return None;
        }
        let (flags, length) = (fields.u32()?, fields.u32()? as usize);
        let (tag, payload_crc, crc) = (fields.array()?, fields.u32()?, fields.u32()?);
        let sound = length <= LARGEST_PAYLOAD
            && crc == self.header_crc(offset, rest.get(..ENTRY_CRC_OFFSET)?);
        sound.then_some(EntryHeader {
            is_last: flags & LAST_OF_BATCH != 0,
            length,
            tag,
            payload_crc,
        })
    }

    fn header_crc(&self, offset: u64, header: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.file_id);
        hasher.update(&offset.to_le_bytes());
        hasher.update(header);
        hasher.finalize()
    }

    /// Binds an entry to its file and place.
    fn context(&self, offset: u64) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&self.file_id);
        bytes[16..].copy_from_slice(&offset.to_le_bytes());
        bytes
    }

    fn tag_of(&self, key: &[u8]) -> [u8; 8] {
        let mut hasher = Sha256::new();
        hasher.update(*self.tag_key);
        hasher.update(key);
        let digest: [u8; 32] = hasher.finalize().into();
        let mut tag = [0; 8];
        tag.copy_from_slice(&digest[..8]);
        tag
    }
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Codec")
    }
}

/// Reads a whole file.
pub(super) fn load(bytes: &[u8], key: &[u8; 32], folder: &Path) -> Result<Loaded, RegistersError> {
    let codec = read_header(bytes, key, folder)?;
    let mut loading = Loading {
        codec: &codec,
        bytes,
        offset: HEADER,
        pending: Vec::new(),
        state: State::default(),
    };
    loading.run();
    let State { map, damaged, end } = loading.state;
    let damaged = damaged
        .into_iter()
        .map(|(offset, tag)| {
            let named = tag.and_then(|tag| map.keys().find(|key| codec.tag_of(key) == tag));
            DamagedEntry {
                offset,
                key: named.cloned(),
            }
        })
        .collect();
    let length = end.max(HEADER);
    let torn_bytes = (bytes.len() as u64).saturating_sub(length);
    Ok(Loaded {
        codec,
        map,
        length,
        torn_bytes,
        damaged,
    })
}

struct EntryHeader {
    is_last: bool,
    length: usize,
    tag: [u8; 8],
    payload_crc: u32,
}

#[derive(Default)]
struct State {
    map: BTreeMap<Vec<u8>, Vec<u8>>,
    damaged: Vec<(u64, Option<[u8; 8]>)>,
    end: u64,
}

struct Loading<'a> {
    codec: &'a Codec,
    bytes: &'a [u8],
    offset: u64,
    /// Entries of a batch whose last entry has not been met.
    pending: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    state: State,
}

impl Loading<'_> {
    fn run(&mut self) {
        while self.offset < self.bytes.len() as u64 {
            match self.codec.entry_header(self.bytes, self.offset) {
                Some(header) => {
                    if !self.entry(&header) {
                        return;
                    }
                }
                None => {
                    if !self.skip() {
                        return;
                    }
                }
            }
        }
    }

    /// Takes one entry; false if the file ends inside it.
    fn entry(&mut self, header: &EntryHeader) -> bool {
        let start = self.offset as usize + ENTRY_HEADER;
        let Some(payload) = self.bytes.get(start..start + header.length) else {
            return false;
        };
        let opened = Some(payload).filter(|payload| crc32fast::hash(payload) == header.payload_crc);
        match opened.and_then(|payload| self.codec.open(self.offset, payload)) {
            Some(change) => self.pending.push(change),
            None => self.state.damaged.push((self.offset, Some(header.tag))),
        }
        self.offset += (ENTRY_HEADER + header.length) as u64;
        if header.is_last {
            self.apply();
        }
        true
    }

    /// Goes on to the next entry behind a damaged header; false if the rest of the file was never written.
    fn skip(&mut self) -> bool {
        let from = self.offset;
        let rest = self.bytes.get(from as usize..).unwrap_or_default();
        let next = (from + 1..self.bytes.len() as u64).find(|offset| {
            let at = self.bytes.get(*offset as usize..).unwrap_or_default();
            at.starts_with(&ENTRY_MAGIC) && self.codec.entry_header(self.bytes, *offset).is_some()
        });
        let never_written = rest.len() < ENTRY_HEADER || rest.iter().all(|byte| *byte == 0);
        match next {
            Some(next) => {
                self.state.damaged.push((from, None));
                self.offset = next;
                true
            }
            None if never_written => false,
            None => {
                // What the batch has before the damage was written, and so was what is damaged.
                self.state.damaged.push((from, None));
                self.apply();
                self.offset = self.bytes.len() as u64;
                false
            }
        }
    }

    fn apply(&mut self) {
        for (key, value) in self.pending.drain(..) {
            match value {
                Some(value) => self.state.map.insert(key, value),
                None => self.state.map.remove(&key),
            };
        }
        self.state.end = self.offset;
    }
}

fn read_header(bytes: &[u8], key: &[u8; 32], folder: &Path) -> Result<Codec, RegistersError> {
    let mut newer = None;
    for copy in bytes.chunks(HEADER_COPY).take(2) {
        let Some((version, file_id, key_check)) = header_copy(copy) else {
            continue;
        };
        if version != VERSION {
            newer = Some(version);
            continue;
        }
        let codec = Codec::of_file(key, file_id);
        if codec.key_check != key_check {
            return Err(RegistersError::WrongKey {
                folder: folder.to_owned(),
            });
        }
        return Ok(codec);
    }
    match newer {
        Some(version) => Err(RegistersError::NewerFormat { version }),
        None => Err(RegistersError::Unreadable {
            folder: folder.to_owned(),
        }),
    }
}

fn header_copy(copy: &[u8]) -> Option<(u16, [u8; 16], [u8; 16])> {
    let mut fields = Fields(copy);
    if fields.array::<8>()? != FILE_MAGIC {
        return None;
    }
    let version = u16::from_le_bytes(fields.array()?);
    fields.array::<6>()?;
    let (file_id, key_check) = (fields.array()?, fields.array()?);
    let crc = crc32fast::hash(copy.get(..HEADER_CRC_OFFSET)?);
    (fields.u32()? == crc).then_some((version, file_id, key_check))
}

/// The one-step derivation of NIST SP 800-56C over SHA-256, all inputs of fixed length.
fn derive(label: &[u8; 31], key: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let mut hasher = Sha256::new();
    hasher.update(1_u32.to_be_bytes());
    hasher.update(key);
    hasher.update(label);
    Zeroizing::new(hasher.finalize().into())
}

fn random<const N: usize>() -> Result<[u8; N], RegistersError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(RegistersError::Randomness)?;
    Ok(bytes)
}
