//! Whose lists of revocations are taken, and what happens to one that has run out.

use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
};
use walrus_core::config::GroupSettings;

use super::*;
use crate::clock::Clock;

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> u64 {
    Clock::real().unix_ms() / 1000
}

/// An authority of any name, made by itself or by one above it.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str, above: Option<&Self>) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let made = match above {
            Some(above) => parameters.signed_by(&key, &above.issuer),
            None => parameters.self_signed(&key),
        };
        let pem = made.unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    /// An empty list, made so many days ago for so many days.
    fn list(&self, days_ago: u32, days: u32) -> String {
        let since = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now()) - DAY * days_ago;
        let list = CertificateRevocationListParams {
            this_update: since,
            next_update: since + DAY * days,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    fn certificate(&self) -> PeerCertificate {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec!["fra1.example.net".to_owned()]).unwrap();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        vec![parameters.signed_by(&key, &self.issuer).unwrap().der().clone()]
    }

    fn certificate_with(&self, parameters: CertificateParams, key: &KeyPair) -> String {
        parameters.signed_by(key, &self.issuer).unwrap().pem()
    }
}

fn load(
    folder: &Path,
    authorities: &[&Authority],
    lists: &[String],
) -> Result<ClientAuthority, TlsError> {
    let (public, revoked) = (folder.join("clients.pem"), folder.join("clients.crl"));
    let pem: String = authorities.iter().map(|it| it.pem.as_str()).collect();
    std::fs::write(&public, pem).unwrap();
    std::fs::write(&revoked, lists.concat()).unwrap();
    let settings = GroupSettings {
        client_authority: Some(public),
        client_revocations: Some(revoked),
        ..GroupSettings::default()
    };
    ClientAuthority::load(&settings).map(|loaded| loaded.unwrap())
}

#[test]
fn lists_are_matched_by_name_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let root = Authority::new("Root", None);
    let issuing = Authority::new("Issuing", Some(&root));
    let other = Authority::new("Other", None);
    let twin = Authority::new("Issuing", None);
    let list = |of: &Authority| of.list(0, 30);
    let both = [&root, &issuing];
    for (authorities, lists, refused) in [
        // An authority that only vouches for others needs no list.
        (&both[..], vec![list(&issuing)], None),
        (&both[..], vec![list(&root), list(&issuing)], None),
        (&both[..], vec![list(&root)], Some("no list of revocations of `Issuing`")),
        (&[&root][..], vec![list(&issuing)], None),
        (&[&root, &other][..], vec![list(&root)], Some("no list of revocations of `Other`")),
        (&both[..], vec![list(&twin)], Some("not signed with the key of the `Issuing`")),
        (&[&issuing, &twin][..], vec![list(&twin)], Some("two keys have the name `Issuing`")),
        (&both[..], vec![], Some("holds no list of revocations (")),
    ] {
        match (load(folder.path(), authorities, &lists), refused) {
            (Ok(_), None) => {}
            (Err(error), Some(wanted)) => {
                let told = error.to_string();
                assert!(told.contains(wanted), "{told}");
            }
            (found, wanted) => panic!("{wanted:?}: {found:?}"),
        }
    }
    let loaded = load(folder.path(), &both, &[list(&issuing)]).unwrap();
    let names = loaded.names_in(&issuing.certificate()).unwrap();
    assert_eq!(names.domains.len(), 1);
    assert!(loaded.names_in(&other.certificate()).is_err());
}

/// An older list that was left in the file would be the first that fits.
#[test]
fn the_newest_of_an_authoritys_lists_counts() {
    let folder = tempfile::tempdir().unwrap();
    let root = Authority::new("Root", None);
    let lists = [root.list(40, 30), root.list(0, 30), root.list(50, 30)];
    let loaded = load(folder.path(), &[&root], &lists).unwrap();
    loaded.names_in(&root.certificate()).unwrap();
}

#[test]
fn a_list_that_has_run_out_is_taken_and_told_of_and_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let root = Authority::new("Root", None);
    let loaded = load(folder.path(), &[&root], &[root.list(40, 30)]).unwrap();
    let refused = loaded.names_in(&root.certificate()).unwrap_err().to_string();
    assert!(refused.contains("expired"), "{refused}");
    let told = expiries(&folder.path().join("clients.crl")).unwrap();
    assert_eq!((told.len(), told[0].is_list, told[0].name.as_str()), (1, true, "Root"));
    assert_eq!(told[0].holds(now()), Holds::NoMore);
    let text = told[0].told("[group] client_revocations", now()).unwrap();
    assert!(text.contains("ran out 10 days ago, so no certificate of that authority"), "{text}");
    let authority = expiries(&folder.path().join("clients.pem")).unwrap();
    assert_eq!(authority[0].holds(now()), Holds::Yes);
}

#[test]
fn what_is_on_a_list_is_read_from_it_again() {
    let (ours, theirs) = (new_authority(now()).unwrap(), new_authority(now()).unwrap());
    let revoked = |hex: &str, unix_s| Revoked { serial: Serial::from_hex(hex).unwrap(), unix_s };
    // With a first bit that would make it negative, and without.
    let all = vec![revoked("ff:00:01", 1_700_000_000), revoked("0102030405060708", 1_790_000_000)];
    let list = revocation_list(&ours.key, &all, now(), 30).unwrap();
    assert_eq!(revoked_in(&ours.key, &list).unwrap(), all);
    assert_eq!(all[0].serial.to_hex(), "ff0001");
    let empty = revocation_list(&ours.key, &[], now(), 30).unwrap();
    assert_eq!(revoked_in(&ours.key, &empty).unwrap(), []);
    for (key, list) in [(&theirs.key, list.as_str()), (&ours.key, "no list"), (&ours.key, "")] {
        assert!(revoked_in(key, list).is_err());
    }
    let node = (walrus_core::world::IdentityRole::Node, &"one".parse().unwrap());
    let made = issue(&ours.key, node, now(), 30).unwrap().certificate;
    assert_eq!(serial_issued(&ours.key, &made).unwrap(), Serial::of(&made).unwrap());
    assert!(serial_issued(&theirs.key, &made).is_err());
    // By its own word one of ours, and signed by somebody else.
    let forged = {
        let key = KeyPair::generate().unwrap();
        let public = CertificateDer::from_pem_slice(ours.certificate.as_bytes()).unwrap();
        let words = dates::CertificateWords::read(&public).unwrap();
        Authority::new(&dates::name_of(words.subject), None)
            .certificate_with(CertificateParams::default(), &key)
    };
    assert!(serial_issued(&ours.key, &forged).is_err());
    for none in ["", "f", "0g", "+1", "ä", &"00".repeat(21)] {
        assert_eq!(Serial::from_hex(none), None, "{none}");
    }
}
