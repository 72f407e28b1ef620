//! One key with its private half: made or taken in, and used to sign (RFC 6605, RFC 8080).

use std::fmt;
use std::sync::Arc;

use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use walrus_core::dnssec::{Algorithm, DnsKey, DnsKeyError, Signature};

/// Bytes of a private key, of either algorithm: a P-256 scalar, or an Ed25519 seed.
pub(crate) const PRIVATE_LEN: usize = 32;

/// Where the scalar stands in the PKCS #8 document that `ring` makes for a new P-256 key: the
/// document has a fixed form (RFC 5208 around RFC 5915), and what is found is checked against the
/// public key.
const SCALAR_AT: usize = 36;

/// A key of a zone with its private half. Cheap to clone. `Debug` shows the public half only.
#[derive(Clone)]
pub struct KeyPair {
    public: DnsKey,
    private: Arc<Private>,
}

struct Private {
    bytes: [u8; PRIVATE_LEN],
    signer: Signer,
    random: SystemRandom,
}

enum Signer {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why there is no key, or no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyPairError {
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    Random,
    /// The private key is out of range, or belongs to another public key.
    #[error("the private key does not belong to public key {tag}: the files are not of one key")]
    Mismatch {
        /// The public key's tag.
        tag: u16,
    },
    /// The flags will not do.
    #[error(transparent)]
    Public(#[from] DnsKeyError),
}

impl KeyPair {
    /// A new key. Blocks for some tens of microseconds.
    ///
    /// # Errors
    /// If there are no random bytes, or the flags are no zone key's.
    pub fn generate(algorithm: Algorithm, flags: u16) -> Result<Self, KeyPairError> {
        let random = SystemRandom::new();
        match algorithm {
            Algorithm::EcdsaP256Sha256 => {
                let rules = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let document =
                    EcdsaKeyPair::generate_pkcs8(rules, &random).or(Err(KeyPairError::Random))?;
                let document = document.as_ref();
                let pair = EcdsaKeyPair::from_pkcs8(rules, document, &random)
                    .or(Err(KeyPairError::Random))?;
                // Without the octet that says "uncompressed" (RFC 6605 section 4).
                let public = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let public = DnsKey::new(flags, algorithm, public)?;
                let private = document.get(SCALAR_AT..).and_then(<[u8]>::first_chunk);
                Self::from_parts(public, private.unwrap_or(&[0; PRIVATE_LEN]))
            }
            Algorithm::Ed25519 => {
                let mut seed = [0; PRIVATE_LEN];
                random.fill(&mut seed).or(Err(KeyPairError::Random))?;
                Self::from_parts(ed25519_public(flags, &seed)?, &seed)
            }
        }
    }

    /// The key of these halves.
    ///
    /// # Errors
    /// If they do not belong together.
    pub fn from_parts(public: DnsKey, private: &[u8; PRIVATE_LEN]) -> Result<Self, KeyPairError> {
        let random = SystemRandom::new();
        let mismatch = KeyPairError::Mismatch { tag: public.tag() };
        let signer = match public.algorithm() {
            Algorithm::EcdsaP256Sha256 => {
                let point = [&[4], public.public()].concat();
                let rules = &ECDSA_P256_SHA256_FIXED_SIGNING;
                EcdsaKeyPair::from_private_key_and_public_key(rules, private, &point, &random)
                    .map(Signer::Ecdsa)
            }
            Algorithm::Ed25519 => {
                Ed25519KeyPair::from_seed_and_public_key(private, public.public())
                    .map(Signer::Ed25519)
            }
        };
        let signer = signer.or(Err(mismatch))?;
        Ok(Self { public, private: Arc::new(Private { bytes: *private, signer, random }) })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &DnsKey {
        &self.public
    }

    /// Signs. Ed25519 gives the same signature for the same bytes, ECDSA another each time; both
    /// take some tens of microseconds, so never on an answering thread.
    ///
    /// # Errors
    /// If the operating system gives no random bytes (ECDSA).
    pub fn sign(&self, bytes: &[u8]) -> Result<Signature, KeyPairError> {
        let made = match &self.private.signer {
            Signer::Ecdsa(pair) => {
                pair.sign(&self.private.random, bytes).or(Err(KeyPairError::Random))?
            }
            Signer::Ed25519(pair) => pair.sign(bytes),
        };
        // Both algorithms' signatures are 64 bytes.
        made.as_ref().try_into().or(Err(KeyPairError::Random))
    }

    /// The private half as BIND's files hold it. Only for writing such a file.
    pub(crate) fn private(&self) -> &[u8; PRIVATE_LEN] {
        &self.private.bytes
    }
}

/// The public half of an Ed25519 seed.
fn ed25519_public(flags: u16, seed: &[u8; PRIVATE_LEN]) -> Result<DnsKey, KeyPairError> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).or(Err(KeyPairError::Random))?;
    Ok(DnsKey::new(flags, Algorithm::Ed25519, pair.public_key().as_ref())?)
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
    use walrus_core::dnssec::{FLAG_SEP, FLAG_ZONE};

    use super::*;

    const BOTH: [Algorithm; 2] = [Algorithm::EcdsaP256Sha256, Algorithm::Ed25519];

    fn verifies(key: &DnsKey, bytes: &[u8], signature: &[u8]) -> bool {
        match key.algorithm() {
            Algorithm::EcdsaP256Sha256 => {
                let point = [&[4], key.public()].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(bytes, signature)
            }
            Algorithm::Ed25519 => {
                UnparsedPublicKey::new(&ED25519, key.public()).verify(bytes, signature)
            }
        }
        .is_ok()
    }

    #[test]
    fn a_new_key_signs_what_its_public_half_verifies() {
        for algorithm in BOTH {
            let pair = KeyPair::generate(algorithm, FLAG_ZONE | FLAG_SEP).unwrap();
            let signature = pair.sign(b"walrus").unwrap();
            assert!(verifies(pair.public(), b"walrus", &signature), "{algorithm:?}");
            assert!(!verifies(pair.public(), b"walruses", &signature), "{algorithm:?}");
            let other = KeyPair::generate(algorithm, FLAG_ZONE | FLAG_SEP).unwrap();
            assert_ne!(other.public(), pair.public());
            let again = KeyPair::from_parts(pair.public().clone(), pair.private()).unwrap();
            assert!(verifies(pair.public(), b"x", &again.sign(b"x").unwrap()));
        }
    }

    #[test]
    fn halves_of_two_keys_are_refused() {
        for algorithm in BOTH {
            let one = KeyPair::generate(algorithm, FLAG_ZONE).unwrap();
            let two = KeyPair::generate(algorithm, FLAG_ZONE).unwrap();
            let refused = KeyPair::from_parts(one.public().clone(), two.private()).unwrap_err();
            assert_eq!(refused, KeyPairError::Mismatch { tag: one.public().tag() });
            assert!(KeyPair::from_parts(one.public().clone(), &[0; 32]).is_err());
            assert!(KeyPair::from_parts(one.public().clone(), &[255; 32]).is_err());
        }
    }

    #[test]
    fn a_private_half_is_never_shown() {
        let pair = KeyPair::generate(Algorithm::Ed25519, FLAG_ZONE).unwrap();
        let shown = format!("{pair:?}");
        assert!(shown.contains("public") && !shown.contains("private"), "{shown}");
    }

    #[test]
    fn flags_without_a_zone_key_are_refused() {
        assert!(matches!(
            KeyPair::generate(Algorithm::Ed25519, FLAG_SEP),
            Err(KeyPairError::Public(DnsKeyError::NoZoneKey { .. }))
        ));
    }
}
