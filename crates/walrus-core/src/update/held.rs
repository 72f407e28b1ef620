//! What a name server has at one name, as it was read.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use walrus_dns::{DomainName, rcode};

use super::{Content, Reply, ReplyData, ReplyRecord};

/// What stands at a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Of all address records; `None` if they differ, or there are none.
    pub ttl: Option<u32>,
    /// A records.
    pub ipv4: BTreeSet<Ipv4Addr>,
    /// AAAA records.
    pub ipv6: BTreeSet<Ipv6Addr>,
    /// The target of a CNAME.
    pub alias: Option<DomainName>,
    /// The data of TXT records, the mark's among them, sorted.
    pub texts: Vec<Vec<u8>>,
    /// Of the TXT records, the lowest; `None` without one.
    pub text_ttl: Option<u32>,
}

/// Replies that do not say what stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeldError {
    /// An error code.
    #[error("it answers {}", rcode::name(u16::from(*.0)))]
    Rcode(u8),
    /// It answers for somebody else: the zone is not there, or part of it is delegated.
    #[error("it does not speak for the name")]
    NotAuthoritative,
}

impl Held {
    /// From the replies to questions for its A, AAAA and TXT records, in whatever order.
    ///
    /// # Errors
    /// If one of them does not say.
    pub fn read(name: &DomainName, replies: &[Reply]) -> Result<Self, HeldError> {
        let mut held = Self::default();
        let mut ttls = BTreeSet::new();
        for reply in replies {
            check(reply)?;
            for ReplyRecord { ttl, data, .. } in reply.answers.iter().filter(|it| it.owner == *name)
            {
                match data {
                    ReplyData::Address(IpAddr::V4(address)) => held.ipv4.insert(*address),
                    ReplyData::Address(IpAddr::V6(address)) => held.ipv6.insert(*address),
                    ReplyData::Alias(alias) => {
                        held.alias = Some(alias.clone());
                        continue;
                    }
                    ReplyData::Text(data) => {
                        held.texts.push(data.clone());
                        held.text_ttl = Some(held.text_ttl.map_or(*ttl, |lowest| lowest.min(*ttl)));
                        continue;
                    }
                    ReplyData::Serial(_) | ReplyData::Key(_) => continue,
                };
                ttls.insert(*ttl);
            }
        }
        held.texts.sort_unstable();
        held.texts.dedup();
        held.ttl = ttls.first().copied().filter(|_| ttls.len() == 1);
        Ok(held)
    }

    /// Whether there is nothing that was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ipv4.is_empty()
            && self.ipv6.is_empty()
            && self.texts.is_empty()
            && self.alias.is_none()
    }

    /// Whether clients are answered as this wants.
    #[must_use]
    pub fn is(&self, content: &Content) -> bool {
        self.content().as_ref() == Some(content)
    }

    /// The addresses; `None` if they are none that an update could have put there: without one TTL, or beside an
    /// alias.
    #[must_use]
    pub fn content(&self) -> Option<Content> {
        let ttl = self.ttl.filter(|_| self.alias.is_none())?;
        Some(Content { ttl, ipv4: self.ipv4.clone(), ipv6: self.ipv6.clone() })
    }

    /// In words.
    #[must_use]
    pub fn describe(&self) -> String {
        if let Some(alias) = &self.alias {
            return format!("a CNAME to {alias}");
        }
        let ttl = self.ttl.unwrap_or_default();
        let content = Content { ttl, ipv4: self.ipv4.clone(), ipv6: self.ipv6.clone() };
        match content.is_empty() && !self.texts.is_empty() {
            true => "TXT records".to_owned(),
            false => content.to_string(),
        }
    }
}

/// Whether a reply says what there is, be that nothing.
pub(super) fn check(reply: &Reply) -> Result<(), HeldError> {
    match u16::from(reply.rcode) {
        rcode::NOERROR | rcode::NXDOMAIN if reply.is_authoritative => Ok(()),
        rcode::NOERROR | rcode::NXDOMAIN => Err(HeldError::NotAuthoritative),
        _ => Err(HeldError::Rcode(reply.rcode)),
    }
}
