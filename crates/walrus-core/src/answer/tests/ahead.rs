//! What is fetched ahead: the places of names, then entries, and nothing for what is no query.

use super::fixture::{Ask, plan, table};
use crate::answer::{AHEAD_MAX, look_ahead};

fn fetched(queries: &[Vec<u8>]) -> usize {
    let mut fetched = 0;
    look_ahead(&table(plan()), queries.iter().map(Vec::as_slice), |_| fetched += 1);
    fetched
}

#[test]
fn slots_are_fetched_for_all_names_and_entries_for_those_that_exist() {
    let query = |name: &str| Ask::new(name, 1).bytes();
    assert_eq!(fetched(&[]), 0);
    assert_eq!(fetched(&[query("nobody.example")]), 1, "a slot");
    assert!((2..=3).contains(&fetched(&[query("ns.example")])), "a slot and one or two lines");
    let folded = fetched(&[query("nS.eXAMPLE")]);
    assert_eq!(folded, fetched(&[query("ns.example")]), "whatever the case");
    let both = fetched(&[query("ns.example"), query("nobody.example")]);
    assert_eq!(both, folded + 1);
}

#[test]
fn garbage_is_passed_over_and_a_batch_has_an_end() {
    assert_eq!(fetched(&[vec![], vec![0; 12], vec![0xff; 40]]), 0);
    let many = vec![Ask::new("nobody.example", 1).bytes(); AHEAD_MAX + 9];
    assert_eq!(fetched(&many), AHEAD_MAX);
}
