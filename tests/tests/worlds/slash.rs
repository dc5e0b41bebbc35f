//! Slash commands over two companies: the list, the ways of writing, and a chat's title.

use anyhow::{Context as _, Result, ensure};
use crossport_node::api::facade::{Caller, Lang, UseCases};
use crossport_node::api::types::{
    Code, DoneBy, MessagePageQuery, ServiceKind, SetTopic, TokenKind,
};
use crossport_tests::world::{check, eventually};

use crate::words::{Group, seen};

#[tokio::test(flavor = "multi_thread")]
async fn s21_commands_are_listed_in_the_callers_language() -> Result<()> {
    let group = Group::start().await?;
    let russian = Caller {
        lang: Lang::Ru,
        ..group.anna
    };
    let node = group.acme.node();
    let (english, russian) = (node.commands(group.anna), node.commands(russian));
    let (english, russian) = (english.await?.commands, russian.await?.commands);
    let names: Vec<&str> = english.iter().map(|one| one.name.as_str()).collect();
    let expected = ["help", "me", "shrug", "invite", "topic", "leave"];
    check("names", names, expected.to_vec())?;
    for (one, other) in english.iter().zip(&russian) {
        check("the same command", &one.name, &other.name)?;
        ensure!(one.description != other.description, "{one:?}");
        // What a client does it can do: help is the list itself.
        let can = one.done_by == DoneBy::Node || one.call.is_some() || one.name == "help";
        ensure!(can, "nobody does {one:?}");
    }
    group.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn s21_me_and_shrug_arrive_as_what_they_mean() -> Result<()> {
    let group = Group::start().await?;
    let waves = group.alex_says("/me waves at @boris").await?;
    let seen = seen(&group.globex, group.boris, &waves.id).await?;
    let inner = seen.tokens.first().and_then(|one| one.tokens.first());
    let inner = inner.context("no tokens")?;
    check("style", inner.kind, TokenKind::Italic)?;
    check("mentioned", seen.mentioned, true)?;
    let shrug = group.alex_says("/shrug who knows").await?;
    let words = crossport_node::markdown::told(&shrug.tokens);
    check("words", words.as_str(), r"who knows ¯\_(ツ)_/¯")?;
    let empty = group.acme.post(group.alex, &group.chat, "/me ").await;
    ensure!(empty.is_err(), "nothing was said: {empty:?}");
    group.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn s21_topic_changes_the_title_for_everybody_and_only_the_owner_may() -> Result<()> {
    let group = Group::start().await?;
    let topic = |title: &str| SetTopic {
        client_id: title.to_owned(),
        title: title.to_owned(),
    };
    let refused = group
        .globex
        .node()
        .set_topic(group.boris, group.chat.clone(), topic("Ours"));
    check(
        "Boris",
        refused.await.err().map(|refused| refused.code),
        Some(Code::NotAllowed),
    )?;
    for bad in ["", " ", "two\nlines"] {
        let refused = group
            .acme
            .node()
            .set_topic(group.alex, group.chat.clone(), topic(bad));
        check(
            "a bad title",
            refused.await.err().map(|refused| refused.code),
            Some(Code::ValueInvalid),
        )?;
    }
    let row = group
        .acme
        .node()
        .set_topic(group.alex, group.chat.clone(), topic("Launch in May"));
    check("title", row.await?.title.as_str(), "Launch in May")?;
    eventually("Globex sees the title, and a line", || async {
        let node = group.globex.node();
        let row = node.chat(group.bella, group.chat.clone()).await?;
        let query = MessagePageQuery::default();
        let page = node
            .messages(group.bella, group.chat.clone(), query)
            .await?;
        let lines = page.messages.into_iter().filter_map(|one| one.service);
        let titles: Vec<_> = lines
            .filter(|line| line.what == ServiceKind::TitleChanged)
            .filter_map(|line| line.title)
            .collect();
        Ok(row.title == "Launch in May" && titles == ["Launch in May"])
    })
    .await?;
    group.down().await
}
