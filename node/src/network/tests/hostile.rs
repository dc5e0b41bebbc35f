//! Peers that do not behave. Each is refused for a typed, counted reason, and an honest partner is still answered.

use std::time::Instant;

use futures::{AsyncReadExt, AsyncWriteExt};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::mallory::{Mallory, Raw, propose, read_to_end};
use super::*;

/// Mallory's secrets are chosen so that her key is greater than anna's: the verdict is anna's.
const MALLORY: u8 = 4;

/// Anna with an honest partner, boris, that is up.
async fn anna_and_boris(limits: NetworkLimits) -> (Node, Node, Address) {
    let (mut anna, boris) = pair_of(Transport::Tcp, limits, quick()).await;
    let address = anna.address(Transport::Tcp).await;
    (anna, boris, address)
}

/// Boris is answered, and no more than ten times slower than a quiet network allows, with room for a busy machine.
async fn answers(anna: &Node, boris: &Node) {
    let started = Instant::now();
    boris.handle.ping(anna.key()).await.expect("anna answers");
    let took = started.elapsed();
    assert!(
        took < Duration::from_secs(2),
        "an honest ping took {took:?}"
    );
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("linux");
    let pages = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("a number of pages") * 4_096
}

/// Opens streams as fast as it can, connecting again whenever it is thrown out.
async fn open_many(mallory: &Mallory, address: &Address, count: usize, protocol: &str) {
    let proposal = propose(protocol);
    let mut opened = 0;
    while opened < count {
        let raw = in_time("connecting", mallory.connect(address)).await;
        let Some(raw) = raw else {
            opened += 1;
            continue;
        };
        let mut held = Vec::new();
        while opened < count {
            opened += 1;
            let stream = in_time("opening", raw.stream()).await;
            let Some(mut stream) = stream else { break };
            if in_time("writing", stream.write_all(&proposal))
                .await
                .is_err()
            {
                break;
            }
            held.push(stream);
            // Half are given up at once, half are held open.
            if opened % 2 == 0 {
                held.pop();
            }
        }
    }
}

async fn in_time<T>(what: &str, step: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(DEADLINE, step).await;
    done.unwrap_or_else(|_| panic!("{what} takes for ever"))
}

async fn survives_a_flood_of_streams(partner: bool, protocol: &str) {
    const OPENS: usize = 20_000;
    const BOUND: u64 = 192 << 20;
    let (mut anna, boris, address) = anna_and_boris(quick()).await;
    let mallory = Mallory::new(MALLORY);
    if partner {
        anna.partner(mallory.key(), vec![]).await;
    }
    let before = resident_bytes();
    let flood = open_many(&mallory, &address, OPENS, protocol);
    tokio::pin!(flood);
    let mut grown = 0;
    let mut slowest = Duration::ZERO;
    loop {
        tokio::select! {
            () = &mut flood => break,
            round_trip = boris.handle.ping(anna.key()) => {
                slowest = slowest.max(round_trip.expect("anna answers during the flood"));
                grown = grown.max(resident_bytes().saturating_sub(before));
                // Reports are taken as a node would.
                while anna.events.try_recv().is_ok() {}
            }
        }
    }
    answers(&anna, &boris).await;
    eprintln!(
        "{OPENS} opens of {protocol}: grown by {grown} bytes, slowest honest ping {slowest:?}"
    );
    assert!(grown < BOUND, "memory grew by {grown} bytes");
    assert!(
        slowest < Duration::from_secs(2),
        "an honest ping took {slowest:?}"
    );
    assert!(
        anna.refusals(RefusedReason::StreamFlood) > 0,
        "{:?}",
        anna.handle.counters()
    );
    assert_eq!(anna.handle.counters().panics, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_floods_streams_is_disconnected() {
    survives_a_flood_of_streams(true, "/crossport/session/0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_floods_streams_is_disconnected() {
    survives_a_flood_of_streams(false, "/crossport/pair/0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_opened_and_silent_is_closed() {
    let limits = NetworkLimits {
        session_handshake: Duration::from_millis(300),
        ..quick()
    };
    let (mut anna, boris, address) = anna_and_boris(limits).await;
    let mallory = Mallory::new(MALLORY);
    anna.partner(mallory.key(), vec![]).await;
    let mut raw = mallory
        .connect(&address)
        .await
        .expect("a partner is admitted");
    let mut stream = raw
        .speak("/crossport/session/0")
        .await
        .expect("a session is offered");
    assert_eq!(read_to_end(&mut stream).await, b"");
    anna.refused(RefusedReason::SilentStream).await;
    raw.closed().await;
    answers(&anna, &boris).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_connects_and_says_nothing_is_closed() {
    let limits = NetworkLimits {
        session_handshake: Duration::from_millis(300),
        ..quick()
    };
    let (mut anna, boris, address) = anna_and_boris(limits).await;
    let mallory = Mallory::new(MALLORY);
    anna.partner(mallory.key(), vec![]).await;
    let mut raw = mallory
        .connect(&address)
        .await
        .expect("a partner is admitted");
    raw.closed().await;
    anna.refused(RefusedReason::SilentStream).await;
    answers(&anna, &boris).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_lingers_is_closed() {
    let limits = NetworkLimits {
        stranger_lifetime: Duration::from_millis(300),
        stranger_idle: Duration::from_secs(3600),
        ..quick()
    };
    let (anna, boris, address) = anna_and_boris(limits).await;
    let mut raw = Mallory::new(MALLORY)
        .connect(&address)
        .await
        .expect("there is room");
    raw.closed().await;
    answers(&anna, &boris).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_handshake_is_closed() {
    let limits = NetworkLimits {
        handshake: Duration::from_millis(300),
        ..quick()
    };
    let (mut anna, boris, address) = anna_and_boris(limits).await;
    let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", address.port()))
        .await
        .expect("listens");
    anna.refused(RefusedReason::BadHandshake).await;
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(DEADLINE, socket.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the socket is closed");
    answers(&anna, &boris).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_speaks_something_else_is_closed() {
    let (mut anna, boris, address) = anna_and_boris(quick()).await;
    let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", address.port()))
        .await
        .expect("listens");
    socket
        .write_all(b"GET / HTTP/1.1\r\nHost: anna\r\n\r\n")
        .await
        .expect("open");
    anna.refused(RefusedReason::BadHandshake).await;
    answers(&anna, &boris).await;
}

async fn breaks_the_framing(word: u32, expected: RefusedReason) {
    let (mut anna, boris, address) = anna_and_boris(quick()).await;
    let mallory = Mallory::new(MALLORY);
    anna.partner(mallory.key(), vec![]).await;
    let (mut raw, mut stream) = mallory.session(&address, anna.key()).await;
    anna.up(mallory.key()).await;
    stream.write_all(&word.to_le_bytes()).await.expect("open");
    stream.flush().await.expect("open");
    anna.refused(expected).await;
    raw.closed().await;
    let (_raw, mut stream) = mallory.session(&address, anna.key()).await;
    stream.write_all(&3u32.to_le_bytes()).await.expect("open");
    stream.write_all(b"abc").await.expect("open");
    stream.flush().await.expect("open");
    assert_eq!(anna.frame(mallory.key()).await, Bytes::from_static(b"abc"));
    assert_eq!(anna.refusals(expected), 1);
    answers(&anna, &boris).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_too_long_ends_the_session_and_the_partner_may_come_back() {
    breaks_the_framing(MAX_FRAME_BYTES as u32 + 1, RefusedReason::FrameTooLong).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_the_session_and_the_partner_may_come_back() {
    breaks_the_framing(u32::MAX, RefusedReason::Garbage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_frames_are_never_seen() {
    let (mut anna, mut boris, address) = anna_and_boris(quick()).await;
    let mallory = Mallory::new(MALLORY);
    let mut raw = mallory.connect(&address).await.expect("there is room");
    let mut stream = raw
        .speak("/crossport/session/0")
        .await
        .expect("offered, to be refused");
    let mut bytes = 7u64.to_le_bytes().to_vec();
    for _ in 0..100 {
        bytes.extend_from_slice(&3u32.to_le_bytes());
        bytes.extend_from_slice(b"abc");
    }
    stream.write_all(&bytes).await.expect("open");
    stream.flush().await.expect("open");
    let answer = read_to_end(&mut stream).await;
    // "Unknown", and no boot number.
    assert_eq!(answer, [1, 0, 0, 0, 0, 0, 0, 0, 0]);
    drop(stream);
    raw.closed().await;
    anna.refused(RefusedReason::UnknownPeer).await;
    boris.send(anna.key(), Bytes::from_static(b"honest")).await;
    let first = anna
        .hear("a frame", |event| match event {
            NetworkEvent::Frame { key, bytes, .. } => Some((*key, bytes.clone())),
            _ => None,
        })
        .await;
    assert_eq!(first, (boris.key(), Bytes::from_static(b"honest")));
    assert!(boris.events.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_reads_a_byte_a_second_stalls_nobody_else() {
    let (mut anna, mut boris, address) = anna_and_boris(quick()).await;
    let mallory = Mallory::new(MALLORY);
    anna.partner(mallory.key(), vec![]).await;
    let (_raw, mut stream) = mallory.session(&address, anna.key()).await;
    anna.up(mallory.key()).await;
    let reading = tokio::spawn(async move {
        while stream.read_exact(&mut [0]).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let frame = Bytes::from(vec![1; 64 << 10]);
    until(|| {
        loop {
            match anna.handle.send(mallory.key(), frame.clone()) {
                Ok(()) => {}
                Err(SendError::QueueFull) => {
                    let limit = NetworkLimits::default().queue_bytes;
                    return (anna.handle.queued_bytes(mallory.key()) > limit - frame.len())
                        .then_some(());
                }
                Err(error) => panic!("not sent: {error}"),
            }
        }
    })
    .await;
    for number in 0..1_000u32 {
        let frame = Bytes::copy_from_slice(&number.to_le_bytes());
        anna.send(boris.key(), frame.clone()).await;
        assert_eq!(boris.frame(anna.key()).await, frame);
    }
    answers(&anna, &boris).await;
    assert!(anna.handle.queued_bytes(mallory.key()) <= NetworkLimits::default().queue_bytes);
    reading.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_stops_reading_is_disconnected() {
    let limits = NetworkLimits {
        write_stall: Duration::from_millis(300),
        ..quick()
    };
    let (mut anna, boris, address) = anna_and_boris(limits).await;
    let mallory = Mallory::new(MALLORY);
    anna.partner(mallory.key(), vec![]).await;
    let (mut raw, stream) = mallory.session(&address, anna.key()).await;
    anna.up(mallory.key()).await;
    for _ in 0..7 {
        anna.send(mallory.key(), vec![1; MAX_FRAME_BYTES].into())
            .await;
    }
    assert_eq!(
        anna.down(mallory.key()).await,
        DownReason::Refused(RefusedReason::Stalled)
    );
    raw.closed().await;
    drop(stream);
    assert_eq!(anna.refusals(RefusedReason::Stalled), 1);
    answers(&anna, &boris).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pairing_that_is_silent_too_long_or_garbled_is_refused() {
    let limits = NetworkLimits {
        pair_deadline: Duration::from_millis(600),
        ..quick()
    };
    let (mut anna, boris, address) = anna_and_boris(limits).await;
    let mallory = Mallory::new(MALLORY);
    let attempt = |bytes: &'static [u8], close: bool| {
        let (mallory, address) = (&mallory, &address);
        async move {
            let raw = mallory.connect(address).await.expect("there is room");
            let mut stream = raw
                .speak("/crossport/pair/0")
                .await
                .expect("pairing is offered");
            stream.write_all(bytes).await.expect("open");
            stream.flush().await.expect("open");
            if close {
                stream.close().await.expect("open");
            }
            assert_eq!(read_to_end(&mut stream).await, b"");
        }
    };
    attempt(&[], false).await;
    anna.refused(RefusedReason::SilentStream).await;
    attempt(&[1, 0, 1, 0], false).await;
    anna.refused(RefusedReason::PairingTooLong).await;
    attempt(&[255, 255, 255, 255], false).await;
    anna.refused(RefusedReason::PairingTooLong).await;
    attempt(&[9, 0, 0, 0, 1], true).await;
    anna.refused(RefusedReason::Garbage).await;
    assert_eq!(anna.handle.counters().pair_requests, 0);
    answers(&anna, &boris).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_beyond_the_limit_are_refused_and_partners_are_not() {
    let limits = NetworkLimits {
        stranger_connections: 4,
        stranger_idle: Duration::from_secs(3600),
        ..quick()
    };
    let (mut anna, boris, address) = anna_and_boris(limits).await;
    let mut held: Vec<Raw> = Vec::new();
    for secret in 10..20 {
        // A refused connection is closed after its handshake, so from outside it exists for a moment.
        held.extend(Mallory::new(secret).connect(&address).await);
    }
    for _ in 0..6 {
        anna.refused(RefusedReason::TooManyConnections).await;
    }
    assert_eq!(anna.refusals(RefusedReason::TooManyConnections), 6);
    answers(&anna, &boris).await;
    let mut clara = start(3, &[], quick());
    anna.partner(clara.key(), vec![]).await;
    clara.partner(anna.key(), vec![address]).await;
    clara.up(anna.key()).await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_from_one_address_are_slowed_down() {
    let limits = NetworkLimits {
        address_burst: 50,
        address_per_second: 0,
        ..quick()
    };
    let (mut anna, boris, address) = anna_and_boris(limits).await;
    for _ in 0..1_000 {
        drop(
            tokio::net::TcpStream::connect(("127.0.0.1", address.port()))
                .await
                .expect("listens"),
        );
    }
    until(|| {
        // Taken as a node would, or the reports would be dropped.
        while anna.events.try_recv().is_ok() {}
        (anna.refusals(RefusedReason::ConnectionRate) >= 951).then_some(())
    })
    .await;
    assert_eq!(
        anna.refusals(RefusedReason::ConnectionRate),
        951,
        "49 after boris's one"
    );
    answers(&anna, &boris).await;
}

/// Forwards bytes between two sockets until a direction is cut; then it drops that direction's bytes and closes nothing.
struct Proxy {
    port: u16,
    cut: tokio::sync::watch::Sender<bool>,
}

impl Proxy {
    async fn to(port: u16, cut_towards_node: bool) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback");
        let own = listener.local_addr().expect("bound").port();
        let (cut, cuts) = tokio::sync::watch::channel(false);
        tokio::spawn(async move {
            while let Ok((dialler, _)) = listener.accept().await {
                let node = tokio::net::TcpStream::connect(("127.0.0.1", port))
                    .await
                    .expect("listens");
                let (from_dialler, to_dialler) = dialler.into_split();
                let (from_node, to_node) = node.into_split();
                let never = tokio::sync::watch::channel(false).1;
                let (towards_node, towards_dialler) = if cut_towards_node {
                    (cuts.clone(), never)
                } else {
                    (never, cuts.clone())
                };
                tokio::spawn(forward(from_dialler, to_node, towards_node));
                tokio::spawn(forward(from_node, to_dialler, towards_dialler));
            }
        });
        Self { port: own, cut }
    }
}

async fn forward(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    cut: tokio::sync::watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer).await {
            // The end of the connection is dropped like every other packet once the direction is cut.
            Ok(0) | Err(_) if *cut.borrow() => std::future::pending().await,
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if !*cut.borrow() && to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn notices_a_cut(towards_anna: bool) {
    let limits = NetworkLimits {
        silence: Duration::from_millis(600),
        ping_every: Duration::from_millis(200),
        ..quick()
    };
    let mut anna = start(1, &["tcp://127.0.0.1:0"], limits.clone());
    let mut boris = start(2, &[], limits);
    let proxy = Proxy::to(anna.address(Transport::Tcp).await.port(), towards_anna).await;
    let address = format!("tcp://127.0.0.1:{}", proxy.port)
        .parse()
        .expect("an address");
    anna.partner(boris.key(), vec![]).await;
    boris.partner(anna.key(), vec![address]).await;
    boris.up(anna.key()).await;
    anna.up(boris.key()).await;
    answers(&anna, &boris).await;
    proxy.cut.send(true).expect("the proxy runs");
    let cut = Instant::now();
    let (anna_key, boris_key) = (anna.key(), boris.key());
    let (at_anna, at_boris) = tokio::join!(anna.down(boris_key), boris.down(anna_key));
    let (deaf, other) = if towards_anna {
        (at_anna, at_boris)
    } else {
        (at_boris, at_anna)
    };
    assert_eq!(deaf, DownReason::Silent);
    assert_ne!(other, DownReason::Replaced);
    assert!(
        cut.elapsed() < Duration::from_secs(5),
        "took {:?}",
        cut.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_dropped_towards_the_node_are_noticed_by_both() {
    notices_a_cut(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_dropped_towards_the_dialler_are_noticed_by_both() {
    notices_a_cut(false).await;
}

/// A partner that opens session after session on one connection: there is never more than one, and it harms itself only.
#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_reopens_its_session_has_one_at_a_time() {
    let (mut anna, boris, address) = anna_and_boris(quick()).await;
    let mallory = Mallory::new(MALLORY);
    anna.partner(mallory.key(), vec![]).await;
    for _ in 0..20 {
        let (_raw, _stream) = mallory.session(&address, anna.key()).await;
        let of_mallory = anna
            .handle
            .connections()
            .iter()
            .filter(|link| link.key == mallory.key())
            .count();
        assert!(of_mallory <= 1);
    }
    let mut up = None;
    let mut ended = 0;
    anna.hear("every session to end but the last", |event| {
        match event {
            NetworkEvent::PartnerUp { link, .. } => {
                assert_eq!(up.replace(*link), None, "one at a time");
            }
            NetworkEvent::PartnerDown { link, .. } => {
                assert_eq!(up.take(), Some(*link));
                ended += 1;
            }
            _ => {}
        }
        (ended >= 19).then_some(())
    })
    .await;
    answers(&anna, &boris).await;
}
