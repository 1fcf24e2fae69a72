//! The second half of story 2: an answer, whose head has come, is passed back.
//!
//! ```text
//!   head ──hooks──▶ all of it there, and short ──▶ one piece ─────────────▶ give_back ──▶ Keep or Close
//!     │                └─ no ──▶ head, then the body as it comes ─────────▶ give_back ──▶ Keep, Close or Linger
//!     └─ 101 ──▶ granted as asked for ──▶ Tunnel
//! ```

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crate::driver::Stream;
use crate::error::Kind;
use crate::http1::{AnswerFacts, BodyCoding, Decoder, Lines};
use crate::message::{Answer, Grpc, hop, reason_phrase};

use super::answer_head::{self, Answering, From};
use super::ask;
use super::attempt::Reply;
use super::content::Content;
use super::ends::{Ends, Fault};
use super::filter::Filters;
use super::grpc_web::{self, ToWeb};
use super::hooked;
use super::pump::Pump;
use super::relay::{Method, Outcome, Relay, Rest};
use super::reverse::{Reverse, refuse};
use super::tries::Chosen;
use super::upload::Upload;

/// An answer that has begun to come; its head is at the front of the upstream's input.
pub(super) struct Answered<'r> {
    pub(super) reverse: &'r Reverse,
    pub(super) to: Chosen<'r>,
    pub(super) stream: Stream,
    pub(super) reply: Reply,
}

impl Answered<'_> {
    /// Passes it back, and what is still to be sent of the request on.
    pub(super) async fn respond(self, relay: &mut Relay<'_>, upload: &mut Upload) -> Outcome {
        match hooked::on_response(relay, self.reverse, &self.reply).await {
            Ok(None) => {}
            Ok(Some(answer)) => return self.replace(relay, answer, upload.rest(relay)),
            Err(error) => return refuse(relay, &error, upload.rest(relay)),
        }
        if upload.is_over() && self.reply.is_there(relay) {
            return self.respond_at_once(relay, upload.rest(relay));
        }
        let filters = self.filters(relay);
        let coding = self.coding(relay, &filters);
        // They make no body where there is none.
        let filters = if self.has_body(relay) { filters } else { Filters::default() };
        // A refusal before the request was sent: what is still to come of it will not be read.
        let Reply { line, facts, .. } = self.reply;
        let gives_up = !upload.is_over() && line.status >= 400 && !facts.keep_alive;
        // A client that waits to be told to go on, and gets this instead, may send its body or not (RFC 9110 §10.1.1): where
        // the next request begins can't be known.
        let expects = !upload.is_over() && relay.head.facts.expects_continue;
        let is_spared = expects && upload.rest(relay) == Rest::Untouched;
        let closes = !relay.head.facts.keep_alive
            || coding == BodyCoding::UntilClose
            || gives_up
            || is_spared
            || relay.site.draining.get();
        self.write_head(relay, coding, closes, None);
        upload.take(relay);
        let passed = self.pass_body(relay, coding, filters, upload, gives_up).await;
        if let Err(kind) = passed {
            relay.fail(&kind.into(), Some(&self.to.name));
            // An end that looks like any other would be taken for that of the body (RFC 9112 §8).
            return if coding == BodyCoding::UntilClose { Outcome::Reset } else { Outcome::Close };
        }
        if !upload.is_over() {
            return Outcome::Linger;
        }
        self.give_back(relay);
        if closes { Outcome::Close } else { Outcome::Keep }
    }

    /// Passes an answer back that [`is_there`](Reply::is_there), to a request that was sent.
    pub(super) fn respond_at_once(self, relay: &mut Relay<'_>, rest: Rest) -> Outcome {
        let length = self.reply.facts.framing.length().unwrap_or(0) as usize;
        let (coding, filtered) = match self.filter_at_once(relay, length) {
            Ok(filtered) => filtered,
            Err(kind) => return refuse(relay, &kind.into(), rest),
        };
        let closes = !relay.head.facts.keep_alive || relay.site.draining.get();
        self.write_head(relay, coding, closes, None);
        match filtered {
            Some(body) => relay.out.extend_from_slice(&body),
            None => relay.out.extend_from_slice(&relay.desk.input.data()[..length]),
        }
        relay.desk.input.consume(length);
        // What stood behind the head was sent with it.
        let behind = relay.head.facts.framing.length().unwrap_or(0);
        relay.take_head(behind as usize);
        (relay.account.bytes_in, relay.account.bytes_out) = (behind, length as u64);
        if let Some(hooked) = relay.hooked {
            hooked.record.bytes_down = length as u64;
        }
        self.give_back(relay);
        if closes { Outcome::Close } else { Outcome::Keep }
    }

    /// How the body goes to the client, and what the hooks' filters have made of it, where there are such.
    fn filter_at_once(
        &self,
        relay: &mut Relay<'_>,
        length: usize,
    ) -> Result<(BodyCoding, Option<Vec<u8>>), Kind> {
        let mut filters = self.filters(relay);
        if filters.is_empty() || !self.has_body(relay) {
            return Ok((self.coding(relay, &filters), None));
        }
        let body = &relay.desk.input.data()[self.reply.length..][..length];
        let mut out = Vec::with_capacity(length);
        if !body.is_empty() {
            filters.run(body, &mut out)?;
        }
        filters.finish(&mut out, None)?;
        match filters.may_resize() || out.len() == length {
            true => Ok((BodyCoding::Length(out.len() as u64), Some(out))),
            false => Err(Kind::FilterFailed),
        }
    }

    /// Passes on that the upstream has switched to another protocol, if it was asked to: a tunnel begins.
    pub(super) async fn switch(self, relay: &mut Relay<'_>, upload: &Upload) -> Outcome {
        let rest = upload.rest(relay);
        if !upload.is_over() || rest != Rest::Untouched {
            // It has not even heard the whole request.
            return refuse(relay, &Kind::UpgradeFailed.into(), Rest::Begun);
        }
        let protocol = relay.desk.upgrade.as_ref().and_then(|upgrade| {
            let answer = Lines::of_head(&relay.desk.input.data()[..self.reply.length], &relay.desk.fields);
            upgrade.granted(&relay.lines(), &answer, &self.reply.facts).map(<[u8]>::to_vec)
        });
        let Some(protocol) = protocol else { return refuse(relay, &Kind::UpgradeFailed.into(), rest) };
        self.write_head(relay, BodyCoding::None, false, Some(&protocol));
        upload.take(relay);
        match relay.flush().await {
            Ok(()) => Outcome::Tunnel(self.stream, self.to.into_pick()),
            Err(kind) => {
                relay.fail(&kind.into(), Some(&self.to.name));
                Outcome::Close
            }
        }
    }

    /// Gives the client another answer than the upstream's.
    pub(super) fn replace(self, relay: &mut Relay<'_>, answer: Box<Answer>, rest: Rest) -> Outcome {
        if rest != Rest::Begun {
            self.discard(relay);
        }
        Outcome::Answer(answer, rest)
    }

    /// Forgets it, and puts the upstream's connection back if all of it is there: one whose answer was not read to its
    /// end is of no use.
    pub(super) fn discard(self, relay: &mut Relay<'_>) {
        if self.reply.is_there(relay) {
            let length = self.reply.facts.framing.length().unwrap_or(0) as usize;
            relay.desk.input.consume(self.reply.length + length);
            self.give_back(relay);
        }
    }

    /// Puts the upstream's connection back, unless it must end or has more on it than was asked for.
    fn give_back(self, relay: &Relay<'_>) {
        let Self { reverse, to, stream, reply } = self;
        if reply.facts.keep_alive && relay.desk.input.is_empty() {
            let keep = idle_time(reverse.options.keep_alive, &reply.facts);
            let identity = reverse.identity(relay);
            to.put(&relay.site.upstreams.pool, identity, stream, keep, reverse.options.pool_size);
        }
    }

    /// The dialect of gRPC-Web that an answer to a call is translated to.
    fn web(&self, relay: &Relay<'_>) -> Option<Grpc> {
        let is_grpc = self.reply.facts.grpc == Some(Grpc::Native);
        grpc_web::dialect(relay, &self.reverse.request).filter(|_| is_grpc)
    }

    /// What is done to the body.
    fn filters(&self, relay: &mut Relay<'_>) -> Filters {
        let hooked = relay.hooked.as_mut().map(|hooked| std::mem::take(&mut hooked.answer_filters));
        let mut filters = hooked.unwrap_or_default();
        if let Some(dialect) = self.web(relay) {
            filters.translate(ToWeb::new(dialect));
        }
        filters
    }

    /// Whether it has a body, be it an empty one (RFC 9110 §6.4.1).
    fn has_body(&self, relay: &Relay<'_>) -> bool {
        relay.head.method != Method::Head && !matches!(self.reply.line.status, 204 | 304)
    }

    /// How the body goes to the client (RFC 9112 §6.3).
    fn coding(&self, relay: &Relay<'_>, filters: &Filters) -> BodyCoding {
        let Reply { line, facts, .. } = &self.reply;
        match (facts.framing.length(), facts.length.filter(|_| !filters.may_resize())) {
            _ if line.status == 204 => BodyCoding::None,
            // What another answer would have (RFC 9110 §8.6).
            (_, length) if !self.has_body(relay) => length.map_or(BodyCoding::None, BodyCoding::Length),
            (Some(length), _) if !filters.may_resize() => BodyCoding::Length(length),
            _ if relay.is_http10() => BodyCoding::UntilClose,
            _ => BodyCoding::Chunked,
        }
    }

    /// Collects the head of the answer.
    fn write_head(&self, relay: &mut Relay<'_>, coding: BodyCoding, closes: bool, upgrade: Option<&[u8]>) {
        let mut out = std::mem::take(relay.out);
        let mut fields = std::mem::take(&mut relay.desk.fields);
        let head = &relay.desk.input.data()[..self.reply.length];
        if self.reply.facts.nominates {
            // Of too many, some are passed on: nothing depends on them.
            let _all = hop::mark_nominated(head, &mut fields);
        }
        let mut line = self.reply.line;
        let mut reason = line.reason.of(head);
        let mut lines = Lines::of_head(head, &fields);
        if let Some(hooked) = relay.hooked.as_ref().filter(|hooked| hooked.has_answer()) {
            lines = Lines::of_headers(&hooked.answer_headers);
            if hooked.answer_status != line.status {
                line.status = hooked.answer_status;
                reason = reason_phrase(line.status).as_bytes();
            }
        }
        let cookie = ask::cookie(relay, self.reverse, &self.to);
        let cookie = cookie.as_deref();
        let answering = Answering { line, reason, coding, closes, upgrade, cookie, web: self.web(relay) };
        let from = From {
            origin: &self.to.origin,
            paths: &self.reverse.request.path,
            scheme: relay.client.scheme(),
        };
        answer_head::encode(&mut out, relay, &self.reverse.answer, &lines, from, &answering);
        (*relay.out, relay.desk.fields) = (out, fields);
        relay.account.status = line.status;
        if let Some(hooked) = relay.hooked {
            hooked.record.status = Some(line.status);
        }
        relay.desk.input.consume(self.reply.length);
    }

    /// Passes the body back, and what is still to be sent of the request on.
    async fn pass_body(
        &self,
        relay: &mut Relay<'_>,
        coding: BodyCoding,
        filters: Filters,
        upload: &mut Upload,
        gives_up: bool,
    ) -> Result<(), Kind> {
        let (read_idle, write_idle) = (self.reverse.options.body_idle, relay.site.timeouts.write_idle);
        let mut content = Content::new(coding, u64::MAX);
        content.filter(filters);
        let decoder = Decoder::new(self.reply.facts.framing);
        let mut download =
            Pump::download(decoder, content, read_idle, write_idle, self.reverse.buffering.answers);
        let mut is_cut = gives_up;
        let passed = poll_fn(|cx| {
            if !is_cut && let Poll::Ready(Err(fault)) = upload.poll(cx, relay, &self.stream) {
                match fault {
                    Fault::From(kind) => return Poll::Ready(Err(kind)),
                    Fault::To(_) => is_cut = true,
                }
            }
            let Relay { site, client, out, desk, .. } = relay;
            let mut ends = Ends { from: &self.stream, input: &mut desk.input, to: client.stream, out };
            match download.poll(cx, &site.core, &mut ends) {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
                Poll::Ready(Err(Fault::From(kind) | Fault::To(kind))) => Poll::Ready(Err(kind)),
                Poll::Pending => client.stream.poll_broken(cx).map(|()| Err(Kind::DownstreamGone)),
            }
        })
        .await;
        if passed.is_err() {
            download.break_off(relay.out);
        }
        relay.account.bytes_out = download.moved();
        if let Some(hooked) = relay.hooked {
            hooked.record.bytes_down = download.moved();
        }
        passed
    }
}

/// How long the connection may be kept: a second less than the upstream says it keeps it.
fn idle_time(most: Duration, facts: &AnswerFacts) -> Duration {
    let announced =
        facts.idle_seconds.map(|seconds| Duration::from_secs(u64::from(seconds.saturating_sub(1))));
    announced.map_or(most, |announced| announced.min(most))
}
