//! Who decides in a chat: its owner alone, and only for that chat.

use anyhow::{Context as _, Result, ensure};
use crossport_node::api::facade::UseCases;
use crossport_node::api::types::ChatKind;
use crossport_node::core::now;
use crossport_node::random::OsRandom;
use crossport_protocol::clock::Clock;
use crossport_protocol::codec::Blob;
use crossport_protocol::fields::Fields;
use crossport_protocol::frame::{Frame, OwnerFrame};
use crossport_protocol::ids::{ChatId, CompanyId, Hash};
use crossport_protocol::owner_log::{
    self, Bar, Body, ChatKind as WireKind, Genesis, History, NewEpoch, RecordHeader, Remove,
    SignedRecord,
};
use crossport_protocol::seal::EpochKey;
use crossport_protocol::suite::{Random, Suite};
use crossport_tests::hostile::forge::{SUITE, random_hash};
use crossport_tests::hostile::scene::{Scene, named};
use crossport_tests::hostile::{Hand, NICKNAME};
use crossport_tests::world::check;
/// A record that follows the shared chat's log, with this body.
fn record(hand: &Hand, chat: ChatId, body: &Body) -> Result<RecordHeader> {
    let owner = hand
        .replicator
        .chat(&chat)
        .context("Mallory has the chat")?
        .owner();
    Ok(RecordHeader {
        version: owner_log::VERSION,
        suite: SUITE.number(),
        chat,
        term: 0,
        seq: owner.head().seq + 1,
        prev: owner.head().hash,
        owner: hand.company,
        node: hand.node.public(SUITE),
        identity_at: hand.identity.head(),
        clock: Clock::at(now()),
        kind: body.kind(),
        body: Blob(body.encode()),
        epoch: owner.epoch(),
        payload_len: 0,
        payload_hash: Hash::ZERO,
        fields: Fields::none(),
    })
}

fn signed(hand: &Hand, chat: ChatId, header: &RecordHeader) -> Vec<u8> {
    let records = vec![SignedRecord::sign(SUITE, &hand.node, header, Vec::new())];
    Frame::Owner(OwnerFrame { chat, records }).encode()
}

fn removal(company: CompanyId) -> Body {
    let epoch = NewEpoch {
        epoch: 2,
        commitment: Hash([5; 32]),
    };
    Body::Remove(Remove {
        company,
        cut: Vec::new(),
        epoch,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_that_is_not_the_owner_cannot_decide() -> Result<()> {
    let mut scene = Scene::open().await?;
    let (chat, globex, people) = (
        scene.shared,
        scene.globex.id().await?,
        scene.handles().await?,
    );
    let (boris, _) = named(&people, "boris")?;
    let outcome = scene.attack(move |hand| {
        let (acme, acme_node) = hand.victim.context("Mallory is paired")?;
        let bar = Body::Bar(Bar {
            company: globex,
            handle: boris,
            barred: true,
            cut: Vec::new(),
        });
        let epoch = Body::Epoch(NewEpoch {
            epoch: 2,
            commitment: Hash([5; 32]),
        });
        let mut frames = Vec::new();
        for body in [removal(globex), bar, epoch, Body::Title] {
            frames.push(signed(hand, chat, &record(hand, chat, &body)?));
        }
        // In Acme's name with Mallory's key, and in Acme's name and key with Mallory's signature.
        let identity_at = hand.replicator.roster().head(&acme);
        let in_name = RecordHeader {
            owner: acme,
            identity_at,
            ..record(hand, chat, &removal(globex))?
        };
        let in_key = RecordHeader {
            node: acme_node,
            ..in_name.clone()
        };
        frames.extend([signed(hand, chat, &in_name), signed(hand, chat, &in_key)]);
        Ok(frames)
    });
    outcome
        .await?
        .refused_only(&[("bad_record", 5), ("bad_signature", 1)])?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_owner_can_freeze_a_chat() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let people = [format!("{NICKNAME}@{}", scene.mallory.company)];
    let other: ChatId = scene
        .acme
        .chat(scene.anna, ChatKind::Group, "Other", &[&people[0]])
        .await?
        .id
        .parse()?;
    scene
        .mallory
        .until("Mallory is in the other chat", move |hand| {
            hand.is_in(&other)
        })
        .await?;
    let outcome = scene.attack(move |hand| {
        // An own record where one of Acme's stands, true records of another chat of Acme's, and a second genesis.
        let own = RecordHeader {
            seq: 2,
            prev: random_hash(),
            ..record(hand, chat, &Body::Title)?
        };
        let frame =
            |records: Vec<SignedRecord>| Frame::Owner(OwnerFrame { chat, records }).encode();
        let replayed = hand.records_of(&other);
        ensure!(replayed.len() >= 3, "the other chat has a history");
        let mut frames = vec![signed(hand, chat, &own)];
        frames.extend(replayed.into_iter().map(|record| frame(vec![record])));
        Ok(frames)
    });
    let outcome = outcome.await?;
    check(
        "kinds of refusals",
        outcome.refused.keys().cloned().collect::<Vec<_>>(),
        vec!["bad_record".to_owned()],
    )?;
    check(
        "alarms",
        scene.metric("partner", "alarm.owner-fork").await?,
        0,
    )?;
    let frozen = scene
        .acme
        .node()
        .chat(scene.anna, chat.to_string())
        .await?
        .frozen;
    check("frozen", frozen, None)?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_forks_its_own_log_freezes_only_that_chat() -> Result<()> {
    let mut scene = Scene::open().await?;
    let (acme, _) = scene
        .mallory
        .act(|hand| hand.victim)
        .await?
        .context("Mallory is paired")?;
    let own = scene.mallory.act(move |hand| {
        let chat = hand.call(|replicator, cx| {
            replicator.create_chat(cx, WireKind::GROUP, History::FULL, Some("Mine"))
        })?;
        hand.call(|replicator, cx| replicator.invite(cx, chat, acme, now().plus_ms(60_000)))?;
        anyhow::Ok(chat)
    });
    let own = own.await??;
    scene
        .mallory
        .until("Acme has accepted", move |hand| {
            hand.replicator
                .chat(&own)
                .is_some_and(|held| held.owner().is_member(&acme))
        })
        .await?;
    let outcome = scene.attack(move |hand| {
        let other = RecordHeader {
            seq: 2,
            prev: random_hash(),
            ..record(
                hand,
                own,
                &Body::Epoch(NewEpoch {
                    epoch: 2,
                    commitment: Hash::ZERO,
                }),
            )?
        };
        Ok(vec![signed(hand, own, &other)])
    });
    outcome.await?.refused_only(&[("owner_fork", 1)])?;
    check(
        "alarms",
        scene.metric("partner", "alarm.owner-fork").await?,
        1,
    )?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_of_the_simulators_suite_or_that_invites_nobody_here_is_refused() -> Result<()> {
    let mut scene = Scene::open().await?;
    let outcome = scene.attack(move |hand| {
        let mut frames = Vec::new();
        for (genesis_suite, suite) in [
            (Suite::KeyedHash, Suite::KeyedHash),
            (Suite::Ed25519, Suite::Ed25519),
        ] {
            let key = EpochKey::random(&mut OsRandom);
            let genesis = Genesis {
                rules: 1,
                suite: genesis_suite.number(),
                kind: WireKind::GROUP,
                history: History::FULL,
                nonce: OsRandom.array(),
                commitment: key.commitment(&ChatId::ZERO, 1),
            };
            let body = Body::Genesis(genesis);
            let template = hand
                .replicator
                .chats()
                .map(|(chat, _)| *chat)
                .next()
                .context("Mallory has a chat")?;
            let header = RecordHeader {
                suite: suite.number(),
                chat: ChatId::ZERO,
                seq: 1,
                prev: Hash::ZERO,
                node: hand.node.public(suite),
                epoch: 1,
                ..record(hand, template, &body)?
            };
            let signed = SignedRecord::sign(suite, &hand.node, &header, Vec::new());
            let chat = ChatId(signed.hash().0);
            frames.push(
                Frame::Owner(OwnerFrame {
                    chat,
                    records: vec![signed],
                })
                .encode(),
            );
        }
        Ok(frames)
    });
    outcome.await?.refused_only(&[("not_shared", 2)])?;
    scene.close().await
}
