//! Messages while everything works: how many, how fast, and how soon the author knows that they were read.

use super::{Plan, RUNS};
use crate::bench::ground::{Ground, IN_FLIGHT, appears};
use crate::bench::load::{self, Connection, Target};
use crate::bench::receiver::{ARRIVES_WITHIN, Receiver};
use crate::bench::report::{Aim, Figure, Scenario, percentile};
use crate::client::{EventStream, query};
use crate::errors::Failure;
use crate::stage::{Person, late};
use crossport_node::api::types::{ChatKind, Code, Mark, ReceiptChange};
use crossport_node::texts::Texts;
use futures::future::try_join_all;
use hyper::Method;
use std::path::Path;
use std::time::{Duration, Instant};

/// Before the first run: connections are made, caches are warm, as on a node that has been up for a while.
const WARM_UP: u32 = 1_000;
/// 20 messages a second.
const PACE: Duration = Duration::from_millis(50);
/// Between two messages that a person reads: a node tells others at most once a second how far its people read.
const READING_PACE: Duration = Duration::from_millis(1_100);
/// People of each company in the group.
const GROUP_PEOPLE: usize = 5;

/// One author, one reader at the other company.
pub async fn throughput(
    scenario: &mut Scenario,
    plan: &Plan,
    folder: &Path,
    texts: &'static Texts,
) -> Result<(), Failure> {
    let mut ground = Ground::open(folder, texts).await?;
    ground.fill(WARM_UP).await?;
    let (mut rates, mut cpu, mut gaps) = (Vec::new(), Vec::new(), 0);
    for run in 1..=RUNS {
        let numbers = ground.numbers(plan.throughput);
        let target = ground.target()?;
        let mut receiver =
            Receiver::open(&ground.boris, &ground.chat, numbers.clone(), texts).await?;
        let before = ground.used().await?;
        let begun = Instant::now();
        let posting = load::post(&target, numbers, IN_FLIGHT);
        let (posted, last) = tokio::join!(posting, receiver.until_all());
        posted?;
        rates.push(f64::from(plan.throughput) / (last? - begun).as_secs_f64());
        gaps += receiver.gaps;
        let after = ground.used().await?;
        cpu.push(after.node_cpu_ms(&before, plan.throughput));
        if run == RUNS {
            after.count(&before, plan.throughput, scenario);
        }
    }
    scenario.count("feed_gaps", f64::from(gaps));
    let rate = Figure::new("throughput.messages_per_s", "1/s", rates);
    scenario.figures.push(rate.aim(Aim::AtLeast(10_000.0)));
    let cpu = Figure::new("throughput.cpu_ms_per_message", "ms", cpu);
    scenario.figures.push(cpu.aim(Aim::AtMost(0.2)));
    ground.close().await
}

/// One author in a group of ten; a message counts once all nine others have it.
pub async fn group(
    scenario: &mut Scenario,
    plan: &Plan,
    folder: &Path,
    texts: &'static Texts,
) -> Result<(), Failure> {
    let ground = Ground::open(folder, texts).await?;
    let mut people: Vec<Person> = Vec::new();
    let mut names: Vec<String> = vec!["boris@globex".to_owned()];
    for number in 2..=GROUP_PEOPLE {
        let nickname = format!("person{number}");
        people.push(ground.acme.person(&nickname).await?);
        people.push(ground.globex.person(&nickname).await?);
        names.extend([nickname.clone(), format!("{nickname}@globex")]);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let chat = ground
        .anna
        .new_chat(ChatKind::Group, Some("bench"), &names)
        .await?
        .id;
    let readers: Vec<&Person> = people.iter().chain([&ground.boris]).collect();
    for reader in &readers {
        appears(reader, &chat, texts).await?;
    }
    let target = Target::new(&ground.anna, &chat, texts)?;
    let (mut rates, mut next) = (Vec::new(), 0);
    for run in 0..=RUNS {
        // The first run only warms up.
        let count = if run == 0 { WARM_UP } else { plan.group };
        let numbers = next..next + count;
        next += count;
        let opening = readers
            .iter()
            .map(|reader| Receiver::open(reader, &chat, numbers.clone(), texts));
        let mut receivers = try_join_all(opening).await?;
        let before = ground.used().await?;
        let begun = Instant::now();
        let posting = load::post(&target, numbers, IN_FLIGHT);
        let receiving = try_join_all(receivers.iter_mut().map(Receiver::until_all));
        let (posted, received) = tokio::join!(posting, receiving);
        posted?;
        let last = received?.into_iter().max().unwrap_or(begun);
        if run > 0 {
            rates.push(f64::from(count) / (last - begun).as_secs_f64());
        }
        if run == RUNS {
            ground.used().await?.count(&before, count, scenario);
        }
    }
    let rate = Figure::new("group.messages_per_s", "1/s", rates);
    scenario.figures.push(rate.aim(Aim::AtLeast(3_000.0)));
    ground.close().await
}

/// One message every 50 ms, from the first byte posted to the event on the other company's feed.
pub async fn latency(
    scenario: &mut Scenario,
    plan: &Plan,
    folder: &Path,
    texts: &'static Texts,
) -> Result<(), Failure> {
    let mut ground = Ground::open(folder, texts).await?;
    ground.fill(WARM_UP).await?;
    let (mut p50, mut p99, mut acknowledged) = (Vec::new(), Vec::new(), Vec::new());
    let mut connection = Connection::open(&ground.target()?).await?;
    for _ in 0..RUNS {
        let numbers = ground.numbers(plan.latency);
        let mut receiver =
            Receiver::open(&ground.boris, &ground.chat, numbers.clone(), texts).await?;
        let (mut arrived, mut answered) = (Vec::new(), Vec::new());
        let mut pace = tokio::time::interval(PACE);
        for number in numbers {
            pace.tick().await;
            let (posted, came) = tokio::join!(connection.post(number), receiver.until(number));
            let (begun, answer) = posted?;
            arrived.push((came? - begun).as_secs_f64() * 1_000.0);
            answered.push((answer - begun).as_secs_f64() * 1_000.0);
        }
        p50.push(percentile(&arrived, 0.5));
        p99.push(percentile(&arrived, 0.99));
        acknowledged.push(percentile(&answered, 0.5));
    }
    let figures = [
        Figure::new("latency.p50_ms", "ms", p50).aim(Aim::AtMost(2.5)),
        Figure::new("latency.p99_ms", "ms", p99).aim(Aim::AtMost(12.0)),
        Figure::new("latency.acknowledged_p50_ms", "ms", acknowledged),
    ];
    scenario.figures.extend(figures);
    ground.close().await
}

/// From the reader's request to the author's feed saying "read": at a person's pace, and one after another without one.
pub async fn receipt(
    scenario: &mut Scenario,
    plan: &Plan,
    folder: &Path,
    texts: &'static Texts,
) -> Result<(), Failure> {
    let mut ground = Ground::open(folder, texts).await?;
    ground.fill(WARM_UP).await?;
    let path = format!("/v0/changes{}", query(&[("chat", Some(&ground.chat))]));
    let mut figures = Vec::new();
    let ways = [
        ("receipt.p50_ms", Some(READING_PACE), plan.receipts),
        ("receipt.in_a_row_p50_ms", None, plan.receipts / 2),
    ];
    for (name, pace, count) in ways {
        let mut p50 = Vec::new();
        for _ in 0..RUNS {
            let numbers = ground.numbers(count);
            let mut receiver =
                Receiver::open(&ground.boris, &ground.chat, numbers.clone(), texts).await?;
            let mut feed = ground.anna.client.stream(Method::GET, &path, None).await?;
            let mut took = Vec::new();
            for number in numbers {
                tokio::time::sleep(pace.unwrap_or_default()).await;
                took.push(one_receipt(&ground, &mut receiver, &mut feed, number).await?);
            }
            p50.push(percentile(&took, 0.5));
        }
        figures.push(Figure::new(name, "ms", p50));
    }
    scenario
        .figures
        .extend(figures.into_iter().map(|figure| match figure.name {
            "receipt.p50_ms" => figure.aim(Aim::AtMost(5.0)),
            _ => figure,
        }));
    ground.close().await
}

/// Milliseconds from Boris's request to Anna's event.
async fn one_receipt(
    ground: &Ground,
    receiver: &mut Receiver<'_>,
    feed: &mut EventStream,
    number: u32,
) -> Result<f64, Failure> {
    let width = load::NUMBER_DIGITS;
    let sent = ground
        .anna
        .send(&ground.chat, &format!("{number:0width$} read me"))
        .await?;
    receiver.until(number).await?;
    let begun = Instant::now();
    let reading = ground.boris.read(&ground.chat, Some(&sent.id));
    let (read, seen) = tokio::join!(reading, read_event(feed, &sent.id, ground.texts));
    read?;
    Ok((seen? - begun).as_secs_f64() * 1_000.0)
}

/// Waits for the event that says that this message was read.
async fn read_event(
    feed: &mut EventStream,
    message: &str,
    texts: &Texts,
) -> Result<Instant, Failure> {
    let waiting = async {
        loop {
            let event = feed.next().await?;
            let event =
                event.ok_or_else(|| Failure::new(texts, Code::NodeUnreachable, "/v0/changes"))?;
            if event.name == "receipt"
                && let Ok(change) = serde_json::from_str::<ReceiptChange>(&event.data)
                && change.message == message
                && change.mark == Mark::Read
            {
                return Ok(Instant::now());
            }
        }
    };
    let waited = tokio::time::timeout(ARRIVES_WITHIN, waiting).await;
    waited.unwrap_or_else(|_| Err(late("receipt", ARRIVES_WITHIN, texts)))
}
