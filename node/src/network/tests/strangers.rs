//! Nodes that are no partners: they may ask to pair, within limits, and nothing else.

use super::*;

/// Answers pairing requests with the request, reversed, until the node is dropped.
fn answer_pairing(mut node: Node) -> tokio::task::JoinHandle<Vec<NodeKey>> {
    tokio::spawn(async move {
        let mut asked = Vec::new();
        while let Some(event) = node.events.recv().await {
            if let NetworkEvent::PairRequest {
                key,
                request,
                reply,
                ..
            } = event
            {
                asked.push(key);
                let _gone = reply.send(request.iter().rev().copied().collect());
            }
        }
        asked
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_peer_gets_no_session_and_is_counted() {
    let mut anna = start(1, &["tcp://127.0.0.1:0"], quick());
    let mut boris = start(2, &[], quick());
    boris
        .partner(anna.key(), vec![anna.address(Transport::Tcp).await])
        .await;
    anna.refused(RefusedReason::UnknownPeer).await;
    let reason = boris
        .hear("a failed dial", |event| match event {
            NetworkEvent::DialFailed { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await;
    assert_eq!(reason, DialFailure::NotApproved);
    assert!(anna.refusals(RefusedReason::UnknownPeer) >= 1);
    assert_eq!(anna.handle.counters().sessions_started, 0);
    assert_eq!(boris.handle.counters().sessions_started, 0);
}

async fn pairs(transport: Transport) {
    let mut anna = start(1, &["127.0.0.1:0"], quick());
    let boris = start(2, &[], quick());
    let (address, anna_key, anna_handle) = (
        anna.address(transport).await,
        anna.key(),
        anna.handle.clone(),
    );
    let asked = answer_pairing(anna);
    let answer = boris
        .handle
        .pair(vec![address], anna_key, Bytes::from_static(b"olleh"))
        .await;
    assert_eq!(answer, Ok(Bytes::from_static(b"hello")));
    until(|| {
        let counters = anna_handle.counters();
        (counters.connections_opened == counters.connections_closed).then_some(())
    })
    .await;
    anna_handle.shutdown().await;
    assert_eq!(asked.await.expect("no panic"), [boris.key()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_pairs_over_tcp() {
    pairs(Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_pairs_over_quic() {
    pairs(Transport::Quic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pairing_and_then_a_session_between_the_same_two() {
    let mut anna = start(1, &["tcp://127.0.0.1:0"], quick());
    let mut boris = start(2, &[], quick());
    let (address, anna_key, boris_key) =
        (anna.address(Transport::Tcp).await, anna.key(), boris.key());
    let asking = boris.handle.pair(
        vec![address.clone()],
        anna_key,
        Bytes::from_static(b"ticket"),
    );
    let answering = async {
        let reply = loop {
            if let Some(NetworkEvent::PairRequest { reply, .. }) = anna.events.recv().await {
                break reply;
            }
        };
        anna.partner(boris_key, vec![]).await;
        reply
            .send(Bytes::from_static(b"welcome"))
            .expect("boris waits");
    };
    let (answer, ()) = tokio::join!(asking, answering);
    assert_eq!(answer, Ok(Bytes::from_static(b"welcome")));
    boris.partner(anna_key, vec![address]).await;
    boris.up(anna_key).await;
    anna.up(boris_key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_pair_says_why() {
    let mut anna = start(1, &["tcp://127.0.0.1:0"], quick());
    let boris = start(
        2,
        &[],
        NetworkLimits {
            pair_deadline: Duration::from_millis(300),
            ..quick()
        },
    );
    let clara = start(3, &[], quick());
    let address = anna.address(Transport::Tcp).await;
    let ask = |expected: NodeKey, request: Bytes| {
        boris.handle.pair(vec![address.clone()], expected, request)
    };
    let small = || Bytes::from_static(b"?");

    let wrong = ask(clara.key(), small()).await;
    assert_eq!(
        wrong,
        Err(PairError::Dial(DialFailure::WrongNode {
            found: anna.key().to_string()
        }))
    );
    let long = ask(anna.key(), vec![0; MAX_PAIR_BYTES + 1].into()).await;
    assert_eq!(long, Err(PairError::TooLong));
    let nowhere = boris.handle.pair(vec![], anna.key(), small()).await;
    assert_eq!(nowhere, Err(PairError::Dial(DialFailure::NoAddress)));
    let closed = "tcp://127.0.0.1:1".parse().expect("an address");
    let unreachable = boris.handle.pair(vec![closed], anna.key(), small()).await;
    assert!(
        matches!(
            unreachable,
            Err(PairError::Dial(DialFailure::Unreachable(_)))
        ),
        "{unreachable:?}"
    );
    // Anna's events are not taken, so nobody decides.
    assert_eq!(ask(anna.key(), small()).await, Err(PairError::Deadline));
    // Anna declines without an answer.
    let (declined, ()) = tokio::join!(ask(anna.key(), small()), async {
        for _ in 0..2 {
            anna.hear("a request", |event| {
                matches!(event, NetworkEvent::PairRequest { .. }).then_some(())
            })
            .await;
        }
    });
    assert!(
        matches!(declined, Err(PairError::NoAnswer(_))),
        "{declined:?}"
    );
}

async fn asks_beyond(limits: NetworkLimits) {
    let mut anna = start(1, &["tcp://127.0.0.1:0"], limits);
    let address = anna.address(Transport::Tcp).await;
    let mut boris = start(2, &[], quick());
    let mallory = start(4, &[], quick());
    anna.partner(boris.key(), vec![]).await;
    boris.partner(anna.key(), vec![address.clone()]).await;
    boris.up(anna.key()).await;
    let (anna_key, anna_handle) = (anna.key(), anna.handle.clone());
    let _asked = answer_pairing(anna);
    let mut answered = 0;
    for _ in 0..10 {
        let request = Bytes::from_static(b"?");
        match mallory
            .handle
            .pair(vec![address.clone()], anna_key, request)
            .await
        {
            Ok(_) => answered += 1,
            Err(PairError::NoAnswer(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(answered, 3);
    let refused = anna_handle.counters().refused;
    assert_eq!(refused.get(&RefusedReason::PairingRate), Some(&7));
    assert!(boris.handle.ping(anna_key).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn pairing_requests_beyond_the_rate_are_refused_and_partners_are_not() {
    asks_beyond(NetworkLimits {
        pair_burst: 3,
        pair_per_second: 0,
        ..quick()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pairing_requests_of_one_address_beyond_its_share_are_refused() {
    asks_beyond(NetworkLimits {
        pair_address_burst: 3,
        pair_address_per_minute: 0,
        ..quick()
    })
    .await;
}
