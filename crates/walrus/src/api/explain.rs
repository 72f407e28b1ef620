//! `GET /explain`: why a client gets its answer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use walrus_core::answer::{ExplainRequest, Explanation};
use walrus_dns::rcode;

use crate::output::{Table, percent, three_digits};

/// What is asked for.
#[derive(Clone, Debug, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExplainQuery {
    /// The name that is asked for.
    pub(crate) name: String,
    /// The record type; A if absent.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub(crate) record_type: Option<String>,
    /// The client: an address, or a prefix (198.51.100.0/24).
    pub(crate) client: String,
    /// The resolver that asks and sends the client's prefix along (/24, /56 if none is given);
    /// without one the client asks by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub(crate) resolver: Option<IpAddr>,
    /// The name server's address that is asked; the first that it listens on if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub(crate) server: Option<IpAddr>,
}

impl ExplainQuery {
    /// As the pairs of a URL's query.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("name", self.name.clone()), ("client", self.client.clone())];
        pairs.extend(self.record_type.iter().map(|it| ("type", it.clone())));
        pairs.extend(self.resolver.iter().map(|it| ("resolver", it.to_string())));
        pairs.extend(self.server.iter().map(|it| ("server", it.to_string())));
        pairs
    }

    /// The query that this describes, to a name server that listens there.
    pub(crate) fn request(&self, listen: Option<SocketAddr>) -> Result<ExplainRequest, String> {
        let (client, bits) = parse_client(&self.client)?;
        // RFC 7871 section 11.1 recommends these lengths.
        let usual = if client.is_ipv4() { 24 } else { 56 };
        let (resolver, client) = match self.resolver {
            Some(resolver) => (resolver, Some((client, bits.unwrap_or(usual)))),
            None => (client, bits.map(|bits| (client, bits))),
        };
        let listen = listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
        let text = self.record_type.as_deref().unwrap_or("A");
        Ok(ExplainRequest {
            name: self.name.parse().map_err(|error| format!("`{}`: {error}", self.name))?,
            record_type: record_type(text)?,
            resolver,
            client,
            local: SocketAddr::new(self.server.unwrap_or(listen.ip()), listen.port()),
            now: walrus_core::world::Time::ZERO,
        })
    }
}

fn parse_client(text: &str) -> Result<(IpAddr, Option<u8>), String> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let wrong = || format!("`{text}` is neither an IP address nor a prefix such as 192.0.2.0/24");
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map(|bits| bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong));
    Ok((address, bits.transpose()?))
}

/// A type by its name, or as RFC 3597 writes unknown ones.
fn record_type(text: &str) -> Result<u16, String> {
    const NAMES: [(&str, u16); 19] = [
        ("A", 1),
        ("NS", 2),
        ("CNAME", 5),
        ("SOA", 6),
        ("PTR", 12),
        ("MX", 15),
        ("TXT", 16),
        ("AAAA", 28),
        ("SRV", 33),
        ("DS", 43),
        ("RRSIG", 46),
        ("NSEC", 47),
        ("DNSKEY", 48),
        ("CDS", 59),
        ("CDNSKEY", 60),
        ("SVCB", 64),
        ("HTTPS", 65),
        ("ANY", 255),
        ("CAA", 257),
    ];
    let upper = text.to_ascii_uppercase();
    let known = NAMES.iter().find(|(name, _)| *name == upper).map(|(_, number)| *number);
    let number = known.or_else(|| upper.strip_prefix("TYPE")?.parse().ok());
    number.ok_or_else(|| format!("`{text}` is no record type: write A, AAAA, MX ... or TYPE65"))
}

/// An answer and why it is what it is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ExplanationView {
    /// What was asked for.
    pub(crate) name: String,
    /// Its type's number.
    pub(crate) record_type: u16,
    /// Who asked.
    pub(crate) resolver: String,
    /// For which network, if that was told; else null.
    pub(crate) client: Option<String>,
    /// The address that was asked.
    pub(crate) asked: String,
    /// The Plan's number; null before the first.
    pub(crate) plan: Option<String>,
    /// The reply's code; 0 is no error.
    pub(crate) rcode: u16,
    /// The reply's extended error (RFC 8914); null for none. 14 is "not ready".
    #[serde(default)]
    pub(crate) extended_error: Option<u16>,
    /// Why a service cannot be answered for, in a sentence; null if it can, or the name is none.
    #[serde(default)]
    pub(crate) because: Option<String>,
    /// The answer section without signatures, a record each.
    pub(crate) answer: Vec<String>,
    /// The authority section without signatures, a record each: of "no", what proves it.
    #[serde(default)]
    pub(crate) authority: Vec<String>,
    /// The signatures over both; none in a zone that is not signed.
    #[serde(default)]
    pub(crate) signatures: Vec<SignatureExplanationView>,
    /// The client subnet's scope in bits; null if no client was told.
    pub(crate) scope: Option<u8>,
    /// The stages, if the name is a service that the Plan has; else null.
    pub(crate) service: Option<ServiceExplanationView>,
}

/// One signature over a record set of the reply.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SignatureExplanationView {
    /// The set's name.
    pub(crate) owner: String,
    /// The set's type.
    pub(crate) covers: String,
    /// The tag of the key that signed.
    pub(crate) key_tag: u16,
    /// The number of its algorithm: 13 or 15.
    pub(crate) algorithm: u8,
    /// Not valid before, as YYYYMMDDHHmmSS in UTC.
    pub(crate) inception: String,
    /// Not valid after.
    pub(crate) expiry: String,
}

/// What the stages of a service's policy did.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServiceExplanationView {
    /// The service's name.
    pub(crate) service: String,
    /// Each locate policy that was tried, in order.
    pub(crate) locate: Vec<LocateStepView>,
    /// Where the client was taken to be.
    pub(crate) area: String,
    /// Pairs of cluster and share that the area is assigned to.
    pub(crate) clusters: Vec<(String, f64)>,
    /// Why those.
    pub(crate) assigned_because: String,
    /// The area is worse off than it should be: the TTL is halved.
    pub(crate) degraded: bool,
    /// How the first server is chosen.
    pub(crate) choose: String,
    /// What that looked at; absent without an answer to give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) choice: Option<ChoiceView>,
    /// The server that came first; null without one.
    pub(crate) first: Option<String>,
    /// Seconds.
    pub(crate) ttl: u32,
    /// How that came about; null if it is constant.
    #[serde(default)]
    pub(crate) adaptive: Option<TtlExplanationView>,
    /// Who took part, in ring order.
    pub(crate) candidates: Vec<CandidateExplanationView>,
    /// The service's other servers, and why they took no part.
    pub(crate) left_out: Vec<LeftOutView>,
}

/// How an adaptive TTL came about.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TtlExplanationView {
    /// The policy's name: TTL/K.
    pub(crate) policy: String,
    /// Seconds: the mean that is kept.
    pub(crate) mean: u32,
    /// Seconds: no shorter.
    pub(crate) min: u32,
    /// Seconds: no longer.
    pub(crate) max: u32,
    /// The domains that this one is treated like: all, hot, normal, itself, or the rest that is not
    /// named.
    pub(crate) class: String,
    /// The domain's requests in the mean TTL; null if the TTL does not look at it.
    pub(crate) weight: Option<f64>,
    /// Seconds, by the domain alone.
    pub(crate) by_domain: f64,
    /// What this is multiplied with for the server, and for the bounds' sake.
    pub(crate) factor: f64,
    /// A bound cut it off.
    pub(crate) bounded: bool,
    /// It was halved while the area is degraded.
    pub(crate) halved: bool,
    /// Seconds, before they are drawn to be whole.
    pub(crate) seconds: f64,
}

/// What one locate policy said.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct LocateStepView {
    /// map or nameserver.
    pub(crate) policy: String,
    /// The address that it looked at.
    pub(crate) address: String,
    /// The area that it found; null for none.
    pub(crate) area: Option<String>,
}

/// One server that took part.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct CandidateExplanationView {
    /// Its name.
    pub(crate) server: String,
    /// Where it stands.
    pub(crate) cluster: String,
    /// Share of its group among the answers.
    pub(crate) group_share: f64,
    /// Configured weight.
    pub(crate) weight: u32,
    /// Configured capacity, if the choice goes by that instead of the weight; else null.
    #[serde(default)]
    pub(crate) capacity: Option<f64>,
    /// Gradual return, up to 1.
    pub(crate) ramp: f64,
    /// 0 to 1; null if unknown.
    pub(crate) load: Option<f64>,
    /// It is here for want of servers below the threshold that could bear its clients.
    pub(crate) over_threshold: bool,
    /// How often it would come first in the next 1,000 such answers, 0 to 1.
    pub(crate) expected_share: f64,
}

/// What the choice of the first server looked at.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ChoiceView {
    /// The rule, in a sentence.
    pub(crate) rule: String,
    /// Who asked, a resolver's address or a client prefix; null if the policy does not look at it.
    pub(crate) domain: Option<String>,
    /// Its hidden load weight: requests that follow an answer; null if that is not looked at.
    pub(crate) weight: Option<f64>,
    /// It is a hot domain.
    pub(crate) hot: bool,
    /// Each candidate of the group that was drawn.
    pub(crate) servers: Vec<ServerChoiceView>,
}

/// What was known of one candidate; null is what the policy does not look at.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServerChoiceView {
    /// Its name.
    pub(crate) server: String,
    /// Weight of its living answers (hash), bin (dal), residual load in weight times seconds (mrl,
    /// crml), or load (pow2).
    pub(crate) given: Option<f64>,
    /// What is charged beyond that (crml).
    pub(crate) charged: Option<f64>,
    /// What was compared, over its capacity.
    pub(crate) compared: Option<f64>,
    /// Below how much of that it would take the answer (hash).
    pub(crate) bound: Option<f64>,
    /// It was drawn (pow2), it was its turn, or the domain belongs to it (hash).
    pub(crate) marked: bool,
}

/// One server that took no part.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct LeftOutView {
    /// Its name.
    pub(crate) server: String,
    /// Why.
    pub(crate) reason: String,
}

/// The rule, who asked, and each candidate of which something was known.
fn render_choice(choice: &ChoiceView) -> String {
    let mut text = format!("        {}\n", choice.rule);
    if let (Some(domain), Some(weight)) = (&choice.domain, choice.weight) {
        let tier = if choice.hot { "hot" } else { "normal" };
        let weight = three_digits(weight);
        text.push_str(&format!("        for domain {domain} ({tier}) of weight {weight}\n"));
    }
    for server in &choice.servers {
        let known = [
            ("given", server.given),
            ("charged", server.charged),
            ("compared", server.compared),
            ("bound", server.bound),
        ];
        let mut known: Vec<String> = known
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name} {}", three_digits(value?))))
            .collect();
        if server.marked {
            known.push("marked".to_owned());
        }
        if !known.is_empty() {
            text.push_str(&format!("        {}: {}\n", server.server, known.join(", ")));
        }
    }
    text
}

impl ExplanationView {
    /// The core's explanation as the API shows it: the same fields, under a schema.
    pub(crate) fn of(explanation: &Explanation) -> Result<Self, serde_json::Error> {
        serde_json::from_value(serde_json::to_value(explanation)?)
    }
}

/// For people.
pub(crate) fn render(view: &ExplanationView) -> String {
    let mut text = format!("{} asks {}", view.resolver, view.asked);
    if let Some(client) = &view.client {
        text.push_str(&format!(" for a client in {client}"));
    }
    let plan = view.plan.as_deref().unwrap_or("none yet");
    let extended = view.extended_error.map(|it| format!(", extended error {it}"));
    let (code, extended) = (rcode::name(view.rcode), extended.unwrap_or_default());
    text.push_str(&format!("; Plan {plan}\n\nanswer ({code}{extended}):\n"));
    for record in &view.answer {
        text.push_str(&format!("  {record}\n"));
    }
    if view.answer.is_empty() {
        let because = view.because.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
        text.push_str(&format!("  no records{because}\n"));
    }
    for record in &view.authority {
        text.push_str(&format!("  beside: {record}\n"));
    }
    for signature in &view.signatures {
        let SignatureExplanationView { owner, covers, key_tag, algorithm, inception, expiry } =
            signature;
        text.push_str(&format!(
            "  {covers} of {owner} is signed by key {key_tag} (algorithm {algorithm}), from \
             {inception} until {expiry}\n"
        ));
    }
    if let Some(scope) = view.scope {
        text.push_str(&format!("  holds for the client's /{scope}\n"));
    }
    if let Some(service) = &view.service {
        text.push_str(&render_service(service));
    }
    text
}

fn render_ttl(ttl: &TtlExplanationView) -> String {
    let domain = match ttl.class.as_str() {
        "all" => "all domains are alike".to_owned(),
        "rest" => "the domain is not named".to_owned(),
        "itself" => "the domain is a class of its own".to_owned(),
        class => format!("the domain is {class}"),
    };
    let weight = ttl.weight.map(|weight| format!(" (weight {})", three_digits(weight)));
    let weight = weight.unwrap_or_default();
    let bounds = if ttl.bounded { ", cut off" } else { "" };
    let halved = if ttl.halved { ", halved" } else { "" };
    format!(
        "        {} for a mean of {} s: {domain}{weight}, {:.1} s; times {:.3} for the server and the \
         bounds; within {} and {} s{bounds}{halved}: {:.1} s\n",
        ttl.policy, ttl.mean, ttl.by_domain, ttl.factor, ttl.min, ttl.max, ttl.seconds
    )
}

fn render_service(service: &ServiceExplanationView) -> String {
    let mut text = "\n".to_owned();
    for step in &service.locate {
        let found = step.area.as_deref().unwrap_or("no area");
        text.push_str(&format!("locate  {} of {}: {found}\n", step.policy, step.address));
    }
    text.push_str(&format!("        so the client is in area {}\n", service.area));
    let place = |(name, share): &(String, f64)| format!("{name} {}", percent(Some(*share)));
    let places: Vec<String> = service.clusters.iter().map(place).collect();
    text.push_str(&format!("assign  {}: {}\n", places.join(", "), service.assigned_because));
    let first = service.first.as_deref().unwrap_or("nobody");
    text.push_str(&format!("choose  {}: {first} comes first\n", service.choose));
    if let Some(choice) = &service.choice {
        text.push_str(&render_choice(choice));
    }
    let halved = if service.degraded { ", halved while the area is degraded" } else { "" };
    text.push_str(&format!("ttl     {} s{halved}\n", service.ttl));
    if let Some(adaptive) = &service.adaptive {
        text.push_str(&render_ttl(adaptive));
    }
    text.push('\n');
    text.push_str(&render_candidates(&service.candidates));
    if !service.left_out.is_empty() {
        text.push('\n');
        let mut table = Table::new(&["left out", "because"]);
        for server in &service.left_out {
            table.row([server.server.clone(), server.reason.clone()]);
        }
        text.push_str(&table.render());
    }
    text
}

/// Who took part, with what the choice goes by.
fn render_candidates(candidates: &[CandidateExplanationView]) -> String {
    let by_capacity = candidates.iter().any(|candidate| candidate.capacity.is_some());
    let bears = if by_capacity { "capacity" } else { "weight" };
    let mut table =
        Table::new(&["candidate", "cluster", bears, "ramp", "load", "next 1,000 answers"]);
    for candidate in candidates {
        // The mark stays until the load is below by the hysteresis.
        let mark = match (candidate.over_threshold, is_group_over(candidates, candidate)) {
            (false, _) => "",
            (true, true) => " above threshold or not yet well below",
            (true, false) => {
                " above threshold or not yet well below, the others could not bear its clients"
            }
        };
        table.row([
            candidate.server.clone(),
            candidate.cluster.clone(),
            match candidate.capacity {
                Some(capacity) => three_digits(capacity),
                // In another group than those that go by capacity.
                None if by_capacity => format!("weight {}", candidate.weight),
                None => candidate.weight.to_string(),
            },
            percent(Some(candidate.ramp)),
            format!("{}{mark}", percent(candidate.load)),
            format!("{:.1} % first", candidate.expected_share * 100.0),
        ]);
    }
    table.render()
}

/// Whether nobody in the candidate's group is below the threshold: then there were no others. A group that has
/// not all of the answers is one cluster's.
fn is_group_over(candidates: &[CandidateExplanationView], of: &CandidateExplanationView) -> bool {
    let mut group =
        candidates.iter().filter(|other| of.group_share >= 1.0 || other.cluster == of.cluster);
    group.all(|other| other.over_threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_loads_are_told_and_what_candidates_are_weighed_by() {
        let server = |server: &str, given, marked| ServerChoiceView {
            server: server.to_owned(),
            given: Some(given),
            charged: None,
            compared: Some(given / 100.0),
            bound: Some(0.012_54),
            marked,
        };
        let choice = ChoiceView {
            rule: "the first below the bound".to_owned(),
            domain: Some("192.0.2.53".to_owned()),
            weight: Some(0.0417),
            hot: false,
            servers: vec![server("a1", 0.25, true), server("a2", 0.0, false)],
        };
        assert_eq!(
            render_choice(&choice),
            "        the first below the bound\n        \
             for domain 192.0.2.53 (normal) of weight 0.0417\n        \
             a1: given 0.250, compared 0.00250, bound 0.0125, marked\n        \
             a2: given 0, compared 0, bound 0.0125\n"
        );
        let candidate = |server: &str, capacity| CandidateExplanationView {
            server: server.to_owned(),
            cluster: "a".to_owned(),
            group_share: 1.0,
            weight: 1,
            capacity,
            ramp: 1.0,
            load: None,
            over_threshold: false,
            expected_share: 0.5,
        };
        let shown = render_candidates(&[candidate("a1", Some(100.0)), candidate("a2", Some(0.5))]);
        assert_eq!(
            shown,
            "CANDIDATE  CLUSTER  CAPACITY  RAMP   LOAD  NEXT 1,000 ANSWERS\n\
             a1         a        100       100 %  ?     50.0 % first\n\
             a2         a        0.500     100 %  ?     50.0 % first\n"
        );
        let shown = render_candidates(&[candidate("a1", None)]);
        assert!(shown.contains("WEIGHT") && !shown.contains("CAPACITY"), "{shown}");
    }

    #[test]
    fn whether_others_could_not_bear_it_is_told_of_its_own_group() {
        let candidate = |server: &str, group_share, over_threshold| CandidateExplanationView {
            server: server.to_owned(),
            cluster: server[..1].to_owned(),
            group_share,
            weight: 1,
            capacity: None,
            ramp: 1.0,
            load: Some(0.9),
            over_threshold,
            expected_share: 0.5,
        };
        let told = |candidates: &[CandidateExplanationView]| -> Vec<bool> {
            let shown = render_candidates(candidates);
            shown.lines().skip(1).map(|line| line.contains("the others could not bear")).collect()
        };
        // Two clusters by shares: all of one are above; together (`assign = "all"`) there are others.
        let by_shares = [candidate("a1", 0.3, true), candidate("b1", 0.7, false)];
        assert_eq!(told(&by_shares), [false, false]);
        let together = [candidate("a1", 1.0, true), candidate("b1", 1.0, false)];
        assert_eq!(told(&together), [true, false]);
        let shown = render_candidates(&by_shares);
        assert_eq!(shown.matches("above threshold or not yet well below").count(), 1, "{shown}");
    }
}
