//! A disk that fills up, turns read-only or fails under a running node: what was acknowledged stays, what cannot be kept is
//! refused by name, and nothing is promised after a failed flush.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use crossport_tests::power_cut::{Mounted, loop_mounts_work, make_file_system, output};
use crossport_tests::process::{Company, eventually, log_end, text};
use tempfile::TempDir;

/// Long texts fill a disk with few messages.
const LONG: usize = 60_000;
/// More of them than any of the disks here holds.
const MANY: usize = 1_000;
const DISK_MIB: u64 = 24;

/// A company whose data folder is a disk of its own.
struct Place {
    company: Company,
    chat: String,
    image: PathBuf,
    disk: Option<Mounted>,
    acknowledged: Vec<String>,
    work: TempDir,
}

impl Place {
    /// The image lies in `images` or, without it, in the folder for temporary files.
    fn start(images: Option<&Path>) -> Result<Place> {
        loop_mounts_work().context("disks in image files cannot be mounted here")?;
        let work = tempfile::tempdir()?;
        let folder = work.path().join("acme");
        let image = images.unwrap_or(work.path()).join("disk.image");
        make_file_system(&image, DISK_MIB)?;
        let disk = Mounted::new(&image, &folder.join("data"))?;
        let mut company = Company::on_loopback("Acme", folder, &[])?;
        company.up()?;
        company.person("anna", &[])?;
        company.person("ben", &[])?;
        let chat = company.ask(Some("anna"), &["chat", "new", "--title", "Disk", "ben"])?;
        let chat = text(&chat, "id")?.to_owned();
        let mut place = Place {
            company,
            chat,
            image,
            disk: Some(disk),
            acknowledged: Vec::new(),
            work,
        };
        place.must_send("before")?;
        Ok(place)
    }

    /// Sends a text; what the node says if it refuses.
    fn send(&mut self, words: &str) -> Result<Option<String>> {
        let sent = self
            .company
            .attempt(Some("anna"), &["chat", "send", &self.chat, words])?;
        if sent.status.success() {
            self.acknowledged.push(words.to_owned());
            return Ok(None);
        }
        let said = [sent.stderr, sent.stdout].concat();
        Ok(Some(String::from_utf8_lossy(&said).into_owned()))
    }

    fn must_send(&mut self, words: &str) -> Result<()> {
        match self.send(words)? {
            None => Ok(()),
            Some(refusal) => bail!("refused: {refusal}"),
        }
    }

    /// Sends long texts until one is refused.
    fn send_until_refused(&mut self) -> Result<String> {
        for number in 0..MANY {
            let words = format!("{number} {}", "x".repeat(LONG));
            if let Some(refusal) = self.send(&words)? {
                return Ok(refusal);
            }
        }
        bail!("{MANY} long texts were taken by a disk of {DISK_MIB} MiB")
    }

    /// Everything acknowledged is shown, once and in order, and nothing else is.
    fn check(&self) -> Result<()> {
        let shown = self.company.texts("anna", &self.chat)?;
        let seen = |text: &str| shown.iter().filter(|other| *other == text).count();
        for text in &self.acknowledged {
            let start: String = text.chars().take(20).collect();
            ensure!(seen(text) == 1, "{start:?} is shown {} times", seen(text));
        }
        Ok(())
    }

    /// Waits until the node has ended by itself.
    fn ended(&mut self) -> Result<std::process::ExitStatus> {
        eventually("the node ends", || {
            self.company.ended()?.context("it still runs")
        })
    }

    /// A sound disk again with the same content, and the node started on it.
    fn repair(&mut self) -> Result<()> {
        self.company.kill()?;
        if let Some(disk) = self.disk.take() {
            disk.unmount()?;
        }
        // Its exit status only says that there was something to repair.
        let checked = Command::new("e2fsck")
            .args(["-fy"])
            .arg(&self.image)
            .output()?;
        ensure!(
            checked.status.code().is_some_and(|code| code < 4),
            "the file system is lost: {}",
            String::from_utf8_lossy(&checked.stdout)
        );
        self.disk = Some(Mounted::new(
            &self.image,
            &self.work.path().join("acme/data"),
        )?);
        self.company.up().map(drop)
    }

    fn stop(mut self) -> Result<()> {
        self.company.down()?;
        if let Some(disk) = self.disk.take() {
            disk.unmount()?;
        }
        Ok(())
    }
}

/// Takes all the space there is; removing it frees as much.
fn fill(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("ballast");
    let file = fs::File::create(&path)?;
    let mut length = 0;
    for piece in [1 << 20, 64 << 10, 4 << 10] {
        while file.write_all_at(&vec![7; piece], length).is_ok() {
            length += piece as u64;
        }
    }
    ensure!(length > 0, "the disk was full already");
    Ok(path)
}

#[test]
fn a_full_disk_refuses_by_name_and_goes_on_when_there_is_space() -> Result<()> {
    let mut place = Place::start(None)?;
    let ballast = fill(&place.work.path().join("acme/data"))?;
    let refusal = place.send_until_refused()?;
    ensure!(refusal.contains("X0501"), "another refusal: {refusal}");
    ensure!(refusal.contains("try"), "without a way out: {refusal}");
    place.check()?;
    place.company.ask(None, &["status"])?;
    fs::remove_file(ballast)?;
    place.must_send("after")?;
    place.check()?;
    place.company.kill()?;
    place.company.up()?;
    place.check()?;
    place.stop()
}

#[test]
fn a_disk_that_turns_read_only_is_named_and_nothing_acknowledged_is_lost() -> Result<()> {
    let mut place = Place::start(None)?;
    place.disk.as_ref().context("it is mounted")?.break_down()?;
    let refusal = place.send_until_refused()?;
    let named = ["X0501", "X0502", "X0503"];
    ensure!(
        named.iter().any(|code| refusal.contains(code)) && refusal.contains("ead-only"),
        "the refusal does not name it: {refusal}"
    );
    place.check()?;
    place.repair()?;
    place.check()?;
    place.must_send("after")?;
    place.stop()
}

/// Space behind a disk that believes to have more of it: what it then cannot write is an error of fdatasync.
struct Thin(PathBuf);

impl Thin {
    fn new(folder: &Path, mib: u64) -> Result<Thin> {
        fs::create_dir_all(folder)?;
        let size = format!("size={mib}m");
        output(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
                .arg(folder),
        )?;
        Ok(Thin(folder.to_owned()))
    }

    fn grow(&self, mib: u64) -> Result<()> {
        let options = format!("remount,size={mib}m");
        output(Command::new("mount").args(["-o", &options]).arg(&self.0)).map(drop)
    }
}

impl Drop for Thin {
    fn drop(&mut self) {
        if let Err(failure) = output(Command::new("umount").arg("--lazy").arg(&self.0)) {
            eprintln!("left mounted: {}: {failure:#}", self.0.display());
        }
    }
}

#[test]
fn a_failed_flush_ends_the_node_by_name_and_nothing_acknowledged_is_lost() -> Result<()> {
    let images = tempfile::tempdir()?;
    let thin = Thin::new(&images.path().join("thin"), 11)?;
    let mut place = Place::start(Some(&thin.0))?;
    let disk = place.disk.as_ref().context("it is mounted")?;
    disk.write_by_block()?;
    let refusal = place.send_until_refused()?;
    let status = place.ended()?;
    ensure!(!status.success(), "it ended with {status} after {refusal}");
    let log = log_end(&place.company.log());
    ensure!(
        log.contains("fdatasync") || log.contains("writing"),
        "the log does not name it: {log}"
    );
    thin.grow(64)?;
    place.repair()?;
    place.check()?;
    place.must_send("after")?;
    place.stop()
}
