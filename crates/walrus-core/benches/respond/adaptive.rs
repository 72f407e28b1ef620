//! A service whose TTLs are adaptive, and clients of domains that its Plan names.

use std::sync::Arc;

use walrus_core::plan::{DomainDemand, Plan, ServiceDemand};
use walrus_core::world::{AdaptiveTtl, Generator, TtlPolicy};

use crate::load::Queries;
use crate::world::{World, query, wire};

/// Client prefixes of 24 bits that the Plan names: 10.0.0.0/24 and so on.
const DOMAINS: u32 = ServiceDemand::DOMAINS_MAX as u32;

/// This world with another TTL for its service, and with its demand by domain.
pub(crate) fn adaptive(world: &World, variant: AdaptiveTtl) -> World {
    let mut plan = Plan::clone(world.table.plan().expect("a Plan"));
    let service = &mut plan.services[0];
    service.ttl = TtlPolicy::Adaptive { variant, seconds: 30, min: 3, max: 300 };
    let domain = |number: u32| DomainDemand {
        domain: format!("10.{}.{}.0/24", number >> 8 & 255, number & 255),
        rate: 1e4 / f64::from(number + 1),
        hot: number < 256,
        ..DomainDemand::default()
    };
    let domains = (0..DOMAINS).map(domain).collect();
    service.demand = Some(ServiceDemand { rate: 1e5, domains, ..ServiceDemand::default() });
    World { table: world.table.with_plan(Arc::new(plan)).expect("a Plan") }
}

/// The service for one of 8,192 client subnets of 24 bits; the first half are named domains.
pub(crate) fn queries() -> Queries {
    let mut generator = Generator::new(5);
    let name = wire("www.example.com");
    Queries::new(|| {
        let [_, _, high, low] = generator.index(2 * DOMAINS).0.to_be_bytes();
        query(&name, Some([10, high, low, 0, 0, 0, 0, 0]))
    })
}
