//! What the fuzz targets in `fuzz/` do with their bytes.
//!
//! Each function here takes any bytes at all and panics when the engine breaks a promise about them. They are in the
//! library, and not with the targets, because they look at what is private to it; they are compiled for `cargo test`,
//! which gives them the seeds in `fuzz/seeds/`, and for the fuzzer, which sets `cfg(fuzzing)`.
//!
//! An input is a message and nothing else. Where a function needs to choose, where to cut the message into pieces for
//! one, it derives the choice from the bytes: a failure depends on its input alone.

mod answer;
mod chunked;
mod connection;
mod frames;
mod grpc;
mod local;
mod proxied;
mod proxy_header;
mod sent;

use crate::error::Kind;
use crate::http1::{Finder, Found, RequestFacts, parse_request};
use crate::message::target::{self, Form};
use crate::message::{Field, RequestLine, Span, is_token, is_value};

pub use answer::answer_head;
pub use chunked::chunked;
pub use connection::connection;
pub use frames::frames;
pub use grpc::grpc;
pub use local::local;
pub use proxied::proxied;
pub use proxy_header::proxy_header;

/// As many header lines as the largest limit that is tried here.
const MAX_FIELDS: usize = 100;

/// As long a target.
const MAX_TARGET: usize = 8 * 1024;

/// Numbers that follow from the input.
#[derive(Clone, Debug)]
struct Choices(u64);

impl Choices {
    /// FNV-1a over the input.
    fn of(input: &[u8]) -> Self {
        let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(input.iter().fold(0xcbf2_9ce4_8422_2325, hash) | 1)
    }

    /// A number from 1 to `most`; xorshift.
    fn up_to(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % most.max(1) + 1
    }
}

/// Reads `input` as the head of a request, whole and in pieces.
///
/// # Panics
///
/// The pieces matter, a place is outside of the head, or httparse reads something else in what is accepted.
pub fn request_head(input: &[u8]) {
    let whole = find(input, || input.len());
    assert_eq!(find(input, || 1), whole, "byte by byte");
    let mut choices = Choices::of(input);
    for most in [input.len(), 64, 8] {
        assert_eq!(find(input, || choices.up_to(most)), whole, "in pieces of up to {most}");
    }
    let Ok(Found::Head { start, end }) = whole else { return };
    let head = &input[start..end];
    assert!(head.len() > 4 && head.ends_with(b"\r\n\r\n"), "a head ends with an empty line");

    let mut fields = Vec::new();
    let parsed = parse_request(head, &mut fields, MAX_TARGET, MAX_FIELDS);
    let behind = parse_request(&input[start..], &mut Vec::new(), MAX_TARGET, MAX_FIELDS);
    assert_eq!(parsed, behind, "what follows a head does not matter");
    let Ok(parsed) = parsed else { return };
    let (line, length) = parsed.expect("the end that was found is the end of the head");
    assert_eq!(length, head.len());
    check_places(head, &line, &fields);
    compare_head_with_httparse(head, &line, &fields);
    if let Ok(facts) = RequestFacts::read(head, &line, &fields) {
        check_framing(head, &fields, &facts);
    }
    let target = line.target.of(head);
    match Form::parse(line.method.of(head), target) {
        Ok(Form::Origin { path, query }) => check_path(target, path, query),
        Ok(Form::Absolute { authority, path, query }) => {
            assert!(target::is_authority(&target[authority]));
            check_path(target, path, query);
        }
        Ok(Form::Authority | Form::Asterisk) | Err(_) => {}
    }
}

/// Looks for a head in input that grows by `piece` bytes at a time.
fn find(input: &[u8], mut piece: impl FnMut() -> usize) -> Result<Found, Kind> {
    let (mut finder, mut end) = (Finder::new(), 0);
    loop {
        let found = finder.find(&input[..end]);
        if found != Ok(Found::Partial) || end == input.len() {
            return found;
        }
        end = (end + piece()).min(input.len());
    }
}

/// Names are tokens, values are values, and they come one behind the other.
fn check_places(head: &[u8], line: &RequestLine, fields: &[Field]) {
    assert!(is_token(line.method.of(head)));
    assert!(line.target.of(head).iter().all(|byte| matches!(byte, 0x21..=0x7E)));
    let mut last = line.target.end;
    let mut follows = |span: Span| {
        assert!(last < span.start || span.start == span.end, "{span:?} is not behind {last}");
        last = last.max(span.end);
    };
    for field in fields {
        follows(field.name);
        follows(field.value);
        assert!(is_token(field.name.of(head)) && is_value(field.value.of(head)));
    }
}

/// What is accepted here says the same to another parser.
fn compare_head_with_httparse(head: &[u8], line: &RequestLine, fields: &[Field]) {
    let mut head = head.to_vec();
    // httparse knows no version above 1.1.
    let minor = line.target.end as usize + " HTTP/1.".len();
    head[minor] = head[minor].min(b'1');
    let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut theirs = httparse::Request::new(&mut headers);
    assert_eq!(theirs.parse(&head), Ok(httparse::Status::Complete(head.len())));
    assert_eq!(theirs.method.map(str::as_bytes), Some(line.method.of(&head)));
    assert_eq!(theirs.path.map(str::as_bytes), Some(line.target.of(&head)));
    let theirs: Vec<_> = theirs.headers.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
    let ours: Vec<_> = fields.iter().map(|field| (field.name.of(&head), field.value.of(&head))).collect();
    assert_eq!(theirs, ours);
}

/// No accepted head leaves open where its body ends.
fn check_framing(head: &[u8], fields: &[Field], facts: &RequestFacts) {
    let values = |name: &'static str| {
        let is = move |field: &&Field| field.name.of(head).eq_ignore_ascii_case(name.as_bytes());
        fields.iter().filter(is).map(|field| field.value.of(head))
    };
    let codings: Vec<_> = values("transfer-encoding").collect();
    let lengths: Vec<_> = values("content-length").collect();
    match (&codings[..], &lengths[..]) {
        ([], []) => assert_eq!(facts.framing.length(), Some(0)),
        ([], lengths) => {
            for length in lengths {
                let length = std::str::from_utf8(length).ok().and_then(|text| text.parse().ok());
                assert_eq!(facts.framing.length(), length);
            }
        }
        ([coding], []) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked"));
            assert_eq!(facts.framing.length(), None);
        }
        _ => panic!("a length and a coding, or two codings, in one head"),
    }
    assert!(!(facts.expects_continue && facts.framing.is_none()), "waits for leave to send nothing");
}

/// The canonical path is one that every origin reads in the same way.
fn check_path(target: &[u8], path: std::ops::Range<usize>, query: Option<std::ops::Range<usize>>) {
    assert_eq!(query.map_or(path.end, |query| query.end), target.len());
    let path = &target[path];
    let canonical = target::canonical(path);
    let segments = canonical.strip_prefix('/').expect("a canonical path begins with a slash");
    let (folders, last) = segments.rsplit_once('/').unwrap_or(("a", segments));
    assert!(!folders.split('/').any(str::is_empty), "{canonical:?} has a run of slashes");
    assert!(!folders.split('/').chain([last]).any(|segment| matches!(segment, "." | "..")));
    assert!(!canonical.contains('\\'));
    // An escaped percent sign is decoded once only: `%252e` must not become a dot.
    if !path.contains(&b'%') {
        assert_eq!(target::canonical(canonical.as_bytes()), canonical);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The seeds of a target; says which one is at work, for a test that fails.
    fn seeds(target: &str, least: usize) -> impl Iterator<Item = Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(paths.len() >= least, "{} seeds of {target}", paths.len());
        paths.into_iter().map(|path| {
            eprintln!("seed {}", path.display());
            fs::read(path).unwrap()
        })
    }

    /// Runs a target with a seed, with all its beginnings, and with each of its bits flipped.
    fn run_around(target: fn(&[u8]), seed: &[u8]) {
        for end in 0..=seed.len() {
            target(&seed[..end]);
        }
        let mut input = seed.to_vec();
        for at in 0..seed.len() {
            for bit in 0..8 {
                input[at] = seed[at] ^ (1 << bit);
                target(&input);
            }
            input[at] = seed[at];
        }
    }

    #[test]
    fn heads_are_read_alike_in_all_pieces_and_by_httparse() {
        for seed in seeds("request_head", 20) {
            run_around(request_head, &seed);
        }
    }

    #[test]
    fn chunked_bodies_are_decoded_alike_in_all_pieces_and_by_httparse() {
        for seed in seeds("chunked", 20) {
            run_around(chunked, &seed);
        }
    }

    #[test]
    fn heads_of_answers_are_read_alike_in_all_pieces_and_by_httparse() {
        for seed in seeds("answer_head", 20) {
            run_around(answer_head, &seed);
        }
    }

    #[test]
    fn proxy_headers_say_the_same_once_they_were_read_and_written_again() {
        for seed in seeds("proxy_header", 20) {
            run_around(proxy_header, &seed);
        }
    }

    #[test]
    fn bodies_of_grpc_are_read_alike_in_all_pieces() {
        for seed in seeds("grpc", 20) {
            run_around(grpc, &seed);
        }
    }

    #[test]
    fn redirects_lead_where_their_templates_say_and_parts_lie_inside_of_files() {
        for seed in seeds("local", 20) {
            run_around(local, &seed);
        }
    }

    #[test]
    fn what_a_proxy_passes_on_has_one_reading_whatever_both_sides_say() {
        for seed in seeds("proxied", 20) {
            for end in 0..=seed.len() {
                proxied(&seed[..end]);
            }
        }
    }

    #[test]
    fn seeds_that_were_damaged_at_random_are_dealt_with() {
        type Target = fn(&[u8]);
        let mut rng = fastrand::Rng::with_seed(1);
        let targets: [(&str, Target, usize); 9] = [
            ("request_head", request_head, 200),
            ("chunked", chunked, 200),
            ("answer_head", answer_head, 200),
            ("proxy_header", proxy_header, 500),
            ("grpc", grpc, 500),
            ("local", local, 200),
            ("proxied", proxied, 60),
            ("connection", connection, 30),
            ("frames", frames, 20),
        ];
        for (name, target, rounds) in targets {
            let seeds: Vec<_> = seeds(name, 12).collect();
            for _ in 0..rounds * seeds.len() {
                let mut input = rng.choice(&seeds).cloned().unwrap();
                for _ in 0..rng.usize(1..5) {
                    damage(&mut rng, &mut input, &seeds);
                }
                // The last one that is said is the one that fails.
                eprintln!("{name}: {}", input.escape_ascii());
                target(&input);
            }
        }
    }

    /// Takes a piece out, doubles it, or puts another in its place or behind it: of another seed, or one that matters.
    fn damage(rng: &mut fastrand::Rng, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        const WORDS: [&[u8]; 8] = [b"\r\n", b"\n", b"\0", b": ", b"0", b"chunked", b"\xFF", b"HTTP/1.0"];
        let mut piece = |of: &[u8]| {
            let from = rng.usize(..=of.len());
            from..from + rng.usize(..=(of.len() - from).min(40))
        };
        let (at, other) = (piece(input), &seeds[input.len() % seeds.len()]);
        let new = match input.len() % 5 {
            0 => Vec::new(),
            1 => [&input[at.clone()], &input[at.clone()]].concat(),
            2 => other[piece(other)].to_vec(),
            3 => WORDS[at.start % WORDS.len()].to_vec(),
            _ => [&input[at.clone()], WORDS[at.end % WORDS.len()]].concat(),
        };
        input.splice(at, new);
    }

    #[test]
    fn connections_end_and_what_they_carry_are_answers() {
        for seed in seeds("connection", 12) {
            for end in 0..=seed.len() {
                connection(&seed[..end]);
            }
        }
    }
    #[test]
    fn connections_of_http_2_end_and_what_they_carry_are_frames() {
        for seed in seeds("frames", 20) {
            // All the same, some of which break off within a frame.
            let step = seed.len() / 64 + 1;
            for end in (0..=seed.len()).step_by(step) {
                frames(&seed[..end]);
            }
        }
    }
}
