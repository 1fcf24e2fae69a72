//! How long things took: a histogram that one core fills and any thread reads, and the sum of several.
//!
//! Buckets are log-linear: each decade from 100 µs to 100 s is divided into 32, between 5 % and 12.5 % wide, at bounds that
//! are round numbers. One bucket is below and one above. The cells of a decade are made when something first falls into it:
//! most of what is measured stays within two or three.

use std::sync::OnceLock;
use std::time::Duration;

use super::counter::Counter;

/// Latencies as one core counts them. One thread writes, any thread reads.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// Up to [`FIRST`].
    below: Counter,
    decades: [OnceLock<Box<[Counter; STEPS]>>; DECADES],
    /// Beyond [`LAST`].
    above: Counter,
    /// In microseconds.
    sum: Counter,
}

/// The upper bound of the first bucket, and the lower one of the last, in microseconds.
const FIRST: u64 = 100;
const LAST: u64 = FIRST * 10_u64.pow(DECADES as u32);

const DECADES: usize = 6;

/// Buckets of a decade: 1.0 to 2.0 by tenths, to 5.0 by quarters, to 10.0 by halves.
const STEPS: usize = 32;

/// Buckets in all.
const ALL: usize = 1 + DECADES * STEPS + 1;

impl Histogram {
    /// Counts one, of so many nanoseconds; only from the thread that owns the histogram.
    pub(crate) fn record(&self, nanoseconds: u64) {
        // A bucket holds what is up to its upper bound, as Prometheus wants it; so what is less than a microsecond above a
        // bound belongs to it, too.
        let micros = nanoseconds.saturating_sub(1) / 1000;
        self.sum.add_many(nanoseconds / 1000);
        if micros < FIRST {
            return self.below.add();
        }
        if micros >= LAST {
            return self.above.add();
        }
        let (decade, step) = place(micros as u32);
        let cells =
            self.decades[decade].get_or_init(|| Box::new(std::array::from_fn(|_| Counter::default())));
        cells[step].add();
    }
}

/// The decade and the step in it of a time between [`FIRST`] and [`LAST`], in microseconds.
fn place(micros: u32) -> (usize, usize) {
    // Such a number has three digits at least, and nine at the most.
    let decade = (micros.ilog10() as usize).saturating_sub(2);
    const SCALE: [u32; DECADES] = [1, 10, 100, 1000, 10_000, 100_000];
    // 100 to 999.
    let digits = micros / SCALE[decade];
    let step = match digits {
        ..200 => (digits - 100) / 10,
        200..500 => 10 + (digits - 200) / 25,
        _ => 22 + (digits - 500) / 50,
    };
    (decade, step as usize)
}

/// The upper bound of a bucket, in microseconds; none of the last.
fn bound(bucket: usize) -> Option<u64> {
    let (decade, step) = match bucket {
        0 => return Some(FIRST),
        bucket => ((bucket - 1) / STEPS, (bucket - 1) % STEPS),
    };
    let digits = match step {
        ..10 => 110 + 10 * step,
        10..22 => 225 + 25 * (step - 10),
        _ => 550 + 50 * (step - 22),
    };
    (decade < DECADES).then(|| digits as u64 * 10_u64.pow(decade as u32))
}

/// How long things took, as it was counted up to one moment.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    /// By bucket; empty where nothing was counted.
    counts: Vec<u64>,
    count: u64,
    /// In microseconds.
    sum: u64,
}

impl Latencies {
    /// Adds what a core has counted.
    pub(crate) fn add(&mut self, histogram: &Histogram) {
        self.counts.resize(ALL, 0);
        let mut put = |bucket: usize, count: u64| {
            self.counts[bucket] += count;
            self.count += count;
        };
        put(0, histogram.below.read());
        for (decade, cells) in histogram.decades.iter().enumerate() {
            for (step, cell) in cells.get().into_iter().flat_map(|cells| cells.iter()).enumerate() {
                put(1 + decade * STEPS + step, cell.read());
            }
        }
        put(ALL - 1, histogram.above.read());
        self.sum += histogram.sum.read();
    }

    /// Adds others.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.counts.resize(ALL, 0);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
        self.sum += other.sum;
    }

    /// Those that have come since `earlier`, which was read from the same before.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let then = earlier.counts.iter().copied().chain(std::iter::repeat(0));
        Self {
            counts: self.counts.iter().zip(then).map(|(now, then)| now.saturating_sub(then)).collect(),
            count: self.count.saturating_sub(earlier.count),
            sum: self.sum.saturating_sub(earlier.sum),
        }
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How long all of them took together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum)
    }

    /// What that part of them took at the most: `quantile(0.99)` is what 99 of 100 took. It is interpolated within a bucket
    /// that is 12.5 % wide at the most; what took up to 100 µs counts as evenly spread over that, and what took more than
    /// 100 s as 100 s. None where there were none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let rank = part.clamp(0.0, 1.0) * self.count as f64;
        let (mut before, mut low) = (0, 0);
        for (bucket, count) in self.counts.iter().enumerate() {
            let high = bound(bucket).unwrap_or(LAST);
            if *count > 0 && (before + count) as f64 >= rank {
                let within = (rank - before as f64) / *count as f64;
                let micros = low as f64 + (high - low) as f64 * within.clamp(0.0, 1.0);
                return Some(Duration::from_nanos((micros * 1000.0) as u64));
            }
            before += count;
            low = high;
        }
        Some(Duration::from_micros(LAST))
    }

    /// How many took up to each of these bounds and longer than the one before, in microseconds and in their order; they have
    /// to be bounds of buckets. Those beyond the last are left out.
    pub(crate) fn between<const N: usize>(&self, bounds: [u64; N]) -> [u64; N] {
        let mut sums = [0; N];
        let mut at = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            let Some(high) = bound(bucket) else { break };
            while at < N && bounds[at] < high {
                at += 1;
            }
            let Some(sum) = sums.get_mut(at) else { break };
            *sum += count;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Latencies {
        let histogram = Histogram::default();
        micros.into_iter().for_each(|micros| histogram.record(micros * 1000));
        let mut latencies = Latencies::default();
        latencies.add(&histogram);
        latencies
    }

    #[test]
    fn every_time_falls_into_the_bucket_whose_bounds_are_around_it() {
        let mut micros = 1;
        while micros < 200_000_000 {
            for micros in [micros - 1, micros, micros + 1] {
                let latencies = of([micros]);
                let bucket = latencies.counts.iter().position(|count| *count == 1).unwrap();
                let low = if bucket == 0 { 0 } else { bound(bucket - 1).unwrap() };
                assert!(micros <= bound(bucket).unwrap_or(u64::MAX), "{micros} in {bucket}");
                assert!(micros > low || micros == 0, "{micros} in {bucket}, above {low}");
            }
            micros = micros * 21 / 20 + 1;
        }
    }

    #[test]
    fn buckets_rise_and_none_is_wider_than_an_eighth() {
        for bucket in 1..ALL - 1 {
            let (low, high) = (bound(bucket - 1).unwrap(), bound(bucket).unwrap());
            assert!(low < high && (high - low) * 8 <= low, "{bucket}: {low} to {high}");
        }
        assert_eq!((bound(ALL - 2), bound(ALL - 1)), (Some(LAST), None));
    }

    #[test]
    fn what_came_later_stands_for_itself() {
        let histogram = Histogram::default();
        let read = || {
            let mut latencies = Latencies::default();
            latencies.add(&histogram);
            latencies
        };
        (0..100).for_each(|_| histogram.record(1_000_000));
        let earlier = read();
        (0..10).for_each(|_| histogram.record(500_000_000));
        let later = read().since(&earlier);
        assert_eq!((later.count(), later.sum()), (10, Duration::from_secs(5)));
        assert!(later.quantile(0.01) > Some(Duration::from_millis(400)));
        assert_eq!(read().since(&Latencies::default()).count(), 110);
        assert_eq!(earlier.since(&earlier).quantile(0.5), None);
    }

    #[test]
    fn quantiles_are_near_what_was_counted() {
        let latencies = of((1..=10_000).map(|number| number * 10));
        for (part, is) in [(0.5, 50_000.0), (0.9, 90_000.0), (0.99, 99_000.0), (0.999, 99_900.0)] {
            let found = latencies.quantile(part).unwrap().as_micros() as f64;
            assert!((found / is - 1.0).abs() < 0.01, "{part}: {found} for {is}");
        }
        assert_eq!(latencies.sum(), Duration::from_micros(500_050_000));
        assert_eq!(of([]).quantile(0.5), None);
        assert_eq!(of([500_000_000]).quantile(0.5), Some(Duration::from_secs(100)));
    }

    #[test]
    fn what_is_between_bounds_is_exact_and_cores_add_up() {
        let latencies = of([50, 500, 501, 5_000, 250_000, 2_500_000, 90_000_000, 900_000_000]);
        assert_eq!(latencies.between([500, 5_000, 250_000, 2_500_000]), [2, 2, 1, 1]);
        let mut both = of([500, 600]);
        both.merge(&latencies);
        assert_eq!((both.count(), both.between([500, 5_000])), (10, [3, 3]));
    }
}
