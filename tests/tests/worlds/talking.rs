//! Two and three companies talk: the main job over real nodes.

use anyhow::Result;
use crossport_node::api::facade::UseCases;
use crossport_node::api::types::{ChatKind, Code, Mark, Repeatable};
use crossport_tests::world::{Company, check, eventually, pair};

#[tokio::test(flavor = "multi_thread")]
async fn two_companies_talk_and_see_their_marks() -> Result<()> {
    let (mut acme, mut globex) = (
        Company::start("Acme").await?,
        Company::start("Globex").await?,
    );
    pair(&acme, &globex).await?;
    let (anna, boris) = (acme.person("anna").await?, globex.person("boris").await?);
    let chat = acme
        .chat(anna, ChatKind::Direct, "", &["boris@globex"])
        .await?
        .id;
    let hello = acme.post(anna, &chat, "hello Boris").await?;
    eventually("Boris sees the chat and the message", || async {
        Ok(globex.chats(boris).await?.iter().any(|row| row.id == chat)
            && globex.texts(boris, &chat).await? == ["hello Boris"])
    })
    .await?;
    check("unread at Boris", globex.chats(boris).await?[0].unread, 1)?;
    eventually("Anna's message is stored everywhere", || async {
        Ok(
            acme.node().receipts(anna, hello.id.clone()).await?.mark
                == Some(Mark::StoredEverywhere),
        )
    })
    .await?;
    globex.read_all(boris, &chat).await?;
    check(
        "unread at Boris after reading",
        globex.chats(boris).await?[0].unread,
        0,
    )?;
    eventually("Anna sees that Boris has read", || async {
        let receipts = acme.node().receipts(anna, hello.id.clone()).await?;
        Ok(receipts.mark == Some(Mark::Read)
            && receipts
                .people
                .iter()
                .any(|receipt| receipt.read_at.is_some()))
    })
    .await?;
    globex.post(boris, &chat, "hello Anna").await?;
    eventually("Anna sees the answer", || async {
        Ok(acme.texts(anna, &chat).await? == ["hello Boris", "hello Anna"])
    })
    .await?;
    acme.down().await?;
    globex.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_company_gets_everything_when_it_returns() -> Result<()> {
    let (mut acme, mut globex) = (
        Company::start("Acme").await?,
        Company::start("Globex").await?,
    );
    pair(&acme, &globex).await?;
    let (anna, boris) = (acme.person("anna").await?, globex.person("boris").await?);
    let chat = acme
        .chat(anna, ChatKind::Group, "Plans", &["boris@globex"])
        .await?
        .id;
    eventually("Boris is in the chat", || async {
        Ok(!globex.chats(boris).await?.is_empty())
    })
    .await?;
    globex.down().await?;
    eventually("Acme notices", || async {
        Ok(!acme.is_linked("Globex").await?)
    })
    .await?;
    let mut expected: Vec<String> = Vec::new();
    for number in 0..50 {
        let text = format!("while you were away {number}");
        acme.post(anna, &chat, &text).await?;
        expected.push(text);
    }
    let wrong = acme.post(anna, &chat, "a slip of the pen").await?;
    let recalled = acme
        .node()
        .recall(
            anna,
            wrong.id.clone(),
            Repeatable {
                client_id: "recall".to_owned(),
            },
        )
        .await?;
    check("the recalled message shows no text", recalled.text, None)?;
    let waiting = acme.node().receipts(anna, wrong.id).await;
    check("receipts of a recalled message", waiting.is_ok(), true)?;
    globex.up().await?;
    eventually("Globex has caught up", || async {
        Ok(globex.texts(boris, &chat).await? == expected)
    })
    .await?;
    acme.down().await?;
    globex.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_outside_a_chat_sees_nothing_of_it() -> Result<()> {
    let mut acme = Company::start("Acme").await?;
    let (anna, alex, eve) = (
        acme.person("anna").await?,
        acme.person("alex").await?,
        acme.person("eve").await?,
    );
    let chat = acme.chat(anna, ChatKind::Direct, "", &["alex"]).await?.id;
    let secret = acme.post(anna, &chat, "between us").await?;
    check(
        "Alex reads",
        acme.texts(alex, &chat).await?,
        vec!["between us".to_owned()],
    )?;
    let refused = acme
        .node()
        .chat(eve, chat.clone())
        .await
        .expect_err("Eve is outside");
    check("chat", refused.code, Code::ChatNotFound)?;
    let refused = acme
        .node()
        .message(eve, secret.id.clone())
        .await
        .expect_err("Eve is outside");
    check("message", refused.code, Code::MessageNotFound)?;
    check("list", acme.chats(eve).await?.len(), 0)?;
    acme.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_companies_share_a_chat_through_its_owner() -> Result<()> {
    let mut acme = Company::start("Acme").await?;
    let (mut globex, mut initech) = (
        Company::start("Globex").await?,
        Company::start("Initech").await?,
    );
    pair(&acme, &globex).await?;
    pair(&acme, &initech).await?;
    let (anna, boris, clara) = (
        acme.person("anna").await?,
        globex.person("boris").await?,
        initech.person("clara").await?,
    );
    let chat = acme
        .chat(
            anna,
            ChatKind::Group,
            "Three",
            &["boris@globex", "clara@initech"],
        )
        .await?
        .id;
    eventually("both joined", || async {
        Ok(!globex.chats(boris).await?.is_empty() && !initech.chats(clara).await?.is_empty())
    })
    .await?;
    let from_boris = globex.post(boris, &chat, "from Boris").await?;
    eventually("Clara sees what Boris wrote, through Acme", || async {
        Ok(initech.texts(clara, &chat).await? == ["from Boris"])
    })
    .await?;
    initech.read_all(clara, &chat).await?;
    eventually("Boris sees that Clara has read, through Acme", || async {
        Ok(globex
            .node()
            .receipts(boris, from_boris.id.clone())
            .await?
            .people
            .iter()
            .any(|receipt| receipt.person.nickname == "clara" && receipt.read_at.is_some()))
    })
    .await?;
    acme.down().await?;
    globex.down().await?;
    initech.down().await
}
