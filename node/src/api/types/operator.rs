//! What the operator's plane speaks: the node, its partners, its users. Never a text or title of a chat.

use super::Person;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The own company: what others compare before they trust it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Company {
    pub id: String,
    pub name: String,
    /// Read out over the telephone to compare.
    pub fingerprint_words: Vec<String>,
    /// Public node key as libp2p peer id.
    pub node: String,
    /// Multiaddresses that a ticket carries.
    pub addresses: Vec<String>,
    pub created_at: String,
}

/// `crossport init --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InitReport {
    pub company: Company,
    pub data_dir: String,
    /// False if the company was already there.
    pub created: bool,
}

/// `GET /v0/operator/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    pub version: String,
    pub company: Company,
    pub data_dir: String,
    /// Base URL of the person plane, `http://127.0.0.1:8460`.
    pub api: String,
    pub started_at: String,
    pub ready: bool,
    pub partners: Vec<PartnerLine>,
    pub users: u32,
    pub chats: u32,
    pub journal: JournalStatus,
    pub index: IndexStatus,
}

/// One partner in the status, without details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartnerLine {
    pub id: String,
    pub name: String,
    pub state: PartnerState,
    pub connected: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_delivered_since: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JournalStatus {
    pub bytes: u64,
    /// Free space of that file system.
    pub free_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexStatus {
    /// Journal records that the index does not carry yet.
    pub lag_records: u64,
    /// A rebuild is under way.
    pub rebuilding: bool,
}

/// `GET /v0/operator/doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Doctor {
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// `disk`, `clock`, `listen`, `permissions`, `partner globex` ...
    pub name: String,
    pub verdict: Verdict,
    pub detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub try_next: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ok,
    Warning,
    Failed,
}

/// Where a partnership stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartnerState {
    /// This side approved, the other has not answered yet.
    Waiting,
    /// Both approved.
    Active,
    /// Approved, but this side sends and takes nothing for now.
    Paused,
    /// Asked without a valid ticket; nothing is taken from it.
    Quarantined,
    Removed,
}

/// A partner company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Partner {
    pub id: String,
    /// As the company calls itself.
    pub name: String,
    /// As this company calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    pub state: PartnerState,
    pub fingerprint_words: Vec<String>,
    /// When people compared the words; absent = never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<String>,
    pub addresses: Vec<String>,
    pub connected: bool,
    /// `tcp` or `quic`, while connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<String>,
    /// Chats shared with it.
    pub chats: u32,
    /// The oldest thing it lacks is that old; absent = it has everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_delivered_since: Option<String>,
    /// Refused frames by reason, since the node started.
    #[serde(default)]
    pub refusals: std::collections::BTreeMap<String, u64>,
    pub since: String,
}

/// `POST /v0/operator/partners/invitations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    pub client_id: String,
    /// 60 to 2,592,000 (30 days); 86,400 (a day) if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// How this company will call the partner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// A ticket to hand over. Whoever has it may pair once, so it travels as a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    pub ticket: String,
    pub expires_at: String,
    /// Own fingerprint words, for `partner verify` at the other side.
    pub fingerprint_words: Vec<String>,
    pub addresses: Vec<String>,
}

impl std::fmt::Debug for Invitation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Invitation")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// `POST /v0/operator/partners/accept`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    pub client_id: String,
    pub ticket: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

impl std::fmt::Debug for AcceptInvitation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AcceptInvitation")
            .field("alias", &self.alias)
            .finish_non_exhaustive()
    }
}

/// `POST /v0/operator/partners/{partner}/verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyPartner {
    pub client_id: String,
    /// The words as the partner's people read them out.
    pub words: Vec<String>,
}

/// `POST /v0/operator/partners/{partner}/ping`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ping {
    pub partner: String,
    pub round_trip_us: u64,
    pub transport: String,
    pub address: String,
}

/// `POST /v0/operator/users`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    pub client_id: String,
    /// 1 to 32 characters of `a-z 0-9 . _ -`, unique in the company, never reused.
    pub nickname: String,
    /// Full name; the nickname if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default)]
    pub administrator: bool,
}

/// A person of this company, as the operator sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    pub person: Person,
    pub administrator: bool,
    /// Has redeemed an activation secret.
    pub activated: bool,
    /// Devices that are signed in.
    pub sessions: u32,
    pub created_at: String,
}

/// A user and the one-time secret that opens their account. Shown once, kept only as a hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserActivation {
    pub user: User,
    pub secret: String,
    /// `<base URL of the person plane>/#<secret>`: what `crossport login` and the web client take.
    pub link: String,
    pub expires_at: String,
}

impl std::fmt::Debug for UserActivation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("UserActivation")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Where a long work stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

/// `POST /v0/operator/verify`: the whole journal, every signature, chain and cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyReport {
    pub records: u64,
    pub envelopes: u64,
    pub signatures: u64,
    pub chats: u64,
    /// Empty = all is well; the first 100 are listed.
    pub faults: Vec<Fault>,
    pub faults_total: u64,
    pub took_ms: u64,
}

/// Something that did not verify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// Segment and offset in the journal.
    pub place: String,
    /// Envelope or chat concerned, if it can still be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Stable name of the reason, `bad_signature` ...
    pub reason: String,
}

/// `POST /v0/operator/rebuild`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RebuildReport {
    pub records: u64,
    pub messages: u64,
    pub took_ms: u64,
}

/// `GET /v0/operator/config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigReport {
    /// In the order of the reference page.
    pub entries: Vec<ConfigEntry>,
}

/// One value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigEntry {
    pub key: String,
    pub value: String,
    /// `default`, `file /path/crossport.toml`, `environment CROSSPORT_...`, `flag --...`.
    pub origin: String,
}

/// One administrative act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    pub at: String,
    /// `operator uid 1000`, or a person.
    pub who: String,
    /// `user.add`, `user.reset`, `partner.pause` ...
    pub what: String,
    /// Whom or what it concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}
