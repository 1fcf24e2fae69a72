//! How many requests an endpoint bears at once, learned from how long it takes to answer.
//!
//! A decider: it does no I/O, is told the time, and randomness is given to it.
//!
//! Two latencies are compared: the *short* one, the mean of the answers of a window, and the *long* one, which stands for an
//! endpoint in which nobody waits. Their ratio is the gradient, and the limit is multiplied with it; the square root of the
//! limit is added as an allowance for a queue, so that it grows as long as nothing is slower. The long latency must not
//! learn from answers that have waited, or queue and limit would raise each other without end. So it rises only where much
//! of the limit was unused, and otherwise it is measured: the limit is at its least for a moment.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::gradient_options::AdaptiveLimit;

/// The limit of one endpoint.
#[derive(Debug)]
pub(in crate::upstream) struct Gradient {
    options: AdaptiveLimit,
    /// The limit, before it is rounded.
    limit: f64,
    /// How long an answer takes when nobody waits, in seconds; none before the first window.
    long: Option<f64>,
    window: Window,
    phase: Phase,
    /// When it is measured next.
    next_measure: Instant,
    /// Windows in a row in which the long latency was far from what is seen.
    astray: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Following,
    /// The limit is at its least, up to this time at most.
    Measuring(Instant),
}

/// The answers that have come since the limit was last changed.
#[derive(Clone, Copy, Debug)]
struct Window {
    begun: Instant,
    answers: u32,
    /// The sum of their latencies, in seconds.
    total: f64,
    /// The most requests that were under way.
    peak: u32,
}

impl Window {
    fn new(begun: Instant) -> Self {
        Self { begun, answers: 0, total: 0.0, peak: 0 }
    }
}

/// Answers that a window has at least: the mean of fewer says little.
const LEAST_ANSWERS: u32 = 10;

/// How far the limit goes in one window towards where the gradient points.
const SMOOTHING: f64 = 0.2;

/// The least gradient: one window is not trusted to cut the limit by more than half.
const STEEPEST: f64 = 0.5;

/// How far the long latency goes in one window towards a shorter one, and towards a longer one.
const FALL: f64 = 0.2;
const RISE: f64 = 0.02;

/// Windows in a row that are far from the long latency before it is measured out of turn.
const ASTRAY: u32 = 10;

/// A measurement that has not had its answers by then is given up: windows of that length, beside the time of the answers.
const MEASURE_WINDOWS: u32 = 10;

/// The longest latency that a measurement reckons with, in seconds.
const LONGEST: f64 = 60.0;

impl Gradient {
    /// The limit of an endpoint; those of many do not measure at the same time.
    pub(in crate::upstream) fn new(options: AdaptiveLimit, now: Instant, rng: &mut Rng) -> Self {
        let next_measure = now + options.measure.mul_f64(0.5 + 0.5 * rng.f64());
        Self {
            limit: f64::from(options.first),
            options,
            long: None,
            window: Window::new(now),
            phase: Phase::Following,
            next_measure,
            astray: 0,
        }
    }

    /// How many requests may be under way.
    pub(in crate::upstream) fn limit(&self) -> u32 {
        match self.phase {
            Phase::Following => (self.limit as u32).clamp(self.options.least, self.options.most),
            Phase::Measuring(_) => self.options.least,
        }
    }

    /// Says that an answer took so long, and how many requests were under way when it came, itself among them.
    pub(in crate::upstream) fn observe(&mut self, took: Duration, active: u32, now: Instant) {
        if let Phase::Measuring(until) = self.phase {
            if now >= until {
                self.go_on(now);
            } else if active > self.options.least {
                // Those from before are still there, and in the way.
                self.window = Window::new(now);
                return;
            }
        }
        // Answers that were begun before a measurement have waited behind others.
        let began = now.checked_sub(took);
        if self.phase != Phase::Following && began.is_none_or(|began| began < self.window.begun) {
            return;
        }
        self.window.answers += 1;
        self.window.total += took.as_secs_f64();
        self.window.peak = self.window.peak.max(active);
        let window = self.window;
        let is_over = now.saturating_duration_since(window.begun) >= self.options.window;
        if window.answers < LEAST_ANSWERS || (self.phase == Phase::Following && !is_over) {
            return;
        }
        let short = window.total / f64::from(window.answers);
        self.window = Window::new(now);
        match self.phase {
            Phase::Following => self.follow(short, window.peak, now),
            Phase::Measuring(_) => {
                self.long = Some(short);
                self.go_on(now);
            }
        }
    }

    /// Changes the limit after a window.
    fn follow(&mut self, short: f64, peak: u32, now: Instant) {
        let has_room = f64::from(peak) < self.limit / 2.0;
        let is_least = peak <= self.options.least;
        let is_far_below = |short: f64, long: f64| short < long / 2.0;
        let long = match self.long {
            None => short,
            // So much faster that it is measured, rather than learned from answers that may have waited.
            Some(long) if is_far_below(short, long) && !has_room => long,
            Some(long) if short < long => long + (short - long) * FALL,
            Some(long) if has_room || is_least => long + (short - long) * RISE,
            Some(long) => long,
        };
        self.long = Some(long);
        let ratio = if short > 0.0 { self.options.tolerance * long / short } else { 1.0 };
        // What nobody has tried out says nothing of a higher limit.
        if !has_room {
            let target = self.limit * ratio.clamp(STEEPEST, 1.0) + self.limit.sqrt();
            let limit = self.limit + (target - self.limit) * SMOOTHING;
            self.limit = limit.clamp(f64::from(self.options.least), f64::from(self.options.most));
        }
        let is_astray = !has_room && (ratio <= STEEPEST || is_far_below(short, long));
        self.astray = if is_astray { self.astray + 1 } else { 0 };
        if self.astray >= ASTRAY || (now >= self.next_measure && !has_room) {
            self.measure(short, now);
        }
    }

    /// Begins a measurement. Answers that take as long as of late get the time that it takes to have enough of them, one
    /// after the other, and those before them out of the way.
    fn measure(&mut self, short: f64, now: Instant) {
        let answers = Duration::from_secs_f64(short.min(LONGEST)) * (2 * LEAST_ANSWERS);
        self.phase = Phase::Measuring(now + self.options.window * MEASURE_WINDOWS + answers);
        self.window = Window::new(now);
    }

    /// Ends a measurement.
    fn go_on(&mut self, now: Instant) {
        self.phase = Phase::Following;
        self.next_measure = now + self.options.measure;
        self.window = Window::new(now);
        self.astray = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that works on so many requests at once; others wait. Clients send as many as they are allowed to.
    struct Simulation {
        gradient: Gradient,
        now: Instant,
        /// How long it works on one request, in milliseconds.
        work: f64,
        /// When each request is done that is under way, and when it was sent.
        under_way: Vec<(Instant, Instant)>,
        /// When each of its workers is free again.
        workers: Vec<Instant>,
        /// As many as clients would send at most.
        demand: usize,
        rng: Rng,
    }

    const KNEE: usize = 20;

    fn ms(millis: f64) -> Duration {
        Duration::from_secs_f64(millis / 1000.0)
    }

    impl Simulation {
        #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
        fn new(options: AdaptiveLimit) -> Self {
            options.check().unwrap();
            let (now, mut rng) = (Instant::now(), Rng::with_seed(11));
            Self {
                gradient: Gradient::new(options, now, &mut rng),
                now,
                work: 10.0,
                under_way: Vec::new(),
                workers: vec![now; KNEE],
                demand: 1000,
                rng,
            }
        }

        /// Sends requests while it may.
        fn send(&mut self) {
            while self.under_way.len() < self.demand.min(self.gradient.limit() as usize) {
                let worker = self.workers.iter_mut().min().unwrap();
                let work = ms(self.work * (0.8 + 0.4 * self.rng.f64()));
                *worker = self.now.max(*worker) + work;
                self.under_way.push((*worker, self.now));
            }
        }

        /// Lets time pass; gives the least and the greatest limit meanwhile, measurements aside.
        fn run(&mut self, seconds: f64) -> (u32, u32) {
            let end = self.now + ms(seconds * 1000.0);
            let mut limits = (u32::MAX, 0);
            while self.now < end {
                self.send();
                let first = (0..self.under_way.len()).min_by_key(|at| self.under_way[*at].0).unwrap();
                let active = self.under_way.len() as u32;
                let (done, sent) = self.under_way.swap_remove(first);
                self.now = self.now.max(done);
                self.gradient.observe(self.now - sent, active, self.now);
                if self.gradient.phase == Phase::Following {
                    let limit = self.gradient.limit();
                    limits = (limits.0.min(limit), limits.1.max(limit));
                }
            }
            limits
        }
    }

    /// Measures often, so that little time has to be simulated.
    fn often() -> AdaptiveLimit {
        AdaptiveLimit { measure: Duration::from_secs(10), ..AdaptiveLimit::default() }
    }

    #[test]
    fn the_limit_comes_to_what_the_server_bears_and_stays_there() {
        for first in [4, 20, 500] {
            let mut simulation = Simulation::new(AdaptiveLimit { first, ..often() });
            simulation.run(20.0);
            // It is measured five times meanwhile.
            let (least, greatest) = simulation.run(50.0);
            assert!(least >= 10 && greatest <= 60, "{first} at first: {least} to {greatest}");
        }
    }

    #[test]
    fn a_slow_phase_is_over_with_the_next_measurement_at_the_latest() {
        for work in [20.0, 50.0, 200.0] {
            let mut simulation = Simulation::new(often());
            simulation.run(10.0);
            simulation.work = work;
            simulation.run(20.0);
            simulation.work = 10.0;
            let (_, greatest) = simulation.run(15.0);
            assert!(greatest <= 120, "after {work} ms: up to {greatest}");
            let (least, greatest) = simulation.run(20.0);
            assert!(least >= 10 && greatest <= 60, "after {work} ms: {least} to {greatest}");
        }
    }

    #[test]
    fn a_server_that_stays_slow_is_used_all_the_same() {
        let mut simulation = Simulation::new(often());
        simulation.run(10.0);
        simulation.work = 100.0;
        simulation.run(60.0);
        let (least, greatest) = simulation.run(60.0);
        assert!(least >= 10 && greatest <= 60, "{least} to {greatest}");
    }

    #[test]
    fn a_server_that_is_far_from_what_is_known_is_measured_out_of_turn() {
        let hourly =
            AdaptiveLimit { least: 1, measure: Duration::from_secs(3600), ..AdaptiveLimit::default() };
        let mut simulation = Simulation::new(hourly);
        simulation.run(10.0);
        for work in [100.0, 10.0] {
            simulation.work = work;
            simulation.run(20.0);
            let (least, greatest) = simulation.run(10.0);
            assert!(least >= 10 && greatest <= 60, "{work} ms: {least} to {greatest}");
        }
    }

    #[test]
    fn what_nobody_asks_for_does_not_raise_the_limit_and_is_not_measured() {
        let mut simulation = Simulation::new(AdaptiveLimit::default());
        simulation.demand = 5;
        assert_eq!(simulation.run(70.0), (20, 20));
        assert_eq!(simulation.gradient.phase, Phase::Following);
    }

    #[test]
    fn the_limit_stays_between_the_least_and_the_most() {
        let mut simulation =
            Simulation::new(AdaptiveLimit { least: 2, most: 8, first: 4, ..AdaptiveLimit::default() });
        simulation.run(30.0);
        assert_eq!(simulation.gradient.limit(), 8);
        let now = simulation.now;
        for answer in 0..2000 {
            let took = Duration::from_millis(10 + answer * 100);
            simulation.gradient.observe(took, 8, now + ms(answer as f64 * 20.0));
            assert!((2..=8).contains(&simulation.gradient.limit()));
        }
    }

    #[test]
    fn a_measurement_that_gets_no_answers_is_given_up() {
        let mut simulation = Simulation::new(AdaptiveLimit::default());
        simulation.run(1.0);
        let before = simulation.gradient.limit();
        simulation.gradient.measure(0.0, simulation.now);
        assert_eq!(simulation.gradient.limit(), 4);
        simulation.gradient.observe(ms(10.0), 50, simulation.now + ms(999.0));
        assert_eq!(simulation.gradient.limit(), 4);
        simulation.gradient.observe(ms(10.0), 50, simulation.now + ms(1000.0));
        assert_eq!(simulation.gradient.limit(), before);
    }

    #[test]
    fn endpoints_do_not_measure_at_the_same_time() {
        let one = Simulation::new(AdaptiveLimit::default());
        let mut rng = Rng::with_seed(12);
        let mut next = || Gradient::new(AdaptiveLimit::default(), one.now, &mut rng).next_measure - one.now;
        let (first, second) = (next(), next());
        assert_ne!(first, second);
        assert!([first, second].iter().all(|next| (30.0..=60.0).contains(&next.as_secs_f64())));
    }
}
