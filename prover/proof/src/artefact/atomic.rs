//! The old file or the new one, never a part.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

use crate::error::ProofError;

/// Writes `path` through a temporary file in the same folder: the content is synced before it takes
/// the name, and the folder after it. On any failure the old file stays and the temporary one goes.
///
/// # Errors
/// [`ProofError::Io`] with what the system or `content` said.
pub fn write_atomically(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), ProofError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let write = || -> io::Result<()> {
        let temporary = temporary_in(folder)?;
        let mut writer = BufWriter::with_capacity(1 << 20, temporary.reopen()?);
        content(&mut writer)?;
        writer.flush()?;
        writer.get_ref().sync_all()?;
        temporary.persist(path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| ProofError::Io { path: path.to_owned(), action: "write", source })
}

/// A temporary file with the permissions of an ordinary one: the default would keep the result from
/// everybody but its maker.
fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.prefix(".vouch-").suffix(".tmp").tempfile_in(folder)
}
