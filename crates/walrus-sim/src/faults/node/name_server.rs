//! A name server that was there before: one zone, changed by updates that carry the condition under which they hold
//! (RFC 2136).

use std::collections::BTreeMap;
use std::net::IpAddr;

use walrus_core::config::NameServerSettings;
use walrus_core::plan::PlanNumber;
use walrus_core::update::{Content, Mark, OnlyIf, Reply, ReplyData, ReplyRecord, Request};
use walrus_dns::{DomainName, record_type};

/// The codes of an update (RFC 2136 section 2.2): it is carried out, or there is a name, a record set, none.
const NOERROR: u8 = 0;
const YXDOMAIN: u8 = 6;
const YXRRSET: u8 = 7;
const NXRRSET: u8 = 8;

/// TTL of what nobody changes.
const USUAL_TTL: u32 = 3600;

/// One name server.
#[derive(Clone, Debug)]
pub(in crate::faults) struct ZoneNode {
    settings: NameServerSettings,
    names: BTreeMap<DomainName, Records>,
    serial: u32,
    /// How often it was taken down and not yet put up again.
    pub(in crate::faults) down: u16,
}

/// What stands at a name.
#[derive(Clone, Debug, Default, PartialEq)]
struct Records {
    content: Content,
    texts: Vec<Vec<u8>>,
}

impl ZoneNode {
    pub(in crate::faults) fn new(settings: &NameServerSettings) -> Self {
        Self { settings: settings.clone(), names: BTreeMap::new(), serial: 1, down: 0 }
    }

    /// It comes back with what its operator had, and nothing of ours.
    pub(in crate::faults) fn forget(&mut self) {
        self.names.clear();
        self.serial = 1;
    }

    /// What it has at a name, and the Plan that the mark there names.
    pub(in crate::faults) fn at(&self, name: &DomainName) -> Option<(&Content, PlanNumber)> {
        let records = self.names.get(name)?;
        let marks = records.texts.iter().filter_map(|text| Mark::from_data(text).ok());
        Some((&records.content, marks.map(|mark| mark.plan).max()?))
    }

    /// Carries a request out.
    pub(in crate::faults) fn answer(&mut self, request: &Request) -> Reply {
        let (rcode, answers) = match request {
            Request::Query { name, record_type } => (NOERROR, self.records(name, *record_type)),
            Request::Update { name, only_if, content, mark, .. } => {
                (self.update(name, only_if, content, mark), Vec::new())
            }
        };
        Reply { rcode, is_authoritative: true, is_truncated: false, answers }
    }

    fn records(&self, name: &DomainName, record_type: u16) -> Vec<ReplyRecord> {
        let record = |ttl, data| ReplyRecord { owner: name.clone(), ttl, data };
        if *name == self.settings.zone && record_type == record_type::SOA {
            return vec![record(USUAL_TTL, ReplyData::Serial(self.serial))];
        }
        if let Some(published) = self.settings.services.iter().find(|it| it.service == *name) {
            return vec![record(1, ReplyData::Alias(published.target.clone()))];
        }
        let Some(Records { content, texts }) = self.names.get(name) else { return Vec::new() };
        let address = |it: IpAddr| record(content.ttl, ReplyData::Address(it));
        match record_type {
            record_type::A => content.ipv4.iter().map(|it| address((*it).into())).collect(),
            record_type::AAAA => content.ipv6.iter().map(|it| address((*it).into())).collect(),
            record_type::TXT => texts
                .iter()
                .map(|text| record(content.ttl, ReplyData::Text(text.clone())))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn update(
        &mut self,
        name: &DomainName,
        only_if: &OnlyIf,
        content: &Content,
        mark: &Mark,
    ) -> u8 {
        let held = self.names.get(name).cloned().unwrap_or_default();
        let code = match only_if {
            OnlyIf::NotInUse if held != Records::default() => YXDOMAIN,
            OnlyIf::Texts { all, .. } if held.texts != *all => {
                if held.texts.is_empty() {
                    NXRRSET
                } else {
                    YXRRSET
                }
            }
            OnlyIf::NotInUse | OnlyIf::Texts { .. } => NOERROR,
        };
        if code == NOERROR {
            let records = Records { content: content.clone(), texts: vec![mark.to_data()] };
            self.names.insert(name.clone(), records);
            self.serial += 1;
        }
        code
    }
}
