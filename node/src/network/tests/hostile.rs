//! Peers that do not behave. They speak the real protocol over the real transport.
