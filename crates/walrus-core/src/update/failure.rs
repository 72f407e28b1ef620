//! What went wrong between here and a name server, and what to do about it.

use walrus_dns::rcode;

use super::HeldError;
use crate::config::NameServerSettings;

/// "Not authoritative for the zone", or not allowed to change it (RFC 2136 section 2.2).
const NOTAUTH: u8 = 9;
/// A name of the update is not within the zone.
const NOTZONE: u8 = 10;

/// Why an exchange did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no way there; what the operating system says.
    Unreachable(String),
    /// Nothing came back in time.
    Silent,
    /// The connection was closed before the answer.
    Closed,
    /// What came back is no answer.
    Malformed,
    /// The answer has no signature, with this code; it is not believed.
    Unsigned(u8),
    /// It does not know the key (BADKEY).
    KeyUnknown,
    /// It says that our signature is wrong (BADSIG).
    SignatureRefused,
    /// Its answer is signed with another key or secret; it is not believed.
    AnswerForged,
    /// The clocks differ by so many seconds, theirs ahead if above 0 (BADTIME).
    Clock(i64),
    /// The answer is too old or from the future by our clock.
    AnswerLate,
    /// An update was answered with this code.
    Update(u8),
    /// A question was answered with this code.
    Question(u8),
    /// It is asked for its zone, and answers for somebody else.
    NotAuthoritative,
    /// The secret cannot be used; why.
    Secret(String),
    /// What is to be said is longer than a message can be.
    TooLong,
}

impl Failure {
    /// In a sentence that says what to do.
    #[must_use]
    pub fn explain(&self, settings: &NameServerSettings) -> String {
        let NameServerSettings { address, zone, key, .. } = settings;
        let key = key.as_ref().map_or("none".to_owned(), |key| format!("\"{}\"", key.name));
        match self {
            Self::Unreachable(why) => format!(
                "{address} cannot be reached ({why}): check `address`, whether the name server runs, \
                 and that port {} is open to this node by TCP and UDP",
                address.port()
            ),
            Self::Silent => format!(
                "{address} does not answer in time: check whether the name server runs, and that \
                 nothing between drops port {}",
                address.port()
            ),
            Self::Closed => format!(
                "{address} closes the connection before it answers: check its log; it may have too \
                 many TCP clients, or a firewall stands between"
            ),
            Self::Malformed => format!(
                "{address} answers with something that is no DNS message for this request: check \
                 `address`"
            ),
            Self::Unsigned(code) => format!(
                "{address} answers {} without a signature, which is not believed: it lacks the zone \
                 {zone} or the key {key} (`walrus setup` prints both), or something else answers there",
                code_name(*code)
            ),
            Self::KeyUnknown => format!(
                "{address} does not know the key {key} with its algorithm, or does not let it change \
                 {zone} (BADKEY): add both there (`walrus setup` prints it), or correct `key` here"
            ),
            Self::SignatureRefused => format!(
                "{address} finds our signature wrong (BADSIG): its secret of the key {key} is another; \
                 copy the one in `secret_file`"
            ),
            Self::AnswerForged => format!(
                "{address} signs its answers with another secret than the key {key} has here: nothing of \
                 them is believed; check `address` and `secret_file`"
            ),
            Self::Clock(seconds) => format!(
                "the clock of {address} is {} s {} ours (BADTIME; 300 s are allowed): set both by NTP",
                seconds.unsigned_abs(),
                if *seconds > 0 { "ahead of" } else { "behind" }
            ),
            Self::AnswerLate => {
                format!("the signature of {address} is not of this time: set both clocks by NTP")
            }
            Self::Update(code) => update(*code, settings, &key),
            Self::Question(code) => match u16::from(*code) {
                rcode::REFUSED => format!(
                    "{address} refuses to answer for {zone} (REFUSED): does it serve the zone, and \
                     does it let the key {key} ask? `walrus setup` prints what it needs"
                ),
                _ => format!(
                    "{address} answers {} when asked for {zone}: see its log, and whether the zone is \
                     loaded",
                    code_name(*code)
                ),
            },
            Self::NotAuthoritative => format!(
                "{address} does not speak for {zone}: add the zone there (`walrus setup` prints it), \
                 or correct `zone` or `address`"
            ),
            Self::Secret(why) => format!("the secret of the key {key} cannot be used: {why}"),
            Self::TooLong => format!(
                "a message to {address} would be longer than any can be: a name in {zone} has too \
                 many TXT records, remove what nobody needs"
            ),
        }
    }

    /// In a few words, where the name server is known.
    #[must_use]
    pub fn short(&self) -> String {
        match self {
            Self::Unreachable(why) => format!("cannot be reached ({why})"),
            Self::Silent => "no answer in time".to_owned(),
            Self::Closed => "the connection was closed".to_owned(),
            Self::Malformed => "no DNS message for this request".to_owned(),
            Self::Unsigned(code) => format!("{} without a signature", code_name(*code)),
            Self::KeyUnknown => "BADKEY".to_owned(),
            Self::SignatureRefused => "BADSIG".to_owned(),
            Self::AnswerForged => "signed with another secret".to_owned(),
            Self::Clock(_) | Self::AnswerLate => "BADTIME".to_owned(),
            Self::Update(code) | Self::Question(code) => code_name(*code),
            Self::NotAuthoritative => "the name server does not speak for it".to_owned(),
            Self::Secret(why) => why.clone(),
            Self::TooLong => "too many TXT records".to_owned(),
        }
    }

    /// Whether people are to be told the same of both.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            // These change from try to try.
            (Self::Unreachable(_), Self::Unreachable(_))
            | (Self::Clock(_), Self::Clock(_))
            | (Self::Secret(_), Self::Secret(_)) => true,
            _ => self == other,
        }
    }
}

impl From<HeldError> for Failure {
    fn from(error: HeldError) -> Self {
        match error {
            HeldError::Rcode(code) => Self::Question(code),
            HeldError::NotAuthoritative => Self::NotAuthoritative,
        }
    }
}

fn update(code: u8, settings: &NameServerSettings, key: &str) -> String {
    let NameServerSettings { address, zone, .. } = settings;
    match code {
        code if u16::from(code) == rcode::REFUSED => format!(
            "{address} refuses the update of {zone} (REFUSED): let the key {key} change A, AAAA and TXT \
             records there (`update-policy` of BIND, `acl` of Knot DNS, `dnsupdate` and \
             TSIG-ALLOW-DNSUPDATE of PowerDNS; `walrus setup` prints it), and CNAME where one is \
             adopted; or it is no primary, or the zone is frozen (`rndc thaw`)"
        ),
        NOTAUTH => format!(
            "{address} is not the primary of {zone}, or does not let the key {key} change it \
             (NOTAUTH): write the address of the primary"
        ),
        NOTZONE => format!(
            "{address} says that a name is not within {zone} (NOTZONE): part of it is another zone \
             there; use a zone of the area's own"
        ),
        code if u16::from(code) == rcode::NOTIMP => format!(
            "{address} takes no updates at all (NOTIMP): switch them on (`dnsupdate=yes` of PowerDNS), \
             or use another name server"
        ),
        code if u16::from(code) == rcode::SERVFAIL => format!(
            "{address} could not carry the update of {zone} out (SERVFAIL): see its log; often it may \
             not write the zone's file or journal"
        ),
        code => {
            format!("{address} answers the update of {zone} with {}: see its log", code_name(code))
        }
    }
}

fn code_name(code: u8) -> String {
    match code {
        6 => "YXDOMAIN".to_owned(),
        7 => "YXRRSET".to_owned(),
        8 => "NXRRSET".to_owned(),
        NOTAUTH => "NOTAUTH".to_owned(),
        NOTZONE => "NOTZONE".to_owned(),
        code => rcode::name(u16::from(code)),
    }
}
