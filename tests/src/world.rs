//! Worlds of several real nodes in this process: real disk, real sockets, real libp2p; only the HTTP edge is left out.
//!
//! Owns how a test starts, stops and pairs companies, and how it waits: for a condition, with a deadline, saying what was
//! awaited. It knows no expectations; those are in the tests.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use crossport_node::api::facade::{Caller, Lang, Made, Operator, UseCases};
use crossport_node::api::types::{
    AcceptInvitation, Chat, ChatKind, Invite, MarkRead, Message, MessagePageQuery, NewChat,
    NewUser, Redeem, Repeatable, SendMessage,
};
use crossport_node::config::{Config, Sources};
use crossport_node::node::{Node, StartedNode};
use crossport_node::people::secret_hash;
use crossport_protocol::ids::CompanyId;
use tempfile::TempDir;

/// Longest that anything may take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The operator of every node of a test.
pub const OPERATOR: Operator = Operator {
    uid: 0,
    lang: Lang::En,
};

/// Where a company's data lies: made for it, or somebody else's.
#[derive(Debug)]
pub enum Folder {
    Own(TempDir),
    Borrowed(PathBuf),
}

impl Folder {
    pub fn path(&self) -> &Path {
        match self {
            Folder::Own(folder) => folder.path(),
            Folder::Borrowed(path) => path,
        }
    }
}

/// A company's node with its data folder.
#[derive(Debug)]
pub struct Company {
    pub name: String,
    pub folder: Folder,
    started: Option<StartedNode>,
    listen: String,
    flags: Vec<(String, String)>,
}

impl Company {
    /// Makes a company and starts its node on loopback.
    pub async fn start(name: &str) -> Result<Company> {
        Company::start_with(name, &[]).await
    }

    /// The same with settings of its own.
    pub async fn start_with(name: &str, flags: &[(&str, &str)]) -> Result<Company> {
        let folder = Folder::Own(
            tempfile::Builder::new()
                .prefix("crossport-test-")
                .tempdir()?,
        );
        let flags = flags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let mut company = Company {
            name: name.to_owned(),
            folder,
            started: None,
            listen: "127.0.0.1:0".to_owned(),
            flags,
        };
        company.up().await?;
        Ok(company)
    }

    /// Starts the node of a folder that is there already, or makes it there.
    pub async fn open(name: &str, folder: &Path, listen: &str) -> Result<Company> {
        let folder = Folder::Borrowed(folder.to_owned());
        let mut company = Company {
            name: name.to_owned(),
            folder,
            started: None,
            listen: listen.to_owned(),
            flags: Vec::new(),
        };
        company.up().await?;
        Ok(company)
    }

    /// The address that the node listens at, also while it is down.
    pub fn listen(&self) -> &str {
        &self.listen
    }

    /// The node's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the node again, on the port that it had.
    pub async fn up(&mut self) -> Result<()> {
        let config = self.config()?;
        let started = crossport_node::node::start(config)
            .await
            .with_context(|| format!("starting {}", self.name))?;
        let address = started
            .node
            .network()
            .addresses()
            .into_iter()
            .next()
            .context("the node listens nowhere")?;
        self.listen = format!("127.0.0.1:{}", address.port());
        self.started = Some(started);
        Ok(())
    }

    pub fn config(&self) -> Result<Config> {
        let mut values = vec![
            ("data_dir".to_owned(), self.data().display().to_string()),
            ("company".to_owned(), self.name.clone()),
            ("listen_tcp".to_owned(), self.listen.clone()),
            ("listen_quic".to_owned(), "off".to_owned()),
            ("api_listen".to_owned(), "127.0.0.1:0".to_owned()),
            ("tick_ms".to_owned(), "10".to_owned()),
        ];
        values.extend(self.flags.iter().cloned());
        let flags = values
            .into_iter()
            .map(|(key, value)| (key.clone(), value, format!("--set {key}")))
            .collect();
        Ok(Config::load(&Sources {
            flags,
            ..Sources::default()
        })?)
    }

    /// Stops the node cleanly.
    pub async fn down(&mut self) -> Result<()> {
        match self.started.take() {
            Some(started) => Ok(started.stop().await?),
            None => Ok(()),
        }
    }

    /// The running node.
    pub fn node(&self) -> &Node {
        &self
            .started
            .as_ref()
            .expect("the test started this node")
            .node
    }

    /// Where the node's API listens for people.
    pub fn api(&self) -> Result<std::net::SocketAddr> {
        let started = self.started.as_ref().context("it is not started")?;
        let address = started.api_addresses.first().copied();
        address.context("the API listens nowhere")
    }

    /// Invites a person; returns the secret of the link.
    pub async fn invite(&self, nickname: &str, administrator: bool) -> Result<String> {
        let new = NewUser {
            client_id: format!("add-{nickname}"),
            nickname: nickname.to_owned(),
            name: None,
            administrator,
        };
        Ok(self.node().add_user(OPERATOR, new).await?.secret)
    }

    /// The company's id.
    pub async fn id(&self) -> Result<CompanyId> {
        Ok(self.node().company(OPERATOR).await?.id.parse()?)
    }

    /// Adds a person and signs them in.
    pub async fn person(&self, nickname: &str) -> Result<Caller> {
        self.person_with(nickname, false).await
    }

    /// The same, perhaps as an administrator.
    pub async fn person_with(&self, nickname: &str, administrator: bool) -> Result<Caller> {
        let redeem = Redeem {
            client_id: format!("login-{nickname}"),
            secret: self.invite(nickname, administrator).await?,
            device: "test".to_owned(),
            ..Redeem::default()
        };
        let session = self.node().redeem(redeem).await?;
        let caller = self
            .node()
            .authenticate(secret_hash(&session.token), Lang::En)
            .await?;
        caller.context("the new session is alive")
    }

    /// Makes a chat and returns its row.
    pub async fn chat(
        &self,
        by: Caller,
        kind: ChatKind,
        title: &str,
        people: &[&str],
    ) -> Result<Chat> {
        let new = NewChat {
            client_id: format!("chat-{title}-{}", people.join("-")),
            kind,
            title: (!title.is_empty()).then(|| title.to_owned()),
            people: people.iter().map(|name| (*name).to_owned()).collect(),
            from: None,
        };
        Ok(match self.node().new_chat(by, new).await? {
            Made::New(chat) | Made::Existing(chat) => chat,
        })
    }

    /// Posts a text; the text is its own client id.
    pub async fn post(&self, by: Caller, chat: &str, text: &str) -> Result<Message> {
        let message = SendMessage {
            client_id: text.chars().take(64).collect(),
            text: text.to_owned(),
            reply_to: None,
        };
        Ok(self
            .node()
            .send_message(by, chat.to_owned(), message)
            .await?)
    }

    /// The texts of the newest page, oldest first; deleted and service messages are left out.
    pub async fn texts(&self, by: Caller, chat: &str) -> Result<Vec<String>> {
        let query = MessagePageQuery {
            limit: Some(200),
            ..MessagePageQuery::default()
        };
        let page = self.node().messages(by, chat.to_owned(), query).await?;
        Ok(page
            .messages
            .into_iter()
            .filter(|message| message.service.is_none())
            .filter_map(|message| message.text)
            .collect())
    }

    pub async fn read_all(&self, by: Caller, chat: &str) -> Result<Chat> {
        let read = MarkRead {
            client_id: "read".to_owned(),
            up_to: None,
        };
        Ok(self.node().mark_read(by, chat.to_owned(), read).await?)
    }

    /// The chats of a person.
    pub async fn chats(&self, by: Caller) -> Result<Vec<Chat>> {
        Ok(self.node().chats(by, Default::default()).await?.items)
    }

    pub async fn pause(&self, partner: &str) -> Result<()> {
        self.node()
            .pause_partner(
                OPERATOR,
                partner.to_owned(),
                Repeatable {
                    client_id: "pause".to_owned(),
                },
            )
            .await?;
        Ok(())
    }

    pub async fn resume(&self, partner: &str) -> Result<()> {
        self.node()
            .resume_partner(
                OPERATOR,
                partner.to_owned(),
                Repeatable {
                    client_id: "resume".to_owned(),
                },
            )
            .await?;
        Ok(())
    }

    pub async fn is_linked(&self, partner: &str) -> Result<bool> {
        Ok(self
            .node()
            .partner(OPERATOR, partner.to_owned())
            .await?
            .connected)
    }
}

/// Pairs two companies with a real ticket and waits until they are linked.
pub async fn pair(inviter: &Company, invited: &Company) -> Result<()> {
    let invite = Invite {
        client_id: "invite".to_owned(),
        expires_in_s: None,
        alias: None,
    };
    let invitation = inviter.node().invite_partner(OPERATOR, invite).await?;
    let accept = AcceptInvitation {
        client_id: "accept".to_owned(),
        ticket: invitation.ticket,
        alias: None,
    };
    invited.node().accept_partner(OPERATOR, accept).await?;
    eventually(
        &format!("{} and {} are linked", inviter.name, invited.name),
        || async {
            Ok(inviter.is_linked(&invited.name).await? && invited.is_linked(&inviter.name).await?)
        },
    )
    .await
}

/// Waits until a condition holds, and says what was awaited if it does not.
pub async fn eventually<F, Fut>(awaited: &str, mut holds: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<bool>>,
{
    let began = Instant::now();
    let mut last = None;
    while began.elapsed() < DEADLINE {
        match holds().await {
            Ok(true) => return Ok(()),
            Ok(false) => last = None,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    match last {
        Some(error) => Err(error.context(format!("awaited in vain: {awaited}"))),
        None => bail!("awaited in vain for {DEADLINE:?}: {awaited}"),
    }
}

/// Fails with both sides when they differ.
pub fn check<T: PartialEq + std::fmt::Debug>(what: &str, seen: T, expected: T) -> Result<()> {
    ensure!(
        seen == expected,
        "{what}: saw {seen:?}, expected {expected:?}"
    );
    Ok(())
}
