//! What happens in a world, in lines for whoever looks at a failing seed. Nothing depends on it.

use crate::frame::Frame;
use crate::owner_log::StreamCut;
use crate::replicator::{Output, Record, Register};
use crate::sim::log::header_of;
use crate::suite::Suite;

/// Of the body of an owner record: enough for its kind and the company that it concerns.
const BODY_CHARACTERS: usize = 80;

/// An output in a line, without the bytes.
pub(super) fn told(output: &Output) -> String {
    match output {
        Output::Store(Record::Envelope { item, .. }) => {
            let header = header_of(&item.envelope);
            format!(
                "stores {:?} {:?} {}-{} after {:?}, cites {}, epoch {}",
                item.envelope.hash(),
                header.stream,
                header.first_seq,
                header.last_seq(),
                header.prev,
                header.owner_at.seq,
                header.epoch
            )
        }
        Output::Store(Record::Owner { chat, record }) => {
            let [keyed, real] =
                [Suite::KeyedHash, Suite::Ed25519].map(|suite| record.verify(suite));
            let held = keyed.or(real);
            let told = held.map_or(String::new(), |(header, body)| {
                let body = format!("{body:?}");
                let body: String = body.chars().take(BODY_CHARACTERS).collect();
                format!(" at {}: {body}", header.seq)
            });
            format!("stores record {:?} of {chat:?}{told}", record.hash())
        }
        Output::Store(record) => format!("stores {record:?}"),
        Output::Delivered { envelope, .. } => format!("shows {:?}", envelope.hash),
        Output::StoreRegister(Register::Statement(held)) => {
            format!(
                "keeps statement {:?} {}",
                held.content.company, held.content.number
            )
        }
        Output::StoreRegister(Register::Read(held)) => {
            format!(
                "keeps reads {:?} {}",
                held.content.company, held.content.number
            )
        }
        Output::StatementArrived { .. } | Output::ReadsArrived { .. } => "register".to_owned(),
        other => format!("{other:?}"),
    }
}

pub(super) fn told_frame(frame: &[u8]) -> String {
    match Frame::decode(frame) {
        Ok(Frame::Envelopes(held)) => {
            let hashes: Vec<_> = held.items.iter().map(|item| item.envelope.hash()).collect();
            format!("envelopes {hashes:?}")
        }
        Ok(Frame::Owner(held)) => format!("{} records", held.records.len()),
        Ok(Frame::Identity(_)) => "identity".to_owned(),
        Ok(Frame::Statements(held)) => format!("{} statements", held.len()),
        Ok(Frame::Reads(held)) => format!("{} reads", held.len()),
        Ok(Frame::Hello(_)) => "hello".to_owned(),
        Ok(Frame::Accept(_)) => "acceptance".to_owned(),
        Ok(Frame::Frontier(held)) => {
            let heads = |cut: &StreamCut| {
                let ends = cut.heads.iter();
                let ends: Vec<_> = ends
                    .map(|head| format!("{}:{}", head.seq, head.hash.short()))
                    .collect();
                format!("{}={}", cut.stream.incarnation % 10_000, ends.join("+"))
            };
            let streams: Vec<_> = held.body.streams.iter().map(heads).collect();
            let (reply, answers) = (held.body.reply, held.body.answers);
            let lacks = &held.body.missing_epochs;
            let at = held.body.owner_at.map_or(0, |position| position.seq);
            format!(
                "frontier {:?} at {at} {streams:?} lacks {lacks:?} reply {reply} answers {answers} processed {} statements {:?} reads {:?}",
                held.chat, held.body.processed, held.body.statements, held.body.reads
            )
        }
        Ok(Frame::Digests(held)) => {
            let entries: Vec<_> = held
                .entries
                .iter()
                .map(|(chat, digest)| {
                    format!("{} {:02x}{:02x}", chat.short(), digest[0], digest[1])
                })
                .collect();
            format!("digests {entries:?}")
        }
        Ok(Frame::Wraps(held)) => format!("{} wraps", held.len()),
        Ok(other) => format!("{other:?}"),
        Err(error) => format!("{error}"),
    }
}
