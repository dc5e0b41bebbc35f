//! Every target under libFuzzer: the name of the binary says which.
//!
//! Owns nothing; what a target promises stands in `tests/src/fuzz.rs`.
#![no_main]

use std::sync::LazyLock;

use crossport_tests::fuzz::{Target, target};
use libfuzzer_sys::{Corpus, fuzz_target};

static TARGET: LazyLock<&Target> =
    LazyLock::new(|| target(env!("CARGO_BIN_NAME")).expect("the binary has the name of a target"));

// What was refused stays in the corpus as well: each new reason is a step further into the decoder.
fuzz_target!(|bytes: &[u8]| -> Corpus {
    let _ = (TARGET.run)(bytes);
    Corpus::Keep
});
