//! The room for further data: how much the disk has, and a reserve of it that is given to those who need no more than a little.
//!
//! The reserve is a file of nothing beside the database. While there is room it is only there; when room runs short it is
//! deleted, and what it took is left to changes that protect people, such as log-outs and blocks. Changes that add to the
//! data for good are refused from then on, until there is room for the reserve again. The writer looks before each batch of
//! changes, and whoever asks for the health; nobody else waits for the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::process::{Resource, getrlimit};

use crate::store::StoreError;

const FILE_NAME: &str = "chat.reserve";
/// The reserve, of a disk that is not small: as much as the log may have, so that there is room to fold it into the file.
const RESERVE: u64 = 16 * 1024 * 1024;
/// The reserve is no larger part than this of what is little.
const RESERVE_PART: u64 = 4;
/// Below so much, or so small a part of the disk, changes that add data are refused.
const LITTLE: u64 = 256 * 1024 * 1024;
const LITTLE_PART: u64 = 20;
/// How long a write that failed though there seemed to be room counts.
const AFTER_A_FAILURE: Duration = Duration::from_secs(5);

/// How much more can be written to a folder's files, of how much in all.
#[derive(Debug, Clone, Copy)]
struct Space {
    free: u64,
    total: u64,
}

/// The folder's room.
pub(super) struct Room {
    folder: PathBuf,
    state: Mutex<State>,
}

struct State {
    /// Whether there is enough of it.
    is_enough: bool,
    /// When a write failed for want of it.
    failed_at: Option<Instant>,
}

impl Room {
    /// The room in a folder, with a reserve if there is enough.
    pub(super) fn in_folder(folder: &Path) -> Self {
        let room = Self { folder: folder.to_owned(), state: Mutex::new(State { is_enough: true, failed_at: None }) };
        if room.make_reserve().is_err() {
            room.note_lack(&mut room.lock(), None);
        }
        room
    }

    /// Whether there was enough for changes that add data when somebody looked last.
    pub(super) fn was_enough(&self) -> bool {
        self.lock().is_enough
    }

    /// Looks whether there is enough for changes that add data. Blocks.
    pub(super) fn is_enough(&self) -> bool {
        let mut state = self.lock();
        if state.is_enough {
            if self.space().is_ok_and(Space::is_little) {
                self.note_lack(&mut state, None);
            }
        } else if state.failed_at.is_none_or(|at| at.elapsed() > AFTER_A_FAILURE) {
            if self.make_reserve().is_ok() {
                *state = State { is_enough: true, failed_at: None };
                log::info!(event = "storage_free"; "there is room for data again");
            } else if state.failed_at.is_some() {
                state.failed_at = Some(Instant::now());
            }
        }
        state.is_enough
    }

    /// Notes that a write has failed for want of room.
    pub(super) fn note_failure(&self) {
        self.note_lack(&mut self.lock(), Some(Instant::now()));
    }

    fn note_lack(&self, state: &mut State, failed_at: Option<Instant>) {
        self.drop_reserve();
        if state.is_enough {
            let folder = self.folder.display();
            log::error!(event = "storage_full"; "{folder} takes little more data, or none: make room on its disk, or look at its quota, \
                the limit of a file's size, and whether it is read-only or broken; messages and registrations are refused until then");
        }
        *state = State { is_enough: false, failed_at: failed_at.or(state.failed_at) };
    }

    fn drop_reserve(&self) {
        // It may not be there.
        let _gone = fs::remove_file(self.folder.join(FILE_NAME));
    }

    /// Makes the reserve, if there is room for it besides.
    fn make_reserve(&self) -> io::Result<()> {
        let (space, path) = (self.space()?, self.folder.join(FILE_NAME));
        let size = RESERVE.min(space.total / LITTLE_PART / RESERVE_PART);
        let present = fs::metadata(&path).map_or(0, |file| file.len());
        let with_reserve = Space { free: space.free.saturating_sub(size.saturating_sub(present)), ..space };
        if with_reserve.is_little() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if present == size {
            return Ok(());
        }
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        // A part of it would only be in the way.
        fill(&mut file, size).inspect_err(|_| self.drop_reserve())
    }

    fn space(&self) -> io::Result<Space> {
        let disk = statvfs(&self.folder)?;
        let of_disk = Space { free: disk.f_bavail.saturating_mul(disk.f_frsize), total: disk.f_blocks.saturating_mul(disk.f_frsize) };
        let Some(limit) = getrlimit(Resource::Fsize).current else { return Ok(of_disk) };
        let largest = ["chat.db", "chat.db-wal"].map(|name| fs::metadata(self.folder.join(name)).map_or(0, |file| file.len()));
        let of_files = Space { free: limit.saturating_sub(largest.into_iter().max().unwrap_or(0)), total: limit };
        Ok(if of_files.free < of_disk.free { of_files } else { of_disk })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Space {
    fn is_little(self) -> bool {
        self.free < LITTLE.min(self.total / LITTLE_PART)
    }
}

/// Has the file take its room, by writing where the file system cannot set any aside.
fn fill(file: &mut File, size: u64) -> io::Result<()> {
    if size == 0 || fallocate(&*file, FallocateFlags::empty(), 0, size).is_ok() {
        return Ok(());
    }
    let zeros = vec![0; 64 * 1024];
    let mut left = size;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all(&zeros[..part])?;
        left -= part as u64;
    }
    Ok(())
}

/// What a change that adds data is told when there is not enough room.
pub(super) fn too_little() -> StoreError {
    StoreError::Full("too little room is left for further data".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_256_mib_or_a_twentieth_if_that_is_less() {
        let mib = 1024 * 1024_u64;
        let is_little = |free: u64, total: u64| Space { free: free * mib, total: total * mib }.is_little();
        assert!(is_little(255, 1_000_000) && !is_little(256, 1_000_000));
        assert!(is_little(4, 100) && !is_little(5, 100));
        assert!(!is_little(0, 0), "a disk that tells no size");
    }

    #[test]
    fn after_a_write_that_failed_the_reserve_is_free_and_nothing_is_added_for_a_while() {
        let folder = tempfile::tempdir().expect("a folder");
        let reserve = folder.path().join(FILE_NAME);
        let room = Room::in_folder(folder.path());
        assert!(room.is_enough() && room.was_enough() && reserve.exists());
        room.note_failure();
        assert!(!room.was_enough() && !room.is_enough() && !reserve.exists());
        room.lock().failed_at = None;
        assert!(room.is_enough() && room.was_enough() && reserve.exists());
    }
}
