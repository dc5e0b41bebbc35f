//! What may stand in for a payload that is gone: a proof for each of them, judged before anything is kept.

use super::{Refusal, Replicator};
use crate::envelope::VerifiedEnvelope;
use crate::event::{Event, kind};
use crate::fold::{Actor, target_of};
use crate::frame::{DeleteProof, EnvelopeItem, Erasure};

impl Replicator {
    /// Every missing payload comes with one proof, in the order of their places, and there is no other.
    pub(super) fn check_erasures(
        &self,
        item: &EnvelopeItem,
        envelope: &VerifiedEnvelope,
    ) -> Result<(), Refusal> {
        let places = 0..envelope.header.events.len();
        let erased: Vec<usize> = places.filter(|place| envelope.is_erased(*place)).collect();
        let proven = item
            .erasures
            .iter()
            .map(|erasure| usize::from(erasure.place));
        if !proven.eq(erased.iter().copied()) {
            return Err(Refusal::UnprovenErasure);
        }
        erased
            .iter()
            .zip(&item.erasures)
            .try_for_each(|(place, erasure)| self.check_erasure(erasure, envelope, *place))
    }

    fn check_erasure(
        &self,
        erasure: &Erasure,
        envelope: &VerifiedEnvelope,
        place: usize,
    ) -> Result<(), Refusal> {
        let DeleteProof {
            place: by,
            envelope: proof,
        } = erasure
            .delete()
            .ok_or(Refusal::UnknownProof)?
            .map_err(|error| Refusal::Envelope(error.into()))?;
        let proof = proof.verify(self.suite).map_err(Refusal::Envelope)?;
        let by = usize::from(by);
        let (target, event) = (
            envelope.header.events.get(place),
            proof.header.events.get(by),
        );
        let (Some(target), Some(event)) = (target, event) else {
            return Err(Refusal::UnprovenErasure);
        };
        let chat_id = proof.header.chat;
        let deleting = Actor {
            company: proof.header.stream.company,
            handle: event.actor,
        };
        let author = Actor {
            company: envelope.header.stream.company,
            handle: target.actor,
        };
        let may_delete = chat_id == envelope.header.chat
            && erasure.is_proven_by(event.kind)
            && self.may_delete(&chat_id, event.kind, &deleting, &author)
            && !kind::deletes(target.kind);
        let signer = &proof.header.stream.node;
        let known_key = self
            .roster
            .lists_at(&deleting.company, &proof.header.identity_at, signer);
        if !may_delete || known_key == Some(false) {
            return Err(Refusal::UnprovenErasure);
        }
        if known_key.is_none() {
            return Err(Refusal::NeedsIdentity);
        }
        let epoch = proof.header.epoch;
        let Some(key) = self.keys.get(&(chat_id, epoch)) else {
            // A delete of an epoch that this company never gets the key of: the author's signature must do.
            let readable = self.is_entitled(&chat_id, epoch);
            return if readable {
                Err(Refusal::NeedsKey)
            } else {
                Ok(())
            };
        };
        let plain = proof.open(by, key).ok_or(Refusal::UnprovenErasure)?;
        let delete = Event::decode(event.kind, &plain).map_err(|_| Refusal::UnprovenErasure)?;
        if target_of(&delete) == Some(envelope.event_id(place)) {
            Ok(())
        } else {
            Err(Refusal::UnprovenErasure)
        }
    }
}
