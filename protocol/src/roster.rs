//! The companies whose identity logs this node holds: its own, its partners' and those met in shared chats.
//!
//! A log is only ever taken for a company id that is pinned elsewhere: by pairing, or by the owner's record that adds the
//! company. It knows nothing of links or chats.

use std::collections::BTreeMap;

use crate::identity::{IdentityError, IdentityLog, SignedIdentity};
use crate::ids::{CompanyId, NodeKey, Position};
use crate::suite::Suite;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    suite: Suite,
    logs: BTreeMap<CompanyId, IdentityLog>,
}

impl Roster {
    pub fn new(suite: Suite, own: IdentityLog) -> Roster {
        Roster {
            suite,
            logs: BTreeMap::from([(own.company(), own)]),
        }
    }

    pub fn log(&self, company: &CompanyId) -> Option<&IdentityLog> {
        self.logs.get(company)
    }

    pub fn name(&self, company: &CompanyId) -> String {
        self.logs
            .get(company)
            .map_or_else(|| company.short(), |log| log.name().to_owned())
    }

    pub fn head(&self, company: &CompanyId) -> Position {
        self.logs
            .get(company)
            .map_or(Position::START, IdentityLog::head)
    }

    pub fn companies(&self) -> impl Iterator<Item = (&CompanyId, &IdentityLog)> {
        self.logs.iter()
    }

    /// Takes what is new of a log; returns the new records. Nothing is taken when any record is bad.
    pub fn merge(
        &mut self,
        company: CompanyId,
        records: &[SignedIdentity],
    ) -> Result<Vec<SignedIdentity>, IdentityError> {
        let mut new = Vec::new();
        let log = match self.logs.get(&company) {
            Some(held) => {
                let mut log = held.clone();
                for record in records {
                    if log.push(record)? {
                        new.push(record.clone());
                    }
                }
                log
            }
            None => {
                new = records.to_vec();
                IdentityLog::read(self.suite, company, records)?
            }
        };
        self.logs.insert(company, log);
        Ok(new)
    }

    /// The key is the company's at the cited position; None when the position is not held.
    pub fn lists_at(&self, company: &CompanyId, cited: &Position, node: &NodeKey) -> Option<bool> {
        self.logs.get(company)?.lists_at(cited, node)
    }

    /// The key is the company's now.
    pub fn lists(&self, company: &CompanyId, node: &NodeKey) -> bool {
        self.logs.get(company).is_some_and(|log| log.lists(node))
    }
}
