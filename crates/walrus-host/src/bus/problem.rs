//! What a NATS server says is wrong, with what to do about it.

use async_nats::{ClientError, ConnectError, ConnectErrorKind, Event, ServerError};

use super::{Shared, subject};
use crate::log::shortened;

/// Why there is no connection.
pub(super) fn unconnected(shared: &Shared, server: &str, error: &ConnectError) -> String {
    // With its causes.
    let text = error.to_string();
    if let Some((_, said)) = text.split_once("nats: ")
        && !said.contains("authorization violation")
    {
        return from_server(shared, server, said);
    }
    let remedy = match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            return format!("{server} does not let us in: {}", credentials(shared));
        }
        ConnectErrorKind::Tls => tls(shared),
        ConnectErrorKind::TimedOut => "nothing answered within 5 s; is a nats-server there?",
        ConnectErrorKind::Io if is_tls(&text) => tls(shared),
        _ => "is a nats-server there?",
    };
    format!("{server}: {text}; {remedy}")
}

/// TLS errors come as errors of input and output.
fn is_tls(text: &str) -> bool {
    ["certificate", "Certificate", "fatal alert", "TLS", "tls"]
        .iter()
        .any(|word| text.contains(word))
}

const fn tls(shared: &Shared) -> &'static str {
    if shared.settings.authority.is_some() {
        "does `authority` hold whoever signed the server's certificate, and does that name this host? \
         If the server wants a certificate of ours: `certificate` and `key`"
    } else {
        "write `authority` into [group.nats] for a server whose certificate is not a public one's; \
         if the server wants a certificate of ours: `certificate` and `key`"
    }
}

/// What to look at when a server refuses whom we say we are.
fn credentials(shared: &Shared) -> String {
    use walrus_core::config::NatsAuthentication as By;
    match &shared.settings.authentication {
        By::None => "it wants to know who we are: write user and password_file, nkey_file, \
                     token_file or credentials_file into [group.nats]"
            .to_owned(),
        By::Credentials(file) => format!("it does not take {}", file.display()),
        By::Nkey(file) => format!("it does not know the nkey in {}", file.display()),
        By::Token(file) => format!("it does not take the token in {}", file.display()),
        By::User { user, password_file } => format!(
            "it does not know the user `{user}`, or {} holds another password",
            password_file.display()
        ),
    }
}

/// What an event on a connection that stands tells, if it is a problem.
pub(super) fn told(shared: &Shared, server: &str, event: &Event) -> Option<String> {
    match event {
        Event::ServerError(ServerError::AuthorizationViolation) => {
            Some(format!("{server} does not let us in: {}", credentials(shared)))
        }
        Event::ServerError(ServerError::Other(text)) => Some(from_server(shared, server, text)),
        Event::SlowConsumer(_) | Event::ServerError(ServerError::SlowConsumer(_)) => Some(
            "this node is too slow to hear all that the group says: messages are lost; is the \
             machine busy?"
                .to_owned(),
        ),
        Event::LameDuckMode => Some(format!("{server} is about to end; another will be tried")),
        Event::ClientError(ClientError::Other(text)) => Some(format!("{server}: {text}")),
        _ => None,
    }
}

fn from_server(shared: &Shared, server: &str, text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let has = |words: &str| lower.contains(words);
    // What a subject in it holds was said by ourselves: names, and the prefix of the settings.
    let text = shortened(text);
    let remedy = if has("permissions violation") {
        let permitted: Vec<String> =
            shared.voices.iter().flat_map(|voice| needs(shared, voice)).collect();
        format!("permit this node's user there to {}", permitted.join("; "))
    } else if has("maximum connections") || has("maximum account active connections") {
        "the server is full: raise its max_connections, or name another in `servers`".to_owned()
    } else if has("maximum subscriptions") {
        "the server allows too few subscriptions: raise its max_subscriptions to 8".to_owned()
    } else if has("payload") {
        "raise the server's max_payload to 1MB".to_owned()
    } else if has("expired") {
        format!("what proves who this node is has expired: {}", credentials(shared))
    } else if has("authentication timeout") || has("authorization violation") {
        credentials(shared)
    } else {
        "see the server's log".to_owned()
    };
    format!("{server}: {text}; {remedy}")
}

/// The permissions that a voice needs.
fn needs(shared: &Shared, voice: &super::Voice) -> [String; 2] {
    let prefix = &shared.settings.prefix;
    let subscribe = subject::subscriptions(prefix, voice.role, &voice.name).join(", ");
    let publish = subject::publications(prefix, voice.role, &voice.name).join(", ");
    [format!("publish {publish}"), format!("subscribe to {subscribe}")]
}
