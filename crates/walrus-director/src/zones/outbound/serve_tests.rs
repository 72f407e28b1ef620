//! Requests to a running Director: who waits for a zone takes no place of others, and who is known to have asked.

use walrus_core::config::{SerialPolicy, TransferRule, TsigAlgorithm};
use walrus_core::zone::zone_of_nameservers;

use super::super::OutboundSettings;
use super::super::round::tests::{sent, serials, start, until};
use super::*;
use crate::fixture::zone;
use crate::tsig::SharedKey;

/// For a zone, with the serial that the client has.
fn incoming(apex: &DomainName, record_type: u16, serial: u32, transport: Transport) -> Incoming {
    let [high, low] = record_type.to_be_bytes();
    let mut message =
        vec![7, 7, 0, 0, 0, 1, 0, 0, 0, u8::from(record_type == record_type::IXFR), 0, 0];
    message.extend_from_slice(apex.as_wire());
    message.extend_from_slice(&[high, low, 0, 1]);
    if record_type == record_type::IXFR {
        // The question's name, type and class, TTL, length, two names, the serial and four more numbers.
        message.extend_from_slice(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0");
        message.extend_from_slice(&serial.to_be_bytes());
        message.extend_from_slice(&[0; 16]);
    }
    let (client, local) = ([127, 0, 0, 9].into(), ([127, 0, 0, 1], 53).into());
    Incoming { message, client, local, transport }
}

#[test]
fn who_waits_for_one_zone_keeps_nobody_from_another() {
    let absent: DomainName = "absent.example".parse().unwrap();
    let unloaded = Arc::new(zone_of_nameservers(&absent, &["ns.example.net".parse().unwrap()]));
    let (director, _time) = start(vec![zone()], Vec::new(), &[]);
    let zones = sent(&[zone(), unloaded], SerialPolicy::UnixTime);
    director.set_outbound(OutboundSettings { zones, ..OutboundSettings::default() });
    until("one is ready", || serials(&director).iter().any(Option::is_some));
    let outbound = &director.inner().outbound;
    let ask = |apex: &DomainName| {
        outbound.begin(incoming(apex, record_type::AXFR, 0, Transport::Tcp)).unwrap()
    };
    let mut waiting: Vec<_> = (0..10).map(|_| ask(&absent)).collect();
    // As many of one client wait as may be sent a zone.
    let told = waiting.iter_mut().filter_map(|it| it.try_recv().ok());
    assert_eq!(told.map(|reply| reply[3] & 15).collect::<Vec<_>>(), [2, 2]);
    let reply = ask(zone().apex()).blocking_recv().unwrap();
    assert_eq!(reply[3] & 15, 0);
    director.shutdown();
}

#[test]
fn what_a_datagram_says_whose_address_may_be_forged_is_not_told() {
    let (director, _time) = start(vec![zone()], Vec::new(), &[]);
    let zones = sent(&[zone()], SerialPolicy::UnixTime);
    director.set_outbound(OutboundSettings { zones, ..OutboundSettings::default() });
    until("it is ready", || serials(&director) != [None]);
    let outbound = &director.inner().outbound;
    let key = SharedKey::new("k".parse().unwrap(), TsigAlgorithm::HmacSha256, b"secret");
    outbound.keys.store(Arc::new([key.clone()].into_iter().collect()));
    let known = |transport, is_signed, serial| {
        let mut codes = Vec::new();
        let mut request = incoming(zone().apex(), record_type::IXFR, serial, transport);
        if is_signed {
            let _ = key.sign_request(&mut request.message, outbound.unix_secs());
        }
        outbound.serve(request, None, &mut |reply: Vec<u8>| {
            codes.push(reply[3] & 15);
            true
        });
        assert_eq!(codes, [0], "{transport:?}");
        director.outbound().remove(0).recipients
    };
    assert_eq!(known(Transport::Udp, false, 7), []);
    assert_eq!(known(Transport::Udp, true, 7), [], "somebody may have recorded it");
    let by_tcp = known(Transport::Tcp, false, 7);
    assert_eq!((by_tcp.len(), by_tcp[0].0), (1, [127, 0, 0, 9].into()));
    let sent = by_tcp[0].1.serial;
    assert_eq!(known(Transport::Udp, true, 3)[0].1.serial, sent, "not what is recorded");
    director.shutdown();
}

#[test]
fn who_waits_is_admitted_by_the_rules_that_hold_then_and_goes_with_its_client() {
    let absent: DomainName = "absent.example".parse().unwrap();
    let unloaded = Arc::new(zone_of_nameservers(&absent, &["ns.example.net".parse().unwrap()]));
    let (director, _time) = start(vec![zone()], Vec::new(), &[]);
    let zones = sent(&[unloaded], SerialPolicy::UnixTime);
    director.set_outbound(OutboundSettings { zones: zones.clone(), ..OutboundSettings::default() });
    let outbound = &director.inner().outbound;
    let asked = outbound.look_at(incoming(&absent, record_type::AXFR, 0, Transport::Tcp), None);
    let Work::Task(answer, Task::Wait(_place)) = asked else { panic!("it waits") };
    assert_eq!(outbound.wait(&answer, &|| true).unwrap_err(), InVain::Gone);
    let elsewhere = TransferRule { from: Some(([192, 0, 2, 0].into(), 24)), key: None };
    let mut zones = zones;
    zones.values_mut().for_each(|it| it.transfer_to = vec![elsewhere.clone()]);
    director.set_outbound(OutboundSettings { zones, ..OutboundSettings::default() });
    let snapshot = Arc::new(Snapshot { zone: zone(), history: Vec::new() });
    outbound.snapshots.store(Arc::new([(absent.clone(), snapshot)].into()));
    assert_eq!(outbound.wait(&answer, &|| false).unwrap_err(), InVain::NotAdmitted);
    director.shutdown();
}
