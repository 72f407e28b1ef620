//! What a server said, and in which of its parts two servers' replies differ.

use std::fmt;

use domain::base::Message;
use domain::base::opt::UnknownOptData;

use super::seen::Seen;
use crate::static_zone::reply::Reply;

/// A reply, apart from what every server chooses for itself: its ID (which is the query's), the order
/// of records, the UDP size that it offers, compression.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Of the header alone, if not `whole`.
    pub(super) reply: Reply,
    /// It holds exactly the records that its header counts.
    pub(super) whole: bool,
    pub(super) opcode: u8,
    /// RD, RA, Z, AD and CD, as they stand in the header.
    pub(super) header: (bool, bool, bool, bool, bool),
    pub(super) opt: Option<Opt>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opt {
    pub(super) version: u8,
    /// Codes with their data's length, sorted.
    pub(super) options: Vec<(u16, usize)>,
}

/// A part of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// One of the two says nothing at all.
    Silence,
    /// What follows the header does not fit to it.
    Whole,
    Rcode,
    Opcode,
    Aa,
    Tc,
    /// RD, RA, Z, AD, CD.
    Header,
    Question,
    /// Whether there is an OPT record.
    Opt,
    /// DO, or the version.
    OptFlags,
    /// Whether there is the option of this code, and its length.
    Option(u16),
    Answer,
    Authority,
    Additional,
}

impl Said {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let whole = Seen::of(bytes, false).whole;
        let alone = [bytes.get(..4).unwrap_or_default(), &[0; 8]].concat();
        let bytes = if whole { bytes } else { &alone };
        let message = Message::from_octets(bytes).expect("a message");
        let header = message.header();
        let opt = message.opt().map(|opt| {
            let options = opt.opt().iter::<UnknownOptData<_>>();
            let options = options.map(|it| it.expect("an option"));
            let mut options: Vec<_> =
                options.map(|it| (it.code().to_int(), it.data().len())).collect();
            options.sort_unstable();
            Opt { version: opt.version(), options }
        });
        Self {
            reply: Reply::read(bytes),
            whole,
            opcode: header.opcode().to_int(),
            header: (header.rd(), header.ra(), header.z(), header.ad(), header.cd()),
            opt,
        }
    }

    fn options(&self) -> impl Iterator<Item = (u16, usize)> {
        self.opt.iter().flat_map(|opt| opt.options.iter().copied())
    }

    pub(super) fn rcode(&self) -> &str {
        &self.reply.rcode
    }

    /// It says yes or no, not that something is wrong.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self.rcode(), "NOERROR" | "NXDOMAIN")
    }
}

/// All parts in which two differ; with another RCODE all the rest is another, too. Records are not looked at where one of the two is cut (TC): whoever gets
/// it asks again (RFC 2181, section 9).
pub(super) fn differences(ours: Option<&Said>, theirs: Option<&Said>) -> Vec<Part> {
    let (ours, theirs) = match (ours, theirs) {
        (None, None) => return Vec::new(),
        (Some(ours), Some(theirs)) => (ours, theirs),
        _ => return vec![Part::Silence],
    };
    let (our, their) = (&ours.reply, &theirs.reply);
    let cut = our.truncated || their.truncated;
    let version = |said: &Said| said.opt.as_ref().map(|opt| opt.version);
    let both_opt = ours.opt.is_some() && theirs.opt.is_some();
    if ours.whole != theirs.whole {
        return vec![Part::Whole];
    }
    if our.rcode != their.rcode {
        return vec![Part::Rcode];
    }
    let all = [
        (Part::Opcode, ours.opcode != theirs.opcode),
        (Part::Aa, our.authoritative != their.authoritative),
        (Part::Tc, our.truncated != their.truncated),
        (Part::Header, ours.header != theirs.header),
        (Part::Question, our.question != their.question),
        (Part::Opt, ours.opt.is_some() != theirs.opt.is_some()),
        (Part::OptFlags, both_opt && (our.edns != their.edns || version(ours) != version(theirs))),
        (Part::Answer, !cut && our.answer != their.answer),
        (Part::Authority, !cut && our.authority != their.authority),
        (Part::Additional, !cut && our.additional != their.additional),
    ];
    let mut parts: Vec<Part> =
        all.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect();
    if both_opt {
        let codes = [ours, theirs].into_iter().flat_map(|said| said.options());
        let mut codes: Vec<u16> = codes.map(|(code, _)| code).collect();
        codes.sort_unstable();
        codes.dedup();
        let lens = |said: &Said, of: u16| -> Vec<usize> {
            said.options().filter(|(code, _)| *code == of).map(|(_, len)| len).collect()
        };
        codes.retain(|code| lens(ours, *code) != lens(theirs, *code));
        parts.extend(codes.into_iter().map(Part::Option));
    }
    parts
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rd, ra, z, ad, cd) = self.header;
        for (name, set) in [("RD", rd), ("RA", ra), ("Z", z), ("AD", ad), ("CD", cd)] {
            if set {
                write!(f, "{name} ")?;
            }
        }
        if let Some(opt) = &self.opt {
            write!(f, "opt {} {:?} ", opt.version, opt.options)?;
        }
        write!(f, "{}q {}", self.reply, self.reply.question.len())
    }
}
