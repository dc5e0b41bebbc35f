//! A partner that is owed more than its queue holds, and does not read for a while.

use anyhow::Result;
use crossport_protocol::frame::{Digests, Frame};
use crossport_protocol::ids::ChatId;
use crossport_protocol::suite::Random as _;
use crossport_tests::hostile::scene::Scene;
use crossport_tests::world::{check, eventually};

/// More than `queue_frames` of the network: each of these chats is asked for in a frame of its own.
const CHATS: u64 = 40_000;

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_queue_holds_arrives_without_a_new_link_and_nobody_waits() -> Result<()> {
    let scene = Scene::open().await?;
    let private = scene.private.to_string();
    let (links, heard) = scene
        .mallory
        .act(|hand| {
            hand.obedient = false;
            hand.deaf = true;
            (hand.links, hand.heard_frames)
        })
        .await?;
    let mut random = crossport_node::random::OsRandom;
    let digests = (0..4).map(|_| {
        let chats = (0..CHATS / 4).map(|_| (ChatId(random.array()), [1; 16]));
        let entries = chats.collect();
        let last = false;
        Frame::Digests(Digests { entries, last }).encode()
    });
    scene.mallory.send(digests.collect()).await?;
    eventually("Mallory's queue fills", || async {
        let connections = scene.acme.node().network().connections();
        Ok(connections.iter().any(|link| link.queued_frames > 8_192))
    })
    .await?;
    scene
        .acme
        .post(scene.anna, &private, "while Mallory reads nothing")
        .await?;
    eventually("Boris hears Anna meanwhile", || async {
        let shown = scene.globex.texts(scene.boris, &private).await?;
        Ok(shown
            .iter()
            .any(|text| text == "while Mallory reads nothing"))
    })
    .await?;
    scene.mallory.act(|hand| hand.deaf = false).await?;
    scene
        .mallory
        .until("Mallory has read all of it", move |hand| {
            hand.heard_frames >= heard + CHATS
        })
        .await?;
    let now = scene.mallory.act(|hand| hand.links).await?;
    check("links of Mallory", now, links)?;
    scene.close().await
}
