//! Every limit of the protocol, named once, with its reason.

/// Unicode scalar values in one text: long enough for a pasted log, short enough to show.
pub const TEXT_CHARS: usize = 65_536;
/// The same text in UTF-8, four bytes a scalar value at most.
pub const TEXT_BYTES: usize = 262_144;
/// A sealed payload: the longest text, its framing and room for numbered fields.
pub const PAYLOAD_BYTES: usize = 320 * 1024;
/// One frame on a link, with its number. Larger would let one partner hold a reader's memory.
pub const FRAME_BYTES: usize = 1024 * 1024;
/// Events under one signature. A place fits a byte in indexes.
pub const ENVELOPE_EVENTS: usize = 256;
/// The payloads of one envelope together: with its header and a proof for each of its events it fits a frame.
pub const ENVELOPE_PAYLOAD_BYTES: usize = 512 * 1024;
/// A header with 256 events (16 KiB) and as much room for extensions.
pub const HEADER_BYTES: usize = 32 * 1024;
/// Events of an envelope that holds a delete: its header travels with each payload that it erases.
pub const DELETE_EVENTS: usize = 16;
/// The header of such an envelope: 16 events and some room for extensions.
pub const DELETE_HEADER_BYTES: usize = 1_500;
/// The sealed payload of a delete: it only names its target.
pub const DELETE_PAYLOAD_BYTES: usize = 106;
/// The proof of one erasure. 256 of them, an envelope's payloads and its header fit a frame.
pub const PROOF_BYTES: usize = 1_840;
/// Branches of one stream that count. A ninth is a proof against the stream's owner, nothing more.
pub const STREAM_BRANCHES: usize = 8;
/// Ends of streams of one company in one chat: each restore opens a stream, so 64 is one every two months for ten years.
pub const HEADS_PER_COMPANY: usize = 64;
/// Ends of all streams of a chat: what a frontier, a statement and a newcomer's base list at most.
pub const CHAT_HEADS: usize = 4_096;
/// A delivery statement or a part of a read register: every end of every stream (120 bytes each). Two fit a frame.
pub const REGISTER_BYTES: usize = 512 * 1024;
/// An owner record: the base of a newcomer names every end of every stream (176 bytes each), beside its acceptance.
pub const RECORD_BYTES: usize = 768 * 1024;
/// The sealed payload of an owner record: a title, one day a policy.
pub const RECORD_PAYLOAD_BYTES: usize = 64 * 1024;
/// The signed bytes of an acceptance: it becomes part of a record.
pub const ACCEPTANCE_BYTES: usize = 16 * 1024;
/// Companies in one chat. Beyond this, direct delivery between all pairs stops being sensible.
pub const CHAT_COMPANIES: usize = 32;
/// Companies that ever took part in one chat: what they wrote stays, and 64 times their heads are what fits.
pub const CHAT_COMPANIES_EVER: usize = 64;
/// Heads whose past a frontier asks for at once; the others follow when these are filled.
pub const FRONTIER_GAPS: usize = 256;
/// Epochs whose keys a frontier asks for at once; the others follow.
pub const FRONTIER_EPOCHS: usize = 4_096;
/// Parts of a node's read register in one chat.
pub const READ_PARTS: u16 = 64;
/// A part is split when its entries take more than this; a register must fit a frame whatever it holds.
pub const READ_PART_BYTES: usize = 64 * 1024;
/// Numbered fields in one extensible part.
pub const FIELDS: usize = 64;
/// People and chats that one text names: more is a list, not a message.
pub const MENTIONS: usize = 100;
/// What a forwarded message says of its origin: two names and some ids.
pub const FORWARDED_BYTES: usize = 2_048;
/// The id of what a mention names; a person takes 48.
pub const MENTION_ID_BYTES: usize = 64;
/// Things of one partner that wait for context: enough for a long catch-up, little enough to keep in memory.
pub const PENDING_ITEMS: usize = 4_096;
/// The bytes of those things.
pub const PENDING_BYTES: usize = 32 * 1024 * 1024;
/// Bytes sent to one partner and not yet acknowledged by a frontier.
pub const WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// A name, title or nickname as people see it.
pub const NAME_BYTES: usize = 512;
/// One emoji, with modifiers and joiners.
pub const EMOJI_BYTES: usize = 64;
/// An author refuses to sign further ahead of its own clock than this (milliseconds).
pub const CLOCK_AHEAD_MS: u64 = 5 * 60 * 1000;
/// A delivery statement is sent at once, then at most this often for a chat (milliseconds).
pub const STATEMENT_INTERVAL_MS: u64 = 200;
/// A read register is published at once, then at most this often for a chat (milliseconds).
pub const READ_INTERVAL_MS: u64 = 1_000;
/// How long a member waits for an author's own delivery to a partner it is linked with, before relaying (milliseconds).
pub const RELAY_DELAY_MS: u64 = 2_000;
/// How long after a link began its partner may still be linking with others: what they bring themselves is not relayed
/// before (milliseconds). Everything would come twice to a company that returns to two that hold it all.
pub const LINKS_SETTLE_MS: u64 = 1_000;
/// Rejected hashes that are remembered per node, oldest forgotten first.
pub const REJECTED_REMEMBERED: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Time};
    use crate::codec::{Blob, encode};
    use crate::envelope::{EnvelopeHeader, EventHeader, SealedEnvelope};
    use crate::event::{Event, Resume, kind};
    use crate::fields::{Field, Fields};
    use crate::frame::{DeleteProof, EnvelopeItem, EnvelopesFrame, Erasure, Frame};
    use crate::frame::{Frontier, FrontierBody, OwnerFrame};
    use crate::ids::{ChatId, CompanyId, Handle, Hash, Head, NodeKey, Position, StreamId};
    use crate::owner_log::{Acceptance, Add, Body, NewEpoch, Remove, SignedRecord, StreamCut};
    use crate::owner_log::{RecordError, RecordHeader};
    use crate::read::{ReadEntry, ReadRegister, RegisterPlace, fitting};
    use crate::seal::{EpochKey, OVERHEAD_BYTES};
    use crate::statement::{Statement, StatementContent};
    use crate::stream::Tip;
    use crate::suite::{Random, SecretKey, Suite};
    use crate::wrap::PrekeyBundle;

    const SUITE: Suite = Suite::KeyedHash;
    const HEAD: Head = Head {
        seq: 1,
        hash: Hash([1; 32]),
    };

    struct Zeros;
    impl Random for Zeros {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    fn key() -> SecretKey {
        SecretKey::from_bytes([1; 32])
    }

    fn stream(number: usize) -> StreamId {
        StreamId {
            company: CompanyId([2; 32]),
            node: NodeKey([3; 32]),
            incarnation: number as u64,
        }
    }

    fn cuts(streams: usize) -> Vec<StreamCut> {
        let cut = |number| StreamCut {
            stream: stream(number),
            heads: vec![HEAD],
        };
        (0..streams).map(cut).collect()
    }

    fn fields(value_bytes: usize) -> Fields {
        let value = Blob(vec![0; value_bytes]);
        Fields(vec![Field { number: 1, value }])
    }

    fn acceptance() -> Acceptance {
        let company = CompanyId([2; 32]);
        let bundle = PrekeyBundle::sign(SUITE, &key(), company, 1, Time(0), [0; 32]);
        let (chat, start) = (ChatId([4; 32]), Position::START);
        let mut largest = Acceptance::sign(SUITE, &key(), chat, start, start, bundle);
        // What is signed ends before the signature; a field takes 10 bytes beside its value.
        let room = ACCEPTANCE_BYTES - (encode(&largest).len() - 64) - 10;
        largest.fields = fields(room);
        largest
    }

    fn record(body: &Body, field_bytes: usize) -> SignedRecord {
        let header = RecordHeader {
            version: 0,
            suite: SUITE.number(),
            chat: ChatId([4; 32]),
            term: 0,
            seq: 2,
            prev: Hash([5; 32]),
            owner: CompanyId([6; 32]),
            node: key().public(SUITE),
            identity_at: Position::START,
            clock: Clock(1),
            kind: body.kind(),
            body: Blob(body.encode()),
            epoch: 1,
            payload_len: RECORD_PAYLOAD_BYTES as u32,
            payload_hash: Hash::of(&[&[0; RECORD_PAYLOAD_BYTES]]),
            fields: fields(field_bytes),
        };
        SignedRecord::sign(SUITE, &key(), &header, vec![0; RECORD_PAYLOAD_BYTES])
    }

    fn add(base: usize) -> Body {
        let tip = Tip::start(HEAD);
        Body::Add(Box::new(Add {
            acceptance: acceptance(),
            epoch: Some(NewEpoch {
                epoch: 2,
                commitment: Hash([7; 32]),
            }),
            base: (0..base).map(|number| (stream(number), tip)).collect(),
        }))
    }

    fn remove(streams: usize) -> Body {
        Body::Remove(Remove {
            company: CompanyId([2; 32]),
            cut: cuts(streams),
            epoch: NewEpoch {
                epoch: 2,
                commitment: Hash([7; 32]),
            },
        })
    }

    #[test]
    fn the_largest_records_fit_and_larger_ones_are_refused() {
        let listed = Err(RecordError::Rule("it lists what it must not"));
        let judged = |body: &Body| record(body, 0).verify(SUITE).map(|_| ());
        assert_eq!(judged(&add(CHAT_HEADS)), Ok(()));
        assert_eq!(judged(&add(CHAT_HEADS + 1)), listed);
        assert_eq!(judged(&remove(HEADS_PER_COMPANY)), Ok(()));
        assert_eq!(judged(&remove(HEADS_PER_COMPANY + 1)), listed);
        let mut branched = cuts(1);
        branched[0].heads = vec![HEAD; HEADS_PER_COMPANY + 1];
        let Body::Remove(mut forked) = remove(0) else {
            unreachable!("made above");
        };
        forked.cut = branched;
        assert_eq!(judged(&Body::Remove(forked)), listed);

        let largest = record(&add(CHAT_HEADS), 32 * 1024);
        assert!(largest.verify(SUITE).is_ok(), "with room to grow");
        let frame = Frame::Owner(OwnerFrame {
            chat: ChatId([4; 32]),
            records: vec![largest],
        });
        assert!(frame.encode().len() <= FRAME_BYTES);
        let longer = record(&add(CHAT_HEADS), 64 * 1024).verify(SUITE);
        assert!(matches!(longer, Err(RecordError::Codec(_))), "{longer:?}");
    }

    #[test]
    fn an_acceptance_is_short_enough_for_its_record() {
        let mut longer = acceptance();
        let resigned = |acceptance: &mut Acceptance| {
            let bytes = encode(acceptance);
            let signed = &bytes[..bytes.len() - 64];
            let domain = crate::suite::Domain::Acceptance;
            acceptance.signature = SUITE.sign(&key(), domain, signed);
            acceptance.verify(SUITE)
        };
        assert!(resigned(&mut longer));
        longer.fields.0[0].value.0.push(0);
        assert!(!resigned(&mut longer));
    }

    #[test]
    fn the_largest_frontier_fits() {
        let nodes = CHAT_COMPANIES * 16;
        let node = |number: usize| NodeKey([number as u8; 32]);
        let parts = (0..nodes).flat_map(|at| (0..8).map(move |part| (node(at), part, 1)));
        let body = FrontierBody {
            owner_at: Some(Position::START),
            streams: cuts(CHAT_HEADS),
            gaps: cuts(FRONTIER_GAPS),
            statements: (0..nodes).map(|at| (node(at), 1)).collect(),
            reads: parts.collect(),
            missing_epochs: vec![1; FRONTIER_EPOCHS],
            fields: fields(64 * 1024),
            ..FrontierBody::default()
        };
        let chat = ChatId([4; 32]);
        let largest = Frame::Frontier(Frontier { chat, body }).encode();
        assert!(largest.len() <= FRAME_BYTES, "{}", largest.len());
        let content = StatementContent {
            version: 0,
            chat,
            company: CompanyId([2; 32]),
            node: key().public(SUITE),
            generation: 1,
            number: 1,
            time: Time(0),
            owner_at: Position::START,
            heads: cuts(CHAT_HEADS),
            fields: Fields::none(),
        };
        let statement = Frame::Statements(vec![Statement::sign(SUITE, &key(), content)]);
        assert!(statement.encode().len() <= REGISTER_BYTES);
        assert!(Frame::decode(&vec![0; FRAME_BYTES + 1]).is_err());
    }

    #[test]
    fn read_registers_fit_however_many_people_read() {
        let entry = |number: u8, streams| ReadEntry {
            handle: Handle([number; 16]),
            time: Time(u64::from(number)),
            heads: cuts(streams),
            fields: Fields::none(),
        };
        let one = fitting(vec![entry(1, CHAT_HEADS)]);
        assert_eq!(one.len(), 1, "whoever has read everything is not left out");
        let many: Vec<ReadEntry> = (0..200).map(|at| entry(at, 64)).collect();
        let fitted = fitting(many);
        assert!(fitted.len() < 200 && fitted.len() > 60, "{}", fitted.len());
        assert!(
            fitted
                .iter()
                .all(|entry| entry.time.0 >= 200 - fitted.len() as u64)
        );
        let place = RegisterPlace {
            chat: ChatId([4; 32]),
            company: CompanyId([2; 32]),
            node: key().public(SUITE),
            part: READ_PARTS - 1,
            number: 1,
            epoch: 1,
        };
        let epoch = EpochKey::from_bytes([1; 32]);
        let signed = |place| ReadRegister::sign(SUITE, &key(), &epoch, place, &fitted, &mut Zeros);
        let register = signed(place);
        assert!(register.verify(SUITE));
        assert!(encode(&register).len() <= REGISTER_BYTES);
        assert!(Frame::Reads(vec![register]).encode().len() <= FRAME_BYTES);
        let beyond = signed(RegisterPlace {
            part: READ_PARTS,
            ..place
        });
        assert!(!beyond.verify(SUITE));
    }

    fn header(events: usize, number: u16, payload_len: usize, bytes: usize) -> EnvelopeHeader {
        let event = |at| EventHeader {
            clock: Clock(1 + at as u64),
            kind: number,
            actor: Handle([1; 16]),
            payload_len: payload_len as u32,
            payload_hash: Hash([1; 32]),
        };
        let mut header = EnvelopeHeader {
            version: 0,
            chat: ChatId([4; 32]),
            stream: StreamId {
                node: key().public(SUITE),
                ..stream(1)
            },
            first_seq: 1,
            prev: Hash::ZERO,
            owner_at: Position::START,
            identity_at: Position::START,
            epoch: 1,
            fields: Fields::none(),
            events: (0..events).map(event).collect(),
        };
        header.fields = fields(bytes - encode(&header).len() - 10);
        header
    }

    fn sealed(header: &EnvelopeHeader, payloads: Vec<Blob>) -> SealedEnvelope {
        let bytes = encode(header);
        let sealed = SealedEnvelope {
            signature: SUITE.sign(&key(), crate::suite::Domain::Envelope, &bytes),
            header: Blob(bytes),
            payloads,
        };
        assert!(sealed.verify(SUITE).is_ok());
        sealed
    }

    #[test]
    fn the_largest_envelope_fits_with_a_proof_for_each_erased_payload() {
        let number = kind::DELETE;
        let mut delete = header(
            DELETE_EVENTS,
            number,
            DELETE_PAYLOAD_BYTES,
            DELETE_HEADER_BYTES,
        );
        let payload = vec![0; DELETE_PAYLOAD_BYTES];
        delete.events[3].payload_hash = Hash::of(&[&payload]);
        let mut payloads = vec![Blob::default(); DELETE_EVENTS];
        payloads[3] = Blob(payload);
        let proof = DeleteProof {
            place: 3,
            envelope: sealed(&delete, payloads),
        };
        assert!(encode(&proof).len() <= PROOF_BYTES);
        assert!(
            Erasure::deleted(0, &proof)
                .delete()
                .is_some_and(|read| read.is_ok())
        );

        // Two payloads that fill the envelope, all others erased.
        let mut target = header(ENVELOPE_EVENTS, kind::MESSAGE, OVERHEAD_BYTES, HEADER_BYTES);
        let erased = ENVELOPE_EVENTS - 2;
        let rest = ENVELOPE_PAYLOAD_BYTES - erased * OVERHEAD_BYTES;
        let lengths = [PAYLOAD_BYTES, rest - PAYLOAD_BYTES];
        let mut payloads = vec![Blob::default(); ENVELOPE_EVENTS];
        for (at, length) in (erased..).zip(lengths) {
            payloads[at] = Blob(vec![0; length]);
            target.events[at].payload_len = length as u32;
            target.events[at].payload_hash = Hash::of(&[&payloads[at].0]);
        }
        let longest = Blob(vec![0; PROOF_BYTES]);
        let erasure = |place: usize| Erasure {
            place: place as u16,
            kind: 0xFFFF,
            proof: longest.clone(),
        };
        let item = EnvelopeItem {
            envelope: sealed(&target, payloads),
            erasures: (0..ENVELOPE_EVENTS).map(erasure).collect(),
        };
        let frame = Frame::Envelopes(EnvelopesFrame {
            chat: ChatId([4; 32]),
            sent_bytes: 0,
            items: vec![item],
        });
        assert!(
            frame.encode().len() <= FRAME_BYTES,
            "{}",
            frame.encode().len()
        );
    }

    #[test]
    fn a_proof_too_long_is_no_proof() {
        let erasure = Erasure {
            place: 0,
            kind: crate::frame::proof_kind::DELETED,
            proof: Blob(vec![0; PROOF_BYTES + 1]),
        };
        assert!(erasure.delete().is_some_and(|read| read.is_err()));
        let newer = Erasure { kind: 3, ..erasure };
        assert_eq!(newer.delete(), None);
    }

    #[test]
    fn a_resume_names_every_end_that_a_company_may_have() {
        let resume = |heads| {
            Event::Resume(Resume {
                old: (0..heads).map(|number| (stream(number), HEAD)).collect(),
            })
        };
        assert!(resume(HEADS_PER_COMPANY).check().is_ok());
        assert!(resume(HEADS_PER_COMPANY + 1).check().is_err());
        let sealed = resume(HEADS_PER_COMPANY).encode().len() + OVERHEAD_BYTES;
        assert!(sealed <= PAYLOAD_BYTES);
    }
}
