//! Random worlds at scale: every invariant in tens of thousands of seeded worlds, and the planted bugs that prove that a
//! world can turn red. Beside them small scopes, searched in every order from named beginnings.
//!
//! Owns how many worlds run, on how many threads, and what a failing one prints. What a world is and what must hold in
//! it belongs to `protocol::sim`. A world is a pure function of its seed and of the protocol's bytes, so that one
//! failing seed is enough to see it again:
//!
//! CROSSPORT_SIM_SEED=7 cargo test --release -p crossport-tests --test simulation one_world -- --nocapture
//! CROSSPORT_SIM_WORLDS=200000 CROSSPORT_SIM_FIRST=20000 cargo test --release -p crossport-tests --test simulation random

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use crossport_protocol::replicator::Bug;
use crossport_protocol::sim::explore::{Grain, Limits, SCENARIOS, Scenario, explore};
use crossport_protocol::sim::{self, Counts, Failure, Fault, Invariant};

const QUICK_WORLDS: u64 = 20_000;
const LONG_WORLDS: u64 = 1_000_000;
/// What a world must have had before it counts.
const FEWEST_STEPS: u64 = 300;
const FEWEST_EVENTS: u64 = 40;
/// Failing worlds that are told; after these the run ends, because more would say the same.
const TOLD: usize = 8;
/// Worlds in which a planted bug must show at least once. Each shows in far fewer.
const WORLDS_FOR_A_BUG: u64 = 2_000;

/// More than the largest scope has: each is searched whole. A search that a change of the protocol makes larger says that
/// it was cut short.
const SCOPE: Limits = Limits {
    states: 20_000,
    ends: 1_000,
};
/// The same scopes with every end of a link on its own, as far as memory goes: some 50 KB a state.
const FINE_SCOPE: Limits = Limits {
    states: 60_000,
    ends: 3_000,
};
const FEWEST_SCOPES: usize = 8;

/// Each bug with the invariant that must see it. Other invariants may break, too: a world that breaks another one first
/// is passed over.
const BUGS: [(Bug, Invariant); 14] = [
    (Bug::SkipSignature, Invariant::NothingForged),
    (Bug::ReusePosition, Invariant::NoForkWithoutRollback),
    (Bug::SkipCut, Invariant::NothingBeyondCut),
    (Bug::SkipScope, Invariant::FromMembersOnly),
    (Bug::SendBeforeCommit, Invariant::SentAfterCommit),
    (Bug::CounterIncarnation, Invariant::ClocksNeverBack),
    (Bug::SingleReadWatermark, Invariant::ReadOnlyWhatWasShown),
    (Bug::AckBeforeSync, Invariant::StatedAfterCommit),
    (Bug::SkipErasure, Invariant::ErasedStaysErased),
    (Bug::NaiveEveryCut, Invariant::ReaddedCounts),
    (Bug::KeepEpochOnRemoval, Invariant::KeysOnlyToEntitled),
    (Bug::ForgetFork, Invariant::DeliveredWithinHeld),
    (Bug::SilentFork, Invariant::ForksAreTold),
    (Bug::ReusedRandom, Invariant::NonceOnce),
];

#[test]
fn random_worlds_keep_every_invariant() -> Result<()> {
    let usual = if is_long() { LONG_WORLDS } else { QUICK_WORLDS };
    let worlds = number("WORLDS")?.unwrap_or(usual);
    let first = number("FIRST")?.unwrap_or(0);
    let began = Instant::now();
    let run = Run::of(first..first + worlds);
    let took = began.elapsed();
    say(&format!(
        "random worlds from seed {first} in {took:.1?} on {} threads: {}",
        threads(),
        run.counts
    ))?;
    ensure!(run.failures.is_empty(), "{}", run.failures.join("\n"));
    ensure!(
        run.counts.worlds == worlds,
        "only {} of {worlds} worlds ran",
        run.counts.worlds
    );
    // A rare fault needs many worlds: a short run by hand may miss one, the quick run may not.
    let never = run.counts.never();
    ensure!(
        never.is_empty() || worlds < QUICK_WORLDS,
        "never exercised in {worlds} worlds: {never:?}"
    );
    ensure!(run.counts.fewest_steps >= FEWEST_STEPS, "a short world");
    ensure!(run.counts.fewest_events >= FEWEST_EVENTS, "an idle world");
    let tenth = worlds / 10;
    let real = run.counts.times(Fault::Ed25519);
    ensure!(
        real >= tenth * 8 / 10 || worlds < QUICK_WORLDS,
        "only {real} of {worlds} worlds signed with ed25519"
    );
    Ok(())
}

/// The world of CROSSPORT_SIM_SEED, line by line; without it the first one, so that telling is tried, too.
#[test]
fn one_world_tells_what_happens() -> Result<()> {
    let seed = number("SEED")?;
    let asked = seed.is_some();
    let lines = std::rc::Rc::new(std::cell::Cell::new(0u64));
    let counted = lines.clone();
    let told = sim::run_telling(seed.unwrap_or(0), None, move |line: String| {
        counted.set(counted.get() + 1);
        if asked {
            println!("{line}");
        }
    });
    ensure!(
        told.is_ok(),
        "{}",
        told.err()
            .map_or_else(String::new, |failure| advice(&failure))
    );
    ensure!(lines.get() > FEWEST_STEPS / 10, "nothing was told");
    Ok(())
}

#[test]
fn every_planted_bug_turns_worlds_red() -> Result<()> {
    let mut missed = Vec::new();
    for (bug, invariant) in BUGS {
        match first_red(bug, invariant) {
            Some((seed, others)) => say(&format!(
                "{bug:?}: {invariant:?} in world {seed}, after {others} that broke something else"
            ))?,
            None => missed.push(format!("{bug:?} never broke {invariant:?}")),
        }
    }
    ensure!(missed.is_empty(), "{}", missed.join("\n"));
    Ok(())
}

/// The control of the control: without a bug the same worlds are green, so that it is the bug that turns them red.
#[test]
fn the_same_worlds_without_a_bug_are_green() -> Result<()> {
    let run = Run::of(0..200);
    ensure!(run.failures.is_empty(), "{}", run.failures.join("\n"));
    Ok(())
}

#[test]
fn small_scopes_hold_and_show_their_planted_bugs() -> Result<()> {
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    let told = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                while let Some((scenario, bug, invariant)) =
                    SCENARIOS.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let searched = search(scenario, *bug, *invariant);
                    let mut told = told.lock().expect("no thread panics while it holds it");
                    told.push((scenario.name, searched));
                }
            });
        }
    });
    let told = told
        .into_inner()
        .expect("no thread panics while it holds it");
    let mut broken = Vec::new();
    for (name, searched) in &told {
        match searched {
            Ok(line) => say(&format!("{name}: {line}"))?,
            Err(error) => broken.push(format!("{name}: {error}")),
        }
    }
    let (took, scopes) = (began.elapsed(), told.len());
    say(&format!(
        "{scopes} small scopes in {took:.1?} on {} threads",
        threads()
    ))?;
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    ensure!(told.len() >= FEWEST_SCOPES, "only {scopes} small scopes");
    Ok(())
}

/// Searches a scope without a bug, where nothing may be found, and with its bug, which must be.
fn search(scenario: &Scenario, bug: Bug, invariant: Invariant) -> Result<String> {
    let mut told = searched(scenario, SCOPE)?;
    if is_long() {
        let fine = Scenario {
            grain: Grain::End,
            ..*scenario
        };
        told = format!("{told}; finer: {}", searched(&fine, FINE_SCOPE)?);
    }
    match explore(scenario, Some(bug), SCOPE) {
        Err(found) if found.violation.invariant == invariant => Ok(format!(
            "{told}; {bug:?} breaks {invariant:?} after {} states by {:?}",
            found.states, found.way
        )),
        Err(found) => bail!("{bug:?} broke something else: {}", found.violation),
        Ok(_) => bail!("{bug:?} broke nothing"),
    }
}

/// A scope in which nothing may be found.
fn searched(scenario: &Scenario, limits: Limits) -> Result<String> {
    match explore(scenario, None, limits) {
        Err(found) => bail!("{} on the way {:?}", found.violation, found.way),
        Ok(search) => {
            ensure!(search.compared > 0, "no state was brought to rest");
            Ok(format!(
                "{} distinct states ({}), {} steps, depth {}, {} brought to rest",
                search.states,
                if search.whole { "all" } else { "cut short" },
                search.steps,
                search.depth,
                search.compared
            ))
        }
    }
}

/// The first world in which a bug breaks an invariant, and how many broke another one before.
fn first_red(bug: Bug, invariant: Invariant) -> Option<(u64, u64)> {
    let mut others = 0;
    for seed in 0..WORLDS_FOR_A_BUG {
        // A bug may also break what the replicator asserts of itself.
        match catch_unwind(|| sim::run(seed, Some(bug))) {
            Ok(Err(failure)) if failure.violation.invariant == invariant => {
                return Some((seed, others));
            }
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => others += 1,
        }
    }
    None
}

/// What many worlds came to.
#[derive(Default)]
struct Run {
    counts: Counts,
    failures: Vec<String>,
}

impl Run {
    fn of(seeds: std::ops::Range<u64>) -> Run {
        let next = AtomicU64::new(seeds.start);
        let whole = Mutex::new(Run::default());
        std::thread::scope(|scope| {
            for _ in 0..threads() {
                scope.spawn(|| {
                    let part = Run::take(&next, seeds.end);
                    let mut whole = whole.lock().expect("no thread panics while it holds it");
                    whole.counts.add(&part.counts);
                    whole.failures.extend(part.failures);
                });
            }
        });
        whole
            .into_inner()
            .expect("no thread panics while it holds it")
    }

    /// Takes one seed after the other until none is left.
    fn take(next: &AtomicU64, end: u64) -> Run {
        let mut run = Run::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return run;
            }
            match catch_unwind(AssertUnwindSafe(|| sim::run(seed, None))) {
                Ok(Ok(counts)) => run.counts.add(&counts),
                Ok(Err(failure)) => run.failures.push(advice(&failure)),
                Err(_) => run.failures.push(again(seed, "panicked")),
            }
            if run.failures.len() >= TOLD {
                next.store(end, Ordering::Relaxed);
            }
        }
    }
}

fn advice(failure: &Failure) -> String {
    again(failure.seed, &failure.to_string())
}

fn again(seed: u64, what: &str) -> String {
    let what: String = what.chars().take(600).collect();
    format!(
        "world {seed}: {what}\n  again: CROSSPORT_SIM_SEED={seed} cargo test --release -p crossport-tests --test simulation \
         one_world -- --nocapture"
    )
}

fn is_long() -> bool {
    std::env::var_os("CROSSPORT_LONG").is_some_and(|value| value == "1")
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A number from the environment: CROSSPORT_SIM_SEED, CROSSPORT_SIM_WORLDS, CROSSPORT_SIM_FIRST.
fn number(name: &str) -> Result<Option<u64>> {
    let name = format!("CROSSPORT_SIM_{name}");
    let Some(value) = std::env::var_os(&name) else {
        return Ok(None);
    };
    match value.to_str().and_then(|value| value.parse().ok()) {
        Some(number) => Ok(Some(number)),
        None => bail!("{name} must be a number"),
    }
}

/// Past the capture of the test harness: the figures of a green run must be seen, too.
fn say(line: &str) -> Result<()> {
    let mut out = std::io::stderr().lock();
    writeln!(out, "{line}")?;
    Ok(())
}
