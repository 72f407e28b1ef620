//! A Plan compiled into a table; query bytes in, reply bytes out.

mod complete;
mod explain;
mod request;
mod respond;
mod service_answer;
mod table;
mod worker;
mod zone;
mod zone_file;

pub use explain::{
    CandidateExplanation, ExplainRequest, Explanation, LeftOut, LocateStep, ServiceExplanation,
    explain,
};
pub use request::{Decision, Outcome, Request, ServiceDecision, Transport};
pub use respond::{respond, respond_completely};
pub use table::{
    AnswerTable, ClassDecision, Family, PlanCompileError, RingList, ServiceTable, ZoneCompileError,
    ZoneTable,
};
pub use worker::{Counters, Positions, RCODES, WorkerState};
pub use zone::{RecordSet, Zone};
pub use zone_file::{
    IncludedFile, ReadIncluded, ZoneFile, read_zone, read_zone_including, zone_of_nameservers,
};

#[cfg(test)]
mod tests;
