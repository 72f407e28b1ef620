//! What is asked of a name server: queries, and updates with their prerequisites (RFC 2136 section 2).

use domain::base::iana::{Class, Opcode, Rtype};
use domain::base::message_builder::{
    AdditionalBuilder, AnswerBuilder, AuthorityBuilder, MessageBuilder, PushError,
    RecordSectionBuilder,
};
use domain::base::name::Name as WireName;
use domain::base::rdata::UnknownRecordData;
use domain::base::{Record, Ttl};
use walrus_dns::{DomainName, record_type};

use super::{Content, Mark};

/// The longest message (RFC 1035 section 4.2.2).
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// What is left for the key's record: its name, the algorithm's, a MAC of 64 bytes.
const SIGNATURE_ROOM: usize = 640;

/// One message to a name server; what it is signed with is added where the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A question of a name and type, without the wish for recursion.
    Query {
        /// Whose records.
        name: DomainName,
        /// Which.
        record_type: u16,
    },
    /// A change of one name, all or nothing.
    Update {
        /// The zone.
        zone: DomainName,
        /// The name.
        name: DomainName,
        /// What must hold, or nothing is changed.
        only_if: OnlyIf,
        /// What the name has afterwards.
        content: Content,
        /// ... and whose that is.
        mark: Mark,
        /// Of the mark, in seconds: that of others' texts where some stand beside it, for all records of a type
        /// have one TTL (RFC 2181 section 5.2), and a name server would give them ours.
        mark_ttl: u32,
    },
}

/// What an update wants to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnlyIf {
    /// Nothing at all at the name (RFC 2136 section 2.4.5).
    NotInUse,
    /// Exactly these TXT records (RFC 2136 section 2.4.2), of which `ours` are replaced.
    Texts {
        /// The data of all of them; none: there is no TXT record (section 2.4.3).
        all: Vec<Vec<u8>>,
        /// The marks among them that are ours.
        ours: Vec<Vec<u8>>,
        /// A CNAME that stands there is removed.
        alias: bool,
    },
}

impl Request {
    /// The message with this number, ready to be signed. (Its number of records, and so its length, follows from
    /// [`Content`], which is bounded by what an answer holds.)
    ///
    /// # Errors
    /// If it is longer than a message can be: a name with thousands of texts.
    pub fn compose(&self, id: u16) -> Result<AdditionalBuilder<Vec<u8>>, PushError> {
        let mut builder = MessageBuilder::new_vec();
        builder.set_push_limit(MESSAGE_BYTES_MAX - SIGNATURE_ROOM);
        builder.header_mut().set_id(id);
        match self {
            Self::Query { name, record_type } => {
                let mut question = builder.question();
                question.push((wire(name), Rtype::from_int(*record_type)))?;
                Ok(ready(question.additional()))
            }
            Self::Update { zone, name, only_if, content, mark, mark_ttl } => {
                builder.header_mut().set_opcode(Opcode::UPDATE);
                let mut question = builder.question();
                question.push((wire(zone), Rtype::SOA))?;
                let mut prerequisites = question.answer();
                only_if.compose(name, &mut prerequisites)?;
                let mut updates = prerequisites.authority();
                change(name, only_if, content, &mut updates)?;
                push(&mut updates, name, Class::IN, record_type::TXT, *mark_ttl, &mark.to_data())?;
                Ok(ready(updates.additional()))
            }
        }
    }

    /// The name and type of the question, or the zone of the update.
    #[must_use]
    pub const fn question(&self) -> (&DomainName, u16) {
        match self {
            Self::Query { name, record_type } => (name, *record_type),
            Self::Update { zone, .. } => (zone, record_type::SOA),
        }
    }

    /// Whether it changes something.
    #[must_use]
    pub const fn is_update(&self) -> bool {
        matches!(self, Self::Update { .. })
    }
}

/// The signature may take the room that was kept for it.
fn ready(mut message: AdditionalBuilder<Vec<u8>>) -> AdditionalBuilder<Vec<u8>> {
    message.clear_push_limit();
    message
}

impl OnlyIf {
    fn compose(
        &self,
        name: &DomainName,
        section: &mut AnswerBuilder<Vec<u8>>,
    ) -> Result<(), PushError> {
        match self {
            Self::NotInUse => push(section, name, Class::NONE, record_type::ANY, 0, &[]),
            Self::Texts { all, .. } if all.is_empty() => {
                push(section, name, Class::NONE, record_type::TXT, 0, &[])
            }
            Self::Texts { all, .. } => all
                .iter()
                .try_for_each(|data| push(section, name, Class::IN, record_type::TXT, 0, data)),
        }
    }
}

fn change(
    name: &DomainName,
    only_if: &OnlyIf,
    content: &Content,
    updates: &mut AuthorityBuilder<Vec<u8>>,
) -> Result<(), PushError> {
    if let OnlyIf::Texts { ours, alias, .. } = only_if {
        if *alias {
            push(updates, name, Class::ANY, record_type::CNAME, 0, &[])?;
        }
        for of_type in [record_type::A, record_type::AAAA] {
            push(updates, name, Class::ANY, of_type, 0, &[])?;
        }
        ours.iter()
            .try_for_each(|data| push(updates, name, Class::NONE, record_type::TXT, 0, data))?;
    }
    for address in &content.ipv4 {
        push(updates, name, Class::IN, record_type::A, content.ttl, &address.octets())?;
    }
    for address in &content.ipv6 {
        push(updates, name, Class::IN, record_type::AAAA, content.ttl, &address.octets())?;
    }
    Ok(())
}

fn push(
    section: &mut impl RecordSectionBuilder<Vec<u8>>,
    name: &DomainName,
    class: Class,
    record_type: u16,
    ttl: u32,
    data: &[u8],
) -> Result<(), PushError> {
    // The data has at most 65,535 bytes: it was read from a message, or is short.
    let Ok(data) = UnknownRecordData::from_octets(Rtype::from_int(record_type), data) else {
        return Err(PushError::LimitExceeded);
    };
    section.push(Record::new(wire(name), class, Ttl::from_secs(ttl), data))
}

fn wire(name: &DomainName) -> WireName<&[u8]> {
    // A `DomainName` is in wire format already.
    WireName::from_octets(name.as_wire()).unwrap_or_else(|_| WireName::root_ref())
}
