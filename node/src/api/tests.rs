//! The API over real sockets, with a stand-in for the node behind it.
//!
//! What a use case does is tested where it is done; here is tested what a client can rely on whatever it asks for.

mod access;
mod client;
mod document;
mod double;
mod feeds;
mod guards;
mod logs;
mod refusals;
mod speed;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Server, Settings};
use client::Client;
use double::Double;

/// A server with a stand-in behind it, on a free port and a socket of its own.
struct World {
    node: Double,
    address: SocketAddr,
    folder: tempfile::TempDir,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl World {
    async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let node = Double::new();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let socket = folder.path().join("operator.sock");
        let server = Server::bind(node.clone(), &socket, &[any], settings)
            .await
            .expect("listens");
        let address = server.addresses().next().expect("one address");
        let stop = CancellationToken::new();
        let running = tokio::spawn(server.run(stop.clone()));
        Self {
            node,
            address,
            folder,
            stop,
            running,
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("operator.sock")
    }

    /// A connection of a person's program.
    async fn tcp(&self) -> Client {
        Client::tcp(self.address).await
    }

    /// A connection of an operator's program.
    async fn unix(&self) -> Client {
        Client::unix(&self.socket()).await
    }
}

/// Looks again and again until it holds; a test that waits in vain says for what.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(client::DEADLINE, looking).await;
    waited.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}
