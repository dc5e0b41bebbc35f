//! When something was said, and after what: every way to tell it otherwise.

use anyhow::{Context as _, Result, ensure};
use crossport_node::api::facade::UseCases;
use crossport_node::api::types::{Message, MessagePageQuery};
use crossport_node::core::now;
use crossport_protocol::clock::{Clock, Time};
use crossport_protocol::codec::Blob;
use crossport_protocol::event::{Event, Resume};
use crossport_protocol::fields::Fields;
use crossport_protocol::frame::{Frame, Frontier, FrontierBody};
use crossport_protocol::ids::{ChatId, Head, Position, StreamId};
use crossport_protocol::statement::{self, Statement, StatementContent};
use crossport_tests::hostile::Hand;
use crossport_tests::hostile::forge::{SUITE, frame_of, random_hash};
use crossport_tests::hostile::scene::{Scene, refuses, said};
use crossport_tests::world::{OPERATOR, check};

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_waits_and_shows_nothing_until_it_is_filled() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let first = scene
        .mallory
        .act(move |hand| hand.draft(chat, "the first"))
        .await??;
    let sealed = first.sealed();
    let second = first.after(&sealed, "the second").frame();
    let alone = second.clone();
    let outcome = scene.attack(move |_| Ok(vec![alone])).await?;
    outcome.refused_only(&[("gap", 1)])?;
    let outcome = scene
        .attack(move |_| Ok(vec![frame_of(chat, vec![sealed]), second]))
        .await?;
    outcome.refused_and_shown(&[], &[&said("the first"), &said("the second")])?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_position_with_the_same_bytes_is_taken_once() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        let frame = hand.draft(chat, "once")?.frame();
        Ok(vec![frame.clone(), frame.clone(), frame])
    });
    outcome.await?.refused_and_shown(&[], &[&said("once")])?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_position_with_other_bytes_is_kept_as_a_proof_and_alarms() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        let one = hand.draft(chat, "to Anna")?;
        Ok(vec![one.frame(), one.saying("to Boris").frame()])
    });
    // Every branch counts, at everybody: a liar cannot show different texts to different people.
    outcome
        .await?
        .refused_and_shown(&[], &[&said("to Anna"), &said("to Boris")])?;
    check("alarms", scene.metric("partner", "alarm.fork").await?, 1)?;
    let audit = scene
        .acme
        .node()
        .audit(OPERATOR, Default::default())
        .await?;
    let told = audit
        .items
        .iter()
        .any(|entry| format!("{entry:?}").contains("alarm.fork"));
    ensure!(
        told,
        "the operator is not told of the fork: {:?}",
        audit.items
    );
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ninth_branch_of_a_stream_does_not_count() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        let one = hand.draft(chat, "branch 0")?;
        let branches = (0..12).map(|number| one.saying(&format!("branch {number}")).frame());
        Ok(branches.collect())
    });
    let lines: Vec<String> = (0..8)
        .map(|number| said(&format!("branch {number}")))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    outcome
        .await?
        .refused_and_shown(&[("too_many_branches", 4)], &lines)?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_predecessor_is_not_continued() -> Result<()> {
    refuses(
        |hand, chat| {
            let first = hand.draft(chat, "never sent")?;
            let mut invented = first.next("after nothing");
            invented.place.after = Head {
                seq: 1,
                hash: random_hash(),
            };
            // An envelope of another stream, and the right one at a wrong position.
            let of_acme = hand
                .log
                .envelopes(&chat)
                .map(|(_, stored)| stored.link)
                .find(|link| link.stream.company != hand.company);
            let of_acme = of_acme.context("Acme has written")?;
            let mut foreign = first.next("after Acme's");
            foreign.place.after = of_acme.tip.head;
            let mut skipping = first.next("too far");
            skipping.place.after = Head {
                seq: 41,
                hash: of_acme.tip.head.hash,
            };
            Ok(vec![invented.frame(), foreign.frame(), skipping.frame()])
        },
        &[("gap", 3)],
    )
    .await
}

async fn messages(scene: &Scene) -> Result<Vec<Message>> {
    let query = MessagePageQuery {
        limit: Some(200),
        ..MessagePageQuery::default()
    };
    Ok(scene
        .acme
        .node()
        .messages(scene.anna, scene.shared.to_string(), query)
        .await?
        .messages)
}

fn find<'a>(messages: &'a [Message], text: &str) -> Result<(usize, &'a Message)> {
    let found = messages
        .iter()
        .enumerate()
        .find(|(_, message)| message.text.as_deref() == Some(text));
    found.with_context(|| format!("{text:?} is not shown"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_years_9999_and_1970_are_shown_and_move_nobodys_clock() -> Result<()> {
    const YEAR_9999: Time = Time(253_370_764_800_000);
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        let mut late = hand.draft(chat, "from the year 9999")?;
        late.events[0].clock = Clock::at(YEAR_9999);
        let mut last = hand.draft(chat, "from the end of time")?;
        last.events[0].clock = Clock(u64::MAX);
        let mut early = hand.draft(chat, "from 1970")?;
        early.events[0].clock = Clock(1);
        Ok(vec![late.frame(), last.frame(), early.frame()])
    });
    let lines = [
        said("from the year 9999"),
        said("from the end of time"),
        said("from 1970"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    outcome.await?.refused_and_shown(&[], &lines)?;
    scene
        .acme
        .post(scene.anna, &chat.to_string(), "what time is it?")
        .await?;
    let shown = messages(&scene).await?;
    let (_, late) = find(&shown, "from the year 9999")?;
    ensure!(
        late.clock_ahead,
        "nobody is told that the clock runs ahead: {late:?}"
    );
    let (place, early) = find(&shown, "from 1970")?;
    ensure!(
        !early.clock_ahead && place == 0,
        "1970 is at place {place}: {early:?}"
    );
    let (_, own) = find(&shown, "what time is it?")?;
    ensure!(
        !own.clock_ahead && own.sent_at.as_str() < "2100",
        "Anna's clock was moved: {own:?}"
    );
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_goes_back_in_its_stream_is_refused() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        let first = hand.draft(chat, "noon")?;
        let sealed = first.sealed();
        let mut second = first.after(&sealed, "earlier");
        second.events[0].clock = first.events[0].clock;
        Ok(vec![frame_of(chat, vec![sealed]), second.frame()])
    });
    outcome
        .await?
        .refused_and_shown(&[("chain", 1)], &[&said("noon")])?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_epoch_is_not_used_again() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let old = scene
        .mallory
        .act(move |hand| hand.draft(chat, "with the old key"))
        .await??;
    let first = old.sealed();
    let kept = frame_of(chat, vec![first.clone()]);
    let outcome = scene.attack(move |_| Ok(vec![kept])).await?;
    outcome.refused_and_shown(&[], &[&said("with the old key")])?;
    let rotated = scene.acme.node().change(move |core| {
        let rotated = core.replicate(|replicator, cx| replicator.rotate(cx, chat));
        assert!(rotated.is_ok(), "{rotated:?}");
        Ok(())
    });
    rotated.await?;
    scene
        .mallory
        .until("Mallory has the new key", move |hand| {
            hand.is_in(&chat) && epoch_of(hand, &chat) == Some(2)
        })
        .await?;
    let outcome = scene.attack(move |hand| {
        // The new position with the old epoch and key.
        let mut rolled_back = hand.draft(chat, "rolled back")?;
        rolled_back.place.epoch = 1;
        rolled_back.key = old.key.clone();
        // A stream that has used the new epoch goes back to the old position and epoch.
        let forward = hand.draft(chat, "forward")?;
        let sealed = forward.sealed();
        let mut back = forward.after(&sealed, "and back");
        back.place.owner_at = old.place.owner_at;
        back.place.epoch = 1;
        back.key = old.key.clone();
        Ok(vec![
            rolled_back.frame(),
            frame_of(chat, vec![sealed]),
            back.frame(),
        ])
    });
    outcome
        .await?
        .refused_and_shown(&[("chain", 1), ("wrong_epoch", 1)], &[&said("forward")])?;
    drop(first);
    scene.close().await
}

fn epoch_of(hand: &Hand, chat: &ChatId) -> Option<u32> {
    hand.replicator.chat(chat).map(|held| held.owner().epoch())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_into_another_chat_is_refused() -> Result<()> {
    let mut scene = Scene::open().await?;
    let (shared, private) = (scene.shared, scene.private);
    let outcome = scene.attack(move |hand| {
        let stored = hand
            .log
            .envelopes(&shared)
            .map(|(_, stored)| stored.item.envelope.clone());
        let stolen: Vec<_> = stored.collect();
        let mut renamed = hand.draft(shared, "signed for another chat")?;
        renamed.place.chat = private;
        ensure!(!stolen.is_empty(), "there is nothing to replay");
        Ok(vec![
            // True envelopes of the shared chat under the name of the private one, and the other way round.
            frame_of(private, stolen),
            frame_of(shared, vec![renamed.sealed()]),
        ])
    });
    outcome
        .await?
        .refused_only(&[("not_shared", 1), ("other_chat", 1)])?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_citation_that_contradicts_or_precedes_the_log_is_refused() -> Result<()> {
    refuses(
        |hand, chat| {
            let good = hand.draft(chat, "cited wrongly")?;
            let mut contradicting = good.clone();
            contradicting.place.owner_at.hash = random_hash();
            let mut unknown = good.clone();
            unknown.place.owner_at = Position {
                term: 0,
                seq: u64::MAX,
                hash: random_hash(),
            };
            let mut nothing = good.clone();
            nothing.place.owner_at = Position::START;
            let mut identity = good.clone();
            identity.place.identity_at = Position {
                term: 0,
                seq: 77,
                hash: random_hash(),
            };
            let mut before = good.clone();
            before.place.owner_at = hand
                .replicator
                .chat(&chat)
                .and_then(|held| held.owner().position(1))
                .context("a genesis")?;
            Ok(vec![
                contradicting.frame(),
                unknown.frame(),
                nothing.frame(),
                identity.frame(),
                before.frame(),
            ])
        },
        &[
            ("contradicts_owner", 1),
            ("needs_identity", 1),
            ("needs_owner", 2),
            ("not_member", 1),
        ],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_that_names_heads_that_never_were_changes_nothing() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        let (company, node) = hand.victim.context("Mallory is paired")?;
        let stream = StreamId {
            company,
            node,
            incarnation: 5,
        };
        let old = vec![
            (
                stream,
                Head {
                    seq: u64::MAX,
                    hash: random_hash()
                }
            );
            20
        ];
        Ok(vec![
            hand.draft_of(chat, &Event::Resume(Resume { old }))?.frame(),
        ])
    });
    let outcome = outcome.await?;
    ensure!(
        outcome.refused.is_empty() && outcome.vanished.iter().all(Vec::is_empty),
        "{outcome:#?}"
    );
    let texts = outcome
        .shown
        .iter()
        .flatten()
        .filter(|line| line.contains("Text"));
    check("texts", texts.count(), 0)?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_about_heads_that_never_were_is_refused() -> Result<()> {
    refuses(
        |hand, chat| {
            let held = hand
                .replicator
                .chat(&chat)
                .context("Mallory has the chat")?;
            let (company, _) = hand.victim.context("Mallory is paired")?;
            let mut heads = held.delivered();
            let of_acme = heads
                .iter_mut()
                .find(|cut| cut.stream.company == company)
                .context("Acme has written")?;
            of_acme.heads = vec![Head {
                seq: 1_000,
                hash: random_hash(),
            }];
            let content = StatementContent {
                version: statement::VERSION,
                chat,
                company: hand.company,
                node: hand.second.public(SUITE),
                generation: 1,
                number: 1,
                time: now(),
                owner_at: held.owner().head(),
                heads,
                fields: Fields::none(),
            };
            let statement = Statement::sign(SUITE, &hand.second, content);
            Ok(vec![Frame::Statements(vec![statement]).encode()])
        },
        &[("unknown_heads", 1)],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_claim_that_acme_was_restored_is_believed_once() -> Result<()> {
    const CLAIMS: u64 = 30;
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    for claim in 0..CLAIMS {
        let outcome = scene.attack(move |hand| {
            let held = hand
                .replicator
                .chat(&chat)
                .context("Mallory has the chat")?;
            let (company, node) = hand.victim.context("Mallory is paired")?;
            let mut streams = held.heads();
            for cut in streams
                .iter_mut()
                .filter(|cut| cut.stream.company == company && cut.stream.node == node)
            {
                cut.heads = vec![Head {
                    seq: 1_000 + claim,
                    hash: random_hash(),
                }];
            }
            let body = FrontierBody {
                streams,
                owner_at: Some(held.owner().head()),
                ..FrontierBody::default()
            };
            Ok(vec![Frame::Frontier(Frontier { chat, body }).encode()])
        });
        outcome.await?.refused_only(&[])?;
        let text = format!("after claim {claim}");
        scene
            .acme
            .post(scene.anna, &chat.to_string(), &text)
            .await?;
        scene.await_text(&text).await?;
    }
    check(
        "alarms",
        scene.metric("partner", "alarm.rollback").await?,
        1,
    )?;
    let streams = scene.acme.node().look(move |core| {
        let own = core.replicator.company();
        let held = core.replicator.chat(&chat).map(|held| {
            held.streams()
                .filter(|(stream, _)| stream.company == own)
                .count()
        });
        Ok(held.unwrap_or_default())
    });
    let streams = streams.await?;
    ensure!(
        streams <= 2,
        "{CLAIMS} lies made Acme open {streams} streams"
    );
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_garbled_copy_does_not_spoil_the_true_envelope() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        let good = hand.draft(chat, "the true one")?.sealed();
        let mut garbled_payload = good.clone();
        garbled_payload.payloads = vec![Blob(
            good.payloads[0].0.iter().map(|byte| byte ^ 1).collect(),
        )];
        let mut garbled_signature = good.clone();
        let mut bytes = good.signature.to_bytes();
        bytes[3] ^= 1;
        garbled_signature.signature = crossport_protocol::suite::Signature::from_bytes(bytes);
        let mut without_payload = good.clone();
        without_payload.payloads = vec![Blob(Vec::new())];
        let bad = vec![garbled_payload, garbled_signature, without_payload];
        Ok(vec![frame_of(chat, bad), frame_of(chat, vec![good])])
    });
    let refusals = [
        ("bad_envelope", 1),
        ("bad_signature", 1),
        ("unproven_erasure", 1),
    ];
    outcome
        .await?
        .refused_and_shown(&refusals, &[&said("the true one")])?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn boriss_envelope_garbled_by_mallory_arrives_whole_from_boris() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    // Acme hears of Boris's text from Mallory first, because Globex has paused Acme.
    scene.globex.pause("Acme").await?;
    let globex = scene.globex.id().await?;
    scene
        .globex
        .post(scene.boris, &chat.to_string(), "whole")
        .await?;
    let true_one = scene.globex.node().look(move |core| {
        use crossport_protocol::replicator::ReadLog as _;
        let held = core.replicator.chat(&chat);
        let newest = held.and_then(|held| {
            let own = held
                .heads()
                .into_iter()
                .filter(|cut| cut.stream.company == globex);
            own.flat_map(|cut| cut.heads).max()
        });
        Ok(newest.and_then(|head| core.store.envelope(&chat, &head.hash)))
    });
    let true_one = true_one.await?.context("Boris has written")?.envelope;
    scene.look().await?;
    let mut garbled = true_one.clone();
    garbled.payloads = vec![Blob(vec![9; true_one.payloads[0].0.len()])];
    let mut cut_short = true_one;
    cut_short.payloads = Vec::new();
    scene
        .mallory
        .send(vec![
            frame_of(chat, vec![garbled]),
            frame_of(chat, vec![cut_short]),
        ])
        .await?;
    let (anna, acme) = (scene.anna, &scene.acme);
    crossport_tests::world::eventually("both are refused", || async {
        Ok(scene.counts().await?.get("bad_envelope").copied() == Some(2))
    })
    .await?;
    scene.globex.resume("Acme").await?;
    crossport_tests::world::eventually("Anna reads the true one", || async {
        Ok(acme
            .texts(anna, &chat.to_string())
            .await?
            .iter()
            .any(|text| text == "whole"))
    })
    .await?;
    scene.close().await
}
