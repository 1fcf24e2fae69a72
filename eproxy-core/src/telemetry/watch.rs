//! What a core tells of exchanges beside numbers: it lends stories and puts what they hold into words when they end.

use std::cell::RefCell;
use std::rc::Rc;

use crate::driver::{Core, Peer};
use crate::error::Kind;
use crate::message::{Field, RequestLine};

use super::access_line;
use super::access_log::LogRules;
use super::dice::Dice;
use super::log_buffer::{LogBuffer, LogQueue};
use super::request_id::{self, IdRules};
use super::span::{self, SpanQueue};
use super::story::{Rules, Story, values};
use super::trace::{Parent, Trace, TraceRules, is_state};

/// What is to be told of exchanges; the same for all cores.
#[derive(Clone, Debug, Default)]
pub(crate) struct WatchPlan {
    pub(crate) ids: Option<IdRules>,
    pub(crate) log: Option<(LogRules, LogQueue)>,
    pub(crate) traces: Option<(TraceRules, SpanQueue)>,
}

/// What a core tells of exchanges.
#[derive(Debug)]
pub(crate) struct Watch {
    /// None where nobody wants to know more than numbers.
    rules: Option<Rc<Rules>>,
    /// The head of the request will be asked for.
    keeps_heads: bool,
    #[expect(clippy::vec_box, reason = "they are lent as they are")]
    spare: RefCell<Vec<Box<Story>>>,
    log: Option<LogBuffer>,
    spans: Option<SpanQueue>,
}

/// Stories that are kept while nobody needs them.
const SPARE: usize = 1024;

/// What is known of a request when it has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came<'a> {
    pub(crate) peer: Peer,
    /// What it says about itself is believed.
    pub(crate) is_trusted: bool,
    /// The version of TLS.
    pub(crate) tls: Option<&'static str>,
    /// The head, with places in it; nothing where it could not be understood.
    pub(crate) head: &'a [u8],
    pub(crate) fields: &'a [Field],
    pub(crate) line: RequestLine,
    /// Nanoseconds of the core's time, and since 1970.
    pub(crate) now: u64,
    pub(crate) unix: u64,
}

/// How an exchange has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) route: &'a str,
    /// 0 where there was no answer.
    pub(crate) status: u16,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// In nanoseconds.
    pub(crate) duration: u64,
    pub(crate) failure: Option<Kind>,
}

impl WatchPlan {
    /// Makes what a core has of it; its dice begin with `seed`.
    pub(crate) fn watch(&self, core: &Rc<Core>, seed: u64) -> Watch {
        let Self { ids, log, traces } = self;
        let rules = Rules {
            dice: Dice::new(seed),
            ids: ids.clone(),
            log: log.as_ref().map(|(rules, _)| rules.clone()),
            traces: traces.as_ref().map(|(rules, _)| *rules),
        };
        let is_on = ids.is_some() || log.is_some() || traces.is_some();
        Watch {
            keeps_heads: log.is_some() || traces.is_some(),
            rules: is_on.then(|| Rc::new(rules)),
            spare: RefCell::default(),
            log: log.as_ref().map(|(_, queue)| LogBuffer::new(core, queue)),
            spans: traces.as_ref().map(|(_, queue)| queue.clone()),
        }
    }
}

impl Watch {
    /// Whether anybody wants to know more than numbers.
    pub(crate) fn is_on(&self) -> bool {
        self.rules.is_some()
    }

    /// Begins the story of an exchange, if anybody wants to know.
    pub(crate) fn begin(&self, came: Came<'_>) -> Option<Box<Story>> {
        let rules = self.rules.as_ref()?;
        let spare = self.spare.borrow_mut().pop();
        let mut story = spare.unwrap_or_else(|| Story::new(rules));
        (story.peer, story.tls) = (came.peer, came.tls);
        (story.began, story.began_unix) = (came.now, came.unix);
        if self.keeps_heads {
            story.head.extend_from_slice(came.head);
            story.fields.extend_from_slice(came.fields);
            story.line = came.line;
        }
        identify(&mut story, rules, &came);
        if let Some(traces) = &rules.traces {
            let trace = trace(traces, &rules.dice, &came);
            story.attempt_span = trace.span;
            story.trace = Some(trace);
        }
        Some(story)
    }

    /// Ends a story: tells what is to be told of it.
    pub(crate) fn end(&self, mut story: Box<Story>, ended: &Ended<'_>) {
        if let (Some(log), Some(rules)) = (&self.log, &story.rules.log)
            && (ended.status >= 500 || story.rules.dice.says_yes(rules.sample))
            && (!rules.is_for_log || log::max_level() >= log::Level::Info)
        {
            log.write(|out, wall| access_line::write(out, wall, rules, &story, ended));
        }
        if let (Some(spans), Some(trace)) = (&self.spans, &story.trace)
            && trace.is_sampled
        {
            spans.put(span::of(&story, trace, ended));
        }
        if story.clear() && self.spare.borrow().len() < SPARE {
            self.spare.borrow_mut().push(story);
        }
    }
}

/// What a request is known by: what its client says, or something new.
fn identify(story: &mut Story, all: &Rules, came: &Came<'_>) {
    let Some(rules) = &all.ids else { return };
    let mut given = came.fields.iter().filter(|field| rules.is_field(field.name.of(came.head)));
    let is_kept = rules.from_anybody || came.is_trusted;
    let given = match (given.next(), given.next()) {
        (Some(field), None) if is_kept => Some(field.value.of(came.head)),
        _ => None,
    };
    match given.filter(|given| request_id::is_fit(given)) {
        Some(given) => story.id.extend_from_slice(given),
        None => request_id::make(&mut story.id, came.unix / 1_000_000, &all.dice),
    }
}

/// Which trace a request belongs to.
fn trace(rules: &TraceRules, dice: &Dice, came: &Came<'_>) -> Trace {
    let values = |name| values(came.head, came.fields, name);
    let mut parents = values("traceparent");
    let parent = match (parents.next(), parents.next()) {
        (Some(value), None) if came.is_trusted || !rules.trusted_only => Parent::parse(value),
        _ => None,
    };
    let keeps_state = parent.is_some() && is_state(values("tracestate"));
    Trace::new(parent, keeps_state, rules, dice)
}
