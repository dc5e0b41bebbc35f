//! Content that is well sealed and still not fit to be shown: texts, names, titles, reactions.

use anyhow::{Context as _, Result, ensure};
use crossport_node::api::facade::UseCases;
use crossport_node::api::types::{ChatKind, MessageKind, MessagePageQuery};
use crossport_protocol::codec::{self, Blob};
use crossport_protocol::envelope::SealedEnvelope;
use crossport_protocol::event::{
    Edit, Event, Member, MemberAction, Message, Notice, Reaction, UserCard, kind,
};
use crossport_protocol::fields::{Field, Fields};
use crossport_protocol::frame::{Frame, IdentityFrame};
use crossport_protocol::identity::{IdentityDraft, SignedIdentity, root_commitment};
use crossport_protocol::ids::{ChatId, Hash, LocalId};
use crossport_protocol::limits;
use crossport_protocol::suite::Domain;
use crossport_tests::hostile::Hand;
use crossport_tests::hostile::forge::{SUITE, frame_of};
use crossport_tests::hostile::scene::{Scene, said};
use crossport_tests::world::{OPERATOR, check};
/// Messages whose content breaks a rule: stored, because the envelope is good, and never shown as a text.
async fn never_shown(
    make: impl FnOnce(&Hand, ChatId) -> Result<Vec<Vec<u8>>> + Send + 'static,
) -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| make(hand, chat)).await?;
    check("refusals", outcome.refused.len(), 0)?;
    ensure!(
        outcome.vanished == [Vec::<String>::new(), Vec::new()],
        "{outcome:#?}"
    );
    ensure!(!outcome.shows(" Text "), "a text is shown: {outcome:#?}");
    let page = scene
        .acme
        .node()
        .messages(scene.anna, chat.to_string(), MessagePageQuery::default())
        .await?;
    let texts = page
        .messages
        .iter()
        .filter(|message| message.kind != MessageKind::Text);
    ensure!(
        texts.clone().all(|message| message.text.is_none()),
        "{:#?}",
        texts.collect::<Vec<_>>()
    );
    scene.close().await
}

/// A message's content with any bytes for its text.
fn message_bytes(text: &[u8]) -> Vec<u8> {
    let plain = Event::Message(Message::text("")).encode();
    // A length, the text, no reply, no fields.
    [
        (text.len() as u64).to_le_bytes().as_slice(),
        text,
        plain.get(8..).unwrap_or_default(),
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_65_537_characters_is_not_shown() -> Result<()> {
    never_shown(|hand, chat| {
        let long = "x".repeat(limits::TEXT_CHARS + 1);
        Ok(vec![hand.draft(chat, &long)?.frame()])
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_65_536_characters_is_shown() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let text = "\u{1f600}".repeat(limits::TEXT_CHARS);
    let long = text.clone();
    let outcome = scene
        .attack(move |hand| Ok(vec![hand.draft(chat, &long)?.frame()]))
        .await?;
    outcome.refused_and_shown(&[], &[&said(&text)])?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_utf_8_and_nul_are_not_shown() -> Result<()> {
    never_shown(|hand, chat| {
        let texts: [&[u8]; 5] = [
            b"\xff\xfe",
            b"\xc0\x80",
            b"a\0b",
            b"\xed\xa0\x80",
            b"\x1b[2Jescape",
        ];
        let frames = texts.iter().map(|text| {
            Ok(hand
                .draft_raw(chat, kind::MESSAGE, message_bytes(text))?
                .frame())
        });
        frames.collect()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_empty_trailing_or_doubled_is_not_shown() -> Result<()> {
    never_shown(|hand, chat| {
        let mut trailing = message_bytes(b"trailing");
        trailing.push(0);
        let field = |number| Field {
            number,
            value: Blob(Vec::new()),
        };
        let doubled = Message {
            fields: Fields(vec![field(1), field(1)]),
            ..Message::text("doubled")
        };
        let mut huge = message_bytes(b"huge");
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        let plains = [
            trailing,
            Event::Message(doubled).encode(),
            huge,
            message_bytes(b""),
            message_bytes(b" \n "),
            Vec::new(),
        ];
        plains
            .into_iter()
            .map(|plain| Ok(hand.draft_raw(chat, kind::MESSAGE, plain)?.frame()))
            .collect()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_sealed_for_another_place_or_key_is_not_shown() -> Result<()> {
    never_shown(|hand, chat| {
        let mut other_key = hand.draft(chat, "under another key")?;
        other_key.key = crossport_protocol::seal::EpochKey::from_bytes([1; 32]);
        // The payload of one envelope under the header of another.
        let one = hand.draft(chat, "sealed here")?.sealed();
        let payload = one.payloads[0].clone();
        let moved = hand.draft(chat, "sealed here")?.with_header(|header| {
            header.events[0].payload_hash = Hash::of(&[&payload.0]);
            header.events[0].payload_len = payload.0.len() as u32;
        });
        let moved = SealedEnvelope {
            payloads: one.payloads,
            ..moved
        };
        Ok(vec![other_key.frame(), frame_of(chat, vec![moved])])
    })
    .await
}

const TRICKS: [&str; 8] = [
    "Anna\u{202e}ecilA",
    "Anna\u{200b}",
    "Anna\nBoris",
    "\u{feff}Anna",
    "Anna\u{2066}",
    "Anna\u{0}",
    "Anna\u{2028}",
    "\u{200d}",
];

#[tokio::test(flavor = "multi_thread")]
async fn overrides_zero_width_and_newlines_in_peoples_names_are_not_taken() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        let mut frames = Vec::new();
        for (number, trick) in TRICKS.iter().enumerate() {
            let plain = |text: &str| text.to_owned();
            for (name, nickname, title) in
                [(*trick, "x", ""), ("x", *trick, ""), ("x", "x", *trick)]
            {
                let local = LocalId([number as u8; 16]);
                let card = UserCard {
                    local,
                    name: plain(name),
                    nickname: plain(nickname),
                    title: plain(title),
                    fields: Fields::none(),
                };
                let member = Event::Member(Member {
                    action: MemberAction::JOIN,
                    card,
                });
                let mut join = hand.draft_of(chat, &member)?;
                join.events[0].actor = crossport_protocol::ids::Handle([number as u8; 16]);
                frames.push(join.frame());
            }
            let notice = Event::Notice(Notice {
                code: 2,
                words: vec![plain(trick)],
            });
            frames.push(hand.draft_of(chat, &notice)?.frame());
        }
        Ok(frames)
    });
    let outcome = outcome.await?;
    check("refusals", outcome.refused.len(), 0)?;
    shows_no_trick(&outcome.shown.concat())?;
    let members = scene
        .acme
        .node()
        .members(scene.anna, chat.to_string())
        .await?
        .members;
    check("members", members.len(), 3)?;
    scene.close().await
}

fn shows_no_trick(lines: &[String]) -> Result<()> {
    for line in lines {
        // Lines quote texts as Rust does, so control and format characters show as escapes.
        let tricky = ["\\u{", "\\n", "\\0", "\u{202e}", "\u{200b}"]
            .iter()
            .any(|part| line.contains(part));
        ensure!(!tricky, "{line}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn overrides_zero_width_and_newlines_in_a_companys_name_are_not_taken() -> Result<()> {
    let mut scene = Scene::open().await?;
    let outcome = scene.attack(|hand| {
        let mut frames = Vec::new();
        for trick in TRICKS {
            let draft = IdentityDraft {
                time: crossport_node::core::now(),
                name: trick.to_owned(),
                domains: Vec::new(),
                node_keys: vec![hand.node.public(SUITE), hand.second.public(SUITE)],
                next_root: root_commitment(&hand.root.public(SUITE)),
            };
            frames.push(unchecked_identity(hand, draft));
        }
        Ok(frames)
    });
    outcome
        .await?
        .refused_only(&[("bad_identity", TRICKS.len() as u64)])?;
    let partner = scene
        .acme
        .node()
        .partner(OPERATOR, scene.mallory.company.to_string())
        .await?;
    check("name", partner.name, "Mallory Ltd".to_owned())?;
    scene.close().await
}

/// The next identity record, as a node signs it that does not check its own name.
fn unchecked_identity(hand: &Hand, draft: IdentityDraft) -> Vec<u8> {
    let mut header = hand
        .identity
        .latest()
        .cloned()
        .expect("Mallory has an identity");
    header.company = hand.company;
    header.seq = 2;
    header.prev = hand.identity.head().hash;
    header.name = draft.name;
    header.node_keys = draft.node_keys;
    header.next_root = draft.next_root;
    let bytes = codec::encode(&header);
    let signature = SUITE.sign(&hand.root, Domain::Identity, &bytes);
    let record = SignedIdentity {
        header: Blob(bytes),
        signature,
    };
    Frame::Identity(IdentityFrame {
        company: hand.company,
        records: vec![record],
    })
    .encode()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tricky_chat_title_is_not_shown() -> Result<()> {
    let scene = Scene::open().await?;
    let (acme, _) = scene
        .mallory
        .act(|hand| hand.victim)
        .await?
        .context("Mallory is paired")?;
    let made = scene.mallory.act(move |hand| {
        for trick in TRICKS {
            let chat = hand.call(|replicator, cx| {
                use crossport_protocol::owner_log::{ChatKind as Kind, History};
                replicator.create_chat(
                    cx,
                    Kind::GROUP,
                    History::FULL,
                    Some(&format!("title {trick}")),
                )
            })?;
            hand.call(|replicator, cx| {
                replicator.invite(cx, chat, acme, crossport_node::core::now().plus_ms(60_000))
            })?;
            let ask = crossport_protocol::event::MemberAsk {
                company: acme,
                action: MemberAction::JOIN,
                nickname: "anna".into(),
            };
            let draft = crossport_protocol::replicator::Draft {
                actor: crossport_protocol::ids::Handle::ZERO,
                event: Event::MemberAsk(ask),
            };
            hand.call(|replicator, cx| replicator.append(cx, chat, &[draft]))?;
        }
        anyhow::Ok(())
    });
    made.await??;
    crossport_tests::world::eventually("Anna is in all of them", || async {
        Ok(scene.acme.chats(scene.anna).await?.len() == 2 + TRICKS.len())
    })
    .await?;
    for chat in scene.acme.chats(scene.anna).await? {
        let bad = |c: char| {
            c.is_control()
                || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
        };
        ensure!(!chat.title.chars().any(bad), "{:?}", chat.title);
        ensure!(
            chat.kind != ChatKind::Direct || chat.title == "boris",
            "{chat:?}"
        );
    }
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_that_are_no_emoji_and_edits_without_a_text_change_nothing() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        let page = hand
            .log
            .envelopes(&chat)
            .next()
            .map(|(hash, _)| *hash)
            .context("there is an envelope")?;
        let target = crossport_protocol::ids::EventId {
            envelope: page,
            place: 0,
        };
        let react = |emoji: &str| {
            Event::Reaction(Reaction {
                target,
                emoji: emoji.to_owned(),
                present: true,
            })
        };
        let long = "\u{1f600}".repeat(100);
        let emojis = ["text", "", "\u{202e}", " ", "\n", &long, "<b>"].map(react);
        let edits = ["", " ", "a\0b"].map(|text| {
            Event::Edit(Edit {
                target,
                text: text.to_owned(),
                fields: Fields::none(),
            })
        });
        emojis
            .into_iter()
            .chain(edits)
            .map(|event| Ok(hand.draft_of(chat, &event)?.frame()))
            .collect()
    });
    outcome.await?.refused_only(&[])?;
    scene.close().await
}
