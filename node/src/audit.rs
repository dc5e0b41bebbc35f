//! Reading the audit log: administrative acts, newest first.

use crate::api::facade::{Answer, Refused};
use crate::api::types::{AuditEntry, Code, Page, PageQuery};
use crate::core::{Core, time_text};
use crate::journal::Position;
use crate::paging::limit_of;
use crate::store::Fact;

impl Core {
    /// A page of the audit log; the cursor is a position in the journal.
    pub fn audit_page(&self, page: &PageQuery) -> Answer<Page<AuditEntry>> {
        let limit = limit_of(page.limit)?;
        let cursor = |text: &str| {
            text.parse()
                .map(Position)
                .map_err(|_| Refused::new(Code::ValueInvalid, "cursor"))
        };
        let before = page.cursor.as_deref().map(cursor).transpose()?;
        let mut found = self
            .store
            .audit(before, limit.saturating_add(1))
            .map_err(|error| crate::node::store_refusal(&error))?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found
            .last()
            .filter(|_| more)
            .map(|(position, _)| position.0.to_string());
        let items = found.into_iter().filter_map(|(_, fact)| match fact {
            Fact::Audit {
                at,
                who,
                what,
                subject,
            } => Some(AuditEntry {
                at: time_text(at),
                who,
                what,
                subject,
            }),
            _ => None,
        });
        Ok(Page {
            items: items.collect(),
            next,
        })
    }
}
