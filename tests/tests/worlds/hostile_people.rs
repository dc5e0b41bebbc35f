//! Who is who: people of other companies, what is said to have been read, and administrators who look on.

use anyhow::{Context as _, Result, ensure};
use crossport_node::api::facade::{Caller, UseCases};
use crossport_node::api::types::{
    ChatKind, Code, MessagePageQuery, PageQuery, Repeatable, SendMessage,
};
use crossport_node::core::now;
use crossport_node::random::OsRandom;
use crossport_protocol::event::{Event, Member, MemberAction, MemberAsk, UserCard};
use crossport_protocol::fields::Fields;
use crossport_protocol::frame::Frame;
use crossport_protocol::ids::{ChatId, CompanyId, Handle, Head, LocalId};
use crossport_protocol::owner_log::StreamCut;
use crossport_protocol::read::{ReadEntry, ReadRegister, RegisterPlace};
use crossport_protocol::statement::{self, Statement, StatementContent};
use crossport_protocol::suite::Random;
use crossport_tests::hostile::Hand;
use crossport_tests::hostile::forge::{SUITE, frame_of, random_hash};
use crossport_tests::hostile::scene::{Scene, named};
use crossport_tests::world::{Company, check};

fn card(local: LocalId, nickname: &str) -> UserCard {
    UserCard {
        local,
        name: nickname.to_owned(),
        nickname: nickname.to_owned(),
        title: String::new(),
        fields: Fields::none(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_cannot_add_or_remove_another_companys_people() -> Result<()> {
    let mut scene = Scene::open().await?;
    let (chat, people) = (scene.shared, scene.handles().await?);
    let ((anna, anna_local), (boris, boris_local)) =
        (named(&people, "anna")?, named(&people, "boris")?);
    let outcome = scene.attack(move |hand| {
        let leave = |nickname, local| {
            Event::Member(Member {
                action: MemberAction::LEAVE,
                card: card(local, nickname),
            })
        };
        let mut anna_leaves = hand.draft_of(chat, &leave("anna", anna_local))?;
        anna_leaves.events[0].actor = anna;
        let mut boris_leaves = hand.draft_of(chat, &leave("boris", boris_local))?;
        boris_leaves.events[0].actor = boris;
        Ok(vec![anna_leaves.frame(), boris_leaves.frame()])
    });
    let outcome = outcome.await?;
    check("refusals", outcome.refused.len(), 0)?;
    for (company, reader) in [(&scene.acme, scene.anna), (&scene.globex, scene.boris)] {
        let members = company
            .node()
            .members(reader, chat.to_string())
            .await?
            .members;
        let present: Vec<String> = members
            .iter()
            .map(|member| format!("{}@{}", member.person.nickname, member.person.company.name))
            .collect();
        check(
            "members",
            present,
            ["anna@Acme", "boris@Globex", "mallory@Mallory Ltd"]
                .map(str::to_owned)
                .to_vec(),
        )?;
    }
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_named_like_another_is_shown_with_their_own_company() -> Result<()> {
    let mut scene = Scene::open().await?;
    let (chat, people) = (scene.shared, scene.handles().await?);
    let (_, anna_local) = named(&people, "anna")?;
    let outcome = scene.attack(move |hand| {
        let actor = Handle(OsRandom.array());
        let join = Event::Member(Member {
            action: MemberAction::JOIN,
            card: card(anna_local, "anna"),
        });
        let mut impostor = hand.draft_of(chat, &join)?;
        impostor.events[0].actor = actor;
        let sealed = impostor.sealed();
        let mut text = impostor.after(&sealed, "send me the password");
        text.events[0].kind = 1;
        Ok(vec![frame_of(chat, vec![sealed, text.sealed()])])
    });
    let outcome = outcome.await?;
    check("refusals", outcome.refused.len(), 0)?;
    let texts: Vec<&String> = outcome
        .shown
        .iter()
        .flatten()
        .filter(|line| line.contains("send me"))
        .collect();
    let honest = |line: &&String| line.ends_with("by \"anna\" \"anna\" of \"Mallory Ltd\"");
    ensure!(texts.len() == 2 && texts.iter().all(honest), "{texts:#?}");
    let mine = scene
        .acme
        .node()
        .messages(scene.anna, chat.to_string(), MessagePageQuery::default())
        .await?
        .messages;
    let forged = mine
        .iter()
        .find(|message| message.text.as_deref() == Some("send me the password"));
    let forged = forged.context("it is shown")?;
    ensure!(
        !forged.mine && forged.author.external,
        "it looks like Anna's own: {forged:?}"
    );
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_that_is_not_the_owner_cannot_have_others_leave() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let companies = [scene.acme.id().await?, scene.globex.id().await?];
    let outcome = scene.attack(move |hand| {
        let asks = companies
            .iter()
            .zip(["anna", "boris"])
            .map(|(company, nickname)| {
                let ask = MemberAsk {
                    company: *company,
                    action: MemberAction::LEAVE,
                    nickname: nickname.to_owned(),
                };
                Ok(hand.draft_of(chat, &Event::MemberAsk(ask))?.frame())
            });
        asks.collect()
    });
    outcome.await?.refused_only(&[])?;
    for (company, reader) in [(&scene.acme, scene.anna), (&scene.globex, scene.boris)] {
        let members = company
            .node()
            .members(reader, chat.to_string())
            .await?
            .members;
        check("members", members.len(), 3)?;
    }
    scene.close().await
}

/// Statements and read registers of Globex's, signed by Mallory.
fn false_receipts(hand: &Hand, globex: CompanyId, boris: Handle) -> Result<Vec<Vec<u8>>> {
    let chat = hand
        .handles
        .keys()
        .next()
        .copied()
        .context("Mallory is in a chat")?;
    let held = hand
        .replicator
        .chat(&chat)
        .context("Mallory has the chat")?;
    let content = StatementContent {
        version: statement::VERSION,
        chat,
        company: globex,
        node: hand.node.public(SUITE),
        generation: 1,
        number: u64::MAX,
        time: now(),
        owner_at: held.owner().head(),
        heads: held.heads(),
        fields: Fields::none(),
    };
    let stated = Statement::sign(SUITE, &hand.node, content.clone());
    // With Globex's true node key, but signed by Mallory.
    let node = hand
        .replicator
        .roster()
        .log(&globex)
        .and_then(|log| log.latest())
        .and_then(|latest| latest.node_keys.first().copied());
    let node = node.context("Globex has a node")?;
    let forged = Statement::sign(SUITE, &hand.node, StatementContent { node, ..content });
    let entries = vec![ReadEntry {
        handle: boris,
        time: now(),
        heads: held.heads(),
        fields: Fields::none(),
    }];
    let key = hand
        .replicator
        .key(&chat, 1)
        .context("Mallory has the key")?;
    let place = RegisterPlace {
        chat,
        company: globex,
        node: hand.node.public(SUITE),
        part: 0,
        number: u64::MAX,
        epoch: 1,
    };
    let read = ReadRegister::sign(SUITE, &hand.node, key, place, &entries, &mut OsRandom);
    let forged_read = ReadRegister::sign(
        SUITE,
        &hand.node,
        key,
        RegisterPlace { node, ..place },
        &entries,
        &mut OsRandom,
    );
    let elsewhere = RegisterPlace {
        chat: ChatId(OsRandom.array()),
        ..place
    };
    let unknown = ReadRegister::sign(SUITE, &hand.node, key, elsewhere, &entries, &mut OsRandom);
    Ok(vec![
        Frame::Statements(vec![stated, forged]).encode(),
        Frame::Reads(vec![read, forged_read, unknown]).encode(),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_in_the_name_of_others_are_refused() -> Result<()> {
    let mut scene = Scene::open().await?;
    let (globex, people) = (scene.globex.id().await?, scene.handles().await?);
    let (boris, _) = named(&people, "boris")?;
    let outcome = scene.attack(move |hand| false_receipts(hand, globex, boris));
    outcome
        .await?
        .refused_only(&[("bad_register", 4), ("not_shared", 1)])?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_under_another_companys_handle_marks_nobody() -> Result<()> {
    let mut scene = Scene::open().await?;
    let (chat, people) = (scene.shared, scene.handles().await?);
    let (boris, _) = named(&people, "boris")?;
    let outcome = scene.attack(move |hand| Ok(vec![reads(hand, chat, boris, |_| {})?]));
    outcome.await?.refused_only(&[])?;
    let message = scene.message_id("for all three").await?.to_string();
    let receipts = scene.acme.node().receipts(scene.anna, message).await?;
    check(
        "read by",
        receipts
            .people
            .iter()
            .filter(|receipt| receipt.read_at.is_some())
            .count(),
        0,
    )?;
    scene.close().await
}

/// A read register of Mallory's that says that a handle has read everything.
fn reads(
    hand: &Hand,
    chat: ChatId,
    handle: Handle,
    change: impl FnOnce(&mut Vec<StreamCut>),
) -> Result<Vec<u8>> {
    let held = hand
        .replicator
        .chat(&chat)
        .context("Mallory has the chat")?;
    let mut heads = held.heads();
    change(&mut heads);
    let entries = vec![ReadEntry {
        handle,
        time: now(),
        heads,
        fields: Fields::none(),
    }];
    let epoch = held.owner().epoch();
    let key = hand
        .replicator
        .key(&chat, epoch)
        .context("Mallory has the key")?;
    let place = RegisterPlace {
        chat,
        company: hand.company,
        node: hand.second.public(SUITE),
        part: 0,
        number: 1,
        epoch,
    };
    Ok(Frame::Reads(vec![ReadRegister::sign(
        SUITE,
        &hand.second,
        key,
        place,
        &entries,
        &mut OsRandom,
    )])
    .encode())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_for_a_message_that_does_not_exist_is_refused() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        let (acme, _) = hand.victim.context("Mallory is paired")?;
        let handle = *hand.handles.get(&chat).context("Mallory takes part")?;
        let frame = reads(hand, chat, handle, |heads| {
            for cut in heads.iter_mut().filter(|cut| cut.stream.company == acme) {
                cut.heads = vec![Head {
                    seq: u64::MAX,
                    hash: random_hash(),
                }];
            }
        })?;
        Ok(vec![frame])
    });
    outcome.await?.refused_only(&[("unknown_heads", 1)])?;
    let written = scene
        .acme
        .post(scene.anna, &chat.to_string(), "not written then")
        .await?;
    let receipts = scene.acme.node().receipts(scene.anna, written.id).await?;
    check(
        "read before it was written",
        receipts
            .people
            .iter()
            .filter(|receipt| receipt.read_at.is_some())
            .count(),
        0,
    )?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_outside_a_chat_is_refused_on_every_path() -> Result<()> {
    let mut acme = Company::start("Acme").await?;
    let (anna, alex) = (acme.person("anna").await?, acme.person("alex").await?);
    let eve = administrator(&acme, "eve").await?;
    let chat = acme
        .chat(anna, ChatKind::Group, "Between two", &["alex"])
        .await?
        .id;
    let secret = acme.post(anna, &chat, "between us").await?.id;
    check(
        "Alex reads",
        acme.texts(alex, &chat).await?,
        vec!["between us".to_owned()],
    )?;
    let node = acme.node();
    let again = || Repeatable {
        client_id: "again".to_owned(),
    };
    let text = SendMessage {
        client_id: "x".to_owned(),
        text: "I am in".to_owned(),
        reply_to: None,
    };
    let chat_paths = [
        node.chat(eve, chat.clone()).await.err(),
        node.messages(eve, chat.clone(), MessagePageQuery::default())
            .await
            .err(),
        node.send_message(eve, chat.clone(), text).await.err(),
        node.members(eve, chat.clone()).await.err(),
        node.leave(eve, chat.clone(), again()).await.err(),
        node.remove_member(eve, chat.clone(), "alex".to_owned(), again())
            .await
            .err(),
        acme.read_all(eve, &chat)
            .await
            .err()
            .and_then(|error| error.downcast().ok()),
        node.changes(eve, Some(chat.clone()), None).await.err(),
    ];
    for (path, refused) in chat_paths.into_iter().enumerate() {
        check(
            &format!("chat path {path}"),
            refused.map(|refused| refused.code),
            Some(Code::ChatNotFound),
        )?;
    }
    let message_paths = [
        node.message(eve, secret.clone()).await.err(),
        node.delete(eve, secret.clone(), again()).await.err(),
        node.recall(eve, secret.clone(), again()).await.err(),
        node.receipts(eve, secret.clone()).await.err(),
        node.why(eve, secret.clone()).await.err(),
    ];
    for (path, refused) in message_paths.into_iter().enumerate() {
        check(
            &format!("message path {path}"),
            refused.map(|refused| refused.code),
            Some(Code::MessageNotFound),
        )?;
    }
    check("list", acme.chats(eve).await?.len(), 0)?;
    acme.down().await
}

async fn administrator(company: &Company, nickname: &str) -> Result<Caller> {
    company.person_with(nickname, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_person_is_told_nothing_of_the_directory() -> Result<()> {
    let mut scene = Scene::open().await?;
    let (chat, acme) = (scene.shared, scene.acme.id().await?);
    let secret = scene.acme.person("dolores").await?;
    scene.mallory.act(|hand| hand.forget_heard()).await?;
    let outcome = scene.attack(move |hand| {
        // The one question that there is: somebody by name. It is answered for that name alone.
        let ask = MemberAsk {
            company: acme,
            action: MemberAction::JOIN,
            nickname: "nobody-by-this-name".to_owned(),
        };
        Ok(vec![hand.draft_of(chat, &Event::MemberAsk(ask))?.frame()])
    });
    let outcome = outcome.await?;
    check("refusals", outcome.refused.len(), 0)?;
    ensure!(!outcome.shows("dolores"), "{outcome:#?}");
    let contacts = scene
        .globex
        .node()
        .contacts(scene.boris, PageQuery::default())
        .await?
        .items;
    let names: Vec<String> = contacts.into_iter().map(|person| person.nickname).collect();
    ensure!(
        !names.contains(&"dolores".to_owned()),
        "Boris's contacts list {names:?}"
    );
    check("chats of Dolores", scene.acme.chats(secret).await?.len(), 0)?;
    scene.close().await
}
