//! Name servers that fall silent.

use super::super::harness::name;
use super::*;
use crate::control::Input;

#[test]
fn a_director_that_falls_silent_is_told_of_once_and_again_when_it_is_back() {
    let mut network = Network::new(2);
    network.pass(10_000);
    let hello = |network: &mut Network| {
        let (now, director) = (network.now, name("ns1"));
        let hello = Input::DirectorHello { director, plan: None, refused: None, marks: None };
        network.controller(0).handle(now, hello).unwrap();
    };
    let silent = |network: &Network| -> Vec<(String, bool)> {
        let controller = network.nodes[0].controller.as_ref().unwrap();
        let directors = controller.status(network.now, 0).directors.into_iter();
        directors.map(|it| (it.name.to_string(), it.is_silent)).collect()
    };
    let told = |network: &Network| {
        let lines = network.nodes[0].warnings.iter().filter(|line| line.contains("Director"));
        lines.cloned().collect::<Vec<_>>()
    };
    for _ in 0..5 {
        hello(&mut network);
        network.pass(1000);
    }
    assert_eq!(silent(&network), [("a".to_owned(), false), ("ns1".to_owned(), false)]);
    network.pass(4500);
    assert_eq!(told(&network), Vec::<String>::new());
    network.pass(3000);
    assert_eq!(silent(&network)[1], ("ns1".to_owned(), true));
    network.pass(60_000);
    hello(&mut network);
    network.pass(1100);
    assert_eq!(told(&network), ["Director ns1 is heard no longer", "Director ns1 is heard again"]);
    assert!(!silent(&network)[1].1);
}
