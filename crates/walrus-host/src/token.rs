//! Shared secrets: what Reporters bring to the group and operators to the API.

use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use walrus_core::world::TokenHash;

use crate::seed::{SeedError, secret_bytes};

/// The longest token, in bytes.
const LEN_MAX: usize = 1024;

/// A shared secret. Never shown by `Debug`, compared in constant time.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// 32 random bytes as hex.
    ///
    /// # Errors
    /// If the system has no random source to offer.
    pub fn random() -> Result<Self, SeedError> {
        let bytes: [u8; 32] = secret_bytes()?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// A token that somebody chose; white space around it does not count.
    ///
    /// # Errors
    /// If it is empty, longer than 1024 bytes, or has white space or control characters in it.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let good = !text.is_empty()
            && text.len() <= LEN_MAX
            && text.chars().all(|c| !c.is_whitespace() && !c.is_control());
        if good { Ok(Self(text.to_owned())) } else { Err(TokenError::Unusable) }
    }

    /// The token in a file.
    ///
    /// # Errors
    /// If the file cannot be read or does not hold a token.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let mut text = String::new();
        // A shell's `<(...)` is a pipe: any kind of file will do, but not endless ones.
        std::fs::File::open(path)
            .and_then(|file| file.take(2 * LEN_MAX as u64).read_to_string(&mut text))
            .map_err(|error| TokenError::Read { path: path.to_owned(), error })?;
        Self::new(&text).map_err(|_| TokenError::UnusableFile { path: path.to_owned() })
    }

    /// The secret itself, to be sent; not to be logged.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether this is the same secret. Takes the same time however many characters agree: both
    /// are hashed first, so that not even the length shows.
    #[must_use]
    pub fn matches(&self, other: &str) -> bool {
        self.hash().matches(&TokenHash::of(other))
    }

    /// What to know it by.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The text is empty, too long, or has white space in it.
    #[error("not a token: use 1 to {LEN_MAX} characters without white space")]
    Unusable,
    /// A file's text is not a token.
    #[error("{path} holds no token: put 1 to {LEN_MAX} characters without white space into it", path = path.display())]
    UnusableFile {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the token file {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let token = Token::random().unwrap();
        assert_eq!(token.secret().len(), 64);
        assert!(token.matches(token.secret()));
        assert!(!token.matches(&token.secret()[1..]) && !token.matches(""));
        assert_eq!(format!("{token:?}"), "Token(..)");
        assert!(Token::new(" abc \n").unwrap().matches("abc"));
        for bad in ["", "  \n", "a b", "a\0b", &"x".repeat(1025)] {
            assert!(Token::new(bad).is_err(), "{bad:?}");
        }
    }
}
