//! Locks on folders: one process at a time has a journal or registers open.
//!
//! A lock belongs to the open file, and a program that was started while its owner ran holds a copy of it until that
//! program has begun. So a lock may outlive its owner by a moment, as it does when a node is started while the one before
//! is still ending: that is waited for.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long a predecessor may take to end.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

/// Opens the file of a lock, which stays empty, and takes the lock. It lasts as long as the file is held.
pub fn take(path: &Path) -> Result<File, TryLockError> {
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(path);
    let file = file.map_err(TryLockError::Error)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => thread::sleep(PAUSE),
            taken => return taken.map(|()| file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_about_to_end_is_waited_for_and_another_is_not() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("lock");
        let held = take(&path).expect("free");
        assert!(matches!(take(&path), Err(TryLockError::WouldBlock)));
        let ending = thread::spawn(move || {
            thread::sleep(PATIENCE / 4);
            drop(held);
        });
        take(&path).expect("its owner ended meanwhile");
        ending.join().expect("it ends");
    }
}
