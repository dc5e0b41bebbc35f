//! Small scopes, searched whole: from a named beginning every order of a few steps and of what arrives, breadth first,
//! each state once.
//!
//! Random worlds are wide and seldom meet two particular things in one particular order; this is narrow and meets them
//! all. A state is known by what the nodes and the wires hold, so that orders which end alike are followed once.

use std::collections::{BTreeSet, VecDeque};

use super::counts::{Counts, Violation};
use super::world::explored::{Choice, Explored};
use crate::replicator::Bug;

pub use super::world::explored::{Grain, Scenario, Step};
pub use scenarios::SCENARIOS;

mod scenarios;

/// How far a search goes. What is left when it ends is said, never hidden.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub states: usize,
    /// So many states are brought to rest and compared: those in which nothing is left to do, and those at which the
    /// search is cut short.
    pub ends: usize,
}

/// What a search came to.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Distinct states.
    pub states: usize,
    /// Steps from one state to another, known or not.
    pub steps: usize,
    /// The longest way from the beginning.
    pub depth: usize,
    /// States in which nothing was left to do, and how many states were brought to rest and compared.
    pub ends: usize,
    pub compared: usize,
    /// Every state that can be reached was.
    pub whole: bool,
    pub counts: Counts,
}

/// A way from the beginning to a broken invariant.
#[derive(Debug, Clone)]
pub struct Found {
    pub violation: Violation,
    pub way: Vec<String>,
    /// Distinct states before it was found.
    pub states: usize,
}

/// Where a state came from: the place of the one before it, and the choice in words.
struct Origin {
    before: usize,
    choice: String,
    depth: usize,
}

/// Searches a scenario. The first broken invariant ends it.
pub fn explore(
    scenario: &Scenario,
    bug: Option<Bug>,
    limits: Limits,
) -> Result<Search, Box<Found>> {
    let mut search = Search::default();
    let mut origins: Vec<Origin> = Vec::new();
    let begin = Explored::begin(*scenario, bug).map_err(|violation| found(violation, &[], None))?;
    let mut known = BTreeSet::from([begin.print()]);
    let mut queue = VecDeque::from([(begin, usize::MAX)]);
    while let Some((state, at)) = queue.pop_front() {
        let choices = state.choices();
        search.ends += usize::from(choices.is_empty());
        // Where the search is cut short, what it did not follow is compared in the middle.
        let is_cut = known.len() >= limits.states;
        if (choices.is_empty() || is_cut) && search.compared < limits.ends {
            search.compared += 1;
            let counts = state.clone().end();
            let counts =
                counts.map_err(|violation| found(violation, &origins, Some((at, None))))?;
            search.counts.add(&counts);
        }
        for choice in choices {
            let mut next = state.clone();
            search.steps += 1;
            next.take(choice).map_err(|violation| {
                found(violation, &origins, Some((at, Some((&state, choice)))))
            })?;
            if known.len() >= limits.states || !known.insert(next.print()) {
                continue;
            }
            let depth = origins.get(at).map_or(0, |origin| origin.depth) + 1;
            search.depth = search.depth.max(depth);
            origins.push(Origin {
                before: at,
                choice: state.told(choice),
                depth,
            });
            queue.push_back((next, origins.len() - 1));
        }
    }
    search.states = known.len();
    search.whole = known.len() < limits.states;
    Ok(search)
}

fn found(
    violation: Violation,
    origins: &[Origin],
    last: Option<(usize, Option<(&Explored, Choice)>)>,
) -> Box<Found> {
    let mut way = Vec::new();
    if let Some((mut at, choice)) = last {
        way.extend(choice.map(|(state, choice)| state.told(choice)));
        while let Some(origin) = origins.get(at) {
            way.push(origin.choice.clone());
            at = origin.before;
        }
    }
    way.reverse();
    Box::new(Found {
        violation,
        way,
        states: origins.len() + 1,
    })
}
