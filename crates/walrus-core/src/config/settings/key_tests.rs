//! `[[key]]` as people write it, and what they are told of it.

use std::path::Path;

use crate::config::{Context, Parsed, Problem, SourceFile, TsigAlgorithm, parse};

fn checked(rest: &str) -> Result<Parsed, Vec<Problem>> {
    let text = format!(
        "[[zone]]\nname = \"example.com\"\nnameservers = [\"ns.example.net\"]\n{rest}\
         [node]\nroles = [\"controller\", \"director\"]\n\
         [dns]\nlisten = [\"127.0.0.1:5300\"]\n"
    );
    let files = [SourceFile { name: "walrus.toml".into(), text }];
    parse(&files, &Context { hostname: "one", read: &|_| Ok(String::new()) })
}

#[test]
fn keys_are_read_and_are_no_part_of_what_nodes_share() {
    let with = checked(
        "[[key]]\nname = \"transfer\"\nsecret_file = \"transfer.key\"\n\
         [[key]]\nname = \"Acme.example\"\nalgorithm = \"hmac-sha512\"\nsecret_file = \"b\"\n",
    )
    .expect("there is no problem");
    let [first, second] = &with.configuration.keys[..] else { panic!("two are written") };
    assert_eq!(first.algorithm, TsigAlgorithm::HmacSha256);
    assert_eq!(first.secret_file, Path::new("transfer.key"));
    assert_eq!(second.algorithm, TsigAlgorithm::HmacSha512);
    let without = checked("").expect("there is no problem");
    assert_eq!(with.configuration.digest, without.configuration.digest);
}

#[test]
fn two_keys_of_one_name_and_one_without_are_problems() {
    let problems = checked(
        "[[key]]\nname = \"one\"\nsecret_file = \"a\"\n\
         [[key]]\nname = \"ONE\"\nsecret_file = \"b\"\n\
         [[key]]\nname = \".\"\nsecret_file = \"c\"\n",
    )
    .expect_err("that cannot be used");
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("stands already at walrus.toml:4"), "{told:?}");
    assert!(told[1].contains("a key has a name"), "{told:?}");
}
