//! The seam to the node that runs inside this process: start, init, stop.
//!
//! The only place where the command line touches a running node other than through its API. It must not know what a
//! node is made of.

use crate::errors::Failure;
use crossport_node::api::types::{Code, InitReport};
use crossport_node::config::Config;
use crossport_node::texts::Texts;

/// A node that is ready.
#[derive(Debug)]
pub enum Running {}

/// Starts the node of this configuration, making the company first where there is none; returns once it answers.
pub async fn start(_config: Config, texts: &'static Texts) -> Result<Running, Failure> {
    Err(Failure::new(texts, Code::NotReady, "up").cause("this build has no node yet"))
}

/// Makes the company.
pub async fn init(_config: Config, texts: &'static Texts) -> Result<InitReport, Failure> {
    Err(Failure::new(texts, Code::NotReady, "init").cause("this build has no node yet"))
}

impl Running {
    /// Runs until SIGINT or SIGTERM, then stops cleanly. A failed disk ends it with a failure.
    pub async fn wait_for_signal(self, _texts: &'static Texts) -> Result<(), Failure> {
        match self {}
    }

    /// Stops cleanly: everything acknowledged is on disk.
    pub async fn stop(self, _texts: &'static Texts) -> Result<(), Failure> {
        match self {}
    }
}
