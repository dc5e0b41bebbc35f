//! A node under siege: Acme in a process of its own with a bounded memory, an honest partner who measures, and a storm.
//!
//! Owns the child process, the measuring and the judgement. What is measured is what an honest partner waits: Boris says
//! something, Anna's echo comes back, which is two messages through Acme, each durable before it is shown. Memory is the
//! child's peak of resident memory, as the kernel counts it, and its address space is limited so that growth without bound
//! ends it. It must not know what a storm consists of.

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use crossport_node::api::facade::{Caller, Feed, Lang, Scopes, UseCases};
use crossport_node::api::types::Change;
use crossport_protocol::ids::ChatId;
use futures::StreamExt as _;
use rustix::process::{Pid, Resource, Rlimit, setrlimit};
use tokio::sync::watch;

use super::Mallory;
use super::scene::Scene;
use crate::world::{Company, Folder};

const FOLDER: &str = "CROSSPORT_STORM_FOLDER";
const ADDRESS: &str = "CROSSPORT_STORM_ADDRESS";
const CHAT: &str = "CROSSPORT_STORM_CHAT";
const USER: &str = "CROSSPORT_STORM_USER";
const SESSION: &str = "CROSSPORT_STORM_SESSION";

/// What the attacked process may ever have resident. An idle one has some 30 MiB; the network's own bounds (see its
/// `limits`) add 32 MiB of events and 16 MiB for each partner, and the rest is room for allocators on two cores.
pub const RESIDENT_BYTES_MAX: u64 = 256 << 20;
/// The address space of the attacked process. Threads reserve far more than they use, so this is no measure; it ends a
/// process that grows without bound.
const ADDRESS_SPACE_BYTES: u64 = 4 << 30;
/// The honest partner may wait this many times longer than without the storm.
pub const RATIO_MAX: f64 = 10.0;
/// A calm round trip below this is counted as this much: ten times nearly nothing is still nearly nothing.
const CALM_FLOOR: Duration = Duration::from_millis(5);
/// Calm and storm take turns so often, each for so long: some hundreds of round trips of each.
const SPELLS: usize = 3;
const SPELL: Duration = Duration::from_millis(1_200);
/// The longest wait for what a storm left behind.
const ABATED: Duration = Duration::from_secs(5);
/// An honest partner is answered within this, whatever happens.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// Two honest companies and Mallory, with Acme in a child process.
pub struct Siege {
    pub mallory: Mallory,
    pub shared: ChatId,
    pub address: std::net::SocketAddr,
    globex: Company,
    boris: Caller,
    private: String,
    feed: Feed,
    child: Running,
    asked: usize,
}

impl std::fmt::Debug for Siege {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Siege").finish_non_exhaustive()
    }
}

/// What a storm did.
#[derive(Debug, Clone)]
pub struct Weather {
    pub calm: Duration,
    pub storm: Duration,
    pub frames: u64,
    pub resident_bytes: u64,
}

impl Weather {
    pub fn ratio(&self) -> f64 {
        self.storm.as_secs_f64() / self.calm.max(CALM_FLOOR).as_secs_f64()
    }

    /// Within all bounds; prints what was measured in any case.
    pub fn judge(&self, name: &str) -> Result<()> {
        let ratio = self.ratio();
        let mib = self.resident_bytes >> 20;
        println!(
            "{name}: p99 {:?} in the calm, {:?} in the storm, ratio {ratio:.1} (at most {RATIO_MAX}); {} frames; \
             {mib} MiB resident at most (bound {} MiB)",
            self.calm,
            self.storm,
            self.frames,
            RESIDENT_BYTES_MAX >> 20,
        );
        ensure!(
            ratio <= RATIO_MAX,
            "the honest partner waits {ratio:.1} times longer: {self:?}"
        );
        ensure!(
            self.resident_bytes <= RESIDENT_BYTES_MAX,
            "{mib} MiB resident: {self:?}"
        );
        Ok(())
    }
}

/// Handed to a storm: it blows and pauses until it is over, and counts what it sends.
#[derive(Debug, Clone)]
pub struct Wind {
    sky: watch::Receiver<Sky>,
    frames: Arc<AtomicU64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sky {
    Calm,
    Storm,
    Over,
}

impl Wind {
    /// Waits while it is calm; false when the storm is over.
    pub async fn blows(&mut self) -> bool {
        let sky = self.sky.wait_for(|sky| *sky != Sky::Calm).await;
        sky.is_ok_and(|sky| *sky == Sky::Storm)
    }

    pub fn count(&self, frames: u64) {
        self.frames.fetch_add(frames, Ordering::Relaxed);
    }

    /// Sends these frames again and again.
    pub async fn send(&mut self, mallory: &Mallory, frames: &[Vec<u8>]) {
        while self.blows().await {
            self.send_once(mallory, frames.to_vec()).await;
        }
    }

    /// Sends each frame once; a link that ends is waited for, because a storm comes back.
    pub async fn send_once(&mut self, mallory: &Mallory, frames: Vec<Vec<u8>>) {
        for frame in frames {
            while self.blows().await {
                if mallory.send(vec![frame.clone()]).await.is_ok() {
                    self.count(1);
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

impl Siege {
    /// Sets a scene, stops Acme and starts it again as a child process on the same folder and port.
    pub async fn lay() -> Result<Siege> {
        let scene = Scene::open().await?;
        let Scene {
            mut acme,
            globex,
            mallory,
            anna,
            boris,
            shared,
            private,
            ..
        } = scene;
        acme.down().await?;
        let address = acme.listen().to_owned();
        let Folder::Own(folder) = acme.folder else {
            bail!("the scene's folder is its own")
        };
        let private = private.to_string();
        let child = Running::start(folder, &address, &private, anna)?;
        let mut siege = Siege {
            feed: globex
                .node()
                .changes(boris, Some(private.clone()), None)
                .await?,
            address: address.parse()?,
            globex,
            mallory,
            boris,
            shared,
            private,
            child,
            asked: 0,
        };
        siege
            .mallory
            .until("Mallory is linked again", |hand| hand.is_linked())
            .await?;
        siege.echo().await?;
        Ok(siege)
    }

    /// Lets a storm blow, pause, and blow again, and measures both: whatever else this machine does meanwhile falls upon the
    /// calm and the storm alike.
    pub async fn endure<F, Fut>(&mut self, storm: F) -> Result<Weather>
    where
        F: FnOnce(Mallory, Wind) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (sky, seen) = watch::channel(Sky::Calm);
        let frames = Arc::new(AtomicU64::new(0));
        let wind = Wind {
            sky: seen,
            frames: frames.clone(),
        };
        let blowing = tokio::spawn(storm(self.mallory.clone(), wind));
        let (mut calm, mut stormy) = (Vec::new(), Vec::new());
        for _ in 0..SPELLS {
            self.listen(&mut calm).await.context("in the calm")?;
            sky.send_replace(Sky::Storm);
            self.listen(&mut stormy).await.context("in the storm")?;
            sky.send_replace(Sky::Calm);
            self.abate(percentile(&calm, 50)?).await?;
        }
        sky.send_replace(Sky::Over);
        blowing.await?;
        Ok(Weather {
            calm: percentile(&calm, 99)?,
            storm: percentile(&stormy, 99)?,
            frames: frames.load(Ordering::Relaxed),
            resident_bytes: self.child.peak_resident_bytes()?,
        })
    }

    /// Waits until what the storm left behind is done with, so that it is not measured as calm.
    async fn abate(&mut self, usual: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < ABATED {
            if self.echo().await.context("after the storm")? <= usual.saturating_mul(2) {
                break;
            }
        }
        Ok(())
    }

    /// The attacked process.
    pub fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.child.process.id().cast_signed())
    }

    /// The honest partner is still answered, and the child ends when it is told to.
    pub async fn raise(mut self) -> Result<()> {
        self.echo().await.context("after the storm")?;
        self.mallory.clone().stop().await;
        self.globex.down().await?;
        self.child.end()
    }

    /// The honest partner's round trips, for a while.
    async fn listen(&mut self, waited: &mut Vec<Duration>) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < SPELL {
            waited.push(self.echo().await?);
        }
        Ok(())
    }

    async fn echo(&mut self) -> Result<Duration> {
        self.asked += 1;
        let (ask, echo) = (
            format!("ask {}", self.asked),
            format!("echo {}", self.asked),
        );
        let began = Instant::now();
        self.globex.post(self.boris, &self.private, &ask).await?;
        let heard = async {
            while let Some(item) = self.feed.next().await {
                match item.change {
                    Change::Message(message) if message.text.as_deref() == Some(&echo) => {
                        return Ok(());
                    }
                    _ => {}
                }
            }
            bail!("Boris's feed ended")
        };
        let heard = tokio::time::timeout(ANSWERED_WITHIN, heard).await;
        heard.with_context(|| format!("no answer from Acme within {ANSWERED_WITHIN:?}"))??;
        Ok(began.elapsed())
    }
}

fn percentile(waited: &[Duration], of: usize) -> Result<Duration> {
    let mut waited = waited.to_vec();
    waited.sort_unstable();
    let place = (waited.len() * of).div_ceil(100).saturating_sub(1);
    waited.get(place).copied().context("nothing was measured")
}

/// The child: bounds its memory, starts Acme, and lets Anna echo what Boris says until standard input ends. True when this
/// process is the child.
pub async fn be_the_child() -> Result<bool> {
    let (Some(folder), Ok(address)) = (std::env::var_os(FOLDER), std::env::var(ADDRESS)) else {
        return Ok(false);
    };
    let chat = std::env::var(CHAT)?;
    let limit = Rlimit {
        current: Some(ADDRESS_SPACE_BYTES),
        maximum: Some(ADDRESS_SPACE_BYTES),
    };
    setrlimit(Resource::As, limit)?;
    let mut company = Company::open("Acme", Path::new(&folder), &address).await?;
    let anna = anna()?;
    let mut feed = company
        .node()
        .changes(anna, Some(chat.clone()), None)
        .await?;
    println!("ready");
    let told = tokio::task::spawn_blocking(|| std::io::stdin().lines().count());
    let echoing = async {
        while let Some(item) = feed.next().await {
            let Change::Message(message) = item.change else {
                continue;
            };
            let asked = message
                .text
                .as_deref()
                .and_then(|text| text.strip_prefix("ask "));
            if let (Some(number), false) = (asked, message.mine) {
                company.post(anna, &chat, &format!("echo {number}")).await?;
            }
        }
        anyhow::Ok(())
    };
    tokio::select! {
        ended = echoing => ended?,
        _ = told => {}
    }
    company.down().await?;
    Ok(true)
}

/// Anna as she signed in before her node was started again: the session outlives that.
fn anna() -> Result<Caller> {
    Ok(Caller {
        user: std::env::var(USER)?.parse()?,
        session: serde_json::from_str(&std::env::var(SESSION)?)?,
        administrator: false,
        scopes: Scopes::ALL,
        lang: Lang::En,
    })
}

/// The child process. Dropping it kills it.
struct Running {
    process: Child,
    _folder: tempfile::TempDir,
}

impl Running {
    fn start(
        folder: tempfile::TempDir,
        address: &str,
        chat: &str,
        anna: Caller,
    ) -> Result<Running> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--exact", "hostile_load::child_node", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(ADDRESS, address)
            .env(CHAT, chat)
            .env(USER, anna.user.to_string())
            .env(SESSION, serde_json::to_string(&anna.session)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let output = process.stdout.take().context("the child's output")?;
        let mut lines = BufReader::new(output).lines();
        let ready = lines.find(|line| line.as_deref().is_ok_and(|line| line.ends_with("ready")));
        ready.context("the child ended before it was ready")??;
        // What it prints later is of no interest, but its pipe must not fill.
        std::thread::spawn(move || lines.count());
        Ok(Running {
            process,
            _folder: folder,
        })
    }

    fn peak_resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status =
            status.context("the child has ended: its memory limit was reached, or it crashed")?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .context("the child has ended")?;
        let kibibytes: u64 = peak.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kibibytes << 10)
    }

    fn end(mut self) -> Result<()> {
        drop(self.process.stdin.take());
        let ended = self.process.wait()?;
        ensure!(ended.success(), "the child ended with {ended}");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}
