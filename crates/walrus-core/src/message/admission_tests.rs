//! Claims and proofs.

use proptest::prelude::*;

use super::*;

fn identity(role: IdentityRole, name: &str, tokens: &[&str]) -> Identity {
    Identity {
        name: name.parse().unwrap(),
        role,
        may: OperatorRight::Steer,
        tokens: tokens.iter().map(|token| TokenHash::of(token)).collect(),
        certificate: vec![format!("{name}.example.net").parse().unwrap()],
    }
}

fn admission() -> Admission {
    own().with_shared(Some(TokenHash::of("reporters")), Some(TokenHash::of("nodes"))).unwrap()
}

fn own() -> Admission {
    let identities = [
        identity(IdentityRole::Reporter, "fra1", &["old", "new"]),
        identity(IdentityRole::Node, "fra1", &["node"]),
        identity(IdentityRole::Operator, "fra1", &["human"]),
    ];
    Admission::new(identities).unwrap()
}

fn by_token(token: &str) -> Proof {
    Proof { token: Some(TokenHash::of(token)), certificate: None }
}

fn by_certificate(uris: &[&str], domains: &[&str]) -> Proof {
    let certificate = CertificateNames {
        uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
        domains: domains.iter().map(|domain| domain.parse().unwrap()).collect(),
    };
    Proof { token: None, certificate: Some(certificate) }
}

#[test]
fn each_role_and_name_has_its_own_tokens_and_no_others() {
    use IdentityRole::{Node, Reporter};
    use Proved::{SharedToken, Token};
    let admission = admission();
    let cases = [
        (Reporter, "fra1", "old", Ok(Token)),
        (Reporter, "fra1", "new", Ok(Token)),
        (Node, "fra1", "node", Ok(Token)),
        (Reporter, "fra2", "reporters", Ok(SharedToken)),
        (Node, "ns2", "nodes", Ok(SharedToken)),
        (Reporter, "fra1", "reporters", Err("has a token or certificate of its own")),
        (Node, "fra1", "nodes", Err("has a token or certificate of its own")),
        (Reporter, "fra1", "node", Err("the token of node `fra1` came from one that calls itself")),
        (Reporter, "fra2", "old", Err("the token of Reporter `fra1`")),
        (Node, "fra1", "human", Err("the token of operator `fra1`")),
        (Node, "ns2", "reporters", Err("the token of another role")),
        (Reporter, "fra2", "nodes", Err("the token of another role")),
        (Reporter, "fra2", "wrong", Err("a wrong token: give the Reporter its own token")),
        (Node, "ns2", "", Err("a wrong token: give the node its own token")),
    ];
    for (role, name, token, wanted) in cases {
        let found = admission.admit(role, &name.parse().unwrap(), &by_token(token));
        match (found, wanted) {
            (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{role} {name} {token}"),
            (Err(error), Err(part)) => {
                let text = error.to_string();
                assert!(text.contains(part), "{role} {name} {token}: {text}");
            }
            (found, wanted) => panic!("{role} {name} {token}: {found:?}, not {wanted:?}"),
        }
    }
    let nothing = admission.admit(Reporter, &"fra1".parse().unwrap(), &Proof::default());
    assert!(nothing.unwrap_err().to_string().starts_with("no token and no certificate"));
    let alone = own().with_shared(None, Some(TokenHash::of("nodes"))).unwrap();
    let shared = alone.admit(Reporter, &"fra2".parse().unwrap(), &by_token("reporters"));
    assert_eq!(
        shared.unwrap_err().to_string(),
        "a wrong token: Reporter `fra2` needs a token of its own: `walrus identity new fra2 --role \
         reporter`"
    );
}

#[test]
fn a_certificate_speaks_for_whom_it_names() {
    let admission = admission();
    let admit = |role, name: &str, proof: &Proof| {
        admission.admit(role, &name.parse().unwrap(), proof).map_err(|error| error.to_string())
    };
    let uri = by_certificate(&["https://example.net", "walrus:reporter/fra2"], &[]);
    assert_eq!(admit(IdentityRole::Reporter, "fra2", &uri), Ok(Proved::Certificate));
    let other = admit(IdentityRole::Reporter, "fra22", &uri).unwrap_err();
    assert!(other.contains("not of Reporter `fra22`"), "{other}");
    assert!(other.contains("walrus:reporter/fra22"), "{other}");
    assert!(admit(IdentityRole::Node, "fra2", &uri).is_err());
    let domain = by_certificate(&[], &["FRA1.example.net"]);
    assert_eq!(admit(IdentityRole::Reporter, "fra1", &domain), Ok(Proved::Certificate));
    assert!(admit(IdentityRole::Reporter, "fra2", &domain).is_err(), "it names somebody else");
    // Whoever brings both is known by either.
    let both = Proof { token: by_token("reporters").token, ..domain };
    assert_eq!(admit(IdentityRole::Reporter, "fra2", &both), Ok(Proved::SharedToken));
    let rude = by_certificate(&["walrus:\n\u{7}"], &[]);
    let text = admit(IdentityRole::Reporter, "fra1", &rude).unwrap_err();
    assert!(!text.contains('\u{7}') && !text.contains('\n'), "{text}");
}

/// By hash or by file, of one role or of two: whose it is must not hang on an order.
#[test]
fn no_token_is_that_of_two() {
    let (fra1, node) = (
        identity(IdentityRole::Reporter, "fra1", &["one", "one"]),
        identity(IdentityRole::Node, "ns2", &["two", "one"]),
    );
    let told = Admission::new([fra1.clone(), node]).unwrap_err().to_string();
    assert!(told.starts_with("node `ns2` has the same token as Reporter `fra1`"), "{told}");
    let alone = Admission::new([fra1]).unwrap();
    let (one, other) = (TokenHash::of("one"), TokenHash::of("other"));
    assert!(alone.clone().with_shared(Some(other), Some(other)).is_ok());
    for (reporters, nodes, whose) in
        [(Some(one), None, "all Reporters"), (None, Some(one), "all nodes")]
    {
        let told = alone.clone().with_shared(reporters, nodes).unwrap_err().to_string();
        assert!(told.contains(&format!("Reporter `fra1` has the same token as {whose}")), "{told}");
    }
}

#[test]
fn operators_are_known_by_their_tokens_alone() {
    let admission = admission();
    assert_eq!(admission.operator(&TokenHash::of("human")).unwrap().name.as_str(), "fra1");
    for other in ["old", "node", "reporters", "nodes", ""] {
        assert!(admission.operator(&TokenHash::of(other)).is_none(), "{other}");
    }
}

proptest! {
    /// Of random identities and claims, the one whose token it is gets in by it, and nobody else.
    #[test]
    fn a_token_of_ones_own_is_good_for_one_role_and_name(
        claim in 0_usize..6, token in 0_usize..8,
    ) {
        let who = |index: usize| {
            let role = [IdentityRole::Reporter, IdentityRole::Node, IdentityRole::Operator][index % 3];
            (role, ["fra1", "fra2"][index / 3])
        };
        let identities = (0..6).map(|index| {
            let (role, name) = who(index);
            identity(role, name, &[&format!("token{index}")])
        });
        let admission = Admission::new(identities).unwrap();
        let (role, name) = who(claim);
        let found = admission.admit(role, &name.parse().unwrap(), &by_token(&format!("token{token}")));
        prop_assert_eq!(found.is_ok(), token == claim);
    }
}
