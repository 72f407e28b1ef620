//! NOTIFY out (RFC 1996): told again, later and later, until it is acknowledged.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use walrus_core::config::NotifyTarget;
use walrus_core::transfer::soa_of;
use walrus_core::world::Time;
use walrus_core::zone::Zone;
use walrus_dns::{DomainName, record_type};
use walrus_host::seed::secret_bytes;

use crate::tsig::{ReplyVerifier, TsigKeys};

/// The first wait for an acknowledgement; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// So often a change is told; then the secondary finds it by itself when its refresh time is over.
const TRIES: u32 = 6;
/// Acknowledgements that are read in one go.
const READ_MAX: usize = 256;
/// The longest one.
const REPLY_SIZE_MAX: usize = 4096;

/// Who is told what.
#[derive(Default)]
pub(super) struct Notifier {
    /// By the address that they are bound to, as long as somebody is to be told.
    sockets: BTreeMap<IpAddr, UdpSocket>,
    /// By zone and target: the newest change alone.
    told: BTreeMap<(DomainName, NotifyTarget), Telling>,
}

struct Telling {
    soa: walrus_core::zone::Record,
    serial: u32,
    tries: u32,
    next_at: Time,
    id: u16,
    verifier: Option<ReplyVerifier>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) acknowledged: Vec<Heard>,
    pub(super) given_up: Vec<Heard>,
}

/// Whom it was of, and what it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) apex: DomainName,
    pub(super) address: IpAddr,
    pub(super) serial: u32,
}

impl Heard {
    fn of((apex, target): &(DomainName, NotifyTarget), telling: &Telling) -> Self {
        Self { apex: apex.clone(), address: target.address.ip(), serial: telling.serial }
    }
}

impl Notifier {
    /// A zone has a new serial.
    pub(super) fn tell(&mut self, zone: &Zone, targets: &[NotifyTarget], now: Time) {
        let Some(soa) = soa_of(zone) else { return };
        for target in targets {
            let telling = Telling {
                soa: soa.clone(),
                serial: zone.serial(),
                tries: 0,
                next_at: now,
                id: 0,
                verifier: None,
            };
            self.told.insert((zone.apex().clone(), target.clone()), telling);
        }
    }

    /// Takes out those that are no longer named.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&DomainName, &NotifyTarget) -> bool) {
        self.told.retain(|(apex, target), _| is_kept(apex, target));
    }

    /// Sends what is due and reads what has come; never waits. `listening` is where this server answers.
    pub(super) fn step(
        &mut self,
        (keys, listening): (&TsigKeys, &[SocketAddr]),
        now: Time,
        unix_secs: u64,
    ) -> Outcome {
        let mut outcome = Outcome { acknowledged: self.read(unix_secs), given_up: Vec::new() };
        let mut over = Vec::new();
        for (who, telling) in &mut self.told {
            if telling.next_at > now {
                continue;
            }
            if telling.tries == TRIES {
                over.push(who.clone());
                continue;
            }
            telling.next_at = now + FIRST_WAIT * (1 << telling.tries);
            telling.tries += 1;
            let (apex, target) = who;
            let socket = socket_for(&mut self.sockets, target, listening);
            let Some((socket, id)) = socket.zip(secret_bytes::<2>().ok()) else { continue };
            telling.id = u16::from_be_bytes(id);
            let mut message = compose(telling.id, apex, &telling.soa);
            let key = target.key.as_ref().and_then(|key| keys.get(key));
            if target.key.is_some() && key.is_none() {
                // Never unsigned what was to be signed.
                continue;
            }
            telling.verifier = key.map(|key| key.sign_request(&mut message, unix_secs));
            if let Err(error) = socket.send_to(&message, target.address) {
                tracing::debug!(zone = %apex, to = %target.address, %error, "NOTIFY was not sent");
            }
        }
        for who in over {
            tracing::warn!(
                zone = %who.0, to = %who.1.address,
                "the secondary did not acknowledge NOTIFY, and finds the change when its refresh time is over"
            );
            if let Some(telling) = self.told.remove(&who) {
                outcome.given_up.push(Heard::of(&who, &telling));
            }
        }
        if self.told.is_empty() {
            // The next change comes from other ports, which nobody knows.
            self.sockets.clear();
        }
        outcome
    }

    /// Whether somebody is still to be told.
    pub(super) fn is_busy(&self) -> bool {
        !self.told.is_empty()
    }

    fn read(&mut self, unix_secs: u64) -> Vec<Heard> {
        let mut acknowledged = Vec::new();
        let mut bytes = [0; REPLY_SIZE_MAX];
        for socket in self.sockets.values() {
            for _ in 0..READ_MAX {
                let Ok((length, from)) = socket.recv_from(&mut bytes) else { break };
                acknowledged.extend(accept(
                    &mut self.told,
                    bytes[..length].to_vec(),
                    from,
                    unix_secs,
                ));
            }
        }
        acknowledged
    }
}

/// Who says by this reply that it was told; then it is told no longer.
fn accept(
    told: &mut BTreeMap<(DomainName, NotifyTarget), Telling>,
    mut reply: Vec<u8>,
    from: SocketAddr,
    unix_secs: u64,
) -> Option<Heard> {
    const QR_AND_OPCODE: u8 = 0xf8;
    const NOTIFY_REPLY: u8 = 0xa0;
    let &[a, b, flags, rcode] = reply.first_chunk()?;
    if flags & QR_AND_OPCODE != NOTIFY_REPLY {
        return None;
    }
    let id = u16::from_be_bytes([a, b]);
    let is_it = |((_, target), telling): &(&(DomainName, NotifyTarget), &mut Telling)| {
        telling.tries > 0 && telling.id == id && target.address == from
    };
    let (who, telling) = told.iter_mut().find(is_it)?;
    if let Some(verifier) = &mut telling.verifier
        && let Err(error) = verifier.verify(&mut reply, unix_secs)
    {
        tracing::warn!(zone = %who.0, %from, "the reply to NOTIFY is not believed: {error}");
        return None;
    }
    if rcode & 0xf != 0 {
        tracing::warn!(
            zone = %who.0, %from, rcode = rcode & 0xf,
            "the secondary refuses NOTIFY: is this server among its primaries, with this key?"
        );
        return None;
    }
    let who = who.clone();
    told.remove(&who).map(|telling| Heard::of(&who, &telling))
}

/// A socket at the address that a target is to be told from. Only if that is not in the settings does another one do.
fn socket_for<'s>(
    sockets: &'s mut BTreeMap<IpAddr, UdpSocket>,
    target: &NotifyTarget,
    listening: &[SocketAddr],
) -> Option<&'s UdpSocket> {
    let any = match target.address {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let wanted = source_of(target, listening).unwrap_or(any);
    let others = target.source.is_none() && wanted != any;
    for source in [wanted].into_iter().chain(others.then_some(any)) {
        if let Entry::Vacant(place) = sockets.entry(source) {
            let opened = UdpSocket::bind((source, 0)).and_then(|socket| {
                socket.set_nonblocking(true)?;
                Ok(socket)
            });
            match opened {
                Ok(opened) => {
                    place.insert(opened);
                }
                Err(error) => {
                    tracing::warn!(to = %target.address, %source, %error, "no NOTIFY can be sent from there");
                    continue;
                }
            }
        }
        return sockets.get(&source);
    }
    None
}

/// The address by which a secondary knows this server: the one that is set, or the only one where it listens that the
/// target may be reached from.
fn source_of(target: &NotifyTarget, listening: &[SocketAddr]) -> Option<IpAddr> {
    if target.source.is_some() {
        return target.source;
    }
    let to = target.address.ip();
    let of_family = listening.iter().map(SocketAddr::ip).filter(|it| it.is_ipv4() == to.is_ipv4());
    let usable: Vec<IpAddr> =
        of_family.filter(|it| !it.is_loopback() || to.is_loopback()).collect();
    let first = usable.first().filter(|it| !it.is_unspecified())?;
    usable.iter().all(|it| it == first).then_some(*first)
}

/// RFC 1996 section 3.7: the question, and as a hint the new SOA record.
fn compose(id: u16, apex: &DomainName, soa: &walrus_core::zone::Record) -> Vec<u8> {
    const NOTIFY_AND_AA: u8 = 0x24;
    let mut message = id.to_be_bytes().to_vec();
    message.extend_from_slice(&[NOTIFY_AND_AA, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
    message.extend_from_slice(apex.as_wire());
    message.extend_from_slice(&record_type::SOA.to_be_bytes());
    message.extend_from_slice(&record_type::CLASS_IN.to_be_bytes());
    // The name of the question.
    message.extend_from_slice(&[0xc0, 12]);
    message.extend_from_slice(&record_type::SOA.to_be_bytes());
    message.extend_from_slice(&record_type::CLASS_IN.to_be_bytes());
    message.extend_from_slice(&soa.ttl.to_be_bytes());
    // A SOA record's data is two names and five numbers.
    message.extend_from_slice(&(soa.data.len() as u16).to_be_bytes());
    message.extend_from_slice(&soa.data);
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tsig::SharedKey;
    use walrus_core::config::TsigAlgorithm;
    use walrus_core::zone::zone_of_nameservers;

    fn secondary() -> (UdpSocket, NotifyTarget) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let address = socket.local_addr().unwrap();
        let key = Some("transfer".parse().unwrap());
        (socket, NotifyTarget { address, key, source: None })
    }

    fn step_until(notifier: &mut Notifier, keys: &TsigKeys, now: Time) -> Outcome {
        for _ in 0..500 {
            let outcome = notifier.step((keys, &[]), now, 1_790_000_000);
            if outcome != Outcome::default() {
                return outcome;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Outcome::default()
    }

    #[test]
    fn a_secondary_is_told_again_until_it_acknowledges_with_the_key() {
        let (socket, target) = secondary();
        let name = "transfer".parse().unwrap();
        let key = SharedKey::new(name, TsigAlgorithm::HmacSha256, b"secret");
        let keys: TsigKeys = [key].into_iter().collect();
        let apex = "example.com".parse().unwrap();
        let zone = zone_of_nameservers(&apex, &["ns.example.net".parse().unwrap()]);
        let mut notifier = Notifier::default();
        let mut now = Time::from_millis(1000);
        notifier.tell(&zone, std::slice::from_ref(&target), now);
        assert_eq!(notifier.step((&keys, &[]), now, 1_790_000_000), Outcome::default());
        let mut bytes = [0; 4096];
        let (length, _) = socket.recv_from(&mut bytes).unwrap();
        assert_eq!(bytes[2] & 0xf8, 0x20, "NOTIFY");
        // Nobody answers: told again, with another id.
        now += FIRST_WAIT;
        notifier.step((&keys, &[]), now, 1_790_000_000);
        let first = bytes[..length].to_vec();
        let (length, from) = socket.recv_from(&mut bytes).unwrap();
        let mut request = bytes[..length].to_vec();
        assert_ne!(first, request);
        let mut forged = request.clone();
        forged[2] |= 0x80;
        socket.send_to(&forged[..29], from).unwrap();
        let mut signer = keys.verify(&mut request, 1_790_000_000).unwrap().expect("signed");
        let mut reply = request[..29].to_vec();
        reply[2] |= 0x80;
        reply[7] = 0;
        signer.sign(&mut reply, 1_790_000_000);
        socket.send_to(&reply, from).unwrap();
        let heard = step_until(&mut notifier, &keys, now).acknowledged;
        let serial = zone.serial();
        assert_eq!(heard, [Heard { apex, address: target.address.ip(), serial }]);
        assert!(!notifier.is_busy());
    }

    #[test]
    fn who_never_answers_is_given_up() {
        let (_socket, target) = secondary();
        let target = NotifyTarget { key: None, ..target };
        let apex = "example.com".parse().unwrap();
        let zone = zone_of_nameservers(&apex, &["ns.example.net".parse().unwrap()]);
        let (mut notifier, keys) = (Notifier::default(), TsigKeys::default());
        let mut now = Time::from_millis(0);
        notifier.tell(&zone, &[target], now);
        let mut given_up = 0;
        for _ in 0..=TRIES {
            given_up += notifier.step((&keys, &[]), now, 0).given_up.len();
            now += Duration::from_secs(600);
        }
        assert_eq!((given_up, notifier.is_busy()), (1, false));
    }

    #[test]
    fn a_secondary_is_told_from_where_this_server_listens_if_that_is_one_address() {
        let told = |to: &str, source: Option<&str>, listening: &[&str]| {
            let source = source.map(|source| source.parse().unwrap());
            let target = NotifyTarget { address: to.parse().unwrap(), key: None, source };
            let listening: Vec<_> = listening.iter().map(|it| it.parse().unwrap()).collect();
            source_of(&target, &listening).map(|it| it.to_string())
        };
        let (service, other) = ("192.0.2.53:53", "192.0.2.54:53");
        let to = "198.51.100.2:53";
        assert_eq!(told(to, None, &[service, "127.0.0.1:53", "[::1]:53"]).unwrap(), "192.0.2.53");
        assert_eq!(told(to, None, &[service, "192.0.2.53:5353"]).unwrap(), "192.0.2.53");
        for unclear in
            [&[service, other][..], &["0.0.0.0:53"], &[service, "0.0.0.0:53"], &["[::]:53"], &[]]
        {
            assert_eq!(told(to, None, unclear), None, "{unclear:?}");
        }
        assert_eq!(told(to, Some("192.0.2.9"), &[service, other]).unwrap(), "192.0.2.9");
        assert_eq!(told("127.0.0.1:5301", None, &["127.0.0.2:53"]).unwrap(), "127.0.0.2");
        assert_eq!(told("[2001:db8::2]:53", None, &[service]), None);
    }

    #[test]
    fn notifications_leave_from_the_address_that_is_set_and_from_no_other() {
        let (socket, target) = secondary();
        let apex = "example.com".parse().unwrap();
        let zone = zone_of_nameservers(&apex, &["ns.example.net".parse().unwrap()]);
        let from = |source: &str, listening: &[SocketAddr]| {
            let source = (!source.is_empty()).then(|| source.parse().unwrap());
            let target = NotifyTarget { key: None, source, ..target.clone() };
            let (mut notifier, keys) = (Notifier::default(), TsigKeys::default());
            notifier.tell(&zone, &[target], Time::from_millis(0));
            notifier.step((&keys, listening), Time::from_millis(0), 0);
            socket.recv_from(&mut [0; 4096]).ok().map(|(_, from)| from.ip().to_string())
        };
        assert_eq!(from("127.0.0.7", &[]).unwrap(), "127.0.0.7");
        assert_eq!(from("", &["127.0.0.8:53".parse().unwrap()]).unwrap(), "127.0.0.8");
        // No address of this machine (RFC 5737).
        assert_eq!(from("", &["192.0.2.1:53".parse().unwrap()]).unwrap(), "127.0.0.1");
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(from("192.0.2.1", &[]), None);
    }
}
