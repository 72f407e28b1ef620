//! What each population got, beside what all of them got together.

use walrus_sim::simulation::Distribution;

use super::{Site, run};

#[test]
fn what_one_population_suffers_is_not_told_of_another() {
    let site = Site {
        clusters: vec![("east", vec![("e1", 400)]), ("west", vec![("w1", 400)])],
        service: "clusters = [\"east\"]\nttl = \"20s\"",
        rest: "[[service]]\nname = \"two.example.com\"\nclusters = [\"west\"]\nttl = \"60s\"",
    };
    let study = site.study(
        "duration = \"20m\"\ndiscard = \"2m\"\ninterval = \"1m\"\n\
         timeline = \"at 10m kill w1\\nat 15m heal w1\"\n\
         [pages]\nthink = \"exponential 10s\"\n\
         [[population]]\nname = \"one\"\nclients = 40\nservice = \"www.example.com\"\n\
         [[population]]\nname = \"two\"\nclients = 80\nservice = \"two.example.com\"\n\
         prefix = \"172.16.0.0/12\"\n",
    );
    let result = run(&study, 1);
    let [one, two] = &result.populations[..] else { panic!("{:?}", result.populations) };
    assert_eq!((one.name.as_str(), two.name.as_str()), ("one", "two"));
    assert_eq!((one.counts.failed_pages, one.failed_share.iter().sum::<f32>()), (0, 0.0));
    // Those that were at the server when it died, too.
    assert!(two.counts.failed_pages > 1000, "{:?}", two.counts);
    assert!(two.failed_share[4] == 0.0 && two.failed_share[10] > 0.9, "{:?}", two.failed_share);
    assert!(one.pages[1] == 0 && two.pages[0] == 0 && one.pages[0] > 0 && two.pages[1] > 0);
    assert!(one.counts.upstream_queries > two.counts.upstream_queries);
    // Both together are all that there is.
    let (mut all, counts) = (Distribution::new(), result.counts);
    [one, two].into_iter().for_each(|it| all.merge(&it.response_seconds));
    assert_eq!(all, result.response_seconds);
    for (name, sum, whole) in [
        ("pages", one.counts.pages + two.counts.pages, counts.clients.pages),
        ("hits", one.counts.hits + two.counts.hits, counts.clients.hits),
        ("sessions", one.counts.sessions + two.counts.sessions, counts.clients.sessions),
        ("lookups", one.counts.lookups + two.counts.lookups, counts.clients.lookups),
        ("failed", one.counts.failed_pages + two.counts.failed_pages, counts.clients.failed_pages),
        ("near", one.counts.near_pages + two.counts.near_pages, counts.clients.near_pages),
    ] {
        assert_eq!(sum, whole, "{name}");
    }
    assert_eq!((one.near_share.len(), two.failed_share.len()), (18, 18));
    let back: walrus_sim::simulation::RunResult =
        serde_json::from_str(&serde_json::to_string(&result).unwrap()).unwrap();
    assert_eq!(back.populations.len(), 2);
}

#[test]
fn each_population_finds_its_own_name_servers() {
    let study = |first: &str| {
        let site = Site {
            clusters: vec![("east", vec![("e1", 400)]), ("west", vec![("w1", 400)])],
            service: "locate = [\"nameserver\"]\nttl = \"10s\"",
            rest: "[[area]]\nname = \"a\"\nhome = \"east\"\nnameservers = [\"192.0.2.53\"]\n\
                   [[area]]\nname = \"b\"\nhome = \"west\"\nnameservers = [\"192.0.2.54\"]\n",
        };
        site.study(&format!(
            "duration = \"30m\"\n\
             [[population]]\nname = \"knows\"\nclients = 40\nresolver = \"sticky\"\n\
             distances = {{ a = \"10ms\", b = \"90ms\", east = \"10ms\", west = \"90ms\" }}\n\
             [[population]]\nname = \"lost\"\nclients = 40\nprefix = \"172.16.0.0/12\"\n{first}",
        ))
    };
    let result = run(&study(""), 1);
    let [knows, lost] = &result.populations[..] else { panic!("{:?}", result.populations) };
    assert!(!knows.convergence.near_by_window.is_empty());
    assert_eq!(lost.convergence, walrus_sim::simulation::Convergence::default());
    assert_eq!(result.convergence, knows.convergence, "nobody else has a nearest one");
    let both = "distances = { a = \"90ms\", b = \"10ms\", east = \"90ms\", west = \"10ms\" }\n";
    let result = run(&study(both), 1);
    let never: u64 = result.populations.iter().map(|it| it.convergence.never).sum();
    assert!(never > 0 && never == result.convergence.never, "sticky ones stay where they began");
}
