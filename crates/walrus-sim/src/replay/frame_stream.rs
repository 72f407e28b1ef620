//! Frame Streams (the `fstrm` library's file format): what dnstap files are framed by.
//!
//! A frame is its length in 32 bits, high byte first, and so many bytes. The length 0 begins a
//! control frame: its own length, a type, fields. A file is START, data, STOP; files may follow one
//! another. Nothing in the format tells where a frame begins, so behind a damaged length all that
//! follows is lost: that is told, and bounded in memory.

/// The longest data frame that is read: two messages of the greatest length, addresses and times.
/// Longer ones are passed over.
pub(super) const FRAME_MAX: usize = 256 * 1024;
/// The longest control frame (fstrm's own bound is 512).
const CONTROL_MAX: usize = 4096;

const CONTROL_START: u32 = 2;
const FIELD_CONTENT_TYPE: u32 = 1;
const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";

/// What comes out of a stream of frames.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// A data frame's bytes.
    Data(&'a [u8]),
    /// Something is wrong here; reading goes on behind it.
    Broken(String),
}

/// Takes bytes as they come, and gives frames.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    /// The beginning of a frame whose end has yet to come; at most [`FRAME_MAX`] and its head.
    held: Vec<u8>,
    /// Bytes still to be passed over, of a frame that is too long.
    skip: usize,
}

impl FrameReader {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8], found: &mut dyn FnMut(Frame<'_>)) {
        let passed = self.skip.min(bytes.len());
        self.skip -= passed;
        let bytes = &bytes[passed..];
        if self.held.is_empty() {
            let taken = self.take(bytes, found);
            self.held.extend_from_slice(&bytes[taken..]);
            return;
        }
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        let taken = self.take(&held, found);
        self.held = held;
        self.held.drain(..taken);
    }

    /// The stream ends here.
    pub(super) fn finish(&mut self, found: &mut dyn FnMut(Frame<'_>)) {
        if self.skip > 0 || !self.held.is_empty() {
            found(Frame::Broken("the file ends in the middle of a frame".to_owned()));
        }
        *self = Self::default();
    }

    /// Takes whole frames; how many bytes they were.
    fn take(&mut self, bytes: &[u8], found: &mut dyn FnMut(Frame<'_>)) -> usize {
        let mut at = 0;
        while let Some(length) = number(&bytes[at..]) {
            let (is_control, length, head) = match length {
                0 => match number(&bytes[at + 4..]) {
                    Some(length) => (true, length as usize, 8),
                    None => break,
                },
                length => (false, length as usize, 4),
            };
            let longest = if is_control { CONTROL_MAX } else { FRAME_MAX };
            let begin = at + head;
            if length > longest {
                let what = if is_control { "control frame" } else { "frame" };
                found(Frame::Broken(format!(
                    "a {what} of {length} bytes, more than {longest}: it is passed over"
                )));
                let end = begin.saturating_add(length).min(bytes.len());
                self.skip = length - (end - begin);
                at = end;
                continue;
            }
            let Some(frame) = bytes.get(begin..begin + length) else { break };
            if !is_control {
                found(Frame::Data(frame));
            } else if let Some(other) = other_content(frame) {
                found(Frame::Broken(format!("the file holds `{other}`, not dnstap")));
            }
            at = begin + length;
        }
        at
    }
}

/// What a START frame says that the stream holds, if that is not dnstap. Without a word it may be.
fn other_content(frame: &[u8]) -> Option<String> {
    let mut rest = frame.get(4..).filter(|_| number(frame) == Some(CONTROL_START))?;
    while let (Some(field), Some(length)) = (number(rest), rest.get(4..).and_then(number)) {
        let content = rest.get(8..)?.get(..length as usize)?;
        if field == FIELD_CONTENT_TYPE && content != CONTENT_TYPE {
            return Some(String::from_utf8_lossy(content).chars().take(40).collect());
        }
        rest = &rest[8 + content.len()..];
    }
    None
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A control frame of a type with a content type.
    pub(crate) fn control(kind: u32, content: &[u8]) -> Vec<u8> {
        let mut body = kind.to_be_bytes().to_vec();
        if !content.is_empty() {
            body.extend_from_slice(&FIELD_CONTENT_TYPE.to_be_bytes());
            body.extend_from_slice(&(content.len() as u32).to_be_bytes());
            body.extend_from_slice(content);
        }
        [&[0; 4][..], &(body.len() as u32).to_be_bytes(), &body].concat()
    }

    /// A file of these data frames.
    pub(crate) fn file(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = control(CONTROL_START, CONTENT_TYPE);
        for frame in frames {
            bytes.extend_from_slice(&(frame.len() as u32).to_be_bytes());
            bytes.extend_from_slice(frame);
        }
        bytes.extend(control(3, b""));
        bytes
    }

    fn read(parts: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<String>) {
        let (mut frames, mut broken) = (Vec::new(), Vec::new());
        let mut reader = FrameReader::default();
        let mut found = |frame: Frame<'_>| match frame {
            Frame::Data(frame) => frames.push(frame.to_vec()),
            Frame::Broken(why) => broken.push(why),
        };
        for part in parts {
            reader.push(part, &mut found);
            assert!(reader.held.len() <= FRAME_MAX + 8 + part.len());
        }
        reader.finish(&mut found);
        (frames, broken)
    }

    #[test]
    fn files_one_after_the_other_are_read_and_other_content_is_told() {
        let frames = [b"one".to_vec(), b"two".to_vec()];
        let bytes = [file(&frames), file(&frames)].concat();
        assert_eq!(read(&[&bytes]), ([&frames[..], &frames].concat(), vec![]));
        let (_, broken) = read(&[&control(CONTROL_START, b"protobuf:other")]);
        assert_eq!(broken, ["the file holds `protobuf:other`, not dnstap"]);
        let (_, broken) = read(&[&bytes[..bytes.len() - 1]]);
        assert_eq!(broken, ["the file ends in the middle of a frame"]);
    }

    #[test]
    fn a_frame_that_is_too_long_is_passed_over() {
        let mut long = file(&[b"a".to_vec(), vec![7; FRAME_MAX + 1], b"b".to_vec()]);
        let (frames, broken) = read(&[&long]);
        assert_eq!((frames, broken.len()), (vec![b"a".to_vec(), b"b".to_vec()], 1));
        long.truncate(FRAME_MAX);
        assert_eq!(read(&[&long]).1.len(), 2);
    }

    proptest! {
        #[test]
        fn however_the_bytes_come_the_frames_are_the_same(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..8),
            cut in 1..50_usize,
        ) {
            let bytes = file(&frames);
            let parts: Vec<&[u8]> = bytes.chunks(cut).collect();
            prop_assert_eq!(read(&parts), (frames, vec![]));
        }

        #[test]
        fn any_bytes_end(bytes: Vec<u8>, cut in 1..50_usize) {
            let parts: Vec<&[u8]> = bytes.chunks(cut).collect();
            prop_assert_eq!(read(&parts), read(&[&bytes]));
        }
    }
}
