//! From a configuration to a running node, and back: making the company, opening everything in order, stopping cleanly.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossport_protocol::codec;
use crossport_protocol::identity::{IdentityDraft, IdentityLog, SignedIdentity, root_commitment};
use crossport_protocol::ids::CompanyId;
use crossport_protocol::replicator::{Config as ReplicatorConfig, Replicator};
use crossport_protocol::suite::Suite;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{CoreThread, INPUTS, Input, Node, fulfil};
use crate::api::types::Company;
use crate::api::{ServeError, Server, Settings};
use crate::config::Config;
use crate::core::{Core, Parts, now, random_array, time_text};
use crate::journal::JournalError;
use crate::keystore::{Keystore, KeystoreError};
use crate::metrics::Metrics;
use crate::network::{
    Address, ListenAddress, Network, NetworkConfig, NetworkError, NetworkEvent, NetworkEvents,
    Transport,
};
use crate::people::passwords::Hashing;
use crate::registers::RegistersError;
use crate::store::{Opened, Store, StoreError};

const KEYS: &str = "keys";
const STORE: &str = "store";
const COMPANY: &str = "company";
/// Characters of a company's name.
pub const NAME_CHARS_MAX: usize = 100;
/// Binding takes microseconds; a system that needs longer has other problems.
const LISTEN_WITHIN: Duration = Duration::from_secs(5);
/// Everything that was asked before the stop is finished within this.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Why a node did not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error(transparent)]
    Init(#[from] InitError),
    #[error(transparent)]
    Keys(#[from] KeystoreError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Api(#[from] ServeError),
    #[error("{path}: {cause}")]
    File {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("the identity file {0} is damaged")]
    Identity(PathBuf),
    #[error("the core thread ended unexpectedly")]
    Core,
}

impl NodeError {
    /// Another process runs this node.
    pub fn is_in_use(&self) -> bool {
        let registers = |error: &RegistersError| matches!(error, RegistersError::InUse { .. });
        match self {
            NodeError::Init(InitError::Keys(KeystoreError::Registers(error)))
            | NodeError::Keys(KeystoreError::Registers(error))
            | NodeError::Store(StoreError::Registers(error)) => registers(error),
            NodeError::Store(StoreError::Journal(JournalError::InUse { .. })) => true,
            _ => false,
        }
    }
}

/// Why a company could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("a new company needs a name")]
    NoName,
    #[error("a company's name has 1 to {NAME_CHARS_MAX} characters on one line")]
    BadName,
    #[error(transparent)]
    Keys(#[from] KeystoreError),
    #[error("{path}: {cause}")]
    File {
        path: PathBuf,
        cause: std::io::Error,
    },
}

/// Makes the company in the data folder if there is none. True when it was made now.
pub fn init(config: &Config) -> Result<bool, InitError> {
    let file = |path: &std::path::Path| {
        let path = path.to_owned();
        move |cause| InitError::File { path, cause }
    };
    let keys = config.data_dir.join(KEYS);
    let identity = config.data_dir.join(COMPANY);
    if identity.exists() {
        return Ok(false);
    }
    let name = config
        .company
        .as_deref()
        .map(str::trim)
        .ok_or(InitError::NoName)?;
    if name.is_empty()
        || name.chars().count() > NAME_CHARS_MAX
        || name.chars().any(char::is_control)
    {
        return Err(InitError::BadName);
    }
    make_private_folder(&config.data_dir).map_err(file(&config.data_dir))?;
    let passphrase = passphrase(config).map_err(file(&config.data_dir))?;
    let keystore = if Keystore::exists(&keys) {
        Keystore::open(&keys, passphrase.as_deref())?
    } else {
        Keystore::create(&keys, passphrase.as_deref())?
    };
    let suite = Suite::Ed25519;
    let draft = IdentityDraft {
        time: now(),
        name: name.to_owned(),
        domains: Vec::new(),
        node_keys: vec![keystore.node.public(suite)],
        next_root: root_commitment(&keystore.root.public(suite)),
    };
    let log = IdentityLog::create(suite, &keystore.root, draft);
    let records: Vec<SignedIdentity> = log.records().cloned().collect();
    write_atomically(&identity, &codec::encode(&(log.company(), records)))
        .map_err(file(&identity))?;
    Ok(true)
}

/// What can be said of the company without starting its node.
pub fn describe(config: &Config) -> Result<Company, NodeError> {
    let path = config.data_dir.join(COMPANY);
    let (id, records) = read_identity(&path)?;
    let log = IdentityLog::read(Suite::Ed25519, id, &records)
        .map_err(|_| NodeError::Identity(path.clone()))?;
    let latest = log.latest().ok_or(NodeError::Identity(path))?;
    let created = log
        .records()
        .next()
        .and_then(|record| record.decode_header().ok());
    Ok(Company {
        id: id.to_string(),
        name: latest.name.clone(),
        fingerprint_words: crate::partners::words(&id),
        node: latest
            .node_keys
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
        addresses: config.announce.clone(),
        created_at: time_text(created.map_or(latest.time, |header| header.time)),
    })
}

fn make_private_folder(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

fn write_atomically(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let temporary = path.with_extension("new");
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    std::fs::File::open(path.parent().unwrap_or(path))?.sync_all()
}

fn passphrase(config: &Config) -> std::io::Result<Option<String>> {
    let Some(path) = &config.passphrase_file else {
        return Ok(None);
    };
    Ok(Some(
        std::fs::read_to_string(path)?
            .trim_end_matches(['\r', '\n'])
            .to_owned(),
    ))
}

/// A node that is up. Dropping it does not stop it; [`StartedNode::stop`] does.
#[derive(Debug)]
pub struct StartedNode {
    pub node: Node,
    stop: CancellationToken,
    /// Where the person plane listens.
    pub api_addresses: Vec<SocketAddr>,
    ended: watch::Receiver<Option<Arc<str>>>,
    thread: Option<std::thread::JoinHandle<Result<(), StoreError>>>,
    api: tokio::task::JoinHandle<()>,
}

/// Starts a node: returns when it answers. Must be called within a tokio runtime.
pub async fn start(config: Config) -> Result<StartedNode, NodeError> {
    init(&config)?;
    let metrics = Metrics::new();
    let prepared = {
        let (config, metrics) = (config.clone(), metrics.clone());
        tokio::task::spawn_blocking(move || prepare(config, metrics))
            .await
            .map_err(|_| NodeError::Core)??
    };
    let signed_in = prepared.signed_in.clone();
    let (network, mut events) = start_network(&config, &prepared)?;
    let listening = first_addresses(&mut events, &config).await;
    let (inputs, receiver) = mpsc::channel(INPUTS);
    let (wishes, wish_receiver) = mpsc::unbounded_channel();
    let (ended_sender, ended) = watch::channel(None);
    let journal = prepared.store.reader();
    tokio::spawn(fulfil(network.clone(), wish_receiver));
    tokio::spawn(forward(events, inputs.clone()));
    tokio::spawn(tick(Duration::from_millis(config.tick_ms), inputs.clone()));
    let mut core = prepared;
    core.listening = listening;
    let thread = CoreThread {
        core,
        inputs: receiver,
        wishes,
        nodes: Default::default(),
        waiting: Default::default(),
        sending: super::sending::Sending::new(network.clone(), inputs.downgrade()),
    };
    let handle = std::thread::Builder::new()
        .name("core".to_owned())
        .spawn(move || {
            let ended = thread.run();
            let reason = ended
                .as_ref()
                .err()
                .map(ToString::to_string)
                .unwrap_or_default();
            ended_sender.send_replace(Some(Arc::from(reason)));
            ended
        });
    let handle = handle.map_err(|cause| NodeError::File {
        path: config.data_dir.clone(),
        cause,
    })?;
    let node = Node {
        inputs,
        network,
        signed_in,
        hashing: Hashing::default(),
        metrics,
        journal,
        stopped: ended.clone(),
    };
    let stop = CancellationToken::new();
    let (api, addresses) = serve(node.clone(), &config, stop.clone()).await?;
    Ok(StartedNode {
        node,
        stop,
        api_addresses: addresses,
        ended,
        thread: Some(handle),
        api,
    })
}

/// Starts the API: on the operators' socket and for people on TCP.
async fn serve(
    node: Node,
    config: &Config,
    stop: CancellationToken,
) -> Result<(tokio::task::JoinHandle<()>, Vec<SocketAddr>), NodeError> {
    let hosts = config
        .api_url
        .split("://")
        .nth(1)
        .and_then(|rest| rest.split(['/', ':']).next())
        .map(str::to_owned);
    // As browsers name it: without a path.
    let origin = config.api_url.splitn(4, '/').take(3).collect::<Vec<_>>();
    let settings = Settings {
        origins: vec![origin.join("/")],
        hosts: hosts.into_iter().collect(),
        secure_cookies: config.api_url.starts_with("https://"),
        ..Settings::default()
    };
    let server = Server::bind(
        node.clone(),
        &config.operator_socket(),
        &[config.api_listen],
        settings,
    )
    .await?;
    let addresses: Vec<SocketAddr> = server.addresses().collect();
    if let Some(address) = addresses.first() {
        node.listens_at(*address).await;
    }
    Ok((tokio::spawn(server.run(stop)), addresses))
}

/// Opens keys and store and brings everything up to the journal's end.
fn prepare(config: Config, metrics: Metrics) -> Result<Core, NodeError> {
    let passphrase = passphrase(&config).map_err(|cause| NodeError::File {
        path: config.data_dir.clone(),
        cause,
    })?;
    let mut keystore = Keystore::open(&config.data_dir.join(KEYS), passphrase.as_deref())?;
    let (company, records) = read_identity(&config.data_dir.join(COMPANY))?;
    let options = crate::store::Options {
        journal: crate::journal::Options {
            segment_bytes: config.journal_segment_mib.saturating_mul(1024 * 1024),
            ..Default::default()
        },
        index_cache_bytes: usize::try_from(config.index_cache_mib)
            .unwrap_or(usize::MAX)
            .saturating_mul(1024 * 1024),
    };
    let folder = config.data_dir.join(STORE);
    let (store, opened) = Store::open(
        &folder,
        keystore.journal_key(),
        keystore.registers_key(),
        options,
    )?;
    report(&opened);
    let identity = IdentityLog::read(Suite::Ed25519, company, &records)
        .map_err(|_| NodeError::Identity(config.data_dir.join(COMPANY)))?;
    let generation = opened.generation;
    let replicator = make_replicator(&mut keystore, identity, opened)?;
    let boot = u64::from_le_bytes(random_array());
    let mut core = Core::new(Parts {
        config,
        replicator,
        store,
        keystore,
        metrics,
        boot,
        generation,
    });
    core.catch_up_with_journal(&|done, total| {
        tracing::info!(done, total, "bringing the index up to the journal")
    })?;
    Ok(core)
}

fn report(opened: &Opened) {
    if let Some(reason) = &opened.index_rebuilt {
        tracing::warn!(%reason, "the index is rebuilt from the journal");
    }
    if !opened.continuity {
        tracing::warn!(
            "this may be a restored copy: new messages continue in new streams, lost ones are asked back from partners"
        );
    }
}

/// A replicator with its keys and without any chat.
pub(crate) fn bare_replicator(
    keystore: &mut Keystore,
    identity: IdentityLog,
    generation: u64,
    continuity: bool,
) -> Result<Replicator, KeystoreError> {
    let prekeys = keystore.prekeys(now())?;
    let node = keystore.node.clone();
    let config = ReplicatorConfig {
        suite: Suite::Ed25519,
        identity,
        node,
        generation,
        continuity,
        prekeys,
    };
    let mut replicator = Replicator::new(config);
    for (chat, epoch, key) in keystore.epochs() {
        replicator.restore_key(chat, epoch, key);
    }
    Ok(replicator)
}

/// A replicator with everything that the store remembers; what the index lacks is replayed after.
fn make_replicator(
    keystore: &mut Keystore,
    identity: IdentityLog,
    opened: Opened,
) -> Result<Replicator, KeystoreError> {
    let mut replicator = bare_replicator(keystore, identity, opened.generation, opened.continuity)?;
    for (company, records) in opened.identities {
        replicator.restore_identity(company, &records);
    }
    for core in opened.chats {
        replicator.restore_chat(core);
    }
    replicator.restore_clock(opened.clock);
    for (partner, until) in opened.exposures {
        replicator.restore_exposure(partner, until);
    }
    Ok(replicator)
}

fn read_identity(path: &std::path::Path) -> Result<(CompanyId, Vec<SignedIdentity>), NodeError> {
    const BYTES_MAX: usize = 1024 * 1024;
    let bytes = std::fs::read(path).map_err(|cause| NodeError::File {
        path: path.to_owned(),
        cause,
    })?;
    codec::decode(&bytes, BYTES_MAX).map_err(|_| NodeError::Identity(path.to_owned()))
}

fn start_network(
    config: &Config,
    core: &Core,
) -> Result<(crate::network::NetworkHandle, NetworkEvents), NodeError> {
    let tcp = config.listen_tcp.map(|socket| ListenAddress {
        socket,
        transport: Some(Transport::Tcp),
    });
    let quic = config.listen_quic.map(|socket| ListenAddress {
        socket,
        transport: Some(Transport::Quic),
    });
    let listen = [tcp, quic].into_iter().flatten().collect();
    Ok(Network::start(NetworkConfig::new(
        *core.keystore.node.expose(),
        listen,
    ))?)
}

/// Waits until every transport listens: before, tickets would carry no address.
async fn first_addresses(events: &mut NetworkEvents, config: &Config) -> Vec<String> {
    let wanted = usize::from(config.listen_tcp.is_some())
        .saturating_add(usize::from(config.listen_quic.is_some()));
    let mut found: Vec<Address> = Vec::new();
    let all = async {
        let transports = |found: &[Address]| {
            let mut transports: Vec<_> = found.iter().filter_map(Address::transport).collect();
            transports.sort_unstable();
            transports.dedup();
            transports.len()
        };
        // Without partners nothing else can happen yet: strangers' requests wait behind these events.
        while transports(&found) < wanted {
            match events.recv().await {
                Some(NetworkEvent::Listening { address }) => found.push(address),
                Some(_) => {}
                None => break,
            }
        }
    };
    if tokio::time::timeout(LISTEN_WITHIN, all).await.is_err() {
        tracing::warn!("not every address is listened at yet");
    }
    found.iter().map(ToString::to_string).collect()
}

async fn forward(mut events: NetworkEvents, inputs: mpsc::Sender<Input>) {
    while let Some(event) = events.recv().await {
        if inputs.send(Input::Network(event)).await.is_err() {
            return;
        }
    }
}

async fn tick(every: Duration, inputs: mpsc::Sender<Input>) {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if inputs.send(Input::Tick).await.is_err() {
            return;
        }
    }
}

impl StartedNode {
    /// Waits until the node ends by itself, which it does only when its disk fails.
    pub async fn ended(&mut self) -> String {
        let reason = self.ended.wait_for(Option::is_some).await;
        reason
            .ok()
            .and_then(|reason| reason.as_deref().map(str::to_owned))
            .unwrap_or_default()
    }

    /// Stops cleanly: everything acknowledged is on disk, partners see the link end.
    pub async fn stop(mut self) -> Result<(), NodeError> {
        self.stop.cancel();
        // The core may have ended by itself; its result below tells why.
        drop(self.node.inputs.send(Input::Stop).await);
        let thread = self.thread.take();
        let joined = tokio::task::spawn_blocking(move || thread.map(std::thread::JoinHandle::join));
        let joined = tokio::time::timeout(STOP_WITHIN, joined).await;
        self.node.network.shutdown().await;
        // The server ends by itself within its grace; a panic in it was logged where it happened.
        drop(self.api.await);
        match joined {
            Ok(Ok(Some(Ok(result)))) => Ok(result?),
            _ => Err(NodeError::Core),
        }
    }
}
