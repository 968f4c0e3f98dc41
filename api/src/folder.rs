//! The data folder of an embedded node: what lies where, and that one process has it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ulid::Ulid;

const LOCK: &str = "lock";
const NODE_ID: &str = "node-id";
const SECRET: &str = "jwt-secret";
const SECRET_BYTES: usize = 32;

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error("the data folder {0} is in use by another process")]
    InUse(PathBuf),
    /// It cannot be read or written.
    #[error("the data folder {path} cannot be used")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

/// A data folder that this process has to itself until it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the folder, and makes it when it is missing.
    ///
    /// # Errors
    /// [`FolderError`] when another process has it, or it cannot be used.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let io = |source| FolderError::Io {
            path: path.to_owned(),
            source,
        };
        create_private(path).map_err(io)?;
        let path = path.canonicalize().map_err(io)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK))
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(FolderError::InUse(path)),
            Err(std::fs::TryLockError::Error(source)) => Err(FolderError::Io { path, source }),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the node that has the folder, drawn when the folder is new.
    ///
    /// # Errors
    /// [`FolderError::Io`] when it cannot be read or written.
    pub fn node_id(&self) -> Result<Ulid, FolderError> {
        let path = self.path.join(NODE_ID);
        let io = |source| FolderError::Io {
            path: path.clone(),
            source,
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Ulid::from_string(text.trim()).map_err(|_| {
                io(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "this is no node's name",
                ))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let id = Ulid::generate();
                std::fs::write(&path, format!("{id}\n")).map_err(io)?;
                Ok(id)
            }
            Err(error) => Err(io(error)),
        }
    }

    /// The event log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("log.db")
    }

    /// The keys of users.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.path.join("keys.db")
    }

    /// The read models.
    #[must_use]
    pub fn read_model(&self) -> PathBuf {
        self.path.join("read.db")
    }

    /// The bytes of files, unless they are kept elsewhere.
    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }

    /// Uploads on their way.
    #[must_use]
    pub fn uploads(&self) -> PathBuf {
        self.path.join("uploads")
    }

    /// The search index.
    #[must_use]
    pub fn search(&self) -> PathBuf {
        self.path.join("search")
    }
}

/// The secret that signs tokens: made at random on first use, readable by its owner alone. Needs no lock
/// on the folder, so that `verbatim token` works beside a running server.
///
/// # Errors
/// [`FolderError`] when it can be neither read nor made.
pub fn token_secret(data: &Path) -> Result<String, FolderError> {
    let io = |source| FolderError::Io {
        path: data.to_owned(),
        source,
    };
    let path = data.join(SECRET);
    match read_secret(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read.map_err(io),
    }
    create_private(data).map_err(io)?;
    let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; SECRET_BYTES]>());
    // Written whole before it gets its name, so that nobody ever reads half a secret.
    let draft = data.join(format!("{SECRET}.{}", std::process::id()));
    write_secret(&draft, &secret).map_err(io)?;
    let linked = std::fs::hard_link(&draft, &path);
    std::fs::remove_file(&draft).map_err(io)?;
    match linked {
        Ok(()) => Ok(secret),
        // Another process was quicker: its secret is the secret.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read_secret(&path).map_err(io),
        Err(error) => Err(io(error)),
    }
}

/// Makes a folder that is its owner's alone: the keys in it open what everyone wrote. One that exists
/// stays as its owner made it.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn read_secret(path: &Path) -> io::Result<String> {
    let mut secret = String::new();
    File::open(path)?.read_to_string(&mut secret)?;
    Ok(secret.trim().to_owned())
}

fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_process() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let folder = Folder::open(&path).unwrap();
        assert!(matches!(Folder::open(&path), Err(FolderError::InUse(_))));
        drop(folder);
        assert!(Folder::open(&path).is_ok());
    }

    #[test]
    fn the_secret_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let secret = token_secret(folder.path()).unwrap();
        assert!(secret.len() >= SECRET_BYTES);
        assert_eq!(token_secret(folder.path()).unwrap(), secret);
        assert_ne!(token_secret(tempfile::tempdir().unwrap().path()).unwrap(), secret);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(folder.path().join(SECRET))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no draft stays behind"
        );
    }
}
