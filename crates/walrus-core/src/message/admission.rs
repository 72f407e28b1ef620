//! Who may connect as whom: what a hello claims against what came along to prove it.
//!
//! A proof is a token, or a certificate from an authority that the listener trusts. A token of its own
//! is bound to one role and name; a certificate says whose it is by itself, as a URI
//! `walrus:ROLE/NAME`, or by a domain name that an [`Identity`] names. Tokens that many share prove a
//! role only, and only for names that have nothing of their own.

use std::collections::BTreeMap;

use walrus_dns::DomainName;

use crate::world::{IdentityRole, Name, OperatorRight, TokenHash, legible};

/// What all URIs in certificates begin with that say whose they are.
pub const CERTIFICATE_URI: &str = "walrus:";

/// One that may speak under its own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose.
    pub name: Name,
    /// As what.
    pub role: IdentityRole,
    /// What an operator may do.
    pub may: OperatorRight,
    /// Its tokens.
    pub tokens: Vec<TokenHash>,
    /// Domain names in its certificate, any of which will do.
    pub certificate: Vec<DomainName>,
}

/// Everybody who may speak. What it takes to know one does not grow with how many they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Those with something of their own.
    identities: BTreeMap<Claim, Identity>,
    /// Whose each token is, by its hash. How long it takes to find none tells something about hashes, and so
    /// nothing about tokens.
    owners: BTreeMap<[u8; 32], Claim>,
    /// The token that Reporters share, where it is still taken.
    shared_by_reporters: Option<TokenHash>,
    /// The token that nodes share, where it is still taken.
    shared_by_nodes: Option<TokenHash>,
}

/// What came along to prove a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Of the token in the hello.
    pub token: Option<TokenHash>,
    /// Of the certificate, which the carrier has checked against its authority.
    pub certificate: Option<CertificateNames>,
}

/// The names in a certificate (RFC 5280 section 4.2.1.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// `uniformResourceIdentifier`.
    pub uris: Vec<String>,
    /// `dNSName`; wildcards are none of anybody's names.
    pub domains: Vec<DomainName>,
}

/// How a claim was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proved {
    /// By a certificate.
    Certificate,
    /// By a token of its own.
    Token,
    /// By a token that many share.
    SharedToken,
}

impl Admission {
    /// Of those with something of their own; of one role and name, the last holds.
    ///
    /// # Errors
    /// If two have the same token: what it is good for would hang on which is found first.
    pub fn new<I: IntoIterator<Item = Identity>>(identities: I) -> Result<Self, SameToken> {
        let mut admission = Self::default();
        for identity in identities {
            let claim = Claim { role: identity.role, name: identity.name.clone() };
            for token in &identity.tokens {
                let before = admission.owners.insert(*token.bytes(), claim.clone());
                if let Some(before) = before.filter(|before| *before != claim) {
                    return Err(SameToken(claim.to_string(), before.to_string()));
                }
            }
            admission.identities.insert(claim, identity);
        }
        Ok(admission)
    }

    /// Takes these from all who have nothing of their own, too.
    ///
    /// # Errors
    /// If one of them is somebody's own: whoever has it would speak as that one.
    pub fn with_shared(
        self,
        by_reporters: Option<TokenHash>,
        by_nodes: Option<TokenHash>,
    ) -> Result<Self, SameToken> {
        let shared = [(by_reporters, "all Reporters"), (by_nodes, "all nodes")];
        for (token, whose) in shared {
            if let Some(token) = token {
                self.must_be_nobodys(&token, whose)?;
            }
        }
        Ok(Self { shared_by_reporters: by_reporters, shared_by_nodes: by_nodes, ..self })
    }

    /// # Errors
    /// If it is somebody's own.
    pub fn must_be_nobodys(&self, token: &TokenHash, whose: &str) -> Result<(), SameToken> {
        match self.whose(token) {
            Some(owner) => Err(SameToken(owner.to_string(), whose.to_owned())),
            None => Ok(()),
        }
    }

    /// Whether whoever brings this may speak as that.
    ///
    /// # Errors
    /// If it may not, with what to do about it.
    pub fn admit(
        &self,
        role: IdentityRole,
        name: &Name,
        proof: &Proof,
    ) -> Result<Proved, NotAllowed> {
        let claim = Claim { role, name: name.clone() };
        let claimed = || claim.clone();
        let own = self.identities.get(&claim);
        if let Some(names) = &proof.certificate
            && (names.says(role, name) || own.is_some_and(|own| own.is_in(names)))
        {
            return Ok(Proved::Certificate);
        }
        let Some(token) = &proof.token else {
            return Err(match &proof.certificate {
                Some(names) => NotAllowed::OtherCertificate(claimed(), names.first()),
                None => NotAllowed::Nothing(claimed()),
            });
        };
        // Those of its own in the same time, whichever it is.
        if own.is_some_and(|own| own.tokens.iter().fold(false, |is, it| is | it.matches(token))) {
            return Ok(Proved::Token);
        }
        match self.whose(token) {
            Some(owner) => Err(NotAllowed::OthersToken(claimed(), owner)),
            None => self.shared(role, own, token, claimed()),
        }
    }

    fn shared(
        &self,
        role: IdentityRole,
        own: Option<&Identity>,
        token: &TokenHash,
        claimed: Claim,
    ) -> Result<Proved, NotAllowed> {
        let (same, other) = match role {
            IdentityRole::Reporter => (self.shared_by_reporters, self.shared_by_nodes),
            IdentityRole::Node => (self.shared_by_nodes, self.shared_by_reporters),
            IdentityRole::Operator => (None, None),
        };
        match (same.is_some_and(|same| same.matches(token)), own) {
            (true, None) => Ok(Proved::SharedToken),
            (true, Some(_)) => Err(NotAllowed::OwnIsWanted(claimed)),
            (false, _) if other.is_some_and(|other| other.matches(token)) => {
                Err(NotAllowed::OtherRolesToken(claimed))
            }
            (false, _) => Err(NotAllowed::UnknownToken(claimed, same.is_some())),
        }
    }

    /// The operator with this token.
    #[must_use]
    pub fn operator(&self, token: &TokenHash) -> Option<&Identity> {
        let owner = self.owners.get(token.bytes())?;
        self.identities.get(owner).filter(|owner| owner.role == IdentityRole::Operator)
    }

    /// Whose token it is, if it is somebody's own.
    #[must_use]
    pub fn whose(&self, token: &TokenHash) -> Option<Claim> {
        self.owners.get(token.bytes()).cloned()
    }
}

impl Identity {
    fn is_in(&self, names: &CertificateNames) -> bool {
        self.certificate.iter().any(|own| names.domains.contains(own))
    }
}

impl CertificateNames {
    /// Whether the certificate itself says whose it is, and that it is this one's.
    fn says(&self, role: IdentityRole, name: &Name) -> bool {
        let wanted = format!("{CERTIFICATE_URI}{}/{name}", role.as_str());
        self.uris.contains(&wanted)
    }

    /// For people: what it is about. Escaped, since anybody may have chosen it.
    fn first(&self) -> String {
        let uri = self.uris.first().cloned();
        let first = uri.or_else(|| self.domains.first().map(ToString::to_string));
        first.map_or_else(|| "nobody".to_owned(), |text| legible(&text, 80))
    }
}

/// What somebody says that it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// As what.
    pub role: IdentityRole,
    /// Whose name.
    pub name: Name,
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} `{}`", self.role, self.name)
    }
}

/// Two have one token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} has the same token as {1}: give each its own (`walrus identity new`)")]
pub struct SameToken(String, String);

/// Why somebody may not speak. No text tells a token or its hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// Neither token nor certificate.
    #[error("no token and no certificate: {remedy}", remedy = remedy(.0, true))]
    Nothing(Claim),
    /// A token that nobody knows.
    #[error("a wrong token: {remedy}", remedy = remedy(.0, *.1))]
    UnknownToken(Claim, bool),
    /// A token of somebody else's own.
    #[error("the token of {1} came from one that calls itself {0}: give each one its own")]
    OthersToken(Claim, Claim),
    /// The token that Reporters share from a node, or the other way round.
    #[error(
        "{0} brought the token of another role: Reporters bring `reporter-token`, nodes bring \
         `node-token`"
    )]
    OtherRolesToken(Claim),
    /// A token that many share, for a name that has one of its own.
    #[error("{0} has a token or certificate of its own and must bring that, not the shared token")]
    OwnIsWanted(Claim),
    /// A certificate that is somebody else's.
    #[error(
        "the certificate is that of {1}, not of {0}: it needs the URI {uri}, or a domain name that \
         `certificate` of its [[identity]] names", uri = uri(.0)
    )]
    OtherCertificate(Claim, String),
}

fn uri(claim: &Claim) -> String {
    format!("{CERTIFICATE_URI}{}/{}", claim.role.as_str(), claim.name)
}

fn remedy(claim: &Claim, shared: bool) -> String {
    match (claim.role, shared) {
        (IdentityRole::Reporter, true) => "give the Reporter its own token, or the Controller's \
             `reporter-token`, as `token_file`"
            .to_owned(),
        (IdentityRole::Node, true) => {
            "give the node its own token, or this one's `node-token`, as \
             `node_token_file` of [group]"
                .to_owned()
        }
        _ => format!(
            "{claim} needs a token of its own: `walrus identity new {} --role {}`",
            claim.name,
            claim.role.as_str()
        ),
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
