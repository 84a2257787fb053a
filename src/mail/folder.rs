//! Mail as files in a folder, for development: any mail program opens them.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::letters::Letter;
use super::transport::TransportError;

/// A folder that there is.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder, for its owner only, unless there is one.
    pub(super) fn make(path: &Path) -> Result<Self, TransportError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| TransportError(format!("cannot make the folder {}: {error}", path.display())))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Whether files can be written here.
    pub(super) fn check(&self) -> Result<(), TransportError> {
        let probe = self.draft("check");
        write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(|error| self.failure(&error))
    }

    /// Writes a mail as a file, which the programs that look for `.eml` see only once it is whole.
    pub(super) fn write(&self, letter: &Letter) -> Result<(), TransportError> {
        let draft = self.draft(&letter.id);
        write(&draft, &letter.message.formatted())
            .and_then(|()| fs::rename(&draft, self.path.join(format!("{}.eml", letter.id))))
            .map_err(|error| self.failure(&error))
    }

    fn draft(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}.{}", std::process::id()))
    }

    fn failure(&self, error: &io::Error) -> TransportError {
        TransportError(format!("cannot write to the folder {}: {error}", self.path.display()))
    }
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::letters::Letters;
    use super::super::topic::Topic;
    use super::*;
    use crate::domain::{Email, MailKind, Timestamp, Username};

    fn letter() -> Letter {
        let letters = Letters::new("http://127.0.0.1:8080", "no-reply@example.com".parse().expect("a mailbox"));
        let (name, address) = (Username::parse("ann").expect("a name"), Email::parse("ann@example.com").expect("an address"));
        let topic = Topic::Ordered(MailKind::PasswordChanged);
        letters.write(topic, &name, &address, None, Timestamp::from_millis(7)).expect("a letter")
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it exists").permissions().mode() & 0o777
    }

    #[test]
    fn a_mail_becomes_a_file_for_its_owner_only() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("data").join("mail");
        let (folder, letter) = (Folder::make(&path).expect("made"), letter());
        folder.check().expect("writable");
        folder.write(&letter).expect("written");
        let files: Vec<PathBuf> = fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        assert_eq!(files, [path.join(format!("{}.eml", letter.id))], "and nothing is left over");
        assert_eq!(fs::read(&files[0]).expect("readable"), letter.message.formatted());
        assert_eq!((mode(&path), mode(&files[0])), (0o700, 0o600));
    }

    #[test]
    fn a_folder_that_cannot_be_made_or_has_gone_is_told() {
        let place = tempfile::tempdir().expect("a folder");
        fs::write(place.path().join("file"), "").expect("written");
        assert!(Folder::make(&place.path().join("file")).is_err());
        let folder = Folder::make(&place.path().join("mail")).expect("made");
        fs::remove_dir(place.path().join("mail")).expect("removed");
        assert!(folder.check().is_err());
        assert!(folder.write(&letter()).is_err());
    }
}
