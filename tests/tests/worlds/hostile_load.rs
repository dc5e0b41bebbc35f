//! Too much of everything: what an honest partner waits, and what memory the node takes, while Mallory floods it.
//!
//! What a peer can do below frames (streams without end, silent streams, slow readers, stalled handshakes) is tested where it
//! is refused, in `node/src/network/tests/hostile.rs`; here are the floods that reach the node behind the network, and a
//! thousand connections a second against a whole node. One storm at a time, or each would measure the others.

use std::time::Duration;

use anyhow::{Context as _, Result};
use crossport_node::core::now;
use crossport_node::network::NodeKey as PeerKey;
use crossport_node::random::OsRandom;
use crossport_protocol::codec::Blob;
use crossport_protocol::envelope::SealedEnvelope;
use crossport_protocol::event::{Event, MemberAction, MemberAsk, Reaction};
use crossport_protocol::fields::Fields;
use crossport_protocol::frame::{
    Digests, EnvelopeItem, EnvelopesFrame, Frame, Frontier, FrontierBody, Locate, OwnerFrame,
};
use crossport_protocol::ids::{ChatId, EventId, Head, NodeKey, StreamId};
use crossport_protocol::limits;
use crossport_protocol::owner_log::{ChatKind, History, StreamCut};
use crossport_protocol::statement::{self, Statement, StatementContent};
use crossport_protocol::suite::{Domain, Random, Signature};
use crossport_tests::hostile::forge::{Forgery, SUITE, frame_of, random_hash};
use crossport_tests::hostile::scene::{Scene, said};
use crossport_tests::hostile::storm::{RATIO_MAX, Siege, Wind, be_the_child};
use crossport_tests::hostile::{Hand, Mallory};
use rustix::process::{Signal, kill_process};
use tokio::sync::Mutex;

/// One storm at a time.
static WEATHER: Mutex<()> = Mutex::const_new(());

/// The attacked node; does nothing unless a storm started it.
#[tokio::test(flavor = "multi_thread")]
async fn child_node() -> Result<()> {
    be_the_child().await.map(|_| ())
}

/// A machine that has other work than this test delays whoever has more to compute, and by chance the storm more than the calm.
/// What the node itself does wrong shows every time, so a ratio counts when it is too high so many times in a row.
const ATTEMPTS: usize = 5;

/// Frames made once and sent again and again.
async fn endures(
    name: &str,
    make: impl Fn(&mut Hand, ChatId) -> Result<Vec<Vec<u8>>> + Clone + Send + 'static,
) -> Result<()> {
    weathers(name, false, make).await
}

/// Frames that make sense only once.
async fn endures_once(
    name: &str,
    make: impl Fn(&mut Hand, ChatId) -> Result<Vec<Vec<u8>>> + Clone + Send + 'static,
) -> Result<()> {
    weathers(name, true, make).await
}

async fn weathers(
    name: &str,
    once: bool,
    make: impl Fn(&mut Hand, ChatId) -> Result<Vec<Vec<u8>>> + Clone + Send + 'static,
) -> Result<()> {
    let _alone = WEATHER.lock().await;
    let mut attempt = 1;
    loop {
        let mut siege = Siege::lay().await?;
        let (chat, make) = (siege.shared, make.clone());
        let frames = siege.mallory.act(move |hand| make(hand, chat)).await??;
        let storm = async move |mallory: Mallory, mut wind: Wind| {
            if once {
                wind.send_once(&mallory, frames).await;
            } else {
                wind.send(&mallory, &frames).await;
            }
        };
        let weather = siege.endure(storm).await?;
        let judged = weather.judge(name);
        siege.raise().await?;
        let is_slow = weather.ratio() > RATIO_MAX;
        if judged.is_ok() || !is_slow || attempt == ATTEMPTS {
            return judged;
        }
        attempt += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_garbage_delays_nobody() -> Result<()> {
    endures("garbage of 1 MiB a frame", |_, _| {
        let mut garbage = vec![0xEE; limits::FRAME_BYTES];
        OsRandom.fill(&mut garbage);
        garbage[..2].copy_from_slice(&6u16.to_le_bytes());
        Ok(vec![garbage])
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_frames_delays_nobody() -> Result<()> {
    // Typing and presence will be such: frames that are never stored.
    endures("small frames of an unknown kind", |_, _| {
        Ok(vec![vec![99, 0, 1, 2, 3]; 64])
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_bad_signatures_delays_nobody() -> Result<()> {
    endures("bad signatures", |hand, chat| {
        let mut bad = hand.draft(chat, "forged")?.sealed();
        bad.signature = SUITE.sign(&hand.second, Domain::Envelope, &bad.header.0);
        Ok(vec![frame_of(chat, vec![bad; 1_000])])
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_empty_items_delays_nobody() -> Result<()> {
    endures("empty envelopes, 11,000 a frame", |_, chat| {
        let empty = EnvelopeItem::whole(SealedEnvelope {
            header: Blob(Vec::new()),
            signature: Signature::from_bytes([0; 64]),
            payloads: Vec::new(),
        });
        let items = vec![empty; 11_000];
        Ok(vec![
            Frame::Envelopes(EnvelopesFrame {
                chat,
                sent_bytes: 0,
                items,
            })
            .encode(),
        ])
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_chats_delays_nobody() -> Result<()> {
    endures(
        "frontiers, digests and envelopes of unknown chats",
        |hand, chat| {
            let mut frames = Vec::new();
            for _ in 0..200 {
                let unknown = ChatId(OsRandom.array());
                let streams = (0..1_000).map(|incarnation| StreamCut {
                    stream: StreamId {
                        company: hand.company,
                        node: hand.node.public(SUITE),
                        incarnation,
                    },
                    heads: vec![Head {
                        seq: 9,
                        hash: random_hash(),
                    }],
                });
                let body = FrontierBody {
                    streams: streams.collect(),
                    reply: true,
                    ..FrontierBody::default()
                };
                frames.push(
                    Frame::Frontier(Frontier {
                        chat: unknown,
                        body,
                    })
                    .encode(),
                );
                let entries = (0..500)
                    .map(|_| (ChatId(OsRandom.array()), [1; 16]))
                    .collect();
                frames.push(
                    Frame::Digests(Digests {
                        entries,
                        last: false,
                    })
                    .encode(),
                );
                frames.push(frame_of(
                    unknown,
                    vec![hand.draft(chat, "elsewhere")?.sealed()],
                ));
            }
            Ok(frames)
        },
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_false_beliefs_delays_nobody() -> Result<()> {
    endures(
        "frontiers with invented heads, keys asked for again and again",
        |hand, chat| {
            let held = hand
                .replicator
                .chat(&chat)
                .context("Mallory has the chat")?;
            let mut frames = Vec::new();
            for _ in 0..50 {
                let mut streams = held.heads();
                for cut in &mut streams {
                    cut.heads = (0..200)
                        .map(|_| Head {
                            seq: 1,
                            hash: random_hash(),
                        })
                        .collect();
                }
                for incarnation in 0..2_000 {
                    let stream = StreamId {
                        company: hand.company,
                        node: NodeKey(OsRandom.array()),
                        incarnation,
                    };
                    streams.push(StreamCut {
                        stream,
                        heads: vec![Head {
                            seq: 5,
                            hash: random_hash(),
                        }],
                    });
                }
                frames.push(
                    Frame::Locate(Locate {
                        chat,
                        streams: streams.clone(),
                    })
                    .encode(),
                );
                let body = FrontierBody {
                    owner_at: Some(held.owner().head()),
                    streams,
                    statements: (0..2_000)
                        .map(|_| (NodeKey(OsRandom.array()), u64::MAX))
                        .collect(),
                    reads: (0..2_000)
                        .map(|_| (NodeKey(OsRandom.array()), 0, u64::MAX))
                        .collect(),
                    missing_epochs: vec![1; 20_000],
                    processed: u64::MAX,
                    reply: true,
                    ..FrontierBody::default()
                };
                frames.push(Frame::Frontier(Frontier { chat, body }).encode());
            }
            Ok(frames)
        },
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_everything_again_and_again_delays_nobody() -> Result<()> {
    endures("questions for the whole history", |hand, chat| {
        let held = hand
            .replicator
            .chat(&chat)
            .context("Mallory has the chat")?;
        let body = FrontierBody {
            owner_at: Some(held.owner().head()),
            processed: u64::MAX,
            reply: true,
            ..FrontierBody::default()
        };
        Ok(vec![Frame::Frontier(Frontier { chat, body }).encode(); 50])
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_asks_and_reads_nothing_delays_nobody() -> Result<()> {
    endures("a deaf partner that asks for everything", |hand, chat| {
        hand.deaf = true;
        hand.obedient = false;
        let body = FrontierBody {
            processed: u64::MAX,
            reply: true,
            ..FrontierBody::default()
        };
        Ok(vec![Frame::Frontier(Frontier { chat, body }).encode(); 50])
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_invitations_delays_nobody() -> Result<()> {
    endures_once("invitations to new chats", |hand, _| {
        let (acme, _) = hand.victim.context("Mallory is paired")?;
        hand.obedient = false;
        let mut frames = Vec::new();
        for number in 0..1_000 {
            let title = format!("chat {number}");
            let chat = hand.call(|replicator, cx| {
                replicator.create_chat(cx, ChatKind::GROUP, History::FULL, Some(&title))
            })?;
            hand.call(|replicator, cx| replicator.invite(cx, chat, acme, now().plus_ms(600_000)))?;
            frames.push(
                Frame::Owner(OwnerFrame {
                    chat,
                    records: hand.records_of(&chat),
                })
                .encode(),
            );
        }
        Ok(frames)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_receipts_delays_nobody() -> Result<()> {
    endures_once("delivery statements", |hand, chat| {
        let held = hand
            .replicator
            .chat(&chat)
            .context("Mallory has the chat")?;
        let content = |number| StatementContent {
            version: statement::VERSION,
            chat,
            company: hand.company,
            node: hand.second.public(SUITE),
            generation: 1,
            number,
            time: now(),
            owner_at: held.owner().head(),
            heads: held.delivered(),
            fields: Fields::none(),
        };
        let statements =
            (1..20_000).map(|number| Statement::sign(SUITE, &hand.second, content(number)));
        Ok(statements
            .map(|statement| Frame::Statements(vec![statement]).encode())
            .collect())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_set_of_reactions_delays_nobody() -> Result<()> {
    endures_once("reactions at one message", |hand, chat| {
        let target = EventId {
            envelope: *hand.log.envelopes(&chat).next().context("a message")?.0,
            place: 0,
        };
        let emoji = |number: u32| {
            char::from_u32(0x1_F300 + number % 1_000)
                .unwrap_or('\u{1F44D}')
                .to_string()
        };
        let reactions = (0..4_000).map(|number| {
            Event::Reaction(Reaction {
                target,
                emoji: emoji(number),
                present: number % 3 != 0,
            })
        });
        chained(hand, chat, reactions)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_good_messages_delays_nobody() -> Result<()> {
    endures_once("good messages, one to an envelope", |hand, chat| {
        let mut next = hand.draft(chat, "message 0")?;
        let mut frames = Vec::new();
        for number in 1..6_000 {
            let sealed = next.sealed();
            next = next.after(&sealed, &format!("message {number}"));
            frames.push(frame_of(chat, vec![sealed]));
        }
        Ok(frames)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_questions_for_people_delays_nobody() -> Result<()> {
    endures_once("questions for people who are not there", |hand, chat| {
        let (acme, _) = hand.victim.context("Mallory is paired")?;
        let asks = (0..1_000).map(|number| {
            Event::MemberAsk(MemberAsk {
                company: acme,
                action: MemberAction::JOIN,
                nickname: format!("nobody{number}"),
            })
        });
        chained(hand, chat, asks)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_of_one_company_delay_nobody() -> Result<()> {
    endures_once("messages, each in a stream of its own", |hand, chat| {
        let drafts = (0..1_000).map(|number| hand.draft(chat, &format!("stream {number}")));
        drafts.map(|draft| Ok(draft?.frame())).collect()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_forks_delays_nobody() -> Result<()> {
    endures_once("messages, all at one position", |hand, chat| {
        let first = hand.draft(chat, "fork")?;
        let forks = (0..1_000).map(|number| Ok(first.saying(&format!("fork {number}")).frame()));
        forks.collect()
    })
    .await
}

/// A frame for each event, one after another in one stream.
fn chained(hand: &Hand, chat: ChatId, events: impl Iterator<Item = Event>) -> Result<Vec<Vec<u8>>> {
    let mut before: Option<Forgery> = None;
    let mut frames = Vec::new();
    for event in events {
        let next = match before {
            None => hand.draft_of(chat, &event)?,
            Some(mut next) => {
                next.events[0].kind = event.kind();
                next.events[0].plain = event.encode();
                next
            }
        };
        let sealed = next.sealed();
        frames.push(frame_of(chat, vec![sealed.clone()]));
        before = Some(next.after(&sealed, ""));
    }
    Ok(frames)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_reconnects_delays_nobody() -> Result<()> {
    let _alone = WEATHER.lock().await;
    let mut siege = Siege::lay().await?;
    let address = siege.address;
    let weather = siege
        .endure(move |mallory, wind| async move { reconnect(&mallory, address, wind).await })
        .await?;
    weather.judge("reconnects")?;
    siege.raise().await
}

async fn reconnect(mallory: &Mallory, address: std::net::SocketAddr, mut wind: Wind) {
    let Ok(Some((_, key))) = mallory.act(|hand| hand.victim).await else {
        return;
    };
    let address =
        crossport_node::network::Address::new(address, crossport_node::network::Transport::Tcp);
    while wind.blows().await {
        let links = mallory.act(|hand| hand.links).await.unwrap_or_default();
        let _removed = mallory.network.remove_partner(PeerKey(key.0)).await;
        let _set = mallory
            .network
            .set_partner(PeerKey(key.0), vec![address.clone()])
            .await;
        wind.count(1);
        // The node may refuse so many connections; then the storm waits a little.
        for _ in 0..20 {
            if mallory
                .act(move |hand| hand.links > links)
                .await
                .unwrap_or(true)
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_a_second_delay_nobody() -> Result<()> {
    let _alone = WEATHER.lock().await;
    let mut siege = Siege::lay().await?;
    let address = siege.address;
    let weather = siege
        .endure(move |_, mut wind| async move {
            let mut open = std::collections::VecDeque::new();
            let mut pace = tokio::time::interval(Duration::from_millis(1));
            while wind.blows().await {
                pace.tick().await;
                // Half of them say nothing, half say something that is no handshake.
                if let Ok(mut stream) = tokio::net::TcpStream::connect(address).await {
                    use tokio::io::AsyncWriteExt as _;
                    if open.len() % 2 == 0 {
                        let _said = stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
                    }
                    open.push_back(stream);
                    wind.count(1);
                }
                if open.len() > 500 {
                    open.pop_front();
                }
            }
        })
        .await?;
    weather.judge("1,000 connections a second")?;
    siege.raise().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_item_does_not_stop_the_thousand_good_ones_behind_it() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        let mut poison = hand.draft(chat, "poison")?.sealed();
        poison.signature = Signature::from_bytes([7; 64]);
        let mut next = hand.draft(chat, "good 0")?;
        let mut items = vec![poison];
        for number in 1..=1_000 {
            let sealed = next.sealed();
            next = next.after(&sealed, &format!("good {number}"));
            items.push(sealed);
        }
        Ok(items
            .chunks(500)
            .map(|items| frame_of(chat, items.to_vec()))
            .collect())
    });
    let lines: Vec<String> = (0..1_000)
        .map(|number| said(&format!("good {number}")))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    outcome
        .await?
        .refused_and_shown(&[("bad_signature", 1)], &lines)?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_node_that_stands_still_is_judged_too_slow() -> Result<()> {
    let _alone = WEATHER.lock().await;
    let mut siege = Siege::lay().await?;
    let child = siege.pid().context("the child has a number")?;
    let weather = siege
        .endure(move |_, mut wind| async move {
            while wind.blows().await {
                let stopped = kill_process(child, Signal::STOP);
                tokio::time::sleep(Duration::from_secs(4)).await;
                let goes_on = kill_process(child, Signal::CONT);
                assert_eq!((stopped, goes_on), (Ok(()), Ok(())));
                wind.count(1);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await?;
    let judged = weather.judge("a node that stands still for four seconds");
    anyhow::ensure!(judged.is_err(), "nothing was noticed: {weather:?}");
    siege.raise().await
}

#[test]
fn control_a_storm_beyond_the_bounds_is_judged_so() {
    use crossport_tests::hostile::storm::{RESIDENT_BYTES_MAX, Weather};
    let good = Weather {
        calm: Duration::from_millis(10),
        storm: Duration::from_millis(90),
        frames: 1,
        resident_bytes: RESIDENT_BYTES_MAX,
    };
    assert!(good.judge("good").is_ok());
    assert!(
        Weather {
            storm: Duration::from_millis(110),
            ..good.clone()
        }
        .judge("slow")
        .is_err()
    );
    assert!(
        Weather {
            resident_bytes: RESIDENT_BYTES_MAX + 1,
            ..good
        }
        .judge("fat")
        .is_err()
    );
}
