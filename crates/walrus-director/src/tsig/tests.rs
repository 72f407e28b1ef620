//! Signed messages against RFC 8945, and against `domain`'s reading of it.

use std::sync::Arc;

use domain::base::iana::Rcode;
use domain::base::name::Name;
use domain::base::{Message, MessageBuilder, Rtype};
use domain::rdata::tsig::Time48;
use domain::tsig::{
    Algorithm, ClientSequence, ClientTransaction, Key, KeyName, ServerSequence, ValidationError,
};
use walrus_core::config::TsigAlgorithm;

use super::{ReplyRefused, SharedKey, TsigKeys, TsigRefusal};

const NOW: u64 = 1_790_000_000;
const SECRET: &[u8] = b"a secret that both sides share, and nobody else";

fn key(algorithm: TsigAlgorithm) -> SharedKey {
    SharedKey::new("Transfer.example".parse().expect("a name"), algorithm, SECRET)
}

fn keys() -> TsigKeys {
    [key(TsigAlgorithm::HmacSha256)].into_iter().collect()
}

fn domain_key(algorithm: Algorithm) -> Arc<Key> {
    let name: KeyName = "transfer.EXAMPLE".parse().expect("a name");
    Arc::new(Key::new(algorithm, SECRET, name, None, None).expect("a key"))
}

fn request() -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec().question();
    builder.header_mut().set_id(4711);
    let name = Name::<Vec<u8>>::from_chars("example.com".chars()).expect("a name");
    builder.push((name, Rtype::AXFR)).expect("there is room");
    builder.finish()
}

fn reply_to(request: &[u8]) -> Vec<u8> {
    let request = Message::from_slice(request).expect("a message");
    let builder = MessageBuilder::new_vec().start_answer(request, Rcode::NOERROR);
    builder.expect("there is room").finish()
}

fn time(seconds: u64) -> Time48 {
    Time48::from_u64(seconds)
}

#[test]
fn what_one_side_signs_the_other_believes_over_many_replies() {
    for algorithm in
        [TsigAlgorithm::HmacSha256, TsigAlgorithm::HmacSha384, TsigAlgorithm::HmacSha512]
    {
        let keys: TsigKeys = [key(algorithm)].into_iter().collect();
        let plain = request();
        let mut message = plain.clone();
        let mut verifier = key(algorithm).sign_request(&mut message, NOW);
        assert!(message.len() <= plain.len() + key(algorithm).signature_size());
        let mut signer =
            keys.verify(&mut message, NOW + 299).expect("it is right").expect("signed");
        assert_eq!(message, plain, "the signature is taken off");
        for _ in 0..3 {
            let unsigned = reply_to(&plain);
            let mut reply = unsigned.clone();
            signer.sign(&mut reply, NOW);
            verifier.verify(&mut reply, NOW).expect("it is right");
            assert_eq!(reply, unsigned);
        }
        verifier.finish().expect("the last was signed");
    }
    assert_eq!(keys().verify(&mut request(), NOW).map(|it| it.is_none()).ok(), Some(true));
}

#[test]
fn domain_believes_our_replies_and_we_believe_its() {
    let ours = [
        (TsigAlgorithm::HmacSha256, Algorithm::Sha256),
        (TsigAlgorithm::HmacSha384, Algorithm::Sha384),
        (TsigAlgorithm::HmacSha512, Algorithm::Sha512),
    ];
    for (algorithm, theirs) in ours {
        let keys: TsigKeys = [key(algorithm)].into_iter().collect();
        let mut builder =
            Message::from_octets(request()).map(|_| MessageBuilder::new_vec().question());
        let mut question = builder.as_mut().expect("a message").clone();
        question.push((Name::root_vec(), Rtype::AXFR)).expect("there is room");
        let mut additional = question.additional();
        let client = ClientSequence::request(domain_key(theirs), &mut additional, time(NOW));
        let mut client = client.expect("there is room");
        let mut message = additional.finish();
        let mut signer = keys.verify(&mut message, NOW).expect("it is right").expect("signed");
        for _ in 0..3 {
            let mut reply = reply_to(&message);
            signer.sign(&mut reply, NOW);
            let mut reply = Message::from_octets(reply).expect("a message");
            client.answer(&mut reply, time(NOW)).expect("domain believes it");
        }
        client.done().expect("all is signed");

        let mut message = request();
        let mut verifier = key(algorithm).sign_request(&mut message, NOW);
        let mut message = Message::from_octets(message).expect("a message");
        let server = ServerSequence::request(&domain_key(theirs), &mut message, time(NOW));
        let mut server = server.ok().flatten().expect("domain believes it");
        for _ in 0..3 {
            let builder = MessageBuilder::new_vec();
            let mut builder =
                builder.start_answer(&message, Rcode::NOERROR).expect("room").additional();
            server.answer(&mut builder, time(NOW)).expect("there is room");
            verifier.verify(&mut builder.finish(), NOW).expect("it is right");
        }
        verifier.finish().expect("all is signed");
    }
}

/// A request's refusal and how the client reads the reply that says so.
fn refused(mut message: Vec<u8>, keys: &TsigKeys, now: u64) -> (TsigRefusal, Vec<u8>) {
    let before = message.clone();
    let refusal = keys.verify(&mut message, now).expect_err("it is wrong");
    assert_eq!(message, before, "what is refused stays as it came");
    let reply = refusal.clone().reply(&message, now).expect("there is a reply");
    (refusal, reply)
}

fn rcode(reply: &[u8]) -> Rcode {
    Message::from_slice(reply).expect("a message").header().rcode()
}

#[test]
fn an_unknown_key_is_told_unsigned() {
    let mut message = request();
    let other = SharedKey::new("other".parse().expect("a name"), TsigAlgorithm::HmacSha256, SECRET);
    let mut verifier = other.sign_request(&mut message, NOW);
    let keys = keys();
    let (refusal, mut reply) = refused(message, &keys, NOW);
    assert!(matches!(refusal, TsigRefusal::UnknownKey));
    assert_eq!(rcode(&reply), Rcode::NOTAUTH);
    assert_eq!(verifier.verify(&mut reply, NOW), Err(ReplyRefused::KeyUnknown));
    assert_eq!(keys.counts().snapshot().bad_key, 1);
    // Another algorithm is another key (RFC 8945 section 5.2.1).
    let mut message = request();
    let _ = key(TsigAlgorithm::HmacSha512).sign_request(&mut message, NOW);
    assert!(matches!(refused(message, &keys, NOW).0, TsigRefusal::UnknownKey));
}

#[test]
fn a_wrong_secret_and_a_changed_request_are_bad_signatures() {
    let keys = keys();
    let name = "transfer.example".parse().expect("a name");
    let other = SharedKey::new(name, TsigAlgorithm::HmacSha256, b"another secret");
    let mut message = request();
    let mut verifier = other.sign_request(&mut message, NOW);
    let (refusal, mut reply) = refused(message, &keys, NOW);
    assert!(matches!(refusal, TsigRefusal::WrongSignature));
    assert_eq!(rcode(&reply), Rcode::NOTAUTH);
    assert_eq!(verifier.verify(&mut reply, NOW), Err(ReplyRefused::SignatureRefused));
    let mut message = request();
    let _ = key(TsigAlgorithm::HmacSha256).sign_request(&mut message, NOW);
    message[13] ^= 0x01;
    assert!(matches!(refused(message, &keys, NOW).0, TsigRefusal::WrongSignature));
    assert_eq!(keys.counts().snapshot().bad_signature, 2);
}

#[test]
fn a_wrong_time_is_told_signed_with_the_time_here() {
    let keys = keys();
    let mut message = request();
    let mut verifier = key(TsigAlgorithm::HmacSha256).sign_request(&mut message, NOW);
    let (refusal, mut reply) = refused(message, &keys, NOW + 301);
    assert!(matches!(refusal, TsigRefusal::WrongTime { .. }));
    assert_eq!(rcode(&reply), Rcode::NOTAUTH);
    let told = verifier.verify(&mut reply, NOW);
    assert_eq!(told, Err(ReplyRefused::ClockDiffers { ahead: 301 }));
    assert_eq!(keys.counts().snapshot().bad_time, 1);
}

#[test]
fn records_in_the_wrong_place_are_format_errors() {
    let keys = keys();
    let mut twice = request();
    let _ = key(TsigAlgorithm::HmacSha256).sign_request(&mut twice, NOW);
    let _ = key(TsigAlgorithm::HmacSha256).sign_request(&mut twice, NOW);
    let (refusal, reply) = refused(twice, &keys, NOW);
    assert!(matches!(refusal, TsigRefusal::Malformed));
    assert_eq!(rcode(&reply), Rcode::FORMERR);
    // A message that ends in the middle of its record, at every place.
    let mut message = request();
    let unsigned = message.len();
    let _ = key(TsigAlgorithm::HmacSha256).sign_request(&mut message, NOW);
    for end in 0..message.len() {
        let mut cut = message[..end].to_vec();
        assert!(keys.verify(&mut cut, NOW).is_err(), "cut to {end} bytes of {unsigned} and more");
        let _ = TsigRefusal::Malformed.reply(&cut, NOW);
    }
    // Replies are no requests: nothing is sent back.
    let mut reply = reply_to(&request());
    reply[2] |= 0x80;
    assert!(TsigRefusal::UnknownKey.reply(&reply, NOW).is_none());
}

#[test]
fn a_signature_that_is_cut_short_is_not_taken() {
    let keys = keys();
    for (kept, malformed) in [(16, false), (15, true), (0, true)] {
        let mut message = request();
        let unsigned = message.len();
        let _ = key(TsigAlgorithm::HmacSha256).sign_request(&mut message, NOW);
        let names = 18 + 13;
        let length = unsigned + names + 10 + 8;
        message[length + 1] = kept;
        message.drain(length + 2 + usize::from(kept)..length + 2 + 32);
        let size = unsigned + 18 + 8;
        let data = u16::from_be_bytes([message[size], message[size + 1]]) - 32 + u16::from(kept);
        message[size..size + 2].copy_from_slice(&data.to_be_bytes());
        let (refusal, reply) = refused(message, &keys, NOW);
        match refusal {
            TsigRefusal::Malformed => assert!(malformed, "{kept}"),
            TsigRefusal::ShortSignature { .. } => assert!(!malformed, "{kept}"),
            other => panic!("{kept}: {other}"),
        }
        let expected = if malformed { Rcode::FORMERR } else { Rcode::NOTAUTH };
        assert_eq!(rcode(&reply), expected);
        // RFC 8945 section 5.3.2: that the signature is too short is told with a signature.
        assert_eq!(reply.len() > request().len() + 32 + 49, !malformed, "{}", reply.len());
    }
}

#[test]
fn replies_may_be_unsigned_in_between_but_not_at_either_end() {
    let mut message = request();
    let mut verifier = key(TsigAlgorithm::HmacSha256).sign_request(&mut message, NOW);
    assert_eq!(verifier.verify(&mut reply_to(&request()), NOW), Err(ReplyRefused::Unsigned));
    let mut message = request();
    let mut verifier = key(TsigAlgorithm::HmacSha256).sign_request(&mut message, NOW);
    let keys = keys();
    let mut signer = keys.verify(&mut message, NOW).expect("it is right").expect("signed");
    let mut first = reply_to(&message);
    signer.sign(&mut first, NOW);
    verifier.verify(&mut first, NOW).expect("it is right");
    for _ in 0..99 {
        verifier.verify(&mut reply_to(&message), NOW).expect("so many may be unsigned");
    }
    assert_eq!(verifier.finish(), Err(ReplyRefused::Unsigned));
    assert_eq!(verifier.verify(&mut reply_to(&message), NOW), Err(ReplyRefused::Unsigned));
    // A later reply is not signed over the ones in between by this signer: it is not believed.
    let mut second = reply_to(&message);
    signer.sign(&mut second, NOW);
    assert_eq!(verifier.verify(&mut second, NOW), Err(ReplyRefused::WrongSignature));
}

#[test]
fn domain_reads_what_we_say_of_a_wrong_key_and_secret() {
    let keys: TsigKeys = [].into_iter().collect();
    let mut question = MessageBuilder::new_vec().question();
    question.push((Name::root_vec(), Rtype::SOA)).expect("there is room");
    let mut additional = question.additional();
    let client =
        ClientTransaction::request(domain_key(Algorithm::Sha256), &mut additional, time(NOW))
            .expect("there is room");
    let (_, reply) = refused(additional.finish(), &keys, NOW);
    let mut reply = Message::from_octets(reply).expect("a message");
    let told = client.answer(&mut reply, time(NOW));
    assert!(matches!(told, Err(ValidationError::ServerBadKey)), "{told:?}");
}
