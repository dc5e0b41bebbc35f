//! One node as a child process, from `up` to its end.
//!
//! Owns the process: it is ended by its own id, never by name, and a child whose parent is gone ends by itself because its
//! standard input ends (`--with-parent`). The ports that the system chose at the first start are kept at later ones, as a
//! real node keeps its address. It must not know what the node is used for.

use super::{late, log_file};
use crate::errors::Failure;
use crossport_node::api::types::{Code, Status};
use crossport_node::say;
use crossport_node::texts::Texts;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Longest wait for `up` to report. A node with a million messages is promised within 2 s; debug builds and busy machines
/// take longer, and a hung start must end some day.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Longest wait for a clean stop, after which the process is killed and that is a failure.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
/// Most that `up --json` may print before it must have become a document.
const REPORT_BYTES_MAX: usize = 1 << 20;

/// What to start.
#[derive(Debug, Clone)]
pub struct Spec {
    pub company: String,
    /// The data folder, the node's alone.
    pub folder: PathBuf,
    /// Where its log goes.
    pub log: PathBuf,
    /// Keys of the configuration beyond names and ports.
    pub settings: Vec<(String, String)>,
}

/// A running node.
#[derive(Debug)]
pub struct NodeProcess {
    pub spec: Spec,
    /// As it reported itself when it was ready.
    pub status: Status,
    /// From the start of the process to its report.
    pub ready_after: Duration,
    child: Child,
    /// Held open: the child ends when it ends.
    _input: Option<ChildStdin>,
    /// Held open: a closed pipe would make the child's next line fail.
    _output: Option<ChildStdout>,
    texts: &'static Texts,
}

/// The part of `up --json` that is needed.
#[derive(Deserialize)]
struct Report {
    status: Status,
}

impl NodeProcess {
    /// Starts the node and waits until it says that it is ready.
    pub async fn start(spec: Spec, texts: &'static Texts) -> Result<Self, Failure> {
        let begun = Instant::now();
        let mut child = command(&spec, texts)?
            .spawn()
            .map_err(|error| Failure::io(texts, &spec.company, &error))?;
        let (input, mut output) = (child.stdin.take(), child.stdout.take());
        let report = tokio::time::timeout(READY_WITHIN, report(&mut output)).await;
        let Ok(Some(report)) = report else {
            // Dropping the child kills it; how it ended by itself is the better reason.
            let ended = child.try_wait().ok().flatten();
            return Err(not_ready(&spec, ended, texts));
        };
        let ready_after = begun.elapsed();
        let spec = with_ports(spec, &report.status);
        Ok(Self {
            spec,
            status: report.status,
            ready_after,
            child,
            _input: input,
            _output: output,
            texts,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// SIGKILL: no clean-up, as if the machine lost its power but not its disk.
    pub async fn kill(mut self) -> Result<Spec, Failure> {
        let killed = self.child.kill().await;
        killed.map_err(|error| Failure::io(self.texts, &self.spec.company, &error))?;
        Ok(self.spec)
    }

    /// SIGTERM, and waits for the clean end.
    pub async fn stop(mut self) -> Result<Spec, Failure> {
        let (texts, company) = (self.texts, self.spec.company.clone());
        if let Some(pid) = self
            .child
            .id()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()))
        {
            kill_process(pid, Signal::TERM)
                .map_err(|error| Failure::io(texts, &company, &error.into()))?;
        }
        match tokio::time::timeout(STOPPED_WITHIN, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(self.spec),
            Ok(Ok(status)) => Err(ended(&company, status, texts)),
            Ok(Err(error)) => Err(Failure::io(texts, &company, &error)),
            Err(_) => Err(late(&format!("{company}: SIGTERM"), STOPPED_WITHIN, texts)),
        }
    }

    /// Waits until the node ends by itself, which it should not.
    pub async fn ended(&mut self) -> Failure {
        match self.child.wait().await {
            Ok(status) => ended(&self.spec.company, status, self.texts),
            Err(error) => Failure::io(self.texts, &self.spec.company, &error),
        }
    }
}

fn command(spec: &Spec, texts: &Texts) -> Result<Command, Failure> {
    let program =
        std::env::current_exe().map_err(|error| Failure::io(texts, "current_exe", &error))?;
    let mut command = Command::new(program);
    // What the caller set for a node of their own is none of this one's business.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CROSSPORT_") {
            command.env_remove(name);
        }
    }
    command
        .arg("--json")
        .args(["--lang", texts.lang().code()])
        .arg("--data-dir")
        .arg(&spec.folder)
        .args(["up", "--with-parent", "--company", &spec.company]);
    let defaults = [
        ("listen_tcp", "127.0.0.1:0"),
        ("listen_quic", "off"),
        ("api_listen", "127.0.0.1:0"),
    ];
    let chosen = |key: &str| spec.settings.iter().any(|(set, _)| set == key);
    let defaults = defaults.iter().filter(|(key, _)| !chosen(key));
    for (key, value) in defaults {
        command.args(["--set", &format!("{key}={value}")]);
    }
    for (key, value) in &spec.settings {
        command.args(["--set", &format!("{key}={value}")]);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log_file(&spec.log, texts)?)
        // Ctrl+C in the terminal is for the parent, which then ends its children in order.
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

/// The document that `up --json` prints once it is ready; `None` if it ended without one.
async fn report(output: &mut Option<ChildStdout>) -> Option<Report> {
    let output = output.as_mut()?;
    let mut text = Vec::new();
    while text.len() < REPORT_BYTES_MAX {
        if output.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
        if text.ends_with(b"}\n")
            && let Ok(report) = serde_json::from_slice(&text)
        {
            return Some(report);
        }
    }
    None
}

/// The spec for the next start: on the same ports.
fn with_ports(mut spec: Spec, status: &Status) -> Spec {
    let tcp = status
        .company
        .addresses
        .iter()
        .find_map(|address| tcp_port(address));
    let api = status
        .api
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    for (key, port) in [("listen_tcp", tcp), ("api_listen", api)] {
        let chosen = spec.settings.iter().any(|(set, _)| set == key);
        if let Some(port) = port.filter(|port| *port != 0 && !chosen) {
            spec.settings
                .push((key.to_owned(), format!("127.0.0.1:{port}")));
        }
    }
    spec
}

/// `/ip4/127.0.0.1/tcp/40123/...` gives 40123.
fn tcp_port(address: &str) -> Option<u16> {
    let (_, rest) = address.split_once("/tcp/")?;
    rest.split('/').next()?.parse().ok()
}

fn not_ready(spec: &Spec, status: Option<ExitStatus>, texts: &'static Texts) -> Failure {
    match status {
        Some(status) => ended(&spec.company, status, texts),
        None => late(
            &format!("{}: crossport up", spec.company),
            READY_WITHIN,
            texts,
        ),
    }
}

fn ended(company: &str, status: ExitStatus, texts: &'static Texts) -> Failure {
    let cause = say!(
        texts,
        "stage-ended",
        name = company,
        status = status.to_string()
    );
    Failure::new(texts, Code::Failed, company).cause(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_addresses() {
        assert_eq!(tcp_port("/ip4/127.0.0.1/tcp/40123"), Some(40_123));
        assert_eq!(tcp_port("/ip4/127.0.0.1/tcp/40123/p2p/12D3"), Some(40_123));
        assert_eq!(tcp_port("/ip4/127.0.0.1/udp/40123/quic-v1"), None);
    }
}
