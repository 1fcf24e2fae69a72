//! Whom a client trusts, found out when it is first needed.

use std::sync::{Arc, OnceLock};

use async_std::task::spawn_blocking;

use crate::error::{Error, Kind, Result};
use crate::tls::{Connector, UpstreamTls};

/// How servers of `https://` are connected to. Files and the system's roots are read with the first request to one: who
/// never asks there has no use for them.
#[derive(Debug)]
pub(super) struct Trust {
    tls: UpstreamTls,
    /// Or what is wrong.
    connector: Arc<OnceLock<Result<Connector, String>>>,
}

impl Trust {
    pub(super) fn new(tls: UpstreamTls) -> Self {
        // Nothing else is spoken here.
        Self { tls: tls.http2(false), connector: Arc::default() }
    }

    /// # Errors
    ///
    /// `BadOption`, every time.
    pub(super) async fn connector(&self) -> Result<Connector> {
        let found = match self.connector.get() {
            Some(found) => found.clone(),
            None => {
                let (tls, connector) = (self.tls.clone(), self.connector.clone());
                let read =
                    move || connector.get_or_init(|| tls.connector().map_err(Error::into_detail)).clone();
                spawn_blocking(read).await
            }
        };
        found.map_err(|wrong| Error::new(Kind::BadOption).detail(wrong))
    }
}
