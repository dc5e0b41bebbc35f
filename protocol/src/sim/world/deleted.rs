//! What must be gone at the end of a world: texts that somebody deleted who may.

use super::World;
use crate::event::kind;
use crate::fold::{may_delete, target_of};
use crate::ids::{ChatId, CompanyId};
use crate::sim::counts::Invariant;
use crate::sim::shell::Shell;
use crate::sim::watch::{Checked, has_payload};

impl World {
    /// Where a delete counts, its target's text is gone from the log and from what is shown.
    pub(super) fn check_deleted(&mut self, index: usize, chat: &ChatId) -> Checked {
        let shell = self.nodes.get(index).expect("as many as there are nodes");
        let Some(facts) = shell.facts.get(chat) else {
            return Ok(());
        };
        let Some(owner) = owner_of(shell, chat) else {
            return Ok(());
        };
        for seen in facts.values() {
            let deleted = seen.event.as_ref().filter(|_| kind::deletes(seen.kind));
            let Some(deleted) = deleted.and_then(target_of) else {
                continue;
            };
            let Some(target) = facts.get(&deleted) else {
                continue;
            };
            if !may_delete(seen.kind, &seen.actor, &target.actor, &owner)
                || kind::deletes(target.kind)
            {
                continue;
            }
            let gone = target.event.is_none() && !has_payload(shell, chat, &deleted);
            self.watch
                .counts
                .check(Invariant::ErasedStaysErased, gone, || {
                    format!("node {index} still has the text of {deleted}")
                })?;
        }
        Ok(())
    }
}

pub(super) fn owner_of(shell: &Shell, chat: &ChatId) -> Option<CompanyId> {
    let held = shell.replicator.chat(chat)?;
    Some(held.owner().owner())
}
