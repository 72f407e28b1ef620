//! The Plan, overrides, secrets and the compiled map on the disk.

use std::path::PathBuf;

use walrus_core::plan::{Plan, from_bytes, to_bytes};
use walrus_core::world::{Digest, Overrides};

use super::{Recovered, StateDirectory, StateError};
use crate::token::{Token, TokenError};

const PLAN: &str = "plan.json";
const OVERRIDES: &str = "overrides.json";

impl StateDirectory {
    /// Stores the Plan in force, on the disk when this returns.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn store_plan(&self, plan: &Plan) -> Result<(), StateError> {
        self.write(PLAN, 0o600, &to_bytes(plan))
    }

    /// The last Plan, if there is one that this program understands.
    #[must_use]
    pub fn load_plan(&self) -> Recovered<Option<Plan>> {
        self.load(PLAN, |bytes| from_bytes(bytes).map_err(|error| error.to_string()))
    }

    /// Stores all overrides, on the disk when this returns.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn store_overrides(&self, overrides: &Overrides) -> Result<(), StateError> {
        let bytes = serde_json::to_vec(overrides)
            .map_err(|error| StateError::Encode { what: "the overrides", error })?;
        self.write(OVERRIDES, 0o600, &bytes)
    }

    /// All overrides; none if there is no file that can be understood.
    #[must_use]
    pub fn load_overrides(&self) -> Recovered<Overrides> {
        let found = self.load(OVERRIDES, |bytes| {
            serde_json::from_slice::<Overrides>(bytes).map_err(|error| error.to_string())
        });
        Recovered { value: found.value.unwrap_or_default(), warnings: found.warnings }
    }

    /// The secret in the file `name` of this directory (`token`, `reporter-token`), made at first
    /// start with mode 0600.
    ///
    /// # Errors
    /// If there is a file that cannot be read or holds no token (it is never replaced: others may
    /// hold copies of it), or a new one cannot be made.
    pub fn token(&self, name: &str) -> Result<Token, StateError> {
        match Token::read(&self.file(name)) {
            Err(TokenError::Read { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
                let token = Token::random()?;
                self.write(name, 0o600, format!("{}\n", token.secret()).as_bytes())?;
                Ok(token)
            }
            other => Ok(other?),
        }
    }

    /// Where the secret `name` is kept, to tell people.
    #[must_use]
    pub fn token_path(&self, name: &str) -> PathBuf {
        self.file(name)
    }

    /// The compiled map of this digest, if it is kept. Its bytes are the compiler's business.
    #[must_use]
    pub fn load_map(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.read(&map_file(digest)).ok().flatten()
    }

    /// Keeps the compiled map of this digest and forgets those of others: one is in use.
    ///
    /// # Errors
    /// If the disk refuses; the map is then compiled again at the next start.
    pub fn store_map(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StateError> {
        let name = map_file(digest);
        self.write(&name, 0o600, bytes)?;
        for entry in std::fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let other = entry.file_name();
            let other = other.to_string_lossy();
            if other.starts_with("map-") && other.ends_with(".bin") && other != name.as_str() {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// The self-signed certificate and its key as PEM, if both are kept.
    pub(crate) fn load_certificate(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let certificate = self.read("certificate.pem").ok().flatten()?;
        Some((certificate, self.read("key.pem").ok().flatten()?))
    }

    pub(crate) fn store_certificate(&self, certificate: &str, key: &str) -> Result<(), StateError> {
        self.write("key.pem", 0o600, key.as_bytes())?;
        self.write("certificate.pem", 0o644, certificate.as_bytes())
    }

    fn load<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Recovered<Option<T>> {
        let mut warnings = Vec::new();
        let value = match self.read(name) {
            Ok(None) => None,
            Ok(Some(bytes)) => match parse(&bytes) {
                Ok(value) => Some(value),
                Err(reason) => {
                    let path = self.file(name);
                    warnings.push(format!(
                        "{} is damaged ({reason}); going on without it",
                        path.display()
                    ));
                    None
                }
            },
            Err(warning) => {
                warnings.push(warning);
                None
            }
        };
        Recovered { value, warnings }
    }
}

fn map_file(digest: &Digest) -> String {
    // A digest is hex by construction, but one that came out of a file could be anything.
    let safe: String =
        digest.as_str().chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    format!("map-{safe}.bin")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use walrus_core::plan::{Digests, FORMAT, PlanNumber};
    use walrus_core::world::{OverrideState, Target};

    use super::*;

    fn plan(epoch: u64) -> Plan {
        Plan {
            format: FORMAT,
            number: PlanNumber { epoch, controller: "a".parse().unwrap(), sequence: 3 },
            digests: Digests::default(),
            servers: vec![],
            lists: vec![],
            services: vec![],
        }
    }

    fn open() -> (tempfile::TempDir, StateDirectory) {
        let parent = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(parent.path()).unwrap();
        (parent, state)
    }

    #[test]
    fn a_plan_comes_back_and_raises_the_epoch() {
        let (parent, state) = open();
        assert_eq!(state.load_plan(), Recovered { value: None, warnings: vec![] });
        state.store_plan(&plan(5)).unwrap();
        assert_eq!(state.load_plan().value, Some(plan(5)));
        std::fs::write(parent.path().join("epoch"), "garbage").unwrap();
        assert_eq!(state.load_epoch().value, 5);
        assert!(state.store_epoch(4).is_err());
    }

    #[test]
    fn a_damaged_plan_is_a_warning_wherever_it_was_cut() {
        let (parent, state) = open();
        let whole = serde_json::to_vec(&plan(5)).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(parent.path().join(PLAN), &whole[..cut]).unwrap();
            let found = state.load_plan();
            assert_eq!((found.value, found.warnings.len()), (None, 1), "{cut}");
        }
    }

    #[test]
    fn overrides_come_back_and_damage_is_none() {
        let (parent, state) = open();
        let mut overrides = Overrides::default();
        let target = Target::Server("fra1".parse().unwrap());
        overrides.set(target, OverrideState::Drained, ("a".parse().unwrap(), None), 7);
        state.store_overrides(&overrides).unwrap();
        assert_eq!(state.load_overrides().value, overrides);
        std::fs::write(parent.path().join(OVERRIDES), "[[").unwrap();
        let found = state.load_overrides();
        assert_eq!((found.value, found.warnings.len()), (Overrides::default(), 1));
    }

    #[test]
    fn a_token_is_made_once_and_never_replaced() {
        let (parent, state) = open();
        let token = state.token("token").unwrap();
        assert!(state.token("token").unwrap().matches(token.secret()));
        assert!(!state.token("reporter-token").unwrap().matches(token.secret()));
        let mode = std::fs::metadata(state.token_path("token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(parent.path().join("token"), "two words").unwrap();
        assert!(matches!(state.token("token"), Err(StateError::Token(_))));
    }

    #[test]
    fn one_compiled_map_is_kept() {
        let (parent, state) = open();
        let (a, b) = (Digest::of([&b"a"[..]]), Digest::of([&b"b"[..]]));
        state.store_map(&a, b"one").unwrap();
        state.store_map(&b, b"two").unwrap();
        assert_eq!(state.load_map(&a), None);
        assert_eq!(state.load_map(&b).unwrap(), b"two");
        let maps = std::fs::read_dir(parent.path())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("map-"));
        assert_eq!(maps.count(), 1);
    }
}
