//! Who may speak: tokens, passwords, nkeys, credentials, TLS, and permissions bound to a name.

use nkeys::{KeyPair, KeyPairType};
use std::path::PathBuf;

use super::*;

/// Settings with a file of a secret beside the server's own files.
fn by(
    server: &Server,
    secret: &str,
    authentication: impl FnOnce(PathBuf) -> NatsAuthentication,
) -> NatsSettings {
    let file = server.folder().join(format!("secret-{}", secret.len()));
    std::fs::write(&file, format!("{secret}\n")).unwrap();
    NatsSettings { authentication: authentication(file), ..settings(&server.address()) }
}

/// The right secret lets a node in, a wrong one is told of in words that hold no secret.
async fn assert_let_in(right: NatsSettings, wrong: NatsSettings, told: &str) {
    let node = Node::start(right, Role::Controller, "berlin", 1).connected().await;
    assert_eq!(node.bus.status().problems, Vec::<String>::new());
    let node = Node::start(wrong, Role::Controller, "berlin", 2);
    node.complains(told).await;
    let status = node.bus.status();
    assert_eq!(status.server, None);
    assert!(!format!("{status:?}").contains("wrong-secret"), "{status:?}");
}

#[tokio::test]
async fn a_token() {
    let Some(server) = Server::start("authorization { token: \"right-secret\" }").await else {
        return;
    };
    let right = by(&server, "right-secret", NatsAuthentication::Token);
    let wrong = by(&server, "a-wrong-secret", NatsAuthentication::Token);
    assert_let_in(right, wrong, "does not let us in: it does not take the token in").await;
    let nobody = Node::start(settings(&server.address()), Role::Controller, "berlin", 3);
    nobody.complains("it wants to know who we are").await;
}

#[tokio::test]
async fn a_user_with_a_password() {
    let more = "authorization { users: [ { user: berlin, password: \"right-secret\" } ] }";
    let Some(server) = Server::start(more).await else { return };
    let user = |password_file| {
        let user = "berlin".to_owned();
        NatsAuthentication::User { user, password_file }
    };
    let right = by(&server, "right-secret", user);
    let wrong = by(&server, "a-wrong-secret", user);
    assert_let_in(right, wrong, "it does not know the user `berlin`, or").await;
    let mut missing = settings(&server.address());
    missing.authentication = user(server.folder().join("absent"));
    let node = Node::start(missing, Role::Controller, "berlin", 3);
    node.complains("absent: No such file").await;
}

fn pair(kind: KeyPairType, seed: u8) -> KeyPair {
    KeyPair::new_from_raw(kind, [seed; 32]).unwrap()
}

#[tokio::test]
async fn an_nkey() {
    let [right, wrong] = [1, 2].map(|seed| pair(KeyPairType::User, seed));
    let more = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", right.public_key());
    let Some(server) = Server::start(&more).await else { return };
    let [right, mut wrong] = [right, wrong].map(|pair| pair.seed().unwrap());
    wrong.push('\n');
    let right = by(&server, &right, NatsAuthentication::Nkey);
    let wrong = by(&server, &wrong, NatsAuthentication::Nkey);
    assert_let_in(right, wrong, "it does not know the nkey in").await;
    let none = by(&server, "no seed at all", NatsAuthentication::Nkey);
    let node = Node::start(none, Role::Controller, "berlin", 3);
    node.complains("holds no seed of a user's nkey").await;
}

/// A JWT as NATS' operators sign them.
fn jwt(issuer: &KeyPair, subject: &str, nats: &serde_json::Value) -> String {
    let claims = serde_json::json!({
        "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject, "name": "walrus",
        "jti": "WALRUS", "nats": nats,
    });
    let header = "{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}";
    let signed =
        format!("{}.{}", base64url(header.as_bytes()), base64url(claims.to_string().as_bytes()));
    format!("{signed}.{}", base64url(&issuer.sign(signed.as_bytes()).unwrap()))
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = (0..3)
            .fold(0_u32, |word, at| word << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for at in 0..=three.len() {
            let letter = (word >> (18 - 6 * at)) & 63;
            text.push(char::from(LETTERS[letter as usize]));
        }
    }
    text
}

#[tokio::test]
async fn credentials() {
    let operator = pair(KeyPairType::Operator, 1);
    let account = pair(KeyPairType::Account, 2);
    let user = pair(KeyPairType::User, 3);
    let limits = serde_json::json!({ "subs": -1, "data": -1, "payload": -1, "imports": -1,
        "exports": -1, "wildcards": true, "conn": -1, "leaf": -1 });
    let of_account = jwt(
        &operator,
        &account.public_key(),
        &serde_json::json!({ "type": "account", "version": 2, "limits": limits }),
    );
    let of_operator = jwt(
        &operator,
        &operator.public_key(),
        &serde_json::json!({ "type": "operator", "version": 2 }),
    );
    let of_user = jwt(
        &account,
        &user.public_key(),
        &serde_json::json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 }),
    );
    let more = format!(
        "operator: \"FOLDER/operator.jwt\"\nresolver: MEMORY\nresolver_preload: {{ {}: {of_account} }}",
        account.public_key()
    );
    let files = [("operator.jwt", &*of_operator)];
    let Some(server) = Server::start_with(&more, &files).await else { return };
    let file = |jwt: &str, seed: &str| {
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    };
    let right = file(&of_user, &user.seed().unwrap());
    let wrong = format!("{}\n", file(&of_user, &pair(KeyPairType::User, 4).seed().unwrap()));
    let right = by(&server, &right, NatsAuthentication::Credentials);
    let wrong = by(&server, &wrong, NatsAuthentication::Credentials);
    assert_let_in(right, wrong, "it does not take").await;
    let none = by(&server, "no credentials", NatsAuthentication::Credentials);
    let node = Node::start(none, Role::Controller, "berlin", 3);
    node.complains("holds no NATS credentials").await;
}

/// An authority, and what it signed for the server (with its address) and for a client: PEM.
struct Certificates {
    authority: String,
    server: [String; 2],
    client: [String; 2],
}

fn certificates() -> Certificates {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = parameters.self_signed(&key).unwrap();
    let pem = authority.pem();
    let issuer = rcgen::Issuer::new(parameters, key);
    let signed = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(names).unwrap();
        let certificate = parameters.signed_by(&key, &issuer).unwrap();
        [certificate.pem(), key.serialize_pem()]
    };
    Certificates { authority: pem, server: signed(&["127.0.0.1"]), client: signed(&["berlin"]) }
}

#[tokio::test]
async fn tls_both_ways() {
    let Certificates { authority, server: of_server, client } = certificates();
    let more = "tls { cert_file: \"FOLDER/server.pem\", key_file: \"FOLDER/server.key\", \
                ca_file: \"FOLDER/authority.pem\", verify: true }";
    let files = [
        ("authority.pem", &*authority),
        ("server.pem", &of_server[0]),
        ("server.key", &of_server[1]),
        ("client.pem", &client[0]),
        ("client.key", &client[1]),
    ];
    let Some(server) = Server::start_with(more, &files).await else { return };
    let file = |name| Some(server.folder().join(name));
    let mut secured = settings(&server.address());
    secured.authority = file("authority.pem");
    secured.certificate = file("client.pem");
    secured.key = file("client.key");
    let node = Node::start(secured.clone(), Role::Controller, "berlin", 1).connected().await;
    assert!(node.bus.status().problems.is_empty());

    let unknown = NatsSettings { authority: None, ..secured.clone() };
    let node = Node::start(unknown, Role::Controller, "berlin", 2);
    node.complains("write `authority` into [group.nats]").await;
    let nobody = NatsSettings { certificate: None, key: None, ..secured.clone() };
    let node = Node::start(nobody, Role::Controller, "berlin", 3);
    node.complains("`certificate` and `key`").await;
    let mixed = NatsSettings { key: file("server.key"), ..secured };
    let node = Node::start(mixed, Role::Controller, "berlin", 4);
    node.complains("client.pem").await;
}

#[tokio::test]
async fn a_server_without_tls_is_told_nothing_where_tls_was_asked_for() {
    let Some(server) = Server::start("").await else { return };
    let Certificates { authority, .. } = certificates();
    let file = server.folder().join("authority.pem");
    std::fs::write(&file, authority).unwrap();
    let secured = NatsSettings { authority: Some(file), ..settings(&server.address()) };
    let node = Node::start(secured, Role::Controller, "berlin", 1);
    node.complains(&server.address()).await;
    assert_eq!(node.bus.status().server, None);
}

#[tokio::test]
async fn a_user_may_speak_for_its_own_name_only() {
    let more = "authorization { users: [\n\
        { user: fra1, password: \"right-secret\", permissions: {\n\
          publish: [\"walrus.v1.reporter.fra1.>\", \"walrus.v1.to.*.*.*.reporter.fra1\"],\n\
          subscribe: [\"walrus.v1.to.reporter.fra1.>\"] } },\n\
        { user: berlin, password: \"right-secret\" } ] }";
    let Some(server) = Server::start(more).await else { return };
    let user = |user: &str| {
        let user = user.to_owned();
        by(&server, "right-secret", |password_file| NatsAuthentication::User {
            user,
            password_file,
        })
    };
    let mut berlin = Node::start(user("berlin"), Role::Controller, "berlin", 1).connected().await;
    let fra1 = Node::start(user("fra1"), Role::Reporter, "fra1", 1).connected().await;
    say_until_heard(&fra1, &believed::report("fra1", 1), &mut berlin).await;

    // With fra1's password in fra2's place: neither heard nor left in the dark.
    let thief = Node::start(user("fra1"), Role::Reporter, "fra2", 1).connected().await;
    until("the complaint", || {
        thief.say(believed::report("fra2", 1));
        let problems = thief.bus.status().problems;
        problems.iter().any(|problem| {
            problem.contains("Permissions Violation")
                && problem.contains("publish walrus.v1.reporter.fra2.>")
        })
    })
    .await;
    say_until_heard(&fra1, &believed::report("fra1", 2), &mut berlin).await;
    while let Ok(event) = berlin.heard.try_recv() {
        assert_eq!(event.envelope.name, name("fra1"));
    }
}

#[tokio::test]
async fn a_server_that_is_full_says_so() {
    let Some(server) = Server::start("max_connections: 1").await else { return };
    let _first =
        Node::start(settings(&server.address()), Role::Controller, "berlin", 1).connected().await;
    let second = Node::start(settings(&server.address()), Role::Controller, "zurich", 2);
    second.complains("max_connections").await;
}
