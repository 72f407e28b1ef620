//! NOTIFY out (RFC 1996): told again, later and later, until it is acknowledged.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
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
    ipv4: Option<UdpSocket>,
    ipv6: Option<UdpSocket>,
    /// By zone and target: the newest change alone.
    told: BTreeMap<(DomainName, NotifyTarget), Telling>,
}

struct Telling {
    soa: walrus_core::zone::Record,
    tries: u32,
    next_at: Time,
    id: u16,
    verifier: Option<ReplyVerifier>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) acknowledged: u64,
    pub(super) given_up: u64,
}

impl Notifier {
    /// A zone has a new serial.
    pub(super) fn tell(&mut self, zone: &Zone, targets: &[NotifyTarget], now: Time) {
        let Some(soa) = soa_of(zone) else { return };
        for target in targets {
            let telling =
                Telling { soa: soa.clone(), tries: 0, next_at: now, id: 0, verifier: None };
            self.told.insert((zone.apex().clone(), target.clone()), telling);
        }
    }

    /// Takes out those that are no longer named.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&DomainName, &NotifyTarget) -> bool) {
        self.told.retain(|(apex, target), _| is_kept(apex, target));
    }

    /// Sends what is due and reads what has come; never waits.
    pub(super) fn step(&mut self, keys: &TsigKeys, now: Time, unix_secs: u64) -> Outcome {
        let mut outcome = Outcome { acknowledged: self.read(unix_secs), given_up: 0 };
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
            let socket = match target.address {
                SocketAddr::V4(_) => open(&mut self.ipv4, (Ipv4Addr::UNSPECIFIED, 0).into()),
                SocketAddr::V6(_) => open(&mut self.ipv6, (Ipv6Addr::UNSPECIFIED, 0).into()),
            };
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
            self.told.remove(&who);
            outcome.given_up += 1;
        }
        outcome
    }

    /// Whether somebody is still to be told.
    pub(super) fn is_busy(&self) -> bool {
        !self.told.is_empty()
    }

    fn read(&mut self, unix_secs: u64) -> u64 {
        let mut acknowledged = 0;
        let mut bytes = [0; REPLY_SIZE_MAX];
        let sockets = [self.ipv4.as_ref(), self.ipv6.as_ref()];
        for socket in sockets.into_iter().flatten() {
            for _ in 0..READ_MAX {
                let Ok((length, from)) = socket.recv_from(&mut bytes) else { break };
                if accept(&mut self.told, bytes[..length].to_vec(), from, unix_secs) {
                    acknowledged += 1;
                }
            }
        }
        acknowledged
    }
}

/// Whether a reply says that somebody was told; then nobody is any longer.
fn accept(
    told: &mut BTreeMap<(DomainName, NotifyTarget), Telling>,
    mut reply: Vec<u8>,
    from: SocketAddr,
    unix_secs: u64,
) -> bool {
    const QR_AND_OPCODE: u8 = 0xf8;
    const NOTIFY_REPLY: u8 = 0xa0;
    let Some(&[a, b, flags, rcode]) = reply.first_chunk() else { return false };
    if flags & QR_AND_OPCODE != NOTIFY_REPLY {
        return false;
    }
    let id = u16::from_be_bytes([a, b]);
    let is_it = |((_, target), telling): &(&(DomainName, NotifyTarget), &mut Telling)| {
        telling.tries > 0 && telling.id == id && target.address == from
    };
    let Some((who, telling)) = told.iter_mut().find(is_it) else { return false };
    if let Some(verifier) = &mut telling.verifier
        && let Err(error) = verifier.verify(&mut reply, unix_secs)
    {
        tracing::warn!(zone = %who.0, %from, "the reply to NOTIFY is not believed: {error}");
        return false;
    }
    if rcode & 0xf != 0 {
        tracing::warn!(
            zone = %who.0, %from, rcode = rcode & 0xf,
            "the secondary refuses NOTIFY: is this server among its primaries, with this key?"
        );
        return false;
    }
    let who = who.clone();
    told.remove(&who);
    true
}

fn open(socket: &mut Option<UdpSocket>, address: SocketAddr) -> Option<&UdpSocket> {
    if socket.is_none() {
        let opened = UdpSocket::bind(address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        match opened {
            Ok(opened) => *socket = Some(opened),
            Err(error) => tracing::warn!(%error, "no socket for NOTIFY"),
        }
    }
    socket.as_ref()
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
        (socket, NotifyTarget { address, key: Some("transfer".parse().unwrap()) })
    }

    fn step_until(notifier: &mut Notifier, keys: &TsigKeys, now: Time) -> Outcome {
        for _ in 0..500 {
            let outcome = notifier.step(keys, now, 1_790_000_000);
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
        assert_eq!(notifier.step(&keys, now, 1_790_000_000), Outcome::default());
        let mut bytes = [0; 4096];
        let (length, _) = socket.recv_from(&mut bytes).unwrap();
        assert_eq!(bytes[2] & 0xf8, 0x20, "NOTIFY");
        // Nobody answers: told again, with another id.
        now += FIRST_WAIT;
        notifier.step(&keys, now, 1_790_000_000);
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
        assert_eq!(step_until(&mut notifier, &keys, now).acknowledged, 1);
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
            given_up += notifier.step(&keys, now, 0).given_up;
            now += Duration::from_secs(600);
        }
        assert_eq!((given_up, notifier.is_busy()), (1, false));
    }
}
