//! Every decoder under mutated input, in every run: 5 s a target (60 s with CROSSPORT_LONG=1), after the kept inputs.
//!
//! Each target runs in a process of its own, this program started again, so that also an abort, a stack overflow or an
//! endless loop is a finding with its input and not the end of the run. By hand:
//!
//! ```text
//! CROSSPORT_FUZZ_TARGET=frame CROSSPORT_FUZZ_SECONDS=600 cargo test --release -p crossport-tests --test fuzz_replay
//! CROSSPORT_FUZZ_TARGET=frame CROSSPORT_FUZZ_INPUT=FILE  cargo test -p crossport-tests --test fuzz_replay
//! ```

use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use crossport_tests::fuzz::drive::{self, Meter, Places, corpus, drive, judge};
use crossport_tests::fuzz::{Outcome, TARGETS, Target, corpus_folder, seeds, target};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const METER: Meter = Meter {
    current: || ALLOCATOR.current_usage(),
    reset_peak: || ALLOCATOR.reset_peak_usage(),
    peak: || ALLOCATOR.peak_usage(),
};

/// A run of every target must not make the quick run long: what five seconds a target would take over this is shared.
const QUICK_TOTAL_S: f64 = 45.0;
const QUICK_TARGET_S: f64 = 5.0;
const LONG_TARGET_S: f64 = 60.0;
/// Beyond its time, for seeds, kept inputs and shrinking.
const GRACE: Duration = Duration::from_secs(120);
/// Seeds of one target that are kept beside what was found on the way, for libFuzzer and for the day when a changed
/// constructor no longer makes them.
const KEPT_SEEDS: usize = 6;
/// The repository keeps the corpus for good.
const CORPUS_BYTES: u64 = 1 << 20;

fn setting(name: &str) -> Option<String> {
    std::env::var(format!("CROSSPORT_FUZZ_{name}")).ok()
}

fn found_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz")
}

#[test]
fn every_decoder_keeps_its_promises() -> Result<()> {
    match setting("TARGET") {
        Some(name) => one(target(&name).with_context(|| format!("no target {name}"))?),
        None => all(),
    }
}

/// In a process of its own, or by hand.
fn one(target: &Target) -> Result<()> {
    drive::remember_panics();
    if let Some(path) = setting("INPUT") {
        let input = std::fs::read(&path).with_context(|| format!("reading {path}"))?;
        let (judged, peak) = judge(target, METER, &input);
        let outcome = judged.map_err(|broken| anyhow::anyhow!("{}: {broken:?}", target.name))?;
        println!("{}: {outcome:?}, peak {peak} bytes", target.name);
        return Ok(());
    }
    let seconds: f64 = setting("SECONDS").map_or(Ok(QUICK_TARGET_S), |text| text.parse())?;
    let seed = setting("SEED").map_or(Ok(1), |text| text.parse())?;
    let mut places = Places::of(&found_folder(), target)?;
    let mut inputs = seeds::all().remove(target.name).unwrap_or_default();
    ensure!(!inputs.is_empty(), "{} has no seeds", target.name);
    let kept = corpus_folder().join(target.name);
    if setting("KEEP").is_some() {
        // The shortest ones: what they lack, the run makes from all seeds.
        inputs.sort_by_key(Vec::len);
        for seed in inputs.iter().take(KEPT_SEEDS) {
            drive::keep(&kept, seed)?;
        }
        places.kept = Some(kept);
    }
    inputs.extend(corpus(target)?);
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let figures = drive(target, METER, inputs, seed, &places, |runs| {
        // Asking the clock costs as much as a small input does.
        runs % 16 != 0 || Instant::now() < until
    })?;
    println!(
        "fuzz: {:<16} {:>9} runs {:>9} taken {:>9} refused for {:>3} reasons, peak {:>6} KiB, seed {seed}",
        target.name,
        figures.runs,
        figures.taken,
        figures.refused,
        figures.reasons,
        figures.peak / 1024
    );
    ensure!(figures.taken > 0, "{}: nothing was ever taken", target.name);
    ensure!(
        figures.refused > 0,
        "{}: nothing was ever refused",
        target.name
    );
    Ok(())
}

/// All targets, as many at a time as there are cores.
fn all() -> Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    let long = std::env::var_os("CROSSPORT_LONG").is_some_and(|value| value == "1");
    let share = QUICK_TOTAL_S * cores as f64 / TARGETS.len() as f64;
    let seconds = if long {
        LONG_TARGET_S
    } else {
        QUICK_TARGET_S.min(share)
    };
    // The quick run is the same every time; the long one is another each time, and says which.
    let seed = if long {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        since.as_secs()
    } else {
        1
    };
    let waiting: Mutex<VecDeque<&Target>> = Mutex::new(TARGETS.iter().collect());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(target) = next(&waiting) {
                    if let Err(error) = in_a_process(target, seconds, seed)
                        && let Ok(mut failures) = failures.lock()
                    {
                        failures.push(format!("{error:#}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner()?;
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

fn next<'a>(waiting: &Mutex<VecDeque<&'a Target>>) -> Option<&'a Target> {
    waiting.lock().ok()?.pop_front()
}

fn in_a_process(target: &Target, seconds: f64, seed: u64) -> Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "every_decoder_keeps_its_promises", "--nocapture"])
        .env("CROSSPORT_FUZZ_TARGET", target.name)
        .env("CROSSPORT_FUZZ_SECONDS", seconds.to_string())
        .env("CROSSPORT_FUZZ_SEED", seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (mut out, mut errors) = (child.stdout.take(), child.stderr.take());
    let reading = std::thread::spawn(move || -> std::io::Result<(String, String)> {
        let mut texts = (String::new(), String::new());
        if let Some(errors) = &mut errors {
            errors.read_to_string(&mut texts.1)?;
        }
        if let Some(out) = &mut out {
            out.read_to_string(&mut texts.0)?;
        }
        Ok(texts)
    });
    let ended = wait(&mut child, Duration::from_secs_f64(seconds) + GRACE)?;
    let (said, errors) = reading.join().map_err(|_| anyhow::anyhow!("reader"))??;
    for line in said.lines().filter(|line| line.contains("fuzz: ")) {
        println!("{}", line.split_at(line.find("fuzz: ").unwrap_or(0)).1);
    }
    match ended {
        Some(status) if status.success() => Ok(()),
        Some(status) if status.code().is_some() => bail!("{errors}"),
        ended => {
            let input = drive::what_killed(&Places::of(&found_folder(), target)?)?;
            let how = ended.map_or("never ended".to_owned(), |status| status.to_string());
            bail!(
                "{}: {how}; input: {}\n{errors}",
                target.name,
                input.display()
            )
        }
    }
}

/// `None` when it had to be ended.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<std::process::ExitStatus>> {
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn every_target_has_kept_inputs_and_every_folder_a_target() -> Result<()> {
    let mut bytes = 0;
    for target in TARGETS {
        bytes += corpus(target)?.iter().map(Vec::len).sum::<usize>() as u64;
    }
    ensure!(
        bytes <= CORPUS_BYTES,
        "the kept inputs have grown to {bytes} bytes"
    );
    for entry in std::fs::read_dir(corpus_folder())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(
            target(&name).is_some(),
            "tests/fuzz/corpus/{name} has no target"
        );
    }
    Ok(())
}

#[test]
fn libfuzzer_runs_the_same_targets() -> Result<()> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml");
    let manifest = std::fs::read_to_string(manifest)?;
    let (_, binaries) = manifest.split_once("[[bin]]").context("no binaries")?;
    let names = binaries
        .lines()
        .filter_map(|line| line.strip_prefix("name = "));
    let names: Vec<&str> = names.map(|name| name.trim_matches('"')).collect();
    let expected: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    ensure!(
        names == expected,
        "tests/fuzz/Cargo.toml lists {names:?}, the targets are {expected:?}"
    );
    Ok(())
}

/// The controls: decoders with a planted defect each, which the loop must find within a second's worth of runs.
mod planted {
    use super::*;
    use crossport_protocol::codec::{self, Blob};

    type Pair = (u16, Blob);

    /// Takes what follows the value.
    fn takes_trailing_bytes(bytes: &[u8]) -> Outcome {
        let whole = (8..=bytes.len()).rev().find_map(|end| {
            let value: Pair = codec::decode(bytes.get(..end)?, 1 << 16).ok()?;
            Some(value)
        });
        let value = whole.ok_or("malformed")?;
        assert_eq!(
            codec::encode(&value),
            bytes,
            "two byte strings for one value"
        );
        Ok(())
    }

    /// Believes the length that stands in front.
    fn reserves_what_is_declared(bytes: &[u8]) -> Outcome {
        let length = bytes
            .first_chunk()
            .map(|length| u64::from_le_bytes(*length));
        let reserved = Vec::<u8>::with_capacity(length.unwrap_or_default().min(1 << 30) as usize);
        if reserved.capacity() > bytes.len() {
            Err("shorter than declared".to_owned())
        } else {
            Ok(())
        }
    }

    /// Indexes with a number from outside.
    fn indexes_blindly(bytes: &[u8]) -> Outcome {
        let (place, rest): (u16, Blob) =
            codec::decode(bytes, 1 << 16).map_err(|error| error.to_string())?;
        assert!(rest.0[usize::from(place)] < 255 || !rest.0.is_empty());
        Ok(())
    }

    fn finds(name: &'static str, run: fn(&[u8]) -> Outcome) -> Result<String> {
        let target = Target {
            name,
            run,
            bytes_per_byte: 16,
            bytes_fixed: 4 << 20,
        };
        let places = Places::of(&found_folder(), &target)?;
        let seed = codec::encode(&(1u16, Blob(vec![0; 20])));
        match drive(&target, METER, vec![seed], 1, &places, |runs| runs < 20_000) {
            Err(found) => Ok(found.to_string()),
            Ok(figures) => bail!("{name} was not found in {figures:?}"),
        }
    }

    #[test]
    fn defects_are_found() -> Result<()> {
        if setting("TARGET").is_some() {
            return Ok(());
        }
        drive::remember_panics();
        let found = [
            finds("planted-trailing", takes_trailing_bytes)?,
            finds("planted-reserve", reserves_what_is_declared)?,
            finds("planted-index", indexes_blindly)?,
        ];
        for (text, word) in found
            .iter()
            .zip(["two byte strings", "Memory", "out of bounds"])
        {
            ensure!(text.contains(word), "found for another reason: {text}");
        }
        Ok(())
    }
}
