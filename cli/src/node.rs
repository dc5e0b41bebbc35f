//! The seam to the node that runs inside this process: start, init, stop.
//!
//! The only place where the command line touches a running node other than through its API. It must not know what a
//! node is made of.

use crate::errors::Failure;
use crossport_node::api::ServeError;
use crossport_node::api::types::{Code, InitReport};
use crossport_node::config::Config;
use crossport_node::keystore::KeystoreError;
use crossport_node::network::{NetworkError, Transport};
use crossport_node::node::{InitError, NodeError, StartedNode};
use crossport_node::reasons;
use crossport_node::say;
use crossport_node::texts::Texts;
use std::path::Path;
use tokio::signal::unix::{SignalKind, signal};

/// A node that is ready.
#[derive(Debug)]
pub struct Running(StartedNode);

/// Starts the node of this configuration, making the company first where there is none; returns once it answers.
pub async fn start(config: Config, texts: &'static Texts) -> Result<Running, Failure> {
    crossport_node::node::start(config)
        .await
        .map(Running)
        .map_err(|error| failure(&error, texts))
}

/// Makes the company.
pub async fn init(config: Config, texts: &'static Texts) -> Result<InitReport, Failure> {
    let data_dir = config.data_dir.display().to_string();
    let created = crossport_node::node::init(&config)
        .map_err(|error| failure(&NodeError::Init(error), texts))?;
    let company =
        crossport_node::node::describe(&config).map_err(|error| failure(&error, texts))?;
    Ok(InitReport {
        company,
        data_dir,
        created,
    })
}

impl Running {
    /// Runs until SIGINT or SIGTERM, then stops cleanly. A failed disk ends it with a failure.
    pub async fn wait_for_signal(mut self, texts: &'static Texts) -> Result<(), Failure> {
        let handler = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(texts, Code::Failed, "signal")
                    .cause(texts.tell(&reasons::system(&error)))
            })
        };
        let (mut interrupt, mut terminate) = (
            handler(SignalKind::interrupt())?,
            handler(SignalKind::terminate())?,
        );
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            reason = self.0.ended() => {
                return Err(Failure::new(texts, Code::StorageFailed, "up").cause(reason));
            }
        }
        self.stop(texts).await
    }

    /// Stops cleanly: everything acknowledged is on disk.
    pub async fn stop(self, texts: &'static Texts) -> Result<(), Failure> {
        self.0.stop().await.map_err(|error| failure(&error, texts))
    }
}

fn failure(error: &NodeError, texts: &'static Texts) -> Failure {
    let (code, subject) = subject(error);
    let next = match error {
        _ if error.is_in_use() => None,
        NodeError::Init(InitError::NoName | InitError::BadName) => {
            Some("crossport up --company NAME".to_owned())
        }
        NodeError::Init(InitError::Keys(KeystoreError::Permissions { path, .. }))
        | NodeError::Keys(KeystoreError::Permissions { path, .. }) => {
            Some(format!("chmod -R go-rwx '{}'", path.display()))
        }
        NodeError::Network(_) | NodeError::Api(ServeError::Listen { .. }) => {
            Some(say!(texts, "up-address-try"))
        }
        NodeError::Api(ServeError::PlainBeyondLoopback(_)) => {
            Some("--api-listen 127.0.0.1:8460".to_owned())
        }
        _ => None,
    };
    let failure = Failure::new(texts, code, &subject).cause(texts.tell(&reasons::node(error)));
    match next {
        Some(next) => failure.try_next(next),
        None => failure,
    }
}

/// The code, and what its title names: a file, or a key of the configuration.
fn subject(error: &NodeError) -> (Code, String) {
    let file = |path: &Path| (Code::FileFailed, path.display().to_string());
    let config = |key: &str| (Code::ConfigInvalid, key.to_owned());
    match error {
        _ if error.is_in_use() => (Code::AlreadyRunning, "up".to_owned()),
        NodeError::Init(InitError::NoName | InitError::BadName) => config("company"),
        NodeError::Init(InitError::Keys(error)) | NodeError::Keys(error) => match error {
            KeystoreError::WrongPassphrase(_) | KeystoreError::NeedsPassphrase => {
                config("passphrase_file")
            }
            KeystoreError::Io { path, .. }
            | KeystoreError::Permissions { path, .. }
            | KeystoreError::NotAKeyring(path) => file(path),
            KeystoreError::Hash(_) | KeystoreError::Registers(_) => file(Path::new("keys")),
        },
        NodeError::Init(InitError::File { path, .. })
        | NodeError::File { path, .. }
        | NodeError::Identity(path) => file(path),
        NodeError::Store(_) => (Code::StorageFailed, "up".to_owned()),
        NodeError::Network(NetworkError::Listen { transport, .. }) => config(match transport {
            Transport::Tcp => "listen_tcp",
            Transport::Quic => "listen_quic",
        }),
        NodeError::Api(_) => config("api_listen"),
        NodeError::Network(_) | NodeError::Core => (Code::Failed, "up".to_owned()),
    }
}
