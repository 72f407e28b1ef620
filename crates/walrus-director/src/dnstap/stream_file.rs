//! A file that holds one stream of frames, over any number of starts: readers stop at its first end.
//!
//! What a start before has left there is made fit to be gone on with: its end is taken off, and so is half a frame, which a
//! power cut may leave and behind which nothing can be read.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::output::{CONTROL_MAX, START, STOP, control};

/// Whose queries these are is nobody's business but the owner's and the group's.
const MODE: u32 = 0o640;
/// The longest frame that is written: a message of 64 KiB, with who exchanged it.
const FRAME_MAX: u64 = 128 * 1024;

/// Opens a file, made if need be, as it stands.
///
/// # Errors
/// If the system refuses, or the file holds something else.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).append(true).create(true).mode(MODE).open(path)?;
    let start = control(START, true);
    let mut head = vec![0; start.len()];
    let is_regular = file.metadata()?.is_file();
    // Half a beginning is all that there is of it.
    let held = file.metadata()?.len().min(start.len() as u64) as usize;
    if is_regular {
        file.read_exact_at(&mut head[..held], 0)?;
    }
    if is_regular && head[..held] != start[..held] {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it holds something else than dnstap: move it away, or name another file",
        ));
    }
    Ok(file)
}

/// Opens a file so that frames can be put behind those that it holds. Where it was not closed, all of it is looked through.
///
/// # Errors
/// As `open`.
pub(super) fn go_on(path: &Path) -> io::Result<File> {
    let mut file = open(path)?;
    if !file.metadata()?.is_file() {
        file.write_all(&control(START, true))?;
        return Ok(file);
    }
    let (start, stop) = (control(START, true), control(STOP, false));
    let length = file.metadata()?.len();
    if length < start.len() as u64 {
        file.set_len(0)?;
        file.write_all(&start)?;
        return Ok(file);
    }
    let mut end = length.saturating_sub(stop.len() as u64);
    let mut last = vec![0; stop.len()];
    file.read_exact_at(&mut last, end)?;
    if last != stop {
        end = end_of_frames(&file)?;
        if end < length {
            tracing::warn!(
                file = %path.display(), bytes = length - end,
                "the dnstap file was not closed: what is no whole frame at its end is cut off"
            );
        }
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(file)
}

/// Where the last whole frame ends.
fn end_of_frames(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut file = file;
    file.rewind()?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut end = 0;
    let mut number = [0; 4];
    loop {
        let mut next = |reader: &mut BufReader<&File>| match reader.read_exact(&mut number) {
            Ok(()) => Ok(Some(u64::from(u32::from_be_bytes(number)))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        };
        let Some(size) = next(&mut reader)? else { return Ok(end) };
        let (head, size) = match size {
            0 => {
                let Some(size) = next(&mut reader)? else { return Ok(end) };
                // What a disk has not written yet reads as zeros.
                if !(4..=CONTROL_MAX as u64).contains(&size) {
                    return Ok(end);
                }
                (8, size)
            }
            size if size > FRAME_MAX => return Ok(end),
            size => (4, size),
        };
        if end + head + size > length {
            return Ok(end);
        }
        end += head + size;
        // Bounded by FRAME_MAX.
        reader.seek_relative(size as i64)?;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn frame(text: &[u8]) -> Vec<u8> {
        [&(text.len() as u32).to_be_bytes()[..], text].concat()
    }

    #[test]
    fn one_stream_goes_on_over_all_starts_however_they_ended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tap");
        let (start, stop) = (control(START, true), control(STOP, false));
        let (one, two) = (frame(b"one"), frame(&[0; 300]));
        let whole = [&start[..], &one, &two].concat();
        for (left, kept) in [
            (Vec::new(), start.clone()),
            (start[..7].to_vec(), start.clone()),
            (start.clone(), start.clone()),
            ([&start[..], &stop].concat(), start.clone()),
            (whole.clone(), whole.clone()),
            ([&whole[..], &stop].concat(), whole.clone()),
            ([&whole[..], &stop[..9]].concat(), whole.clone()),
            ([&whole[..], &two[..303]].concat(), whole.clone()),
            ([&whole[..], &two[..3]].concat(), whole.clone()),
            ([&whole[..], &[0; 4096]].concat(), whole.clone()),
            ([&whole[..], &[255; 4096]].concat(), whole.clone()),
        ] {
            std::fs::write(&path, &left).unwrap();
            let mut file = go_on(&path).unwrap();
            file.write_all(&one).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), [kept, one.clone()].concat(), "{left:?}");
        }
    }

    #[test]
    fn a_new_file_is_not_for_everybody_and_another_one_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tap");
        drop(go_on(&path).unwrap());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o137, 0);
        std::fs::write(&path, b"{\"a\": \"decision log\"}\n").unwrap();
        let refused = open(&path).and_then(|_| go_on(&path)).unwrap_err();
        assert!(refused.to_string().contains("something else than dnstap"), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap().len(), 22);
    }
}
