//! What a [`Proxy`] can be told of requests that are sent again, or to two endpoints at once.

use std::time::Duration;

use super::proxy::Proxy;

impl Proxy {
    /// Sets how often a request is sent again that an upstream may have seen: 1 unless set, and 0 never does it. Only
    /// requests are that do no more the second time than they did the first (RFC 9110 §9.2.2), and whose body was read as a
    /// whole before they were sent: one that came with the head, or that [`buffer_requests`](Self::buffer_requests) has
    /// collected. A request that no upstream can have seen, because there was no connection, goes to the other endpoints
    /// whatever is set here.
    ///
    /// What counts as a failure is that a connection ends before the first byte of the answer, or that
    /// [`attempt_timeout`](Self::attempt_timeout) has passed. A connection that had been used before is the common case: the
    /// request goes to another endpoint, or to the same one over a new connection, once and without being counted. How many requests are sent again in all
    /// is limited by the budget of the group, [`Group::retry_budget`](crate::Group::retry_budget), and how often one of them
    /// is tried, by eight.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retry.repeats = retries;
        self
    }

    /// Counts answers with these statuses as failures, too, while there is another endpoint that has not been tried: 502,
    /// 503 and 504 are what one may want here. None unless set; others than 400 to 599 are a `bad_option`. What may be sent
    /// again, and how often, is as for [`retries`](Self::retries).
    ///
    /// ```
    /// use eproxy_core::Proxy;
    ///
    /// let proxy = Proxy::to(["http://10.0.0.8:80", "http://10.0.0.9:80"])
    ///     .buffer_requests(64 * 1024)
    ///     .retries(2)
    ///     .retry_statuses([502, 503, 504]);
    /// ```
    pub fn retry_statuses(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.retry.statuses = statuses.into_iter().collect();
        if let Some(wrong) = self.retry.statuses.iter().find(|status| !(400..=599).contains(*status)) {
            self.refuse(format!("status {wrong} to retry, expected 400 to 599"));
        }
        self
    }

    /// Sets how long one try may take, from choosing the endpoint to the head of its answer; none but
    /// [`UpstreamOptions::connect`](crate::UpstreamOptions::connect) and [`UpstreamOptions::head`](crate::UpstreamOptions::head)
    /// unless set. When it has passed the request goes to another endpoint, if it may be sent again as
    /// [`retries`](Self::retries) says; otherwise the client is told 504 (`attempt_timeout`).
    ///
    /// ```
    /// use std::time::Duration;
    /// use eproxy_core::Proxy;
    ///
    /// let proxy = Proxy::to(["http://10.0.0.8:80", "http://10.0.0.9:80"])
    ///     .retries(2)
    ///     .attempt_timeout(Duration::from_secs(2));
    /// ```
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        if timeout.is_zero() {
            self.refuse("an attempt timeout of nothing".into());
        }
        self.retry.patience = Some(timeout);
        self
    }

    /// Sends requests again as [`retries`](Self::retries) says whatever their method is, POST among them, if they carry an
    /// `Idempotency-Key`: upstreams are trusted to recognise a repetition by it. Off unless set.
    pub fn retry_idempotency_keys(mut self) -> Self {
        self.retry.keys = true;
        self
    }

    /// Asks a second endpoint as well when the first has not begun to answer after so long; the first bytes of an answer
    /// win, and the other connection is closed. It makes the slowest answers faster at the price of more requests, which
    /// are taken from the budget of the group. Only requests are treated so that may be sent again, as
    /// [`retries`](Self::retries) says. Off unless set; a time that nine of ten answers stay below is a good one.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eproxy_core::Proxy;
    ///
    /// let proxy = Proxy::to(["http://10.0.0.8:80", "http://10.0.0.9:80"]).hedge_after(Duration::from_millis(50));
    /// ```
    pub fn hedge_after(mut self, delay: Duration) -> Self {
        self.retry.hedge = Some(delay);
        self
    }
}
