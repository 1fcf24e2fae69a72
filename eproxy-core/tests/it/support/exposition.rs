//! Expositions of metrics, read by the rules of OpenMetrics 1.0 and without anything of eproxy's.

use std::collections::{BTreeMap, BTreeSet};

/// A sample: the name, labels and value.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// What was exposed.
#[derive(Debug)]
pub(crate) struct Exposition {
    /// The types of the families, by their names.
    pub(crate) families: BTreeMap<String, String>,
    pub(crate) samples: Vec<Sample>,
}

impl Exposition {
    /// Reads a text; what is against the rules fails the test.
    pub(crate) fn read(text: &str) -> Self {
        let body =
            text.strip_suffix("# EOF\n").expect("it ends with the mark of the end, and nothing behind it");
        let mut families: BTreeMap<String, String> = BTreeMap::new();
        let mut samples = Vec::new();
        let mut seen = BTreeSet::new();
        let (mut family, mut helped) = (String::new(), String::new());
        for line in body.lines() {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words[..] {
                ["#", "HELP", name, help] => {
                    assert!(!help.is_empty() && helped != name, "{line}");
                    helped = name.into();
                }
                ["#", "TYPE", name, kind] => {
                    assert_eq!(helped, name, "the help stands in front of the type");
                    assert!(["counter", "gauge", "histogram", "info"].contains(&kind), "{line}");
                    let known = families.insert(name.into(), kind.into());
                    assert_eq!(known, None, "a family comes once: {name}");
                    family = name.into();
                }
                ["#", "UNIT", name, unit] => {
                    assert!(name == family && name.ends_with(&format!("_{unit}")), "{line}");
                }
                _ => {
                    let sample = Sample::read(line);
                    let kind = families.get(&family).expect("a sample is of a family");
                    let suffix = sample.name.strip_prefix(&family).expect("families are not mixed");
                    let fits: &[&str] = match kind.as_str() {
                        "counter" => &["_total"],
                        "info" => &["_info"],
                        "histogram" => &["_bucket", "_sum", "_count"],
                        _ => &[""],
                    };
                    assert!(fits.contains(&suffix), "{line} of a {kind}");
                    assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "twice: {line}");
                    samples.push(sample);
                }
            }
        }
        let exposition = Self { families, samples };
        exposition.check_histograms();
        exposition
    }

    /// Buckets rise, the last has all, and so has the count.
    fn check_histograms(&self) {
        for (name, _) in self.families.iter().filter(|(_, kind)| *kind == "histogram") {
            let mut buckets: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
            for sample in self.samples.iter().filter(|sample| sample.name == format!("{name}_bucket")) {
                let mut labels = sample.labels.clone();
                let bound = labels.remove("le").expect("a bucket has a bound");
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().expect("a number") };
                buckets.entry(labels).or_default().push((bound, sample.value));
            }
            for (labels, buckets) in buckets {
                assert!(
                    buckets.is_sorted_by(|one, other| one.0 < other.0 && one.1 <= other.1),
                    "{buckets:?}"
                );
                let count = self.value(&format!("{name}_count"), &labels);
                assert_eq!(buckets.last().copied(), Some((f64::INFINITY, count)), "{name} {labels:?}");
            }
        }
    }

    fn value(&self, name: &str, labels: &BTreeMap<String, String>) -> f64 {
        let is_it = |sample: &&Sample| sample.name == name && sample.labels == *labels;
        self.samples.iter().find(is_it).unwrap_or_else(|| panic!("no {name} {labels:?}")).value
    }

    /// The value of a sample.
    pub(crate) fn get<const N: usize>(&self, name: &str, labels: [(&str, &str); N]) -> f64 {
        self.value(name, &labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// All series, without their values.
    pub(crate) fn series(&self) -> BTreeSet<(String, BTreeMap<String, String>)> {
        self.samples.iter().map(|sample| (sample.name.clone(), sample.labels.clone())).collect()
    }
}

impl Sample {
    fn read(line: &str) -> Self {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = line.find(|c| !is_name(c)).expect("something stands behind the name");
        let (name, mut rest) = line.split_at(end);
        let mut labels = BTreeMap::new();
        if let Some(mut inside) = rest.strip_prefix('{') {
            loop {
                let (key, behind) = inside.split_once("=\"").expect("a label");
                assert!(key.chars().all(is_name), "{line}");
                let (value, behind) = unescape(behind);
                assert_eq!(labels.insert(key.to_owned(), value), None, "{line}");
                match behind.strip_prefix(',') {
                    Some(next) => inside = next,
                    None => {
                        rest = behind.strip_prefix('}').expect("the labels end");
                        break;
                    }
                }
            }
        }
        let value = rest.strip_prefix(' ').expect("a space in front of the value");
        Self { name: name.into(), labels, value: value.parse().unwrap_or_else(|_| panic!("{line}")) }
    }
}

/// The value of a label up to its quote, and what stands behind that.
fn unescape(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                other => panic!("escaped {other:?} in {text}"),
            },
            character => value.push(character),
        }
    }
    panic!("no end of {text}")
}
