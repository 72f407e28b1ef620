//! Several NATS servers: a cluster of two, a leaf node; and users who may speak for their own name
//! alone.

use super::*;
use nats::free;

#[test]
fn a_cluster_of_two_nats_servers_carries_a_group() {
    let _together = together();
    let Some([program]) = find("a cluster of NATS servers", ["nats-server"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let route = free();
    let first = format!("cluster {{ name: walrus, listen: \"{route}\" }}");
    let first = Nats::start(&program, &folder.path().join("nats1"), &first);
    let second =
        format!("cluster {{ name: walrus, listen: \"{}\", routes: [\"nats://{route}\"] }}", free());
    let second = Nats::start(&program, &folder.path().join("nats2"), &second);
    let group = Group::start(folder.path(), [&at(&first), &at(&second)]);
    let (code, said) = group.controllers[1].call(&["drain", "near2"]);
    assert_eq!(code, Some(0), "{said}");
    group.wait_for_answers(&["192.0.2.1"]);
}

#[test]
fn a_leaf_node_carries_a_group_in_which_each_user_has_its_own_name() {
    let _together = together();
    let Some([program]) = find("a leaf node of NATS", ["nats-server"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let leaves = free();
    let node = |name: &str, hears: &str| {
        format!(
            "{{ user: {name}, password: \"password-of-{name}\", permissions: {{\n\
               publish: [\"walrus.v1.*.{name}.>\", \"walrus.v1.to.*.*.*.*.{name}\"],\n\
               subscribe: [{hears}\"walrus.v1.to.*.{name}.>\"] }} }}"
        )
    };
    let all = "\"walrus.v1.controller.>\", \"walrus.v1.director.>\", \"walrus.v1.reporter.>\", ";
    let users = [
        node("berlin", all),
        node("zurich", all),
        node("ns1", "\"walrus.v1.controller.>\", "),
        node("ns2", "\"walrus.v1.controller.>\", "),
        node("near1", ""),
        "{ user: leaf, password: \"password-of-leaf\" }".to_owned(),
    ];
    let users = format!("authorization {{ users: [\n{}\n] }}", users.join(",\n"));
    let hub = format!("leafnodes {{ listen: \"{leaves}\" }}\n{users}");
    let hub = Nats::start(&program, &folder.path().join("hub"), &hub);
    let leaf = format!(
        "leafnodes {{ remotes: [ {{ url: \"nats://leaf:password-of-leaf@{leaves}\" }} ] }}\n{users}"
    );
    let leaf = Nats::start(&program, &folder.path().join("leaf"), &leaf);
    let folder = folder.path();
    let as_user = |nats: &Nats, user: &str| {
        let file = folder.join(format!("password-of-{user}"));
        std::fs::write(&file, format!("password-of-{user}\n")).unwrap();
        format!("{}\nuser = \"{user}\"\npassword_file = \"{}\"", at(nats), file.display())
    };
    let start = |name, role, nats: &Nats| Node::start(folder, name, role, &as_user(nats, name));
    let group = Group {
        controllers: [start("berlin", "controller", &hub), start("zurich", "controller", &leaf)],
        directors: [start("ns1", "director", &hub), start("ns2", "director", &leaf)],
        reporter: reporter(folder, "near1", &as_user(&leaf, "near1")),
    };
    wait_within(BEGINS_WITHIN, "one master", || group.master());
    group.wait_for_answers(&["192.0.2.1", "192.0.2.2"]);

    // With ns1's password another's name: the node hears why, and nobody hears it.
    let thief = Node::start(folder, "mallory", "controller", &as_user(&hub, "ns1"));
    wait_for("word of what is not permitted", || {
        let status = thief.status();
        let problems = status["problems"].as_array()?;
        let told = |problem: &Value| {
            let text = problem["text"].as_str().unwrap_or_default();
            text.contains("Permissions Violation")
                && text.contains("walrus.v1.controller.mallory.>")
        };
        problems.iter().any(told).then_some(())
    });
    let wrong = as_user(&hub, "ns1").replace("user = \"ns1\"", "user = \"ns2\"");
    let wrong = Node::start(folder, "wrong", "controller", &wrong);
    wait_for("word of the wrong password", || {
        let said = wrong.said();
        said.contains("does not know the user `ns2`").then_some(())
    });
    assert!(!wrong.said().contains("password-of-ns1\n"), "no secret in the log: {}", wrong.said());
    for node in &group.controllers {
        let status = node.status();
        let peers = status["group"]["peers"].as_array().unwrap();
        assert!(peers.iter().all(|peer| peer["name"] != "mallory"), "{status}");
    }
    wait_within(BEGINS_WITHIN, "one master still", || group.master());
    assert!(!hub.said().contains("panic"), "{}", hub.said());
}
