//! Requests to a running Director: who waits for a zone takes no place of others, and who is known to have asked.

use walrus_core::config::SerialPolicy;
use walrus_core::zone::zone_of_nameservers;

use super::super::OutboundSettings;
use super::super::round::tests::{sent, serials, start, until};
use super::*;
use crate::fixture::zone;

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
    let known = |transport| {
        let mut codes = Vec::new();
        let request = incoming(zone().apex(), record_type::IXFR, 7, transport);
        outbound.serve(request, &mut |reply: Vec<u8>| {
            codes.push(reply[3] & 15);
            true
        });
        assert_eq!(codes, [0], "{transport:?}");
        director.outbound().remove(0).recipients
    };
    assert_eq!(known(Transport::Udp), []);
    let by_tcp = known(Transport::Tcp);
    assert_eq!((by_tcp.len(), by_tcp[0].0), (1, [127, 0, 0, 9].into()));
    director.shutdown();
}
