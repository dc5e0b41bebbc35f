//! A company that joins a chat with a long history.

use super::absence::{arrived, complete};
use super::{Plan, RUNS};
use crate::bench::ground::{Ground, IN_FLIGHT, appears};
use crate::bench::load::{self, Target};
use crate::bench::receiver::{ARRIVES_WITHIN, held, newest};
use crate::bench::report::{Aim, Figure, Scenario};
use crate::errors::Failure;
use crate::stage::until;
use crossport_node::api::types::{ChatKind, Code};
use crossport_node::texts::Texts;
use std::path::Path;
use std::time::Instant;

/// From the invitation to the newest page, and to all of it.
pub async fn join(
    scenario: &mut Scenario,
    plan: &Plan,
    folder: &Path,
    texts: &'static Texts,
) -> Result<(), Failure> {
    let ground = Ground::open(folder, texts).await?;
    ground.acme.person("alex").await?;
    let (mut first, mut all) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let title = format!("history {run}");
        let chat = ground
            .anna
            .new_chat(ChatKind::Group, Some(&title), &["alex"])
            .await?
            .id;
        let target = Target::new(&ground.anna, &chat, texts)?;
        load::post(&target, 0..plan.history, IN_FLIGHT).await?;
        let begun = Instant::now();
        ground.anna.add_members(&chat, &["boris@globex"]).await?;
        appears(&ground.boris, &chat, texts).await?;
        until("newest page at Boris", ARRIVES_WITHIN, texts, async || {
            match newest(&ground.boris, &chat, texts).await {
                Ok(number) => Ok((number == Some(plan.history - 1)).then_some(())),
                // The chat may be listed a moment before it can be read.
                Err(failure) if failure.code() == Some(Code::ChatNotFound) => Ok(None),
                Err(failure) => Err(failure),
            }
        })
        .await?;
        first.push(begun.elapsed().as_secs_f64());
        let end = arrived(&ground.boris, &chat, u64::from(plan.history), texts).await?;
        let found = held(&ground.boris, &chat, 0..plan.history, texts).await?;
        if found.missing > 0 {
            // Arrivals count joins too: wait for the rest, and count the waiting.
            until(
                "the whole history at Boris",
                ARRIVES_WITHIN,
                texts,
                async || {
                    let found = held(&ground.boris, &chat, 0..plan.history, texts).await?;
                    Ok((found.missing == 0).then_some(()))
                },
            )
            .await?;
            all.push(begun.elapsed().as_secs_f64());
        } else {
            all.push((end - begun).as_secs_f64());
        }
        complete(
            &held(&ground.boris, &chat, 0..plan.history, texts).await?,
            texts,
        )?;
    }
    scenario.count("history", f64::from(plan.history));
    let newest = Figure::new("join.newest_page_s", "s", first).aim(Aim::AtMost(0.3));
    let all = Figure::new("join.all_s", "s", all).aim(Aim::AtMost(1.0));
    scenario.figures.extend([newest, all]);
    ground.close().await
}
