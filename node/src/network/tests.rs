//! Networks that speak to each other over real sockets on loopback.
//!
//! Waiting is always for a condition with a deadline, never for a time to pass.

mod hostile;
mod mallory;
mod sessions;
mod strangers;
mod throughput;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::*;

/// Generous, because tests share two cores; a passing test never waits for it.
const DEADLINE: Duration = Duration::from_secs(30);

struct Node {
    handle: NetworkHandle,
    events: NetworkEvents,
    /// What was heard while waiting for something else.
    passed_over: Vec<String>,
}

/// Secrets of test nodes: one byte names a node, and anna's key is the lesser one of each pair that a test makes.
fn start(secret: u8, listen: &[&str], limits: NetworkLimits) -> Node {
    try_start(secret, listen, limits).expect("loopback addresses can be bound")
}

fn try_start(secret: u8, listen: &[&str], limits: NetworkLimits) -> Result<Node, NetworkError> {
    let listen = listen
        .iter()
        .map(|address| address.parse().expect("a listen address"))
        .collect();
    let (handle, events) = Network::start(NetworkConfig {
        limits,
        ..NetworkConfig::new([secret; 32], listen)
    })?;
    Ok(Node {
        handle,
        events,
        passed_over: Vec::new(),
    })
}

/// Limits under which tests that fail connections on purpose do not wait for long.
fn quick() -> NetworkLimits {
    NetworkLimits {
        redial_first: Duration::from_millis(50),
        redial_longest: Duration::from_millis(400),
        address_burst: 10_000,
        address_per_second: 10_000,
        ..NetworkLimits::default()
    }
}

impl Node {
    fn key(&self) -> NodeKey {
        self.handle.key()
    }

    /// The first address of this kind that the node listens on.
    async fn address(&mut self, transport: Transport) -> Address {
        let found = |address: &Address| address.transport() == Some(transport);
        if let Some(address) = self.handle.addresses().into_iter().find(found) {
            return address;
        }
        self.hear("an address to listen on", |event| match event {
            NetworkEvent::Listening { address } if found(address) => Some(address.clone()),
            _ => None,
        })
        .await
    }

    /// Takes events until one satisfies `pick`.
    async fn hear<T>(
        &mut self,
        what: impl fmt::Display,
        mut pick: impl FnMut(&NetworkEvent) -> Option<T>,
    ) -> T {
        let heard = async {
            loop {
                let event = self.events.recv().await.expect("the network runs");
                if let Some(picked) = pick(&event) {
                    return picked;
                }
                self.passed_over
                    .push(format!("{event:?}").chars().take(200).collect());
            }
        };
        let heard = tokio::time::timeout(DEADLINE, heard).await;
        heard.unwrap_or_else(|_| {
            panic!(
                "waited in vain for {what}; heard instead: {:#?}",
                self.passed_over
            )
        })
    }

    async fn up(&mut self, key: NodeKey) -> u64 {
        self.hear("a partner to come up", |event| match event {
            NetworkEvent::PartnerUp {
                key: found, link, ..
            } if *found == key => Some(*link),
            _ => None,
        })
        .await
    }

    async fn down(&mut self, key: NodeKey) -> DownReason {
        self.hear("a partner to go down", |event| match event {
            NetworkEvent::PartnerDown {
                key: found, reason, ..
            } if *found == key => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    async fn frame(&mut self, key: NodeKey) -> Bytes {
        self.hear("a frame", |event| match event {
            NetworkEvent::Frame {
                key: found, bytes, ..
            } if *found == key => Some(bytes.clone()),
            _ => None,
        })
        .await
    }

    async fn refused(&mut self, reason: RefusedReason) {
        self.hear(format!("a refusal: {reason}"), |event| match event {
            NetworkEvent::Refused { reason: found, .. } if *found == reason => Some(()),
            _ => None,
        })
        .await;
    }

    /// Queues a frame, waiting while the queue is full.
    async fn send(&self, key: NodeKey, frame: Bytes) {
        let sent = until(|| match self.handle.send(key, frame.clone()) {
            Ok(()) => Some(()),
            Err(SendError::QueueFull) => None,
            Err(error) => panic!("not sent: {error}"),
        });
        sent.await;
    }

    async fn partner(&self, key: NodeKey, addresses: Vec<Address>) {
        self.handle
            .set_partner(key, addresses)
            .await
            .expect("a valid partner");
    }

    fn refusals(&self, reason: RefusedReason) -> u64 {
        self.handle
            .counters()
            .refused
            .get(&reason)
            .copied()
            .unwrap_or_default()
    }
}

/// Asks again until there is an answer.
async fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, asking)
        .await
        .expect("the condition came true in time")
}

/// Two nodes, up with each other: anna listens, boris dials.
async fn pair_of(
    transport: Transport,
    anna_limits: NetworkLimits,
    boris_limits: NetworkLimits,
) -> (Node, Node) {
    let listen = match transport {
        Transport::Tcp => "tcp://127.0.0.1:0",
        Transport::Quic => "quic://127.0.0.1:0",
    };
    let mut anna = start(1, &[listen], anna_limits);
    let mut boris = start(2, &[], boris_limits);
    let address = anna.address(transport).await;
    anna.partner(boris.key(), vec![]).await;
    boris.partner(anna.key(), vec![address]).await;
    boris.up(anna.key()).await;
    anna.up(boris.key()).await;
    (anna, boris)
}
