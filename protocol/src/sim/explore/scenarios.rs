//! The beginnings: what random worlds rarely meet, one narrow thing each, and the planted bug that must be found there.

use super::{Grain, Scenario, Step};
use crate::owner_log::History;
use crate::replicator::Bug;
use crate::sim::counts::Invariant;

use Step::{
    Crash, Delete, Die, Edit, Invite, Link, Post, Read, Recall, Remove, Restore, RollBack, Rotate,
    Unlink, Wait,
};

const PAIR: &[[usize; 2]] = &[[0, 1]];
const TRIANGLE: &[[usize; 2]] = &[[0, 1], [0, 2], [1, 2]];
/// The second and the third have no link with each other.
const THROUGH_THE_OWNER: &[[usize; 2]] = &[[0, 1], [0, 2]];

/// Each with the bug that must be found in it, and by what it is seen.
pub const SCENARIOS: &[(Scenario, Bug, Invariant)] = &[
    (
        Scenario {
            name: "a company is removed and added again while it writes",
            nodes: 2,
            links: PAIR,
            history: History::FROM_JOINING,
            grain: Grain::End,
            before: &[Invite(1), Post(1), Post(0)],
            lanes: &[&[Remove(1), Invite(1)], &[Post(1), Post(1)], &[Post(0)]],
            never_forks: true,
        },
        Bug::SkipCut,
        Invariant::NothingBeyondCut,
    ),
    (
        Scenario {
            name: "added again, a company is heard by all",
            nodes: 3,
            links: TRIANGLE,
            history: History::FROM_JOINING,
            grain: Grain::Link,
            before: &[Invite(1), Invite(2), Post(1), Remove(1), Invite(1)],
            lanes: &[&[Post(1), Crash(1)], &[Post(2)]],
            never_forks: true,
        },
        Bug::NaiveEveryCut,
        Invariant::ReaddedCounts,
    ),
    (
        Scenario {
            name: "the epoch changes while a company joins",
            nodes: 3,
            links: THROUGH_THE_OWNER,
            history: History::FROM_JOINING,
            grain: Grain::Link,
            before: &[Invite(1), Post(0), Post(1)],
            lanes: &[&[Invite(2), Rotate], &[Post(1)]],
            never_forks: true,
        },
        Bug::SkipEntitlement,
        Invariant::KeysOnlyToEntitled,
    ),
    (
        Scenario {
            name: "the owner is restored from an old copy and decides again",
            nodes: 2,
            links: PAIR,
            history: History::FULL,
            grain: Grain::End,
            before: &[Invite(1), Post(0), Post(1)],
            lanes: &[&[Rotate, Restore(0, 1), Rotate], &[Post(1)]],
            never_forks: true,
        },
        Bug::TrustOldOwnerLog,
        Invariant::NoForkWithoutRollback,
    ),
    (
        Scenario {
            name: "an unknowing copy makes two branches of a stream",
            nodes: 3,
            links: THROUGH_THE_OWNER,
            history: History::FULL,
            grain: Grain::Link,
            before: &[Invite(1), Invite(2), Post(1)],
            lanes: &[&[Post(1), RollBack(1, 1), Post(1)], &[Post(0)]],
            never_forks: false,
        },
        Bug::ForgetFork,
        Invariant::DeliveredWithinHeld,
    ),
    (
        Scenario {
            name: "a text is deleted while who has it is restored",
            nodes: 3,
            links: TRIANGLE,
            history: History::FULL,
            grain: Grain::Link,
            before: &[Invite(1), Invite(2), Post(1)],
            lanes: &[&[Delete(1)], &[Restore(2, 2)], &[Edit(1)]],
            never_forks: true,
        },
        Bug::SkipErasure,
        Invariant::ErasedStaysErased,
    ),
    (
        Scenario {
            name: "a message is recalled while links come and go",
            nodes: 2,
            links: PAIR,
            history: History::FULL,
            grain: Grain::End,
            before: &[Invite(1), Unlink(0, 1)],
            lanes: &[
                &[Post(1), Recall(1), Post(1), Recall(1)],
                &[Link(0, 1), Unlink(0, 1)],
                &[Crash(1)],
            ],
            never_forks: true,
        },
        Bug::ForgetExposure,
        Invariant::ErasedStaysErased,
    ),
    (
        Scenario {
            name: "a person reads while older messages arrive",
            nodes: 3,
            links: THROUGH_THE_OWNER,
            history: History::FULL,
            grain: Grain::Link,
            before: &[Invite(1), Invite(2), Post(0)],
            lanes: &[&[Post(1), Read(1)], &[Post(2)], &[Read(0), Wait(1_000)]],
            never_forks: true,
        },
        Bug::SingleReadWatermark,
        Invariant::ReadOnlyWhatWasShown,
    ),
    (
        Scenario {
            name: "a restored company writes before anybody answered",
            nodes: 2,
            links: PAIR,
            history: History::FULL,
            grain: Grain::End,
            before: &[Invite(1), Post(1), Post(1)],
            lanes: &[
                &[Restore(1, 0), Post(1), Restore(1, 1), Post(1)],
                &[Post(0)],
            ],
            never_forks: true,
        },
        Bug::CounterIncarnation,
        Invariant::NoForkWithoutRollback,
    ),
    (
        Scenario {
            name: "who was removed sends on to who does not know yet",
            nodes: 3,
            links: TRIANGLE,
            history: History::FROM_JOINING,
            grain: Grain::End,
            before: &[Invite(1), Invite(2), Post(1)],
            lanes: &[&[Remove(1)], &[Post(1)]],
            never_forks: true,
        },
        Bug::SkipScope,
        Invariant::FromMembersOnly,
    ),
    (
        Scenario {
            name: "the owner dies while a company relays",
            nodes: 3,
            links: TRIANGLE,
            history: History::FULL,
            grain: Grain::Link,
            before: &[Invite(1), Invite(2), Unlink(1, 2), Post(1)],
            lanes: &[&[Post(1)], &[Die(0)], &[Link(1, 2), Post(2)]],
            never_forks: true,
        },
        Bug::SendBeforeCommit,
        Invariant::SentAfterCommit,
    ),
];
