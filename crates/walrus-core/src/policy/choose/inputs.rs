//! What a service's `choose` stage looks at beside its candidate lists: it may change with every
//! Plan, while lists are shared between services and kept between Plans.

use std::sync::Arc;

use super::Observed;
use crate::world::{ChoosePolicy, Name};

/// One service's inputs, the same for all workers.
#[derive(Clone, Debug)]
pub struct ChooseInputs {
    /// The service's name, as the Plan writes it.
    pub service: String,
    /// Its policy.
    pub policy: ChoosePolicy,
    /// The shortest TTL that it gives, in seconds, where nothing is degraded.
    pub ttl_min: u32,
    /// The TTL in seconds that domains' weights are for: the mean one.
    pub ttl_mean: u32,
    /// The longest TTL that it gives, in seconds.
    pub ttl_max: u32,
    /// Its servers by place, sorted; none if the policy keeps nothing by server.
    pub servers: Arc<[Name]>,
    /// By place: whether the server is a candidate anywhere.
    pub present: Box<[bool]>,
    /// By place: the load in the Plan, NaN where it is not known.
    pub loads: Arc<[f32]>,
    /// What servers report to observe.
    pub observed: Arc<Observed>,
}

impl ChooseInputs {
    /// Of a service whose policy keeps nothing.
    #[must_use]
    pub fn nothing(service: String, policy: ChoosePolicy) -> Self {
        Self {
            service,
            policy,
            ttl_min: 0,
            ttl_mean: 0,
            ttl_max: 0,
            servers: Arc::new([]),
            present: Box::default(),
            loads: Arc::new([]),
            observed: Arc::default(),
        }
    }

    /// The place of a server.
    #[must_use]
    pub fn place(&self, server: &Name) -> Option<usize> {
        self.servers.binary_search(server).ok()
    }

    /// Whether both are the same; loads that are not known are alike.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let bits = |loads: &[f32]| loads.iter().map(|load| load.to_bits()).collect::<Vec<u32>>();
        self.service == other.service
            && self.policy == other.policy
            && (self.ttl_min, self.ttl_mean, self.ttl_max)
                == (other.ttl_min, other.ttl_mean, other.ttl_max)
            && self.numbers_alike(other)
            && self.present == other.present
            && bits(&self.loads) == bits(&other.loads)
            && self.observed == other.observed
    }

    /// Whether places mean the same servers.
    pub(super) fn numbers_alike(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.servers, &other.servers) || self.servers == other.servers
    }

    /// Where each of these servers was in `earlier`.
    pub(super) fn before<'a>(&'a self, earlier: &'a Self) -> impl Fn(usize) -> Option<usize> + 'a {
        let alike = self.numbers_alike(earlier);
        move |place| {
            if alike { Some(place) } else { earlier.place(self.servers.get(place)?) }
        }
    }
}
