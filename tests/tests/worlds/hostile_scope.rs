//! What is whose: every way to reach into a chat, a company or a person that one has nothing to do with.

use anyhow::{Context as _, Result, ensure};
use crossport_node::api::facade::UseCases;
use crossport_node::api::types::Repeatable;
use crossport_node::core::now;
use crossport_node::random::OsRandom;
use crossport_protocol::event::{Delete, Edit, Event, Reaction};
use crossport_protocol::fields::Fields;
use crossport_protocol::frame::{Digests, Frame, Frontier, FrontierBody, Locate};
use crossport_protocol::ids::{ChatId, EventId, Handle, Head};
use crossport_protocol::owner_log::StreamCut;
use crossport_protocol::replicator::Bug;
use crossport_protocol::suite::Random;
use crossport_tests::hostile::forge::frame_of;
use crossport_tests::hostile::scene::{Scene, named};
use crossport_tests::hostile::{Hand, NICKNAME};
use crossport_tests::world::{check, eventually};

/// A text in the private chat, as a member would write it but for the key.
fn intrusion(hand: &Hand, shared: ChatId, private: ChatId) -> Result<Vec<Vec<u8>>> {
    let mut forgery = hand.draft(shared, "I am in")?;
    forgery.place.chat = private;
    Ok(vec![forgery.frame()])
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_into_a_chat_that_is_not_shared_is_refused() -> Result<()> {
    let mut scene = Scene::open().await?;
    let (shared, private) = (scene.shared, scene.private);
    let outcome = scene
        .attack(move |hand| intrusion(hand, shared, private))
        .await?;
    outcome.refused_only(&[("not_shared", 1)])?;
    scene.close().await
}

/// Acme's side of the private chat gets an envelope that Boris truly wrote, from Mallory who has no business with it.
async fn smuggled(scene: &mut Scene) -> Result<Vec<u8>> {
    scene.globex.pause("Acme").await?;
    scene
        .globex
        .post(scene.boris, &scene.private.to_string(), "for Anna alone")
        .await?;
    let (private, globex) = (scene.private, scene.globex.id().await?);
    let newest = scene.globex.node().look(move |core| {
        use crossport_protocol::replicator::ReadLog as _;
        let held = core.replicator.chat(&private);
        let cuts = held.into_iter().flat_map(|held| held.heads());
        let head = cuts
            .filter(|cut| cut.stream.company == globex)
            .flat_map(|cut| cut.heads)
            .max();
        Ok(head.and_then(|head| core.store.envelope(&private, &head.hash)))
    });
    let envelope = newest.await?.context("Boris has written")?.envelope;
    Ok(frame_of(private, vec![envelope]))
}

#[tokio::test(flavor = "multi_thread")]
async fn bringing_true_envelopes_of_a_chat_that_is_not_shared_is_refused() -> Result<()> {
    let mut scene = Scene::open().await?;
    let frame = smuggled(&mut scene).await?;
    scene.look().await?;
    scene.mallory.send(vec![frame]).await?;
    eventually("it is refused", || async {
        Ok(scene.counts().await?.get("not_shared").copied() == Some(1))
    })
    .await?;
    let texts = scene
        .acme
        .texts(scene.anna, &scene.private.to_string())
        .await?;
    ensure!(
        !texts.iter().any(|text| text == "for Anna alone"),
        "it was taken from Mallory: {texts:?}"
    );
    scene.globex.resume("Acme").await?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn control_without_the_scope_check_the_smuggled_envelope_is_taken() -> Result<()> {
    let mut scene = Scene::open().await?;
    scene.plant(Bug::SkipScope).await?;
    let frame = smuggled(&mut scene).await?;
    scene.mallory.send(vec![frame]).await?;
    eventually("the planted bug lets it in", || async {
        let texts = scene
            .acme
            .texts(scene.anna, &scene.private.to_string())
            .await?;
        Ok(texts.iter().any(|text| text == "for Anna alone"))
    })
    .await?;
    check(
        "refused",
        scene.counts().await?.contains_key("not_shared"),
        false,
    )?;
    scene.globex.resume("Acme").await?;
    scene.close().await
}

/// Everything by which a partner asks what there is.
fn questions(hand: &Hand, private: ChatId, unknown: ChatId) -> Result<Vec<Vec<u8>>> {
    let (company, node) = hand.victim.context("Mallory is paired")?;
    let stream = crossport_protocol::ids::StreamId {
        company,
        node,
        incarnation: 0,
    };
    let body = FrontierBody {
        reply: true,
        missing_epochs: vec![1, 2],
        ..FrontierBody::default()
    };
    let start = StreamCut {
        stream,
        heads: vec![Head::START],
    };
    Ok(vec![
        Frame::Frontier(Frontier {
            chat: private,
            body: body.clone(),
        })
        .encode(),
        Frame::Frontier(Frontier {
            chat: private,
            body: FrontierBody {
                reply: false,
                answers: true,
                ..body
            },
        })
        .encode(),
        Frame::Locate(Locate {
            chat: private,
            streams: vec![start],
        })
        .encode(),
        Frame::Digests(Digests {
            entries: vec![(private, [0; 16]), (unknown, [0; 16])],
            last: true,
        })
        .encode(),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_and_backfilling_a_chat_that_is_not_shared_gives_nothing() -> Result<()> {
    let mut scene = Scene::open().await?;
    let (private, unknown) = (scene.private, ChatId(OsRandom.array()));
    scene.mallory.act(|hand| hand.forget_heard()).await?;
    let outcome = scene.attack(move |hand| questions(hand, private, unknown));
    // The fourth is an honest answer: Acme asks back about the digest, as it would for a chat that it does not know.
    outcome.await?.refused_only(&[("not_shared", 4)])?;
    let answers = scene.mallory.act(move |hand| {
        let about = |chat: ChatId| {
            let frames = hand
                .heard
                .iter()
                .filter(|frame| chat_of(frame) == Some(chat));
            frames
                .map(|frame| format!("{frame:?}").replace(&chat.short(), "CHAT"))
                .collect::<Vec<String>>()
        };
        (about(private), about(unknown))
    });
    let (about_private, about_unknown) = answers.await?;
    ensure!(
        about_private
            .iter()
            .all(|frame| frame.starts_with("Frontier")),
        "{about_private:#?}"
    );
    check(
        "a chat of others is answered like one that is not there",
        about_private,
        about_unknown,
    )?;
    scene.close().await
}

fn chat_of(frame: &Frame) -> Option<ChatId> {
    match frame {
        Frame::Frontier(frontier) => Some(frontier.chat),
        Frame::Owner(owner) => Some(owner.chat),
        Frame::Envelopes(envelopes) => Some(envelopes.chat),
        Frame::Locate(locate) => Some(locate.chat),
        Frame::Wraps(wraps) => wraps.first().map(|wrap| wrap.chat),
        Frame::Statements(statements) => statements.first().map(|held| held.content.chat),
        Frame::Reads(reads) => reads.first().map(|held| held.content.chat),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_message_is_neither_deleted_nor_edited_nor_reacted_to_in_their_name() -> Result<()>
{
    let mut scene = Scene::open().await?;
    let (chat, target, people) = (
        scene.shared,
        scene.message_id("for all three").await?,
        scene.handles().await?,
    );
    let (anna, _) = named(&people, "anna")?;
    let outcome = scene.attack(move |hand| {
        let mut frames = Vec::new();
        let edit = Event::Edit(Edit {
            target,
            text: "twisted".to_owned(),
            fields: Fields::none(),
        });
        let like = Event::Reaction(Reaction {
            target,
            emoji: "\u{1f44d}".to_owned(),
            present: true,
        });
        for event in [Event::Delete(Delete { target }), edit, like] {
            let mut as_anna = hand.draft_of(chat, &event)?;
            as_anna.events[0].actor = anna;
            frames.extend([hand.draft_of(chat, &event)?.frame(), as_anna.frame()]);
        }
        Ok(frames)
    });
    let outcome = outcome.await?;
    check("refusals", outcome.refused.len(), 0)?;
    for lines in &outcome.shown {
        let [line] = lines.as_slice() else {
            anyhow::bail!("one line changes: {outcome:#?}")
        };
        ensure!(
            line.contains("\"for all three\" by \"anna\" \"anna\" of \"Acme\""),
            "{line}"
        );
        ensure!(
            !line.contains("deleted") && !line.contains("edited"),
            "{line}"
        );
        let reactions = line.split("of \"Acme\"").nth(1).unwrap_or_default();
        ensure!(
            reactions.contains("Mallory Ltd") && !reactions.contains("anna"),
            "{line}"
        );
    }
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_comes_before_anothers_message_does_not_delete_it() -> Result<()> {
    let scene = Scene::open().await?;
    let chat = scene.shared;
    // Mallory sees Boris's text first: Globex writes while it is not linked with Acme.
    scene.globex.pause("Acme").await?;
    let id: EventId = scene
        .globex
        .post(scene.boris, &chat.to_string(), "do not touch")
        .await?
        .id
        .parse()?;
    let delete = scene.mallory.act(move |hand| {
        hand.draft_of(chat, &Event::Delete(Delete { target: id }))
            .map(|held| held.frame())
    });
    let delete = delete.await??;
    scene.mallory.send(vec![delete]).await?;
    scene.globex.resume("Acme").await?;
    eventually("Anna reads it", || async {
        Ok(scene
            .acme
            .texts(scene.anna, &chat.to_string())
            .await?
            .iter()
            .any(|text| text == "do not touch"))
    })
    .await?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bar_is_not_evaded_by_citing_an_old_position() -> Result<()> {
    let scene = Scene::open().await?;
    let chat = scene.shared;
    let before = scene
        .mallory
        .act(move |hand| hand.draft(chat, "with an old citation"))
        .await??;
    let barred = scene.acme.node().remove_member(
        scene.anna,
        chat.to_string(),
        format!("{NICKNAME}@{}", scene.mallory.company),
        Repeatable {
            client_id: "bar".to_owned(),
        },
    );
    barred.await?;
    scene
        .mallory
        .until("Mallory knows of the bar", move |hand| {
            hand.replicator
                .chat(&chat)
                .is_some_and(|held| !held.owner().bars().is_empty())
        })
        .await?;
    let frames = scene.mallory.act(move |hand| {
        anyhow::Ok(vec![
            before.frame(),
            hand.draft(chat, "after the bar")?.frame(),
        ])
    });
    let frames = frames.await??;
    scene.mallory.send(frames).await?;
    // A good event that no bar concerns shows that both were handled.
    let marker = scene.mallory.act(move |hand| {
        let mut marker = hand.draft(chat, "by nobody known")?;
        marker.events[0].actor = Handle(OsRandom.array());
        anyhow::Ok(marker.frame())
    });
    let marker = marker.await??;
    scene.mallory.send(vec![marker]).await?;
    eventually("what follows is handled", || async {
        Ok(scene
            .acme
            .texts(scene.anna, &chat.to_string())
            .await?
            .iter()
            .any(|text| text == "by nobody known"))
    })
    .await?;
    for (company, reader) in [(&scene.acme, scene.anna), (&scene.globex, scene.boris)] {
        let texts = company.texts(reader, &chat.to_string()).await?;
        ensure!(
            !texts
                .iter()
                .any(|text| text == "with an old citation" || text == "after the bar"),
            "{texts:?}"
        );
    }
    scene.close().await
}

/// Acme removes Mallory's company from the shared chat.
async fn remove_mallory(scene: &Scene) -> Result<()> {
    let by = Repeatable {
        client_id: "remove".to_owned(),
    };
    let company = format!("@{}", scene.mallory.company);
    scene
        .acme
        .node()
        .remove_member(scene.anna, scene.shared.to_string(), company, by)
        .await?;
    let (chat, mallory) = (scene.shared, scene.mallory.company);
    scene
        .mallory
        .until("Mallory knows that it is out", move |hand| {
            hand.replicator
                .chat(&chat)
                .is_some_and(|held| !held.owner().is_member(&mallory))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_company_writes_edits_and_reads_nothing_more() -> Result<()> {
    let mut scene = Scene::open().await?;
    let (chat, own) = (scene.shared, scene.message_id("a good envelope").await?);
    let held_back = scene.mallory.act(move |hand| {
        let edit = Event::Edit(Edit {
            target: own,
            text: "rewritten after leaving".to_owned(),
            fields: Fields::none(),
        });
        let before = hand.draft(chat, "written before, sent after")?;
        anyhow::Ok((
            before.clone(),
            [before.frame(), hand.draft_of(chat, &edit)?.frame()],
        ))
    });
    let (before, held_back) = held_back.await??;
    remove_mallory(&scene).await?;
    scene
        .acme
        .post(scene.anna, &chat.to_string(), "among ourselves")
        .await?;
    scene.await_text("among ourselves").await?;
    scene.look().await?;
    scene.mallory.act(|hand| hand.forget_heard()).await?;
    let frames = scene.mallory.act(move |hand| {
        let owner = hand
            .replicator
            .chat(&chat)
            .context("Mallory has the chat")?
            .owner();
        let mut new = before.clone();
        new.place.owner_at = owner.head();
        new.place.epoch = owner.epoch();
        let body = FrontierBody {
            reply: true,
            missing_epochs: vec![1, 2],
            ..FrontierBody::default()
        };
        let ask = Frame::Frontier(Frontier { chat, body }).encode();
        anyhow::Ok([held_back.to_vec(), vec![new.frame(), ask]].concat())
    });
    scene.mallory.send(frames.await??).await?;
    eventually("all three are refused", || async {
        Ok(scene.counts().await?.get("not_shared").copied() == Some(3))
    })
    .await?;
    scene
        .mallory
        .until("the question is answered", move |hand| {
            hand.heard.iter().any(|frame| chat_of(frame) == Some(chat))
        })
        .await?;
    scene.outcome().await?.refused_only(&[("not_shared", 3)])?;
    let content = |frame: &&Frame| !matches!(frame, Frame::Frontier(_) | Frame::Owner(_));
    let about = move |frame: &&Frame| chat_of(frame) == Some(chat);
    let told = scene
        .mallory
        .act(move |hand| hand.heard.iter().filter(about).filter(content).count());
    check("frames with content for Mallory", told.await?, 0)?;
    let key = scene
        .mallory
        .act(move |hand| hand.replicator.key(&chat, 2).is_some())
        .await?;
    check("Mallory has the new key", key, false)?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_acceptance_is_not_used_again() -> Result<()> {
    let mut scene = Scene::open().await?;
    let (chat, company) = (scene.shared, scene.mallory.company);
    let old = scene
        .mallory
        .act(move |hand| hand.acceptance_of(&chat))
        .await?
        .context("Mallory was added")?;
    remove_mallory(&scene).await?;
    scene.mallory.act(|hand| hand.obedient = false).await?;
    scene.look().await?;
    let again = Frame::Accept(old.clone()).encode();
    scene.mallory.send(vec![again.clone()]).await?;
    eventually("it is refused while nobody is invited", || async {
        Ok(scene.counts().await?.get("bad_acceptance").copied() == Some(1))
    })
    .await?;
    let invited = scene.acme.node().change(move |core| {
        let invited = core.replicate(|replicator, cx| {
            replicator.invite(cx, chat, company, now().plus_ms(600_000))
        });
        assert!(invited.is_ok(), "{invited:?}");
        Ok(())
    });
    invited.await?;
    scene.mallory.send(vec![again]).await?;
    eventually("it is refused for a new invitation", || async {
        Ok(scene.counts().await?.get("bad_acceptance").copied() == Some(2))
    })
    .await?;
    let member = scene.acme.node().look(move |core| {
        Ok(core
            .replicator
            .chat(&chat)
            .is_some_and(|held| held.owner().is_member(&company)))
    });
    check("Mallory is a member", member.await?, false)?;
    scene.close().await
}
