//! The operator's socket: a file that only its owner can open.
//!
//! Owns making, replacing and removing that file, and the question who is an operator. It must not know HTTP.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::net::unix::UCred;
use tokio::net::{UnixListener, UnixStream};

use super::extract::Peer;

/// Read and write for the owner, nothing for others.
const MODE: u32 = 0o600;

/// A listening operator's socket; the file goes when this is dropped.
#[derive(Debug)]
pub(super) struct OperatorSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
}

impl OperatorSocket {
    /// Makes the socket, in place of one that a killed node left behind.
    ///
    /// # Errors
    /// `AddrInUse` if a living node answers there; else what the system says.
    pub(super) async fn bind(path: &Path) -> io::Result<Self> {
        if UnixStream::connect(path).await.is_ok() {
            let text = format!("another node answers at {}", path.display());
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        // Made under another name and moved, so that it never stands there open to others, not even for a moment.
        let fresh = path.with_extension("new");
        remove(&fresh)?;
        let listener = UnixListener::bind(&fresh)?;
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(MODE))?;
        std::fs::rename(&fresh, path)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }
}

impl Drop for OperatorSocket {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the operator's socket could not be removed");
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Who opened this connection, as the kernel tells (`SO_PEERCRED`). The mode of the file already keeps others out; this
/// holds if somebody loosens it.
pub(super) fn peer(stream: &UnixStream) -> io::Result<Peer> {
    Ok(peer_of(
        stream.peer_cred()?,
        rustix::process::geteuid().as_raw(),
    ))
}

fn peer_of(credentials: UCred, own: u32) -> Peer {
    let uid = credentials.uid();
    if uid == own || uid == 0 {
        Peer::Socket { uid }
    } else {
        Peer::SocketStranger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_private_replaces_a_dead_one_and_spares_a_living_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("operator.sock");
        drop(
            std::os::unix::net::UnixListener::bind(&path)
                .expect("a socket that nobody serves any more"),
        );
        let socket = OperatorSocket::bind(&path).await.expect("takes its place");
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, MODE);
        let error = OperatorSocket::bind(&path)
            .await
            .expect_err("a node lives there");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn only_the_own_user_and_root_are_operators() {
        let (near, _far) = UnixStream::pair().expect("a pair");
        let credentials = near.peer_cred().expect("Linux tells");
        let uid = credentials.uid();
        assert_eq!(peer_of(credentials, uid), Peer::Socket { uid });
        let expected = if uid == 0 {
            Peer::Socket { uid }
        } else {
            Peer::SocketStranger
        };
        assert_eq!(peer_of(credentials, uid + 1), expected);
    }
}
