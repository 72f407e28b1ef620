//! Who may say what in the group: the door that each carrier sends messages through.

use super::{
    Envelope, Message, NAME_SERVER_SERVICES_MAX, NAME_SERVERS_MAX, OVERRIDES_BATCH_MAX, Role,
    SIGHTS_MAX,
};

impl Envelope {
    /// Whether its sender may say this. That it is who it says it is, is the carrier's to find out.
    ///
    /// # Errors
    /// Why not, for people.
    pub fn check(&self) -> Result<(), String> {
        let Self { role, name, message, .. } = self;
        let may = match (*role, message) {
            (Role::Reporter, Message::Report(report)) => {
                if report.server != *name {
                    return Err(format!("{name} reports about {}", report.server));
                }
                true
            }
            (Role::Director, Message::Hello(hello)) => hello.role == *role && hello.name == *name,
            (Role::Director, Message::Observation(_) | Message::PlanWanted(_)) => true,
            (Role::Controller, Message::Overrides { entries }) => {
                if entries.len() > OVERRIDES_BATCH_MAX {
                    return Err(format!(
                        "more than {OVERRIDES_BATCH_MAX} overrides in one message"
                    ));
                }
                true
            }
            (Role::Controller | Role::Director, Message::Sights(sights)) => {
                if sights.len() > SIGHTS_MAX {
                    return Err(format!("more than {SIGHTS_MAX} servers in one message"));
                }
                true
            }
            (Role::Director, Message::NameServers(kept)) => {
                if kept.name_servers.len() > NAME_SERVERS_MAX {
                    return Err(format!(
                        "more than {NAME_SERVERS_MAX} name servers in one message"
                    ));
                }
                if kept.name_servers.iter().any(|it| it.services.len() > NAME_SERVER_SERVICES_MAX) {
                    return Err(format!(
                        "more than {NAME_SERVER_SERVICES_MAX} services of one name server"
                    ));
                }
                true
            }
            (
                Role::Controller,
                Message::Presence(_)
                | Message::PlanWanted(_)
                | Message::PlanPart(_)
                | Message::Taken { .. }
                | Message::Refused { .. },
            ) => true,
            _ => false,
        };
        match may {
            true => Ok(()),
            false => Err(format!("a {} does not say `{}` here", role.as_str(), message.kind())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode_envelope;
    use super::NAME_SERVER_SERVICES_MAX;

    #[test]
    fn each_role_says_its_own_kinds_about_itself() {
        for (role, rest, may) in [
            ("director", r#""kind":"plan_wanted""#, true),
            ("controller", r#""kind":"plan_wanted""#, true),
            ("reporter", r#""kind":"plan_wanted""#, false),
            ("controller", r#""kind":"presence","joined":1,"hears":true"#, true),
            ("director", r#""kind":"presence","joined":1,"hears":true"#, false),
            (
                "director",
                r#""kind":"hello","role":"director","name":"x","session":1,"versions":[1]"#,
                true,
            ),
            (
                "director",
                r#""kind":"hello","role":"director","name":"y","session":1,"versions":[1]"#,
                false,
            ),
            (
                "director",
                r#""kind":"hello","role":"controller","name":"x","session":1,"versions":[1]"#,
                false,
            ),
            ("director", r#""kind":"name_servers","name_servers":[]"#, true),
            ("controller", r#""kind":"name_servers","name_servers":[]"#, false),
            ("reporter", r#""kind":"name_servers","name_servers":[]"#, false),
            ("controller", r#""kind":"taken","session":1,"sequence":1"#, true),
            ("reporter", r#""kind":"taken","session":1,"sequence":1"#, false),
            ("reporter", r#""kind":"overrides","entries":[]"#, false),
            ("controller", r#""kind":"overrides","entries":[]"#, true),
        ] {
            let from = format!(r#"{{"role":"{role}","name":"x","session":1,"sequence":1}}"#);
            let text = format!(r#"{{"walrus":1,"from":{from},{rest}}}"#);
            let envelope = decode_envelope(text.as_bytes()).unwrap();
            assert_eq!(envelope.check().is_ok(), may, "{text}");
        }
    }

    #[test]
    fn no_more_services_of_a_name_server_are_taken_than_are_said() {
        for (count, may) in
            [(NAME_SERVER_SERVICES_MAX, true), (NAME_SERVER_SERVICES_MAX + 1, false)]
        {
            let services = vec![r#""www.example.com""#; count].join(",");
            let one = format!(
                r#"{{"name":"x","area":"x","address":"192.0.2.1:53","zone":"x","services":[{services}]}}"#
            );
            let from = r#"{"role":"director","name":"x","session":1,"sequence":1}"#;
            let text = format!(
                r#"{{"walrus":1,"from":{from},"kind":"name_servers","name_servers":[{one}]}}"#
            );
            let envelope = decode_envelope(text.as_bytes()).unwrap();
            assert_eq!(envelope.check().is_ok(), may, "{count}");
        }
    }
}
