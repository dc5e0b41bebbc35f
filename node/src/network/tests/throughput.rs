//! How fast it goes on loopback. Prints numbers and asserts only that everything arrived:
//! `cargo test -p crossport-node throughput -- --nocapture --test-threads 1`.

use std::time::Instant;

use super::*;

/// Sends `count` frames of `size` bytes from boris to anna as fast as the queue takes them.
async fn run(transport: Transport, count: usize, size: usize) -> Duration {
    let (mut anna, boris) = pair_of(transport, quick(), quick()).await;
    let anna_key = anna.key();
    let frame = Bytes::from(vec![9; size]);
    let started = Instant::now();
    let sending = tokio::spawn(async move {
        let mut left = count;
        while left > 0 {
            match boris.handle.send(anna_key, frame.clone()) {
                Ok(()) => left -= 1,
                Err(SendError::QueueFull) => {
                    let link = boris.handle.connections().first().map(|up| up.link);
                    let link = link.expect("the session stays up");
                    boris
                        .handle
                        .room(anna_key, link)
                        .await
                        .expect("the session stays up");
                }
                Err(error) => panic!("not sent: {error}"),
            }
        }
        boris
    });
    let mut received = 0;
    while received < count {
        let event = tokio::time::timeout(DEADLINE, anna.events.recv())
            .await
            .expect("frames keep coming");
        if let Some(NetworkEvent::Frame { bytes, .. }) = event {
            assert_eq!(bytes.len(), size);
            received += 1;
        }
    }
    let took = started.elapsed();
    sending.await.expect("no panic");
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn throughput_on_loopback() {
    for transport in [Transport::Tcp, Transport::Quic] {
        for (count, size) in [
            (200_000, 100),
            (50_000, 1_000),
            (2_000, 64 << 10),
            (200, MAX_FRAME_BYTES),
        ] {
            let took = run(transport, count, size).await;
            let frames = count as f64 / took.as_secs_f64();
            let megabytes = frames * size as f64 / 1e6;
            eprintln!(
                "{transport} {count:>7} x {size:>7} B: {frames:>9.0} frames/s {megabytes:>7.1} MB/s"
            );
        }
    }
}
