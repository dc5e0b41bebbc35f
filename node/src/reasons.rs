//! What errors say to people: from the types of this node to texts of the catalogue.
//!
//! Owns the choice of words where a person can do something about the cause. What only an expert can use (positions, hashes, what a
//! decoder met) keeps the words of its type, in English. It must not decide anything: no code, no exit, no next step.

use std::io;

use crossport_protocol::event::ContentError;
use crossport_protocol::pairing::{PREFIX, TicketError};
use crossport_protocol::replicator::{AppendError, OwnerActError};

use crate::api::ServeError;
use crate::api::facade::Text;
use crate::journal::JournalError;
use crate::keystore::KeystoreError;
use crate::network::{DialFailure, NetworkError, PairError, PingError};
use crate::node::{InitError, NAME_CHARS_MAX, NodeError};
use crate::registers::RegistersError;
use crate::store::StoreError;

/// An answer of the operating system. What people meet has words of ours, the rest those of the system.
pub fn system(error: &io::Error) -> Text {
    use io::ErrorKind;
    Text::key(match error.kind() {
        ErrorKind::NotFound => "reason-not-found",
        ErrorKind::PermissionDenied => "reason-permission-denied",
        ErrorKind::AddrInUse => "reason-address-in-use",
        ErrorKind::AddrNotAvailable => "reason-address-not-here",
        ErrorKind::ConnectionRefused => "reason-nobody-listens",
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
            "reason-connection-broke"
        }
        ErrorKind::TimedOut => "reason-no-answer",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "reason-disk-full",
        ErrorKind::ReadOnlyFilesystem => "reason-disk-read-only",
        ErrorKind::NotADirectory => "reason-not-a-folder",
        ErrorKind::IsADirectory => "reason-is-a-folder",
        ErrorKind::AlreadyExists => "reason-already-there",
        _ => return Text::verbatim(error.to_string()),
    })
}

/// Why a node did not start or had to stop.
pub fn node(error: &NodeError) -> Text {
    if error.is_in_use() {
        return Text::key("reason-node-runs");
    }
    match error {
        NodeError::Init(InitError::NoName) => Text::key("reason-no-name"),
        NodeError::Init(InitError::BadName) => {
            Text::key("reason-bad-name").with("limit", NAME_CHARS_MAX as u64)
        }
        NodeError::Init(InitError::Keys(error)) | NodeError::Keys(error) => keys(error),
        NodeError::Init(InitError::File { cause, .. }) | NodeError::File { cause, .. } => {
            system(cause)
        }
        NodeError::Identity(_) => Text::key("reason-identity-damaged"),
        NodeError::Network(NetworkError::Listen {
            address,
            transport,
            cause,
        }) => Text::key("reason-cannot-listen")
            .with("address", format!("{address} ({transport})"))
            .with("cause", system(cause)),
        NodeError::Api(ServeError::Listen { address, source }) => Text::key("reason-cannot-listen")
            .with("address", address.as_str())
            .with("cause", system(source)),
        NodeError::Api(ServeError::PlainBeyondLoopback(address)) => {
            Text::key("reason-plain-http").with("address", address.to_string())
        }
        NodeError::Store(error) => store(error),
        NodeError::Network(error) => Text::verbatim(error.to_string()),
        NodeError::Core => Text::key("reason-core-ended"),
    }
}

fn keys(error: &KeystoreError) -> Text {
    match error {
        KeystoreError::Io { cause, .. } => system(cause),
        KeystoreError::Permissions { mode, .. } => {
            Text::key("reason-keys-readable").with("mode", format!("{mode:03o}"))
        }
        KeystoreError::NotAKeyring(_) => Text::key("reason-keys-damaged"),
        KeystoreError::WrongPassphrase(_) => Text::key("reason-wrong-passphrase"),
        KeystoreError::NeedsPassphrase => Text::key("reason-needs-passphrase"),
        KeystoreError::Registers(error) => registers(error),
        KeystoreError::Hash(_) => Text::verbatim(error.to_string()),
    }
}

fn store(error: &StoreError) -> Text {
    match error {
        StoreError::Full => Text::key("reason-disk-full"),
        StoreError::Registers(error) => registers(error),
        StoreError::Journal(error) => match error {
            JournalError::WrongKey { .. } | JournalError::Foreign { .. } => {
                Text::key("reason-foreign-store")
            }
            JournalError::NewerFormat { .. } => Text::key("reason-newer-format"),
            JournalError::ReadOnly { source, .. } | JournalError::Io { source, .. } => {
                system(source)
            }
            JournalError::Full => Text::key("reason-disk-full"),
            _ => Text::verbatim(error.to_string()),
        },
        _ => Text::verbatim(error.to_string()),
    }
}

fn registers(error: &RegistersError) -> Text {
    match error {
        RegistersError::WrongKey { .. } => Text::key("reason-foreign-store"),
        RegistersError::NewerFormat { .. } => Text::key("reason-newer-format"),
        RegistersError::Full => Text::key("reason-disk-full"),
        RegistersError::ReadOnly { source, .. } | RegistersError::Io { source, .. } => {
            system(source)
        }
        _ => Text::verbatim(error.to_string()),
    }
}

/// Why the node that made a ticket gave no answer.
pub fn pairing(error: &PairError) -> Option<Text> {
    Some(match error {
        PairError::Dial(failure) => return dialling(failure),
        PairError::Busy => Text::key("reason-pairing-busy"),
        PairError::Deadline => Text::key("reason-no-answer"),
        PairError::NoAnswer(_) => Text::key("reason-connection-broke"),
        PairError::InvalidKey(_) | PairError::TooLong | PairError::Stopped => return None,
    })
}

fn dialling(failure: &DialFailure) -> Option<Text> {
    Some(Text::key(match failure {
        DialFailure::NoAddress => "reason-no-address",
        DialFailure::Unreachable(_) => "reason-nobody-answers",
        DialFailure::WrongNode { .. } => "reason-another-node",
        DialFailure::ThisNode => "reason-this-node",
        DialFailure::NotApproved => "reason-not-approved",
        DialFailure::Paused => "reason-paused-there",
        DialFailure::TooManyConnections => "reason-too-many-connections",
        DialFailure::Handshake(_) => return None,
    }))
}

/// Why a partner's node was not measured.
pub fn ping(error: &PingError) -> Text {
    Text::key(match error {
        PingError::NotConnected => "reason-not-connected",
        PingError::NoAnswer => "reason-no-answer",
    })
}

/// Why a text is no ticket; the catalogue knows the usual reason.
pub fn ticket(error: &TicketError) -> Option<Text> {
    match error {
        TicketError::Prefix => Some(Text::key("reason-ticket-prefix").with("prefix", PREFIX)),
        TicketError::Checksum | TicketError::Codec(_) | TicketError::Shape => None,
    }
}

/// Why an act on a chat was not done.
pub fn owner_act(error: &OwnerActError) -> Option<Text> {
    Some(Text::key(match error {
        OwnerActError::NotOwner => "reason-not-owner",
        OwnerActError::Unsure => "reason-restored-unsure",
        OwnerActError::NoKey => "reason-no-chat-key",
        OwnerActError::NeedsNewerVersion => "reason-chat-needs-newer",
        OwnerActError::NoChat | OwnerActError::Record(_) => return None,
    }))
}

/// Why something could not be written into a chat.
pub fn append(error: &AppendError) -> Option<Text> {
    Some(match error {
        AppendError::NotMember => Text::key("reason-not-member"),
        AppendError::NoKey => Text::key("reason-no-chat-key"),
        AppendError::NeedsNewerVersion => Text::key("reason-chat-needs-newer"),
        AppendError::TooManyHeads(_) => Text::key("reason-too-many-streams"),
        AppendError::Content(content) => return self::content(content),
        AppendError::TooLong { found, limit } => Text::key("reason-too-many-bytes")
            .with("found", *found as u64)
            .with("limit", *limit as u64),
        AppendError::NoChat | AppendError::ClockBehind | AppendError::Refused(_) => return None,
    })
}

fn content(error: &ContentError) -> Option<Text> {
    Some(match error {
        ContentError::Empty => Text::key("reason-empty"),
        ContentError::TooLong { found, limit } => Text::key("reason-too-many-characters")
            .with("found", *found as u64)
            .with("limit", *limit as u64),
        ContentError::Control(character) => {
            Text::key("reason-control-character").with("character", format!("U+{character:04X}"))
        }
        ContentError::NotAnEmoji(_) => Text::key("reason-not-an-emoji"),
        ContentError::Codec(_) | ContentError::Shape(_) => return None,
    })
}
