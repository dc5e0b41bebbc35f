//! What this machine can do, and what processes used of it.
//!
//! Owns the calibration that stands beside every figure: without it a number from another machine says nothing. Reads
//! `/proc`; where there is none, it says so. It must not know nodes.

use crate::errors::Failure;
use crossport_node::texts::Texts;
use crossport_protocol::suite::{Domain, SecretKey, Suite};
use serde::Serialize;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Long enough for a steady rate, short enough to be run before every benchmark.
const RATE_OVER: Duration = Duration::from_millis(300);
/// Appends whose median is taken.
const SYNCS: usize = 200;
/// One append: what a group commit of a few messages writes.
const SYNC_BYTES: usize = 4_096;

/// What the figures were measured on.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub cores: usize,
    pub processor: String,
    pub memory_mib: u64,
    pub kernel: String,
    /// Of the folder in which the nodes kept their data.
    pub file_system: String,
    /// `release`, or `debug`, whose figures say nothing.
    pub build: &'static str,
}

/// Rates of this machine, measured before the scenarios.
#[derive(Debug, Serialize)]
pub struct Calibration {
    /// Ed25519 signatures a second on one core.
    pub sign_per_s: f64,
    /// Strict verifications a second on one core.
    pub verify_per_s: f64,
    /// Median of an append of 4 KiB with `fdatasync`.
    pub fdatasync_ms: f64,
}

impl Machine {
    pub fn of(folder: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
                .unwrap_or_default()
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let memory: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: field(&read("/proc/cpuinfo"), "model name"),
            memory_mib: memory / 1_024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(folder, &read("/proc/self/mounts")),
            build: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
        }
    }
}

impl Calibration {
    pub fn measure(folder: &Path, texts: &Texts) -> Result<Self, Failure> {
        let key = SecretKey::from_bytes([7; 32]);
        let (suite, public) = (
            Suite::Ed25519,
            SecretKey::from_bytes([7; 32]).public(Suite::Ed25519),
        );
        let bytes = [0x5a_u8; 300];
        let signature = suite.sign(&key, Domain::Envelope, &bytes);
        let sign_per_s = rate(|| {
            std::hint::black_box(suite.sign(&key, Domain::Envelope, std::hint::black_box(&bytes)));
        });
        let verify_per_s = rate(|| {
            std::hint::black_box(suite.verify(
                &public,
                Domain::Envelope,
                std::hint::black_box(&bytes),
                &signature,
            ));
        });
        let file = folder.join("calibration");
        let synced =
            sync_ms(&file).map_err(|error| Failure::io(texts, &file.display().to_string(), &error));
        Ok(Self {
            sign_per_s,
            verify_per_s,
            fdatasync_ms: synced?,
        })
    }
}

/// Processor time that a process used so far, all threads, user and system.
///
/// # Errors
/// There is no `/proc`, or no such process.
pub fn cpu_of(pid: u32, texts: &Texts) -> Result<Duration, Failure> {
    let file = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&file).map_err(|error| Failure::io(texts, &file, &error))?;
    let ticks = cpu_ticks(&text).ok_or_else(|| Failure::content(texts, &file, &"utime, stime"))?;
    let per_s = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(ticks as f64 / per_s as f64))
}

/// Resident memory of a process in bytes.
///
/// # Errors
/// As [`cpu_of`].
pub fn memory_of(pid: u32, texts: &Texts) -> Result<u64, Failure> {
    let file = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&file).map_err(|error| Failure::io(texts, &file, &error))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map(|kib| kib * 1_024)
        .ok_or_else(|| Failure::content(texts, &file, &"VmRSS"))
}

/// Whether somebody listens on this TCP port of this machine, without disturbing them by a connection.
pub fn listens(port: u16) -> bool {
    let text = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let end = format!(":{port:04X}");
    text.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().unwrap_or_default();
        // 0A is LISTEN.
        local.ends_with(&end) && fields.nth(1) == Some("0A")
    })
}

/// Bytes that a folder occupies on disk.
pub fn disk_of(folder: &Path, texts: &Texts) -> Result<u64, Failure> {
    let mut waiting: Vec<PathBuf> = vec![folder.to_owned()];
    let mut blocks = 0;
    while let Some(path) = waiting.pop() {
        let failed =
            |error: std::io::Error| Failure::io(texts, &path.display().to_string(), &error);
        let data = match std::fs::symlink_metadata(&path) {
            // The node works on while it is looked at.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            data => data.map_err(failed)?,
        };
        blocks += data.blocks();
        if data.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(failed)? {
                waiting.push(entry.map_err(failed)?.path());
            }
        }
    }
    // `st_blocks` counts units of 512 bytes, whatever the file system.
    Ok(blocks * 512)
}

/// Calls a second.
fn rate(mut call: impl FnMut()) -> f64 {
    let begun = Instant::now();
    let mut calls = 0_u32;
    while begun.elapsed() < RATE_OVER {
        for _ in 0..50 {
            call();
        }
        calls += 50;
    }
    f64::from(calls) / begun.elapsed().as_secs_f64()
}

fn sync_ms(path: &Path) -> std::io::Result<f64> {
    let mut file = std::fs::File::create(path)?;
    let block = [0_u8; SYNC_BYTES];
    let mut took = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        took.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    std::fs::remove_file(path)?;
    Ok(super::report::median(&took))
}

/// `utime + stime` of a `/proc/PID/stat` line; the name in brackets may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Kind of the file system with the longest mount point above the folder.
fn file_system(folder: &Path, mounts: &str) -> String {
    let real = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let above = mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        real.starts_with(point).then_some((point.len(), kind))
    });
    above
        .max_by_key(|(length, _)| *length)
        .map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "42 (a) b) c) S 1 42 42 0 -1 4194560 100 0 0 0 17 5 0 0 20 0 8 0 100 0 0";
        assert_eq!(cpu_ticks(stat), Some(22));
        assert_eq!(cpu_ticks("42 (x"), None);
    }

    #[test]
    fn the_nearest_mount_names_the_file_system() {
        let mounts = "x / overlay rw 0 0\ny /tmp tmpfs rw 0 0\nz /tmpx ext4 rw 0 0\n";
        assert_eq!(file_system(Path::new("/tmp"), mounts), "tmpfs");
        assert_eq!(file_system(Path::new("/nowhere"), mounts), "overlay");
    }

    #[test]
    fn a_listening_port_is_seen_and_a_closed_one_is_not() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("bound").port();
        assert!(listens(port));
        drop(socket);
        assert!(!listens(port));
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        let texts = Texts::of(crossport_node::texts::Lang::En);
        let pid = std::process::id();
        assert!(memory_of(pid, texts).expect("there is /proc") > 1 << 20);
        assert!(cpu_of(pid, texts).is_ok());
        assert!(cpu_of(u32::MAX, texts).is_err());
    }
}
