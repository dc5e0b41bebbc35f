//! Limits of the HTTP server that an operator or a test may want to set otherwise.
//!
//! Owns the numbers and their reasons. It must not know where a configuration is read.

use std::time::Duration;

use super::types::FEED_KEEP_ALIVE_S;

/// Largest request body. The greatest text is 262,144 bytes, which JSON escapes can blow up sixfold only if it is
/// made of control characters; what people write stays far below.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Request line and headers together. Ours need less than one kilobyte; browsers add cookies of neighbours on one host.
pub const HEADER_BYTES_MAX: usize = 16 << 10;
/// Written to a feed at once: enough to carry hundreds of messages in one system call, little enough to stay fair.
pub const FEED_WRITE_BYTES: usize = 64 << 10;
/// Open feeds of one session: the tabs of a browser elect one leader, so this leaves room for a few programs.
pub const FEEDS_PER_SESSION_MAX: usize = 16;
/// Longest token that is looked at; ours have 43 to 64 characters.
pub const TOKEN_CHARS_MAX: usize = 256;

/// How the server guards itself.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host names under which people reach the node (of its base URL). IP addresses and `localhost` always work; other
    /// names are refused, so that a foreign page cannot reach the node through a name that it points here.
    pub hosts: Vec<String>,
    /// Where our own pages come from when a proxy sends another `Host`: scheme, host and port as browsers say them.
    pub origins: Vec<String>,
    /// People reach the node by `https`, through whatever holds the certificate: cookies are then bound to it.
    pub secure_cookies: bool,
    /// Listen for plain HTTP beyond this machine. Tokens and texts then cross the network readable, so it must be said.
    pub plain_beyond_loopback: bool,
    /// Requests of one session. A person makes a few; a load generator 10,000 a second: this stops only runaway loops.
    pub requests_per_s: u32,
    /// Requests of one session at once after a pause.
    pub request_burst: u32,
    /// Requests of one person in all sessions and with all tokens together: twice what one of them may.
    pub requests_per_s_of_person: u32,
    pub request_burst_of_person: u32,
    /// Logins and refused tokens of one address. Alive tokens are never held up by it: strangers cannot lock people out.
    pub stranger_requests_per_s: u32,
    pub stranger_burst: u32,
    /// Open connections of people. Each may hold some 300 KB of buffers; a person needs two.
    pub connections_max: usize,
    /// Open connections of operators, apart from the people's, so that an operator always gets in.
    pub operator_connections_max: usize,
    /// From the first byte waited for to the end of the headers; also how long an idle connection is kept.
    pub header_timeout: Duration,
    /// From the headers to the head of the answer, the body of the request included.
    pub request_timeout: Duration,
    /// A client that takes not one byte for that long is gone.
    pub write_stall_timeout: Duration,
    /// Comment line on a silent feed.
    pub feed_keep_alive: Duration,
    /// At the end, requests under way get that long to finish.
    pub shutdown_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            origins: Vec::new(),
            secure_cookies: false,
            plain_beyond_loopback: false,
            requests_per_s: 20_000,
            request_burst: 20_000,
            requests_per_s_of_person: 40_000,
            request_burst_of_person: 40_000,
            stranger_requests_per_s: 10,
            stranger_burst: 100,
            connections_max: 4096,
            operator_connections_max: 64,
            header_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(25),
            write_stall_timeout: Duration::from_secs(60),
            feed_keep_alive: Duration::from_secs(FEED_KEEP_ALIVE_S),
            shutdown_grace: Duration::from_secs(5),
        }
    }
}
