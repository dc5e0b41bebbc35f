//! Bytes that are not what they say: every decoder behind a link.

use anyhow::{Result, ensure};
use crossport_node::api::facade::UseCases;
use crossport_protocol::codec::{self, Blob};
use crossport_protocol::envelope::SealedEnvelope;
use crossport_protocol::event::kind;
use crossport_protocol::fields::{Field, Fields};
use crossport_protocol::frame::{EnvelopeItem, EnvelopesFrame, Frame, Frontier, FrontierBody};
use crossport_protocol::identity::SignedIdentity;
use crossport_protocol::ids::Hash;
use crossport_protocol::limits;
use crossport_protocol::replicator::Bug;
use crossport_protocol::suite::{Domain, Signature};
use crossport_tests::hostile::Mallory;
use crossport_tests::hostile::forge::{SUITE, frame_of};
use crossport_tests::hostile::scene::{Scene, refuses};
use crossport_tests::world::{OPERATOR, check, eventually};

/// A frame of a number with these bytes after it.
fn raw(number: u16, body: &[u8]) -> Vec<u8> {
    [number.to_le_bytes().as_slice(), body].concat()
}

/// Numbers of all frames that this build knows, but the hello.
const NUMBERS: std::ops::RangeInclusive<u16> = 2..=12;

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_length_of_u64_max_is_refused() -> Result<()> {
    // In every kind of frame, where the first list or text begins.
    let kinds = NUMBERS.count() as u64;
    refuses(
        |_, _| Ok(NUMBERS.map(|number| raw(number, &[0xFF; 200])).collect()),
        &[("bad_frame", kinds)],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_beyond_the_frame_is_refused() -> Result<()> {
    refuses(
        |hand, chat| {
            let mut cut_off = hand.draft(chat, "cut off")?.frame();
            cut_off.truncate(cut_off.len() - 1);
            // The list of items after the chat and the counter claims one more than there are.
            let mut one_more = hand.draft(chat, "one more")?.frame();
            one_more[2 + 32 + 8] += 1;
            Ok(vec![cut_off, one_more, Vec::new(), vec![6]])
        },
        &[("bad_frame", 4)],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn trailing_bytes_are_refused() -> Result<()> {
    refuses(
        |hand, chat| {
            let mut frame = hand.draft(chat, "and more")?.frame();
            frame.push(0);
            // Behind a header that is signed with them.
            let mut sealed = hand.draft(chat, "and more")?.sealed();
            sealed.header.0.push(0);
            sealed.signature = SUITE.sign(&hand.node, Domain::Envelope, &sealed.header.0);
            Ok(vec![frame, frame_of(chat, vec![sealed])])
        },
        &[("bad_envelope", 1), ("bad_frame", 1)],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_that_are_not_canonical_are_refused() -> Result<()> {
    // Fixed-size integers have one form; what could have more are truth values and options.
    refuses(
        |_, chat| {
            let frame = Frame::Frontier(Frontier {
                chat,
                body: FrontierBody::default(),
            })
            .encode();
            let wrong = |place: usize| {
                let mut frame = frame.clone();
                frame[place] = 2;
                frame
            };
            // `answers`, `reply`, and the option of the owner's position.
            Ok(vec![
                wrong(frame.len() - 1),
                wrong(frame.len() - 2),
                wrong(2 + 32),
            ])
        },
        &[("bad_frame", 3)],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_kind_of_frame_is_skipped() -> Result<()> {
    refuses(
        |_, _| {
            Ok(vec![
                raw(13, b"from the future"),
                raw(u16::MAX, &[]),
                raw(0, &[0xFF; 1000]),
            ])
        },
        &[],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_kind_of_event_is_kept_and_shown_as_newer() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let outcome = scene.attack(move |hand| {
        Ok(vec![
            hand.draft_raw(chat, 4_000, b"a poll".to_vec())?.frame(),
            hand.draft_raw(chat, 0, Vec::new())?.frame(),
        ])
    });
    let outcome = outcome.await?;
    check("refusals", outcome.refused.len(), 0)?;
    ensure!(
        !outcome.shows("a poll") && !outcome.shows(" Text "),
        "{outcome:#?}"
    );
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nesting_100_000_deep_is_refused() -> Result<()> {
    // No wire type contains itself, so depth is only bytes; whatever they are read as, they are wrong.
    let kinds = NUMBERS.count() as u64;
    refuses(
        |_, _| {
            let deep = |number| raw(number, &[1; 100_000]);
            Ok(NUMBERS.map(deep).collect())
        },
        &[("bad_frame", kinds)],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_million_empty_items_are_refused() -> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let empty = EnvelopeItem::whole(SealedEnvelope {
        header: Blob(Vec::new()),
        signature: Signature::from_bytes([0; 64]),
        payloads: Vec::new(),
    });
    // Fewer than end a link; the next test sends as many as a frame holds.
    let some = 200;
    let outcome = scene.attack(move |_| {
        // Ten million by their count, and some that are truly there.
        let ten_million = 10_000_000u64.to_le_bytes();
        let counted = NUMBERS.map(|number| {
            raw(
                number,
                &[[0; 40].as_slice(), &ten_million, &[0; 1_000]].concat(),
            )
        });
        let full = EnvelopesFrame {
            chat,
            sent_bytes: 0,
            items: vec![empty; some],
        };
        Ok(counted.chain([Frame::Envelopes(full).encode()]).collect())
    });
    let outcome = outcome.await?;
    let of = |reason: &str| outcome.refused.get(reason).copied().unwrap_or(0);
    ensure!(of("bad_frame") >= 6, "{outcome:#?}");
    // The first is condemned by its bytes, the others are known by then.
    check(
        "condemned",
        of("bad_envelope") + of("rejected_before"),
        some as u64,
    )?;
    ensure!(
        outcome.shown == [Vec::<String>::new(), Vec::new()],
        "{outcome:#?}"
    );
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_full_of_condemned_items_ends_the_link_and_the_partner_may_come_back() -> Result<()>
{
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    let links = scene.mallory.act(|hand| hand.links).await?;
    let empty = EnvelopeItem::whole(SealedEnvelope {
        header: Blob(Vec::new()),
        signature: Signature::from_bytes([0; 64]),
        payloads: Vec::new(),
    });
    let fitting = (limits::FRAME_BYTES - 64) / codec::encode(&empty).len();
    scene.look().await?;
    let full = EnvelopesFrame {
        chat,
        sent_bytes: 0,
        items: vec![empty; fitting],
    };
    scene
        .mallory
        .send(vec![Frame::Envelopes(full).encode()])
        .await?;
    eventually("the flood is counted", || async {
        Ok(scene.counts().await?.get("flood").copied() == Some(1))
    })
    .await?;
    scene
        .mallory
        .until("the link comes back", move |hand| {
            hand.links > links && hand.is_linked()
        })
        .await?;
    scene.probe().await?;
    let outcome = scene.outcome().await?;
    let condemned: u64 = outcome.refused.values().sum();
    ensure!(
        condemned < 1_000,
        "{condemned} of {fitting} items were looked at"
    );
    ensure!(
        outcome.shown == [Vec::<String>::new(), Vec::new()],
        "{outcome:#?}"
    );
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_break_a_limit_are_refused() -> Result<()> {
    refuses(
        |hand, chat| {
            let good = hand.draft(chat, "beyond a limit")?;
            let field = |number| Field {
                number,
                value: Blob(vec![1]),
            };
            let mut many = good.clone();
            many.events = vec![good.events[0].clone(); limits::ENVELOPE_EVENTS + 1];
            for (place, event) in many.events.iter_mut().enumerate() {
                event.clock.0 += place as u64;
            }
            let mut none = good.clone();
            none.events.clear();
            let mut same_clock = good.clone();
            same_clock.events.push(good.events[0].clone());
            let bad = vec![
                many.sealed(),
                none.sealed(),
                same_clock.sealed(),
                good.with_header(|header| header.version = 9),
                good.with_header(|header| header.first_seq = 0),
                good.with_header(|header| header.first_seq = u64::MAX),
                good.with_header(|header| header.prev = Hash([1; 32])),
                good.with_header(|header| header.events[0].payload_len = u32::MAX),
                good.with_header(|header| header.fields = Fields(vec![field(3), field(3)])),
                good.with_header(|header| header.fields = Fields(vec![field(4), field(3)])),
                good.with_header(|header| header.fields = Fields((0..65).map(field).collect())),
                good.with_header(|header| {
                    header.fields = Fields(vec![Field {
                        number: 1,
                        value: Blob(vec![0; 70_000]),
                    }])
                }),
            ];
            let count = bad.len();
            ensure!(count == 12, "twelve headers");
            Ok(bad
                .into_iter()
                .map(|sealed| frame_of(chat, vec![sealed]))
                .collect())
        },
        &[("bad_envelope", 12)],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_beyond_the_limit_is_refused() -> Result<()> {
    refuses(
        |hand, chat| {
            let long = hand.draft_raw(chat, kind::MESSAGE, vec![b'x'; limits::PAYLOAD_BYTES])?;
            Ok(vec![long.frame()])
        },
        &[("bad_envelope", 1)],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn random_bytes_in_every_kind_of_frame_are_refused() -> Result<()> {
    use crossport_protocol::suite::Random as _;
    let kinds = NUMBERS.count() as u64;
    refuses(
        |_, _| {
            let mut random = crossport_node::random::OsRandom;
            let frames = NUMBERS.flat_map(|number| (0..20).map(move |round| (number, round)));
            Ok(frames
                .map(|(number, round)| {
                    let mut bytes = vec![0; 100 + round * 37];
                    random.fill(&mut bytes);
                    raw(number, &bytes)
                })
                .collect())
        },
        &[("bad_frame", kinds * 20)],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_shape_that_is_right_is_taken_and_one_wrong_byte_shows_without_the_check()
-> Result<()> {
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    scene.plant(Bug::SkipSignature).await?;
    let outcome = scene.attack(move |hand| {
        // Two events with one clock: refused by shape alone, so the planted bug lets it through.
        let mut twice = hand.draft(chat, "once")?;
        twice
            .events
            .push(twice.saying("and once more").events.remove(0));
        Ok(vec![twice.frame()])
    });
    let outcome = outcome.await?;
    ensure!(
        outcome.refused_only(&[("bad_envelope", 1)]).is_err(),
        "the check did not turn red: {outcome:#?}"
    );
    ensure!(
        outcome.shows("and once more"),
        "the planted bug did nothing: {outcome:#?}"
    );
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pairing_requests_of_a_wrong_shape_are_refused() -> Result<()> {
    use crossport_node::api::types::Invite;
    let mut acme = crossport_tests::world::Company::start("Acme").await?;
    let mallory = Mallory::start("Mallory Ltd")?;
    let invite = Invite {
        client_id: "invite".to_owned(),
        expires_in_s: None,
        alias: None,
    };
    let ticket = acme.node().invite_partner(OPERATOR, invite).await?.ticket;
    let changes: Vec<fn(&mut crossport_protocol::pairing::PairRequest)> = vec![
        |request| request.identity.clear(),
        |request| request.addresses = vec!["127.0.0.1:1".to_owned(); 17],
        |request| request.addresses = vec!["x".repeat(257)],
        |request| request.signature = Signature::from_bytes([0; 64]),
        |request| {
            request.identity = vec![SignedIdentity {
                header: Blob(vec![0; 100]),
                signature: Signature::from_bytes([0; 64]),
            }]
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let reply = mallory.present(&ticket, change).await?;
        check(
            &format!("change {number}"),
            reply.outcome,
            crossport_protocol::pairing::refusal::BAD_REQUEST,
        )?;
    }
    check(
        "the true request",
        mallory.present(&ticket, |_| {}).await?.outcome,
        0,
    )?;
    mallory.stop().await;
    acme.down().await
}
