//! The state, once a second, for as long as somebody listens: server-sent events (WHATWG HTML §9.2).

use std::sync::Arc;

use async_std::channel::Receiver;
use futures_lite::future;

use crate::error::Result;
use crate::handler::BodyWriter;

use super::shared::Shared;

/// How long whoever has lost the stream waits before it asks for another, in milliseconds.
const RETRY: u32 = 2000;

/// Tells until nobody listens any more, or the listener ends.
pub(super) async fn tell(shared: Arc<Shared>, events: Receiver<Arc<str>>, mut writer: BodyWriter) {
    // Whoever listened is gone: there is nobody to be told of it.
    let _gone = until_gone(&shared, &events, &mut writer).await;
    writer.finish();
}

async fn until_gone(shared: &Shared, events: &Receiver<Arc<str>>, writer: &mut BodyWriter) -> Result<()> {
    writer.send(format!("retry: {RETRY}\n\n{}", event(&shared.state()))).await?;
    loop {
        let is_gone = async {
            writer.closed().await;
            None
        };
        // Nothing comes any more when the listener has ended.
        let next = async { events.recv().await.ok() };
        let Some(told) = future::or(is_gone, next).await else { break };
        if shared.is_ending() {
            break;
        }
        writer.send(event(&told)).await?;
    }
    Ok(())
}

/// JSON has no line breaks but those that it is printed with.
fn event(json: &str) -> String {
    format!("data: {json}\n\n")
}
