//! Subjects: who says what to whom, in words that NATS' permissions can be written with.
//!
//! ```text
//! PREFIX.v1.ROLE.NAME.KIND               ROLE NAME says KIND to the whole group
//! PREFIX.v1.to.ROLE.NAME.KIND.ROLE.NAME  ... to one (first named), by the one named last
//! ```
//!
//! So a NATS user that may publish `PREFIX.v1.reporter.fra1.>` only can speak for fra1 only.

use walrus_core::message::Role;
use walrus_core::world::Name;

/// The version of the subjects, not of the messages: these tell their own.
const VERSION: &str = "v1";
/// Stands where a role would, before the one who is spoken to.
const TO: &str = "to";

/// What a subject says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// Who speaks.
    pub(super) role: Role,
    pub(super) name: Name,
    /// Of the message.
    pub(super) kind: String,
    /// Whom it is for, if not for all.
    pub(super) to: Option<(Role, Name)>,
}

impl Subject {
    /// As text.
    pub(super) fn text(&self, prefix: &str) -> String {
        let Self { role, name, kind, to } = self;
        let role = role.as_str();
        match to {
            None => format!("{prefix}.{VERSION}.{role}.{name}.{kind}"),
            Some((to_role, to_name)) => {
                let to_role = to_role.as_str();
                format!("{prefix}.{VERSION}.{TO}.{to_role}.{to_name}.{kind}.{role}.{name}")
            }
        }
    }

    /// From text; `None` if it is no subject of this group.
    pub(super) fn parse(text: &str, prefix: &str) -> Option<Self> {
        let rest = text.strip_prefix(prefix)?.strip_prefix('.')?;
        let words: Vec<&str> = rest.splitn(8, '.').collect();
        let (role, name, kind, to) = match words[..] {
            [VERSION, TO, to_role, to_name, kind, role, name] => {
                (role, name, kind, Some((role_of(to_role)?, to_name.parse().ok()?)))
            }
            [VERSION, role, name, kind] => (role, name, kind, None),
            _ => return None,
        };
        Some(Self { role: role_of(role)?, name: name.parse().ok()?, kind: kind.to_owned(), to })
    }
}

/// What a node that has this role must hear: no more, for a Reporter has no business with what
/// others report.
pub(super) fn subscriptions(prefix: &str, role: Role, name: &Name) -> Vec<String> {
    let own = format!("{prefix}.{VERSION}.{TO}.{}.{name}.>", role.as_str());
    let heard: &[Role] = match role {
        Role::Reporter => &[],
        Role::Director => &[Role::Controller],
        Role::Controller => &[Role::Controller, Role::Director, Role::Reporter],
    };
    let all = heard.iter().map(|role| format!("{prefix}.{VERSION}.{}.>", role.as_str()));
    all.chain([own]).collect()
}

/// What a node of this role and name must be permitted to publish.
pub(super) fn publications(prefix: &str, role: Role, name: &Name) -> [String; 2] {
    let role = role.as_str();
    [
        format!("{prefix}.{VERSION}.{role}.{name}.>"),
        format!("{prefix}.{VERSION}.{TO}.*.*.*.{role}.{name}"),
    ]
}

fn role_of(word: &str) -> Option<Role> {
    match word {
        "reporter" => Some(Role::Reporter),
        "controller" => Some(Role::Controller),
        "director" => Some(Role::Director),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn there_and_back() {
        let all = Subject {
            role: Role::Reporter,
            name: name("fra1"),
            kind: "report".to_owned(),
            to: None,
        };
        let one = Subject {
            role: Role::Controller,
            name: name("berlin"),
            kind: "taken".to_owned(),
            to: Some((Role::Reporter, name("fra1"))),
        };
        let texts = [
            (&all, "acme.eu.v1.reporter.fra1.report"),
            (&one, "acme.eu.v1.to.reporter.fra1.taken.controller.berlin"),
        ];
        for (subject, text) in texts {
            assert_eq!(subject.text("acme.eu"), text);
            assert_eq!(Subject::parse(text, "acme.eu").as_ref(), Some(subject));
            assert_eq!(Subject::parse(text, "acme"), None, "of another group");
        }
    }

    #[test]
    fn what_is_no_subject_of_ours_is_none() {
        let wrong = [
            "",
            "walrus",
            "walrus.",
            "walrus.v1",
            "walrusv1.reporter.fra1.report",
            "walrus.v2.reporter.fra1.report",
            "walrus.v1.reporter.fra1",
            "walrus.v1.reporter.fra1.report.more",
            "walrus.v1.reporter.Fra1.report",
            "walrus.v1.king.fra1.report",
            "walrus.v1.to.reporter.fra1.taken",
            "walrus.v1.to.reporter.fra1.taken.controller",
            "walrus.v1.to.reporter.fra1.taken.controller.berlin.x",
            "walrus.v1.to.all.fra1.taken.controller.berlin",
        ];
        for text in wrong {
            assert_eq!(Subject::parse(text, "walrus"), None, "{text}");
        }
    }

    #[test]
    fn each_role_hears_what_it_needs() {
        let of = |role| subscriptions("w", role, &name("a"));
        assert_eq!(of(Role::Reporter), ["w.v1.to.reporter.a.>"]);
        assert_eq!(of(Role::Director), ["w.v1.controller.>", "w.v1.to.director.a.>"]);
        assert_eq!(of(Role::Controller).len(), 4);
        assert_eq!(
            publications("w", Role::Director, &name("a")),
            ["w.v1.director.a.>", "w.v1.to.*.*.*.director.a"]
        );
    }
}
