//! A company as its operator and its people have it: the program itself in a process of its own, and its command line.
//!
//! Owns starting, asking, stopping and killing, on loopback or in a network namespace. It must not know what a test
//! expects. Slower than `world`, which keeps nodes in the test's process; it is for what only a process shows: its
//! files, its logs, its place in a network.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::house::commands::program;

/// Anything that is waited for comes within this, also on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A company with everything it has on this machine below one folder.
#[derive(Debug)]
pub struct Company {
    pub name: String,
    /// Holds the folders `data`, `home` and `temporary`, and `log`.
    pub folder: PathBuf,
    settings: Vec<String>,
    namespace: Option<String>,
    running: Option<Child>,
}

impl Company {
    /// Nothing is started yet. `settings` are arguments of `crossport up`.
    pub fn new(name: &str, folder: PathBuf, settings: &[&str]) -> Result<Company> {
        for part in ["home", "temporary"] {
            fs::create_dir_all(folder.join(part))?;
        }
        Ok(Company {
            name: name.to_owned(),
            folder,
            settings: settings.iter().map(ToString::to_string).collect(),
            namespace: None,
            running: None,
        })
    }

    /// On loopback, on ports of its own: a node that was stopped finds them free again.
    pub fn on_loopback(name: &str, folder: PathBuf, settings: &[&str]) -> Result<Company> {
        let (api, listen) = (own_address()?, own_address()?);
        let places = ["--api-listen", &api, "--listen-tcp", &listen];
        let settings = [&places, ["--listen-quic", "off"].as_slice(), settings].concat();
        Company::new(name, folder, &settings)
    }

    /// All its processes live in this network namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Company {
        self.namespace = Some(namespace.to_owned());
        self
    }

    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The program with this company's folders; the log of every start goes to one file.
    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let program = program()?;
        let mut command = match &self.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .args(arguments)
            .env("CROSSPORT_DATA", self.folder.join("data"))
            .env("CROSSPORT_CREDENTIALS", self.folder.join("credentials"))
            .env("CROSSPORT_LANG", "en")
            .env("HOME", self.folder.join("home"))
            .env("TMPDIR", self.folder.join("temporary"))
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// One call of the program, to be said more of.
    pub fn call(&self, arguments: &[&str]) -> Call<'_> {
        Call {
            company: self,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            profile: None,
            lang: "en",
            input: None,
        }
    }

    /// `crossport up`; returns what it prints once it is ready.
    pub fn up(&mut self) -> Result<Value> {
        self.up_with(&[])
    }

    /// The same with arguments for this start alone.
    pub fn up_with(&mut self, more: &[&str]) -> Result<Value> {
        let report = self.folder.join("up.json");
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut arguments = vec!["up", "--json", "--company", self.name.as_str()];
        arguments.extend(self.settings.iter().map(String::as_str));
        arguments.extend(more);
        let mut command = self.command(&arguments)?;
        command.stdout(File::create(&report)?).stderr(log);
        self.running = Some(command.spawn().context("starting the program")?);
        let ready = eventually(&format!("{} is ready", self.name), || {
            if let Some(status) = self.ended()? {
                return Ok(Err(status));
            }
            Ok(Ok(serde_json::from_slice(&fs::read(&report)?)?))
        })?;
        // It holds the first administrator's secret; it went to a screen, not to the disk.
        fs::remove_file(&report)?;
        ready.or_else(|status| {
            let said = fs::read_to_string(self.log())?;
            bail!("{} ended at its start ({status}): {said}", self.name)
        })
    }

    /// How the node ended, if it did by itself.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let running = self.running.as_mut().context("it was not started")?;
        Ok(running.try_wait()?)
    }

    /// Asks the running node, as `profile` if it is not the operator who asks.
    pub fn ask(&self, profile: Option<&str>, arguments: &[&str]) -> Result<Value> {
        let output = self.attempt(profile, arguments)?;
        ensure!(
            output.status.success(),
            "{}: crossport {} ended with {}: {}",
            self.name,
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        if output.stdout.trim_ascii().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{arguments:?} printed no JSON"))
    }

    /// Asks, whatever comes of it.
    pub fn attempt(&self, profile: Option<&str>, arguments: &[&str]) -> Result<Output> {
        let mut all = vec!["--json", "--yes"];
        if let Some(profile) = profile {
            all.extend(["--as", profile]);
        }
        all.extend(arguments);
        Ok(self.command(&all)?.output()?)
    }

    /// Adds a person and signs them in under their nickname; returns the secret of the link.
    pub fn person(&self, nickname: &str, more: &[&str]) -> Result<String> {
        let arguments = [&["user", "add", nickname], more].concat();
        let activation = self.ask(None, &arguments)?;
        self.login(nickname, &activation)
    }

    /// Redeems an activation.
    pub fn login(&self, nickname: &str, activation: &Value) -> Result<String> {
        let link = text(activation, "link")?;
        self.ask(Some(nickname), &["login", link])?;
        Ok(text(activation, "secret")?.to_owned())
    }

    /// The token in the person's own credentials file.
    pub fn tokens(&self) -> Result<Vec<String>> {
        let credentials = fs::read_to_string(self.folder.join("credentials"))?;
        let lines = credentials.lines();
        let tokens = lines.filter_map(|line| line.strip_prefix("token = "));
        Ok(tokens
            .map(|token| token.trim_matches('"').to_owned())
            .collect())
    }

    /// The texts of a chat as a person sees them, oldest first.
    pub fn texts(&self, profile: &str, chat: &str) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        let mut before: Option<String> = None;
        loop {
            let mut arguments = vec!["chat", "show", chat, "--limit", "200"];
            arguments.extend(before.iter().flat_map(|cursor| ["--before", cursor]));
            let page = self.ask(Some(profile), &arguments)?;
            let messages = page["messages"].as_array().context("no messages")?;
            let of_page = messages.iter().rev();
            let of_page = of_page.filter_map(|message| message["text"].as_str());
            texts.extend(of_page.map(str::to_owned));
            before = page["older"].as_str().map(str::to_owned);
            if before.is_none() {
                texts.reverse();
                return Ok(texts);
            }
        }
    }

    /// Stops cleanly.
    pub fn down(&mut self) -> Result<()> {
        let Some(running) = &self.running else {
            return Ok(());
        };
        kill_process(pid(running)?, Signal::TERM)?;
        let name = self.name.clone();
        let status = eventually(&format!("{name} stops"), || {
            self.ended()?.context("it still runs")
        })?;
        self.running = None;
        ensure!(status.success(), "{name} stopped with {status}");
        Ok(())
    }

    /// As a crash would end it.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut running) = self.running.take() {
            running.kill()?;
            running.wait()?;
        }
        Ok(())
    }
}

/// A command line as a person types it: nothing is added that they would not see.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    company: &'a Company,
    arguments: Vec<String>,
    profile: Option<String>,
    lang: &'static str,
    input: Option<String>,
}

/// What a call left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Call<'_> {
    /// As this person, with the token of their own.
    #[must_use]
    pub fn by(mut self, profile: &str) -> Self {
        self.profile = Some(profile.to_owned());
        self
    }

    #[must_use]
    pub fn lang(mut self, lang: &'static str) -> Self {
        self.lang = lang;
        self
    }

    /// What is typed after the call.
    #[must_use]
    pub fn input(mut self, input: &str) -> Self {
        self.input = Some(input.to_owned());
        self
    }

    fn whole(&self) -> Vec<&str> {
        let profile = self.profile.as_deref().into_iter();
        let profile = profile.flat_map(|profile| ["--as", profile]);
        profile
            .chain(self.arguments.iter().map(String::as_str))
            .collect()
    }

    fn command(&self) -> Result<Command> {
        let mut command = self.company.command(&self.whole())?;
        command.env("CROSSPORT_LANG", self.lang);
        Ok(command)
    }

    /// Runs to the end, its output piped.
    pub fn run(&self) -> Result<Said> {
        let mut command = self.command()?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.input.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that refuses before it reads has closed its end: that it refused is seen below.
            drop(stdin.write_all(self.input.clone().unwrap_or_default().as_bytes()));
        }
        said(child.wait_with_output()?)
    }

    /// Runs on a terminal of 120 columns without colours; both streams are one there.
    pub fn on_terminal(&self) -> Result<Said> {
        let quoted = |word: &str| format!("'{}'", word.replace('\'', "'\\''"));
        let program = program()?;
        let mut line = format!("stty cols 120; exec {}", quoted(&program.to_string_lossy()));
        for word in self.whole() {
            line = format!("{line} {}", quoted(word));
        }
        let mut command = self.command()?;
        let mut terminal = Command::new("script");
        terminal
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .envs(
                command
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            )
            .env("NO_COLOR", "1")
            .env("TERM", "xterm")
            .current_dir(&self.company.folder)
            .stdin(Stdio::null());
        command = terminal;
        let mut said = said(
            command
                .output()
                .context("starting script (package bsdutils)")?,
        )?;
        said.out = said.out.replace('\r', "");
        Ok(said)
    }

    /// Runs beside the test, its lines read as they come.
    pub fn watch(&self) -> Result<Watching> {
        let mut command = self.command()?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (sender, lines) = mpsc::channel();
        for stream in [
            out.map(|out| Box::new(out) as Box<dyn Read + Send>),
            err.map(|err| Box::new(err) as Box<dyn Read + Send>),
        ] {
            let (stream, sender) = (stream.context("it is piped")?, sender.clone());
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Watching {
            child,
            lines,
            seen: Vec::new(),
        })
    }
}

impl Said {
    /// The result, if the call did what was asked.
    pub fn done(self) -> Result<String> {
        ensure!(self.code == 0, "it ended with {}: {}", self.code, self.err);
        Ok(self.out)
    }

    /// The refusal, which has this exit code and number, no result, and a next step.
    pub fn refused(self, exit: i32, number: &str) -> Result<String> {
        ensure!(
            self.code == exit && self.err.contains(&format!("[{number}]")),
            "expected exit code {exit} and {number}: {self:?}"
        );
        ensure!(self.out.is_empty(), "a refusal has a result: {}", self.out);
        Ok(self.err)
    }
}

fn said(output: Output) -> Result<Said> {
    Ok(Said {
        code: output.status.code().context("it was killed")?,
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

/// A call that goes on, and the lines that it has printed on either stream.
#[derive(Debug)]
pub struct Watching {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Watching {
    /// Waits for a line with this text.
    pub fn shows(&mut self, text: &str) -> Result<String> {
        let began = Instant::now();
        loop {
            let left = DEADLINE.saturating_sub(began.elapsed());
            let line = self.lines.recv_timeout(left);
            let line = line.with_context(|| {
                format!(
                    "awaited in vain: a line with {text:?} after {:#?}",
                    self.seen
                )
            })?;
            self.seen.push(line.clone());
            if line.contains(text) {
                return Ok(line);
            }
        }
    }

    /// Every line that was read so far.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Waits for the end and gives the exit code.
    pub fn ends(&mut self) -> Result<i32> {
        let code = eventually("the call ends", || {
            self.child.try_wait()?.context("it still runs")
        })?;
        code.code().context("it was killed")
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        // A failed test must not leave nodes running; that it is gone already is fine here.
        if let Err(error) = self.kill() {
            eprintln!("{} could not be ended: {error}", self.name);
        }
    }
}

/// Below the ports that the system gives to outgoing connections, one of which would sit on it after a stop.
const PORTS: std::ops::Range<u32> = 15_000..32_000;

/// An address that no other test of this process gets, and that nobody listens at.
fn own_address() -> Result<String> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let range = PORTS.end - PORTS.start;
    for _ in 0..range {
        // Processes begin far from each other: the tests of two checkouts may run at once.
        let place = GIVEN.fetch_add(1, Ordering::Relaxed) % range + std::process::id() % range * 97;
        let address = format!("127.0.0.1:{}", PORTS.start + place % range);
        if TcpListener::bind(&address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port between {} and {} is free", PORTS.start, PORTS.end)
}

fn pid(child: &Child) -> Result<Pid> {
    Pid::from_raw(child.id().try_into()?).context("a process has an id")
}

/// Pairs two running companies with a ticket and waits until they are linked.
pub fn pair(inviter: &Company, invited: &Company) -> Result<String> {
    let invitation = inviter.ask(None, &["partner", "invite"])?;
    let ticket = text(&invitation, "ticket")?.to_owned();
    invited.ask(None, &["partner", "accept", &ticket])?;
    eventually("the partners are linked", || {
        for company in [inviter, invited] {
            let partners = company.ask(None, &["partner", "list"])?;
            let partners = partners["items"].as_array().context("no partners")?;
            ensure!(!partners.is_empty(), "{} has no partner", company.name);
            for partner in partners {
                ensure!(
                    partner["connected"] == true,
                    "{} is not linked: {partner}",
                    company.name
                );
            }
        }
        Ok(())
    })?;
    Ok(ticket)
}

/// A text field of an answer.
pub fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field]
        .as_str()
        .with_context(|| format!("no text {field:?} in {value}"))
}

/// Tries until it succeeds, and says what was awaited if it does not.
pub fn eventually<T>(awaited: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if began.elapsed() > DEADLINE => {
                return Err(error.context(format!("awaited in vain for {DEADLINE:?}: {awaited}")));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The end of a log, for a message.
pub fn log_end(path: &Path) -> String {
    let log = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
