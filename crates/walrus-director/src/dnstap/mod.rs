//! dnstap: every query and reply, told to a program at a socket or written to a file.
//!
//! An answering thread appends frames to a buffer of its own. When that is full, or some time has passed, the
//! thread gives it away between two batches and goes on with an empty one; a thread of its own writes. If
//! it cannot keep up no buffer is empty: frames are lost then, and counted, never waited for.

mod message;
mod output;
mod stream_file;

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use walrus_core::config::DnstapOutput;
use walrus_core::world::Time;

use crate::answering::Incoming;
use message::Kind;
use output::Output;

/// Holds the longest two frames, of a query and a reply of 64 KiB each.
const BUFFER_BYTES: usize = 160 * 1024;
/// Buffers of one thread: one is filled while others are written.
const BUFFERS: usize = 4;
/// A buffer is given away after this time, full or not.
const TOLD_AFTER: Duration = Duration::from_millis(200);
/// At the end, whoever takes longer for what is left is not waited for.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// Frames, one behind the other.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    frames: u64,
    /// Frames in it that could not be written.
    lost: u64,
}

struct Filled {
    thread: usize,
    buffer: Buffer,
}

/// One thread's end.
pub(crate) struct Tap {
    thread: usize,
    /// The buffer that is filled; `None` while all are being written.
    buffer: Option<Buffer>,
    /// When the first frame in it was told.
    since: Time,
    identity: Box<[u8]>,
    filled: SyncSender<Filled>,
    emptied: Receiver<Buffer>,
}

/// What became of frames since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) given: u64,
    pub(crate) lost: u64,
}

impl Tap {
    /// Tells a query and, if there is one, its reply; how many frames that were and how many of them are lost.
    /// Neither locks nor allocates.
    pub(crate) fn tell(
        &mut self,
        incoming: &Incoming<'_>,
        (now, unix_ns): (Time, u64),
        reply: Option<&[u8]>,
    ) -> Told {
        let frames = 1 + u64::from(reply.is_some());
        let need = message::len_max(incoming, &self.identity)
            + reply.map_or(0, |reply| message::len_max(incoming, &self.identity) + reply.len());
        self.put(frames, need, now, |bytes, identity| {
            message::write(bytes, Kind::Query(incoming.query), incoming, unix_ns, identity);
            if let Some(reply) = reply {
                message::write(bytes, Kind::Reply(reply), incoming, unix_ns, identity);
            }
        })
    }

    /// Tells a reply whose query was told before, by whichever thread; `incoming` without that query.
    pub(crate) fn tell_reply(
        &mut self,
        incoming: &Incoming<'_>,
        (now, unix_ns): (Time, u64),
        reply: &[u8],
    ) -> Told {
        let need = message::len_max(incoming, &self.identity) + reply.len();
        self.put(1, need, now, |bytes, identity| {
            message::write(bytes, Kind::Reply(reply), incoming, unix_ns, identity);
        })
    }

    fn put(
        &mut self,
        frames: u64,
        need: usize,
        now: Time,
        write: impl FnOnce(&mut Vec<u8>, &[u8]),
    ) -> Told {
        let has_room = |buffer: &Buffer| buffer.bytes.capacity() - buffer.bytes.len() >= need;
        let mut lost = 0;
        if !self.buffer.as_ref().is_some_and(has_room) {
            lost = self.change();
        }
        let Some(buffer) = self.buffer.as_mut().filter(|buffer| has_room(buffer)) else {
            return Told { given: 0, lost: lost + frames };
        };
        if buffer.frames == 0 {
            self.since = now;
        }
        write(&mut buffer.bytes, &self.identity);
        buffer.frames += frames;
        Told { given: frames, lost }
    }

    /// Gives away what was told, if it is old enough; how many frames were lost since.
    pub(crate) fn turn(&mut self, now: Time) -> u64 {
        let is_old = now.since(self.since) >= TOLD_AFTER;
        if is_old && self.buffer.as_ref().is_none_or(|buffer| buffer.frames > 0) {
            return self.change();
        }
        0
    }

    /// Gives the buffer away and takes an empty one; how many frames were lost in others.
    fn change(&mut self) -> u64 {
        if let Some(buffer) = self.buffer.take() {
            if buffer.frames == 0 {
                self.buffer = Some(buffer);
                return 0;
            }
            // There is room for all buffers that there are.
            let _ = self.filled.try_send(Filled { thread: self.thread, buffer });
        }
        let Ok(buffer) = self.emptied.try_recv() else { return 0 };
        let lost = buffer.lost;
        self.buffer = Some(Buffer { lost: 0, ..buffer });
        lost
    }
}

/// The writer's end.
pub(crate) struct DnstapWriter {
    /// In the threads' order, until they are taken.
    taps: Vec<Option<Tap>>,
    filled: SyncSender<Filled>,
    /// Closed when all is written.
    done: Receiver<()>,
}

impl DnstapWriter {
    /// Writes for so many threads, until all their taps are gone; `identity` names the server.
    ///
    /// # Errors
    /// If the file cannot be opened, or the thread not be started. A socket may come later.
    pub(crate) fn start(output: &DnstapOutput, identity: &str, threads: usize) -> io::Result<Self> {
        let mut output = Output::new(output)?;
        let (filled, receiver) = sync_channel::<Filled>(threads * BUFFERS);
        let (mut taps, mut back) = (Vec::new(), Vec::new());
        for thread in 0..threads {
            let (give_back, emptied) = sync_channel(BUFFERS);
            for _ in 0..BUFFERS {
                let bytes = Vec::with_capacity(BUFFER_BYTES);
                let _ = give_back.try_send(Buffer { bytes, ..Buffer::default() });
            }
            back.push(give_back);
            taps.push(Some(Tap {
                thread,
                buffer: emptied.try_recv().ok(),
                since: Time::ZERO,
                identity: identity.as_bytes().into(),
                filled: filled.clone(),
                emptied,
            }));
        }
        let (finished, done) = sync_channel(1);
        let write = move || {
            let _finished = finished;
            output.prepare();
            for Filled { thread, mut buffer } in &receiver {
                buffer.lost += output.write(&buffer.bytes, buffer.frames);
                buffer.bytes.clear();
                buffer.frames = 0;
                if let Some(back) = back.get(thread) {
                    let _ = back.try_send(buffer);
                }
            }
            output.finish();
        };
        std::thread::Builder::new().name("dnstap".into()).spawn(write)?;
        Ok(Self { taps, filled, done })
    }

    /// The tap of one thread; each once.
    pub(crate) fn tap(&mut self, thread: usize) -> Option<Tap> {
        self.taps.get_mut(thread)?.take()
    }

    /// Waits until all is written, but not for a program or a disk that takes nothing; all taps must be gone.
    pub(crate) fn finish(self) {
        drop((self.taps, self.filled));
        let _ = self.done.recv_timeout(WRITTEN_WITHIN);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.change();
    }
}
