//! The parts of a table that a decision to be explained was made with.

use std::net::IpAddr;

use super::explain::ExplainRequest;
use super::request::ServiceDecision;
use super::table::{AnswerTable, ClassDecision, RingList, ServiceTable};
use crate::policy::choose::AskingDomain;
use crate::world::ServiceType;

/// What was looked at for a service's answer.
pub(super) struct DecidedService<'a> {
    pub(super) service: &'a ServiceTable,
    /// What the area's class is answered with.
    pub(super) class: &'a ClassDecision,
    /// The list's place among the service's.
    pub(super) place: u32,
    pub(super) list: &'a RingList,
    /// The client subnet, if it says anything.
    pub(super) client: Option<(IpAddr, u8)>,
    pub(super) domain: AskingDomain,
}

impl<'a> DecidedService<'a> {
    /// `None` if nothing was decided for the service, or it has nothing of the type.
    pub(super) fn of(
        table: &'a AnswerTable,
        request: &ExplainRequest,
        decided: &ServiceDecision,
    ) -> Option<Self> {
        let service = table.service(decided.service)?;
        let client = request.client.filter(|(_, len)| *len > 0);
        let domain = service.asking(request.resolver, client);
        let service_type = ServiceType::of(request.record_type);
        let service_type = service_type.or_else(|| table.first_type(decided.service))?;
        let class = service.decision_of(decided.area?)?;
        let place = class.list(service_type)?;
        let list = service.lists().get(place as usize)?;
        Some(Self { service, class, place, list, client, domain })
    }
}
