//! The act for which this program exists: one company is gone, the other writes on, and everything is there afterwards.

use super::cast::Cast;
use super::story::{Story, took};
use super::talk::{SOON, same_for_all, until_mark};
use crate::errors::Failure;
use crate::output::clock;
use crate::stage::until;
use crossport_node::api::types::{Code, Mark, MessageKind};
use crossport_node::say;
use std::collections::BTreeSet;
use std::time::Instant;

/// Messages that Globex misses: enough that "all of them" says something, few enough to be read.
const MISSED: usize = 25;
/// Messages of the group before this act.
const BEFORE: usize = 4;

/// What was written while Globex was gone.
#[derive(Debug)]
pub struct Missed {
    /// Ids, in the order in which they were written.
    pub ids: Vec<String>,
    recalled: String,
}

/// Globex is killed, Acme writes on.
pub async fn gone(story: &mut Story<'_>, cast: &mut Cast) -> Result<Missed, Failure> {
    let texts = story.texts;
    story.act(say!(texts, "demo-act-gone"))?;
    for person in cast.everyone() {
        person.read(&cast.group, None).await?;
    }
    let process = cast.globex.node()?.pid().to_string();
    cast.globex.kill().await?;
    let (_, noticed) = cast.acme.until_linked("Globex", false).await?;
    story.check(
        "Globex: connected",
        &false,
        &cast.acme.partner("Globex").await?.connected,
    )?;
    story.fact(
        &say!(texts, "demo-killed", process = process),
        Some(took(noticed, texts)),
    )?;
    let missed = write_on(story, cast).await?;
    undelivered(story, cast, &missed).await?;
    let recalled = recall(story, cast).await?;
    Ok(Missed {
        ids: missed,
        recalled,
    })
}

async fn write_on(story: &mut Story<'_>, cast: &mut Cast) -> Result<Vec<String>, Failure> {
    let texts = story.texts;
    let mut ids = Vec::new();
    let first = say!(texts, "demo-line-away");
    story.says(&cast.anna.who, &first)?;
    let begun = Instant::now();
    for number in 1..=MISSED {
        let text = if number == 1 {
            first.clone()
        } else {
            say!(texts, "demo-line-away-more", number = number)
        };
        let author = cast.author_of_missed(ids.len());
        let sent = author.send(&cast.group, &text).await?;
        story.check(
            "mark while Globex is gone",
            &Some(Mark::StoredHere),
            &sent.mark,
        )?;
        ids.push(sent.id);
        cast.said.push(text);
    }
    let fact = say!(texts, "demo-wrote-on", count = MISSED);
    story.fact(&fact, Some(took(begun.elapsed(), texts)))?;
    Ok(ids)
}

async fn undelivered(story: &mut Story<'_>, cast: &Cast, missed: &[String]) -> Result<(), Failure> {
    let texts = story.texts;
    let mut since = None;
    for (number, id) in missed.iter().enumerate() {
        let receipts = cast.author_of_missed(number).receipts(id).await?;
        let globex = receipts
            .companies
            .iter()
            .find(|receipt| receipt.company.name == "Globex");
        let lacks = globex.and_then(|receipt| receipt.not_delivered_since.clone());
        story.holds("not_delivered_since", lacks.is_some(), &receipts)?;
        let statement = globex.and_then(|receipt| receipt.statement.clone());
        story.check("statement of Globex", &None, &statement)?;
        since = since.or(lacks);
    }
    let partner = cast.acme.partner("Globex").await?;
    story.holds(
        "partner: not_delivered_since",
        partner.not_delivered_since.is_some(),
        &partner,
    )?;
    let time = clock(&since.unwrap_or_default(), story.look());
    story.fact(&say!(texts, "demo-not-delivered", time = time), None)
}

/// What provably has not left can be taken back; what left cannot.
async fn recall(story: &mut Story<'_>, cast: &mut Cast) -> Result<String, Failure> {
    let texts = story.texts;
    let text = say!(texts, "demo-line-recalled");
    story.says(&cast.anna.who, &text)?;
    let sent = cast.anna.send(&cast.direct, &text).await?;
    let recalled = cast.anna.recall(&sent.id).await?;
    story.check("kind after recall", &MessageKind::Recalled, &recalled.kind)?;
    story.check("text after recall", &None, &recalled.text)?;
    let read_back = cast.anna.message(&sent.id).await?;
    story.check("revisions after recall", &0, &read_back.revisions.len())?;
    story.fact(&say!(texts, "demo-recalled"), None)?;
    let delivered = Cast::texts(&cast.anna, &cast.group)
        .await?
        .into_iter()
        .next();
    let (delivered, _) = delivered.unwrap_or_default();
    let refused = cast.anna.recall(&delivered).await;
    story.refused("recall of what was delivered", Code::RecallTooLate, refused)?;
    story.fact(&say!(texts, "demo-recall-refused"), None)?;
    cast.said.push(text);
    Ok(sent.id)
}

/// Globex starts again and nobody writes.
pub async fn back(story: &mut Story<'_>, cast: &mut Cast, missed: &Missed) -> Result<(), Failure> {
    let texts = story.texts;
    story.act(say!(texts, "demo-act-back"))?;
    let before = cast.anna.chat(&cast.group).await?.arrival;
    let ready = cast.globex.restart().await?.ready_after;
    let begun = Instant::now();
    story.check("Globex: ready", &true, &cast.globex.node()?.status.ready)?;
    story.fact(&say!(texts, "demo-restarted"), Some(took(ready, texts)))?;
    let wanted: BTreeSet<&String> = missed.ids.iter().collect();
    let caught_up = until("everything at Globex", SOON, texts, async || {
        let there = Cast::texts(&cast.boris, &cast.group).await?;
        let there: BTreeSet<&String> = there.iter().map(|(id, _)| id).collect();
        Ok(wanted.is_subset(&there).then_some(()))
    });
    caught_up.await?;
    let all_there = begun.elapsed();
    same_for_all(story, cast, BEFORE + MISSED).await?;
    let fact = say!(texts, "demo-caught-up", count = MISSED);
    story.fact(&fact, Some(took(all_there, texts)))?;
    let after = cast.anna.chat(&cast.group).await?.arrival;
    story.check("messages at Acme", &before, &after)?;
    let unread = cast.boris.chat(&cast.group).await?.unread;
    story.check(
        "unread at Boris",
        &u32::try_from(MISSED).unwrap_or_default(),
        &unread,
    )?;
    story.fact(&say!(texts, "demo-nobody-wrote", count = unread), None)?;
    recall_held(story, cast, missed).await?;
    marks_turned(story, cast, missed, begun).await
}

/// The recalled text never came to Globex.
async fn recall_held(story: &mut Story<'_>, cast: &Cast, missed: &Missed) -> Result<(), Failure> {
    let texts = story.texts;
    let text = say!(texts, "demo-line-recalled");
    let page = cast
        .boris
        .page(&cast.direct, None, super::cast::PAGE)
        .await?;
    let shown = page
        .messages
        .iter()
        .any(|message| message.text.as_deref() == Some(&text));
    story.check("recalled text at Boris", &false, &shown)?;
    let same = page
        .messages
        .iter()
        .find(|message| message.id == missed.recalled);
    let kind = same.map(|message| message.kind);
    story.check(
        "recalled message at Boris",
        &Some(MessageKind::Deleted),
        &kind,
    )?;
    let revisions = cast.boris.message(&missed.recalled).await?.revisions.len();
    story.check("recalled message at Boris: revisions", &0, &revisions)?;
    story.fact(&say!(texts, "demo-recall-held"), None)
}

async fn marks_turned(
    story: &mut Story<'_>,
    cast: &Cast,
    missed: &Missed,
    begun: Instant,
) -> Result<(), Failure> {
    let texts = story.texts;
    for (number, id) in missed.ids.iter().enumerate() {
        let author = if number % 3 == 1 {
            &cast.alex
        } else {
            &cast.anna
        };
        until_mark(author, id, Mark::StoredEverywhere, story).await?;
        let mark = author.message(id).await?.message.mark;
        story.check(
            "mark after the return",
            &Some(Mark::StoredEverywhere),
            &mark,
        )?;
    }
    let partner = cast.acme.partner("Globex").await?;
    story.check(
        "partner: not_delivered_since",
        &None,
        &partner.not_delivered_since,
    )?;
    story.fact(
        &say!(texts, "demo-marks-turned", count = missed.ids.len()),
        Some(took(begun.elapsed(), texts)),
    )
}
