//! Every bound of the network, in one place, with its reason.
//!
//! Owns numbers only. They are a struct rather than constants alone so that tests can wait for milliseconds where a node waits
//! for seconds; a node runs with `NetworkLimits::default()`.
//!
//! What they bound together: strangers can make this node hold at most `stranger_connections` x (`stranger_streams` + 4) x
//! 256 KiB (64 MiB) of unread bytes. All partners together can make it hold `event_bytes` of received frames while the node
//! above is slow, each of them `inbox_bytes` of that, and each 8 MiB of unread bytes on a connection and `queue_bytes` of
//! frames that it does not read.

use std::time::Duration;

/// The longest frame of a session. Larger things are split above, so that nothing blocks a link for long.
/// The protocol says how long.
pub const MAX_FRAME_BYTES: usize = crossport_protocol::limits::FRAME_BYTES;

/// The longest pairing request or answer: a ticket, an identity log and prekeys fit many times.
pub const MAX_PAIR_BYTES: usize = crossport_protocol::pairing::PAIRING_BYTES;

/// By how much the windows of one partner's TCP connection may grow together beyond the first 256 KiB of each stream. The
/// multiplexer's own default is 1 GiB. At 100 ms of round trip a session still carries 40 MB/s.
pub(super) const PARTNER_GROWTH_BYTES: usize = 4 << 20;

/// The same for QUIC, where it cannot depend on who the peer is.
pub(super) const QUIC_WINDOW_BYTES: u32 = 4 << 20;
pub(super) const QUIC_STREAM_WINDOW_BYTES: u32 = 2 << 20;

/// Streams that a partner may have opened at once: session, pairing, identify, and room for blobs.
pub(super) const PARTNER_STREAMS: usize = 12;

#[derive(Debug, Clone)]
pub struct NetworkLimits {
    /// Connections of all kinds. Descriptors are the scarce thing: a usual soft limit is 1,024. Partners are never refused by it.
    pub connections: u32,
    /// Inbound connections that have not yet proved who they are; each costs a task and a handshake.
    pub pending_inbound: u32,
    /// Outbound connections being dialled at once; the rest wait their turn.
    pub pending_outbound: u32,
    /// Connections of one partner: two cross when both dial, the rest is room for a partner that restarts often.
    pub partner_connections: usize,
    /// Connections of peers that are no partners, and of one of them. They are here to pair and leave.
    pub stranger_connections: usize,
    pub stranger_connections_per_peer: usize,
    /// Streams that a stranger may have opened at once: identify and one pairing request.
    pub stranger_streams: usize,
    /// Partners kept connected.
    pub partners: usize,

    /// New inbound connections from one IP address: a burst, then a rate. A handshake costs about a millisecond of a core.
    pub address_burst: u32,
    pub address_per_second: u32,
    /// Streams that a peer may open on one connection: a burst, then a rate. Sessions live long, so a peer needs a handful.
    pub stream_burst: u32,
    pub stream_per_second: u32,

    /// Frames waiting to be written to one partner. A few seconds of catch-up on a slow line; the log, not this queue, is the
    /// outbox, so refusing more loses nothing.
    pub queue_bytes: usize,
    pub queue_frames: usize,
    /// Frames of one partner that the node above has not done with. One frame of the longest kind and as much again: a
    /// partner that sends faster than it is served waits, and takes nothing from the others.
    pub inbox_bytes: usize,
    /// Events waiting to be taken by the node above, in bytes of frames and in number, over all partners.
    pub event_bytes: usize,
    pub events: usize,
    /// Commands waiting for the network's own task.
    pub commands: usize,

    /// From the first byte to a proven, multiplexed connection.
    pub handshake: Duration,
    /// From the connection to an agreed session; a stream that is opened and silent ends here.
    pub session_handshake: Duration,
    /// A stranger's connection lives no longer than this, idle or not; idle it is closed after `stranger_idle`.
    pub stranger_lifetime: Duration,
    pub stranger_idle: Duration,
    /// A write that makes no progress at all for this long ends the link.
    pub write_stall: Duration,
    /// A link on which nothing was heard for this long is dead. The other side says something at least every `ping_every`.
    pub silence: Duration,
    pub ping_every: Duration,
    /// How long a graceful stop may take to write what is queued.
    pub drain: Duration,

    /// Pairing requests of all strangers together: a burst, then a rate, and how many are being decided at once.
    pub pair_burst: u32,
    pub pair_per_second: u32,
    pub pair_concurrent: usize,
    /// The share of one IP address in that, so that one stranger cannot keep all others from pairing.
    pub pair_address_burst: u32,
    pub pair_address_per_minute: u32,
    /// One pairing request from open to answer, on either side.
    pub pair_deadline: Duration,

    /// The pause before the first and the longest pause between dials of one partner.
    pub redial_first: Duration,
    pub redial_longest: Duration,
    /// Two sessions that begin within this time, one dialled by each side, are one simultaneous dial: the first one stays.
    pub simultaneous: Duration,
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            pending_inbound: 128,
            pending_outbound: 64,
            partner_connections: 8,
            stranger_connections: 32,
            stranger_connections_per_peer: 2,
            stranger_streams: 4,
            partners: 1_024,
            address_burst: 100,
            address_per_second: 20,
            stream_burst: 64,
            stream_per_second: 16,
            queue_bytes: 8 << 20,
            queue_frames: 16_384,
            inbox_bytes: 2 << 20,
            event_bytes: 32 << 20,
            events: 4_096,
            commands: 256,
            handshake: Duration::from_secs(10),
            session_handshake: Duration::from_secs(10),
            stranger_lifetime: Duration::from_secs(20),
            stranger_idle: Duration::from_secs(3),
            write_stall: Duration::from_secs(30),
            silence: Duration::from_secs(15),
            ping_every: Duration::from_secs(5),
            drain: Duration::from_secs(2),
            pair_burst: 60,
            pair_per_second: 2,
            pair_concurrent: 16,
            pair_address_burst: 30,
            pair_address_per_minute: 10,
            pair_deadline: Duration::from_secs(10),
            redial_first: Duration::from_millis(200),
            redial_longest: Duration::from_secs(60),
            simultaneous: Duration::from_secs(3),
        }
    }
}
