//! The folder and the file: made for their owner only, and kept to one process.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

const FILE_NAME: &str = "chat.db";
const LOCK_NAME: &str = "chat.lock";
/// A Functions host that restarts may start the new process shortly before the old one is gone.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);
const LOCK_RETRY: Duration = Duration::from_millis(50);

/// Why the embedded store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the file.
    #[error("{0} is in use by another process; stop that one, or give this one another DATA_DIR")]
    Locked(PathBuf),
    /// The folder is not on this machine.
    #[error("{0} is on a network file system, where no lock can be relied on; set DATA_DIR to a folder of this machine, or MONGODB_URI")]
    Network(PathBuf),
    /// The folder or the file cannot be made or opened.
    #[error("cannot use {0}")]
    Unusable(PathBuf, #[source] io::Error),
    /// A newer version of the program made the file.
    #[error("{path} has format {found}, newer than format {known} of this version; update the program")]
    TooNew {
        /// The file.
        path: PathBuf,
        /// The file's format.
        found: i64,
        /// The newest format that this version knows.
        known: i64,
    },
    /// Something else made the file.
    #[error("{0} is not a database of this program; move it away, or set DATA_DIR to another folder")]
    Foreign(PathBuf),
    /// SQLite refuses a setting that durability depends on.
    #[error("SQLite does not accept {0}")]
    Setting(&'static str),
    /// The database cannot be opened or is damaged.
    #[error("the database cannot be opened")]
    Database(#[from] rusqlite::Error),
}

/// Keeps other processes out until it is dropped.
pub(super) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Makes the folder if need be and takes its lock.
pub(super) fn lock(folder: &Path) -> Result<Lock, OpenError> {
    let unusable = |error| OpenError::Unusable(folder.to_owned(), error);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
    #[cfg(target_os = "linux")]
    if is_network_file_system(rustix::fs::statfs(folder).map_err(|error| unusable(error.into()))?.f_type) {
        return Err(OpenError::Network(folder.to_owned()));
    }
    let file = private_file(&folder.join(LOCK_NAME)).map_err(unusable)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_PATIENCE => sleep(LOCK_RETRY),
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked(folder.join(FILE_NAME))),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
    }
}

/// Whether a file system's type, as `statfs(2)` tells it, is NFS, SMB in its three forms, AFS or Ceph.
#[cfg(target_os = "linux")]
fn is_network_file_system(kind: rustix::fs::FsWord) -> bool {
    u64::try_from(kind).is_ok_and(|kind| [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x5346_414F, 0x00C3_6400].contains(&kind))
}

/// Makes the database file, readable by its owner only; SQLite gives the files beside it the same rights.
pub(super) fn create(folder: &Path) -> Result<PathBuf, OpenError> {
    let path = folder.join(FILE_NAME);
    private_file(&path).map_err(|error| OpenError::Unusable(path.clone(), error))?;
    Ok(path)
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn folder_and_files_are_their_owners_only() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("data");
        let _store = super::super::SqliteStore::open(&folder).expect("a store");
        let mode = |path: &Path| std::fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_file_systems_of_other_machines_are_known() {
        let (nfs, cifs, ext4, tmpfs) = (0x6969, 0xFF53_4D42, 0xEF53, 0x0102_1994);
        assert_eq!([nfs, cifs, ext4, tmpfs].map(is_network_file_system), [true, true, false, false]);
    }

    #[test]
    fn a_second_opening_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = lock(folder.path()).expect("free");
        assert!(matches!(lock(folder.path()), Err(OpenError::Locked(_))));
        drop(first);
        assert!(lock(folder.path()).is_ok());
    }
}
