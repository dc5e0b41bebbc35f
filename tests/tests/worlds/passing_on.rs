//! Replies, threads, forwarding, and new chats that begin with a message, over two companies.

use anyhow::{Context as _, Result, ensure};
use crossport_node::api::facade::{Caller, Made, UseCases};
use crossport_node::api::types::{
    ChatKind, Code, Forward, Message, MessageKind, MessagePageQuery, NewChat, SendMessage,
    ServiceKind,
};
use crossport_tests::world::{Company, check, eventually};

use crate::words::{Group, arrives, once, seen};

async fn reply(company: &Company, by: Caller, chat: &str, text: &str, to: &str) -> Result<Message> {
    let message = SendMessage {
        client_id: text.to_owned(),
        text: text.to_owned(),
        reply_to: Some(to.to_owned()),
    };
    Ok(company
        .node()
        .send_message(by, chat.to_owned(), message)
        .await?)
}

async fn forward(
    company: &Company,
    by: Caller,
    message: &str,
    chat: &str,
) -> std::result::Result<Message, Code> {
    let forward = Forward {
        client_id: format!("forward-{message}"),
        chat: chat.to_owned(),
    };
    let forwarded = company.node().forward(by, message.to_owned(), forward);
    forwarded.await.map_err(|refused| refused.code)
}

#[tokio::test(flavor = "multi_thread")]
async fn x_reply_says_what_it_answers_until_that_is_deleted() -> Result<()> {
    let group = Group::start().await?;
    let asked = group.bella_says("when do we start?").await?;
    let answer = reply(&group.acme, group.alex, &group.chat, "at nine", &asked.id).await?;
    arrives(&group.globex, group.bella, &answer.id).await?;
    let shown = seen(&group.globex, group.bella, &answer.id).await?;
    let answered = shown.reply.context("what it answers")?;
    check("text", answered.text.as_deref(), Some("when do we start?"))?;
    check("author", answered.author.nickname.as_str(), "bella")?;
    let asked_now = seen(&group.globex, group.bella, &asked.id).await?;
    check("replies", asked_now.replies, 1)?;
    let node = group.globex.node();
    node.delete(group.bella, asked.id.clone(), once("gone"))
        .await?;
    eventually("the answer says that it is gone", || async {
        let shown = seen(&group.acme, group.alex, &answer.id).await?;
        let answered = shown.reply.context("what it answers")?;
        Ok(answered.kind == MessageKind::Deleted && answered.text.is_none())
    })
    .await?;
    // A message of another chat is not answered here.
    let other = group
        .acme
        .chat(group.anna, ChatKind::Group, "Other", &["alex"])
        .await?;
    let elsewhere = reply(&group.acme, group.alex, &other.id, "here?", &answer.id).await;
    ensure!(elsewhere.is_err(), "answered across chats: {elsewhere:?}");
    group.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn x_thread_lists_replies_to_replies_in_order_and_in_pages() -> Result<()> {
    let group = Group::start().await?;
    let root = group.bella_says("root").await?;
    let mut target = root.id.clone();
    for number in 0..3 {
        let said = reply(
            &group.acme,
            group.alex,
            &group.chat,
            &format!("deep {number}"),
            &target,
        )
        .await?;
        let text = format!("side {number}");
        let side = reply(&group.acme, group.anna, &group.chat, &text, &root.id);
        side.await?;
        target = said.id;
    }
    group.alex_says("about something else").await?;
    let expected = ["deep 0", "side 0", "deep 1", "side 1", "deep 2", "side 2"];
    for (company, by) in [(&group.acme, group.alex), (&group.globex, group.boris)] {
        let mut texts = Vec::new();
        let mut after = None;
        loop {
            let query = MessagePageQuery {
                after,
                limit: Some(4),
                ..MessagePageQuery::default()
            };
            let page = company.node().thread(by, root.id.clone(), query).await?;
            texts.extend(page.messages.into_iter().filter_map(|reply| reply.text));
            after = page.newer;
            if after.is_none() {
                break;
            }
        }
        check("the thread", texts, expected.map(str::to_owned).to_vec())?;
    }
    group.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn x_forward_names_the_origin_and_needs_the_right_to_read() -> Result<()> {
    let group = Group::start().await?;
    let said = group.bella_says("@anna: the offer is 5 %").await?;
    let eve = group.acme.person("eve").await?;
    let inner = group
        .acme
        .chat(group.anna, ChatKind::Group, "Inner", &["alex", "eve"])
        .await?;
    check(
        "Eve cannot read it",
        forward(&group.acme, eve, &said.id, &inner.id).await.err(),
        Some(Code::MessageNotFound),
    )?;
    let passed = forward(&group.acme, group.alex, &said.id, &inner.id).await;
    let passed = passed.map_err(|code| anyhow::anyhow!("refused: {code:?}"))?;
    check("chat", &passed.chat, &inner.id)?;
    let shown = seen(&group.acme, eve, &passed.id).await?;
    let from = shown.forwarded.context("where it comes from")?;
    check("author", from.author.nickname.as_str(), "bella")?;
    check("company", from.author.company.name.as_str(), "Globex")?;
    check("external", from.author.external, true)?;
    check("time", &from.at, &said.sent_at)?;
    check("no way into the other chat", from.message, None)?;
    check("forwarder", shown.author.nickname.as_str(), "alex")?;
    let row = group.acme.node().chat(group.anna, inner.id.clone()).await?;
    check("nobody is mentioned anew", row.mentions, 0)?;
    // Passed on again, it is still Bella's.
    let direct = group
        .acme
        .chat(eve, ChatKind::Direct, "", &["anna"])
        .await?;
    let again = forward(&group.acme, eve, &passed.id, &direct.id).await;
    let again = again.map_err(|code| anyhow::anyhow!("refused: {code:?}"))?;
    let from = again.forwarded.context("where it comes from")?;
    check("author", from.author.nickname.as_str(), "bella")?;
    group.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn s31_new_chat_from_a_message_opens_with_it_and_the_old_one_shows_where_it_went()
-> Result<()> {
    let group = Group::start().await?;
    let said = group.bella_says("we should talk about the price").await?;
    let new = NewChat {
        client_id: "from".to_owned(),
        kind: ChatKind::Group,
        title: Some("Price".to_owned()),
        people: vec!["boris@globex".to_owned()],
        from: Some(said.id.clone()),
    };
    let made = group.acme.node().new_chat(group.alex, new.clone()).await?;
    let (Made::New(chat) | Made::Existing(chat)) = made;
    let repeated = group.acme.node().new_chat(group.alex, new).await?;
    ensure!(
        matches!(&repeated, Made::Existing(again) if again.id == chat.id),
        "made twice: {repeated:?}"
    );
    eventually("Boris has the quoted message", || async {
        let texts = group.globex.texts(group.boris, &chat.id).await?;
        Ok(texts == ["we should talk about the price"])
    })
    .await?;
    let query = MessagePageQuery::default();
    let page = group
        .globex
        .node()
        .messages(group.boris, chat.id.clone(), query);
    let page = page.await?.messages;
    let quoted = page
        .iter()
        .find_map(|message| message.forwarded.clone())
        .context("no quote")?;
    check("author", quoted.author.nickname.as_str(), "bella")?;
    check("linked", quoted.message, Some(said.id))?;
    check("its chat", quoted.chat, Some(group.chat.clone()))?;
    for (who, leads) in [(group.boris, Some(chat.id.clone())), (group.bella, None)] {
        eventually("the old chat shows where it went on", || async {
            let query = MessagePageQuery::default();
            let page = group.globex.node().messages(who, group.chat.clone(), query);
            let page = page.await?.messages;
            let line = page
                .into_iter()
                .filter_map(|message| message.service)
                .find(|service| service.what == ServiceKind::Continued);
            let line = line.context("no such line")?;
            let title = leads.as_ref().map(|_| "Price".to_owned());
            check("leads there", (&line.chat, line.title), (&leads, title))?;
            Ok(true)
        })
        .await?;
    }
    group.down().await
}
