//! Who is let in, over the group and the API: as configured at the start, and anew at each reload.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use walrus_core::config::Configuration;
use walrus_core::message::Admission;
use walrus_core::world::{IdentityRole, Name, OperatorRight, TokenHash};
use walrus_host::group::{GroupSecurity, known};
use walrus_host::log::{Limited, chain};
use walrus_host::state::StateDirectory;
use walrus_host::token::Token;

use super::Node;
use crate::api::ApiError;
use crate::cli::Failure;
use crate::load::Loaded;

/// Between two lines in the log about requests that were refused: anybody can cause them.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Who may use the API.
#[derive(Debug)]
pub(crate) struct Access {
    /// The node's own token.
    own: TokenHash,
    /// Operators, and all others, so that somebody else's token is known as that.
    admission: Admission,
    read_needs_token: bool,
    lines: Limited,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The operator; `None` for whoever has the node's own token.
    pub(crate) name: Option<Name>,
    may: OperatorRight,
}

impl Caller {
    /// For the log.
    pub(crate) fn as_str(&self) -> &str {
        self.name.as_ref().map_or("whoever has the node's own token", Name::as_str)
    }
}

/// Why somebody may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No token, or one that nobody knows.
    Unknown(String),
    /// Known, and not allowed to.
    NotAllowed(String),
}

impl Access {
    /// As configured; the node's own token is made at the first start.
    pub(crate) fn load(
        configuration: &Configuration,
        state: &StateDirectory,
    ) -> Result<Self, Failure> {
        let own = match &configuration.api.token_file {
            Some(file) => Token::read(file).map_err(anyhow::Error::from)?,
            None => state.token("token").map_err(anyhow::Error::from)?,
        };
        let identities = known(&configuration.identities).map_err(anyhow::Error::from)?;
        let own = own.hash();
        let admission = Admission::new(identities).map_err(anyhow::Error::from)?;
        admission.must_be_nobodys(&own, "the node itself").map_err(anyhow::Error::from)?;
        Ok(Self {
            own,
            admission,
            read_needs_token: configuration.api.read_needs_token,
            lines: Limited::new(TOLD_EVERY),
        })
    }

    /// Whether reading needs a token.
    pub(crate) const fn read_needs_token(&self) -> bool {
        self.read_needs_token
    }

    /// Whoever has this token, if it is good for that. `what` begins the sentence that asks for one.
    pub(crate) fn admit(
        &self,
        token: Option<&str>,
        wanted: OperatorRight,
        what: &str,
    ) -> Result<Caller, Denied> {
        let found = self.find(token, wanted, what);
        if let Err(Denied::Unknown(reason) | Denied::NotAllowed(reason)) = &found
            && let Some(left_out) = self.lines.pass()
        {
            tracing::warn!(reason, left_out, "a request to the API was refused");
        }
        found
    }

    /// As [`Self::admit`] without a word: for what is told without a token as well, if less of it.
    pub(crate) fn may_read(&self, token: Option<&str>) -> bool {
        self.find(token, OperatorRight::Read, "").is_ok()
    }

    fn find(
        &self,
        token: Option<&str>,
        wanted: OperatorRight,
        what: &str,
    ) -> Result<Caller, Denied> {
        let needed = || {
            Denied::Unknown(format!(
                "{what} wants the token: `Authorization: Bearer TOKEN`; walrus takes it from \
                 --token-file, WALRUS_TOKEN_FILE or STATE/token"
            ))
        };
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Err(needed()) };
        let token = TokenHash::of(token);
        if self.own.matches(&token) {
            return Ok(Caller { name: None, may: OperatorRight::Steer });
        }
        if let Some(operator) = self.admission.operator(&token) {
            if operator.may < wanted {
                let (name, may) = (&operator.name, operator.may.as_str());
                return Err(Denied::NotAllowed(format!(
                    "operator `{name}` may only {may}: this wants may = \"{}\" in its [[identity]]",
                    wanted.as_str()
                )));
            }
            return Ok(Caller { name: Some(operator.name.clone()), may: operator.may });
        }
        match self.admission.whose(&token) {
            Some(owner) => Err(Denied::NotAllowed(format!(
                "the token of {owner} is not good for the API: bring that of an [[identity]] with role \
                 = \"{}\"",
                IdentityRole::Operator.as_str()
            ))),
            None => Err(needed()),
        }
    }
}

/// Who is let in from now on.
pub(super) struct LetIn {
    security: Option<GroupSecurity>,
    access: Access,
}

impl Node {
    /// Who may use the API now.
    pub(crate) fn access(&self) -> Arc<Access> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the tokens and certificates that another configuration names, so that one that will not do is
    /// known before anything is in force.
    pub(super) async fn whom_to_let_in(&self, new: &Loaded) -> Result<LetIn, ApiError> {
        let (configuration, state) = (new.configuration.clone(), self.state.clone());
        let name = self.loaded().configuration.node.name.clone();
        let listens = self.door.is_some();
        let load = move || -> Result<LetIn, String> {
            let (group, identities) = (&configuration.group, &configuration.identities);
            let security = listens.then(|| GroupSecurity::load(&name, group, identities, &state));
            let security =
                security.transpose().map_err(|error| format!("[group]: {}", chain(&error)))?;
            let access = Access::load(&configuration, &state).map_err(|failure| match failure {
                Failure::CouldNot(text) => format!("[api]: {text}"),
                other => format!("[api]: {other:?}"),
            })?;
            Ok(LetIn { security, access })
        };
        let loaded = tokio::task::spawn_blocking(load).await.map_err(ApiError::internal)?;
        loaded.map_err(|problem| ApiError::problems(vec![problem]))
    }

    /// New connections at once; those that may no longer speak are closed.
    pub(super) fn let_in(&self, let_in: LetIn) {
        let LetIn { security, access } = let_in;
        if let (Some(door), Some(security)) = (&self.door, security) {
            door.replace(security);
        }
        *self.access.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }
}

#[cfg(test)]
mod tests {
    use walrus_core::message::Identity;

    use super::*;

    fn access() -> Access {
        let identity = |role, name: &str, may, token| Identity {
            name: name.parse().unwrap(),
            role,
            may,
            tokens: vec![TokenHash::of(token)],
            certificate: Vec::new(),
        };
        let identities = vec![
            identity(IdentityRole::Operator, "anna", OperatorRight::Steer, "anna's"),
            identity(IdentityRole::Operator, "screen", OperatorRight::Read, "screen's"),
            identity(IdentityRole::Reporter, "fra1", OperatorRight::Steer, "fra1's"),
        ];
        Access {
            own: TokenHash::of("own"),
            admission: Admission::new(identities).unwrap(),
            read_needs_token: true,
            lines: Limited::new(TOLD_EVERY),
        }
    }

    #[test]
    fn operators_may_what_their_identity_says_and_nobody_else_anything() {
        use OperatorRight::{Read, Steer};
        let access = access();
        let cases = [
            (Some("own"), Steer, Ok("whoever has the node's own token")),
            (Some("anna's"), Steer, Ok("anna")),
            (Some("anna's"), Read, Ok("anna")),
            (Some("screen's"), Read, Ok("screen")),
            (Some("screen's"), Steer, Err("`screen` may only read")),
            (Some("fra1's"), Read, Err("the token of Reporter `fra1` is not good for the API")),
            (Some("guess"), Read, Err("reading wants the token")),
            (Some(""), Read, Err("reading wants the token")),
            (None, Steer, Err("reading wants the token")),
        ];
        for (token, wanted, expected) in cases {
            let found = access.admit(token, wanted, "reading");
            match (&found, expected) {
                (Ok(caller), Ok(name)) => assert_eq!(caller.as_str(), name),
                (Err(Denied::Unknown(reason) | Denied::NotAllowed(reason)), Err(part)) => {
                    assert!(reason.contains(part), "{reason}");
                }
                _ => panic!("{token:?}: {found:?}"),
            }
        }
    }
}
