//! What of a configuration lies in which of its zones: names of services, and of servers that services' records name.

use std::collections::{BTreeMap, BTreeSet};

use walrus_dns::DomainName;

use crate::world::{NamedHost, Topology};

/// What Walrus itself has in one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnNames {
    /// Names of services.
    pub services: Vec<DomainName>,
    /// Names of servers, with their addresses.
    pub hosts: Vec<NamedHost>,
}

/// In a zone that nothing of the configuration lies in.
static NONE: OwnNames = OwnNames { services: Vec::new(), hosts: Vec::new() };

/// What Walrus itself has in each zone that is configured: a name belongs to the deepest of them. Looked for once, for
/// services, servers and zones are many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZonesOwnNames {
    /// All zones, also those with none.
    zones: BTreeMap<DomainName, OwnNames>,
    /// Apexes that another zone would take one of the names with: all from the name itself up to its own zone's apex, which
    /// is not among them.
    guarded: BTreeSet<DomainName>,
}

impl ZonesOwnNames {
    /// Of zones with these apexes.
    #[must_use]
    pub fn new<'a>(apexes: impl IntoIterator<Item = &'a DomainName>, topology: &Topology) -> Self {
        let zones = apexes.into_iter().map(|apex| (apex.clone(), OwnNames::default()));
        let mut all = Self { zones: zones.collect(), guarded: BTreeSet::new() };
        for service in &topology.services {
            // One outside all zones is nobody's, and to be told of by whoever compiles them.
            if let Some(own) = all.holder(&service.name) {
                own.services.push(service.name.clone());
            }
        }
        for host in topology.hosts() {
            // Outside all zones it is others' business.
            if let Some(own) = all.holder(&host.name) {
                own.hosts.push(host);
            }
        }
        all
    }

    /// What lies in this zone, and in none of those below it.
    #[must_use]
    pub fn of(&self, apex: &DomainName) -> &OwnNames {
        self.zones.get(apex).unwrap_or(&NONE)
    }

    /// Of all zones.
    pub fn apexes(&self) -> impl Iterator<Item = &DomainName> {
        self.zones.keys()
    }

    /// Whether another zone of this name may stand beside these: it is none of them, and takes none of their names away.
    #[must_use]
    pub fn bears(&self, apex: &DomainName) -> bool {
        !self.zones.contains_key(apex) && !self.guarded.contains(apex)
    }

    /// What lies in the zone that a name belongs to; the name is guarded from now on.
    fn holder(&mut self, name: &DomainName) -> Option<&mut OwnNames> {
        let mut between = Vec::new();
        let mut at = name.clone();
        while !self.zones.contains_key(&at) {
            let above = at.parent()?;
            between.push(std::mem::replace(&mut at, above));
        }
        self.guarded.extend(between);
        self.zones.get_mut(&at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Context, SourceFile, parse};

    const CONFIGURATION: &str = r#"
[dns]
listen = ["127.0.0.1:5300"]
[[zone]]
name = "example.com"
nameservers = ["ns.example.net"]
[[zone]]
name = "deep.example.com"
nameservers = ["ns.example.net"]
[[cluster]]
name = "c"
servers = [
  { name = "s1", addresses = ["192.0.2.1"], host = "in.mail.example.com" },
  { name = "s2", addresses = ["192.0.2.2"], host = "mail.example.org" },
  { name = "s3", addresses = ["192.0.2.3"] },
]
[[service]]
name = "a.www.example.com"
[[service]]
name = "example.com"
[[service]]
name = "_sip._tcp.deep.example.com"
srv = { port = 5060 }
"#;

    fn own() -> ZonesOwnNames {
        let files = [SourceFile { name: "walrus.toml".into(), text: CONFIGURATION.into() }];
        let context = Context { hostname: "ns1", read: &|_| Ok(String::new()) };
        let parsed = parse(&files, &context).unwrap_or_else(|it| panic!("{it:#?}"));
        let configuration = parsed.configuration;
        let apexes = configuration.zones.iter().map(|zone| &zone.apex);
        ZonesOwnNames::new(apexes, &configuration.topology)
    }

    #[test]
    fn names_belong_to_the_deepest_zone() {
        let own = own();
        let names = |apex: &str| {
            let OwnNames { services, hosts } = own.of(&apex.parse().unwrap());
            let services = services.iter().map(ToString::to_string).collect::<Vec<_>>();
            (services, hosts.iter().map(|host| host.name.to_string()).collect::<Vec<_>>())
        };
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let above = (owned(&["example.com", "a.www.example.com"]), owned(&["in.mail.example.com"]));
        assert_eq!(names("example.com"), above);
        let deep = (owned(&["_sip._tcp.deep.example.com"]), owned(&["s3.deep.example.com"]));
        assert_eq!(names("deep.example.com"), deep);
        assert_eq!(names("example.org"), (owned(&[]), owned(&[])));
    }

    #[test]
    fn no_other_zone_takes_a_name_of_a_service_or_of_a_server() {
        let own = own();
        for (apex, is_borne) in [
            ("example.com", false),
            ("deep.example.com", false),
            ("www.example.com", false),
            ("a.www.example.com", false),
            ("b.a.www.example.com", true),
            ("mail.example.com", false),
            ("in.mail.example.com", false),
            ("_tcp.deep.example.com", false),
            ("s3.deep.example.com", false),
            ("other.example.com", true),
            ("com", true),
            // Its addresses are not Walrus' to give.
            ("example.org", true),
        ] {
            assert_eq!(own.bears(&apex.parse().unwrap()), is_borne, "{apex}");
        }
    }
}
