//! A reply's bytes, by `domain`'s message builder over a target with our compression rule.

use std::convert::Infallible;

use domain::base::iana::{Class, OptRcode, OptionCode, Rcode, Rtype};
use domain::base::message_builder::{AdditionalBuilder, PushError, RecordSectionBuilder};
use domain::base::name::{Name, ParsedName, ToName};
use domain::base::rdata::{ParseRecordData as _, UnknownRecordData};
use domain::base::wire::Composer;
use domain::base::{Message, MessageBuilder, Record, Ttl};
use domain::dep::octseq::{OctetsBuilder, Parser, Truncate};
use domain::rdata::{Txt, ZoneRecordData};
use walrus_dns::record_type::{CNAME, MX, NS, PTR, RRSIG, SOA};

use super::read::{Question, Subnet};
use super::resolve::{Glue, Records, Resolution};

/// The UDP payload size that our OPT records offer.
const UDP_SIZE: u16 = 1232;

/// What our OPT record says; there is none without one in the query.
pub(super) struct ReplyOptions<'a> {
    pub subnet: Option<(Subnet<'a>, u8)>,
    pub extended_error: Option<ExtendedError>,
}

/// Why, for people (RFC 8914).
#[derive(Clone, Copy)]
pub(super) struct ExtendedError {
    pub code: u16,
    pub text: &'static str,
}

/// The reply to a question; at most `limit` bytes, cut if it would be longer.
pub(super) fn compose(
    question: &Question<'_>,
    resolution: &Resolution<'_>,
    options: &ReplyOptions<'_>,
    limit: usize,
) -> Vec<u8> {
    let opt_len = opt_len(question, options);
    let sections_limit = limit.saturating_sub(opt_len);
    match sections(question, resolution, sections_limit) {
        Ok(additional) => finish(additional, question, resolution, options),
        Err(_) => {
            // RFC 2181 section 9: cut to nothing rather than to a part.
            let mut builder = start(question, resolution);
            builder.header_mut().set_tc(true);
            finish(builder.additional(), question, resolution, options)
        }
    }
}

/// The reply to a question about the server itself (RFC 4892): a text, or that there is none of
/// this type; at most `limit` bytes, cut if it would be longer.
pub(super) fn compose_chaos(
    question: &Question<'_>,
    text: Option<&str>,
    options: &ReplyOptions<'_>,
    limit: usize,
) -> Vec<u8> {
    let resolution = Resolution::new(Rcode::NOERROR, true);
    let mut builder = start(question, &resolution);
    if let Some(data) = text.and_then(|text| Txt::<Vec<u8>>::build_from_slice(text.as_bytes()).ok())
    {
        builder.set_push_limit(limit.saturating_sub(opt_len(question, options)).saturating_add(1));
        let record = Record::new(question.question.qname(), Class::CH, Ttl::ZERO, data);
        let cut = builder.push(record).is_err();
        builder.header_mut().set_tc(cut);
        builder.clear_push_limit();
    }
    finish(builder.additional(), question, &resolution, options)
}

/// A reply without records to what could not be read.
pub(super) fn compose_refusal(
    query: &Message<[u8]>,
    question: Option<&Question<'_>>,
    rcode: OptRcode,
    opt: Option<bool>,
) -> Vec<u8> {
    let mut builder = MessageBuilder::from_target(Target::default()).unwrap_or_else(|e| match e {});
    let (asked, header) = (query.header(), builder.header_mut());
    header.set_id(asked.id());
    header.set_qr(true);
    header.set_opcode(asked.opcode());
    header.set_rd(asked.rd());
    header.set_rcode(rcode.rcode());
    let mut builder = builder.question();
    if let Some(question) = question {
        // The target never runs out of room.
        let _ = builder.push(question.question);
    }
    let mut additional = builder.additional();
    if let Some(dnssec_ok) = opt {
        let _ = additional.opt(|opt| {
            opt.set_udp_payload_size(UDP_SIZE);
            opt.set_dnssec_ok(dnssec_ok);
            opt.set_rcode(rcode);
            Ok(())
        });
    }
    additional.finish().bytes
}

fn start(
    question: &Question<'_>,
    resolution: &Resolution<'_>,
) -> domain::base::message_builder::AnswerBuilder<Target> {
    let mut builder = MessageBuilder::from_target(Target::default()).unwrap_or_else(|e| match e {});
    let (asked, header) = (question.header, builder.header_mut());
    header.set_id(asked.id());
    header.set_qr(true);
    header.set_opcode(asked.opcode());
    header.set_rd(asked.rd());
    header.set_rcode(resolution.rcode);
    header.set_aa(resolution.authoritative);
    let mut builder = builder.question();
    let _ = builder.push(question.question);
    builder.answer()
}

fn sections(
    question: &Question<'_>,
    resolution: &Resolution<'_>,
    limit: usize,
) -> Result<AdditionalBuilder<Target>, PushError> {
    let mut builder = start(question, resolution);
    // `domain` refuses what reaches its limit, not only what exceeds it.
    builder.set_push_limit(limit.saturating_add(1));
    for records in &resolution.answer {
        push_all(&mut builder, records)?;
    }
    let mut builder = builder.authority();
    for records in &resolution.authority {
        push_all(&mut builder, records)?;
    }
    let mut builder = builder.additional();
    if !push_glue(&mut builder, &resolution.glue) {
        builder.header_mut().set_tc(true);
    }
    builder.clear_push_limit();
    Ok(builder)
}

/// Adds addresses as long as they fit; `false` if one is missing without which a name server
/// below the delegation might not be found (RFC 9471 section 3.1). Signatures may be left out here
/// (RFC 4035 section 3.1.1).
fn push_glue(builder: &mut AdditionalBuilder<Target>, glue: &[Glue<'_>]) -> bool {
    let mut complete = true;
    for Glue { records, in_domain } in glue {
        for data in &records.data {
            let missing = push(builder, records, records.record_type, data).is_err();
            complete &= !(missing && *in_domain);
        }
        for data in &records.signatures {
            let _ = push(builder, records, RRSIG, data);
        }
    }
    complete
}

fn push_all(
    builder: &mut impl RecordSectionBuilder<Target>,
    records: &Records<'_>,
) -> Result<(), PushError> {
    let mut data = records.data.iter();
    data.try_for_each(|data| push(builder, records, records.record_type, data))?;
    records.signatures.iter().try_for_each(|data| push(builder, records, RRSIG, data))
}

/// One record. Only the types of RFC 1035 whose names resolvers must expect compressed are given
/// to `domain` as what they are; the rest stays the bytes that it is (RFC 3597 section 4).
fn push(
    builder: &mut impl RecordSectionBuilder<Target>,
    records: &Records<'_>,
    record_type: u16,
    data: &[u8],
) -> Result<(), PushError> {
    let owner = Name::from_slice(records.owner.as_wire()).map_err(|_| PushError::ShortBuf)?;
    let rtype = Rtype::from_int(record_type);
    let (class, ttl) = (Class::IN, Ttl::from_secs(records.ttl));
    if !records.names_whole && matches!(record_type, NS | CNAME | SOA | PTR | MX) {
        let mut parser = Parser::from_ref(data);
        let parsed = ZoneRecordData::<&[u8], ParsedName<&[u8]>>::parse_rdata(rtype, &mut parser);
        if let Ok(Some(parsed)) = parsed {
            return builder.push(Record::new(owner, class, ttl, parsed));
        }
    }
    let data = UnknownRecordData::from_octets(rtype, data).map_err(|_| PushError::ShortBuf)?;
    builder.push(Record::new(owner, class, ttl, data))
}

fn opt_len(question: &Question<'_>, options: &ReplyOptions<'_>) -> usize {
    if question.opt.is_none() {
        return 0;
    }
    let subnet = options.subnet.as_ref().map_or(0, |(subnet, _)| 8 + subnet.address.len());
    let error = options.extended_error.map_or(0, |error| 6 + error.text.len());
    11 + subnet + error
}

fn finish(
    mut additional: AdditionalBuilder<Target>,
    question: &Question<'_>,
    resolution: &Resolution<'_>,
    options: &ReplyOptions<'_>,
) -> Vec<u8> {
    if let Some(asked) = &question.opt {
        let _ = additional.opt(|opt| {
            opt.set_udp_payload_size(UDP_SIZE);
            opt.set_dnssec_ok(asked.dnssec_ok);
            opt.set_rcode(resolution.rcode.into());
            if let Some((subnet, scope)) = &options.subnet {
                let len = 4 + u16::from(subnet.source.div_ceil(8));
                opt.push_raw_option(OptionCode::CLIENT_SUBNET, len, |target| {
                    target.append_slice(&subnet.family.to_be_bytes())?;
                    target.append_slice(&[subnet.source, *scope])?;
                    target.append_slice(subnet.address)
                })?;
            }
            if let Some(ExtendedError { code, text }) = options.extended_error {
                // A sentence of ours: far below 64 KiB.
                let len = 2 + text.len() as u16;
                opt.push_raw_option(OptionCode::EXTENDED_ERROR, len, |target| {
                    target.append_slice(&code.to_be_bytes())?;
                    target.append_slice(text.as_bytes())
                })?;
            }
            Ok(())
        });
    }
    additional.finish().bytes
}

/// Bytes in which names are compressed against the question's name and nothing else, so that a
/// reply's parts can be built before the question is known.
#[derive(Default)]
struct Target {
    bytes: Vec<u8>,
    /// The length of the question's name, which stands behind the header; 0 before it is written.
    question_len: usize,
}

const QUESTION_AT: usize = 12;

impl Target {
    /// Where a suffix of the question's name equals this name, case aside. The root is shorter
    /// than a pointer.
    fn place_of(&self, name: &[u8]) -> Option<u16> {
        let question = &self.bytes[QUESTION_AT..QUESTION_AT + self.question_len];
        let mut at = 0;
        while name.len() > 1 && at < question.len() {
            if question[at..].eq_ignore_ascii_case(name) {
                return u16::try_from(QUESTION_AT + at).ok();
            }
            at += 1 + usize::from(question[at]);
        }
        None
    }
}

impl Composer for Target {
    fn append_compressed_name<N: ToName + ?Sized>(&mut self, name: &N) -> Result<(), Infallible> {
        let name: Name<Vec<u8>> = name.to_vec();
        let mut rest = name.as_slice();
        if self.question_len == 0 {
            self.question_len = rest.len();
            return self.append_slice(rest);
        }
        while let [len @ 1..=63, ..] = rest {
            if let Some(place) = self.place_of(rest) {
                return self.append_slice(&(0xc000 | place).to_be_bytes());
            }
            let (label, next) = rest.split_at(1 + usize::from(*len));
            self.append_slice(label)?;
            rest = next;
        }
        self.append_slice(&[0])
    }

    fn can_compress(&self) -> bool {
        true
    }
}

impl OctetsBuilder for Target {
    type AppendError = Infallible;

    fn append_slice(&mut self, slice: &[u8]) -> Result<(), Infallible> {
        self.bytes.extend_from_slice(slice);
        Ok(())
    }
}

impl Truncate for Target {
    fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }
}

impl AsRef<[u8]> for Target {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for Target {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}
