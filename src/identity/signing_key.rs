//! The key of the tokens when none is set: made once and kept beside the data, for development.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

/// Random bytes of a made key.
const KEY_BYTES: usize = 32;
const FILE_NAME: &str = "jwt-secret";

/// Reads the key in `folder`, or makes one of 32 random bytes there, readable by its owner only. Of processes that start
/// together all get the same key.
pub fn load_or_make_key(folder: &Path) -> io::Result<SecretString> {
    let path = folder.join(FILE_NAME);
    match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(folder, &path)?;
            read(&path)
        }
        read => read,
    }
}

fn read(path: &Path) -> io::Result<SecretString> {
    let key = fs::read_to_string(path)?;
    match URL_SAFE_NO_PAD.decode(&key) {
        Ok(bytes) if bytes.len() == KEY_BYTES => Ok(key.into()),
        _ => Err(io::Error::other(format!("{} does not hold a key; delete it to have a new one made", path.display()))),
    }
}

/// Writes a whole key under another name first, so that nobody reads half of one; a link fails when another was faster.
fn make(folder: &Path, path: &Path) -> io::Result<()> {
    let mut random = [0; KEY_BYTES];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let draft = folder.join(format!("{FILE_NAME}.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(URL_SAFE_NO_PAD.encode(random).as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = load_or_make_key(folder.path()).expect("a key");
        let second = load_or_make_key(folder.path()).expect("a key");
        assert_eq!(first.expose_secret(), second.expose_secret());
        let mode = fs::metadata(folder.path().join(FILE_NAME)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "no draft is left");
    }

    #[test]
    fn a_damaged_key_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE_NAME), "short").expect("written");
        assert!(load_or_make_key(folder.path()).is_err());
    }
}
