//! The people of a chat, as rows: their names are sealed there, because nothing readable may lie on the disk. So are the
//! names of companies.
//!
//! Owns the seal of such rows. Which of a person's cards counts is the fold's rule, not this file's.

use std::collections::BTreeMap;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use crossport_protocol::clock::Clock;
use crossport_protocol::event::{Event, Member, MemberAction, UserCard};
use crossport_protocol::fields::Fields;
use crossport_protocol::fold::{self, Actor, Fact, Membership};
use crossport_protocol::ids::{ChatId, CompanyId, EventId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Store, StoreError};
use crate::index::rows::{self, AskRow, PersonRow};
use crate::index::{Direction, IndexError, View};

const NONCE: usize = 24;

/// Seals rows that name people, with a key of its own that follows from the journal's.
pub(super) struct RowSealer {
    cipher: XChaCha20Poly1305,
    marks: Zeroizing<[u8; 32]>,
}

impl RowSealer {
    pub fn new(journal_key: &[u8; 32]) -> RowSealer {
        let key = key_of(journal_key, b"crossport index row sealing key");
        RowSealer {
            cipher: XChaCha20Poly1305::new((&*key).into()),
            marks: key_of(journal_key, b"crossport index mark of people key"),
        }
    }

    /// Finds a person by company and nickname without the nickname on the disk. All parts have a fixed length but the last.
    pub fn mark(&self, company: &CompanyId, nickname: &str) -> [u8; 16] {
        let mut hasher = Sha256::new();
        hasher.update(*self.marks);
        hasher.update(company.0);
        hasher.update(nickname.as_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        std::array::from_fn(|at| digest[at])
    }

    /// Bound to the row's key, so that rows cannot be exchanged.
    pub fn seal<T: Serialize>(&self, key: &[u8], row: &T) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(StoreError::Randomness)?;
        let plain = Zeroizing::new(rows::encode(row));
        let payload = Payload {
            msg: &plain,
            aad: key,
        };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("rows are far below the cipher's limit of 256 GiB");
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub fn open<T: Serialize + DeserializeOwned>(
        &self,
        key: &[u8],
        row: &[u8],
    ) -> Result<T, IndexError> {
        let (nonce, sealed) = row.split_first_chunk::<NONCE>().ok_or(IndexError::Seal)?;
        let payload = Payload {
            msg: sealed,
            aad: key,
        };
        let plain = self
            .cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| IndexError::Seal)?;
        rows::decode(&Zeroizing::new(plain))
    }
}

fn key_of(journal_key: &[u8; 32], label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut hasher = Sha256::new();
    hasher.update(1_u32.to_be_bytes());
    hasher.update(journal_key);
    hasher.update(label);
    Zeroizing::new(hasher.finalize().into())
}

impl std::fmt::Debug for RowSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RowSealer")
    }
}

impl Store {
    /// Everyone who takes part in a chat or did, staged changes included: the next decision follows from it.
    pub fn people(&self, chat: &ChatId) -> Result<BTreeMap<Actor, Membership>, StoreError> {
        let mut people = BTreeMap::new();
        let Some(chat) = self.index.chat(View::Staged, chat)? else {
            return Ok(people);
        };
        for found in self.index.prefix(View::Staged, &rows::people_of(chat)) {
            let (key, sealed) = found?;
            let row: PersonRow = self.sealer.open(&key, &sealed)?;
            let (actor, clock) =
                rows::actor_of_person(&key).ok_or(IndexError::Missing("a person's place"))?;
            let fact = Fact {
                id: row.event,
                clock,
                actor,
                event: member_of(row),
            };
            fold::fold_member(&mut people, &fact);
        }
        Ok(people)
    }
}

impl Store {
    /// Who last asked for a person before they came in at `joined`.
    pub fn asked_by(
        &self,
        chat: &ChatId,
        company: &CompanyId,
        nickname: &str,
        joined: Clock,
    ) -> Result<Option<Actor>, StoreError> {
        let Some(chat) = self.index.chat(View::Committed, chat)? else {
            return Ok(None);
        };
        let mark = self.sealer.mark(company, nickname);
        let (low, high) = (
            rows::asks_from(chat, &mark, Clock(0)),
            rows::asks_from(chat, &mark, joined),
        );
        let asks = self
            .index
            .scan(View::Committed, Direction::Down, &low, &high);
        for found in asks {
            let (_, row) = found?;
            let AskRow {
                company,
                handle,
                event,
            } = rows::decode(&row)?;
            let stored = self.index.find(View::Committed, &event.envelope)?;
            // A cut may have taken it away since.
            if stored.is_some_and(|(_, row)| !row.void) {
                return Ok(Some(Actor { company, handle }));
            }
        }
        Ok(None)
    }
}

pub(super) fn person_row(action: MemberAction, card: &UserCard, event: EventId) -> PersonRow {
    PersonRow {
        local: card.local,
        name: card.name.clone(),
        nickname: card.nickname.clone(),
        title: card.title.clone(),
        present: action == MemberAction::JOIN,
        event,
    }
}

fn member_of(row: PersonRow) -> Event {
    let action = if row.present {
        MemberAction::JOIN
    } else {
        MemberAction::LEAVE
    };
    Event::Member(Member {
        action,
        card: UserCard {
            local: row.local,
            name: row.name,
            nickname: row.nickname,
            title: row.title,
            fields: Fields::none(),
        },
    })
}
