//! A name server as RFC 2136 describes it, of one zone, and a clock for whoever speaks with it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use walrus_dns::{DomainName, record_type};

use super::super::{
    Content, Exchange, Failure, Mark, OnlyIf, Reply, ReplyData, ReplyRecord, Request, Updater,
    UpdaterEffect,
};
use super::plans::{APEX, TARGET, ZONE, domain, name, number};
use crate::world::Time;

/// What stands at a name, by type, with one TTL for texts and one for all else.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) ttl: u32,
    pub(super) text_ttl: u32,
    pub(super) data: Vec<(u16, ReplyData)>,
}

#[derive(Clone, Debug)]
pub(super) struct MadeUp {
    pub(super) names: BTreeMap<DomainName, Node>,
    pub(super) serial: u32,
    pub(super) alias_ttl: u32,
    /// Answers everything with this code.
    pub(super) refuses: Option<u8>,
    /// Answers updates with this code.
    pub(super) refuses_updates: Option<u8>,
    /// Answers questions and updates of these names with these codes.
    pub(super) refuses_names: BTreeMap<DomainName, (u8, u8)>,
    /// Answers no exchange in which this is to be changed.
    pub(super) breaks_at: Option<DomainName>,
    /// Signs the zone of balanced names with these.
    pub(super) keys: Vec<u16>,
    /// What it was asked, for counting.
    pub(super) asked: Vec<Request>,
}

impl MadeUp {
    pub(super) fn new() -> Self {
        let names = BTreeMap::new();
        let (refuses, refuses_updates) = (None, None);
        Self {
            names,
            serial: 1,
            alias_ttl: 30,
            refuses,
            refuses_updates,
            refuses_names: BTreeMap::new(),
            breaks_at: None,
            keys: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Somebody puts an address there, without a mark.
    pub(super) fn put(&mut self, address: &str) {
        let address: IpAddr = address.parse().unwrap();
        let record_type = if address.is_ipv4() { record_type::A } else { record_type::AAAA };
        let node = self.names.entry(domain(TARGET)).or_default();
        node.ttl = 30;
        node.data.push((record_type, ReplyData::Address(address)));
        self.serial += 1;
    }

    /// Somebody puts another type there.
    pub(super) fn put_other(&mut self) {
        let node = self.names.entry(domain(TARGET)).or_default();
        node.data.push((record_type::MX, ReplyData::Serial(0)));
    }

    /// Somebody removes addresses, but not the mark.
    pub(super) fn remove_addresses(&mut self) {
        self.remove_addresses_of(TARGET);
    }

    pub(super) fn remove_addresses_of(&mut self, name: &str) {
        let node = self.names.entry(domain(name)).or_default();
        node.data.retain(|(_, data)| !matches!(data, ReplyData::Address(_)));
        self.serial += 1;
    }

    /// It comes back with nothing.
    pub(super) fn forget(&mut self) {
        self.names.clear();
        self.serial = 1;
    }

    pub(super) fn mark(&self) -> Option<Mark> {
        let node = self.names.get(&domain(TARGET))?;
        node.data.iter().find_map(|(_, data)| match data {
            ReplyData::Text(text) => Mark::from_data(text).ok(),
            _ => None,
        })
    }

    /// Updates that it was asked for.
    pub(super) fn updates(&self) -> usize {
        self.asked.iter().filter(|request| request.is_update()).count()
    }

    pub(super) fn ttl(&self) -> u32 {
        self.names.get(&domain(TARGET)).map_or(0, |node| node.ttl)
    }

    pub(super) fn addresses(&self) -> Vec<String> {
        self.addresses_of(TARGET)
    }

    pub(super) fn addresses_of(&self, name: &str) -> Vec<String> {
        let node = self.names.get(&domain(name)).cloned().unwrap_or_default();
        let address = |(_, data): &(u16, ReplyData)| match data {
            ReplyData::Address(address) => Some(address.to_string()),
            _ => None,
        };
        let mut addresses: Vec<String> = node.data.iter().filter_map(address).collect();
        addresses.sort();
        addresses
    }

    pub(super) fn answer(&mut self, request: &Request) -> Reply {
        self.asked.push(request.clone());
        let refused = if request.is_update() { self.refuses_updates } else { None };
        let (name, update) = match request {
            Request::Query { name, .. } => (name, false),
            Request::Update { name, .. } => (name, true),
        };
        let of_name = self.refuses_names.get(name);
        let of_name = of_name.map(|(asked, changed)| if update { *changed } else { *asked });
        let rcode = self.refuses.or(refused).or(of_name).unwrap_or(0);
        let mut reply =
            Reply { rcode, is_authoritative: true, is_truncated: false, answers: Vec::new() };
        if rcode != 0 {
            return reply;
        }
        match request {
            Request::Query { name, record_type } => {
                reply.answers = self.records(name, *record_type)
            }
            Request::Update { name, only_if, content, mark, mark_ttl, .. } => {
                reply.rcode = self.update(name, only_if, content, (mark, *mark_ttl));
            }
        }
        reply
    }

    fn records(&self, name: &DomainName, record_type: u16) -> Vec<ReplyRecord> {
        let record = |ttl, data| ReplyRecord { owner: name.clone(), ttl, data };
        if *name == domain(ZONE) {
            return vec![record(3600, ReplyData::Serial(self.serial))];
        }
        if *name == domain(APEX) {
            return self.keys.iter().map(|tag| record(3600, ReplyData::Key(*tag))).collect();
        }
        if name.is_within(&domain(APEX)) {
            let target = name.to_string().replace(APEX, ZONE);
            return vec![record(self.alias_ttl, ReplyData::Alias(domain(&target)))];
        }
        let node = self.names.get(name).cloned().unwrap_or_default();
        let fits = |(of_type, _): &(u16, ReplyData)| *of_type == record_type || *of_type == 5;
        let fitting = node.data.into_iter().filter(fits);
        let ttl = if record_type == record_type::TXT { node.text_ttl } else { node.ttl };
        fitting.map(|(_, data)| record(ttl, data)).collect()
    }

    fn update(
        &mut self,
        name: &DomainName,
        only_if: &OnlyIf,
        content: &Content,
        (mark, mark_ttl): (&Mark, u32),
    ) -> u8 {
        let node = self.names.entry(name.clone()).or_default();
        let is_text = |(of_type, _): &&(u16, ReplyData)| *of_type == record_type::TXT;
        match only_if {
            OnlyIf::NotInUse if !node.data.is_empty() => return 6,
            OnlyIf::NotInUse => {}
            OnlyIf::Texts { all, ours, alias } => {
                let text = |(_, data): &(u16, ReplyData)| match data {
                    ReplyData::Text(text) => text.clone(),
                    _ => Vec::new(),
                };
                let mut texts: Vec<Vec<u8>> = node.data.iter().filter(is_text).map(text).collect();
                texts.sort();
                if texts != *all {
                    return if texts.is_empty() { 8 } else { 7 };
                }
                node.data.retain(|(of_type, data)| match data {
                    ReplyData::Address(_) => false,
                    ReplyData::Alias(_) => !(*alias && *of_type == record_type::CNAME),
                    ReplyData::Text(text) => !ours.contains(text),
                    ReplyData::Serial(_) | ReplyData::Key(_) => true,
                });
            }
        }
        node.ttl = content.ttl;
        // As name servers do: all records of a type have the TTL of the last.
        node.text_ttl = mark_ttl;
        let ipv4 = content.ipv4.iter().map(|it| (record_type::A, IpAddr::from(*it)));
        let ipv6 = content.ipv6.iter().map(|it| (record_type::AAAA, IpAddr::from(*it)));
        node.data.extend(ipv4.chain(ipv6).map(|(it, data)| (it, ReplyData::Address(data))));
        node.data.push((record_type::TXT, ReplyData::Text(mark.to_data())));
        self.serial += 1;
        0
    }
}

/// An updater whose exchanges are carried out one request at a time.
pub(super) struct Speaker {
    pub(super) updater: Updater,
    pub(super) said: Vec<String>,
    under_way: Option<(Exchange, Vec<Result<Reply, Failure>>)>,
}

impl Speaker {
    pub(super) fn new(updater: Updater) -> Self {
        Self { updater, said: Vec::new(), under_way: None }
    }

    /// The next request of what it has to say now; `false` if there is nothing.
    pub(super) fn step(&mut self, now: Time, server: Option<&mut MadeUp>) -> bool {
        if self.under_way.is_none() {
            match self.updater.poll(now) {
                None => {
                    // Whoever sleeps until then would not sleep at all.
                    let deadline = self.updater.next_deadline();
                    assert!(deadline.is_none_or(|at| at > now), "{deadline:?} at {now:?}");
                    return false;
                }
                Some(UpdaterEffect::Exchange(exchange)) => {
                    self.under_way = Some((exchange, Vec::new()));
                }
                Some(UpdaterEffect::Warn(text) | UpdaterEffect::Tell(text)) => self.said.push(text),
            }
            return true;
        }
        let Some((exchange, mut replies)) = self.under_way.take() else { return false };
        let Some(server) = server else {
            self.updater.failed(now, Failure::Silent);
            return true;
        };
        let broken = exchange.requests.iter().position(|request| match request {
            Request::Update { name, .. } => server.breaks_at.as_ref() == Some(name),
            Request::Query { .. } => false,
        });
        if let Some(broken) = broken {
            // What came before it is carried out all the same, and nobody hears of it.
            for request in &exchange.requests[..broken] {
                server.answer(request);
            }
            self.updater.failed(now, Failure::Closed);
            return true;
        }
        replies.push(Ok(server.answer(&exchange.requests[replies.len()])));
        match replies.len() == exchange.requests.len() {
            true => self.updater.replied(now, &replies),
            false => self.under_way = Some((exchange, replies)),
        }
        true
    }

    /// Until there is nothing to say now.
    pub(super) fn settle(&mut self, now: Time, server: &mut MadeUp) {
        for _ in 0..10_000 {
            if !self.step(now, Some(server)) {
                return;
            }
        }
        panic!("it has always more to say");
    }

    /// How the only name stands.
    pub(super) fn state(&self, now: Time) -> (&'static str, String) {
        let status = self.updater.status(now);
        let name = status.names.first().expect("a name");
        (name.state.as_str(), name.detail.clone())
    }
}

/// What a mark of ours for this Plan looks like as data of a record.
pub(super) fn text_of(owner: &str, epoch: u64, sequence: u64) -> (u16, ReplyData) {
    let plan = number(epoch, "berlin", sequence);
    let mark = Mark { owner: name(owner), plan, content: None };
    (record_type::TXT, ReplyData::Text(mark.to_data()))
}
