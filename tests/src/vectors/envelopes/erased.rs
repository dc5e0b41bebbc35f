//! Envelopes with erased payloads, as a member meets them that knows the chat and its keys.

use crossport_protocol::event::{AdminDelete, Delete, Edit, Event};
use crossport_protocol::fields::Fields;
use crossport_protocol::frame::{DeleteProof, EnvelopeItem, Erasure};
use crossport_protocol::ids::{EventId, Head};
use crossport_protocol::limits;

use super::super::Vector;
use super::super::cast;
use super::{Pen, Talk, known, proof};

fn vector(talk: &Talk, name: &str, item: &EnvelopeItem) -> Vector {
    Vector::encoded("item", name, item)
        .given("chat", talk.chat.id().to_string())
        .given("known", known(talk))
}

/// The greeting of the talk without its text.
fn erased(talk: &Talk, erasures: &[Erasure]) -> EnvelopeItem {
    let mut envelope = talk.acme[0].sealed.clone();
    envelope.payloads[1].0.clear();
    EnvelopeItem {
        envelope,
        erasures: erasures.to_vec(),
    }
}

pub(super) fn items(talk: &Talk) -> Vec<Vector> {
    let proven = erased(talk, &[proof(&talk.acme[2], 1, 0)]);
    let whole = EnvelopeItem::whole(talk.acme[0].sealed.clone());
    let mut vectors = vec![
        vector(talk, "nothing erased", &whole).value(&whole),
        vector(talk, "erased, with proof", &proven).value(&proven),
        of_delete(talk),
    ];
    vectors.extend(no_proofs(talk));
    vectors.extend(proofs_by_others(talk));
    vectors.extend(by_administrators(talk));
    vectors
}

fn refused(talk: &Talk, name: &str, reason: &str, erasures: &[Erasure]) -> Vector {
    let item = erased(talk, erasures);
    vector(talk, &format!("erased, {name}"), &item).refused(reason)
}

/// The true delete, spoilt on the way.
fn no_proofs(talk: &Talk) -> Vec<Vector> {
    let good = proof(&talk.acme[2], 1, 0);
    let unproven = "unproven_erasure";
    let delete = good.delete().expect("a delete").expect("a short one");
    let with = |change: &dyn Fn(&mut DeleteProof)| {
        let mut changed = delete.clone();
        change(&mut changed);
        Erasure::deleted(1, &changed)
    };
    let unsigned = with(&|proof| proof.envelope.signature = talk.acme[0].sealed.signature);
    let empty = with(&|proof| proof.envelope.payloads[0].0.clear());
    let nowhere = with(&|proof| proof.place = 9);
    let newer = Erasure {
        kind: 3,
        ..good.clone()
    };
    let mut longer = good.clone();
    longer.proof.0.resize(limits::PROOF_BYTES + 1, 0);
    let elsewhere = Erasure {
        place: 0,
        ..good.clone()
    };
    vec![
        refused(talk, "without proof", unproven, &[]),
        refused(
            talk,
            "with the proof for another place",
            unproven,
            &[elsewhere],
        ),
        refused(
            talk,
            "by a delete that is erased itself",
            unproven,
            &[empty],
        ),
        refused(
            talk,
            "by a delete with a bad signature",
            "bad_signature",
            &[unsigned],
        ),
        refused(talk, "by an event that is not there", unproven, &[nowhere]),
        refused(
            talk,
            "by a proof of a kind nobody knows",
            "unknown_proof",
            &[newer],
        ),
        refused(
            talk,
            "by a proof that is too long",
            "bad_envelope",
            &[longer],
        ),
        refused(
            talk,
            "with a proof twice",
            unproven,
            &[good.clone(), good.clone()],
        ),
        unasked(talk, good),
    ]
}

/// A proof for a payload that is there.
fn unasked(talk: &Talk, good: Erasure) -> Vector {
    let mut item = EnvelopeItem::whole(talk.acme[0].sealed.clone());
    item.erasures.push(good);
    vector(talk, "a proof for what is there", &item).refused("unproven_erasure")
}

/// Events that are well signed and delete nothing of this message.
fn proofs_by_others(talk: &Talk) -> Vec<Vector> {
    let (acme, globex) = (cast::acme(), cast::globex());
    let hello = talk.acme[0].event_id(1);
    let delete = |target: EventId| Event::Delete(Delete { target });
    let edit = Event::Edit(Edit {
        target: hello,
        text: "x".to_owned(),
        fields: Fields::none(),
    });
    let mut ours = Pen::new(talk, &acme, talk.acme[1].head(), "deletes");
    let mut theirs = Pen::new(talk, &globex, Head::START, "a stranger deletes");
    let others = [
        (
            "by another person of the company",
            ours.write(&[("carl", delete(hello))]),
        ),
        (
            "by a delete of another message",
            ours.write(&[("anna", delete(talk.acme[0].event_id(0)))]),
        ),
        ("by what is no delete", ours.write(&[("anna", edit)])),
        (
            "by another company",
            theirs.write(&[("anna", delete(hello))]),
        ),
    ];
    others
        .iter()
        .map(|(name, by)| refused(talk, name, "unproven_erasure", &[proof(by, 1, 0)]))
        .collect()
}

/// A delete whose own payload is gone, with a later delete that names it.
fn of_delete(talk: &Talk) -> Vector {
    let globex = cast::globex();
    let target = talk.acme[0].event_id(1);
    let mut pen = Pen::new(talk, &globex, Head::START, "a delete is deleted");
    let first = pen.write(&[("boris", Event::Delete(Delete { target }))]);
    let target = first.event_id(0);
    let second = pen.write(&[("boris", Event::Delete(Delete { target }))]);
    let mut envelope = first.sealed.clone();
    envelope.payloads[0].0.clear();
    let item = EnvelopeItem {
        envelope,
        erasures: vec![proof(&second, 0, 0)],
    };
    vector(talk, "erased, a delete", &item).refused("unproven_erasure")
}

/// Deletes by administrators: of the author's company, of the owner, and of those who may not.
fn by_administrators(talk: &Talk) -> Vec<Vector> {
    let (acme, globex) = (cast::acme(), cast::globex());
    let delete = |target: EventId| Event::AdminDelete(AdminDelete { target });
    let (hello, hi) = (talk.acme[0].event_id(1), talk.globex[0].event_id(3));
    let mut ours = Pen::new(talk, &acme, talk.acme[1].head(), "administrator deletes");
    let by_colleague = ours.write(&[("carl", delete(hello))]);
    let by_owner = ours.write(&[("carl", delete(hi))]);
    let mut theirs = Pen::new(talk, &globex, Head::START, "a guest administrator deletes");
    let by_guest = theirs.write(&[("dora", delete(hello))]);
    let colleague = erased(talk, &[proof(&by_colleague, 1, 0)]);
    let mut partner = talk.globex[0].sealed.clone();
    partner.payloads[3].0.clear();
    let partner = EnvelopeItem {
        envelope: partner,
        erasures: vec![proof(&by_owner, 3, 0)],
    };
    let mut as_author = proof(&by_colleague, 1, 0);
    as_author.kind = 1;
    let mut as_administrator = proof(&talk.acme[2], 1, 0);
    as_administrator.kind = 2;
    let unproven = "unproven_erasure";
    let no = |name, proof| refused(talk, name, unproven, &[proof]);
    vec![
        vector(talk, "erased, by the company's administrator", &colleague).value(&colleague),
        vector(talk, "erased, by the owner's administrator", &partner).value(&partner),
        no("by a guest's administrator", proof(&by_guest, 1, 0)),
        no("by an administrator as if by the author", as_author),
        no("by the author as if by an administrator", as_administrator),
    ]
}
