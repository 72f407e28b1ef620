//! Who the group's listener is, and whom it lets in: as configured, and anew at each reload.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use tokio::sync::watch;
use walrus_core::config::{GroupSettings, IdentitySettings};
use walrus_core::message::{Admission, Identity, Proof, Proved, Role};
use walrus_core::world::{IdentityRole, Name, TokenHash};

use super::listener::GroupError;
use crate::state::StateDirectory;
use crate::tls::{ClientAuthority, PeerCertificate, ServerIdentity};
use crate::token::{Token, TokenError};

/// Who the group's listener is, and what it asks for.
#[derive(Clone, Debug)]
pub struct GroupSecurity {
    /// This node, for its hello.
    pub name: Name,
    /// Its certificate.
    pub identity: ServerIdentity,
    /// Who may speak as whom.
    pub admission: Arc<Admission>,
    /// Whose certificates are believed.
    pub authority: Option<ClientAuthority>,
    /// Takes plaintext from off loopback.
    pub insecure: bool,
}

impl GroupSecurity {
    /// As configured; certificate and shared tokens are made in the state directory at first start if
    /// none are named. A self-signed certificate carries the node's name, `localhost` and the
    /// listening addresses. Reads files: not for a thread that must not wait.
    ///
    /// # Errors
    /// If a certificate, key or token will not do, or none can be made.
    pub fn load(
        name: &Name,
        settings: &GroupSettings,
        identities: &[IdentitySettings],
        state: &StateDirectory,
    ) -> Result<Self, GroupError> {
        let mut names = vec![name.to_string(), "localhost".to_owned()];
        names.extend(settings.listen.iter().map(|address| address.ip().to_string()));
        let authority = ClientAuthority::load(settings)?;
        let identity = ServerIdentity::load(settings, state, names, authority.as_ref())?;
        let shared = |role, file: &Option<PathBuf>, own| -> Result<_, GroupError> {
            // Made whether it is taken or not: what stands there is what an operator copies.
            let token = match file {
                Some(path) => Token::read(path)?,
                None => state.token(own)?,
            };
            let taken = settings.takes_shared_token(role, identities);
            Ok(taken.then(|| token.hash()))
        };
        let by_reporters = shared(IdentityRole::Reporter, &settings.token_file, "reporter-token")?;
        let by_nodes = shared(IdentityRole::Node, &settings.node_token_file, "node-token")?;
        let admission = Admission::new(known(identities)?)?.with_shared(by_reporters, by_nodes)?;
        let admission = Arc::new(admission);
        Ok(Self { name: name.clone(), identity, admission, authority, insecure: settings.insecure })
    }

    /// Whether this lets in whom that one did: known at a glance.
    pub(super) fn lets_in_the_same(&self, other: &Self) -> bool {
        let same = match (&self.authority, &other.authority) {
            (Some(own), Some(other)) => own.is_the_same(other),
            (own, other) => own.is_none() && other.is_none(),
        };
        same && Arc::ptr_eq(&self.admission, &other.admission)
    }

    /// Whether whoever brings this may speak in this role under this name.
    pub(super) fn admit(
        &self,
        role: Role,
        name: &Name,
        brought: &Brought,
    ) -> Result<Proved, String> {
        let role = match role {
            Role::Reporter => IdentityRole::Reporter,
            Role::Controller | Role::Director => IdentityRole::Node,
        };
        let certificate = match (&brought.certificate, &self.authority) {
            (Some(certificate), Some(authority)) => {
                Some(authority.names_in(certificate).map_err(|error| error.to_string())?)
            }
            _ => None,
        };
        let proof = Proof { token: brought.token, certificate };
        self.admission.admit(role, name, &proof).map_err(|error| error.to_string())
    }
}

/// What a peer brought to prove who it is; kept as long as its connection, to be looked at again when
/// others are let in than before.
pub(super) struct Brought {
    pub(super) token: Option<TokenHash>,
    pub(super) certificate: Option<PeerCertificate>,
    /// What it was looked at with first; not kept for that.
    pub(super) admitted_by: Weak<GroupSecurity>,
}

/// Identities with the tokens in their files.
///
/// # Errors
/// If a file cannot be read or holds no token.
pub fn known(identities: &[IdentitySettings]) -> Result<Vec<Identity>, TokenError> {
    let known = |settings: &IdentitySettings| {
        let mut tokens = settings.token_sha256.clone();
        if let Some(file) = &settings.token_file {
            tokens.push(Token::read(file)?.hash());
        }
        Ok(Identity {
            name: settings.name.clone(),
            role: settings.role,
            may: settings.may,
            tokens,
            certificate: settings.certificate.clone(),
        })
    };
    identities.iter().map(known).collect()
}

/// Lets others in than before: new connections at once, and those that may no longer speak are closed.
#[derive(Clone, Debug)]
pub struct GroupDoor {
    security: watch::Sender<Arc<GroupSecurity>>,
}

impl GroupDoor {
    pub(super) fn new(security: GroupSecurity) -> Self {
        Self { security: watch::Sender::new(Arc::new(security)) }
    }

    /// From now on this holds.
    pub fn replace(&self, mut security: GroupSecurity) {
        {
            // What is as it was stays the same one, so that connections know it without a look.
            let before = self.security.borrow();
            if security.admission == before.admission {
                security.admission = before.admission.clone();
            }
            if security.authority == before.authority {
                security.authority.clone_from(&before.authority);
            }
        }
        self.security.send_replace(Arc::new(security));
    }

    pub(super) fn watch(&self) -> watch::Receiver<Arc<GroupSecurity>> {
        self.security.subscribe()
    }
}
