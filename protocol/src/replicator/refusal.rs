//! Why something of a partner is not taken: every reason, what may be taken later, and what no honest node sends.
//!
//! Owns names and meanings only; the rules themselves are where they are checked.

use crate::envelope::EnvelopeError;
use crate::identity::IdentityError;
use crate::owner_log::RecordError;
use crate::stream::ChainError;

/// Why something was not taken. Typed, counted, visible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Envelope(EnvelopeError),
    #[error(transparent)]
    Record(RecordError),
    #[error(transparent)]
    Identity(IdentityError),
    #[error("the identity of a company that nothing here names")]
    IdentityNotNeeded,
    #[error("it was refused before")]
    RejectedBefore,
    #[error("the chat is not shared with this company")]
    NotShared,
    #[error("the envelope names another chat than its frame")]
    OtherChat,
    #[error("its author's company did not take part at the position it cites")]
    NotMember,
    #[error("it cites an owner record that contradicts the chat's log")]
    ContradictsOwner,
    #[error("it cites an owner record that is not here yet")]
    NeedsOwner,
    #[error("it cites an identity record that is not here yet")]
    NeedsIdentity,
    #[error("its node key is not one of its company's at the identity position it cites")]
    UnknownKey,
    #[error("it uses an epoch that was not in force at the position it cites")]
    WrongEpoch,
    #[error("it lies beyond the cut of its company's removal")]
    BeyondCut,
    #[error("its stream belongs to an earlier membership")]
    OtherSpan,
    #[error("its predecessor is not here yet")]
    Gap,
    #[error("it cannot continue its chain: {0}")]
    Chain(ChainError),
    #[error("its stream has more branches than count")]
    TooManyBranches,
    #[error("its company has more ends of streams in this chat than count")]
    TooManyHeads,
    #[error("what this node had to say does not fit a frame")]
    FrameTooLong,
    #[error("a payload is missing and nothing proves that it was deleted")]
    UnprovenErasure,
    #[error("what proves an erasure is of a kind that needs a newer version")]
    UnknownProof,
    #[error("the key that would prove an erasure is not here yet")]
    NeedsKey,
    #[error("a signed register is not by a node of the company it names")]
    BadRegister,
    #[error("a register names heads that are not here")]
    UnknownHeads,
    #[error("no wrap of this kind was wanted")]
    BadWrap,
    #[error("an acceptance was refused: {0}")]
    BadAcceptance(RecordError),
    #[error("the frame does not decode")]
    BadFrame,
    #[error("the frame breaks the order of a link: {0}")]
    Breach(super::ProtocolBreach),
}

impl Refusal {
    /// True when the same bytes may be taken later, once their context is here.
    pub fn is_pending(&self) -> bool {
        matches!(
            self,
            Refusal::NeedsOwner
                | Refusal::NeedsIdentity
                | Refusal::Gap
                | Refusal::NeedsKey
                | Refusal::Record(RecordError::Gap { .. } | RecordError::NeedsIdentity)
                | Refusal::UnknownHeads
        )
    }

    /// True when the bytes alone are at fault. An honest node checks what it passes on, so it never sends such.
    pub fn is_garbled(&self) -> bool {
        match self {
            Refusal::Envelope(_) | Refusal::RejectedBefore | Refusal::BadFrame => true,
            Refusal::Record(error) => matches!(
                error,
                RecordError::BadSignature | RecordError::Codec(_) | RecordError::Shape(_)
            ),
            Refusal::Identity(error) => {
                matches!(error, IdentityError::BadSignature | IdentityError::Codec(_))
            }
            _ => false,
        }
    }

    /// The field's short name of the reason, for counters.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::Envelope(EnvelopeError::BadSignature)
            | Refusal::Record(RecordError::BadSignature) => "bad_signature",
            Refusal::Envelope(_) => "bad_envelope",
            Refusal::Record(RecordError::Fork(_)) => "owner_fork",
            Refusal::Record(_) => "bad_record",
            Refusal::Identity(_) => "bad_identity",
            Refusal::IdentityNotNeeded => "identity_not_needed",
            Refusal::RejectedBefore => "rejected_before",
            Refusal::NotShared => "not_shared",
            Refusal::OtherChat => "other_chat",
            Refusal::NotMember => "not_member",
            Refusal::ContradictsOwner => "contradicts_owner",
            Refusal::NeedsOwner => "needs_owner",
            Refusal::NeedsIdentity => "needs_identity",
            Refusal::UnknownKey => "unknown_key",
            Refusal::WrongEpoch => "wrong_epoch",
            Refusal::BeyondCut => "beyond_cut",
            Refusal::OtherSpan => "other_span",
            Refusal::Gap => "gap",
            Refusal::Chain(_) => "chain",
            Refusal::TooManyBranches => "too_many_branches",
            Refusal::TooManyHeads => "too_many_heads",
            Refusal::FrameTooLong => "frame_too_long",
            Refusal::UnprovenErasure => "unproven_erasure",
            Refusal::UnknownProof => "unknown_proof",
            Refusal::NeedsKey => "needs_key",
            Refusal::BadRegister => "bad_register",
            Refusal::UnknownHeads => "unknown_heads",
            Refusal::BadWrap => "bad_wrap",
            Refusal::BadAcceptance(_) => "bad_acceptance",
            Refusal::BadFrame => "bad_frame",
            Refusal::Breach(_) => "breach",
        }
    }
}
