//! Each word, in scenarios and on time lines.

use std::time::Duration;

use super::*;
use crate::system::ServerState;

fn set(target: &str, state: ServerState) -> Sentence {
    Sentence::Statement(Statement::Act(Act::Set { target: target.to_owned(), state }))
}

#[test]
fn what_happens_to_servers_reads_alike_everywhere() {
    let act = |act| Sentence::Statement(Statement::Act(act));
    let target = || "fra1".to_owned();
    for (text, expected) in [
        ("kill fra1", set("fra1", ServerState::Killed)),
        ("cut fra1", set("fra1", ServerState::Cut)),
        ("slow fra1", set("fra1", ServerState::Slow)),
        ("overload fra1", set("fra1", ServerState::Busy { busy: 10, max: 10 })),
        ("report fra1 busy 9 of 10", set("fra1", ServerState::Busy { busy: 9, max: 10 })),
        ("report fra1 tempfail not yet", set("fra1", ServerState::TempFail("not yet".to_owned()))),
        ("report fra1 bypass", set("fra1", ServerState::Bypass(String::new()))),
        (
            "report fra1 panic at the disco",
            set("fra1", ServerState::Panic("at the disco".to_owned())),
        ),
        ("report fra1 silence", set("fra1", ServerState::Silent)),
        ("heal fra1", act(Act::Heal { target: target() })),
        ("drain fra1", act(Act::Drain { target: target(), force: false })),
        ("drain  fra1\tforce", act(Act::Drain { target: target(), force: true })),
        ("undrain fra1", act(Act::Undrain { target: target() })),
    ] {
        assert_eq!(sentence(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_happens_in_studies_only() {
    let way = |name: &str, controller: Option<&str>| {
        Some(Way { name: name.to_owned(), controller: controller.map(str::to_owned) })
    };
    let messages = |messages, is_cut, way| Event::Messages { messages, is_cut, way };
    let population = |within, last: Option<u64>| Event::Population {
        name: "people".to_owned(),
        factor: 20.0,
        within: Duration::from_secs(within),
        last: last.map(Duration::from_secs),
    };
    let value =
        |value: &str| Event::Set { path: "service.choose".to_owned(), value: value.to_owned() };
    let name = || "europe".to_owned();
    for (text, expected) in [
        ("slow fra1 x0.5", Event::Speed { target: "fra1".to_owned(), factor: 0.5 }),
        ("kill nameserver europe", Event::NameServer { name: name(), reach: Reach::Killed }),
        ("cut nameserver europe", Event::NameServer { name: name(), reach: Reach::Cut }),
        ("heal nameserver europe", Event::NameServer { name: name(), reach: Reach::Well }),
        ("kill controller 2", Event::Controller { number: "2".to_owned(), reach: Reach::Killed }),
        ("cut reports", messages(Messages::Reports, true, None)),
        ("heal plans", messages(Messages::Plans, false, None)),
        ("cut reports of fra1", messages(Messages::Reports, true, way("fra1", None))),
        (
            "heal observations of europe to controller 2",
            messages(Messages::Observations, false, way("europe", Some("2"))),
        ),
        ("cut plans to europe", messages(Messages::Plans, true, way("europe", None))),
        ("set service.choose = mrl", value("mrl")),
        ("set service.choose=\"two  blanks\"", value("\"two  blanks\"")),
        ("population people x20", population(0, None)),
        ("population people x20 for 10m within 1m", population(60, Some(600))),
    ] {
        assert_eq!(sentence(text), Ok(Sentence::Event(expected)), "{text}");
    }
}

#[test]
fn what_scenarios_say_besides() {
    let statement = |text: &str| match sentence(text) {
        Ok(Sentence::Statement(statement)) => statement,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(statement("time passes 1.5h"), Statement::Pass(Duration::from_secs(5400)));
    assert_eq!(statement("stop 20s"), Statement::Stop(Duration::from_secs(20)));
    assert_eq!(statement("restart"), Statement::Restart);
    assert_eq!(statement("show servers"), Statement::Show(View::Servers));
    assert_eq!(statement("expect refused"), Statement::Expect(Expectation::Refused));
    let (old, new) = ("a = 1".to_owned(), "a = [ 1,  2 ]".to_owned());
    assert_eq!(statement("reload a = 1 => a = [ 1,  2 ]"), Statement::Reload { old, new });
    assert!(matches!(statement("query a A from 192.0.2.1"), Statement::Query { times: 1, .. }));
}

#[test]
fn what_is_wrong_is_told_with_what_to_write() {
    for (text, expected) in [
        ("", "is nothing that can happen; there are kill"),
        ("sing", "is nothing that can happen"),
        ("kil fra1", "did you mean `kill`?"),
        ("kill", "wants the name of a server or cluster"),
        ("report fra1", "a report is `busy N of M`"),
        ("report fra1 busy -1 of 10", "`-1` is not a number"),
        ("slow fra1 0.5", "`0.5` is no factor"),
        ("slow fra1 xNaN", "`xNaN` is no factor"),
        ("overload fra1 twice", "write `overload NAME`"),
        ("kill fra1 fra2", "`fra2`: write `kill NAME` and nothing behind it"),
        ("cut fra1 now", "`now`: write `cut NAME`"),
        ("heal nameserver europe now", "`now`: write `heal nameserver NAME`"),
        ("slow fra1 x0.5 soon", "`soon`: write `slow NAME` or `slow NAME xTIMES`"),
        ("tme passes 5s", "did you mean `time`?"),
        ("drain fra1 now", "`drain NAME force`"),
        ("cut plans of europe", "`cut plans to europe`"),
        ("set service.choose", "write `set service.choose = mrl`"),
        ("set service choose = mrl", "a path, `=` and a value"),
        ("population people", "write how much"),
        ("population people x2 within", "`within` wants a time"),
        ("population people x2 for 1m for 2m", "`for` stands there twice"),
        ("population people x2 around 5m", "write `within TIME`"),
        ("time passes 9999999999999999h", "is no time"),
        ("time goes by", "write `time passes 5s`"),
        ("stop", "write `stop 20s`"),
        ("restart now", "stands alone"),
        ("reload x", "write `reload OLD => NEW`"),
        ("query x", "write `query"),
        ("show me", "`answer`, `areas` or `servers`"),
        ("at 5m kill fra1", "`time passes 5m`"),
    ] {
        let told = sentence(text).unwrap_err();
        assert!(told.contains(expected), "{text}: {told}");
    }
}

#[test]
fn comments_are_no_part_of_a_line() {
    assert_eq!(without_comment("  kill fra1  # why not"), "kill fra1");
    assert_eq!(without_comment("# nothing"), "");
    assert_eq!(without_comment("set service.x = \"a#b\" # \"why\""), "set service.x = \"a#b\"");
    assert_eq!(without_comment(r##"set x = "a\"#b" # so"##), r##"set x = "a\"#b""##);
    // An inch is no quotation.
    assert_eq!(without_comment("report a tempfail 5\" disk # why"), "report a tempfail 5\" disk");
}
