//! Where dnstap goes: a file, or a unix socket at which a program listens.

use std::path::PathBuf;

/// As it is written in a configuration: `/path`, or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnstapOutput {
    /// Frame Streams are appended to it.
    File(PathBuf),
    /// A program listens there.
    Socket(PathBuf),
}

impl DnstapOutput {
    /// From a setting's text.
    #[must_use]
    pub(super) fn read(text: &str) -> Self {
        match text.strip_prefix("unix:") {
            Some(path) => Self::Socket(path.into()),
            None => Self::File(text.into()),
        }
    }

    /// The file's or the socket's path.
    #[must_use]
    pub const fn path(&self) -> &PathBuf {
        let (Self::File(path) | Self::Socket(path)) = self;
        path
    }

    /// The same, to be put into a folder.
    #[must_use]
    pub const fn path_mut(&mut self) -> &mut PathBuf {
        let (Self::File(path) | Self::Socket(path)) = self;
        path
    }
}
