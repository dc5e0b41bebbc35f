//! The road from an address to an encrypted, multiplexed connection: QUIC, and TCP with Noise and yamux.
//!
//! Owns the choice of protocols and the bounds that belong to a connection as a whole. A relay transport joins here later.
//! Names are resolved before a dial (see `address`), so no resolver is part of it.

use std::sync::Arc;
use std::time::Instant;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, OrTransport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, Transport as _, noise, quic, tcp};

use super::NetworkError;
use super::limits::{
    NetworkLimits, PARTNER_GROWTH_BYTES, PARTNER_STREAMS, QUIC_STREAM_WINDOW_BYTES,
    QUIC_WINDOW_BYTES,
};
use super::muxer::{Guard, YamuxUpgrade};
use super::rates::TokenBucket;
use super::streams::Partners;

pub(super) fn build(
    keys: &Keypair,
    partners: Arc<Partners>,
    limits: &NetworkLimits,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetworkError> {
    let (burst, per_second) = (limits.stream_burst, limits.stream_per_second);
    let opens = move || TokenBucket::new(burst, per_second.into(), Instant::now());
    let stranger_streams = limits.stranger_streams;

    let noise = noise::Config::new(keys).map_err(|error| NetworkError::Keys(error.to_string()))?;
    let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex_ext(move |peer, _| {
            // A stranger's windows never grow beyond the first 256 KiB of each stream.
            let (streams, growth_bytes) = if partners.is_active(peer) {
                (PARTNER_STREAMS, PARTNER_GROWTH_BYTES)
            } else {
                (stranger_streams, 0)
            };
            YamuxUpgrade {
                streams,
                growth_bytes,
                opens: opens(),
            }
        })
        .timeout(limits.handshake)
        .boxed();

    let quic =
        quic::tokio::Transport::new(quic_config(keys, limits)).map(move |(peer, connection), _| {
            (peer, StreamMuxerBox::new(Guard::new(connection, opens())))
        });

    Ok(OrTransport::new(quic, tcp)
        .map(|either, _| either.into_inner())
        .boxed())
}

fn quic_config(keys: &Keypair, limits: &NetworkLimits) -> quic::Config {
    let mut config = quic::Config::new(keys);
    config.handshake_timeout = limits.handshake;
    config.max_idle_timeout = u32::try_from(limits.silence.as_millis()).unwrap_or(u32::MAX);
    config.keep_alive_interval = limits.ping_every;
    config.max_concurrent_stream_limit = PARTNER_STREAMS as u32;
    config.max_connection_data = QUIC_WINDOW_BYTES;
    config.max_stream_data = QUIC_STREAM_WINDOW_BYTES;
    config
}
