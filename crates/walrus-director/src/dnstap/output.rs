//! Where frames go: Frame Streams in a file, or to a program that listens at a unix socket.
//!
//! Both may go away and come back. What cannot be written meanwhile is lost, and told once.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use walrus_core::config::DnstapOutput;

use super::stream_file;

const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";
const ACCEPT: u32 = 1;
pub(super) const START: u32 = 2;
pub(super) const STOP: u32 = 3;
const READY: u32 = 4;
const FINISH: u32 = 5;
/// The longest control frame (fstrm's own bound).
pub(super) const CONTROL_MAX: usize = 512;
/// A program that takes longer for what is written to it is given up, and connected to anew.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two attempts at a socket or file.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Output {
    to: DnstapOutput,
    open: Option<Open>,
    /// When the last attempt failed.
    failed: Option<Instant>,
    /// Frames lost since the last that were written.
    lost: u64,
    /// Bytes that the file had when it was last written to.
    written: u64,
}

enum Open {
    File(File),
    Socket(UnixStream),
}

impl Output {
    /// A socket need not be there yet, and whoever listens there may not take anybody: it is connected to when there is
    /// something to be told.
    ///
    /// # Errors
    /// If a file cannot be written, or holds something else.
    pub(super) fn new(to: &DnstapOutput) -> io::Result<Self> {
        if let DnstapOutput::File(path) = to {
            stream_file::open(path)?;
        }
        Ok(Self { to: to.clone(), open: None, failed: None, lost: 0, written: 0 })
    }

    /// Makes a file ready, which may take a while for a large one that was not closed.
    pub(super) fn prepare(&mut self) {
        if matches!(self.to, DnstapOutput::File(_))
            && let Err(error) = self.reopen()
        {
            self.tell(&error);
        }
    }

    /// Writes whole frames; how many of them are lost.
    pub(super) fn write(&mut self, bytes: &[u8], frames: u64) -> u64 {
        match self.try_write(bytes) {
            Ok(()) => {
                if self.lost > 0 {
                    tracing::info!(to = %self.to.path().display(), lost = self.lost, "dnstap is written again");
                    self.lost = 0;
                }
                0
            }
            Err(error) => {
                self.tell(&error);
                self.lost += frames;
                frames
            }
        }
    }

    /// Ends the stream.
    pub(super) fn finish(mut self) {
        match &mut self.open {
            Some(Open::File(file)) => end_file(file, self.written),
            Some(Open::Socket(stream)) => {
                let told = stream.write_all(&control(STOP, false));
                let _ = told.and_then(|()| expect(stream, FINISH));
            }
            None => {}
        }
    }

    fn tell(&mut self, error: &io::Error) {
        if self.lost == 0 && self.failed.is_none() {
            let to = self.to.path().display();
            tracing::warn!(%to, %error, "queries and replies are lost to dnstap");
        }
        // A file that ends where it ended goes on: nothing that it holds has to be looked through for that, once a second
        // while its disk is full.
        let goes_on = matches!(&self.open, Some(Open::File(file))
            if file.metadata().is_ok_and(|it| it.is_file() && it.len() == self.written));
        if !goes_on {
            self.open = None;
        }
        // What is not even tried must not put the next attempt off.
        if error.kind() != io::ErrorKind::NotConnected {
            self.failed = Some(Instant::now());
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.failed.is_some_and(|failed| failed.elapsed() < RETRY_AFTER) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let path = self.to.path();
        // A file that was moved away, by logrotate, say, is made anew; its stream ends as it stands.
        if let Some(Open::File(file)) = &mut self.open
            && !is_at(file, path)
        {
            end_file(file, self.written);
            self.open = None;
        }
        // One that was cut (`copytruncate`) has lost the beginning of its stream.
        if let Some(Open::File(file)) = &self.open
            && file.metadata()?.len() < self.written
        {
            self.open = None;
        }
        if self.open.is_none() {
            self.reopen()?;
        }
        match &mut self.open {
            Some(Open::File(file)) => append(file, bytes).map(|len| self.written = len),
            Some(Open::Socket(stream)) => stream.write_all(bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        }?;
        self.failed = None;
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.open = Some(match &self.to {
            DnstapOutput::File(path) => {
                let file = stream_file::go_on(path)?;
                self.written = file.metadata()?.len();
                Open::File(file)
            }
            DnstapOutput::Socket(path) => {
                let mut stream = UnixStream::connect(path)?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.write_all(&control(READY, true))?;
                expect(&mut stream, ACCEPT)?;
                stream.write_all(&control(START, true))?;
                Open::Socket(stream)
            }
        });
        Ok(())
    }
}

/// Ends a file's stream, unless its beginning was cut away.
fn end_file(file: &mut File, written: u64) {
    if file.metadata().is_ok_and(|it| it.len() >= written) {
        let _ = file.write_all(&control(STOP, false));
    }
}

/// Half a frame would make what follows unreadable: it is cut off again. The file's length then.
fn append(file: &mut File, bytes: &[u8]) -> io::Result<u64> {
    let len = file.metadata()?.len();
    file.write_all(bytes).inspect_err(|_| {
        let _ = file.set_len(len);
    })?;
    Ok(file.metadata()?.len())
}

/// A control frame, perhaps with what the stream holds.
pub(super) fn control(kind: u32, with_content: bool) -> Vec<u8> {
    let mut field = Vec::new();
    if with_content {
        field.extend_from_slice(&1_u32.to_be_bytes());
        field.extend_from_slice(&(CONTENT_TYPE.len() as u32).to_be_bytes());
        field.extend_from_slice(CONTENT_TYPE);
    }
    let len = (4 + field.len()) as u32;
    [&[0; 4][..], &len.to_be_bytes(), &kind.to_be_bytes(), &field].concat()
}

/// Reads a control frame of this kind.
fn expect(stream: &mut UnixStream, kind: u32) -> io::Result<()> {
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let [escape @ .., a, b, c, d] = head;
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    let mut frame = [0; CONTROL_MAX];
    let frame = frame.get_mut(..len).filter(|_| escape == [0; 4] && len >= 4);
    let frame = frame.ok_or(io::ErrorKind::InvalidData)?;
    stream.read_exact(frame)?;
    if frame[..4] == kind.to_be_bytes() { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Whether the path still leads to this file.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.metadata()) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reading it all each second would cost a disk that is full of it more than writing does.
    #[test]
    fn after_a_failure_a_file_goes_on_without_being_read_unless_half_a_frame_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tap");
        let frame = b"\0\0\0\x03one";
        let mut output = Output::new(&DnstapOutput::File(path.clone())).unwrap();
        output.prepare();
        output.try_write(frame).unwrap();
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        output.tell(&full());
        assert!(output.open.is_some());
        let too_early = output.try_write(frame).unwrap_err();
        assert_eq!(too_early.kind(), io::ErrorKind::NotConnected);
        output.tell(&too_early);
        output.failed = None;
        output.try_write(frame).unwrap();
        let expected = [&control(START, true)[..], frame, frame].concat();
        assert_eq!(std::fs::read(&path).unwrap(), expected);
        // What was written in part could not be cut off.
        File::options().append(true).open(&path).unwrap().write_all(&frame[..5]).unwrap();
        output.tell(&full());
        assert!(output.open.is_none());
        output.failed = None;
        output.try_write(frame).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [&expected[..], frame].concat());
    }

    #[test]
    fn a_file_that_was_cut_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tap");
        let frame = b"\0\0\0\x03one";
        let mut output = Output::new(&DnstapOutput::File(path.clone())).unwrap();
        output.prepare();
        output.try_write(frame).unwrap();
        let expected = [&control(START, true)[..], frame].concat();
        assert_eq!(std::fs::read(&path).unwrap(), expected);
        let cut = || File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        cut();
        output.try_write(frame).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), expected);
        // Before anything was written by this one, and at its end.
        output.finish();
        let mut output = Output::new(&DnstapOutput::File(path.clone())).unwrap();
        output.prepare();
        cut();
        output.try_write(frame).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), expected);
        cut();
        output.finish();
        assert!(Output::new(&DnstapOutput::File(path.clone())).is_ok(), "the next start");
    }
}
