//! A group as one core sees it: who may be chosen, and whose turn it is.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::group::Inner;
use super::member::{Member, Pick};
use super::node::Mode;
use super::pool::Pool;
use super::rotation::Rotation;
use super::standing::Fit;

/// A group as one core sees it.
#[derive(Debug)]
pub(super) struct View {
    group: Arc<Inner>,
    pool: Rc<Pool>,
    /// Connections say on whose behalf they are made.
    named: bool,
    /// What it was made of.
    version: u64,
    /// When it must be made anew though nothing was said to have changed: an endpoint has rested enough.
    until: Option<Instant>,
    members: Vec<Rc<Member>>,
    fit: Vec<Rc<Member>>,
    rotation: Rotation,
}

/// What came of choosing.
#[derive(Debug)]
pub(crate) enum Choice {
    One(Pick),
    /// Those who may be chosen have all that they may be given.
    Full,
    /// There is none.
    Nobody,
}

/// Endpoints that one request has tried already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tried(SmallVec<[u32; 4]>);

impl Tried {
    pub(crate) fn add(&mut self, pick: &Pick) {
        self.0.push(pick.id());
    }

    fn has(&self, member: &Member) -> bool {
        self.0.contains(&member.node.id)
    }
}

impl View {
    pub(super) fn new(group: &Arc<Inner>, pool: &Rc<Pool>, named: bool) -> Self {
        Self {
            group: group.clone(),
            pool: pool.clone(),
            named,
            version: u64::MAX,
            until: None,
            members: Vec::new(),
            fit: Vec::new(),
            rotation: Rotation::default(),
        }
    }

    /// Chooses an endpoint that was not tried.
    pub(super) fn choose(&mut self, now: Instant, tried: &Tried) -> Choice {
        if self.version != self.group.roster.version() || self.until.is_some_and(|until| until <= now) {
            self.renew(now);
        }
        let chosen = self.rotation.choose(
            |number| i64::from(self.fit[number].node.weight()),
            |number| !tried.has(&self.fit[number]),
        );
        match chosen {
            Some(number) => Choice::One(self.fit[number].take(now)),
            None => Choice::Nobody,
        }
    }

    pub(super) fn may_repeat(&self, _now: Instant) -> bool {
        true
    }

    /// Makes it anew.
    fn renew(&mut self, now: Instant) {
        let roster = &self.group.roster;
        // Before anything is read: what changes meanwhile is seen the next time.
        self.version = roster.version();
        let known = std::mem::take(&mut self.members);
        let nodes = roster.nodes();
        let member = |node| {
            let known = known.iter().find(|member| Arc::ptr_eq(&member.node, node));
            known.cloned().unwrap_or_else(|| Member::new(&self.group, node, &self.pool, self.named))
        };
        self.members = nodes.iter().map(member).collect();
        let now = roster.milliseconds(now);
        let active = || self.members.iter().filter(|member| member.node.mode() == Mode::Active);
        let mut until = None::<u64>;
        self.fit = active()
            .filter(|member| match member.node.standing.fit(now) {
                Fit::Yes => true,
                Fit::Rests(end) => {
                    until = Some(until.map_or(end, |until| until.min(end)));
                    false
                }
                Fit::Down => false,
            })
            .cloned()
            .collect();
        if self.fit.is_empty() {
            // A proxy that guesses wrong must not be the reason why nobody is served.
            self.fit =
                active().filter(|member| member.node.standing.fit(now) != Fit::Down).cloned().collect();
        }
        self.until = until.and_then(|until| roster.instant(until));
        self.rotation = Rotation::new(self.fit.len());
    }
}
