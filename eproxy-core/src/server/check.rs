//! Everything that is not right with the description of a server, at once.

use crate::router::{self, Finding};

use super::asked::check_name;
use super::builder::Builder;
use super::plan;
use super::trust::Trusted;

impl Builder {
    /// Looks for everything that is not right with the description: malformed or overlapping patterns, hosts, conditions and
    /// methods, routes that no request can reach, limits out of bounds, proxies, files, fixed answers and redirects that
    /// are described wrongly. What only the machine can tell, such as addresses in use and certificates, is told by
    /// [`start`](Self::start) alone; that a folder of [`Files`](crate::Files) is missing is told here.
    ///
    /// ```
    /// use eproxy_core::{Request, Response, Route, Server};
    ///
    /// let answer = |_: Request, res: Response| res.send("");
    /// let server = Server::builder()
    ///     .get("/users/:id", answer)
    ///     .get("/users/:name", answer)
    ///     .route(Route::new("/").host("example.com:80").get(answer));
    /// let findings = server.check();
    /// assert_eq!(findings.len(), 2);
    /// for finding in findings {
    ///     println!("{finding}");
    /// }
    /// ```
    #[must_use]
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let options = [
            Trusted::parse(&self.trusted).err(),
            plan::check(&self.limits).err(),
            self.explain.as_deref().and_then(|name| check_name(name).err()),
        ];
        findings.extend(options.into_iter().flatten().map(Finding::Invalid));
        findings.extend(router::check(&self.routes));
        findings
    }
}
