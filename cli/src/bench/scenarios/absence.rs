//! A company that is away, or dies while it receives.

use super::{Plan, RUNS};
use crate::bench::ground::{Ground, IN_FLIGHT};
use crate::bench::load;
use crate::bench::machine::listens;
use crate::bench::receiver::{ARRIVES_WITHIN, Held, held};
use crate::bench::report::{Aim, Figure, Scenario};
use crate::errors::Failure;
use crate::stage::{Company, Person, until};
use crossport_node::api::types::Code;
use crossport_node::texts::Texts;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest wait for a node's port to open.
const LISTENS_WITHIN: Duration = Duration::from_secs(60);

/// Globex is stopped, misses messages, and starts again.
pub async fn catch_up(
    scenario: &mut Scenario,
    plan: &Plan,
    folder: &Path,
    texts: &'static Texts,
) -> Result<(), Failure> {
    let mut ground = Ground::open(folder, texts).await?;
    let (mut linked, mut all) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let there = ground.boris.chat(&ground.chat).await?.arrival;
        ground.globex.stop().await?;
        ground.acme.until_linked("Globex", false).await?;
        let numbers = ground.numbers(plan.missed);
        load::post(&ground.target()?, numbers.clone(), IN_FLIGHT).await?;
        let port = listening_port(&ground.globex, texts)?;
        let up = async {
            let what = format!("Globex listens on {port}");
            until(&what, LISTENS_WITHIN, texts, async || {
                Ok(listens(port).then_some(()))
            })
            .await?;
            let listening = Instant::now();
            ground.acme.until_linked("Globex", true).await?;
            Ok::<_, Failure>((listening, Instant::now()))
        };
        let (started, up) = tokio::join!(ground.globex.restart(), up);
        started?;
        let (listening, link) = up?;
        linked.push((link - listening).as_secs_f64());
        let end = arrived(
            &ground.boris,
            &ground.chat,
            there + u64::from(plan.missed),
            texts,
        )
        .await?;
        all.push((end - link).as_secs_f64());
        let found = held(&ground.boris, &ground.chat, numbers, texts).await?;
        complete(&found, texts)?;
        if run == RUNS {
            scenario.count("missed", f64::from(plan.missed));
        }
    }
    let link = Figure::new("catch_up.link_s", "s", linked).aim(Aim::AtMost(1.0));
    let all = Figure::new("catch_up.all_s", "s", all).aim(Aim::AtMost(1.0));
    scenario.figures.extend([link, all]);
    ground.close().await
}

/// Globex is killed while messages stream in, and started again.
pub async fn kill(
    scenario: &mut Scenario,
    plan: &Plan,
    folder: &Path,
    texts: &'static Texts,
) -> Result<(), Failure> {
    let mut ground = Ground::open(folder, texts).await?;
    let (mut lost, mut doubled) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let there = ground.boris.chat(&ground.chat).await?.arrival;
        let numbers = ground.numbers(plan.killed);
        let target = ground.target()?;
        // Another part of the stream in each run.
        let part =
            plan.killed * u32::try_from(run).unwrap_or(1) / (u32::try_from(RUNS).unwrap_or(1) + 1);
        let posting = load::post(&target, numbers.clone(), IN_FLIGHT);
        let dying = async {
            arrived(&ground.boris, &ground.chat, there + u64::from(part), texts).await?;
            ground.globex.kill().await?;
            ground.globex.restart().await.map(drop)
        };
        let (posted, died) = tokio::join!(posting, dying);
        posted.and(died)?;
        let found = settled(&ground, numbers, texts).await?;
        lost.push(f64::from(found.missing));
        doubled.push(f64::from(found.doubled));
    }
    scenario.count("messages", f64::from(plan.killed) * RUNS as f64);
    let lost = Figure::sum("kill.lost", "", lost).aim(Aim::AtMost(0.0));
    let doubled = Figure::sum("kill.doubled", "", doubled).aim(Aim::AtMost(0.0));
    scenario.figures.extend([lost, doubled]);
    ground.close().await
}

/// What is there once nothing is missing, or once waiting for it was long enough.
async fn settled(
    ground: &Ground,
    numbers: Range<u32>,
    texts: &'static Texts,
) -> Result<Held, Failure> {
    let begun = Instant::now();
    loop {
        let found = held(&ground.boris, &ground.chat, numbers.clone(), texts).await?;
        if found.missing == 0 || begun.elapsed() > ARRIVES_WITHIN {
            return Ok(found);
        }
    }
}

/// Waits until so many things arrived in a chat at a person's node.
pub async fn arrived(
    reader: &Person,
    chat: &str,
    count: u64,
    texts: &'static Texts,
) -> Result<Instant, Failure> {
    let what = format!("arrival {count} at {}", reader.who.nickname);
    until(&what, ARRIVES_WITHIN, texts, async || {
        Ok((reader.chat(chat).await?.arrival >= count).then_some(()))
    })
    .await?;
    Ok(Instant::now())
}

/// Speed does not count where something is missing.
pub fn complete(found: &Held, texts: &Texts) -> Result<(), Failure> {
    if *found == Held::default() {
        return Ok(());
    }
    Err(Failure::new(texts, Code::VerificationFailed, "messages").cause(format!("{found:?}")))
}

fn listening_port(company: &Company, texts: &Texts) -> Result<u16, Failure> {
    let setting = company
        .spec()
        .settings
        .iter()
        .find(|(key, _)| key == "listen_tcp");
    let port = setting.and_then(|(_, value)| value.rsplit_once(':')?.1.parse().ok());
    port.ok_or_else(|| Failure::new(texts, Code::Failed, "listen_tcp"))
}
