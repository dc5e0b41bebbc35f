//! The loop: replays kept inputs, then mutates them until the time is over, and keeps what shows something new.
//!
//! Owns the judgement of one run: no panic, bounded memory, bounded time. It must not know what a target promises. There
//! is no coverage on a stable compiler; instead an input is kept when its outcome is new (another reason of refusal, or
//! taken), which leads the loop through the checks one after the other.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use crossport_protocol::ids::Hash;
use crossport_protocol::sim::random::Seeded;

use super::mutate::mutate;
use super::{Outcome, Target};

/// One input takes microseconds to milliseconds; far beyond that, something is not linear.
const SLOWEST: Duration = Duration::from_secs(2);
/// Taken inputs that are kept for mutation beside those with a new outcome.
const MOST_TAKEN: usize = 256;
/// Runs spent on making a finding smaller.
const SHRINKING_RUNS: usize = 2_000;
/// A kept input lies in the repository for good.
pub const LARGEST_KEPT: usize = 4 * 1024;

/// The allocator's count, which the test binary owns.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    pub current: fn() -> usize,
    pub reset_peak: fn(),
    pub peak: fn() -> usize,
}

/// Why an input is a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    Panic(String),
    Memory { peak: usize, allowed: usize },
    Slow(Duration),
}

/// What a drive did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    pub runs: u64,
    pub taken: u64,
    pub refused: u64,
    pub reasons: usize,
    /// Peak of memory over all inputs, in bytes.
    pub peak: usize,
}

/// Where a drive writes.
#[derive(Debug)]
pub struct Places {
    /// Findings.
    pub found: PathBuf,
    /// The input that is running: what killed the process is read from here.
    pub current: PathBuf,
    /// Where the first input of each new outcome is to be kept, if it is.
    pub kept: Option<PathBuf>,
}

impl Places {
    pub fn of(folder: &Path, target: &Target) -> Result<Places> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(Places {
            found: folder.join(target.name),
            current: folder.join(format!("{}.current", target.name)),
            kept: None,
        })
    }
}

/// Runs one input and judges it.
pub fn judge(target: &Target, meter: Meter, input: &[u8]) -> (Result<Outcome, Broken>, usize) {
    (meter.reset_peak)();
    let before = (meter.current)();
    let began = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = began.elapsed();
    let peak = (meter.peak)().saturating_sub(before);
    let allowed = target.bytes_fixed + target.bytes_per_byte * input.len();
    let judged = match ended {
        Err(_) => Err(Broken::Panic(LAST_PANIC.take())),
        Ok(_) if peak > allowed => Err(Broken::Memory { peak, allowed }),
        Ok(_) if took > SLOWEST => Err(Broken::Slow(took)),
        Ok(outcome) => Ok(outcome),
    };
    (judged, peak)
}

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics are findings here: remembered with their place, told once and not at every run of the shrinking.
pub fn remember_panics() {
    std::panic::set_hook(Box::new(|info| LAST_PANIC.set(info.to_string())));
}

/// The kept inputs of a target, sorted by name.
pub fn corpus(target: &Target) -> Result<Vec<Vec<u8>>> {
    let folder = super::corpus_folder().join(target.name);
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder)
        .with_context(|| format!("{} has no kept inputs in {}", target.name, folder.display()))?
    {
        paths.push(entry?.path());
    }
    paths.sort();
    ensure!(!paths.is_empty(), "{} is empty", folder.display());
    paths
        .iter()
        .map(|path| fs::read(path).with_context(|| format!("reading {}", path.display())))
        .collect()
}

/// Replays `inputs`, then mutates until `until` says stop (it is asked with the number of runs).
///
/// # Errors
/// A broken promise: the input is in a file, which the error names.
pub fn drive(
    target: &Target,
    meter: Meter,
    inputs: Vec<Vec<u8>>,
    seed: u64,
    places: &Places,
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<Figures> {
    let current = File::create(&places.current)
        .with_context(|| format!("creating {}", places.current.display()))?;
    let mut random = Seeded::new(seed);
    let mut figures = Figures::default();
    let mut pool = Pool::default();
    let mut waiting = inputs.into_iter();
    loop {
        let input = match waiting.next() {
            Some(input) => input,
            None if !go_on(figures.runs) => break,
            None => {
                let from = random.pick(&pool.inputs).cloned().unwrap_or_default();
                mutate(&mut random, &from, &pool.inputs)
            }
        };
        note(&current, &input).context("writing down the input that runs next")?;
        let (judged, peak) = judge(target, meter, &input);
        figures.runs += 1;
        figures.peak = figures.peak.max(peak);
        match judged {
            Ok(outcome) => {
                match &outcome {
                    Ok(()) => figures.taken += 1,
                    Err(_) => figures.refused += 1,
                }
                pool.consider(&mut random, input, outcome);
            }
            Err(broken) => {
                let small = shrink(target, meter, &mut random, input, &broken);
                let path = keep(&places.found, &small)?;
                bail!(
                    "{}: {broken:?}\n  input ({} bytes): {}\n  again: CROSSPORT_FUZZ_TARGET={} CROSSPORT_FUZZ_INPUT={} cargo test -p \
                     crossport-tests --test fuzz_replay\n  once it is mended, keep the input in tests/fuzz/corpus/{}",
                    target.name,
                    small.len(),
                    path.display(),
                    target.name,
                    path.display(),
                    target.name
                );
            }
        }
    }
    figures.reasons = pool.reasons.len();
    if let Some(kept) = &places.kept {
        for input in pool.telling() {
            keep(kept, input)?;
        }
    }
    Ok(figures)
}

/// Length, then the bytes, in one write: it outlives a stack overflow or an abort of this process.
fn note(current: &File, input: &[u8]) -> io::Result<()> {
    let mut noted = (input.len() as u64).to_le_bytes().to_vec();
    noted.extend_from_slice(input);
    current.write_all_at(&noted, 0)
}

/// The input that was running when a process died; moved to a finding of its own.
pub fn what_killed(places: &Places) -> Result<PathBuf> {
    let noted = fs::read(&places.current)?;
    let (length, rest) = noted
        .split_first_chunk()
        .context("it had run nothing yet")?;
    let length = u64::from_le_bytes(*length) as usize;
    keep(&places.found, rest.get(..length).context("torn note")?)
}

/// Writes an input under the name of its hash.
pub fn keep(folder: &Path, input: &[u8]) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("{}.bin", Hash::of(&[input]).short()));
    let mut file = File::create(&path)?;
    file.write_all(input)?;
    Ok(path)
}

/// Cuts pieces out while the same promise stays broken.
fn shrink(
    target: &Target,
    meter: Meter,
    random: &mut Seeded,
    mut input: Vec<u8>,
    broken: &Broken,
) -> Vec<u8> {
    let same = |candidate: &[u8]| {
        let (judged, _) = judge(target, meter, candidate);
        judged.is_err_and(|found| std::mem::discriminant(&found) == std::mem::discriminant(broken))
    };
    if matches!(broken, Broken::Slow(_)) {
        return input;
    }
    for _ in 0..SHRINKING_RUNS {
        let from = random.below(input.len() + 1);
        let length = random.below((input.len() - from).min(256) + 1);
        let mut candidate = input.clone();
        candidate.drain(from..from + length);
        if length > 0 && same(&candidate) {
            input = candidate;
        }
    }
    input
}

/// Inputs worth mutating.
#[derive(Debug, Default)]
struct Pool {
    inputs: Vec<Vec<u8>>,
    /// The first input of each reason of refusal.
    reasons: BTreeMap<String, usize>,
    /// Taken inputs and where they stand.
    taken: BTreeMap<Hash, usize>,
}

impl Pool {
    fn consider(&mut self, random: &mut Seeded, input: Vec<u8>, outcome: Outcome) {
        let place = self.inputs.len();
        let Err(reason) = outcome else {
            return self.consider_taken(random, input);
        };
        if let Entry::Vacant(new) = self.reasons.entry(reason) {
            new.insert(place);
            self.inputs.push(input);
        }
    }

    fn consider_taken(&mut self, random: &mut Seeded, input: Vec<u8>) {
        let hash = Hash::of(&[&input]);
        if self.taken.contains_key(&hash) {
            return;
        }
        if self.taken.len() < MOST_TAKEN {
            self.taken.insert(hash, self.inputs.len());
            self.inputs.push(input);
        } else if random.one_in(64)
            && let Some((_, place)) = self.taken.pop_first()
            && let Some(held) = self.inputs.get_mut(place)
        {
            // Slowly another set, so that changes add up over many steps.
            *held = input;
            self.taken.insert(hash, place);
        }
    }

    /// Inputs that stand for a reason, small ones only.
    fn telling(&self) -> impl Iterator<Item = &[u8]> {
        let places = self.reasons.values();
        let inputs = places.filter_map(|place| self.inputs.get(*place));
        inputs
            .map(Vec::as_slice)
            .filter(|input| input.len() <= LARGEST_KEPT)
    }
}
