//! New Plans: what is shared with the one before, what goes on, what is refused.

use std::sync::Arc;

use walrus_dns::record_type::A;

use super::fixture::{Ask, empty_table, list, plan, table, zone_table};
use crate::answer::{Counters, PlanCompileError, Positions, WorkerState};

#[test]
fn only_what_changed_is_compiled_again() {
    let before = table(plan());
    let mut changed = plan();
    changed.number.sequence += 1;
    changed.services[2].areas[1].ipv4 = Some(2);
    changed.lists[1] = list(&[3]);
    let after = before.with_plan(Arc::new(changed)).unwrap();
    let tables = |table: &crate::answer::AnswerTable, service| {
        std::ptr::from_ref(table.service(service).unwrap())
    };
    // Services 0 and 1 use list 1, whose content changed; without that they are the same.
    assert_ne!(tables(&before, 0), tables(&after, 0));
    let lists = |table: &crate::answer::AnswerTable| {
        table.service(0).unwrap().lists().iter().map(Arc::as_ptr).collect::<Vec<_>>()
    };
    let (old, new) = (lists(&before), lists(&after));
    assert_eq!(old.iter().filter(|list| new.contains(list)).count(), old.len() - 1);
    let same = before.with_plan(Arc::new(plan())).unwrap();
    for service in [0, 1, 3] {
        assert_eq!(tables(&before, service), tables(&same, service));
    }
}

#[test]
fn services_with_the_same_choice_share_lists() {
    let mut plan = plan();
    for service in &mut plan.services {
        service.choose = crate::world::ChoosePolicy::Random;
    }
    let table = table(plan);
    let lists = |service| {
        table.service(service).unwrap().lists().iter().map(Arc::as_ptr).collect::<Vec<_>>()
    };
    assert_eq!(lists(0), lists(3));
}

#[test]
fn round_robin_goes_on_where_it_was_and_counts_start_anew() {
    let before = table(plan());
    let mut worker = WorkerState::new(1, &before);
    let europe = Ask::new("www.example", A).from("198.51.100.1");
    let asia = Ask::new("www.example", A).from("192.0.2.7");
    europe.answer(&before, &mut worker);
    asia.answer(&before, &mut worker);
    let mut changed = plan();
    changed.lists[1] = list(&[2, 4, 3]);
    let after = before.with_plan(Arc::new(changed)).unwrap();
    let (_, counts) = worker.adopt(Positions::for_table(&after), Counters::for_table(&after));
    assert_eq!(counts.areas(3), [0, 1, 1, 0]);
    assert_eq!(worker.counters().areas(3), [0; 4]);
    let first = |reply: super::fixture::Reply| reply.addresses()[0];
    assert_eq!(first(europe.answer(&after, &mut worker)), std::net::IpAddr::from([10, 0, 0, 5]));
    assert_eq!(first(asia.answer(&after, &mut worker)), std::net::IpAddr::from([10, 0, 0, 4]));
}

#[test]
fn round_robin_goes_round_even_if_every_plan_changes_a_ramp() {
    let mut now = table(plan());
    let mut worker = WorkerState::new(1, &now);
    let asia = Ask::new("www.example", A).from("192.0.2.7");
    let mut firsts = Vec::new();
    for step in 1..=40 {
        let reply = asia.answer(&now, &mut worker);
        firsts.push(reply.addresses()[0]);
        // A third server comes back slowly.
        let mut changed = plan();
        changed.lists[1] = list(&[2, 3, 5]);
        changed.lists[1].groups[0].candidates[2].ramp = f64::from(step) / 1000.0;
        now = now.with_plan(Arc::new(changed)).unwrap();
        let _ = worker.adopt(Positions::for_table(&now), Counters::for_table(&now));
    }
    let count =
        |last| firsts.iter().filter(|it| **it == std::net::IpAddr::from([10, 0, 0, last])).count();
    assert!(count(2).abs_diff(count(3)) <= 3, "{firsts:?}");
}

#[test]
fn counts_of_several_workers_add_up() {
    let table = table(plan());
    let mut sum = Counters::for_table(&table);
    for seed in 0..3 {
        let mut worker = WorkerState::new(seed, &table);
        Ask::new("www.example", A).answer(&table, &mut worker);
        sum.add(&worker.take_counters(Counters::for_table(&table)));
        assert_eq!(worker.counters().areas(3), [0; 4]);
    }
    assert_eq!(sum.areas(3), [3, 0, 0, 0]);
    assert_eq!(sum.servers(3).collect::<Vec<_>>(), [(0, 3)]);
}

#[test]
fn a_worker_of_another_table_answers_nevertheless() {
    let stale = empty_table();
    let table = table(plan());
    let mut worker = WorkerState::new(1, &stale);
    for _ in 0..3 {
        let reply = Ask::new("www.example", A).answer(&table, &mut worker);
        assert_eq!(reply.addresses().len(), 2);
    }
}

#[test]
fn other_zones_keep_the_plan() {
    let before = table(plan());
    let after = before.with_zones(Arc::new(zone_table(&["www.example", "example"]))).unwrap();
    let mut worker = WorkerState::new(1, &after);
    assert_eq!(Ask::new("www.example", A).answer(&after, &mut worker).addresses().len(), 2);
    // No service any more, and no record.
    assert_eq!(Ask::new("deep.service.example", A).answer(&after, &mut worker).rcode(), 3);
    let unplanned = empty_table().with_zones(Arc::new(zone_table(&["www.example"]))).unwrap();
    let mut worker = WorkerState::new(1, &unplanned);
    assert_eq!(Ask::new("www.example", A).answer(&unplanned, &mut worker).rcode(), 2);
}

#[test]
fn damaged_plans_are_refused() {
    let table = empty_table();
    let compile = |change: fn(&mut crate::plan::Plan)| {
        let mut plan = plan();
        change(&mut plan);
        table.with_plan(Arc::new(plan)).map(|_| ())
    };
    assert_eq!(compile(|plan| plan.format = 9), Err(PlanCompileError::Format(9)));
    let no_list = PlanCompileError::NoList { service: "www.example".into(), list: 77 };
    assert_eq!(compile(|plan| plan.services[2].areas[0].ipv4 = Some(77)), Err(no_list));
    let no_world = PlanCompileError::NoWorld("example".into());
    assert_eq!(compile(|plan| plan.services[1].areas.truncate(3)), Err(no_world));
    // Servers and names that are not there cost only themselves.
    assert_eq!(compile(|plan| plan.lists[0].groups[0].candidates[0].server = 99), Ok(()));
    assert_eq!(compile(|plan| plan.services[0].name = "..".into()), Ok(()));
    assert_eq!(compile(|plan| plan.lists[0].groups.clear()), Ok(()));
    assert_eq!(compile(|plan| plan.lists[0].groups[0].share = f64::NAN), Ok(()));
}
