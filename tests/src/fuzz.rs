//! Fuzz targets: every decoder of bytes that others wrote, as a plain function over bytes.
//!
//! Owns the list of targets and what each of them promises. A target panics when a promise is broken and says otherwise
//! what became of the input. It must not know who feeds it: `tests/tests/fuzz_replay.rs` replays the kept inputs and
//! mutates them for some seconds in every run, `tests/fuzz` feeds the same functions from libFuzzer with coverage.

pub mod disk;
pub mod drive;
pub mod mutate;
pub mod seeds;
pub mod signed;
pub mod wire;

use std::path::PathBuf;

/// What became of an input that broke no promise: taken, or refused for this reason.
pub type Outcome = Result<(), String>;

/// One decoder under test.
#[derive(Clone, Copy)]
pub struct Target {
    /// Also the name of the folder of its kept inputs.
    pub name: &'static str,
    pub run: fn(&[u8]) -> Outcome,
    /// Memory that decoding may take for each byte of the input, at its peak.
    pub bytes_per_byte: usize,
    /// Memory beyond that: what does not depend on the input.
    pub bytes_fixed: usize,
}

/// A list whose declared length lies may reserve up to 1 MiB before its first element is read (serde's own bound), and
/// lists nest three deep.
const RESERVED_BY_LISTS: usize = 4 << 20;
/// An empty list or text is 8 bytes on the wire and 24 in memory, a growing list reserves twice that, and strictness
/// encodes once more.
const LIST_GROWTH: usize = 16;
/// A replicator of three companies with its log, cloned for every input.
const WORLD_BYTES: usize = 16 << 20;

const fn wire(name: &'static str, run: fn(&[u8]) -> Outcome) -> Target {
    Target {
        name,
        run,
        bytes_per_byte: LIST_GROWTH,
        bytes_fixed: RESERVED_BY_LISTS,
    }
}

const fn world(name: &'static str, run: fn(&[u8]) -> Outcome) -> Target {
    Target {
        name,
        run,
        // Each frame is decoded, stored, kept for a restart and answered.
        bytes_per_byte: 16 * LIST_GROWTH,
        bytes_fixed: WORLD_BYTES,
    }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    wire("frame", wire::frame),
    wire("envelope", wire::envelope),
    wire("envelope_header", wire::envelope_header),
    wire("owner_record", wire::owner_record),
    wire("owner_body", wire::owner_body),
    wire("acceptance", wire::acceptance),
    wire("identity_record", wire::identity_record),
    wire("event", wire::event),
    wire("fold", wire::fold),
    wire("statement", wire::statement),
    wire("read_register", wire::read_register),
    wire("read_entries", wire::read_entries),
    wire("wrap", wire::wrap),
    wire("ticket", wire::ticket),
    wire("ticket_content", wire::ticket_content),
    wire("pair_request", wire::pair_request),
    wire("pair_reply", wire::pair_reply),
    wire("address", wire::address),
    wire("envelope_signed", signed::envelope),
    wire("owner_log", signed::owner_log),
    wire("identity_log", signed::identity_log),
    world("link", signed::link),
    wire("journal", disk::journal),
    wire("registers", disk::registers),
    wire("anchor", disk::anchor),
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The kept inputs: one folder a target.
pub fn corpus_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({})", self.name)
    }
}
