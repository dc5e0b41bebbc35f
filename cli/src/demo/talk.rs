//! The acts in which people write to each other while everything works.

use super::cast::Cast;
use super::story::{Story, took};
use crate::errors::Failure;
use crate::output::{clock, line, short_id};
use crate::stage::{Person, until};
use crossport_node::api::types::{Chat, ChatKind, Mark, Message, MessageKind};
use crossport_node::say;
use std::time::{Duration, Instant};

/// Nothing in this story takes longer on a machine that works at all.
pub const SOON: Duration = Duration::from_secs(20);
/// Hexadecimal digits of a statement's hash that are shown.
pub const HASH_CHARS: usize = 16;

/// Anna writes to Boris: the three marks, an answer, an edit, a reaction, a deletion.
pub async fn direct(story: &mut Story<'_>, cast: &mut Cast) -> Result<(), Failure> {
    let texts = story.texts;
    story.act(say!(texts, "demo-act-direct"))?;
    let chat = cast
        .anna
        .new_chat(ChatKind::Direct, None, &["boris@globex"])
        .await?;
    cast.direct = chat.id.clone();
    let there = appears(&cast.boris, &chat.id, story).await?;
    story.check(
        "direct chat: title at Boris",
        &cast.anna.who.name,
        &there.title,
    )?;
    story.check("direct chat: external", &true, &there.external)?;
    let text = say!(texts, "demo-line-hello");
    let message = marks(story, cast, &text).await?;
    cast.said.push(text);
    answer(story, cast, &message).await?;
    edit(story, cast, &message).await?;
    delete(story, cast).await
}

/// One message from "stored here" to "read".
async fn marks(story: &mut Story<'_>, cast: &Cast, text: &str) -> Result<Message, Failure> {
    let texts = story.texts;
    story.says(&cast.anna.who, text)?;
    let begun = Instant::now();
    let sent = cast.anna.send(&cast.direct, text).await?;
    let stored = begun.elapsed();
    story.check(
        "mark when acknowledged",
        &Some(Mark::StoredHere),
        &sent.mark,
    )?;
    story.fact(&say!(texts, "demo-mark-here"), Some(took(stored, texts)))?;
    until_mark(&cast.anna, &sent.id, Mark::StoredEverywhere, story).await?;
    let everywhere = begun.elapsed();
    let receipts = cast.anna.receipts(&sent.id).await?;
    let globex = receipts.companies.iter().find(|receipt| !receipt.own);
    let statement = globex
        .and_then(|receipt| receipt.statement.clone())
        .unwrap_or_default();
    story.check("statement of Globex: digits", &64, &statement.len())?;
    let shown: String = statement.chars().take(HASH_CHARS).collect();
    let fact = say!(texts, "demo-mark-everywhere", statement = shown);
    story.fact(&fact, Some(took(everywhere, texts)))?;
    let (page, _) = received(&cast.boris, &cast.direct, &sent.id, story).await?;
    story.check("text at Boris", &Some(text.to_owned()), &page.text)?;
    cast.boris.read(&cast.direct, Some(&sent.id)).await?;
    until_mark(&cast.anna, &sent.id, Mark::Read, story).await?;
    let receipts = cast.anna.receipts(&sent.id).await?;
    let readers: Vec<&str> = receipts
        .people
        .iter()
        .filter(|person| person.read_at.is_some())
        .map(|person| person.person.nickname.as_str())
        .collect();
    story.check("readers", &vec!["boris"], &readers)?;
    let at = receipts
        .people
        .first()
        .and_then(|person| person.read_at.clone())
        .unwrap_or_default();
    let fact = say!(
        texts,
        "demo-mark-read",
        name = cast.boris.who.name.as_str(),
        time = clock(&at, story.look())
    );
    story.fact(&fact, Some(took(begun.elapsed(), texts)))?;
    Ok(sent)
}

/// Boris answers and likes.
async fn answer(story: &mut Story<'_>, cast: &mut Cast, to: &Message) -> Result<(), Failure> {
    let texts = story.texts;
    let text = say!(texts, "demo-line-answer");
    let boris = external(&cast.boris);
    story.says(&boris, &text)?;
    let sent = cast.boris.answer(&cast.direct, &text, Some(&to.id)).await?;
    let (seen, took_) = received(&cast.anna, &cast.direct, &sent.id, story).await?;
    story.check("answer at Anna", &Some(text.clone()), &seen.text)?;
    story.check(
        "answer at Anna: reply_to",
        &Some(to.id.clone()),
        &seen.reply_to,
    )?;
    story.check(
        "answer at Anna: author is external",
        &true,
        &seen.author.external,
    )?;
    cast.anna.read(&cast.direct, Some(&sent.id)).await?;
    cast.boris.react(&to.id, "👍").await?;
    let liked = until("reaction at Anna", SOON, texts, async || {
        let message = cast.anna.message(&to.id).await?.message;
        Ok((!message.reactions.is_empty()).then_some(message))
    });
    let (message, _) = liked.await?;
    let reactions: Vec<(&str, &str)> = message
        .reactions
        .iter()
        .flat_map(|reaction| {
            reaction
                .people
                .iter()
                .map(|person| (reaction.emoji.as_str(), person.nickname.as_str()))
        })
        .collect();
    story.check("reactions at Anna", &vec![("👍", "boris")], &reactions)?;
    story.fact(&say!(texts, "demo-answered"), Some(took(took_, texts)))?;
    cast.said.push(text);
    Ok(())
}

/// Anna corrects herself; the first text stays visible as history.
async fn edit(story: &mut Story<'_>, cast: &mut Cast, message: &Message) -> Result<(), Failure> {
    let texts = story.texts;
    let text = say!(texts, "demo-line-edited");
    cast.anna.edit(&message.id, &text).await?;
    let edited = until("edited text at Boris", SOON, texts, async || {
        let detail = cast.boris.message(&message.id).await?;
        Ok((detail.message.text.as_deref() == Some(&text)).then_some(detail))
    });
    let (detail, waited) = edited.await?;
    let revisions: Vec<&str> = detail
        .revisions
        .iter()
        .map(|revision| revision.text.as_str())
        .collect();
    let first = cast.said.first().cloned().unwrap_or_default();
    story.check(
        "revisions at Boris",
        &vec![first.as_str(), text.as_str()],
        &revisions,
    )?;
    story.check(
        "edited_at at Boris",
        &true,
        &detail.message.edited_at.is_some(),
    )?;
    story.says(
        &cast.anna.who,
        &say!(texts, "demo-edited", text = text.as_str()),
    )?;
    story.fact(&say!(texts, "demo-fact-edited"), Some(took(waited, texts)))?;
    cast.said.push(text);
    Ok(())
}

/// Boris deletes; the text is gone at Anna's company too.
async fn delete(story: &mut Story<'_>, cast: &mut Cast) -> Result<(), Failure> {
    let texts = story.texts;
    let text = say!(texts, "demo-line-slip");
    story.says(&external(&cast.boris), &text)?;
    let sent = cast.boris.send(&cast.direct, &text).await?;
    received(&cast.anna, &cast.direct, &sent.id, story).await?;
    cast.boris.delete(&sent.id).await?;
    let deleted = until("deleted at Anna", SOON, texts, async || {
        let detail = cast.anna.message(&sent.id).await?;
        Ok((detail.message.kind == MessageKind::Deleted).then_some(detail))
    });
    let (detail, waited) = deleted.await?;
    story.check("text of a deleted message", &None, &detail.message.text)?;
    story.check(
        "revisions of a deleted message",
        &0,
        &detail.revisions.len(),
    )?;
    let by = detail.message.deleted.map(|deleted| deleted.by.nickname);
    story.check("deleted by", &Some("boris".to_owned()), &by)?;
    story.fact(&say!(texts, "demo-fact-deleted"), Some(took(waited, texts)))?;
    cast.said.push(text);
    Ok(())
}

/// A chat of four at two companies.
pub async fn group(story: &mut Story<'_>, cast: &mut Cast) -> Result<(), Failure> {
    let texts = story.texts;
    let title = say!(texts, "demo-group-title");
    story.act(say!(texts, "demo-act-group", title = title.as_str()))?;
    let begun = Instant::now();
    let people = ["alex", "boris@globex", "bella@globex"];
    let chat = cast
        .anna
        .new_chat(ChatKind::Group, Some(&title), &people)
        .await?;
    cast.group = chat.id.clone();
    cast.said.push(title.clone());
    for person in cast.everyone() {
        let there = appears(person, &chat.id, story).await?;
        story.check("title of the group", &title, &there.title)?;
        members(story, person, &chat.id).await?;
    }
    story.fact(
        &say!(texts, "demo-group-there"),
        Some(took(begun.elapsed(), texts)),
    )?;
    let lines = [
        (0, say!(texts, "demo-line-group-anna")),
        (3, say!(texts, "demo-line-group-bella")),
        (1, say!(texts, "demo-line-group-alex")),
        (2, say!(texts, "demo-line-group-boris")),
    ];
    let mut first = None;
    for (speaker, text) in lines {
        let everyone = cast.everyone();
        let Some(speaker) = everyone.get(speaker) else {
            continue;
        };
        let who = if speaker.who.company == cast.anna.who.company {
            speaker.who.clone()
        } else {
            external(speaker)
        };
        story.says(&who, &text)?;
        let sent = speaker.send(&chat.id, &text).await?;
        for reader in everyone {
            received(reader, &chat.id, &sent.id, story).await?;
        }
        first.get_or_insert(sent.id);
        cast.said.push(text);
    }
    same_for_all(story, cast, 4).await?;
    story.fact(&say!(texts, "demo-group-same"), None)?;
    read_by_all(story, cast, &first.unwrap_or_default()).await
}

/// Waits until all four take part, nobody only invited.
async fn members(story: &mut Story<'_>, person: &Person, chat: &str) -> Result<(), Failure> {
    let all = until("four members", SOON, story.texts, async || {
        let members = person.members(chat).await?.members;
        let there = members.len() == 4 && members.iter().all(|member| !member.invited);
        Ok(there.then_some(members))
    });
    let (members, _) = all.await?;
    let mut nicknames: Vec<&str> = members
        .iter()
        .map(|member| member.person.nickname.as_str())
        .collect();
    nicknames.sort_unstable();
    story.check(
        "members",
        &vec!["alex", "anna", "bella", "boris"],
        &nicknames,
    )
}

/// All four read the same texts in the same order.
pub async fn same_for_all(story: &mut Story<'_>, cast: &Cast, count: usize) -> Result<(), Failure> {
    let expected = Cast::texts(&cast.anna, &cast.group).await?;
    story.check("messages of the group", &count, &expected.len())?;
    for person in [&cast.alex, &cast.boris, &cast.bella] {
        let seen = Cast::texts(person, &cast.group).await?;
        story.check("messages of the group", &expected, &seen)?;
    }
    Ok(())
}

/// Everyone reads; Anna sees who.
async fn read_by_all(story: &mut Story<'_>, cast: &Cast, message: &str) -> Result<(), Failure> {
    let texts = story.texts;
    let begun = Instant::now();
    for person in cast.everyone() {
        person.read(&cast.group, None).await?;
    }
    let read = until("read by 3 of 3", SOON, texts, async || {
        let receipts = cast.anna.receipts(message).await?;
        Ok((receipts.read_by.people == 3).then_some(receipts))
    });
    let (receipts, _) = read.await?;
    story.check("read_by.of", &3, &receipts.read_by.of)?;
    let mut names: Vec<&str> = receipts
        .people
        .iter()
        .map(|person| person.person.nickname.as_str())
        .collect();
    names.sort_unstable();
    story.check("readers", &vec!["alex", "bella", "boris"], &names)?;
    let shown: Vec<String> = receipts
        .people
        .iter()
        .map(|person| {
            let at = person
                .read_at
                .as_deref()
                .map(|at| clock(at, story.look()))
                .unwrap_or_default();
            let first_name = person.person.name.split(' ').next().unwrap_or_default();
            format!("{} {at}", line(first_name))
        })
        .collect();
    story.fact(
        &say!(texts, "demo-group-read", names = shown.join(", ")),
        Some(took(begun.elapsed(), texts)),
    )
}

/// Waits until a chat is in somebody's list.
async fn appears(person: &Person, chat: &str, story: &Story<'_>) -> Result<Chat, Failure> {
    let what = format!("chat list of {}", person.who.nickname);
    let found = until(&what, SOON, story.texts, async || {
        Ok(person
            .chats()
            .await?
            .items
            .into_iter()
            .find(|one| one.id == chat))
    });
    Ok(found.await?.0)
}

/// Waits until a message can be read by somebody.
async fn received(
    person: &Person,
    chat: &str,
    message: &str,
    story: &Story<'_>,
) -> Result<(Message, Duration), Failure> {
    let what = format!("message {} at {}", short_id(message), person.who.nickname);
    until(&what, SOON, story.texts, async || {
        let page = person.page(chat, None, super::cast::PAGE).await?;
        Ok(page.messages.into_iter().find(|one| one.id == message))
    })
    .await
}

/// Waits until an own message got that far.
pub async fn until_mark(
    author: &Person,
    message: &str,
    mark: Mark,
    story: &Story<'_>,
) -> Result<Duration, Failure> {
    let what = format!("message {}: {mark:?}", short_id(message));
    let reached = until(&what, SOON, story.texts, async || {
        let seen = author.message(message).await?.message.mark;
        Ok((seen >= Some(mark)).then_some(()))
    });
    Ok(reached.await?.1)
}

/// As Anna sees somebody of the other company.
pub fn external(person: &Person) -> crossport_node::api::types::Person {
    let mut who = person.who.clone();
    who.external = true;
    who
}
