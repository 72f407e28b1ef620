//! What messages of the group are to a Controller.

use super::Input;
use crate::message::{Envelope, Hello, Message, Role};
use crate::plan::PlanPart;

/// What is to be done with a message that was let in ([`Envelope::check`], [`crate::message::Senders`]).
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "the largest is the commonest, and none is stored")]
pub enum Inbox {
    /// The Controller is to be told. A report is answered by the master; the Plan of a presence is a number that the
    /// [`crate::plan::PlanReceiver`] is to see.
    Input(Input),
    /// For the [`crate::plan::PlanReceiver`].
    PlanPart(PlanPart),
    /// Nothing: it is for somebody else.
    Nothing,
}

impl Inbox {
    /// What this message is.
    #[must_use]
    pub fn of(envelope: Envelope) -> Self {
        let Envelope { role, name, session, message, .. } = envelope;
        Self::Input(match (role, message) {
            (Role::Reporter, Message::Report(report)) => Input::Report(report),
            (Role::Director, Message::Hello(hello)) => {
                let Hello { plan, refused, marks, .. } = hello;
                Input::DirectorHello { director: name, plan, refused, marks }
            }
            (Role::Director, Message::Observation(observation)) => {
                Input::Observed { director: name, observation }
            }
            (Role::Director, Message::NameServers(kept)) => Input::NameServers { node: name, kept },
            (_, Message::PlanWanted(wanted)) => Input::PlanWanted { name, held: wanted.held },
            (Role::Controller, Message::Presence(presence)) => {
                Input::Presence { name, session, presence }
            }
            (Role::Controller, Message::Overrides { entries }) => {
                Input::Overrides { from: name, entries }
            }
            (_, Message::Sights(sights)) => Input::Sights { role, name, session, sights },
            (Role::Controller, Message::PlanPart(part)) => return Self::PlanPart(part),
            _ => return Self::Nothing,
        })
    }
}
