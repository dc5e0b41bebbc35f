//! The seam to the node that runs inside this process: start, init, stop.
//!
//! The only place where the command line touches a running node other than through its API. It must not know what a
//! node is made of.

use crate::errors::Failure;
use crossport_node::api::types::{Code, InitReport};
use crossport_node::config::Config;
use crossport_node::keystore::KeystoreError;
use crossport_node::node::{InitError, NodeError, StartedNode};
use crossport_node::say;
use crossport_node::texts::Texts;
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
                Failure::new(texts, Code::Failed, "signal").cause(error.to_string())
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
    if error.is_in_use() {
        return Failure::new(texts, Code::AlreadyRunning, "up").cause(error.to_string());
    }
    let (code, subject, next) = match error {
        NodeError::Init(InitError::NoName | InitError::BadName) => (
            Code::ConfigInvalid,
            "company",
            Some("crossport up --company NAME".to_owned()),
        ),
        NodeError::Init(InitError::Keys(error)) | NodeError::Keys(error) => of_keys(error),
        NodeError::Init(InitError::File { .. })
        | NodeError::File { .. }
        | NodeError::Identity(_) => (Code::FileFailed, "up", None),
        NodeError::Store(_) => (Code::StorageFailed, "up", None),
        NodeError::Network(_) | NodeError::Api(_) => (
            Code::ConfigInvalid,
            "up",
            Some(say!(texts, "up-address-try")),
        ),
        NodeError::Core => (Code::Failed, "up", None),
    };
    let failure = Failure::new(texts, code, subject).cause(error.to_string());
    match next {
        Some(next) => failure.try_next(next),
        None => failure,
    }
}

fn of_keys(error: &KeystoreError) -> (Code, &'static str, Option<String>) {
    match error {
        KeystoreError::Permissions { path, .. } => (
            Code::FileFailed,
            "up",
            Some(format!("chmod -R go-rwx '{}'", path.display())),
        ),
        KeystoreError::WrongPassphrase(_) | KeystoreError::NeedsPassphrase => {
            (Code::ConfigInvalid, "passphrase_file", None)
        }
        _ => (Code::FileFailed, "up", None),
    }
}
