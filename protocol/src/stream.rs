//! One author stream as a member holds it: its heads, what of it is delivered, and the rules of the chain.
//!
//! A stream is a chain; a fork makes more heads, and every branch counts. Positions cited and epochs never decrease
//! along a chain, and one stream belongs to one membership span of its company.

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::envelope::EnvelopeHeader;
use crate::ids::{Head, Position};
use crate::limits;

/// What the next envelope of a branch is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    pub head: Head,
    pub clock: Clock,
    pub owner_at: Position,
    pub identity_seq: u64,
    pub epoch: u32,
}

impl Tip {
    pub fn of(header: &EnvelopeHeader, head: Head) -> Tip {
        Tip {
            head,
            clock: header.last_clock(),
            owner_at: header.owner_at,
            identity_seq: header.identity_at.seq,
            epoch: header.epoch,
        }
    }

    /// Before the first envelope; also where a history begins that starts at a base head.
    pub fn start(head: Head) -> Tip {
        Tip {
            head,
            clock: Clock(0),
            owner_at: Position::START,
            identity_seq: 0,
            epoch: 0,
        }
    }

    /// The next envelope does not go back in clock, cited positions or epoch.
    pub fn allows(&self, next: &EnvelopeHeader) -> Result<(), ChainError> {
        if next.first_clock() <= self.clock {
            return Err(ChainError::ClockWentBack);
        }
        if next.owner_at.place() < self.owner_at.place() || next.identity_at.seq < self.identity_seq
        {
            return Err(ChainError::CitationWentBack);
        }
        if next.epoch < self.epoch {
            Err(ChainError::EpochWentBack)
        } else {
            Ok(())
        }
    }
}

/// Why an envelope cannot continue the chain it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum ChainError {
    #[error("its clock is not later than its predecessor's")]
    ClockWentBack,
    #[error("it cites an earlier position than its predecessor")]
    CitationWentBack,
    #[error("its epoch is earlier than its predecessor's")]
    EpochWentBack,
}

/// A stream as held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct StreamState {
    /// Ends of the branches that are held and count.
    pub tips: Vec<Tip>,
    /// Heads up to which everything is delivered: a subset of the held chain.
    pub delivered: Vec<Head>,
    /// Heads whose past is not here and would be welcome.
    pub gaps: Vec<Head>,
    /// The membership span that the stream belongs to: the position of its beginning.
    pub span: u64,
    /// The heads of a cut: the stream is closed and nothing beyond them counts.
    pub closed: Option<Vec<Head>>,
    /// More than the allowed branches: the stream is void after its lowest fork, new branches are not taken.
    pub overforked: bool,
}

impl StreamState {
    pub fn heads(&self) -> impl Iterator<Item = Head> + '_ {
        self.tips.iter().map(|tip| tip.head)
    }

    pub fn sorted_heads(&self) -> Vec<Head> {
        let mut heads: Vec<Head> = self.heads().collect();
        heads.sort_unstable();
        heads
    }

    pub fn sorted_delivered(&self) -> Vec<Head> {
        let mut heads = self.delivered.clone();
        heads.sort_unstable();
        heads
    }

    pub fn has_head(&self, head: &Head) -> bool {
        self.tips.iter().any(|tip| tip.head == *head)
    }

    /// A cut ends the stream at this head.
    pub fn ends_at(&self, head: &Head) -> bool {
        self.closed.iter().flatten().any(|end| end == head)
    }

    pub fn is_forked(&self) -> bool {
        self.tips.len() > 1
    }

    pub fn is_delivered_whole(&self) -> bool {
        self.tips
            .iter()
            .all(|tip| self.delivered.contains(&tip.head))
    }

    /// Puts `next` in the place of its parent, or beside the others when the parent is no end of a branch (a fork).
    /// Returns true when it is a fork.
    pub fn advance(&mut self, parent: Head, next: Tip) -> bool {
        if let Some(base) = self.tips.iter_mut().find(|tip| tip.head == next.head) {
            *base = next;
            return false;
        }
        match self.tips.iter_mut().find(|tip| tip.head == parent) {
            Some(tip) => {
                *tip = next;
                false
            }
            None => {
                let fork = !self.tips.is_empty();
                self.tips.push(next);
                fork
            }
        }
    }

    /// The delivered heads follow one envelope of a branch.
    pub fn deliver(&mut self, parent: Head, next: Head) {
        if self.delivered.contains(&next) {
            self.delivered.retain(|head| *head != parent);
            return;
        }
        match self.delivered.iter_mut().find(|head| **head == parent) {
            Some(head) => *head = next,
            None => self.delivered.push(next),
        }
    }

    /// History begins at these heads: they count as held, and take the place of what lies before them. `is_continued`
    /// says that something is held that follows a head.
    pub fn begin(&mut self, base: &[Tip], is_continued: impl Fn(Head) -> bool) {
        let first = base.iter().map(|tip| tip.head.seq).max().unwrap_or(0);
        let is_base = |head: &Head| base.iter().any(|tip| tip.head == *head);
        self.tips
            .retain(|held| held.head.seq > first || is_base(&held.head));
        self.delivered
            .retain(|head| head.seq > first || is_base(head));
        self.gaps.retain(|head| head.seq > first);
        for tip in base.iter().filter(|tip| !is_continued(tip.head)) {
            if !self.has_head(&tip.head) {
                self.tips.push(*tip);
            }
            if !self.delivered.contains(&tip.head) {
                self.delivered.push(tip.head);
            }
        }
    }

    /// Forgets heads that turn out to lie before others, once what was missing between them is here.
    pub fn join_branches(&mut self, is_ancestor: impl Fn(Head, Head) -> bool) {
        let ends: Vec<Head> = self.heads().collect();
        let leads_on = |head: Head| {
            ends.iter()
                .any(|end| *end != head && is_ancestor(head, *end))
        };
        self.tips.retain(|tip| !leads_on(tip.head));
        let reached = self.delivered.clone();
        let led_on = |head: Head| {
            let mut others = reached.iter().filter(|end| **end != head);
            others.any(|end| is_ancestor(head, *end))
        };
        self.delivered.retain(|head| !led_on(*head));
    }

    pub fn may_branch(&self) -> bool {
        self.tips.len() < limits::STREAM_BRANCHES
    }
}
