//! What a run exercised: every fault and every invariant is counted, and one that never happened is a finding.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! counted {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($variant),* }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),*];
        }
    };
}

counted!(
    /// What goes wrong in a world, and what people do in it.
    Fault {
        Loss, Duplicate, Reorder, Delay, Corruption, Partition, LinkDown, Crash, CrashBeforeCommit, GroupCommit,
        StartFromCheckpoint, DeclaredRestore, UnknownRollback, ClockForward, ClockBack, OwnerDead, Removal, Readding,
        Ed25519, KeyedHash, FullHistory, FromJoining, Relay, StreamFork, OwnerFork, RotatedEpoch, KeyLost, Bar, Recall,
        RecallRefused, Post, Edit, Delete, AdminDelete, Reaction, Member, UnknownKind, Read,
    }
);

counted!(
    /// What must hold.
    Invariant {
        SentAfterCommit, StatedAfterCommit, NothingLost, ShownOnce, NothingBeyondCut, ReaddedCounts, KeysOnlyToEntitled,
        DataOnlyToMembers, FromMembersOnly, NothingForged, DeliveredNeverBack, ReadsNeverBack, ClocksNeverBack,
        DeliveredWithinHeld, ReadWithinDelivered, ReadOnlyWhatWasShown, NonceOnce, ErasedStaysErased, RecallIsCertain,
        NoForkWithoutRollback, ForksAreTold, OwnEventsAccepted, Quiescence, EqualFrontiers, EqualState, OrderFreeState, CatchUpBytes,
    }
);

/// A broken invariant, in words for whoever reads the failing seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub invariant: Invariant,
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.detail)
    }
}

/// Counters of one world or of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    faults: BTreeMap<Fault, u64>,
    invariants: BTreeMap<Invariant, u64>,
    pub refusals: BTreeMap<&'static str, u64>,
    pub worlds: u64,
    pub steps: u64,
    pub events: u64,
    pub frames: u64,
    pub fewest_steps: u64,
    pub fewest_events: u64,
}

impl Counts {
    pub fn fault(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    pub fn times(&self, fault: Fault) -> u64 {
        self.faults.get(&fault).copied().unwrap_or(0)
    }

    /// Counts a check and says whether it held.
    pub fn check(
        &mut self,
        invariant: Invariant,
        holds: bool,
        detail: impl FnOnce() -> String,
    ) -> Result<(), Violation> {
        *self.invariants.entry(invariant).or_default() += 1;
        if holds {
            Ok(())
        } else {
            Err(Violation {
                invariant,
                detail: detail(),
            })
        }
    }

    pub fn add(&mut self, other: &Counts) {
        for (fault, times) in &other.faults {
            *self.faults.entry(*fault).or_default() += times;
        }
        for (invariant, times) in &other.invariants {
            *self.invariants.entry(*invariant).or_default() += times;
        }
        for (refusal, times) in &other.refusals {
            *self.refusals.entry(refusal).or_default() += times;
        }
        let fewest = |held: u64, new: u64| if self.worlds == 0 { new } else { held.min(new) };
        self.fewest_steps = fewest(self.fewest_steps, other.fewest_steps);
        self.fewest_events = fewest(self.fewest_events, other.fewest_events);
        self.worlds += other.worlds;
        self.steps += other.steps;
        self.events += other.events;
        self.frames += other.frames;
    }

    /// What never happened and was never checked.
    pub fn never(&self) -> Vec<String> {
        let faults = Fault::ALL
            .iter()
            .filter(|fault| !self.faults.contains_key(fault))
            .map(|fault| format!("{fault:?}"));
        let invariants = Invariant::ALL
            .iter()
            .filter(|invariant| !self.invariants.contains_key(invariant))
            .map(|invariant| format!("{invariant:?}"));
        faults.chain(invariants).collect()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} worlds, {} steps (fewest {}), {} events (fewest {}), {} frames",
            self.worlds,
            self.steps,
            self.fewest_steps,
            self.events,
            self.fewest_events,
            self.frames
        )?;
        write!(f, "faults and acts:")?;
        for (fault, times) in &self.faults {
            write!(f, " {fault:?} {times}")?;
        }
        write!(f, "\ninvariants checked:")?;
        for (invariant, times) in &self.invariants {
            write!(f, " {invariant:?} {times}")?;
        }
        write!(f, "\nrefusals:")?;
        for (refusal, times) in &self.refusals {
            write!(f, " {refusal} {times}")?;
        }
        writeln!(f)
    }
}
