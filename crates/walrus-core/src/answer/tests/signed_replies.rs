//! What replies and explanations from a signed zone carry.

use walrus_dns::record_type;

use super::fixture::{Ask, list, name};
use super::signer::{SERVICE, Signer, key};
use crate::answer::{ExplainRequest, WorkerState, explain};

#[test]
fn replies_carry_the_signatures_to_whoever_wants_them() {
    let mut signer = Signer::new();
    signer.apply(Some(2), &[list(&[0, 1, 2]), list(&[0, 1, 2])], false);
    let mut worker = WorkerState::new(1, &signer.table);
    for of_type in [record_type::A, record_type::MX, record_type::HTTPS, record_type::SRV] {
        let mut ask = Ask::new(SERVICE, of_type);
        let plain = ask.answer(&signer.table, &mut worker);
        ask.edns = Some((1232, true));
        let signed = ask.answer(&signer.table, &mut worker);
        let answers = |reply: &super::fixture::Reply| u16::from_be_bytes([reply.0[6], reply.0[7]]);
        assert_eq!(answers(&signed), answers(&plain) + 1, "type {of_type}");
    }
}

#[test]
fn an_explanation_tells_who_signed_and_for_how_long() {
    let mut signer = Signer::new();
    signer.apply(Some(2), &[list(&[0, 1, 2]), list(&[0, 1, 2])], false);
    let worker = WorkerState::new(1, &signer.table);
    let ask = |record_type| ExplainRequest {
        name: name(SERVICE),
        record_type,
        resolver: [192, 0, 2, 77].into(),
        client: None,
        local: ([192, 0, 2, 99], 53).into(),
        now: crate::world::Time::ZERO,
    };
    let told = explain(&signer.table, &worker, &ask(record_type::A));
    assert!(told.answer.iter().all(|record| !record.contains("RRSIG")), "{told:#?}");
    let [signature] = &told.signatures[..] else { panic!("{told:#?}") };
    assert_eq!((&*signature.covers, signature.algorithm), ("A", 15));
    assert_eq!((&*signature.owner, signature.key_tag), (SERVICE, key(1).tag()));
    // START is 15 January 2027.
    assert!(signature.inception.starts_with("202701") && signature.inception < signature.expiry);
    let nothing = explain(&signer.table, &worker, &ask(record_type::CAA));
    assert!(nothing.answer.is_empty() && nothing.authority[0].contains("SOA"), "{nothing:#?}");
}
