//! The folders of the sandboxes, in which the dispatcher puts what a runner shall see, and the folder that they are in.

use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The sandbox has another user id, so it needs to pass through; only the dispatcher's user may list or write.
const PASSABLE: Mode = Mode::from_raw_mode(0o711);

/// The folder of all folders.
pub struct RunFolder {
    path: PathBuf,
    fd: OwnedFd,
}

impl RunFolder {
    /// Opens the folder, which is there already.
    ///
    /// # Errors
    /// It is not, or is none.
    pub fn open(path: &str) -> io::Result<Self> {
        let fd = openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { path: path.into(), fd })
    }

    /// Makes the folder of a sandbox.
    ///
    /// # Errors
    /// What `mkdir` says.
    pub fn make(&self, id: u32) -> io::Result<()> {
        Ok(mkdirat(&self.fd, id.to_string(), PASSABLE)?)
    }

    /// Removes the folder of a sandbox with all that is in it.
    ///
    /// # Errors
    /// What `rmdir` and `unlink` say, but not that it is gone.
    pub fn remove(&self, id: u32) -> io::Result<()> {
        let name = id.to_string();
        match unlinkat(&self.fd, &name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // The dispatcher has usually taken out what it had put in.
            Err(Errno::NOTEMPTY | Errno::EXIST) => remove_tree(&self.path.join(name)),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes all of it, and the server's folder around it if nothing else is in that: another spawner may have been started.
    ///
    /// # Errors
    /// What `rmdir` and `unlink` say, but not that something is gone.
    pub fn remove_all(&self) -> io::Result<()> {
        remove_tree(&self.path)?;
        let Some(server) = self.path.parent() else { return Ok(()) };
        match std::fs::remove_dir(server) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::temporary_folder::TemporaryFolder;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn folders_come_and_go_with_what_is_in_them() {
        let server = TemporaryFolder::new("folders");
        let run = server.path.join("run/1");
        fs::create_dir_all(&run).expect("it can be made");
        let folder = RunFolder::open(run.to_str().expect("text")).expect("it is there");
        for id in [1, 2] {
            folder.make(id).expect("it can be made");
        }
        assert_eq!(fs::metadata(run.join("1")).expect("it is there").permissions().mode() & 0o777, 0o711);
        folder.make(1).expect_err("it is there already");
        fs::create_dir_all(run.join("2/sub")).expect("it can be made");
        fs::write(run.join("2/sub/file"), "").expect("it can be written");
        for id in [1, 2, 3] {
            folder.remove(id).expect("it can be removed");
        }
        assert_eq!(fs::read_dir(&run).expect("it is there").count(), 0);
    }

    #[test]
    fn the_folder_around_stays_as_long_as_another_is_in_it() {
        let server = TemporaryFolder::new("folders");
        let open = |name: &str| {
            let path = server.path.join("run").join(name);
            fs::create_dir_all(&path).expect("it can be made");
            RunFolder::open(path.to_str().expect("text")).expect("it is there")
        };
        let (one, two) = (open("1"), open("2"));
        one.make(5).expect("it can be made");
        one.remove_all().expect("it can be removed");
        assert!(server.path.join("run/2").exists() && !server.path.join("run/1").exists());
        two.remove_all().expect("it can be removed");
        assert!(server.path.exists() && !server.path.join("run").exists());
        one.remove_all().expect("gone already is as well");
    }
}
