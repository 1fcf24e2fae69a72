//! What every way to find endpoints has in common.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::Result;

use super::Feed;

/// Finds out which endpoints there are, for as long as they are used.
///
/// [`Dns`](crate::Dns) and [`EndpointsFile`](crate::EndpointsFile) come with the crate. One of your own asks whatever
/// knows them:
///
/// ```
/// use std::future::Future;
/// use std::pin::Pin;
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use eproxy_core::{Discovery, Endpoint, Feed};
///
/// struct Registry;
///
/// impl Registry {
///     async fn ask(&self) -> Result<Vec<String>, String> {
///         Ok(vec!["http://10.0.0.7:3000".into(), "http://10.0.0.8:3000".into()])
///     }
/// }
///
/// impl Discovery for Registry {
///     fn run(self: Arc<Self>, feed: Feed) -> Pin<Box<dyn Future<Output = ()> + Send>> {
///         Box::pin(async move {
///             loop {
///                 match self.ask().await {
///                     Ok(urls) => feed.set(urls.into_iter().map(Endpoint::new).collect()),
///                     Err(reason) => feed.failed(reason),
///                 }
///                 if !feed.wait(Duration::from_secs(10)).await {
///                     return;
///                 }
///             }
///         })
///     }
/// }
/// ```
pub trait Discovery: Send + Sync + 'static {
    /// Looks at its options before a server starts, which doesn't if they are wrong.
    ///
    /// # Errors
    ///
    /// What is wrong.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Runs for as long as a server uses the endpoints, on async-std, and tells `feed` of all of them whenever they change.
    ///
    /// # Cancel safety
    ///
    /// It is dropped at any await when nobody uses the endpoints any more.
    fn run(self: Arc<Self>, feed: Feed) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}
