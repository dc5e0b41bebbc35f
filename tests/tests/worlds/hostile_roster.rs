//! Identities without end: what a node keeps of the companies that Mallory tells it of.

use anyhow::{Context as _, Result, ensure};
use crossport_node::core::{Core, now};
use crossport_node::random::OsRandom;
use crossport_protocol::codec::{self, Blob};
use crossport_protocol::fields::Fields;
use crossport_protocol::frame::{Frame, IdentityFrame};
use crossport_protocol::identity::{
    IdentityDraft, IdentityHeader, IdentityLog, SignedIdentity, root_commitment,
};
use crossport_protocol::ids::{Position, StreamId};
use crossport_protocol::owner_log::StreamCut;
use crossport_protocol::statement::{self, Statement, StatementContent};
use crossport_protocol::suite::{Domain, SecretKey};
use crossport_tests::hostile::Hand;
use crossport_tests::hostile::forge::SUITE;
use crossport_tests::hostile::scene::Scene;
use crossport_tests::world::check;

#[tokio::test(flavor = "multi_thread")]
async fn identities_of_companies_that_nothing_names_are_not_kept() -> Result<()> {
    let mut scene = Scene::open().await?;
    let before = companies_kept(&scene).await?;
    let outcome = scene.attack(|_| {
        let strangers = (0..300).map(|_| {
            let keys = [(), ()].map(|()| SecretKey::random(&mut OsRandom));
            let [root, node] = keys.map(|key| (key.public(SUITE), key));
            let draft = IdentityDraft {
                time: now(),
                name: "Nobody Ltd".to_owned(),
                domains: Vec::new(),
                node_keys: vec![node.0],
                next_root: root_commitment(&root.0),
            };
            let log = IdentityLog::create(SUITE, &root.1, draft);
            let company = log.company();
            let records = log.records().cloned().collect();
            Ok(Frame::Identity(IdentityFrame { company, records }).encode())
        });
        strangers.collect()
    });
    // So many wait in memory for a chat that names them.
    outcome
        .await?
        .refused_only(&[("identity_not_needed", 300 - 256)])?;
    check("companies kept", companies_kept(&scene).await?, before)?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_thousands_of_invented_streams_stop_nobody() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        // A thousand is within the limit, and more than the store once took; eight thousand is beyond.
        let frames = [(1, 1_000), (2, 8_000)].map(|(number, streams)| {
            let heads = (0..streams).map(|incarnation| StreamCut {
                stream: StreamId {
                    company: hand.company,
                    node: hand.node.public(SUITE),
                    incarnation,
                },
                heads: Vec::new(),
            });
            let content = StatementContent {
                version: statement::VERSION,
                chat,
                company: hand.company,
                node: hand.second.public(SUITE),
                generation: 1,
                number,
                time: now(),
                owner_at: Position::START,
                heads: heads.collect(),
                fields: Fields::none(),
            };
            let statement = Statement::sign(SUITE, &hand.second, content);
            Frame::Statements(vec![statement]).encode()
        });
        Ok(frames.to_vec())
    });
    outcome.await?.refused_only(&[("bad_register", 1)])?;
    scene.close().await
}

async fn companies_kept(scene: &Scene) -> Result<usize> {
    let count = |core: &Core| Ok(core.replicator.roster().companies().count());
    Ok(scene.acme.node().look(count).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_log_without_end_is_refused_and_links_between_others_stand() -> Result<()> {
    let mut scene = Scene::open().await?;
    let outcome = scene.attack(|hand| {
        let mut frames = Vec::new();
        let mut before = hand.identity.head();
        // Each record within its own bounds, together more than anybody could pass on in one frame.
        for _ in 0..80 {
            let record = long_identity(hand, before)?;
            before = Position {
                term: 0,
                seq: before.seq + 1,
                hash: record.hash(),
            };
            let (company, records) = (hand.company, vec![record]);
            frames.push(Frame::Identity(IdentityFrame { company, records }).encode());
        }
        Ok(frames)
    });
    let outcome = outcome.await?;
    let refused: Vec<&str> = outcome.refused.keys().map(String::as_str).collect();
    check("refusals", refused, vec!["bad_identity"])?;
    ensure!(
        scene.acme.is_linked("Globex").await?,
        "Acme cannot pass Mallory's identity on"
    );
    scene.close().await
}

/// A record with all the domains that one may have. Mallory's own log does not hold it.
fn long_identity(hand: &Hand, before: Position) -> Result<SignedIdentity> {
    let latest = hand.identity.latest().context("Mallory has an identity")?;
    let domains = (0..16).map(|number| format!("{number}.{}", "x".repeat(500)));
    let header = IdentityHeader {
        company: hand.company,
        seq: before.seq + 1,
        prev: before.hash,
        domains: domains.collect(),
        ..latest.clone()
    };
    let header = Blob(codec::encode(&header));
    let signature = SUITE.sign(&hand.root, Domain::Identity, &header.0);
    Ok(SignedIdentity { header, signature })
}
