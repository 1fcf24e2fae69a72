//! Which endpoint is next: by turns, in proportion to the weights (the smooth weighted round robin of nginx).

#[derive(Debug, Default)]
pub(super) struct Rotation(Vec<i64>);

impl Rotation {
    pub(super) fn new(n: usize) -> Self {
        Self(vec![0; n])
    }

    pub(super) fn choose(
        &mut self,
        weight: impl Fn(usize) -> i64,
        may: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<usize> = None;
        for number in (0..self.0.len()).filter(|number| may(*number)) {
            self.0[number] += weight(number);
            total += weight(number);
            if best.is_none_or(|best| self.0[number] > self.0[best]) {
                best = Some(number);
            }
        }
        if let Some(best) = best {
            self.0[best] -= total;
        }
        best
    }
}
