//! A reply taken apart, so that two can be compared.

use std::fmt;

use domain::base::iana::Rtype;
use domain::base::{Message, ParsedRecord};
use domain::rdata::AllRecordData;

/// What a name server said. Sections are sorted lines `owner ttl type data`: their order says
/// nothing (RFC 1034, section 3.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) rcode: String,
    pub(crate) authoritative: bool,
    pub(crate) truncated: bool,
    /// In its bytes: it is echoed in the client's case.
    pub(crate) question: Vec<u8>,
    pub(crate) answer: Vec<String>,
    pub(crate) authority: Vec<String>,
    /// Without OPT.
    pub(crate) additional: Vec<String>,
    /// Whether there is an OPT record, and its DO flag.
    pub(crate) edns: Option<bool>,
}

impl Reply {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let message = Message::from_octets(bytes).expect("a message");
        assert!(message.header().qr(), "a reply");
        let (_, answer, authority, additional) = message.sections().expect("four sections");
        let begin = message.question().pos();
        let end = answer.pos();
        Self {
            rcode: message.opt_rcode().to_string(),
            authoritative: message.header().aa(),
            truncated: message.header().tc(),
            question: bytes[begin..end].to_vec(),
            answer: lines(answer),
            authority: lines(authority),
            additional: lines(additional),
            edns: message.opt().map(|opt| opt.dnssec_ok()),
        }
    }

    /// Aliases that lead to each other and nowhere else.
    pub(crate) fn is_loop(&self) -> bool {
        let leads_back = |line: &String| {
            let mut words = line.split(' ').skip(2);
            let (record_type, target) = (words.next(), words.next().unwrap_or_default());
            let target = format!("{} ", target.trim_end_matches('.'));
            record_type == Some("CNAME") && self.answer.iter().any(|it| it.starts_with(&target))
        };
        !self.answer.is_empty() && self.answer.iter().all(leads_back)
    }

    /// The answer with each record once.
    pub(crate) fn distinct(&self) -> Vec<String> {
        let mut answer = self.answer.clone();
        answer.dedup();
        answer
    }

    /// Of a referral: the addresses of name servers that stand below the cut themselves.
    pub(crate) fn glue(&self) -> Vec<&String> {
        let cut = self.authority.first().and_then(|line| line.split(' ').next());
        let cut = cut.unwrap_or_default();
        let is_below = |line: &&String| {
            let owner = line.split(' ').next().unwrap_or_default();
            owner == cut || owner.ends_with(&format!(".{cut}"))
        };
        self.additional.iter().filter(is_below).collect()
    }

    /// What kind of reply it is, in the words of RFC 1034 and 2308.
    pub(crate) fn kind(&self) -> &'static str {
        match () {
            () if self.truncated => "truncated",
            () if self.is_referral() => "referral",
            () if self.rcode != "NOERROR" && self.rcode != "NXDOMAIN" => "refused",
            () if self.rcode == "NXDOMAIN" => "name error",
            () if self.answer.is_empty() => "no data",
            () => "answer",
        }
    }

    /// A referral to the name servers of a zone below.
    pub(crate) fn is_referral(&self) -> bool {
        !self.authoritative && self.authority.iter().any(|line| line.contains(" NS "))
    }
}

fn lines<'a>(
    records: impl Iterator<Item = Result<ParsedRecord<'a, &'a [u8]>, impl fmt::Debug>>,
) -> Vec<String> {
    let records = records.map(|record| record.expect("a whole record"));
    let records = records.filter(|record| record.rtype() != Rtype::OPT);
    let mut lines: Vec<String> = records
        .map(|record| {
            let data = record.to_any_record::<AllRecordData<_, _>>().expect("data of its type");
            let owner = record.owner().to_string().to_ascii_lowercase();
            let data = match record.rtype() {
                Rtype::TXT | Rtype::CAA => data.data().to_string(),
                _ => data.data().to_string().to_ascii_lowercase(),
            };
            format!("{owner} {} {} {data}", record.ttl().as_secs(), record.rtype())
        })
        .collect();
    lines.sort();
    lines
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rcode)?;
        for (flag, set) in [("AA", self.authoritative), ("TC", self.truncated)] {
            if set {
                write!(f, " {flag}")?;
            }
        }
        write!(f, " edns {:?}", self.edns)?;
        for (name, section) in
            [("an", &self.answer), ("ns", &self.authority), ("ar", &self.additional)]
        {
            write!(f, " {name} [{}]", section.join("; "))?;
        }
        Ok(())
    }
}
