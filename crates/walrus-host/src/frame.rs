//! Messages on a byte stream: four bytes of length, most significant first, then one JSON object.
//!
//! The first byte of a frame is 0 or 1 (no frame has 32 MiB), that of a TLS handshake 22: the
//! group's listener tells the two apart by it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use walrus_core::message::{DecodeError, Message, decode, encode};

/// The longest frame of any message but a Plan, in bytes.
pub const FRAME_MAX: usize = 64 << 10;
/// The longest frame with a Plan, in bytes.
pub const PLAN_FRAME_MAX: usize = 16 << 20;

/// Reads the next message; `None` if the other side closed between two messages. `max` bounds
/// the frame: [`FRAME_MAX`], or [`PLAN_FRAME_MAX`] where Plans are expected. Not to be cancelled
/// halfway: what was read of a frame would be lost.
///
/// # Errors
/// If the stream ends within a frame, the frame is longer than `max`, or what it holds is no
/// message. After [`FrameError::Decode`] the stream is still in step and may be read on; after
/// any other it is of no use.
pub async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    max: usize,
) -> Result<Option<Message>, FrameError> {
    let mut length = [0; 4];
    let first = stream.read(&mut length[..1]).await?;
    if first == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await.map_err(cut)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > max {
        return Err(FrameError::TooLong { length, max });
    }
    let mut bytes = Vec::new();
    // Grows with what arrives, not with what was announced.
    let read = stream.take(length as u64).read_to_end(&mut bytes).await?;
    if read < length {
        return Err(FrameError::Cut);
    }
    Ok(Some(decode(&bytes)?))
}

/// Writes one message.
///
/// # Errors
/// If the message is too long for its kind, or the stream refuses.
pub async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    message: &Message,
) -> Result<(), FrameError> {
    let bytes = encode(message);
    let max = if matches!(message, Message::Plan(_)) { PLAN_FRAME_MAX } else { FRAME_MAX };
    let length = bytes.len();
    if length > max {
        return Err(FrameError::TooLong { length, max });
    }
    // One write, so that a small message is one packet. The length fits: it is at most 16 MiB.
    let mut frame = Vec::with_capacity(4 + length);
    frame.extend_from_slice(&(length as u32).to_be_bytes());
    frame.extend_from_slice(&bytes);
    stream.write_all(&frame).await?;
    stream.flush().await?;
    Ok(())
}

fn cut(error: io::Error) -> FrameError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::Cut,
        _ => FrameError::Io(error),
    }
}

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream ended within a message.
    #[error("the connection ended in the middle of a message")]
    Cut,
    /// Longer than any message of its kind.
    #[error(
        "a message of {length} bytes is longer than the {max} allowed here; is this a Walrus group?"
    )]
    TooLong {
        /// As announced.
        length: usize,
        /// What is allowed.
        max: usize,
    },
    /// A frame that holds no message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The stream failed.
    #[error("the connection broke")]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(sequence: u64) -> Message {
        Message::Taken { session: 1, sequence }
    }

    async fn read_all(bytes: &[u8]) -> Result<Option<Message>, FrameError> {
        let mut stream = bytes;
        read(&mut stream, FRAME_MAX).await
    }

    #[tokio::test]
    async fn messages_follow_each_other() {
        let mut bytes = Vec::new();
        write(&mut bytes, &taken(1)).await.unwrap();
        write(&mut bytes, &taken(2)).await.unwrap();
        let mut stream = &bytes[..];
        assert_eq!(read(&mut stream, FRAME_MAX).await.unwrap(), Some(taken(1)));
        assert_eq!(read(&mut stream, FRAME_MAX).await.unwrap(), Some(taken(2)));
        assert_eq!(read(&mut stream, FRAME_MAX).await.unwrap(), None);
    }

    #[tokio::test]
    async fn half_a_message_is_an_error_wherever_it_was_cut() {
        let mut bytes = Vec::new();
        write(&mut bytes, &taken(1)).await.unwrap();
        for cut in 1..bytes.len() {
            let error = read_all(&bytes[..cut]).await.unwrap_err();
            assert!(matches!(error, FrameError::Cut), "{cut}: {error}");
        }
    }

    #[tokio::test]
    async fn garbage_and_overlong_are_errors() {
        let error = read_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap_err();
        assert!(matches!(error, FrameError::TooLong { .. }), "{error}");
        let error = read_all(&[0, 1, 0, 1, 0]).await.unwrap_err();
        assert!(matches!(error, FrameError::TooLong { length: 65537, .. }), "{error}");
        let mut stream = &b"\0\0\0\x03abc\0\0\0\x02{}"[..];
        for _ in 0..2 {
            let error = read(&mut stream, FRAME_MAX).await.unwrap_err();
            assert!(matches!(error, FrameError::Decode(_)), "{error}");
        }
        assert_eq!(read(&mut stream, FRAME_MAX).await.unwrap(), None, "still in step");
        let reason = "x".repeat(FRAME_MAX);
        let error = write(&mut Vec::new(), &Message::Refused { reason }).await.unwrap_err();
        assert!(matches!(error, FrameError::TooLong { .. }), "{error}");
    }
}
