//! Where a node can be reached, and where this node listens.
//!
//! Owns the spelling of addresses: people write `node.acme.example:4001`, tickets and logs carry the longer multiaddr form.
//! Names are resolved by the operating system at every dial and never remembered, so that a hosts file, a container
//! network or a changed record takes effect without a restart.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// How bytes travel. QUIC is tried first, TCP a moment later, the first that answers is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    Tcp,
    Quic,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
        })
    }
}

/// An address to dial. Parsed from `host:port` (both transports), `tcp://host:port`, `quic://host:port`, or a multiaddr such as
/// `/ip4/192.0.2.1/tcp/4001` and `/dns/node.acme.example/udp/4001/quic-v1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    host: Host,
    port: u16,
    transport: Option<Transport>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Host {
    Ip(IpAddr),
    Name(String),
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("{0:?} has no port: write host:port")]
    NoPort(String),
    #[error("{0:?} is not a host name or an IP address")]
    BadHost(String),
    #[error("{0:?} is not an address of a kind that Crossport dials (tcp or quic)")]
    Unsupported(String),
}

/// The longest name that DNS can carry (RFC 1035, section 2.3.4).
const MAX_NAME_CHARS: usize = 253;

/// Resolution that takes longer than this is counted as a failed dial.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(10);

/// Addresses tried in one dial. A name with more records than this is either a mistake or an attempt to make us knock
/// on many doors.
const MAX_DIAL_ADDRESSES: usize = 16;

impl Address {
    pub fn new(socket: SocketAddr, transport: Transport) -> Self {
        Self {
            host: Host::Ip(socket.ip()),
            port: socket.port(),
            transport: Some(transport),
        }
    }

    /// Reads what the transport reports. `None` for a kind that this node never opens.
    pub(super) fn of_multiaddr(address: &Multiaddr) -> Option<Self> {
        let mut parts = address.iter();
        let host = match parts.next()? {
            Protocol::Ip4(ip) => Host::Ip(ip.into()),
            Protocol::Ip6(ip) => Host::Ip(ip.into()),
            Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => {
                Host::Name(checked_name(&name)?)
            }
            _ => return None,
        };
        let (port, transport) = match parts.next()? {
            Protocol::Tcp(port) => (port, Transport::Tcp),
            Protocol::Udp(port) if parts.next() == Some(Protocol::QuicV1) => {
                (port, Transport::Quic)
            }
            _ => return None,
        };
        // Who answers is checked against the partner's key, so a peer id in the address adds nothing.
        match parts.next() {
            None | Some(Protocol::P2p(_)) => Some(Self {
                host,
                port,
                transport: Some(transport),
            }),
            Some(_) => None,
        }
    }

    pub fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// `None` if the address is a name.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        match self.host {
            Host::Ip(ip) => Some(ip),
            Host::Name(_) => None,
        }
    }

    /// The port is zero only in an address that was never bound.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Addresses as people write them, each place once with its transports: `192.0.2.1:8461 tcp, quic`. What is no address of
    /// ours stays as it is.
    pub fn for_people(addresses: &[String]) -> Vec<String> {
        let mut places: Vec<(String, Vec<Transport>)> = Vec::new();
        for text in addresses {
            let (place, transport) = match text.parse::<Self>() {
                Ok(address) => (address.place(), address.transport),
                Err(_) => (text.clone(), None),
            };
            let held = places.iter_mut().find(|(held, _)| *held == place);
            match held {
                Some((_, transports)) => transports.extend(transport),
                None => places.push((place, transport.into_iter().collect())),
            }
        }
        let shown = places.into_iter().map(|(place, mut transports)| {
            transports.sort_unstable();
            transports.dedup();
            let names: Vec<String> = transports.iter().map(Transport::to_string).collect();
            format!("{place} {}", names.join(", "))
                .trim_end()
                .to_owned()
        });
        shown.collect()
    }

    fn place(&self) -> String {
        match &self.host {
            Host::Ip(ip) => SocketAddr::new(*ip, self.port).to_string(),
            Host::Name(name) => format!("{name}:{}", self.port),
        }
    }

    fn multiaddrs(&self, ip: IpAddr) -> Vec<Multiaddr> {
        let transports = match self.transport {
            Some(transport) => vec![transport],
            None => vec![Transport::Quic, Transport::Tcp],
        };
        transports
            .into_iter()
            .map(|transport| socket_multiaddr(SocketAddr::new(ip, self.port), transport))
            .collect()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.starts_with('/') {
            let address = text
                .parse::<Multiaddr>()
                .map_err(|_| AddressError::Unsupported(text.to_owned()))?;
            return Self::of_multiaddr(&address)
                .ok_or_else(|| AddressError::Unsupported(text.to_owned()));
        }
        let (rest, transport) = split_scheme(text)?;
        let (host, port) = rest
            .rsplit_once(':')
            .ok_or_else(|| AddressError::NoPort(text.to_owned()))?;
        let port = port.parse::<u16>().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| AddressError::NoPort(text.to_owned()))?;
        let unbracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let host = match unbracketed.parse::<IpAddr>() {
            Ok(ip) => Host::Ip(ip),
            Err(_) => Host::Name(
                checked_name(host).ok_or_else(|| AddressError::BadHost(host.to_owned()))?,
            ),
        };
        Ok(Self {
            host,
            port,
            transport,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(transport) = self.transport else {
            return match &self.host {
                Host::Ip(ip) => write!(f, "{}", SocketAddr::new(*ip, self.port)),
                Host::Name(name) => write!(f, "{name}:{}", self.port),
            };
        };
        match &self.host {
            Host::Ip(IpAddr::V4(ip)) => write!(f, "/ip4/{ip}")?,
            Host::Ip(IpAddr::V6(ip)) => write!(f, "/ip6/{ip}")?,
            Host::Name(name) => write!(f, "/dns/{name}")?,
        }
        match transport {
            Transport::Tcp => write!(f, "/tcp/{}", self.port),
            Transport::Quic => write!(f, "/udp/{}/quic-v1", self.port),
        }
    }
}

/// Where to listen. A port of zero lets the system choose; the real one arrives as `NetworkEvent::Listening`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenAddress {
    pub socket: SocketAddr,
    /// `None` listens on both: TCP and UDP ports of the same number.
    pub transport: Option<Transport>,
}

impl ListenAddress {
    pub(super) fn multiaddrs(self) -> Vec<(Transport, Multiaddr)> {
        let transports = match self.transport {
            Some(transport) => vec![transport],
            None => vec![Transport::Tcp, Transport::Quic],
        };
        transports
            .into_iter()
            .map(|transport| (transport, socket_multiaddr(self.socket, transport)))
            .collect()
    }
}

impl FromStr for ListenAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (rest, transport) = split_scheme(text)?;
        let socket = rest
            .parse()
            .map_err(|_| AddressError::BadHost(text.to_owned()))?;
        Ok(Self { socket, transport })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            None => write!(f, "{}", self.socket),
            Some(transport) => write!(f, "{transport}://{}", self.socket),
        }
    }
}

/// Turns addresses into what the transport dials. Names that do not resolve are left out; if nothing is left, the dial fails.
pub(super) async fn resolve(addresses: &[Address]) -> Vec<Multiaddr> {
    let mut found = Vec::new();
    let all = async {
        for address in addresses {
            match &address.host {
                Host::Ip(ip) => found.extend(address.multiaddrs(*ip)),
                Host::Name(name) => {
                    match tokio::net::lookup_host((name.as_str(), address.port)).await {
                        Ok(sockets) => {
                            found.extend(sockets.flat_map(|socket| address.multiaddrs(socket.ip())))
                        }
                        Err(error) => tracing::debug!(%address, %error, "name does not resolve"),
                    }
                }
            }
        }
    };
    if tokio::time::timeout(RESOLVE_DEADLINE, all).await.is_err() {
        tracing::debug!("resolving names took too long, dialling what was found so far");
    }
    found.truncate(MAX_DIAL_ADDRESSES);
    found
}

pub(super) fn socket_multiaddr(socket: SocketAddr, transport: Transport) -> Multiaddr {
    let host = Multiaddr::from(socket.ip());
    match transport {
        Transport::Tcp => host.with(Protocol::Tcp(socket.port())),
        Transport::Quic => host
            .with(Protocol::Udp(socket.port()))
            .with(Protocol::QuicV1),
    }
}

fn split_scheme(text: &str) -> Result<(&str, Option<Transport>), AddressError> {
    match text.split_once("://") {
        None => Ok((text, None)),
        Some(("tcp", rest)) => Ok((rest, Some(Transport::Tcp))),
        Some(("quic", rest)) => Ok((rest, Some(Transport::Quic))),
        Some(_) => Err(AddressError::Unsupported(text.to_owned())),
    }
}

fn checked_name(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let good = !name.is_empty() && name.len() <= MAX_NAME_CHARS && name.chars().all(allowed);
    good.then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expected: &str) {
        let shown = match input.parse::<Address>() {
            Ok(address) => {
                let again = address.to_string().parse::<Address>();
                assert_eq!(
                    again.as_ref(),
                    Ok(&address),
                    "what is shown must parse to the same address"
                );
                address.to_string()
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn addresses_parse_once_and_print_the_same() {
        check("192.0.2.1:4001", "192.0.2.1:4001");
        check("[2001:db8::1]:4001", "[2001:db8::1]:4001");
        check("Node.Acme.Example:4001", "node.acme.example:4001");
        check("tcp://192.0.2.1:4001", "/ip4/192.0.2.1/tcp/4001");
        check(
            "quic://node.acme.example:4001",
            "/dns/node.acme.example/udp/4001/quic-v1",
        );
        check(
            "/ip6/2001:db8::1/udp/4001/quic-v1",
            "/ip6/2001:db8::1/udp/4001/quic-v1",
        );
        check(
            "/dns4/node.acme.example/tcp/4001",
            "/dns/node.acme.example/tcp/4001",
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        check(
            "node.acme.example",
            "\"node.acme.example\" has no port: write host:port",
        );
        check(
            "node.acme.example:0",
            "\"node.acme.example:0\" has no port: write host:port",
        );
        check(
            "node.acme.example:70000",
            "\"node.acme.example:70000\" has no port: write host:port",
        );
        check(
            "no de:4001",
            "\"no de\" is not a host name or an IP address",
        );
        check(
            "https://acme.example:443",
            "\"https://acme.example:443\" is not an address of a kind that Crossport dials (tcp or quic)",
        );
        check(
            "/memory/1",
            "\"/memory/1\" is not an address of a kind that Crossport dials (tcp or quic)",
        );
        check(
            "/ip4/192.0.2.1/udp/1/quic-v1/p2p-circuit",
            "\"/ip4/192.0.2.1/udp/1/quic-v1/p2p-circuit\" is not an address of a kind that Crossport dials (tcp or quic)",
        );
    }

    #[tokio::test]
    async fn a_plain_address_is_dialled_over_both_transports() {
        let addresses = ["127.0.0.1:4001".parse().expect("valid")];
        let found: Vec<String> = resolve(&addresses)
            .await
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            ["/ip4/127.0.0.1/udp/4001/quic-v1", "/ip4/127.0.0.1/tcp/4001"]
        );
    }
}
