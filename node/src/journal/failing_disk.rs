//! A disk that fails as it is told, for tests: the second implementor of [`Disk`].
//!
//! Everything that does not fail happens on the real disk, so that what a failure leaves behind is what a real one
//! would leave: a half-written group, a file that is too long, a name that does not exist yet.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::{Disk, DiskFile, RealDisk};

/// What is wrong with the disk now.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// So many bytes can still be written past the ends of files.
    pub space: Option<u64>,
    /// fdatasync fails.
    pub sync_fails: bool,
    /// Every change is refused, as on a file system that was remounted.
    pub read_only: bool,
    /// Reading these offsets of any file fails.
    pub unreadable: Option<Range<u64>>,
    /// After so many more changes (writes, syncs, cuts, renames) nothing works any more: the machine is dead.
    pub dies_after: Option<u32>,
    /// fdatasyncs that were asked for.
    pub syncs: u32,
    /// Writes that were asked for.
    pub writes: u32,
}

/// A real disk with faults.
#[derive(Debug, Clone, Default)]
pub(crate) struct FailingDisk {
    faults: Arc<Mutex<Faults>>,
}

impl FailingDisk {
    /// Looks at or changes what is wrong.
    pub fn with<T>(&self, with: impl FnOnce(&mut Faults) -> T) -> T {
        with(&mut self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn file(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FailingFile {
            file,
            disk: self.clone(),
        })
    }

    /// Called before every change.
    fn change(&self) -> io::Result<()> {
        self.with(|faults| {
            if faults.read_only {
                return Err(io::ErrorKind::ReadOnlyFilesystem.into());
            }
            match &mut faults.dies_after {
                Some(0) => Err(io::Error::other("the machine is dead")),
                Some(left) => {
                    *left -= 1;
                    Ok(())
                }
                None => Ok(()),
            }
        })
    }
}

impl Disk for FailingDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.change()?;
        Ok(self.file(RealDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        if self.with(|faults| faults.read_only) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(self.file(RealDisk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if !path.exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change()?;
        RealDisk.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.change()?;
        RealDisk.sync_folder(folder)
    }
}

#[derive(Debug)]
struct FailingFile {
    file: Box<dyn DiskFile>,
    disk: FailingDisk,
}

impl DiskFile for FailingFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset + buffer.len() as u64;
        let hit = self.disk.with(|faults| {
            faults
                .unreadable
                .as_ref()
                .is_some_and(|range| range.start < end && offset < range.end)
        });
        if hit {
            return Err(io::Error::other("a read error"));
        }
        self.file.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.with(|faults| faults.writes += 1);
        self.disk.change()?;
        let end = offset + bytes.len() as u64;
        let growth = end.saturating_sub(self.file.length()?);
        let missing = self.disk.with(|faults| match &mut faults.space {
            Some(space) if *space < growth => {
                let missing = growth - *space;
                *space = 0;
                Some(missing)
            }
            Some(space) => {
                *space -= growth;
                None
            }
            None => None,
        });
        match missing {
            None => self.file.write_all_at(bytes, offset),
            Some(missing) => {
                // A full disk takes what fits.
                let fits = bytes.len() - usize::try_from(missing).unwrap_or(bytes.len());
                self.file.write_all_at(&bytes[..fits], offset)?;
                Err(io::ErrorKind::StorageFull.into())
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.with(|faults| faults.syncs += 1);
        self.disk.change()?;
        if self.disk.with(|faults| faults.sync_fails) {
            return Err(io::Error::other("fdatasync failed"));
        }
        self.file.sync_data()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.disk.change()?;
        let freed = self.file.length()?.saturating_sub(length);
        self.disk.with(|faults| {
            if let Some(space) = &mut faults.space {
                *space += freed;
            }
        });
        self.file.set_length(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}
