//! The defaults that the keys tell are those of the library.

use std::fmt::Debug;
use std::path::Path;

use crate::config::gather::gather_text;
use crate::config::keys::{Default as Of, ROOT, Section, Shape};
use crate::config::tree::{Node, Table};
use crate::{
    AdaptiveLimit, Breaker, Ejection, Limits, Probe, RetryBudget, Timeouts, UpstreamOptions, UpstreamTls,
};

use super::{health, proxy, server, tls};

/// A table with every default spelled out.
fn spelled_out(name: &str, more: &str) -> String {
    let mut sections = Vec::new();
    Shape::Table(&ROOT).sections(&mut sections);
    let section: &Section =
        sections.iter().find(|section| section.name == name).expect("there is such a section");
    let keys = section.keys.iter().filter_map(|key| match key.default {
        Of::Value(text) => Some(format!("{} = {text}", key.name)),
        _ => None,
    });
    keys.chain((!more.is_empty()).then(|| more.to_owned())).collect::<Vec<_>>().join(", ")
}

fn tree(text: &str) -> Table {
    let gathered = gather_text(text, Path::new("test.toml"), &|_| None);
    let (wrong, _) = gathered.notes.finish(&gathered.sources);
    assert!(wrong.is_empty(), "{wrong:?}");
    gathered.tree
}

/// What is built of a table of a group.
fn of_group<T>(key: &str, section: &str, more: &str, build: impl Fn(&Table) -> T) -> T {
    let text = format!("[group.a]\n{key} = {{ {} }}", spelled_out(section, more));
    let tree = tree(&text);
    build(tree.map("group")[0].node.table().and_then(|group| group.table(key)).expect("it was put there"))
}

fn same(one: &impl Debug, other: &impl Debug) {
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
}

#[test]
fn defaults_that_are_told_are_those_that_hold() {
    let limits = tree(&format!("limits = {{ {} }}", spelled_out("limits", "")));
    same(&server::limits(&limits), &Limits::default());
    let timeouts = tree(&format!("timeouts = {{ {} }}", spelled_out("timeouts", "")));
    same(&server::timeouts(&timeouts), &Timeouts::default());
    same(&of_group("ejection", "ejection", "", health::ejection), &Ejection::default());
    same(&of_group("breaker", "breaker", "", health::breaker), &Breaker::default());
    same(
        &of_group("adaptive_limit", "adaptive_limit", "", health::adaptive_limit),
        &AdaptiveLimit::default(),
    );
    same(&of_group("retry_budget", "retry_budget", "", health::retry_budget), &RetryBudget::default());
    same(&of_group("tls", "upstream tls", "", tls::upstream_tls), &UpstreamTls::new());
    let probe = of_group("probe", "probe", "http = \"/\"", |table| health::probe(table).expect("it asks"));
    same(&probe, &Probe::http("/"));
    let text = format!(
        "[[route]]\npath = \"/\"\nproxy = {{ to = \"http://a\", upstream_options = {{ {} }} }}",
        spelled_out("upstream_options", "")
    );
    let tree = tree(&text);
    let proxy = tree.list("route").iter().find_map(Node::table).and_then(|route| route.table("proxy"));
    same(&proxy::upstream_options(proxy.expect("it was put there")), &UpstreamOptions::default());
}
