//! Random contents, cuts and bit flips: a read gives exactly what was written, or a named error, and never panics.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A small generator with a printed seed, so that a failing run can be repeated.
struct Seeded(u64);

impl Seeded {
    /// xorshift64*, from Vigna, "An experimental exploration of Marsaglia's xorshift generators".
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

type Contents = BTreeMap<Position, (u16, Vec<u8>)>;

/// A journal of several segments with open, sealed and erased records, stopped cleanly or not.
fn sample(seed: &mut Seeded, clean: bool) -> (Place, Contents) {
    let place = Place::with_segments_of(2_500);
    let (mut journal, _) = place.open();
    let mut contents = Contents::new();
    for _ in 0..14 {
        let payloads: Vec<Vec<u8>> = (0..=seed.below(4)).map(|_| random_bytes(seed)).collect();
        let records: Vec<NewRecord<'_>> = payloads
            .iter()
            .map(|payload| {
                if payload.len() % 2 == 0 {
                    open_text(payload)
                } else {
                    local_fact(payload)
                }
            })
            .collect();
        for ((position, record), payload) in append(&mut journal, &records)
            .into_iter()
            .zip(&records)
            .zip(&payloads)
        {
            contents.insert(position, (record.kind, payload.clone()));
        }
        let victim = *contents
            .keys()
            .nth(seed.below(contents.len()))
            .expect("not empty");
        let (kind, payload) = contents.get_mut(&victim).expect("it is a key");
        if *kind == 1 && payload.len() > 8 {
            let part = 3..7;
            journal.erase(victim, &[part]).expect("erasing");
            payload[3..7].fill(0);
        }
    }
    if clean {
        journal.close().expect("closing");
    }
    (place, contents)
}

fn random_bytes(seed: &mut Seeded) -> Vec<u8> {
    let length = seed.below(400);
    (0..length).map(|_| seed.next() as u8).collect()
}

/// How a damaged journal answered.
#[derive(Debug, Default)]
struct Outcome {
    whole: usize,
    named: usize,
    refused_to_open: usize,
}

/// Opens the journal and reads everything in every way; `Err` tells a payload that was never written.
fn read_everything(
    place: &Place,
    contents: &Contents,
    outcome: &mut Outcome,
) -> Result<(), String> {
    let journal = match Journal::open(place.path(), &KEY, place.options.clone()) {
        Ok((journal, _)) => journal,
        Err(_) => {
            outcome.refused_to_open += 1;
            return Ok(());
        }
    };
    let reader = journal.reader();
    for (position, (kind, payload)) in contents {
        match reader.read(*position) {
            Ok(record) if record.kind == *kind && record.payload == *payload => outcome.whole += 1,
            Ok(record) => {
                return Err(format!(
                    "read at {position} gave another record: {record:?}"
                ));
            }
            Err(_) => outcome.named += 1,
        }
    }
    let mut last = None;
    for step in reader.scan(Position::START) {
        let position = match &step {
            Ok(record) => record.position,
            Err(damage) => damage.position,
        };
        if last.is_some_and(|last| last >= position) || position >= journal.head().position {
            return Err(format!("the scan went to {position} after {last:?}"));
        }
        last = Some(position);
        if let Ok(record) = step
            && contents.get(&position) != Some(&(record.kind, record.payload))
        {
            return Err(format!(
                "the scan gave a record at {position} that was never written"
            ));
        }
    }
    reader.verify_all();
    Ok(())
}

/// Flips one bit at a time in any of the files; returns the first wrong payload.
fn flip_bits(flips: usize, seed: u64, payload_checks_off: bool) -> Result<Outcome, String> {
    let mut seeded = Seeded(seed);
    let mut outcome = Outcome::default();
    for round in 0..flips {
        // A fresh sample now and then; between, the same files are put back.
        let (mut place, contents) = sample(&mut seeded, round % 2 == 0);
        place.options.payload_checks_off = payload_checks_off;
        for _ in 0..25.min(flips) {
            let copy = place.copy();
            let files: Vec<_> = fs::read_dir(copy.path())
                .expect("listing")
                .map(|entry| entry.expect("listing").path())
                .filter(|path| fs::metadata(path).expect("there").len() > 0)
                .collect();
            let file = &files[seeded.below(files.len())];
            change(file, |bytes| {
                let bit = seeded.below(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            });
            read_everything(&copy, &contents, &mut outcome)
                .map_err(|wrong| format!("seed {seed}: {wrong}"))?;
        }
        if (round + 1) * 25 >= flips {
            break;
        }
    }
    Ok(outcome)
}

fn long() -> bool {
    std::env::var_os("CROSSPORT_LONG").is_some_and(|value| value == "1")
}

fn fresh_seed() -> u64 {
    getrandom::u64().expect("randomness") | 1
}

#[test]
fn every_flipped_bit_gives_the_same_payload_or_a_named_error() {
    let flips = if long() { 20_000 } else { 1_000 };
    let outcome = flip_bits(flips, fresh_seed(), false).expect("no wrong payload");
    assert!(
        outcome.whole > flips * 15 && outcome.named > flips / 4,
        "{outcome:?}"
    );
    assert!(
        outcome.refused_to_open < flips / 20,
        "damage must not keep a journal shut: {outcome:?}"
    );
}

#[test]
fn control_without_payload_checks_flipped_bits_do_give_other_payloads() {
    let wrong = flip_bits(1_000, fresh_seed(), true);
    assert!(wrong.is_err(), "the test above cannot fail: {wrong:?}");
}

#[test]
fn every_cut_and_every_overwritten_stretch_gives_the_same_payload_or_a_named_error() {
    let seed = fresh_seed();
    let mut seeded = Seeded(seed);
    let mut outcome = Outcome::default();
    for round in 0..if long() { 4_000 } else { 200 } {
        let (place, contents) = sample(&mut seeded, round % 2 == 0);
        let segments = place.segments();
        let file = &segments[seeded.below(segments.len())];
        change(file, |bytes| {
            let start = seeded.below(bytes.len());
            let end = (start + seeded.below(1_500)).min(bytes.len());
            match round % 4 {
                0 => bytes.truncate(start),
                1 => bytes[start..end].fill(0),
                2 => bytes[start..end]
                    .iter_mut()
                    .for_each(|byte| *byte = seeded.next() as u8),
                _ => bytes.extend((0..end - start).map(|_| seeded.next() as u8)),
            }
        });
        let read = read_everything(&place, &contents, &mut outcome);
        assert_eq!(read, Ok(()), "seed {seed}");
        // And it can be written on.
        if let Ok((mut journal, _)) = Journal::open(place.path(), &KEY, place.options.clone()) {
            let at = append_each(&mut journal, &[b"goes on"])[0];
            assert_eq!(
                journal.reader().read(at).expect("readable").payload,
                b"goes on",
                "seed {seed}"
            );
        }
    }
    assert!(outcome.whole > 1_000 && outcome.named > 100, "{outcome:?}");
}

fn any_group() -> impl Strategy<Value = Vec<(u16, bool, Vec<u8>)>> {
    let payload = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..600),
        1 => (0_usize..20_000).prop_map(|length| vec![0; length]),
    ];
    proptest::collection::vec((0..RESERVED_KINDS, any::<bool>(), payload), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_appended_is_read_whatever_the_groups_segments_and_stops(
        groups in proptest::collection::vec(any_group(), 1..12),
        segment_bytes in 300_u64..20_000,
        stops in proptest::collection::vec(0_u8..4, 12),
    ) {
        let place = Place::with_segments_of(segment_bytes);
        let (mut journal, _) = place.open();
        let mut written = Vec::new();
        for (group, stop) in groups.iter().zip(stops) {
            let records: Vec<NewRecord<'_>> = group
                .iter()
                .map(|(kind, sealed, payload)| NewRecord { kind: *kind, sealed: *sealed, payload })
                .collect();
            let places = append(&mut journal, &records);
            written.extend(places.into_iter().zip(group.iter().cloned()));
            let head = journal.head();
            if stop == 0 {
                journal.close().expect("closing");
                journal = place.open().0;
            } else if stop == 1 {
                drop(journal);
                journal = place.open().0;
            }
            prop_assert_eq!(journal.head(), head);
        }
        let reader = journal.reader();
        let scanned: Vec<Record> = reader.scan(Position::START).map(|record| record.expect("no damage")).collect();
        prop_assert_eq!(scanned.len(), written.len());
        for (record, (position, (kind, _, payload))) in scanned.iter().zip(&written) {
            prop_assert_eq!((record.position, record.kind, &record.payload), (*position, *kind, payload));
            prop_assert_eq!(&reader.read(*position).expect("readable"), record);
        }
        prop_assert_eq!(reader.verify_all().damaged, 0);
    }
}
