//! Whose word counts: of several nodes, of other masters' Plans, and of one that answers again.

use super::*;

fn of(epoch: u64, controller: &str, sequence: u64) -> PlanNumber {
    PlanNumber { epoch, controller: name(controller), sequence }
}

/// What a node tells of one name server.
fn word(address: &str, plan: Option<PlanNumber>, problem: Option<&str>) -> KeptNameServers {
    let mut word = kept(None, problem);
    (word.name_servers[0].address, word.name_servers[0].plan) = (address.to_owned(), plan);
    word
}

const BIND: &str = "192.0.2.53:53";

/// After a first move, at 1000 s; the name server had the Plan before it by all words.
fn kept_by(nodes: &[&str]) -> Moves {
    let mut moves = Moves::new(at(0));
    for node in nodes {
        moves.kept(&name(node), word(BIND, Some(number(1)), None), at(999));
    }
    planned(&mut moves, &plan(1, "a", "b"), &plan(2, "b", "b"), &[], at(1000));
    moves
}

#[test]
fn nobody_vouches_for_a_name_server_that_another_node_keeps() {
    let refused = || word(BIND, Some(number(1)), Some("refused: BADSIG"));
    for claim in [number(2), number(1 << 40), of(1 << 60, "x", 1)] {
        let mut moves = kept_by(&["updater"]);
        moves.kept(&name("ns1"), word(BIND, Some(claim.clone()), None), at(1001));
        for second in [1002, 1060, 1200] {
            moves.kept(&name("updater"), refused(), at(second));
            moves.kept(&name("ns1"), word(BIND, Some(claim.clone()), None), at(second));
        }
        let status = told(&moves, 300.0);
        assert_eq!((status.still, status.moved_95_ms, status.answerers), (1.0, None, 1), "{claim}");
        let problem = status.behind[0].problem.clone().unwrap();
        assert!(problem.contains("refused: BADSIG") && problem.contains("updater"), "{problem}");
        // Its own word ends it.
        moves.kept(&name("updater"), word(BIND, Some(number(2)), None), at(1400));
        let is_moved = told(&moves, 600.0).moved_95_ms.is_some();
        assert_eq!(is_moved, claim.epoch == 1, "{claim}");
    }
}

#[test]
fn the_word_of_a_node_that_is_silent_counts_no_more_where_another_one_speaks() {
    let mut moves = kept_by(&["one", "two"]);
    moves.kept(&name("two"), word(BIND, Some(number(2)), None), at(1001));
    assert_eq!(told(&moves, 200.0).behind.len(), 1);
    // One died before it could say that the name server has the Plan.
    moves.silent(&name("one"), true, at(1010));
    assert_after(told(&moves, 200.0).moved_95_ms, Some(58.0));
    // All are: what was said last counts.
    let mut moves = kept_by(&["one", "two"]);
    for node in ["one", "two"] {
        moves.silent(&name(node), true, at(1010));
    }
    let status = told(&moves, 200.0);
    assert_eq!((status.behind.len(), status.moved_95_ms), (1, None));
}

#[test]
fn a_name_server_leaves_when_the_last_node_stops_telling_of_it() {
    let nothing = || KeptNameServers { answers_nothing: true, ..KeptNameServers::default() };
    for order in [["one", "two"], ["two", "one"]] {
        let mut moves = kept_by(&["one", "two"]);
        for (node, answerers) in order.iter().zip([1, 0]) {
            moves.kept(&name(node), nothing(), at(1001));
            assert_eq!(told(&moves, 10.0).answerers, answerers, "{order:?}");
        }
    }
}

#[test]
fn the_same_loopback_address_on_two_nodes_is_two_name_servers() {
    for (address, count) in
        [("127.0.0.1:53", 2), ("[::1]:53", 2), ("[::ffff:127.0.0.1]:53", 2), (BIND, 1)]
    {
        let mut moves = Moves::new(at(0));
        for node in ["one", "two"] {
            moves.kept(&name(node), word(address, Some(number(1)), None), at(999));
        }
        planned(&mut moves, &plan(1, "a", "b"), &plan(2, "b", "b"), &[], at(1000));
        moves.kept(&name("one"), word(address, Some(number(2)), None), at(1001));
        let status = told(&moves, 200.0);
        assert_eq!((status.answerers, status.behind.len()), (count, 1), "{address}");
    }
}

#[test]
fn a_plan_of_another_master_that_is_not_known_here_has_not_the_new_answers() {
    // The move is of 1/c/2. Another master's Plan has a higher number and knows nothing of it.
    let mut moves = followed(&["ns1"], &[]);
    moves.director(&name("ns1"), Some(of(5, "a", 3)), None, at(1000));
    let status = told(&moves, 300.0);
    assert_eq!((status.moved_95_ms, status.behind.len()), (None, 1), "{status:?}");
    let problem = status.behind[0].problem.clone().unwrap();
    assert!(problem.contains("another"), "{problem}");
    // This one goes above it; whoever has that has the answers from then on.
    let above = Plan { number: of(6, "c", 1), ..plan(2, "b", "b") };
    planned(&mut moves, &plan(2, "b", "b"), &above, &[], at(1100));
    moves.director(&name("ns1"), Some(of(6, "c", 1)), None, at(1110));
    assert_after(told(&moves, 300.0).moved_95_ms, Some(167.0));
    // Nor does one that holds it when the move begins.
    let mut moves = Moves::new(at(0));
    moves.director(&name("ns1"), Some(of(5, "a", 3)), None, at(999));
    planned(&mut moves, &plan(1, "a", "b"), &plan(2, "b", "b"), &[], at(1000));
    assert_eq!(told(&moves, 300.0).moved_95_ms, None);
}

#[test]
fn a_plan_that_is_taken_over_here_after_a_director_has_it_does_not_begin_the_clock_anew() {
    let mut moves = followed(&["ns1"], &[]);
    hold(&mut moves, &["ns1"], 2, 1_000_000);
    // The new master's: the Director has it a moment before it is known here.
    moves.director(&name("ns1"), Some(of(2, "d", 1)), None, at(1030));
    let status = told(&moves, 30.5);
    assert_eq!((status.expected_95_ms, status.behind.len()), (None, 1));
    let next = Plan { number: of(2, "d", 1), ..plan(2, "b", "b") };
    planned(&mut moves, &plan(2, "b", "b"), &next, &[], at(1031));
    assert_after(told(&moves, 31.0).expected_95_ms, Some(57.0));
    assert_after(told(&moves, 90.0).moved_95_ms, Some(57.0));
    // A later one of that master is as good; one of a third is not.
    let mut moves = followed(&["ns1"], &[]);
    planned(&mut moves, &plan(2, "b", "b"), &next, &[], at(1001));
    moves.director(&name("ns1"), Some(of(2, "d", 9)), None, at(1002));
    assert_after(told(&moves, 90.0).moved_95_ms, Some(59.0));
    moves.director(&name("ns1"), Some(of(2, "e", 1)), None, at(1002));
    let mut moves = followed(&["ns1"], &[]);
    moves.director(&name("ns1"), Some(of(2, "e", 1)), None, at(1002));
    planned(&mut moves, &plan(2, "b", "b"), &next, &[], at(1003));
    assert_eq!(told(&moves, 90.0).moved_95_ms, None);
}

#[test]
fn a_node_that_answers_again_is_a_director_again() {
    let node = name("ns1");
    let mut moves = Moves::new(at(0));
    moves.kept(&node, kept(Some(1), None), at(800));
    moves.director(&node, Some(number(1)), None, at(801));
    // It starts again as a Director alone, and says no more which name servers it keeps.
    for second in (830..1000).step_by(10) {
        moves.director(&node, Some(number(1)), None, at(second));
    }
    planned(&mut moves, &plan(1, "a", "b"), &plan(2, "b", "b"), &[], at(1000));
    moves.director(&node, Some(number(1)), Some("refused".to_owned()), at(1001));
    let status = told(&moves, 100.0);
    assert_eq!((status.answerers, status.behind[0].kind), (1, AnswererKind::Director));
    // One that goes on saying it is none.
    let mut moves = Moves::new(at(0));
    for second in (800..1000).step_by(10) {
        moves.kept(&node, kept(Some(1), None), at(second));
        moves.director(&node, Some(number(1)), None, at(second + 5));
    }
    planned(&mut moves, &plan(1, "a", "b"), &plan(2, "b", "b"), &[], at(1000));
    let status = told(&moves, 100.0);
    assert_eq!((status.answerers, status.behind[0].kind), (1, AnswererKind::NameServer));
}
