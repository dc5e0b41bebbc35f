//! What survives: kill -9 of a federated node, power cuts of a node under load, a data folder from yesterday.
//!
//! A node that is to be killed runs in a child process of this test binary (the test `child_node`, which does nothing
//! unless it is asked to). What it acknowledges it prints, one line each, so that the acknowledgement lies outside of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crossport_node::api::facade::{Caller, Lang, Scopes, UseCases};
use crossport_node::api::types::{ChatKind, MessagePageQuery, PageQuery};
use crossport_node::node::Node;
use crossport_protocol::ids::LocalId;
use crossport_tests::power_cut;
use crossport_tests::world::{Company, OPERATOR, check, eventually, pair};

const FOLDER: &str = "CROSSPORT_CRASH_FOLDER";
const ADDRESS: &str = "CROSSPORT_CRASH_ADDRESS";
const RUN: &str = "CROSSPORT_CRASH_RUN";

fn long() -> bool {
    std::env::var_os("CROSSPORT_LONG").is_some_and(|value| value == "1")
}

/// The child: starts the node of a folder and posts without pause, printing what was acknowledged.
#[test]
fn child_node() {
    let (Some(folder), Ok(address)) = (std::env::var_os(FOLDER), std::env::var(ADDRESS)) else {
        return;
    };
    let run = std::env::var(RUN).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let ended: Result<()> = runtime.block_on(async {
        let company = Company::open("Globex", Path::new(&folder), &address).await?;
        let writer = caller(company.node(), "boris").await?;
        let chat = company
            .chats(writer)
            .await?
            .first()
            .context("Boris has a chat")?
            .id
            .clone();
        println!("ready");
        for number in 0u32.. {
            let text = format!("child {run} {number}");
            company.post(writer, &chat, &text).await?;
            println!("ack {text}");
        }
        Ok(())
    });
    ended.expect("the child works until it is killed");
}

/// Acts for a person without a session: the tests of access are elsewhere.
async fn caller(node: &Node, nickname: &str) -> Result<Caller> {
    let users = node.users(OPERATOR, PageQuery::default()).await?.items;
    let user = users
        .into_iter()
        .find(|user| user.person.nickname == nickname)
        .context("the person is there")?;
    let local = user.person.id.split_once('.').context("a person id")?.1;
    let user: LocalId = local.parse()?;
    Ok(Caller {
        user,
        session: [0; 32],
        administrator: false,
        scopes: Scopes::ALL,
        lang: Lang::En,
    })
}

/// A child process with the lines that it prints.
struct Running {
    process: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    fn start(folder: &Path, address: &str, run: u32) -> Result<Running> {
        let mut process = child_command(folder, address, run)?
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = process.stdout.take().context("the child's output")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Running { process, lines })
    }

    /// Waits for the first acknowledgement, lets it run on for a while, kills it, and returns what it acknowledged.
    fn kill_after(mut self, wait: Duration) -> Result<Vec<String>> {
        let mut acknowledged = Vec::new();
        loop {
            let line = self
                .lines
                .recv_timeout(Duration::from_secs(60))
                .context("the child says nothing")?;
            if let Some(text) = line.strip_prefix("ack ") {
                acknowledged.push(text.to_owned());
                break;
            }
        }
        std::thread::sleep(wait);
        // SIGKILL: the process gets no chance to tidy up.
        self.process.kill()?;
        self.process.wait()?;
        acknowledged.extend(
            self.lines
                .iter()
                .filter_map(|line| line.strip_prefix("ack ").map(str::to_owned)),
        );
        Ok(acknowledged)
    }
}

fn child_command(folder: &Path, address: &str, run: u32) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", "crash::child_node", "--nocapture"]);
    command
        .env(FOLDER, folder)
        .env(ADDRESS, address)
        .env(RUN, run.to_string());
    Ok(command)
}

/// Pseudo-random milliseconds: the moments differ, the run can be repeated.
fn moment(run: u32, most: u64) -> Duration {
    let mixed = u64::from(run).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
    Duration::from_millis(mixed % most)
}

/// Every text of a chat with the number of times that it is shown.
async fn all_texts(node: &Node, by: Caller, chat: &str) -> Result<BTreeMap<String, u32>> {
    let mut texts = BTreeMap::new();
    let mut before = None;
    loop {
        let query = MessagePageQuery {
            before: before.clone(),
            limit: Some(200),
            ..MessagePageQuery::default()
        };
        let page = node.messages(by, chat.to_owned(), query).await?;
        for text in page
            .messages
            .into_iter()
            .filter(|message| message.service.is_none())
            .filter_map(|message| message.text)
        {
            let count = texts.entry(text).or_insert(0);
            *count += 1;
        }
        match page.older {
            Some(older) => before = Some(older),
            None => return Ok(texts),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_a_federated_node_loses_and_doubles_nothing() -> Result<()> {
    let kills = if long() { 200 } else { 25 };
    let (mut acme, mut globex) = (
        Company::start("Acme").await?,
        Company::start("Globex").await?,
    );
    pair(&acme, &globex).await?;
    let (anna, boris) = (acme.person("anna").await?, globex.person("boris").await?);
    let chat = acme
        .chat(anna, ChatKind::Direct, "", &["boris@globex"])
        .await?
        .id;
    eventually("Boris is in the chat", || async {
        Ok(!globex.chats(boris).await?.is_empty())
    })
    .await?;
    globex.down().await?;
    let mut acknowledged: Vec<String> = Vec::new();
    for run in 0..kills {
        let child = Running::start(globex.folder.path(), globex.listen(), run)?;
        let killer = tokio::task::spawn_blocking(move || child.kill_after(moment(run, 120)));
        let mut number = 0;
        while !killer.is_finished() {
            let text = format!("acme {run} {number}");
            acme.post(anna, &chat, &text).await?;
            acknowledged.push(text);
            number += 1;
            tokio::task::yield_now().await;
        }
        acknowledged.extend(killer.await??);
    }
    globex.up().await?;
    eventually("both hold the same after the last kill", || async {
        Ok(all_texts(acme.node(), anna, &chat).await?
            == all_texts(globex.node(), boris, &chat).await?)
    })
    .await?;
    let shown = all_texts(acme.node(), anna, &chat).await?;
    let lost: Vec<&String> = acknowledged
        .iter()
        .filter(|text| !shown.contains_key(*text))
        .collect();
    let doubled: Vec<(&String, &u32)> = shown.iter().filter(|(_, count)| **count != 1).collect();
    println!(
        "{kills} kills, {} acknowledged, {} shown, {} lost, {} doubled",
        acknowledged.len(),
        shown.len(),
        lost.len(),
        doubled.len()
    );
    ensure!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    ensure!(doubled.is_empty(), "shown more than once: {doubled:?}");
    check("forks", forks(&acme).await? + forks(&globex).await?, 0)?;
    acme.down().await?;
    globex.down().await
}

async fn forks(company: &Company) -> Result<usize> {
    let audit = company
        .node()
        .audit(
            OPERATOR,
            PageQuery {
                limit: Some(200),
                ..PageQuery::default()
            },
        )
        .await?;
    Ok(audit
        .items
        .iter()
        .filter(|entry| entry.what.contains("fork"))
        .count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_restored_from_yesterday_takes_its_own_messages_back() -> Result<()> {
    let (mut acme, mut globex) = (
        Company::start("Acme").await?,
        Company::start("Globex").await?,
    );
    pair(&acme, &globex).await?;
    let (anna, boris) = (acme.person("anna").await?, globex.person("boris").await?);
    let chat = acme
        .chat(anna, ChatKind::Direct, "", &["boris@globex"])
        .await?
        .id;
    eventually("Boris is in the chat", || async {
        Ok(!globex.chats(boris).await?.is_empty())
    })
    .await?;
    acme.post(anna, &chat, "yesterday").await?;
    acme.down().await?;
    let backup = tempfile::tempdir()?;
    copy_folder(&acme.data(), backup.path(), &["anchor", "operator.sock"])?;
    acme.up().await?;
    acme.post(anna, &chat, "today, lost with the disk").await?;
    eventually("Globex has today's message", || async {
        Ok(globex.texts(boris, &chat).await?.len() == 2)
    })
    .await?;
    acme.down().await?;
    std::fs::remove_dir_all(acme.data())?;
    copy_folder(backup.path(), &acme.data(), &[])?;
    acme.up().await?;
    let anna = caller(acme.node(), "anna").await?;
    // Written before the partner could tell what is missing: it must not collide with what was lost.
    acme.post(anna, &chat, "after the restore").await?;
    eventually("Acme has its own lost message back", || async {
        Ok(acme
            .texts(anna, &chat)
            .await?
            .contains(&"today, lost with the disk".to_owned()))
    })
    .await?;
    eventually("both show the same", || async {
        Ok(acme.texts(anna, &chat).await? == globex.texts(boris, &chat).await?)
    })
    .await?;
    check("messages", globex.texts(boris, &chat).await?.len(), 3)?;
    check(
        "nobody is accused of a fork",
        forks(&acme).await? + forks(&globex).await?,
        0,
    )?;
    acme.down().await?;
    globex.down().await
}

fn copy_folder(from: &Path, to: &Path, leave_out: &[&str]) -> Result<()> {
    std::fs::create_dir_all(to)?;
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if leave_out.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let target: PathBuf = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target, leave_out)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

#[test]
fn power_cuts_lose_nothing_that_a_node_acknowledged() {
    let cuts = if long() { 300 } else { 60 };
    if let Err(error) = power_cut::loop_mounts_work() {
        let allowed = std::env::var_os("CROSSPORT_ALLOW_NO_LOOP").is_some_and(|value| value == "1");
        assert!(
            allowed,
            "loop mounts are impossible here ({error:#}); set CROSSPORT_ALLOW_NO_LOOP=1 to go without this test"
        );
        println!("loop mounts are impossible here; allowed by CROSSPORT_ALLOW_NO_LOOP=1");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let plan = power_cut::Plan {
        cuts,
        cuts_per_run: 3,
        runs_per_disk: 5,
        image_mib: 96,
        longest_wait_ms: 150,
    };
    let prepared = tempfile::tempdir().expect("a folder");
    runtime
        .block_on(prepare_single(prepared.path()))
        .expect("a company with a chat");
    let mut run = 0;
    let writer = |disk: &Path| {
        run += 1;
        if !disk.join("data").exists() {
            copy_folder(prepared.path(), disk, &[]).expect("the prepared company fits on the disk");
            // What the test itself lays out is not what is tested: it is on the disk before the node starts.
            let folder = std::fs::File::open(disk).expect("the disk");
            rustix::fs::syncfs(&folder).expect("the disk takes it");
        }
        let mut command = child_command(disk, "127.0.0.1:0", run).expect("this test binary");
        command.stderr(Stdio::null());
        command
    };
    let outcome =
        power_cut::run(&plan, writer, |cut| runtime.block_on(check_cut(cut))).expect("the cuts");
    println!(
        "{} cuts, {} acknowledged, failures {:?}",
        outcome.cuts, outcome.acknowledged, outcome.failures
    );
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    assert!(
        outcome.acknowledged > 0,
        "nothing was acknowledged, so nothing was shown"
    );
}

async fn prepare_single(folder: &Path) -> Result<()> {
    let mut company = Company::open("Globex", folder, "127.0.0.1:0").await?;
    let boris = company.person("boris").await?;
    company.person("bella").await?;
    company
        .chat(boris, ChatKind::Group, "Under load", &["bella"])
        .await?;
    company.down().await
}

async fn check_cut(cut: &power_cut::Cut<'_>) -> Result<()> {
    if !cut.disk.join("data").exists() {
        let acknowledged = cut
            .acknowledged
            .iter()
            .filter(|line| line.starts_with("ack "))
            .count();
        return check("acknowledged on a disk without a company", acknowledged, 0);
    }
    let mut company = Company::open("Globex", cut.disk, "127.0.0.1:0").await?;
    let boris = caller(company.node(), "boris").await?;
    let chat = company
        .chats(boris)
        .await?
        .first()
        .context("the chat is there")?
        .id
        .clone();
    let shown = all_texts(company.node(), boris, &chat).await?;
    for text in cut
        .acknowledged
        .iter()
        .filter_map(|line| line.strip_prefix("ack "))
    {
        check(
            &format!("times that {text:?} is shown"),
            shown.get(text).copied(),
            Some(1),
        )?;
    }
    company.down().await
}
