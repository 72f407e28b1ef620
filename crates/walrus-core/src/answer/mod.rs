//! A Plan compiled into a table; query bytes in, reply bytes out.

mod ahead;
mod complete;
mod cookie_request;
mod decided_service;
mod denial;
mod explain;
mod explain_choice;
mod explain_service;
mod explain_ttl;
mod request;
mod respond;
mod server_options;
mod service_answer;
mod table;
mod worker;

pub use ahead::{AHEAD_MAX, look_ahead};
pub use complete::Lack;
pub use explain::{ExplainRequest, Explanation, SignatureExplanation, explain};
pub use explain_choice::{ChoiceExplanation, ServerChoiceExplanation};
pub use explain_service::{CandidateExplanation, LeftOut, LocateStep, ServiceExplanation};
pub use explain_ttl::TtlExplanation;
pub use request::{ClientCookie, Decision, Outcome, Request, ServiceDecision, Transport};
pub use respond::{respond, respond_completely};
pub use server_options::ServerOptions;
pub use table::{
    AnswerSigning, AnswerTable, ClassDecision, DemandTable, PlanCompileError, RingAnswer, RingList,
    ServiceTable, SigningInput, SigningOutcome, SingleSets, ZONES_MAX, ZoneCompileError, ZoneTable,
};
pub use worker::{Counters, Positions, WorkerState};

#[cfg(test)]
mod tests;
