//! Power cuts without special hardware.
//!
//! A writer works on an ext4 file system in an image file. At a random moment it is stopped and the image file is
//! copied: what the writer's kernel still held in memory has not reached the image, exactly as if the power had gone.
//! The copy is mounted (ext4 replays its journal) and a checker compares it with what the writer had acknowledged, which
//! is recorded outside the image. This module owns images, mounts and moments; it must not know what is written.
//!
//! What it shows and what not: everything that was not made durable is lost, in every state between two system calls.
//! A call of fdatasync itself runs to its end before the writer stands still, so half-finished ones do not occur here;
//! tests with torn files cover them. A control that never syncs must lose data, or nothing was shown.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Anything that is waited for comes within this, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// How often, and on what.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Power cuts in all.
    pub cuts: u32,
    /// Cuts of one run of the writer; the next run starts on what the last cut left.
    pub cuts_per_run: u32,
    /// After this many runs the disk is made anew.
    pub runs_per_disk: u32,
    /// Size of the disk in MiB.
    pub image_mib: u64,
    /// A cut comes at a random moment up to so many milliseconds after the one before.
    pub longest_wait_ms: u64,
}

/// One power cut, to be checked.
#[derive(Debug)]
pub struct Cut<'a> {
    /// Which one.
    pub number: u32,
    /// The disk as the cut left it, mounted.
    pub disk: &'a Path,
    /// Every whole line that the writers of this disk had printed by then.
    pub acknowledged: &'a [String],
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Cuts made.
    pub cuts: u32,
    /// Of these, cuts after something had been acknowledged.
    pub with_acknowledgements: u32,
    /// Lines acknowledged, summed over all disks.
    pub acknowledged: usize,
    /// What the checker objected to: the number of the cut and why.
    pub failures: Vec<(u32, String)>,
}

/// Cuts the power again and again. `writer` makes the command that works on the mounted disk and prints one line for
/// everything that it has made durable; it need not end by itself.
pub fn run(
    plan: &Plan,
    mut writer: impl FnMut(&Path) -> Command,
    mut check: impl FnMut(&Cut<'_>) -> Result<()>,
) -> Result<Outcome> {
    let work = tempfile::tempdir().context("a folder for the images")?;
    let mut outcome = Outcome::default();
    let mut bench = Bench::new(&work, plan)?;
    let mut run = 0;
    while outcome.cuts < plan.cuts {
        if run > 0 && run % plan.runs_per_disk == 0 {
            outcome.acknowledged += bench.acknowledged()?.len();
            bench = Bench::new(&work, plan)?;
        }
        // Every other run may be cut before it has acknowledged anything.
        let wait_for_first = run % 2 == 0;
        bench.cut_one_run(plan, wait_for_first, &mut writer, &mut check, &mut outcome)?;
        run += 1;
    }
    outcome.acknowledged += bench.acknowledged()?.len();
    Ok(outcome)
}

/// Whether this machine lets us mount images; if not, why.
pub fn loop_mounts_work() -> Result<()> {
    let work = tempfile::tempdir()?;
    let image = work.path().join("probe.image");
    make_file_system(&image, 16)?;
    let mounted = Mounted::new(&image, &work.path().join("probe"))?;
    fs::write(mounted.folder.join("probe"), b"probe")?;
    mounted.unmount()
}

/// A disk and what was acknowledged on it.
struct Bench {
    image: PathBuf,
    copy: PathBuf,
    disk: PathBuf,
    after_cut: PathBuf,
    acknowledgements: PathBuf,
}

impl Bench {
    fn new(work: &TempDir, plan: &Plan) -> Result<Bench> {
        let place = |name: &str| work.path().join(name);
        let bench = Bench {
            image: place("disk.image"),
            copy: place("after-cut.image"),
            disk: place("disk"),
            after_cut: place("after-cut"),
            acknowledgements: place("acknowledgements"),
        };
        make_file_system(&bench.image, plan.image_mib)?;
        File::create(&bench.acknowledgements)?;
        Ok(bench)
    }

    fn cut_one_run(
        &self,
        plan: &Plan,
        wait_for_first: bool,
        writer: &mut impl FnMut(&Path) -> Command,
        check: &mut impl FnMut(&Cut<'_>) -> Result<()>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let mounted = Mounted::new(&self.image, &self.disk)?;
        let before = self.acknowledged()?.len();
        let log = File::options().append(true).open(&self.acknowledgements)?;
        let mut process = Running(
            writer(&self.disk)
                .stdin(Stdio::null())
                .stdout(log)
                .spawn()
                .context("the writer")?,
        );
        if wait_for_first {
            let first = || Ok(self.acknowledged()?.len() > before);
            wait_until("the writer's first acknowledgement", first)
                .map_err(|late| process.explain(late))?;
        }
        let cuts = plan.cuts_per_run.min(plan.cuts - outcome.cuts);
        for left in (0..cuts).rev() {
            // Not to wait for anything: the random moment is the test.
            let wait_us = getrandom::u64()? % (plan.longest_wait_ms * 1_000);
            std::thread::sleep(Duration::from_micros(wait_us));
            process.stop()?;
            let acknowledged = self.acknowledged()?;
            self.copy_quiet_image(&mounted)?;
            self.check_copy(&acknowledged, check, outcome)?;
            if left > 0 {
                process.go_on()?;
            }
        }
        // The writer stands still since the last cut, so that nothing is acknowledged that the next run cannot find.
        drop(process);
        mounted.unmount()?;
        fs::rename(&self.copy, &self.image).context("going on from the last cut")
    }

    fn check_copy(
        &self,
        acknowledged: &[String],
        check: &mut impl FnMut(&Cut<'_>) -> Result<()>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let after = Mounted::new(&self.copy, &self.after_cut).context("the disk after the cut")?;
        let cut = Cut {
            number: outcome.cuts,
            disk: &self.after_cut,
            acknowledged,
        };
        if let Err(objection) = check(&cut) {
            outcome
                .failures
                .push((cut.number, format!("{objection:#}")));
        }
        outcome.cuts += 1;
        outcome.with_acknowledgements += u32::from(!acknowledged.is_empty());
        after.unmount()
    }

    /// Copies the image file in a moment in which nothing is written to it, so that the copy is one state.
    fn copy_quiet_image(&self, mounted: &Mounted) -> Result<()> {
        wait_until("a moment without writes to the image", || {
            let before = mounted.writes()?;
            fs::copy(&self.image, &self.copy).context("copying the image")?;
            Ok(before.in_flight == 0 && mounted.writes()? == before)
        })
    }

    fn acknowledged(&self) -> Result<Vec<String>> {
        let bytes = fs::read(&self.acknowledgements).context("the acknowledgements")?;
        Ok(whole_lines(&bytes).lines().map(str::to_owned).collect())
    }
}

/// The text up to its last line break: a line that is not whole says nothing.
fn whole_lines(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |last| last + 1);
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// A writer that is killed when it is no longer needed.
struct Running(Child);

impl Running {
    fn pid(&self) -> Result<Pid> {
        Pid::from_raw(i32::try_from(self.0.id())?).context("a process id is not zero")
    }

    /// Stops it and returns when it stands still.
    fn stop(&mut self) -> Result<()> {
        if let Some(status) = self.0.try_wait()? {
            bail!("the writer ended by itself: {status}");
        }
        kill_process(self.pid()?, Signal::STOP)?;
        let stat = format!("/proc/{}/task", self.0.id());
        wait_until("the writer to stand still", || {
            all_tasks_stopped(Path::new(&stat))
        })
    }

    fn go_on(&self) -> Result<()> {
        Ok(kill_process(self.pid()?, Signal::CONT)?)
    }

    fn explain(&mut self, late: anyhow::Error) -> anyhow::Error {
        match self.0.try_wait() {
            Ok(Some(status)) => late.context(format!("the writer ended: {status}")),
            _ => late,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; what counts is that it no longer holds the mount.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

fn all_tasks_stopped(tasks: &Path) -> Result<bool> {
    for task in fs::read_dir(tasks)? {
        let stat = fs::read_to_string(task?.path().join("stat"))?;
        // The name in parentheses may contain anything, so the state is what follows the last one.
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        if state != Some('T') {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A mounted image. It goes away with this value.
#[derive(Debug)]
pub struct Mounted {
    pub folder: PathBuf,
    device: String,
    is_mounted: bool,
}

/// Counters of a block device.
#[derive(Debug, PartialEq, Eq)]
struct Writes {
    completed: u64,
    in_flight: u64,
}

impl Mounted {
    pub fn new(image: &Path, folder: &Path) -> Result<Mounted> {
        fs::create_dir_all(folder)?;
        let device = output(
            Command::new("losetup")
                .args(["--find", "--show"])
                .arg(image),
        )?
        .trim()
        .to_owned();
        let mount = output(
            Command::new("mount")
                .args(["-t", "ext4", "-o", "errors=remount-ro", &device])
                .arg(folder),
        );
        // From here on the device goes away by itself with the mount (or at once, if there is none).
        let detached = output(Command::new("losetup").args(["--detach", &device]));
        mount?;
        let mounted = Mounted {
            folder: folder.to_owned(),
            device,
            is_mounted: true,
        };
        detached?;
        Ok(mounted)
    }

    pub fn unmount(mut self) -> Result<()> {
        self.is_mounted = false;
        let folder = self.folder.clone();
        wait_until("the disk to be unmounted", || {
            Ok(output(Command::new("umount").arg(&folder)).is_ok())
        })
    }

    /// Has the file system find itself damaged: it makes itself read-only, as it does on a failing disk.
    pub fn break_down(&self) -> Result<()> {
        let name = self.device.trim_start_matches("/dev/");
        let trigger = format!("/sys/fs/ext4/{name}/trigger_fs_error");
        fs::write(&trigger, "1").with_context(|| trigger.clone())
    }

    /// Writes single blocks: the kernel's loop device takes one that could be written in part for a success.
    pub fn write_by_block(&self) -> Result<()> {
        let name = self.device.trim_start_matches("/dev/");
        let limit = format!("/sys/block/{name}/queue/max_sectors_kb");
        fs::write(&limit, "4").with_context(|| limit.clone())
    }

    fn writes(&self) -> Result<Writes> {
        let name = self.device.trim_start_matches("/dev/");
        let text = fs::read_to_string(format!("/sys/block/{name}/stat"))?;
        let field = |index: usize| -> Result<u64> {
            Ok(text
                .split_whitespace()
                .nth(index)
                .context("a field of the device's counters")?
                .parse()?)
        };
        Ok(Writes {
            completed: field(4)?,
            in_flight: field(8)?,
        })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_mounted {
            // Only after another failure, which is the one to tell about.
            if let Err(failure) = output(Command::new("umount").arg("--lazy").arg(&self.folder)) {
                eprintln!("left mounted: {}: {failure:#}", self.folder.display());
            }
        }
    }
}

pub fn make_file_system(image: &Path, mib: u64) -> Result<()> {
    File::create(image)?.set_len(mib * 1024 * 1024)?;
    output(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image)).map(drop)
}

pub fn output(command: &mut Command) -> Result<String> {
    let done = command
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    ensure!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

fn wait_until(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !condition()? {
        ensure!(
            started.elapsed() < DEADLINE,
            "waited {DEADLINE:?} in vain for {what}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
