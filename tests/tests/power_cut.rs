//! What journal and registers acknowledge survives a power cut; without fdatasync it does not.
//!
//! The writer is this very test binary, started again with [`WRITER`] set.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use crossport_node::journal::{
    Disk, DiskFile, Journal, NewRecord, Options, Position, RealDisk, Record, anchor,
};
use crossport_node::registers::Registers;
use crossport_tests::power_cut::{self, Cut, Outcome, Plan};

/// Set for the writer: `synced` or `unsynced`.
const WRITER: &str = "CROSSPORT_POWER_CUT_WRITER";
/// Set for the writer: the folder to write in.
const FOLDER: &str = "CROSSPORT_POWER_CUT_FOLDER";
const KEY: [u8; 32] = [3; 32];
/// Small, so that segments are begun often.
const SEGMENT_BYTES: u64 = 128 * 1024;
const REGISTER: &[u8] = b"counter";

#[test]
fn what_was_acknowledged_survives_every_power_cut() {
    if !loop_mounts() {
        return;
    }
    let cuts = if std::env::var_os("CROSSPORT_LONG").is_some_and(|value| value == "1") {
        300
    } else {
        60
    };
    let outcome = cut("synced", cuts, 3);
    eprintln!(
        "{} cuts, {} lines acknowledged, {} failures",
        outcome.cuts,
        outcome.acknowledged,
        outcome.failures.len()
    );
    assert!(
        outcome.failures.is_empty(),
        "of {} cuts: {:#?}",
        outcome.cuts,
        outcome.failures
    );
    assert!(
        outcome.with_acknowledgements > cuts / 2,
        "the cuts came too early: {outcome:?}"
    );
    assert!(
        outcome.acknowledged > cuts as usize * 10,
        "too little was written to show anything: {outcome:?}"
    );
}

#[test]
fn control_without_fdatasync_acknowledged_data_is_lost() {
    if !loop_mounts() {
        return;
    }
    // Each run on a new disk: what an unsynced cut leaves cannot always be opened again.
    let outcome = cut("unsynced", 8, 1);
    assert_eq!(
        outcome.failures.len(),
        outcome.with_acknowledgements as usize,
        "without fdatasync every cut must lose something, or the test above shows nothing: {outcome:#?}"
    );
    assert!(outcome.with_acknowledgements >= 4, "{outcome:?}");
}

/// Not a test but the writer, when started as such.
#[test]
fn writer() {
    let (Ok(mode), Some(folder)) = (std::env::var(WRITER), std::env::var_os(FOLDER)) else {
        return;
    };
    let disk: Arc<dyn Disk> = if mode == "unsynced" {
        Arc::new(NeverSyncs)
    } else {
        Arc::new(RealDisk)
    };
    if let Err(failure) = write(Path::new(&folder), disk) {
        panic!("the writer failed: {failure:#}");
    }
}

fn loop_mounts() -> bool {
    let Err(reason) = power_cut::loop_mounts_work() else {
        return true;
    };
    let allowed = std::env::var_os("CROSSPORT_ALLOW_NO_LOOP").is_some_and(|value| value == "1");
    assert!(
        allowed,
        "power cuts need root, losetup, mkfs.ext4 and mount: {reason:#}\n\
         try: run as root, or set CROSSPORT_ALLOW_NO_LOOP=1 to go without this test"
    );
    eprintln!("NOT TESTED: power cuts, because images cannot be mounted here: {reason:#}");
    false
}

fn cut(mode: &str, cuts: u32, runs_per_disk: u32) -> Outcome {
    let plan = Plan {
        cuts,
        cuts_per_run: 5,
        runs_per_disk,
        image_mib: 96,
        longest_wait_ms: 60,
    };
    let writer = |disk: &Path| {
        let mut command = Command::new(std::env::current_exe().expect("this test binary"));
        command
            .args(["--exact", "writer", "--nocapture"])
            .env(WRITER, mode)
            .env(FOLDER, disk);
        command
    };
    power_cut::run(&plan, writer, check).expect("the power cuts")
}

/// Writes until it is killed, or until the disk is full, and prints what is durable.
fn write(folder: &Path, disk: Arc<dyn Disk>) -> Result<()> {
    let options = Options {
        segment_bytes: SEGMENT_BYTES,
        disk: disk.clone(),
    };
    let (mut journal, _) = Journal::open(&folder.join("journal"), &KEY, options.clone())?;
    let (mut registers, _) = Registers::open_on(disk, &folder.join("registers"), &KEY)?;
    let mut random = Random(getrandom::u64()?);
    let run = random.next();
    let mut written: Vec<Position> = Vec::new();
    let mut counter = registers.get(REGISTER).map_or(0, number);
    // The first line is begun by the test harness.
    say("")?;
    for round in 0_u64.. {
        let group: Vec<(u64, Vec<u8>)> = (0..=random.below(12))
            .map(|place| payload(run, round * 16 + place))
            .collect();
        let records: Vec<NewRecord<'_>> = group
            .iter()
            .map(|(number, payload)| NewRecord {
                kind: 1,
                sealed: number % 2 == 0,
                payload,
            })
            .collect();
        let places = journal.append(journal.head().position, &records)?;
        let lines: Vec<String> = places
            .iter()
            .zip(&group)
            .map(|(place, (number, _))| format!("record {place} {run} {number}\n"))
            .collect();
        say(lines.concat().trim_end())?;
        written.extend(places);
        if round % 7 == 3 {
            let victim = *written
                .get(random.below(written.len() as u64) as usize)
                .context("something is written")?;
            say(&format!("erasing {victim}"))?;
            journal.erase_whole(victim)?;
            say(&format!("erased {victim}"))?;
        }
        if round % 5 == 2 {
            counter += 1;
            registers.put_all(
                &[(REGISTER.to_vec(), Some(counter.to_le_bytes().to_vec()))],
                true,
            )?;
            say(&format!("register {counter}"))?;
        }
        if round % 11 == 6 {
            anchor::write(&folder.join("anchor"), &journal.head())?;
        }
        if round % 40 == 39 {
            journal.close()?;
            journal = Journal::open(&folder.join("journal"), &KEY, options.clone())?.0;
        }
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    // One write for one line: it is outside whole or not at all.
    let mut out = io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}

/// What the acknowledgements promise.
#[derive(Default)]
struct Promised {
    records: BTreeMap<Position, (u64, u64)>,
    erased: BTreeMap<Position, bool>,
    counter: u64,
}

fn promised(lines: &[String]) -> Result<Promised> {
    let mut promised = Promised::default();
    for line in lines {
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        match (kind, numbers.as_slice()) {
            ("record", [place, run, number]) => {
                promised.records.insert(Position(*place), (*run, *number));
            }
            ("erasing", [place]) => {
                promised.erased.entry(Position(*place)).or_insert(false);
            }
            ("erased", [place]) => {
                promised.erased.insert(Position(*place), true);
            }
            ("register", [counter]) => promised.counter = *counter,
            // Lines of the test harness.
            ("" | "running" | "test", _) => {}
            _ => bail!("the writer said {line:?}"),
        }
    }
    Ok(promised)
}

fn check(cut: &Cut<'_>) -> Result<()> {
    let promised = promised(cut.acknowledged)?;
    let options = Options {
        segment_bytes: SEGMENT_BYTES,
        disk: Arc::new(RealDisk),
    };
    let (journal, report) = Journal::open(&cut.disk.join("journal"), &KEY, options)?;
    ensure!(
        report.damage.is_empty(),
        "a power cut is no damage: {report:?}"
    );
    let reader = journal.reader();
    for (place, (run, number)) in &promised.records {
        let record = reader
            .read(*place)
            .with_context(|| format!("record {number} was acknowledged"))?;
        check_record(
            &record,
            payload(*run, *number).1,
            promised.erased.get(place).copied(),
        )?;
    }
    let verification = reader.verify_all();
    ensure!(verification.damaged == 0, "{verification:?}");
    let anchor = anchor::read(&cut.disk.join("anchor"))?;
    let comparison = anchor::compare(anchor.as_ref(), &reader);
    let doubt = matches!(comparison, anchor::Comparison::Unknown(_)) && anchor.is_some();
    ensure!(!doubt, "a power cut is no restored copy: {comparison:?}");
    let (registers, report) = Registers::open(&cut.disk.join("registers"), &KEY)?;
    ensure!(report.damaged.is_empty(), "{report:?}");
    let counter = registers.get(REGISTER).map_or(0, number);
    ensure!(
        counter >= promised.counter,
        "register {} was acknowledged, {counter} is there",
        promised.counter
    );
    Ok(())
}

/// `erased`: acknowledged (`true`), begun (`false`), or never asked for.
fn check_record(record: &Record, written: Vec<u8>, erased: Option<bool>) -> Result<()> {
    if record.erased.is_empty() {
        ensure!(
            erased != Some(true),
            "the record at {} was erased and is back",
            record.position
        );
        ensure!(
            record.payload == written,
            "the record at {} is another one",
            record.position
        );
    } else {
        ensure!(
            erased.is_some(),
            "the record at {} was never erased",
            record.position
        );
        ensure!(
            record.payload == vec![0; written.len()],
            "the record at {} is erased in part",
            record.position
        );
    }
    Ok(())
}

/// The payload that belongs to a number of a run.
fn payload(run: u64, number: u64) -> (u64, Vec<u8>) {
    let mut random = Random(run ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let length = 1 + random.below(900);
    (number, (0..length).map(|_| random.next() as u8).collect())
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// splitmix64: payloads must be the same in the writer and in the checker.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// The control: a disk that says it has synced.
#[derive(Debug)]
struct NeverSyncs;

impl Disk for NeverSyncs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(RealDisk.create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(RealDisk.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct UnsyncedFile(Box<dyn DiskFile>);

impl DiskFile for UnsyncedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_length(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
}
