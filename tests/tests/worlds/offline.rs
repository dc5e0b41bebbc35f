//! After an absence: everything that was missed arrives, by itself, and hardly anything else does.
//!
//! Three shapes of absence: a member's node is off, the owner's node is off while the members talk, and a link is cut
//! while both sides write. Each prints what was missed, how many bytes of frames crossed the links and how long it took.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use crossport_node::api::facade::{Caller, UseCases};
use crossport_node::api::types::{ChatKind, MessagePageQuery};
use crossport_protocol::clock::Clock;
use crossport_protocol::envelope::{self, DraftEvent, Place};
use crossport_protocol::event::{Event, Message as Content};
use crossport_protocol::frame::EnvelopeItem;
use crossport_protocol::ids::{ChatId, CompanyId, Handle, Head, Position, StreamId};
use crossport_protocol::seal::EpochKey;
use crossport_protocol::sim::random::Seeded;
use crossport_protocol::suite::{SecretKey, Suite};
use crossport_tests::world::{Company, eventually, pair};
use futures::{StreamExt, TryStreamExt, stream};

/// Posts under way at a time.
const IN_FLIGHT: usize = 64;
/// What a catch-up may cost for each missed byte.
const MOST_BYTES: f64 = 1.3;
/// Statements come at most every 200 ms.
const QUIET: Duration = Duration::from_millis(600);
/// Five thousand messages on a busy machine and an unoptimised build.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(180);
/// Like a message that people write.
const WORDS: &str = "we could meet on thursday at four, if the samples from the new supplier have arrived by then; \
                     otherwise the tuesday after, and I bring the figures that you asked for";

fn outages() -> Vec<Duration> {
    if std::env::var_os("CROSSPORT_LONG").is_some_and(|value| value == "1") {
        vec![Duration::from_secs(30), Duration::from_secs(240)]
    } else {
        vec![Duration::from_secs(1)]
    }
}

/// Who takes part: a company and its person.
type Side<'a> = (&'a Company, Caller);

/// Posts while somebody is away, and makes the absence last.
async fn write(
    chat: &str,
    sides: &[Side<'_>],
    each: usize,
    outage: Duration,
    round: &str,
) -> Result<()> {
    let began = Instant::now();
    let posts = (0..each).flat_map(|number| sides.iter().map(move |side| (number, side)));
    stream::iter(posts)
        .map(|(number, (company, person))| async move {
            let text = format!("{round} {} {number}: {WORDS}", company.name);
            company.post(*person, chat, &text).await
        })
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    tokio::time::sleep(outage.saturating_sub(began.elapsed())).await;
    Ok(())
}

/// Every message of a chat, oldest first: its id and what it says.
type Everything = Vec<(String, Option<String>)>;

async fn everything(company: &Company, person: Caller, chat: &str) -> Result<Everything> {
    let mut pages = Vec::new();
    let mut before = None;
    loop {
        let limit = Some(200);
        let query = MessagePageQuery {
            before,
            limit,
            ..MessagePageQuery::default()
        };
        let page = company
            .node()
            .messages(person, chat.to_owned(), query)
            .await?;
        pages.push(
            page.messages
                .into_iter()
                .map(|message| (message.id, message.text))
                .collect::<Vec<_>>(),
        );
        before = page.older;
        if before.is_none() {
            break;
        }
    }
    pages.reverse();
    Ok(pages.concat())
}

/// Bytes of frames that nodes have sent since they started, once they have nothing more to say: later than the interval
/// of delivery statements, which are part of the bill.
async fn sent(sides: &[Side<'_>]) -> u64 {
    let count = || -> u64 {
        let sides = sides.iter();
        sides
            .map(|(company, _)| company.node().network().counters().bytes_sent)
            .sum()
    };
    loop {
        let before = count();
        tokio::time::sleep(QUIET).await;
        // A ping is a few bytes and no part of what there is to say.
        if count() - before < 100 {
            return before;
        }
    }
}

/// Waits until all sides have all messages, without writing anything, and returns how long it took.
async fn caught_up(chat: &str, sides: &[Side<'_>], messages: usize) -> Result<Duration> {
    let began = Instant::now();
    loop {
        let mut counts = Vec::new();
        for (company, person) in sides {
            let row = company
                .chats(*person)
                .await?
                .into_iter()
                .find(|row| row.id == chat);
            counts.push(row.context("the chat is there")?.arrival);
        }
        if counts.iter().all(|count| *count >= messages as u64) {
            break;
        }
        ensure!(
            began.elapsed() < CAUGHT_UP_WITHIN,
            "after {CAUGHT_UP_WITHIN:?} the sides have {counts:?} of {messages} messages"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = began.elapsed();
    eventually("all sides show the same", || async {
        let mut states = Vec::new();
        for (company, person) in sides {
            states.push(everything(company, *person, chat).await?);
        }
        let same = states.windows(2).all(|pair| pair[0] == pair[1]);
        let texts = states.first().map_or(0, |all| {
            all.iter().filter(|(_, text)| text.is_some()).count()
        });
        ensure!(
            !same || texts == messages,
            "all show the same {texts} texts instead of {messages}"
        );
        Ok(same)
    })
    .await?;
    Ok(took)
}

/// One round of an absence.
struct Round<'a> {
    name: &'a str,
    outage: Duration,
    /// What the texts of the round begin with.
    mark: &'a str,
    messages: usize,
    /// To how many nodes each message had to go.
    copies: u64,
    /// What each missed byte may cost.
    most: f64,
}

impl Round<'_> {
    /// Holds what crossed the links against what was missed.
    fn settle(&self, crossed: u64, took: Duration, all: &Everything) -> Result<()> {
        let (messages, missed) = missed_bytes(all, self.mark);
        ensure!(
            messages == self.messages,
            "{messages} messages of this round instead of {}",
            self.messages
        );
        let missed = missed * self.copies;
        let ratio = crossed as f64 / missed as f64;
        println!(
            "offline: {}, away for {:.0} s: {messages} messages missed, {missed} bytes; {crossed} bytes crossed the links \
             ({ratio:.3}); all there after {:.2} s",
            self.name,
            self.outage.as_secs_f64(),
            took.as_secs_f64()
        );
        ensure!(
            ratio <= self.most,
            "{}: {ratio:.3} bytes for each that was missed, more than {}",
            self.name,
            self.most
        );
        // Nothing crosses in fewer bytes than it has: then the bill is wrong, not good.
        ensure!(
            ratio >= 1.0,
            "{}: {crossed} bytes cannot carry {missed}",
            self.name
        );
        Ok(())
    }
}

/// How many messages a round has, and the bytes of their envelopes on the wire. A message id names its envelope, so it is
/// known which share one; the envelopes are made a second time here, and only their length is used.
fn missed_bytes(all: &Everything, mark: &str) -> (usize, u64) {
    let mut envelopes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, text) in all {
        if let (Some((envelope, _)), Some(text)) = (id.split_once('.'), text)
            && text.starts_with(mark)
        {
            envelopes.entry(envelope).or_default().push(text);
        }
    }
    let bytes = envelopes
        .values()
        .map(|texts| wire_bytes(texts) as u64)
        .sum();
    (envelopes.values().map(Vec::len).sum(), bytes)
}

fn wire_bytes(texts: &[&str]) -> usize {
    let node = SecretKey::from_bytes([1; 32]);
    let place = Place {
        chat: ChatId::ZERO,
        stream: StreamId {
            company: CompanyId::ZERO,
            node: node.public(Suite::KeyedHash),
            incarnation: 1,
        },
        after: Head::START,
        owner_at: Position::START,
        identity_at: Position::START,
        epoch: 1,
    };
    let drafts: Vec<DraftEvent> = (1..)
        .zip(texts)
        .map(|(clock, text)| {
            let event = Event::Message(Content::text(*text));
            DraftEvent {
                clock: Clock(clock),
                kind: event.kind(),
                actor: Handle::ZERO,
                plain: event.encode(),
            }
        })
        .collect();
    let key = EpochKey::from_bytes([2; 32]);
    let mut random = Seeded::new(3);
    let made = envelope::author(Suite::KeyedHash, &node, &key, place, &drafts, &mut random);
    EnvelopeItem::whole(made.sealed).wire_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_with_both_sides_writing_heals() -> Result<()> {
    let (mut acme, mut globex) = (
        Company::start("Acme").await?,
        Company::start("Globex").await?,
    );
    pair(&acme, &globex).await?;
    let (anna, boris) = (acme.person("anna").await?, globex.person("boris").await?);
    let chat = acme
        .chat(anna, ChatKind::Group, "Cut", &["boris@globex"])
        .await?
        .id;
    eventually("Boris is in the chat", || async {
        Ok(!globex.chats(boris).await?.is_empty())
    })
    .await?;
    let mut messages = 0;
    for (round, outage) in outages().into_iter().enumerate() {
        let sides = [(&acme, anna), (&globex, boris)];
        acme.pause("Globex").await?;
        eventually("the link is down", || async {
            Ok(!acme.is_linked("Globex").await? && !globex.is_linked("Acme").await?)
        })
        .await?;
        let mark = format!("cut {round}");
        write(&chat, &sides, 2_500, outage, &mark).await?;
        messages += 5_000;
        let before = sent(&sides).await;
        acme.resume("Globex").await?;
        let took = caught_up(&chat, &sides, messages).await?;
        let crossed = sent(&sides).await - before;
        let round = Round {
            name: "a cut link, both sides wrote",
            outage,
            mark: &mark,
            messages: 5_000,
            copies: 1,
            most: MOST_BYTES,
        };
        round.settle(crossed, took, &everything(&globex, boris, &chat).await?)?;
    }
    acme.down().await?;
    globex.down().await
}

/// Three companies with a chat of Acme's, and their people.
struct Three {
    acme: Company,
    globex: Company,
    initech: Company,
    people: [Caller; 3],
    chat: String,
    messages: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Away {
    Owner,
    Member,
}

impl Three {
    async fn start(all_linked: bool) -> Result<Three> {
        let acme = Company::start("Acme").await?;
        let (globex, initech) = (
            Company::start("Globex").await?,
            Company::start("Initech").await?,
        );
        pair(&acme, &globex).await?;
        pair(&acme, &initech).await?;
        if all_linked {
            pair(&globex, &initech).await?;
        }
        let (anna, boris, clara) = (
            acme.person("anna").await?,
            globex.person("boris").await?,
            initech.person("clara").await?,
        );
        let invited = ["boris@globex", "clara@initech"];
        let chat = acme.chat(anna, ChatKind::Group, "Three", &invited).await?;
        eventually("both joined", || async {
            Ok(!globex.chats(boris).await?.is_empty() && !initech.chats(clara).await?.is_empty())
        })
        .await?;
        Ok(Three {
            acme,
            globex,
            initech,
            people: [anna, boris, clara],
            chat: chat.id,
            messages: 0,
        })
    }

    fn sides(&self) -> [Side<'_>; 3] {
        let [anna, boris, clara] = self.people;
        [
            (&self.acme, anna),
            (&self.globex, boris),
            (&self.initech, clara),
        ]
    }

    /// One node is off while the people of the two others write; nobody writes once it is back.
    async fn absence(
        &mut self,
        away: Away,
        outage: Duration,
        mark: &str,
        name: &str,
    ) -> Result<()> {
        let each = 500;
        let node = match away {
            Away::Owner => &mut self.acme,
            Away::Member => &mut self.globex,
        };
        node.down().await?;
        let [acme, globex, initech] = self.sides();
        let writing = match away {
            Away::Owner => [globex, initech],
            Away::Member => [acme, initech],
        };
        write(&self.chat, &writing, each, outage, mark).await?;
        if away == Away::Member {
            // What the two said to each other is no part of the bill.
            caught_up(&self.chat, &writing, self.messages + 2 * each).await?;
        }
        let before = sent(&writing).await;
        let node = match away {
            Away::Owner => &mut self.acme,
            Away::Member => &mut self.globex,
        };
        node.up().await?;
        self.messages += 2 * each;
        let took = caught_up(&self.chat, &self.sides(), self.messages).await?;
        let crossed = sent(&self.sides()).await - before;
        let round = Round {
            name,
            outage,
            mark,
            messages: 2 * each,
            // The owner lacked all of it, and each of the two lacked what the other wrote.
            copies: if away == Away::Owner { 2 } else { 1 },
            most: MOST_BYTES,
        };
        let (acme, anna) = self.sides()[0];
        round.settle(crossed, took, &everything(acme, anna, &self.chat).await?)
    }

    async fn end(mut self) -> Result<()> {
        self.acme.down().await?;
        self.globex.down().await?;
        self.initech.down().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_member_and_an_absent_owner_get_what_they_missed() -> Result<()> {
    let mut three = Three::start(false).await?;
    for (round, outage) in outages().into_iter().enumerate() {
        for (away, name) in [
            (Away::Member, "a member away"),
            (Away::Owner, "the owner away"),
        ] {
            let mark = format!("{name} {round}");
            three.absence(away, outage, &mark, name).await?;
        }
    }
    three.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn among_linked_companies_the_absent_one_gets_everything_too() -> Result<()> {
    let mut three = Three::start(true).await?;
    for (round, outage) in outages().into_iter().enumerate() {
        let name = "a member away, all linked";
        let mark = format!("{name} {round}");
        three.absence(Away::Member, outage, &mark, name).await?;
    }
    three.end().await
}
