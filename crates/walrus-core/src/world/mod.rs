//! The nouns of Walrus with their invariants; no decisions.

mod condition;
mod digest;
mod domain;
mod generator;
mod identity;
mod legible;
mod name;
mod nearness;
mod observation;
mod overrides;
mod report;
mod service_records;
mod signing;
mod space_saving;
mod time;
mod topology;
mod ttl_policy;

pub use condition::{Condition, Life};
pub use digest::Digest;
pub use domain::{Domain, DomainInvalid};
pub use generator::Generator;
pub use identity::{IdentityRole, OperatorRight, TokenHash};
pub use legible::legible;
pub use name::{Name, NameError};
pub use nearness::{Coordinates, Distance, Nearness};
pub(crate) use observation::AVERAGED_OVER;
pub use observation::{DomainCount, Observation, ServiceCounts};
pub use overrides::{Override, OverrideState, Overrides, Target};
pub use report::{Report, ReportBody, RequestCounts, Statistics};
pub use service_records::{
    MailExchange, NamedHost, ServiceBinding, ServicePlace, ServiceRecords, ServiceType,
    ServiceTypes, below_service, host_of,
};
pub use signing::{Algorithm, Denial, KeyLayout};
pub use space_saving::{Heavy, SpaceSaving};
pub use time::Time;
pub use topology::{
    Area, AreaId, AssignPolicy, ChooseParameters, ChoosePolicy, ClientSpec, Cluster, ClusterId,
    DownWhen, LoadFormula, LocatePolicy, Probe, ProbeKind, Server, ServerId, Service, ServiceId,
    Spill, Topology,
};
pub use ttl_policy::{AdaptiveTtl, DomainClasses, TtlPolicy};
