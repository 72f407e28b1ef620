//! What a key may change.

use super::*;

fn rule(names: &[&str], below: &[&str], types: &[u16], acme: bool) -> UpdateRules {
    let all = |texts: &[&str]| texts.iter().map(|text| name(text)).collect();
    let (names, below) = (all(names), all(below));
    UpdateRules(vec![UpdateRule { names, below, types: types.into(), acme }])
}

#[test]
fn a_rule_lets_through_what_it_names() {
    let acme = rule(&[], &[], &[], true);
    let of_one = rule(&["_acme-challenge"], &[], &[16], false);
    let below = rule(&[], &["dyn"], &[1, 28], false);
    let acme_below = rule(&[], &["dyn"], &[], true);
    let both = UpdateRules([of_one.0.clone(), below.0.clone()].concat());
    for (rules, change, is_allowed) in [
        (&acme, "_acme-challenge TXT \"x\"", true),
        (&acme, "_acme-challenge.www TXT \"x\"", true),
        (&acme, "_acme-challenge A 192.0.2.1", false),
        (&acme, "x._acme-challenge TXT \"x\"", false),
        (&acme, "a TXT \"x\"", false),
        (&acme, "*_acme-challenge ANY", true),
        (&acme, "*a ANY", false),
        (&of_one, "_acme-challenge TXT \"x\"", true),
        (&of_one, "_acme-challenge.www TXT \"x\"", false),
        (&of_one, "-_acme-challenge TXT \"x\"", true),
        (&of_one, "*_acme-challenge CNAME", false),
        (&below, "dyn A 192.0.2.1", true),
        (&below, "host.dyn A 192.0.2.1", true),
        (&below, "host.dyn TXT \"x\"", false),
        (&below, "hostdyn A 192.0.2.1", false),
        (&below, "*host.dyn ANY", true),
        (&acme_below, "_acme-challenge.dyn TXT \"x\"", true),
        (&acme_below, "_acme-challenge TXT \"x\"", false),
        (&both, "host.dyn A 192.0.2.1", true),
        (&both, "_acme-challenge TXT \"x\"", true),
        (&both, "host.dyn TXT \"x\"", false),
        (&both, "@ SOA ns1 other 90 1 2 3 4", false),
    ] {
        let decided = decide(&zone(), &message(&[], &[change]), rules);
        assert_eq!(decided.is_ok(), is_allowed, "{change} {rules:?} {decided:?}");
    }
}

/// Also what an earlier change of the same message has put there.
#[test]
fn all_of_a_name_goes_only_if_each_of_its_sets_may() {
    let texts = rule(&[], &[], &[16], false);
    assert!(decide(&zone(), &message(&[], &["*a ANY"]), &texts).is_err(), "it has addresses");
    let first = message(&[], &["*a TXT", "*a ANY"]);
    assert!(decide(&zone(), &first, &texts).is_err(), "still");
    assert!(decide(&zone(), &message(&[], &["*deep.under.here ANY"]), &texts).is_ok());
    // SOA and NS stay at the apex whoever asks.
    assert!(decide(&zone(), &message(&[], &["*@ ANY"]), &texts).is_ok());
}

#[test]
fn the_refusal_says_what_and_where() {
    let refused = decide(&zone(), &message(&[], &["a MX 10 b"]), &rule(&["b"], &[], &[], false));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "no rule lets this key change MX records at a.example: see `updates` in the [[zone]]"
    );
    let refused = decide(&zone(), &message(&[], &["www TXT \"x\""]), &everything());
    assert!(refused.unwrap_err().to_string().starts_with("www.example is a service: "));
}
