//! What a node occupies, empty and with many messages, and what it takes to start with them.

use super::{Plan, RUNS};
use crate::bench::ground::{Ground, arrives, companies};
use crate::bench::machine::{disk_of, memory_of};
use crate::bench::report::{Aim, Figure, Scenario};
use crate::context::Context;
use crate::errors::Failure;
use crate::stage::{Company, pair};
use crossport_node::texts::Texts;
use std::path::Path;
use std::time::{Duration, Instant};

const MIB: f64 = 1_048_576.0;
/// Idle means: this long after the last thing happened.
const IDLE_AFTER: Duration = Duration::from_secs(2);
/// Messages written between two signs of life.
const FILL_STEP: u32 = 50_000;
/// Messages between the last stop and a kill: more than the node gathers before it writes its index.
const UNWRITTEN: u32 = 10_000;
/// Pages that are read, from the newest back.
const PAGES: u32 = 100;

/// Two paired nodes without a message.
pub async fn idle(
    scenario: &mut Scenario,
    folder: &Path,
    texts: &'static Texts,
) -> Result<(), Failure> {
    let (mut acme, mut globex) = companies(folder, texts).await?;
    pair(&acme, &globex).await?;
    let (mut memory, mut ready) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        acme.stop().await?;
        ready.push(acme.restart().await?.ready_after.as_secs_f64());
        acme.until_linked("Globex", true).await?;
        tokio::time::sleep(IDLE_AFTER).await;
        memory.push(memory_mib(&acme, &globex, texts)?);
    }
    let memory = Figure::new("idle.memory_mib", "MiB", memory).aim(Aim::AtMost(30.0));
    let ready = Figure::new("idle.start_s", "s", ready).aim(Aim::AtMost(0.2));
    scenario.figures.extend([memory, ready]);
    acme.stop().await.and(globex.stop().await)
}

/// Two nodes that share one chat with many messages.
pub async fn size(
    scenario: &mut Scenario,
    plan: &Plan,
    folder: &Path,
    context: &mut Context,
) -> Result<(), Failure> {
    let texts = context.texts;
    let mut ground = Ground::open(folder, texts).await?;
    fill(&mut ground, scenario, plan.size, context).await?;
    tokio::time::sleep(IDLE_AFTER).await;
    let memory = Figure::new(
        "size.memory_mib",
        "MiB",
        vec![memory_mib(&ground.acme, &ground.globex, texts)?],
    );
    let tens = f64::from(plan.size) / 10_000.0;
    let mut disk: f64 = 0.0;
    for company in [&ground.acme, &ground.globex] {
        let each = disk_of(&company.spec().folder, texts)? as f64 / MIB / tens;
        scenario.count(
            format!("{}.disk_mib_per_10k", company.name.to_lowercase()),
            each,
        );
        // The author's node keeps more than the reader's; the larger counts.
        disk = disk.max(each);
    }
    let disk = Figure::new("size.disk_mib_per_10k", "MiB", vec![disk]);
    let page = Figure::new("size.page_ms", "ms", pages(&ground).await?);
    let (mut ready, mut fresh) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ground.acme.stop().await?;
        ready.push(ground.acme.restart().await?.ready_after.as_secs_f64());
        tokio::time::sleep(IDLE_AFTER).await;
        fresh.push(memory_of(ground.acme.node()?.pid(), texts)? as f64 / MIB);
    }
    let mut killed = Vec::new();
    for _ in 0..RUNS {
        killed.push(after_kill(&mut ground, texts).await?);
    }
    let killed = Figure::new("size.killed_start_s", "s", killed);
    let rebuild = ground.acme.rebuild().await?;
    scenario.count("rebuild.records", rebuild.records as f64);
    let rebuild = Figure::new(
        "size.rebuild_s",
        "s",
        vec![rebuild.took_ms as f64 / 1_000.0],
    );
    let figures = [
        memory.aim_if(plan.full, Aim::AtMost(150.0)),
        Figure::new("size.memory_restarted_mib", "MiB", fresh),
        disk.aim_if(plan.full, Aim::AtMost(6.5)),
        page.aim_if(plan.full, Aim::AtMost(5.0)),
        Figure::new("size.start_s", "s", ready).aim_if(plan.full, Aim::AtMost(2.0)),
        killed.aim_if(plan.full, Aim::AtMost(5.0)),
        rebuild.aim_if(plan.full, Aim::AtMost(60.0)),
    ];
    scenario.figures.extend(figures);
    ground.close().await
}

async fn fill(
    ground: &mut Ground,
    scenario: &mut Scenario,
    messages: u32,
    context: &mut Context,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut written = 0;
    while written < messages {
        let step = FILL_STEP.min(messages - written);
        ground.fill(step).await?;
        written += step;
        let values = [("written", written.into()), ("of", messages.into())];
        context.output.hint("bench-filling", &values);
    }
    scenario.count("messages", f64::from(messages));
    let rate = f64::from(messages) / begun.elapsed().as_secs_f64();
    scenario.count("fill_messages_per_s", rate);
    Ok(())
}

/// Seconds from the start of a killed node until it has shown the newest page, and a message each way has arrived.
async fn after_kill(ground: &mut Ground, texts: &'static Texts) -> Result<f64, Failure> {
    ground.fill(UNWRITTEN).await?;
    ground.acme.kill().await?;
    let begun = Instant::now();
    ground.acme.restart().await?;
    ground.anna.page(&ground.chat, None, 50).await?;
    ground.fill(1).await?;
    let answer = ground.boris.send(&ground.chat, "here too").await?;
    arrives(&ground.anna, &ground.chat, &answer.id, texts).await?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Milliseconds of each page of 50, walking back from the newest.
async fn pages(ground: &Ground) -> Result<Vec<f64>, Failure> {
    let (mut took, mut before) = (Vec::new(), None);
    for _ in 0..PAGES {
        let begun = Instant::now();
        let page = ground
            .anna
            .page(&ground.chat, before.as_deref(), 50)
            .await?;
        took.push(begun.elapsed().as_secs_f64() * 1_000.0);
        before = page.older;
        if before.is_none() {
            break;
        }
    }
    Ok(took)
}

/// Of the larger of both nodes.
fn memory_mib(acme: &Company, globex: &Company, texts: &Texts) -> Result<f64, Failure> {
    let one = memory_of(acme.node()?.pid(), texts)?;
    let other = memory_of(globex.node()?.pid(), texts)?;
    Ok(one.max(other) as f64 / MIB)
}
