//! Partners that behave: order, reconnection, one session, an end.

use super::*;

fn numbered(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}

const FRAMES: u32 = 10_000;

async fn send_numbered(handle: &NetworkHandle, key: NodeKey) {
    for number in 0..FRAMES {
        until(|| match handle.send(key, numbered(number)) {
            Ok(()) => Some(()),
            Err(SendError::QueueFull) => None,
            Err(error) => panic!("not sent: {error}"),
        })
        .await;
    }
}

async fn receive_numbered(node: &mut Node, key: NodeKey) {
    let mut next = 0;
    while next < FRAMES {
        match tokio::time::timeout(DEADLINE, node.events.recv())
            .await
            .expect("frames keep coming")
        {
            Some(NetworkEvent::Frame {
                key: from, bytes, ..
            }) => {
                assert_eq!((from, bytes), (key, numbered(next)));
                next += 1;
            }
            Some(NetworkEvent::PartnerDown { reason, .. }) => panic!("the session ended: {reason}"),
            Some(_) => {}
            None => panic!("the network stopped"),
        }
    }
}

async fn exchange(transport: Transport) {
    let (mut anna, mut boris) = pair_of(transport, quick(), quick()).await;
    let (anna_key, boris_key) = (anna.key(), boris.key());
    let (to_boris, to_anna) = (anna.handle.clone(), boris.handle.clone());
    tokio::join!(
        send_numbered(&to_boris, boris_key),
        send_numbered(&to_anna, anna_key),
        receive_numbered(&mut anna, boris_key),
        receive_numbered(&mut boris, anna_key),
    );
    let status = anna.handle.connections();
    assert_eq!(status.len(), 1);
    assert_eq!(
        (status[0].key, status[0].transport, status[0].dialed),
        (boris_key, transport, false)
    );
    assert_eq!(status[0].frames_received, u64::from(FRAMES));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_frames_each_way_in_order_over_tcp() {
    exchange(Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_frames_each_way_in_order_over_quic() {
    exchange(Transport::Quic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_and_longest_frames_arrive() {
    let (anna, mut boris) = pair_of(Transport::Tcp, quick(), quick()).await;
    let longest = Bytes::from(vec![7; MAX_FRAME_BYTES]);
    anna.send(boris.key(), Bytes::new()).await;
    anna.send(boris.key(), longest.clone()).await;
    assert_eq!(boris.frame(anna.key()).await, Bytes::new());
    assert!(boris.frame(anna.key()).await == longest);
    let too_long = Bytes::from(vec![7; MAX_FRAME_BYTES + 1]);
    assert_eq!(
        anna.handle.send(boris.key(), too_long),
        Err(SendError::TooLong)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_measures_the_session() {
    let (anna, boris) = pair_of(Transport::Tcp, quick(), quick()).await;
    let round_trip = anna.handle.ping(boris.key()).await.expect("boris answers");
    assert!(round_trip < DEADLINE);
    assert_eq!(
        anna.handle.ping(anna.key()).await,
        Err(PingError::NotConnected)
    );
}

/// Both dial at once, ten times over; after each there is one session and it stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_simultaneous_dial_makes_one_session() {
    for round in 0..10u8 {
        let mut anna = start(1, &["127.0.0.1:0"], quick());
        let mut boris = start(2, &["127.0.0.1:0"], quick());
        let (to_anna, to_boris) = (
            anna.address(Transport::Tcp).await,
            boris.address(Transport::Tcp).await,
        );
        tokio::join!(
            anna.partner(boris.key(), vec![to_boris]),
            boris.partner(anna.key(), vec![to_anna])
        );
        anna.up(boris.key()).await;
        boris.up(anna.key()).await;
        // A round trip after both are up: whatever else was dialled has been decided by the time of the second one.
        for number in 0..2u8 {
            let frame = Bytes::copy_from_slice(&[round, number]);
            anna.send(boris.key(), frame.clone()).await;
            assert_eq!(boris.frame(anna.key()).await, frame);
            boris.send(anna.key(), frame.clone()).await;
            assert_eq!(anna.frame(boris.key()).await, frame);
        }
        for node in [&anna, &boris] {
            let counters = node.handle.counters();
            assert_eq!(
                (counters.sessions_started, counters.sessions_ended),
                (1, 0),
                "round {round}"
            );
            assert_eq!(node.handle.connections().len(), 1);
        }
        until(|| {
            let counters = anna.handle.counters();
            (counters.connections_opened == counters.connections_closed + 1).then_some(())
        })
        .await;
    }
}

async fn comes_back(transport: Transport) {
    let (mut anna, mut boris) = pair_of(transport, quick(), quick()).await;
    let address = anna.address(transport).await;
    let (anna_key, boris_key) = (anna.key(), boris.key());
    anna.handle.shutdown().await;
    drop(anna);
    boris.down(anna_key).await;
    assert_eq!(
        boris.handle.send(anna_key, Bytes::new()),
        Err(SendError::NotConnected)
    );
    let listen = format!("{transport}://127.0.0.1:{}", address.port());
    let mut anna = until(|| try_start(1, &[&listen], quick()).ok()).await;
    let listening = std::time::Instant::now();
    anna.partner(boris_key, vec![]).await;
    boris.up(anna_key).await;
    let took = listening.elapsed();
    assert!(
        took < Duration::from_secs(2),
        "took {took:?} after it listened again"
    );
    anna.up(boris_key).await;
    boris.send(anna_key, numbered(1)).await;
    assert_eq!(anna.frame(boris_key).await, numbered(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_comes_back_is_found_quickly_over_tcp() {
    comes_back(Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_comes_back_is_found_quickly_over_quic() {
    comes_back(Transport::Quic).await;
}

/// Boris is far into his back-off; anna dials him, which is what `dial_now` and new addresses do as well.
#[tokio::test(flavor = "multi_thread")]
async fn dial_now_and_new_addresses_end_the_pause() {
    let patient = NetworkLimits {
        redial_first: Duration::from_secs(3600),
        redial_longest: Duration::from_secs(3600),
        ..quick()
    };
    let mut anna = start(1, &["tcp://127.0.0.1:0"], quick());
    let mut boris = start(2, &[], patient);
    let (anna_key, boris_key) = (anna.key(), boris.key());
    let address = anna.address(Transport::Tcp).await;
    boris.partner(anna_key, vec![address.clone()]).await;
    let not_approved = boris.hear("a failed dial", |event| match event {
        NetworkEvent::DialFailed { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(not_approved.await, DialFailure::NotApproved);
    anna.partner(boris_key, vec![]).await;
    boris.handle.dial_now(anna_key).await.expect("running");
    boris.up(anna_key).await;
    anna.up(boris_key).await;

    anna.handle
        .remove_partner(boris_key)
        .await
        .expect("running");
    boris.down(anna_key).await;
    anna.partner(boris_key, vec![]).await;
    boris
        .partner(anna_key, vec![address.clone(), address])
        .await;
    boris.up(anna_key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_partner_is_disconnected_and_refused() {
    let (mut anna, mut boris) = pair_of(Transport::Tcp, quick(), quick()).await;
    let (anna_key, boris_key) = (anna.key(), boris.key());
    anna.handle
        .remove_partner(boris_key)
        .await
        .expect("running");
    assert_eq!(anna.down(boris_key).await, DownReason::Removed);
    boris.down(anna_key).await;
    anna.refused(RefusedReason::UnknownPeer).await;
    boris
        .hear("a refusal", |event| match event {
            NetworkEvent::DialFailed {
                reason: DialFailure::NotApproved,
                ..
            } => Some(()),
            _ => None,
        })
        .await;
    assert!(anna.refusals(RefusedReason::UnknownPeer) >= 1);
    assert_eq!(anna.handle.connections(), []);
    assert_eq!(
        anna.handle.send(boris_key, Bytes::new()),
        Err(SendError::NotConnected)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_partner_is_told_so_and_comes_back() {
    let (mut anna, mut boris) = pair_of(Transport::Tcp, quick(), quick()).await;
    let (anna_key, boris_key) = (anna.key(), boris.key());
    anna.handle.pause_partner(boris_key).await.expect("running");
    assert_eq!(anna.down(boris_key).await, DownReason::Removed);
    anna.refused(RefusedReason::PausedPartner).await;
    boris
        .hear("the pause", |event| match event {
            NetworkEvent::DialFailed {
                reason: DialFailure::Paused,
                ..
            } => Some(()),
            _ => None,
        })
        .await;
    anna.partner(boris_key, vec![]).await;
    boris.up(anna_key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_removed_and_set_again_goes_down_before_it_comes_up() {
    let (mut anna, boris) = pair_of(Transport::Tcp, quick(), quick()).await;
    let mut up = anna.handle.connections().first().map(|link| link.link);
    for _ in 0..20 {
        anna.handle
            .remove_partner(boris.key())
            .await
            .expect("running");
        anna.partner(boris.key(), vec![]).await;
        let key = boris.key();
        anna.hear("boris to come up", |event| match event {
            NetworkEvent::PartnerDown { link, .. } => {
                assert_eq!(up.take(), Some(*link));
                None
            }
            NetworkEvent::PartnerUp {
                key: found, link, ..
            } if *found == key => {
                assert_eq!(up.replace(*link), None);
                Some(())
            }
            _ => None,
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_writes_what_is_queued() {
    let (anna, mut boris) = pair_of(Transport::Tcp, quick(), quick()).await;
    for number in 0..1_000 {
        anna.send(boris.key(), numbered(number)).await;
    }
    let anna_key = anna.key();
    let handle = anna.handle.clone();
    let stopped = tokio::spawn(async move { handle.shutdown().await });
    for number in 0..1_000 {
        assert_eq!(boris.frame(anna_key).await, numbered(number));
    }
    assert_eq!(boris.down(anna_key).await, DownReason::Closed);
    tokio::time::timeout(DEADLINE, stopped)
        .await
        .expect("stops in time")
        .expect("no panic");
    assert_eq!(
        anna.handle.set_partner(boris.key(), vec![]).await,
        Err(CommandError::Stopped)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_session_ends_that_session_only() {
    let (mut anna, mut boris) = pair_of(Transport::Tcp, quick(), quick()).await;
    let link = anna.handle.shared.links.find(&boris.key()).expect("up");
    link.planted_panic
        .store(true, std::sync::atomic::Ordering::Relaxed);
    boris.send(anna.key(), numbered(1)).await;
    assert_eq!(anna.down(boris.key()).await, DownReason::Panicked);
    assert_eq!(anna.handle.counters().panics, 1);
    boris.down(anna.key()).await;
    boris.up(anna.key()).await;
    anna.up(boris.key()).await;
    boris.send(anna.key(), numbered(2)).await;
    assert_eq!(anna.frame(boris.key()).await, numbered(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_an_error_and_not_half_of_the_connections() {
    let mut anna = start(1, &["tcp://127.0.0.1:0"], quick());
    let taken = format!(
        "tcp://127.0.0.1:{}",
        anna.address(Transport::Tcp).await.port()
    );
    let second = try_start(2, &[&taken], quick());
    assert!(matches!(
        second.err(),
        Some(NetworkError::Listen {
            transport: Transport::Tcp,
            ..
        })
    ));
    let mut boris = start(2, &["quic://127.0.0.1:0"], quick());
    let taken = format!(
        "quic://127.0.0.1:{}",
        boris.address(Transport::Quic).await.port()
    );
    let second = try_start(1, &[&taken], quick());
    assert!(matches!(
        second.err(),
        Some(NetworkError::Listen {
            transport: Transport::Quic,
            ..
        })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_at_a_partners_address_is_named() {
    let mut anna = start(1, &["tcp://127.0.0.1:0"], quick());
    let mut boris = start(2, &[], quick());
    let clara = start(3, &[], quick());
    let address = anna.address(Transport::Tcp).await;
    boris.partner(clara.key(), vec![address]).await;
    let found = boris
        .hear("the wrong node", |event| match event {
            NetworkEvent::DialFailed {
                reason: DialFailure::WrongNode { found },
                ..
            } => Some(found.clone()),
            _ => None,
        })
        .await;
    assert_eq!(found, anna.key().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_take_events_slows_its_partner_and_does_not_grow() {
    let small = NetworkLimits {
        event_bytes: 1 << 20,
        queue_bytes: 1 << 20,
        ..quick()
    };
    let (anna, mut boris) = pair_of(Transport::Tcp, small.clone(), small).await;
    let frame = Bytes::from(vec![5; 64 << 10]);
    let mut sent = 0u64;
    // Anna is never read. What fits between: two queues, and the windows of the connection. It has settled when her events
    // are full and a whole queue waits at boris.
    until(|| {
        loop {
            match boris.handle.send(anna.key(), frame.clone()) {
                Ok(()) => sent += 1,
                Err(SendError::QueueFull) => break,
                Err(error) => panic!("not sent: {error}"),
            }
        }
        let received = anna.handle.counters().frames_received;
        (anna.events.waiting() >= 15 && sent >= received + 16).then_some(())
    })
    .await;
    let bytes = sent * frame.len() as u64;
    assert!(
        bytes < 24 << 20,
        "{bytes} bytes were taken although nobody reads"
    );
    let mut anna = anna;
    for _ in 0..sent {
        assert_eq!(anna.frame(boris.key()).await.len(), frame.len());
    }
    assert_eq!(anna.handle.ping(boris.key()).await.map(|_| ()), Ok(()));
    assert!(boris.events.try_recv().is_err(), "the session stayed up");
}
