//! Every limit of the protocol, named once, with its reason.

/// Unicode scalar values in one text: long enough for a pasted log, short enough to show.
pub const TEXT_CHARS: usize = 65_536;
/// The same text in UTF-8, four bytes a scalar value at most.
pub const TEXT_BYTES: usize = 262_144;
/// A sealed payload: the longest text, its framing and room for numbered fields.
pub const PAYLOAD_BYTES: usize = 320 * 1024;
/// One frame on a link. Larger would let one partner hold a reader's memory.
pub const FRAME_BYTES: usize = 1024 * 1024;
/// Events under one signature. A place fits a byte in indexes.
pub const ENVELOPE_EVENTS: usize = 256;
/// An envelope stops growing here, so that two always fit a frame together with their headers.
pub const ENVELOPE_PAYLOAD_BYTES: usize = 512 * 1024;
/// A header with 256 events and room for extensions.
pub const HEADER_BYTES: usize = 64 * 1024;
/// Branches of one stream that count. A ninth is a proof against the stream's owner, nothing more.
pub const STREAM_BRANCHES: usize = 8;
/// Streams of one company in one chat: each restore and each return opens one, so a hundred is decades of mishaps. All of
/// them stand in every frontier and every delivery statement, which is why it is not a thousand.
pub const STREAMS_PER_COMPANY: usize = 128;
/// A delivery statement or read register: a thousand streams, or the read frontiers of a thousand people. Two fit a frame.
pub const REGISTER_BYTES: usize = 512 * 1024;
/// An owner record: a cut that lists every stream of a company, and an acceptance.
pub const RECORD_BYTES: usize = 256 * 1024;
/// Companies in one chat. Beyond this, direct delivery between all pairs stops being sensible.
pub const CHAT_COMPANIES: usize = 32;
/// Numbered fields in one extensible part.
pub const FIELDS: usize = 64;
/// Things of one partner that wait for context: enough for a long catch-up, little enough to keep in memory.
pub const PENDING_ITEMS: usize = 4_096;
/// The bytes of those things.
pub const PENDING_BYTES: usize = 32 * 1024 * 1024;
/// Bytes sent to one partner and not yet acknowledged by a frontier.
pub const WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// A name, title or nickname as people see it.
pub const NAME_BYTES: usize = 512;
/// One emoji, with modifiers and joiners.
pub const EMOJI_BYTES: usize = 64;
/// An author refuses to sign further ahead of its own clock than this (milliseconds).
pub const CLOCK_AHEAD_MS: u64 = 5 * 60 * 1000;
/// A delivery statement is sent at once, then at most this often for a chat (milliseconds).
pub const STATEMENT_INTERVAL_MS: u64 = 200;
/// A read register is published at once, then at most this often for a chat (milliseconds).
pub const READ_INTERVAL_MS: u64 = 1_000;
/// How long a member waits for an author's own delivery to a partner it is linked with, before relaying (milliseconds).
pub const RELAY_DELAY_MS: u64 = 2_000;
/// Rejected hashes that are remembered per node, oldest forgotten first.
pub const REJECTED_REMEMBERED: usize = 16_384;
