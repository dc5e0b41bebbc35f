//! The scenarios, each on two new companies of its own.
//!
//! Each measures [`RUNS`] times and gives its figures with their aims. It must not know how figures are shown. Aims are
//! those of the project for two cores that carry both nodes and this program.

mod absence;
mod flow;
mod history;
mod size;

use super::report::Scenario;
use crate::context::Context;
use crate::errors::Failure;
use serde::Serialize;
use std::path::Path;

/// Runs of which a figure is the median.
pub const RUNS: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    Throughput,
    Group,
    Latency,
    Receipt,
    CatchUp,
    Kill,
    Join,
    Idle,
    Size,
}

impl Name {
    pub const ALL: [Self; 9] = [
        Self::Throughput,
        Self::Group,
        Self::Latency,
        Self::Receipt,
        Self::CatchUp,
        Self::Kill,
        Self::Join,
        Self::Idle,
        Self::Size,
    ];

    /// As it is typed.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Group => "group",
            Self::Latency => "latency",
            Self::Receipt => "receipt",
            Self::CatchUp => "catch-up",
            Self::Kill => "kill",
            Self::Join => "join",
            Self::Idle => "idle",
            Self::Size => "size",
        }
    }
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub throughput: u32,
    pub group: u32,
    pub latency: u32,
    pub receipts: u32,
    pub missed: u32,
    pub killed: u32,
    pub history: u32,
    pub size: u32,
    /// The amounts for which the aims were set.
    pub full: bool,
}

impl Plan {
    /// Some three minutes on two idle cores.
    pub const QUICK: Self = Self {
        throughput: 10_000,
        group: 3_000,
        latency: 100,
        receipts: 10,
        missed: 5_000,
        killed: 5_000,
        history: 10_000,
        size: 50_000,
        full: false,
    };
    /// The amounts of the aims.
    pub const FULL: Self = Self {
        throughput: 50_000,
        group: 10_000,
        latency: 400,
        receipts: 30,
        missed: 5_000,
        killed: 20_000,
        history: 10_000,
        size: 1_000_000,
        full: true,
    };
}

/// Runs one scenario in a folder of its own.
pub async fn run(
    name: Name,
    plan: &Plan,
    folder: &Path,
    context: &mut Context,
) -> Result<Scenario, Failure> {
    let mut scenario = Scenario::new(name.text());
    let texts = context.texts;
    match name {
        Name::Throughput => flow::throughput(&mut scenario, plan, folder, texts).await?,
        Name::Group => flow::group(&mut scenario, plan, folder, texts).await?,
        Name::Latency => flow::latency(&mut scenario, plan, folder, texts).await?,
        Name::Receipt => flow::receipt(&mut scenario, plan, folder, texts).await?,
        Name::CatchUp => absence::catch_up(&mut scenario, plan, folder, texts).await?,
        Name::Kill => absence::kill(&mut scenario, plan, folder, texts).await?,
        Name::Join => history::join(&mut scenario, plan, folder, texts).await?,
        Name::Idle => size::idle(&mut scenario, folder, texts).await?,
        Name::Size => size::size(&mut scenario, plan, folder, context).await?,
    }
    Ok(scenario)
}
