//! What a key may change in a zone.

use walrus_dns::DomainName;

/// The first label of names by which certificates are asked for (RFC 8555 section 8.4).
const ACME_LABEL: &[u8] = b"_acme-challenge";
const TXT: u16 = walrus_dns::record_type::TXT;

/// One permission: names and types. Without names it is for the whole zone, without types for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateRule {
    /// These names.
    pub names: Vec<DomainName>,
    /// These names and all below them.
    pub below: Vec<DomainName>,
    /// Numbers of types.
    pub types: Vec<u16>,
    /// Of those names only such that begin with `_acme-challenge`, and of types only TXT.
    pub acme: bool,
}

/// All permissions of one key in one zone: what one of them allows is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateRules(pub Vec<UpdateRule>);

impl UpdateRule {
    fn has_name(&self, name: &DomainName) -> bool {
        let is_everywhere = self.names.is_empty() && self.below.is_empty();
        let is_named =
            self.names.contains(name) || self.below.iter().any(|above| name.is_within(above));
        (is_everywhere || is_named)
            && (!self.acme || name.labels().next().is_some_and(|label| label == ACME_LABEL))
    }

    fn has_type(&self, record_type: u16) -> bool {
        (self.types.is_empty() || self.types.contains(&record_type))
            && (!self.acme || record_type == TXT)
    }
}

impl UpdateRules {
    /// Whether nothing is allowed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether records of this type may be changed at this name.
    #[must_use]
    pub fn allow(&self, name: &DomainName, record_type: u16) -> bool {
        self.0.iter().any(|rule| rule.has_name(name) && rule.has_type(record_type))
    }

    /// Whether anything may be changed at this name.
    #[must_use]
    pub fn allow_some(&self, name: &DomainName) -> bool {
        self.0.iter().any(|rule| rule.has_name(name))
    }
}
