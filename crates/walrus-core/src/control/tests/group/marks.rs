//! Name servers that several masters keep up to date: what their marks say comes back late.

use std::time::Duration;

use super::*;
use crate::control::Input;
use crate::plan::PlanNumber;
use crate::world::Time;

/// A name server that takes a Plan that is above its mark, and is looked at now and then.
struct Zone {
    mark: Option<PlanNumber>,
    look_every: Duration,
    next_look: Time,
}

impl Zone {
    fn new(look_every: u64, network: &Network) -> Self {
        let look_every = Duration::from_secs(look_every);
        Self { mark: None, look_every, next_look: network.now + look_every }
    }

    /// So many seconds in which each Controller that is master writes its Plans, and reads marks from time to time.
    fn pass(&mut self, network: &mut Network, seconds: u64) {
        for _ in 0..seconds {
            network.pass(1000);
            let looks = network.now >= self.next_look;
            if looks {
                self.next_look = network.now + self.look_every;
            }
            for number in 0..network.nodes.len() {
                let (now, plan) = (network.now, network.number(number));
                let Some(controller) = network.nodes[number].controller.as_mut() else { continue };
                if looks && let Some(mark) = self.mark.clone() {
                    controller.handle(now, Input::MarksSeen(mark)).unwrap();
                }
                if controller.is_master() {
                    self.mark = self.mark.take().max(plan);
                }
            }
            network.drain();
        }
    }
}

#[test]
fn masters_that_do_not_hear_each_other_do_not_chase_each_other_through_a_zone() {
    for look_every in [3, 12, 37, 47] {
        let mut network = Network::new(2);
        network.pass(10_000);
        let mut zone = Zone::new(look_every, &network);
        network.split(&[&[0], &[1]]);
        zone.pass(&mut network, 300);
        assert_eq!(network.masters(), "ab");
        assert_eq!(zone.mark.as_ref().unwrap().controller.as_str(), "a", "{look_every}");
        let before = zone.mark.as_ref().unwrap().epoch;
        zone.pass(&mut network, 1800);
        let taken = zone.mark.as_ref().unwrap().epoch - before;
        assert!(taken <= 8, "looks each {look_every} s: {taken} epochs in half an hour");
        network.heal();
        zone.pass(&mut network, 120);
        assert_eq!(network.masters(), "a");
        assert_eq!(zone.mark, network.number(0), "and after the merge the one master's is there");
    }
}

#[test]
fn a_mark_of_long_ago_is_gone_above_at_once() {
    for count in [1, 2] {
        let mut network = Network::new(count);
        network.pass(10_000);
        let mut zone = Zone::new(10, &network);
        let number = |epoch, controller: &str| PlanNumber {
            epoch,
            controller: super::super::harness::name(controller),
            sequence: 3,
        };
        zone.mark = Some(number(7, "aachen"));
        zone.pass(&mut network, 15);
        assert_eq!(zone.mark.as_ref().map(|it| (it.epoch, it.controller.as_str())), Some((8, "a")));
        // Told of at a standby alone: the master hears of it.
        let (now, last) = (network.now, count - 1);
        network.controller(last).handle(now, Input::MarksSeen(number(20, "aachen"))).unwrap();
        network.drain();
        network.pass(5000);
        assert_eq!(network.number(0).unwrap().epoch, 21);
        let status = network.controller(0).status(now, 0);
        assert!(status.directors.iter().all(|it| it.name.as_str().len() == 1), "no name server");
        let absurd = Input::MarksSeen(number(u64::MAX, "aachen"));
        assert!(network.controller(0).handle(now, absurd).is_err());
    }
}
