//! Who may sign for whom: every way to be somebody else.

use anyhow::{Context as _, Result, ensure};
use crossport_node::api::facade::UseCases;
use crossport_node::api::types::Invite;
use crossport_node::core::now;
use crossport_node::network::NodeKey as PeerKey;
use crossport_node::random::OsRandom;
use crossport_protocol::fields::Fields;
use crossport_protocol::frame::{BUILD, Frame, Hello, IdentityFrame, VERSION};
use crossport_protocol::identity::{IdentityDraft, IdentityLog, SignedIdentity, root_commitment};
use crossport_protocol::ids::NodeKey;
use crossport_protocol::pairing::refusal;
use crossport_protocol::replicator::Bug;
use crossport_protocol::statement::{self, Statement, StatementContent};
use crossport_protocol::suite::{Domain, SecretKey, Suite};
use crossport_protocol::wrap::{PrekeyBundle, PrekeySecret};
use crossport_tests::hostile::forge::{SUITE, frame_of, low_order, malleable};
use crossport_tests::hostile::scene::{Scene, refuses, said};
use crossport_tests::hostile::{Hand, Mallory};
use crossport_tests::world::{Company, OPERATOR, check, eventually};

fn stranger() -> SecretKey {
    SecretKey::random(&mut OsRandom)
}

/// An envelope that somebody else signed.
fn wrongly_signed(hand: &Hand, chat: crossport_protocol::ids::ChatId) -> Result<Vec<Vec<u8>>> {
    let mut sealed = hand.draft(chat, "forged")?.sealed();
    sealed.signature = SUITE.sign(&stranger(), Domain::Envelope, &sealed.header.0);
    Ok(vec![frame_of(chat, vec![sealed])])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_is_refused() -> Result<()> {
    refuses(
        |hand, chat| wrongly_signed(hand, chat),
        &[("bad_signature", 1)],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn control_without_signature_checks_the_forged_text_is_shown() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    scene.plant(Bug::SkipSignature).await?;
    let outcome = scene.attack(move |hand| wrongly_signed(hand, chat)).await?;
    ensure!(
        outcome.refused_only(&[("bad_signature", 1)]).is_err(),
        "the check did not turn red: {outcome:#?}"
    );
    ensure!(
        outcome.shows("forged"),
        "the planted bug did nothing: {outcome:#?}"
    );
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_of_another_type_is_refused() -> Result<()> {
    refuses(
        |hand, chat| {
            let mut sealed = hand.draft(chat, "forged")?.sealed();
            sealed.signature = SUITE.sign(&hand.node, Domain::Statement, &sealed.header.0);
            let mut statement = statement_of(hand, chat)?;
            statement.signature =
                SUITE.sign(&hand.node, Domain::Envelope, &codec_of(&statement.content));
            Ok(vec![
                frame_of(chat, vec![sealed]),
                Frame::Statements(vec![statement]).encode(),
            ])
        },
        &[("bad_register", 1), ("bad_signature", 1)],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authors_key_is_refused() -> Result<()> {
    let mut scene = Scene::open().await?;
    let (chat, globex) = (scene.shared, scene.globex.id().await?);
    let outcome = scene.attack(move |hand| {
        let (acme, key) = hand.victim.context("Mallory is paired")?;
        let mut as_acme = hand.draft(chat, "as Anna")?;
        as_acme.place.stream.company = acme;
        as_acme.place.stream.node = key;
        as_acme.place.identity_at = hand.replicator.roster().head(&acme);
        let mut as_globex = hand.draft(chat, "as Boris")?;
        as_globex.place.stream.company = globex;
        as_globex.place.identity_at = hand.replicator.roster().head(&globex);
        Ok(vec![as_acme.frame(), as_globex.frame()])
    });
    outcome
        .await?
        .refused_only(&[("bad_signature", 1), ("unknown_key", 1)])?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_outside_the_identity_log_is_refused() -> Result<()> {
    refuses(
        |hand, chat| {
            let mut forgery = hand.draft(chat, "with a new key")?;
            forgery.signer = stranger();
            forgery.place.stream.node = forgery.signer.public(SUITE);
            Ok(vec![forgery.frame()])
        },
        &[("unknown_key", 1)],
    )
    .await
}

/// The next record of Mallory's identity log with these keys.
fn next_identity(hand: &mut Hand, name: &str, node_keys: Vec<NodeKey>) -> Result<SignedIdentity> {
    let next_root = root_commitment(&hand.root.public(SUITE));
    let draft = IdentityDraft {
        time: now(),
        name: name.to_owned(),
        domains: Vec::new(),
        node_keys,
        next_root,
    };
    Ok(hand.identity.extend(&hand.root, draft)?)
}

fn identity_frame(hand: &Hand, records: Vec<SignedIdentity>) -> Vec<u8> {
    Frame::Identity(IdentityFrame {
        company: hand.company,
        records,
    })
    .encode()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_second_key_is_accepted_and_a_revoked_one_is_refused_from_then_on() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        let mut forgery = hand.draft(chat, "with the second key")?;
        forgery.signer = hand.second.clone();
        forgery.place.stream.node = hand.second.public(SUITE);
        let first = hand.node.public(SUITE);
        let revoking = next_identity(hand, "Mallory Ltd", vec![first])?;
        let sealed = forgery.sealed();
        let mut after = forgery.after(&sealed, "after it was revoked");
        after.place.identity_at = hand.identity.head();
        Ok(vec![
            frame_of(chat, vec![sealed]),
            identity_frame(hand, vec![revoking]),
            after.frame(),
        ])
    });
    outcome
        .await?
        .refused_and_shown(&[("unknown_key", 1)], &[&said("with the second key")])?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forked_identity_log_keeps_its_common_part_and_alarms() -> Result<()> {
    let mut scene = Scene::open().await?;
    let outcome = scene.attack(|hand| {
        let keys = vec![hand.node.public(SUITE), hand.second.public(SUITE)];
        let mut other = hand.identity.clone();
        let record = next_identity(hand, "Mallory and Daughters", keys.clone())?;
        let next_root = root_commitment(&hand.root.public(SUITE));
        let draft = IdentityDraft {
            time: now(),
            name: "Mallory and Sons".into(),
            domains: vec![],
            node_keys: keys,
            next_root,
        };
        let forked = other.extend(&hand.root, draft)?;
        Ok(vec![
            identity_frame(hand, vec![record]),
            identity_frame(hand, vec![forked]),
        ])
    });
    let outcome = outcome.await?;
    check(
        "refusals",
        outcome.refused.clone(),
        [("bad_identity".to_owned(), 1)].into(),
    )?;
    check(
        "alarms",
        scene.metric("partner", "alarm.identity-fork").await?,
        1,
    )?;
    ensure!(
        !outcome.shows("Sons"),
        "the second branch is shown: {outcome:#?}"
    );
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_or_accuses_for_another_company() -> Result<()> {
    let mut scene = Scene::open().await?;
    let globex = scene.globex.id().await?;
    let outcome = scene.attack(move |hand| {
        let log = hand
            .replicator
            .roster()
            .log(&globex)
            .context("Mallory knows Globex")?
            .clone();
        let mut records: Vec<SignedIdentity> = log.records().cloned().collect();
        let own: Vec<SignedIdentity> = hand.identity.records().cloned().collect();
        let mut replaced = IdentityFrame {
            company: globex,
            records: own,
        };
        let first = Frame::Identity(replaced.clone()).encode();
        // Continues the true log, but with Mallory's root key.
        let mut forged = hand.identity.clone();
        let next_root = root_commitment(&hand.root.public(SUITE));
        let keys = vec![hand.node.public(SUITE)];
        let draft = IdentityDraft {
            time: now(),
            name: "Globex".into(),
            domains: vec![],
            node_keys: keys,
            next_root,
        };
        records.push(forged.extend(&hand.root, draft)?);
        replaced.records = records;
        Ok(vec![first, Frame::Identity(replaced).encode()])
    });
    outcome.await?.refused_only(&[("bad_identity", 2)])?;
    check(
        "false alarms",
        scene.metric("partner", "alarm.identity-fork").await?,
        0,
    )?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_low_order_key_signs_nothing() -> Result<()> {
    let (point, signature) = low_order();
    let mallory = Mallory::start_with("Mallory Ltd", |draft| draft.node_keys.push(NodeKey(point)))?;
    let mut scene = Scene::open_with(mallory).await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        let mut forgery = hand.draft(chat, "signed by nobody")?;
        forgery.place.stream.node = NodeKey(point);
        let mut sealed = forgery.sealed();
        sealed.signature = signature;
        Ok(vec![frame_of(chat, vec![sealed])])
    });
    outcome.await?.refused_only(&[("bad_signature", 1)])?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malleable_signature_is_refused_and_does_not_spoil_the_good_one() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        let good = hand.draft(chat, "signed once")?.sealed();
        let mut twisted = good.clone();
        twisted.signature = malleable(good.signature);
        Ok(vec![
            frame_of(chat, vec![twisted]),
            frame_of(chat, vec![good]),
        ])
    });
    outcome
        .await?
        .refused_and_shown(&[("bad_signature", 1)], &[&said("signed once")])?;
    scene.close().await
}

/// Sends one frame on a fresh link before anything else, and wants the link to end and to come back.
async fn breaches(make: impl FnOnce(&Hand) -> Frame + Send + 'static) -> Result<()> {
    let mut scene = Scene::open().await?;
    scene.mallory.act(|hand| hand.obedient = false).await?;
    let (_, key) = scene
        .mallory
        .act(|hand| hand.victim)
        .await?
        .context("Mallory is paired")?;
    let links = scene.mallory.act(|hand| hand.links).await?;
    let address = scene.acme.node().network().addresses();
    scene.mallory.network.remove_partner(PeerKey(key.0)).await?;
    eventually("Acme sees the link end", || async {
        Ok(!scene.acme.is_linked("Mallory Ltd").await?)
    })
    .await?;
    scene.look().await?;
    scene
        .mallory
        .network
        .set_partner(PeerKey(key.0), address)
        .await?;
    scene
        .mallory
        .until("a link without a hello", move |hand| hand.links > links)
        .await?;
    let frame = scene.mallory.act(move |hand| make(hand).encode()).await?;
    scene.mallory.send(vec![frame]).await?;
    eventually("the breach is counted", || async {
        Ok(scene.counts().await?.contains_key("breach"))
    })
    .await?;
    scene
        .mallory
        .until("the link comes back", move |hand| hand.links > links + 1)
        .await?;
    scene.outcome().await?.refused_only(&[("breach", 1)])?;
    scene.close().await
}

fn hello_of(hand: &Hand) -> Hello {
    let public = PrekeySecret::random(&mut OsRandom).public_under(SUITE);
    Hello {
        version: VERSION,
        build: BUILD.to_owned(),
        company: hand.company,
        generation: 1,
        identity_at: hand.identity.head(),
        prekey: PrekeyBundle::sign(SUITE, &hand.node, hand.company, 9, now(), public),
        time: now(),
        fields: Fields::none(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_for_another_company_ends_the_link() -> Result<()> {
    breaches(|hand| {
        let acme = hand.victim.map_or(hand.company, |(company, _)| company);
        Frame::Hello(Hello {
            company: acme,
            ..hello_of(hand)
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prekey_of_a_foreign_key_ends_the_link() -> Result<()> {
    breaches(|hand| {
        let public = PrekeySecret::random(&mut OsRandom).public_under(SUITE);
        let prekey = PrekeyBundle::sign(SUITE, &stranger(), hand.company, 9, now(), public);
        Frame::Hello(Hello {
            prekey,
            ..hello_of(hand)
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prekey_of_the_simulators_suite_ends_the_link() -> Result<()> {
    breaches(|hand| {
        let prekey = PrekeyBundle::sign(
            Suite::KeyedHash,
            &hand.node,
            hand.company,
            9,
            now(),
            [7; 32],
        );
        let prekey = PrekeyBundle {
            node: hand.node.public(SUITE),
            ..prekey
        };
        Frame::Hello(Hello {
            prekey,
            ..hello_of(hand)
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_ends_the_link() -> Result<()> {
    breaches(|hand| {
        Frame::Hello(Hello {
            version: VERSION + 1,
            ..hello_of(hand)
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_before_the_hello_ends_the_link() -> Result<()> {
    breaches(|hand| {
        Frame::Identity(IdentityFrame {
            company: hand.company,
            records: Vec::new(),
        })
    })
    .await
}

/// A ticket of Acme's, and a Mallory that nobody knows.
async fn ticketed() -> Result<(Company, Mallory, String)> {
    let acme = Company::start("Acme").await?;
    let invite = Invite {
        client_id: "invite".to_owned(),
        expires_in_s: None,
        alias: None,
    };
    let ticket = acme.node().invite_partner(OPERATOR, invite).await?.ticket;
    Ok((acme, Mallory::start("Mallory Ltd")?, ticket))
}

/// The changed request is refused with this outcome, is counted, tells nothing and makes no partner; the true one works.
async fn refuses_to_pair(
    change: impl FnOnce(&mut crossport_protocol::pairing::PairRequest) + Send + 'static,
    outcome: u16,
) -> Result<()> {
    let (mut acme, mallory, ticket) = ticketed().await?;
    let reply = mallory.present(&ticket, change).await?;
    check("outcome", reply.outcome, outcome)?;
    check("told of Acme", reply.identity.len(), 0)?;
    check(
        "partners",
        acme.node()
            .partners(OPERATOR, Default::default())
            .await?
            .items
            .len(),
        0,
    )?;
    let metrics = acme.node().metrics_text().await?;
    check(
        "counted",
        crossport_tests::hostile::scene::counted(&metrics, "connection", "pairing_refused"),
        1,
    )?;
    let reply = mallory.present(&ticket, |_| {}).await?;
    check("the true request", reply.outcome, 0)?;
    mallory.stop().await;
    acme.down().await
}

fn signed_again(request: &mut crossport_protocol::pairing::PairRequest, key: &SecretKey) {
    *request = crossport_protocol::pairing::PairRequest::sign(
        SUITE,
        key,
        request.company,
        request.token,
        request.addresses.clone(),
        request.identity.clone(),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pairing_with_a_guessed_token_is_refused() -> Result<()> {
    let (mut acme, mallory, ticket) = ticketed().await?;
    let mut guessed = crossport_protocol::pairing::Ticket::from_text(&ticket)?;
    guessed.token = [0; 16];
    let reply = mallory.present(&guessed.to_text(), |_| {}).await?;
    check("outcome", reply.outcome, refusal::UNKNOWN_TOKEN)?;
    check(
        "partners",
        acme.node()
            .partners(OPERATOR, Default::default())
            .await?
            .items
            .len(),
        0,
    )?;
    mallory.stop().await;
    acme.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pairing_as_a_company_that_does_not_list_the_peer_is_refused() -> Result<()> {
    // Another company's true identity log, presented by Mallory's node.
    refuses_to_pair(
        |request| {
            let root = stranger();
            let draft = IdentityDraft {
                time: now(),
                name: "Globex".to_owned(),
                domains: Vec::new(),
                node_keys: vec![stranger().public(SUITE)],
                next_root: root_commitment(&root.public(SUITE)),
            };
            let log = IdentityLog::create(SUITE, &root, draft);
            request.company = log.company();
            request.identity = log.records().cloned().collect();
        },
        refusal::BAD_REQUEST,
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pairing_with_a_node_key_that_is_not_the_peers_is_refused() -> Result<()> {
    refuses_to_pair(
        |request| signed_again(request, &stranger()),
        refusal::BAD_REQUEST,
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_works_for_one_company_only() -> Result<()> {
    let (mut acme, first, ticket) = ticketed().await?;
    check(
        "the first",
        first.present(&ticket, |_| {}).await?.outcome,
        0,
    )?;
    check(
        "the first again, its answer may have been lost",
        first.present(&ticket, |_| {}).await?.outcome,
        0,
    )?;
    let second = Mallory::start("Another Mallory")?;
    check(
        "the second",
        second.present(&ticket, |_| {}).await?.outcome,
        refusal::UNKNOWN_TOKEN,
    )?;
    check(
        "partners",
        acme.node()
            .partners(OPERATOR, Default::default())
            .await?
            .items
            .len(),
        1,
    )?;
    first.stop().await;
    second.stop().await;
    acme.down().await
}

fn codec_of(content: &StatementContent) -> Vec<u8> {
    crossport_protocol::codec::encode(content)
}

/// A good statement of Mallory's about nothing.
fn statement_of(hand: &Hand, chat: crossport_protocol::ids::ChatId) -> Result<Statement> {
    let owner = hand
        .replicator
        .chat(&chat)
        .context("Mallory has the chat")?
        .owner();
    let content = StatementContent {
        version: statement::VERSION,
        chat,
        company: hand.company,
        node: hand.second.public(SUITE),
        generation: 1,
        number: 1,
        time: now(),
        owner_at: owner.head(),
        heads: Vec::new(),
        fields: Fields::none(),
    };
    Ok(Statement::sign(SUITE, &hand.second, content))
}
