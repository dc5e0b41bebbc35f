//! Random bytes of the operating system, in the shape that `protocol` asks for.

use crossport_protocol::suite::Random;

/// The operating system's generator. A node restored from a copy of its disk goes on with fresh numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        // Without random numbers there is no key and no nonce: nothing that follows could be right.
        getrandom::fill(bytes).expect("the operating system gives random numbers");
    }
}
