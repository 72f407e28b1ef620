//! What can be made out of a query, whole or broken, so that the rules of [`super::listed`] can say
//! which queries they are about.

use std::fmt;

/// A query's header, and of the rest what can be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) len: usize,
    pub(super) tcp: bool,
    pub(super) opcode: u8,
    /// QR, TC and the like: the third and fourth byte.
    pub(super) flags: [u8; 2],
    pub(super) counts: [u16; 4],
    pub(super) question: Option<Question>,
    /// Of the first OPT record among the additional ones.
    pub(super) opt: Option<Opt>,
    pub(super) opt_count: usize,
    /// OPT stands where it should not: in another section, or at another name.
    pub(super) opt_misplaced: bool,
    /// Records beside the question and OPT.
    pub(super) others: usize,
    /// There are exactly as many records as the header says.
    pub(super) whole: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Labels in lower case; `None` if it is compressed or too long.
    pub(super) name: Option<Vec<u8>>,
    pub(super) record_type: u16,
    pub(super) class: u16,
}

/// Some of it is only shown, beside a difference that nothing explains.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "shown by `Debug`")]
pub(super) struct Opt {
    pub(super) size: u16,
    pub(super) version: u8,
    pub(super) dnssec_ok: bool,
    /// Flags apart from DO.
    pub(super) other_flags: bool,
    pub(super) extended_rcode: u8,
    pub(super) options: Vec<(u16, Vec<u8>)>,
    /// The options fill their place exactly.
    pub(super) whole: bool,
}

impl Seen {
    pub(super) fn of(bytes: &[u8], tcp: bool) -> Self {
        let mut seen = Self { len: bytes.len(), tcp, ..Self::default() };
        let Some(header) = bytes.first_chunk::<12>() else { return seen };
        seen.flags = [header[2], header[3]];
        seen.opcode = header[2] >> 3 & 15;
        for (index, count) in seen.counts.iter_mut().enumerate() {
            *count = u16::from_be_bytes([header[4 + 2 * index], header[5 + 2 * index]]);
        }
        let mut at = 12;
        for index in 0..seen.counts[0] {
            let Some(question) = question(bytes, &mut at) else { return seen };
            if index == 0 {
                seen.question = Some(question);
            }
        }
        for section in 1..4 {
            for _ in 0..seen.counts[section] {
                let Some(record) = record(bytes, &mut at) else { return seen };
                if record.record_type != 41 {
                    seen.others += 1;
                    continue;
                }
                seen.opt_count += 1;
                seen.opt_misplaced |= section != 3 || !record.at_root;
                seen.opt.get_or_insert(record.opt());
            }
        }
        seen.whole = at == bytes.len();
        seen
    }

    /// A well-formed query of the opcode QUERY with one question of class IN, EDNS 0 if any, and no
    /// record besides: what resolvers send.
    pub(super) fn is_proper(&self) -> bool {
        let in_class = self.question.as_ref().is_some_and(|it| it.class == 1 && it.name.is_some());
        let edns = self.opt.as_ref().is_none_or(|opt| opt.version == 0 && opt.whole);
        self.whole
            && self.opcode == 0
            && self.flags[0] & 0x80 == 0
            && self.counts[0] == 1
            && self.others == 0
            && self.opt_count <= 1
            && !self.opt_misplaced
            && in_class
            && edns
    }

    pub(super) fn record_type(&self) -> Option<u16> {
        self.question.as_ref().map(|question| question.record_type)
    }

    pub(super) fn class(&self) -> Option<u16> {
        self.question.as_ref().map(|question| question.class)
    }

    pub(super) fn has_option(&self, code: u16) -> bool {
        self.options(code).next().is_some()
    }

    pub(super) fn options(&self, code: u16) -> impl Iterator<Item = &[u8]> {
        let options = self.opt.iter().flat_map(|opt| &opt.options);
        options.filter(move |(of, _)| *of == code).map(|(_, data)| data.as_slice())
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { len, tcp, opcode, flags, counts, .. } = self;
        let way = if *tcp { "TCP" } else { "UDP" };
        write!(f, "{way} {len} bytes opcode {opcode} flags {flags:02x?} counts {counts:?}")?;
        if let Some(Question { name, record_type, class }) = &self.question {
            let name = name.as_deref().unwrap_or_default().escape_ascii();
            write!(f, " name {name} type {record_type} class {class}")?;
        }
        if let Some(opt) = &self.opt {
            write!(f, " {opt:?}")?;
        }
        write!(f, " others {} whole {}", self.others, self.whole)
    }
}

fn question(bytes: &[u8], at: &mut usize) -> Option<Question> {
    let begin = *at;
    let plain = skip_name(bytes, at)?;
    let name = (plain && *at - begin <= 255).then(|| bytes[begin..*at].to_ascii_lowercase());
    let fixed = bytes.get(*at..*at + 4)?;
    *at += 4;
    let pair = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    Some(Question { name, record_type: pair(0), class: pair(2) })
}

struct Record<'a> {
    at_root: bool,
    record_type: u16,
    class: u16,
    ttl: [u8; 4],
    data: &'a [u8],
}

fn record<'a>(bytes: &'a [u8], at: &mut usize) -> Option<Record<'a>> {
    let begin = *at;
    skip_name(bytes, at)?;
    let at_root = *at - begin == 1;
    let fixed = bytes.get(*at..*at + 10)?;
    let pair = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    let end = *at + 10 + usize::from(pair(8));
    let data = bytes.get(*at + 10..end)?;
    *at = end;
    let ttl = [fixed[4], fixed[5], fixed[6], fixed[7]];
    Some(Record { at_root, record_type: pair(0), class: pair(2), ttl, data })
}

impl Record<'_> {
    fn opt(&self) -> Opt {
        let (mut options, mut rest) = (Vec::new(), self.data);
        while let [code, code_low, len, len_low, after @ ..] = rest {
            let len = usize::from(u16::from_be_bytes([*len, *len_low]));
            let Some((data, next)) = after.split_at_checked(len) else { break };
            options.push((u16::from_be_bytes([*code, *code_low]), data.to_vec()));
            rest = next;
        }
        Opt {
            size: self.class,
            extended_rcode: self.ttl[0],
            version: self.ttl[1],
            dnssec_ok: self.ttl[2] & 0x80 != 0,
            other_flags: self.ttl[2] & 0x7f != 0 || self.ttl[3] != 0,
            options,
            whole: rest.is_empty(),
        }
    }
}

/// Whether it is without pointers; `None` if it does not end.
fn skip_name(bytes: &[u8], at: &mut usize) -> Option<bool> {
    loop {
        let len = *bytes.get(*at)?;
        match len {
            0 => {
                *at += 1;
                return Some(true);
            }
            1..=63 => *at += 1 + usize::from(len),
            0xc0.. => {
                *at += 2;
                return (*at <= bytes.len()).then_some(false);
            }
            _ => return None,
        }
    }
}
