//! Studies: what is read, and everything that is told about bad ones.

use std::time::Duration;

use super::setup::{Arrivals, Deed, Family, TtlRule};
use super::{Setup, Study};

/// A study that is well.
pub(crate) const GOOD: &str = r#"
title = "small"
duration = "10m"
discard = "1m"
seeds = "1-3, 9"
configuration_text = """
zone = "example.com"
nameservers = ["ns1.example.com"]
[node]
roles = ["controller", "director"]
[dns]
listen = ["127.0.0.1:53"]
[[cluster]]
name = "one"
reporter = true
servers = [
  { name = "a1", addresses = ["192.0.2.1"], capacity = 100 },
  { name = "a2", addresses = ["192.0.2.2"], capacity = 100 },
]
[[service]]
name = "www.example.com"
choose = "round-robin"
ttl = "60s"
answers = 1
"""
timeline = """
# nothing at first
at 2m kill a1
at 90s population everybody x2 within 10s for 1m
at 3m heal a1
"""
[[population]]
name = "people"
clients = 100
domains = 10

[[variant]]
name = "RR"
[[variant]]
name = "random"
set = { "service.choose" = "random", "population.ttl" = "at least 10m", "control.round" = "20s" }
"#;

fn parse(text: &str, sets: &[(&str, &str)]) -> Result<Study, super::StudyProblems> {
    let sets: Vec<_> =
        sets.iter().map(|(path, value)| (path.to_string(), value.to_string())).collect();
    Study::parse("small.toml", text, &|_| Err("no such file".to_owned()), &sets)
}

fn setup(text: &str, variant: usize) -> Setup {
    let study = parse(text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    study.setup(variant).unwrap().as_ref().clone()
}

/// The lines of the problems of a study that is bad.
fn problems(text: &str, sets: &[(&str, &str)]) -> Vec<String> {
    parse(text, sets).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_study_is_read() {
    let study = parse(GOOD, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((study.title.as_str(), study.variants.len()), ("small", 2));
    assert_eq!(study.seeds, [1, 2, 3, 9]);
    assert_eq!(study.duration(1), Some(Duration::from_secs(600)));
    let setup = setup(GOOD, 0);
    let population = &setup.populations[0];
    assert_eq!(population.arrivals, Arrivals::Closed(100));
    assert_eq!((population.family, population.ttl_rule), (Family::Bind, TtlRule::Honour));
    assert_eq!(setup.name_servers.len(), 1);
    let deeds: Vec<&Deed> = setup.timeline.iter().map(|it| &it.deed).collect();
    assert!(matches!(deeds[..], [Deed::Population { .. }, Deed::Servers(..), Deed::Heal(_)]));
}

#[test]
fn a_variant_replaces_settings_of_study_and_configuration() {
    use walrus_core::world::ChoosePolicy;
    let (one, other) = (setup(GOOD, 0), setup(GOOD, 1));
    let choose = |setup: &Setup| setup.configuration.topology.services[0].choose;
    assert_eq!((choose(&one), choose(&other)), (ChoosePolicy::RoundRobin, ChoosePolicy::Random));
    assert_eq!(other.populations[0].ttl_rule, TtlRule::AtLeast(Duration::from_secs(600)));
    assert_eq!(other.configuration.control.round, Duration::from_secs(20));
    assert_eq!(one.populations[0].ttl_rule, TtlRule::Honour);
}

#[test]
fn what_is_set_from_outside_wins_over_variants() {
    let sets =
        [("population.ttl", "ignore 1h"), ("cluster.one.servers.capacity", "50"), ("seeds", "4")];
    let study = parse(GOOD, &sets).unwrap_or_else(|problems| panic!("{problems}"));
    let setup = study.setup(1).unwrap();
    assert_eq!(setup.populations[0].ttl_rule, TtlRule::Ignore(Duration::from_secs(3600)));
    assert_eq!(setup.configuration.topology.servers[1].capacity, Some(50.0));
    assert_eq!(study.seeds, [4]);
}

#[test]
fn variants_are_not_set_from_outside() {
    for path in ["variant", "variant.RR.set"] {
        let told = problems(GOOD, &[(path, "[]")]);
        assert!(told.iter().any(|it| it.contains("variants are the study's own")), "{told:?}");
    }
}

#[test]
fn all_problems_are_told_at_once_with_their_lines() {
    let text = GOOD
        .replace("seeds = \"1-3, 9\"", "seeds = \"one\"")
        .replace("capacity = 100 },\n  {", "},\n  {")
        .replace("at 2m kill a1", "at 2m kill a9")
        .replace(
            "domains = 10",
            "domains = 10\nresolver = \"bnid\"\nttl = \"at least\"\nthink = \"5\"",
        )
        .replace("\"control.round\" = \"20s\"", "\"control.round\" = 20, \"service.chose\" = 1");
    let told = problems(&text, &[("population.domain", "5")]);
    let expected = [
        "small.toml:5:9: `seeds`: seeds are numbers and ranges such as \"1-5, 9\", not \"one\"",
        "there is no server or cluster `a9`: did you mean `a1`?",
        "`population.resolver` is \"bnid\": did you mean \"bind\"?",
        "`population.ttl` must be",
        "`population.think` must be",
        "`control.round` needs a unit: write \"20s\"",
        "`chose` is no setting of [[service]]; did you mean `choose`?",
        "--set:1:1: `domain` is no setting of [[population]]; did you mean `domains`?",
    ];
    for expected in expected {
        assert!(told.iter().any(|it| it.contains(expected)), "{expected}\nin\n{}", told.join("\n"));
    }
    assert!(told.iter().all(|it| !it.starts_with("small.toml: ")), "{told:?}");
    // What is wrong in the configuration hides nothing of the study.
    assert!(told.iter().any(|it| it.contains("service.chose") || it.contains("`chose`")));
}

#[test]
fn what_only_follows_from_a_problem_is_not_told_and_hides_nothing() {
    let duration = GOOD.lines().find(|line| line.starts_with("duration")).unwrap();
    let text =
        GOOD.replace(duration, "duration = \"5x\"").replace("at 2m kill a1", "at 2y kill a9");
    let told = problems(&text, &[]);
    for expected in ["`duration`", "`2y` is no time", "no server or cluster `a9`"] {
        assert!(told.iter().any(|it| it.contains(expected)), "{expected}\nin\n{}", told.join("\n"));
    }
    for follows in ["nothing is left", "longer than what", "after the end"] {
        assert!(!told.iter().any(|it| it.contains(follows)), "{follows}\nin\n{}", told.join("\n"));
    }
}

#[test]
fn problems_of_the_configuration_stand_where_they_are_in_the_study() {
    let text = GOOD.replace("ttl = \"60s\"\n", "ttl = 60\n");
    let line = text.lines().position(|line| line == "ttl = 60").unwrap() + 1;
    assert!(problems(&text, &[])[0].starts_with(&format!("small.toml:{line}:7: `service.ttl`")));
    let text = GOOD.replace("at 3m heal a1", "    at 3m heel a1");
    let line = text.lines().position(|line| line.contains("heel")).unwrap() + 1;
    assert!(problems(&text, &[])[0].starts_with(&format!("small.toml:{line}:5: `heel a1`")));
}

#[test]
fn what_a_configuration_lacks_is_told_where_it_begins() {
    let line = GOOD.lines().position(|line| line.starts_with("configuration_text")).unwrap() + 1;
    let (before, behind) = GOOD.split_once("[[service]]").unwrap();
    let (_, behind) = behind.split_once("\"\"\"").unwrap();
    let text = format!("{before}\"\"\"{behind}").replace("\"service.choose\" = \"random\", ", "");
    let told = problems(&text, &[]);
    let expected = "there is nothing to ask for: write [[service]]";
    let found = told.iter().find(|it| it.contains(expected));
    let found = found.unwrap_or_else(|| panic!("{told:?}"));
    assert!(found.starts_with(&format!("small.toml:{line}:")), "{found}");
}

#[test]
fn what_cannot_be_is_said_up_front() {
    let cases = [
        (
            ("clients = 100", "clients = 1000"),
            "ask for 666.7 hits/s of servers that can give 200.0",
        ),
        (("clients = 100", ""), "either `clients` (closed) or `sessions_per_second`"),
        (("clients = 100", "clients = 10\nprefix = \"10.0.0.0/22\""), "has room for 4 domains"),
        (("clients = 100", "clients = 10\nprefix = \"10.0.0.0/25\""), "longer than a domain's /24"),
        (
            ("clients = 100", "clients = 10\ndistances = { two = \"1s\" }"),
            "no cluster and no name server",
        ),
        (
            ("clients = 100", "clients = 10\nservice = \"w.example.com\""),
            "has no service w.example.com",
        ),
        (("clients = 100", "clients = 10\nshares = \"file:x\""), "`x`: no such file"),
        (
            ("clients = 100", "clients = 10\n[[population]]\nname = \"people\"\nclients = 1"),
            "already",
        ),
        (("discard = \"1m\"", "discard = \"10m\""), "nothing is left to measure"),
        (("listen = [\"127.0.0.1:53\"]", "listen = []"), "listen"),
        (("at 3m heal", "at 3h heal"), "after the end of the run"),
        (("seeds = \"1-3, 9\"", "seeds = \"1-3, 2\""), "seed 2 stands there twice"),
        (("name = \"random\"", "name = \"RR\""), "a variant \"RR\" already"),
        (("set = {", "set = { \"population.name.x\" = 1,"), "has no settings of its own"),
        (("set = {", "set = { \"dnssec.sign\" = yes,"), "TOML"),
        (("configuration_text", "configuration = \"w.toml\"\nconfiguration_text"), "write one of"),
    ];
    for ((old, new), expected) in cases {
        assert!(GOOD.contains(old), "{old}");
        let told = problems(&GOOD.replacen(old, new, 1), &[]);
        assert!(told.iter().any(|it| it.contains(expected)), "{expected}\nin\n{}", told.join("\n"));
    }
    let all = GOOD.replace("capacity = 100", "weight = 1");
    assert!(problems(&all, &[])[0].contains("2 of the servers have no capacity, `a1` among them"));
    let wanted =
        GOOD.replace("clients = 100", "clients = 1000").replace("title", "overload = true\ntitle");
    assert!(parse(&wanted, &[]).is_ok());
    let text = "configuration = \"w.toml\"\n[[population]]\nclients = 5\n";
    assert!(
        problems(text, &[])[0].starts_with("small.toml:1:17: the configuration `w.toml` cannot")
    );
    assert!(problems("duration = ", &[])[0].contains("this is no TOML"));
    let none: Vec<String> = problems("", &[]);
    assert!(
        none.iter().any(|it| it.contains("`population` is missing: add [[population]]")),
        "{none:?}"
    );
}

#[test]
fn what_is_after_an_end_that_was_set_outside_is_left_out() {
    let study = parse(GOOD, &[("duration", "2m")]).unwrap();
    let warnings: Vec<String> = study.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["--set:1:12: 1 event of the time line after the end (120s) is left out"]);
    assert_eq!(study.setup(0).unwrap().timeline.len(), 2);
    // In the file itself, and in a variant of it, it is a mistake; what is wrong besides is told too.
    let short = GOOD.replace("duration = \"10m\"", "duration = \"2m\"");
    let told = problems(&short.replace("kill a1", "kill a"), &[]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("`a`"), "{told:?}");
    assert!(told[1].contains("180s is after the end of the run, 120s: make"), "{told:?}");
    let variant = GOOD.replace("set = {", "set = { duration = \"2m\",");
    assert!(problems(&variant, &[])[0].contains("after the end"));
}

#[test]
fn a_duration_that_is_none_hides_nothing_and_makes_nothing_else_wrong() {
    let text = GOOD.replace("duration = \"10m\"", "duration = \"5x\"");
    let told = problems(&text.replace("at 2m kill a1", "at 2m kill zork"), &[]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("`duration`") && told[1].contains("zork"), "{told:?}");
}

#[test]
fn times_of_which_nothing_comes_are_warned_of() {
    let study = parse(GOOD, &[("interval", "30m"), ("window", "20m"), ("sample", "20m")]).unwrap();
    let told: Vec<String> = study.warnings.iter().map(ToString::to_string).collect();
    for name in ["interval", "window", "sample"] {
        assert!(told.iter().any(|it| it.contains(&format!("`{name}` is longer"))), "{told:?}");
    }
}

#[test]
fn a_short_run_is_not_at_night_by_accident() {
    let activity = |sets: &[(&str, &str)]| {
        let all = [&[("population.daily", "1.0"), ("duration", "1h")], sets].concat();
        let study = parse(GOOD, &all).unwrap_or_else(|problems| panic!("{problems}"));
        let told: Vec<String> = study.warnings.iter().map(ToString::to_string).collect();
        let mean = study.setup(0).unwrap().populations[0].mean_activity(3600.0);
        (mean, told.iter().any(|it| it.contains("is at night for most of the run")))
    };
    let near = |(mean, warned): (f64, bool), expected: f64| {
        assert!((mean - expected).abs() < 0.01 && warned == (expected < 0.5), "{mean} {warned}");
    };
    near(activity(&[]), 1.13);
    near(activity(&[("begins", "690m")]), 2.0);
    near(activity(&[("begins", "0h")]), 0.01);
    near(activity(&[("population.peak", "18h")]), 0.01);
    near(activity(&[("population.peak", "18h"), ("begins", "18h")]), 1.99);
    // A night that is not dark is not warned of.
    near(activity(&[("begins", "0h"), ("population.daily", "0.3")]), 0.7);
}

#[test]
fn settings_change_on_the_time_line_one_upon_the_other() {
    let set = |lines: &str| GOOD.replace("at 3m heal a1", lines);
    let text = set("at 8m set control.round = 40s\nat 5m set service.choose = \\\"mrl\\\"");
    let setup = setup(&text.replace("\\\"", "\""), 1);
    let deeds: Vec<&Deed> = setup.timeline.iter().map(|it| &it.deed).collect();
    assert!(matches!(deeds[2..], [Deed::Reload(0), Deed::Reload(1)]), "{deeds:?}");
    let rounds: Vec<Duration> = setup.reloads.iter().map(|it| it.control.round).collect();
    // The second stands upon the variant's own change and the first.
    assert_eq!(rounds, [Duration::from_secs(20), Duration::from_secs(40)]);
    assert_eq!(
        setup.reloads[0].topology.services[0].choose,
        setup.reloads[1].topology.services[0].choose
    );
    assert!(setup.reports.requests);
    for (line, expected) in [
        ("at 3m set service.choose", "write `set service.choose = mrl`"),
        ("at 3m set service.chose = mrl", "did you mean `choose`?"),
        ("at 3m set service.choose = luck", "luck"),
        ("at 3m set population.clients = 5", "no setting of the Walrus configuration"),
        ("at 3m set cluster.servers = []", ""),
        ("at 3m set service.name = w.example.com", "what stands where"),
        ("at 3m set dns.observe_every = 5s", "a change of [dns] takes a restart"),
        ("at 3m set node.name = other", "a change of [node] takes a restart"),
    ] {
        let told = problems(&set(line), &[]);
        assert!(told.iter().any(|it| it.contains(expected)), "{line}: {told:?}");
        assert!(told[0].starts_with("small.toml:30:"), "{line}: {told:?}");
    }
}

#[test]
fn blanks_between_words_are_of_no_account() {
    for line in ["at  3m  heal  a1", "\tat\t3m\theal a1 ", "at 3m\t heal a1 # so"] {
        let read = setup(&GOOD.replace("at 3m heal a1", line), 0);
        assert!(matches!(read.timeline[2].deed, Deed::Heal(_)), "{line}: {:?}", read.timeline);
    }
}

#[test]
fn a_long_time_line_is_read_in_one_pass_up_to_its_bound() {
    // In quadratic time this would take minutes.
    let blanks = "\n".repeat(400_000);
    let told = problems(&GOOD.replace("at 3m heal a1", &format!("{blanks}  at 3m heal a9")), &[]);
    assert!(told[0].starts_with("small.toml:400030:3: ") && told[0].contains("a9"), "{told:?}");
    let many = problems(&GOOD.replace("at 3m heal a1", &"at 3m heal a1\n".repeat(100_000)), &[]);
    assert!(many.len() == 1 && many[0].contains("at most 100000 things happen"), "{many:?}");
    let bad = problems(&GOOD.replace("at 3m heal a1", &"at 3m heal a9\n".repeat(5000)), &[]);
    assert!(bad.len() == 101 && bad[100].contains("further lines are not looked at"), "{bad:?}");
}

#[test]
fn lines_are_told_where_they_stand_however_the_text_is_written() {
    let begin = GOOD.find("timeline = ").unwrap();
    let end = begin + GOOD[begin..].find("\n[[population]]").unwrap();
    let with = |text: &str| format!("{}timeline = {text}{}", &GOOD[..begin], &GOOD[end..]);
    for (text, line, column) in [
        ("\"\"\"\nat 1m kill a1\n at 2m kill a9\n\"\"\"", 28, 2),
        ("\"\"\"\r\nat 1m kill a1\r\n at 2m kill a9\r\n\"\"\"", 28, 2),
        ("'''at 1m kill a1\nat 2m kill a9'''", 27, 1),
        ("\"\"\"at 2m kill a9\"\"\"", 26, 15),
        ("\"at 1m kill a1\\nat 2m kill a9\"", 26, 12),
    ] {
        let told = problems(&with(text), &[]);
        assert_eq!(told.len(), 1, "{text}: {told:?}");
        let place = format!("small.toml:{line}:{column}: ");
        assert!(told[0].starts_with(&place), "{text}: {told:?}");
    }
}

#[test]
fn each_bad_change_is_told_and_good_ones_stand_upon_good_ones() {
    let lines = "at 3m set service.chose = mrl\nat 4m set service.ttl = 30s\n\
                 at 5m set dns.observe_every = 5s\nat 6m set control.round = 40s\n\
                 at 7m set service.choose = luck";
    let told = problems(&GOOD.replace("at 3m heal a1", lines), &[]);
    assert_eq!(told.len(), 3, "{told:?}");
    for (told, (line, text)) in told.iter().zip([(30, "choose"), (32, "[dns]"), (34, "luck")]) {
        assert!(told.starts_with(&format!("small.toml:{line}:")) && told.contains(text), "{told}");
    }
}

#[test]
fn a_time_line_says_what_is_wrong_with_each_line() {
    let cases = [
        ("kill a1", "begin with `at TIME`"),
        ("at noon kill a1", "`noon` is no time"),
        ("at 5m", "nothing that can happen"),
        ("at 5m kill nameserver nss1", "there is no name server `nss1`: did you mean `ns1`?"),
        ("at 5m kill controller 2", "from 1 to 1"),
        ("at 5m slow a1 0.5", "no factor"),
        ("at 5m drain nobody", "there is no server or cluster `nobody`; there are a1, a2, one"),
        ("at 5m report a1 happy", "a report is"),
        ("at 5m population peple x2", "did you mean `people`?"),
        ("at 5m population people", "write how much"),
        ("at 5m population people x2 within", "`within` wants a time"),
        ("at 5m population people x2 around 5m", "write `within TIME`"),
        ("at 5m population people x0", "no factor"),
        ("at 5m cut everything", "no server or cluster `everything`"),
        ("at 5m kil a1", "did you mean `kill`?"),
        ("at 5m expect refused", "is for scenarios"),
        ("at 5m time passes 5m", "is for scenarios"),
        ("at 5m reload a => b", "as in `set service.ttl = 30s`"),
    ];
    for (line, expected) in cases {
        let text = GOOD.replace("at 3m heal a1", line);
        let number = text.lines().position(|it| it == line).unwrap() + 1;
        let told = problems(&text, &[]);
        let place = format!("small.toml:{number}:1: ");
        assert!(told[0].starts_with(&place) && told[0].contains(expected), "{line}: {told:?}");
    }
}

#[test]
fn mangled_studies_never_panic() {
    use walrus_core::world::Generator;
    let mut generator = Generator::new(1);
    for _ in 0..400 {
        let mut bytes = GOOD.as_bytes().to_vec();
        for _ in 0..=generator.index(6).0 {
            let (at, draw) = generator.index(bytes.len() as u32);
            match draw % 4 {
                0 => drop(bytes.remove(at as usize)),
                1 => bytes[at as usize] = b"0\"'[]{}=#.\n-"[draw as usize / 4 % 12],
                2 => bytes.insert(at as usize, b'9'),
                _ => bytes.truncate(bytes.len() - (draw / 4 % 40) as usize),
            }
        }
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = parse(&text, &[("population.clients", &text[..text.len().min(9)])]);
        }
    }
}

#[test]
fn impossible_loads_and_types_are_told_and_odd_networks_warned_of() {
    let second = "[[service]]\nname = \"two.example.com\"\n\"\"\"\ntimeline";
    let text = GOOD.replace("\"\"\"\ntimeline", second);
    // 200 hits/s that both services have together.
    let people = |service: &str, sessions: &str| {
        format!(
            "\n[[population]]\nname = \"p-{sessions}\"\nservice = \"{service}.example.com\"\n\
             sessions_per_second = 0.{sessions}\nprefix = \"11.0.0.0/8\"\n"
        )
    };
    let both =
        |one: &str, other: &str| format!("{text}{}{}", people("www", one), people("two", other));
    let problems = parse(&both("5", "6"), &[]).unwrap_err().to_string();
    assert!(problems.contains("two.example.com and www.example.com ask for 2"), "{problems}");
    let study = parse(&both("1", "2"), &[]).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(study.warnings.len(), 1, "{:?}", study.warnings);
    assert!(study.warnings[0].to_string().contains("are those of population `p-1`"));
    let problems = parse(&text, &[("population.type", "AAAA")]).unwrap_err().to_string();
    assert!(problems.contains("has an IPv6 address"), "{problems}");
}
