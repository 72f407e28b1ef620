//! A log as its bytes come: lines of decisions, or dnstap frames.

use super::asked::Asked;
use super::decision_line;
use super::dnstap::{self, Half};
use super::frame_stream::{Frame, FrameReader};

/// The longest line that is read. A Director's has at most thirty addresses: 3 KiB.
const LINE_MAX: usize = 64 * 1024;

/// What was found in a log.
#[derive(Debug)]
pub enum Found {
    /// A query. Boxed: it is far larger than the others.
    Asked(Box<Asked>),
    /// The line, or frame, of this number (from 1) is none, for this reason.
    Broken(u64, String),
    /// A dnstap frame that does not count: of another type, or the other half of an exchange.
    PassedOver,
}

/// Takes a log's bytes as they come. Which format it is its first byte tells: frames begin with 0.
#[derive(Debug, Default)]
pub struct Log {
    format: Format,
    /// Lines or frames so far.
    count: u64,
    half: Option<Half>,
}

#[derive(Debug, Default)]
enum Format {
    #[default]
    Unknown,
    /// The beginning of a line whose end has yet to come.
    Lines {
        held: Vec<u8>,
        is_too_long: bool,
    },
    Frames(FrameReader),
}

impl Log {
    /// Which half of each exchange counts in a dnstap file; `None`: the half that comes first.
    #[must_use]
    pub fn new(half: Option<Half>) -> Self {
        Self { half, ..Self::default() }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8], found: &mut dyn FnMut(Found)) {
        let Some(first) = bytes.first() else { return };
        if matches!(self.format, Format::Unknown) {
            self.format = match first {
                0 => Format::Frames(FrameReader::default()),
                _ => Format::Lines { held: Vec::new(), is_too_long: false },
            };
        }
        let Self { format, count, half } = self;
        match format {
            Format::Unknown => {}
            Format::Frames(reader) => {
                reader.push(bytes, &mut |frame| take_frame(frame, count, half, found));
            }
            Format::Lines { held, is_too_long } => {
                let mut rest = bytes;
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let (line, behind) = rest.split_at(end);
                    rest = &behind[1..];
                    *count += 1;
                    let is_long = *is_too_long || held.len() + line.len() > LINE_MAX;
                    if is_long {
                        found(too_long(*count));
                    } else if held.is_empty() {
                        take_line(line, *count, found);
                    } else {
                        held.extend_from_slice(line);
                        take_line(held, *count, found);
                    }
                    held.clear();
                    *is_too_long = false;
                }
                *is_too_long |= held.len() + rest.len() > LINE_MAX;
                if !*is_too_long {
                    held.extend_from_slice(rest);
                }
            }
        }
    }

    /// The log ends here.
    pub fn finish(mut self, found: &mut dyn FnMut(Found)) {
        let Self { format, count, half } = &mut self;
        match format {
            Format::Unknown => {}
            Format::Frames(reader) => {
                reader.finish(&mut |frame| take_frame(frame, count, half, found));
            }
            Format::Lines { held, is_too_long } => {
                *count += 1;
                if *is_too_long {
                    found(too_long(*count));
                } else {
                    take_line(held, *count, found);
                }
            }
        }
    }
}

fn too_long(count: u64) -> Found {
    Found::Broken(count, format!("longer than {LINE_MAX} bytes"))
}

/// An empty line is what a Director leaves behind after a full disk: no harm.
fn take_line(line: &[u8], count: u64, found: &mut dyn FnMut(Found)) {
    if line.trim_ascii().is_empty() {
        return;
    }
    found(match decision_line::parse(line) {
        Ok(asked) => Found::Asked(Box::new(asked)),
        Err(why) => Found::Broken(count, why),
    });
}

fn take_frame(
    frame: Frame<'_>,
    count: &mut u64,
    wanted: &mut Option<Half>,
    found: &mut dyn FnMut(Found),
) {
    *count += 1;
    let parsed = match frame {
        Frame::Data(frame) => dnstap::parse(frame),
        Frame::Broken(why) => Err(why),
    };
    found(match parsed {
        Ok(Some((half, asked))) if *wanted.get_or_insert(half) == half => {
            Found::Asked(Box::new(asked))
        }
        Ok(_) => Found::PassedOver,
        Err(why) => Found::Broken(*count, why),
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::dnstap::tests::frame;
    use super::super::frame_stream::tests::file;
    use super::*;

    const LINE: &str = r#"{"kind":"decision","resolver":"192.0.2.1","name":"a.example","type":1}"#;

    /// How many queries, passed over, and the places of what is broken.
    fn read(log: Log, bytes: &[u8], cut: usize) -> (u32, u32, Vec<u64>) {
        let mut log = log;
        let mut result = (0, 0, Vec::new());
        let mut found = |found| match found {
            Found::Asked(_) => result.0 += 1,
            Found::PassedOver => result.1 += 1,
            Found::Broken(place, _) => result.2.push(place),
        };
        for part in bytes.chunks(cut) {
            log.push(part, &mut found);
        }
        log.finish(&mut found);
        result
    }

    #[test]
    fn broken_lines_are_counted_with_their_numbers_and_survived() {
        let long = format!("{{\"kind\":\"{}\"}}", "x".repeat(LINE_MAX));
        let text =
            format!("{LINE}\n\n{{\"kind\":\"dec\n{LINE}\nnonsense\n{long}\n{LINE}\r\n{LINE}");
        for cut in [1, 7, 1000, 1 << 20] {
            let (asked, _, broken) = read(Log::default(), text.as_bytes(), cut);
            assert_eq!((asked, broken), (4, vec![3, 5, 6]), "{cut}");
        }
        assert_eq!(read(Log::default(), b"", 1), (0, 0, vec![]));
        assert_eq!(read(Log::default(), long.as_bytes(), 100), (0, 0, vec![1]));
    }

    #[test]
    fn of_an_exchange_one_half_counts() {
        let frames: Vec<Vec<u8>> = [1, 2, 3, 1, 2].map(|kind| frame(kind, [192, 0, 2, 7])).into();
        let bytes = file(&frames);
        assert_eq!(read(Log::default(), &bytes, 10), (2, 3, vec![]));
        assert_eq!(read(Log::new(Some(Half::Replies)), &bytes, 10), (2, 3, vec![]));
        let only = file(&[frame(2, [192, 0, 2, 7]), b"no message".to_vec()]);
        assert_eq!(read(Log::default(), &only, 10), (1, 0, vec![2]));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>, cut in 1..100_usize) {
            let whole = read(Log::default(), &bytes, bytes.len().max(1));
            prop_assert_eq!(read(Log::default(), &bytes, cut), whole);
        }
    }
}
