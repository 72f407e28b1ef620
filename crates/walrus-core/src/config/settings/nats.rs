//! `[group.nats]`: the group over NATS.

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::configuration::is_loopback;
use crate::config::findings::Findings;
use crate::config::section::Section;
use crate::config::{NatsAuthentication, NatsSettings};

/// The port on which nats-server listens for clients.
const PORT: u16 = 4222;

/// The longest prefix, in bytes: subjects stay below NATS' line of 4 KiB by far.
const PREFIX_LEN_MAX: usize = 128;

pub(in crate::config) static NATS: Group = Group {
    header: "[group.nats]",
    meaning: "The group over NATS, for many Controllers, Directors and Reporters over a wide area. \
              At most one of `credentials_file`, `nkey_file`, `token_file` and `user`.",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "servers",
            kind: Kind::List(&Kind::HostPort(PORT)),
            default: Default::Required,
            meaning: "The NATS servers, the nearest first: the next is tried when one does not \
                      answer. Without a port it is 4222.",
            example: "[\"127.0.0.1:4222\"]",
        },
        Setting {
            name: "prefix",
            kind: Kind::Text,
            default: Default::Value("\"walrus\""),
            meaning: "What all subjects begin with; the same in the whole group. Two groups on one \
                      NATS need two.",
            example: "\"walrus\"",
        },
        Setting {
            name: "credentials_file",
            kind: Kind::Path,
            default: Default::Otherwise("none"),
            meaning: "A `.creds` file (JWT and seed) that proves who this node is.",
            example: "\"/etc/walrus/ns1.creds\"",
        },
        Setting {
            name: "nkey_file",
            kind: Kind::Path,
            default: Default::Apart("none"),
            meaning: "A file with the seed of an nkey that proves who this node is.",
            example: "\"/etc/walrus/ns1.nk\"",
        },
        Setting {
            name: "token_file",
            kind: Kind::Path,
            default: Default::Apart("none"),
            meaning: "A file with the token that the NATS servers want. All who bring it may speak \
                      for anybody: a user each is better.",
            example: "\"/etc/walrus/nats-token\"",
        },
        Setting {
            name: "user",
            kind: Kind::Text,
            default: Default::Apart("none"),
            meaning: "The user that this node is, with `password_file`.",
            example: "\"ns1\"",
        },
        Setting {
            name: "password_file",
            kind: Kind::Path,
            default: Default::Apart("required by `user`"),
            meaning: "A file with the user's password.",
            example: "\"/etc/walrus/nats-password\"",
        },
        Setting {
            name: "authority",
            kind: Kind::Path,
            default: Default::Otherwise("the public ones"),
            meaning: "A PEM file of the certificates to trust at the NATS servers.",
            example: "\"/etc/walrus/nats-authority.pem\"",
        },
        Setting {
            name: "certificate",
            kind: Kind::Path,
            default: Default::Otherwise("none"),
            meaning: "A PEM file with this node's own certificate, where the NATS servers want one.",
            example: "\"/etc/walrus/nats.pem\"",
        },
        Setting {
            name: "key",
            kind: Kind::Path,
            default: Default::Otherwise("none"),
            meaning: "A PEM file with that certificate's private key.",
            example: "\"/etc/walrus/nats.key\"",
        },
        Setting {
            name: "insecure",
            kind: Kind::Flag,
            default: Default::Value("false"),
            meaning: "Speak plaintext, off loopback too: who listens in reads passwords and may \
                      change what is said.",
            example: "false",
        },
    ],
};

pub(in crate::config) fn read(section: &Section, findings: &Findings<'_>) -> NatsSettings {
    let settings = NatsSettings {
        servers: section.texts("servers"),
        prefix: section.text("prefix").unwrap_or_default(),
        authentication: authentication(section, findings),
        authority: section.path("authority"),
        certificate: section.path("certificate"),
        key: section.path("key"),
        insecure: section.flag("insecure"),
    };
    if section.is_empty_list("servers") && section.is_given("servers") {
        findings.problem(
            section.place_of("servers"),
            "[group.nats] names no server: write servers = [\"127.0.0.1:4222\"]",
        );
    }
    if !section.text("prefix").is_none_or(|prefix| is_prefix(&prefix)) {
        findings.problem(
            section.place_of("prefix"),
            "`prefix` must be words of letters, digits, `-` and `_` with `.` between them, at most \
             128 bytes: write for example prefix = \"walrus\"",
        );
    }
    both("certificate", "key", "add the path of the other PEM file", section, findings);
    check_secrecy(&settings, section, findings);
    settings
}

fn authentication(section: &Section, findings: &Findings<'_>) -> NatsAuthentication {
    const WAYS: [&str; 4] = ["credentials_file", "nkey_file", "token_file", "user"];
    let given: Vec<&str> = WAYS.into_iter().filter(|way| section.is_given(way)).collect();
    if let [first, .., last] = given[..] {
        findings.problem(
            section.key_place(last),
            format!(
                "`{first}` and `{last}` both say who this node is: keep the one that the NATS \
                 servers want"
            ),
        );
    }
    both("user", "password_file", "NATS wants both", section, findings);
    let [credentials, nkey, token, password] =
        ["credentials_file", "nkey_file", "token_file", "password_file"]
            .map(|name| section.path(name));
    let user = section.text("user");
    match (credentials, nkey, token, user.zip(password)) {
        (Some(file), ..) => NatsAuthentication::Credentials(file),
        (_, Some(file), ..) => NatsAuthentication::Nkey(file),
        (_, _, Some(file), _) => NatsAuthentication::Token(file),
        (_, _, _, Some((user, password_file))) => NatsAuthentication::User { user, password_file },
        _ => NatsAuthentication::None,
    }
}

/// Two settings that need each other.
fn both(one: &str, other: &str, remedy: &str, section: &Section, findings: &Findings<'_>) {
    if section.is_given(one) == section.is_given(other) {
        return;
    }
    let (given, missing) = if section.is_given(one) { (one, other) } else { (other, one) };
    findings.problem(
        section.key_place(given),
        format!("`{given}` needs `{missing}` beside it: {remedy}"),
    );
}

/// What is in order, but gives more away than most will want.
fn check_secrecy(settings: &NatsSettings, section: &Section, findings: &Findings<'_>) {
    let Some(far) = settings.servers.iter().find(|server| !is_loopback(server)) else { return };
    if settings.insecure {
        findings.warn(
            section.key_place("insecure"),
            format!(
                "passwords, tokens and all that the group says cross the network to {far} in \
                 plaintext: leave `insecure` out for TLS"
            ),
        );
    }
    if settings.authentication == NatsAuthentication::None && settings.certificate.is_none() {
        findings.warn(
            section.place(),
            format!(
                "this node does not say to {far} who it is, so whoever reaches that server may \
                 speak for anybody: give each node a user of its own, write user and password_file, \
                 nkey_file or credentials_file"
            ),
        );
    }
}

fn is_prefix(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let word = |word: &str| !word.is_empty() && word.bytes().all(allowed);
    text.len() <= PREFIX_LEN_MAX && text.split('.').all(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Context, SourceFile, parse};

    #[test]
    fn subjects_can_begin_with_words_only() {
        for good in ["walrus", "w", "acme.walrus-2.EU_1"] {
            assert!(is_prefix(good), "{good}");
        }
        let long = "x".repeat(PREFIX_LEN_MAX + 1);
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a.*", ">", "a\n", "ä", &long] {
            assert!(!is_prefix(bad), "{bad}");
        }
    }

    #[test]
    fn loopback_is_known_by_address_and_by_name() {
        for near in ["127.0.0.1:4222", "[::1]:4222", "localhost:1"] {
            assert!(is_loopback(near), "{near}");
        }
        for far in ["192.0.2.1:4222", "[2001:db8::1]:4222", "nats.example.com:4222"] {
            assert!(!is_loopback(far), "{far}");
        }
    }

    /// The settings with the warnings, or all problems.
    fn read_nats(lines: &str) -> Result<(NatsSettings, String), String> {
        let text = format!(
            "[node]\nroles = [\"reporter\"]\n[reporter]\nserver = \"fra1\"\n[group.nats]\n{lines}\n"
        );
        let files = [SourceFile { name: "a.toml".into(), text }];
        let context = Context { hostname: "fra1", read: &|_| Err("no such file".into()) };
        let told = |problems: Vec<crate::config::Problem>| -> String {
            problems.iter().map(|problem| format!("{problem}\n")).collect()
        };
        let parsed = parse(&files, &context).map_err(told)?;
        let nats = parsed.configuration.group.nats.expect("the section is there");
        Ok((nats, told(parsed.warnings)))
    }

    #[test]
    fn a_reporter_needs_no_controllers_beside_it() {
        let (settings, warnings) = read_nats("servers = [\"127.0.0.1\"]").unwrap();
        assert_eq!(settings.servers, ["127.0.0.1:4222"]);
        assert_eq!((&*settings.prefix, &*warnings), ("walrus", ""));
        assert_eq!(settings.authentication, NatsAuthentication::None);
        let (settings, _) =
            read_nats("servers = [\"a\"]\nuser = \"fra1\"\npassword_file = \"p\"").unwrap();
        let NatsAuthentication::User { user, password_file } = settings.authentication else {
            panic!("another way")
        };
        assert_eq!((&*user, password_file.to_str()), ("fra1", Some("p")));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let problems = read_nats(
            "servers = []\nprefix = \"a..b\"\nuser = \"x\"\ntoken_file = \"t\"\nkey = \"k\"",
        )
        .unwrap_err();
        for told in [
            "names no server: write servers",
            "`prefix` must be words",
            "`token_file` and `user` both say who this node is",
            "`user` needs `password_file`",
            "`key` needs `certificate`",
        ] {
            assert!(problems.contains(told), "{told}: {problems}");
        }
        let problems = read_nats("").unwrap_err();
        assert!(problems.contains("servers"), "{problems}");
    }

    #[test]
    fn what_gives_more_away_than_most_will_want_is_a_warning() {
        let warned = |lines: &str| read_nats(lines).unwrap().1;
        let open = warned("servers = [\"nats.example.com\"]\ninsecure = true");
        assert!(open.contains("cross the network to nats.example.com:4222 in plaintext"), "{open}");
        assert!(open.contains("does not say to nats.example.com:4222 who it is"), "{open}");
        assert_eq!(warned("servers = [\"127.0.0.1\"]\ninsecure = true"), "");
        assert_eq!(warned("servers = [\"nats.example.com\"]\nnkey_file = \"n\""), "");
    }

    #[test]
    fn tls_is_needed_off_loopback_and_where_trust_is_named() {
        let needs = |lines: &str| {
            let (settings, _) = read_nats(lines).unwrap();
            settings.servers.iter().map(|server| settings.needs_tls(server)).collect::<Vec<_>>()
        };
        let servers = "servers = [\"127.0.0.1\", \"nats.example.com\"]\n";
        assert_eq!(needs(servers), [false, true]);
        assert_eq!(needs(&format!("{servers}insecure = true")), [false, false]);
        assert_eq!(needs(&format!("{servers}insecure = true\nauthority = \"a\"")), [true, true]);
    }
}
