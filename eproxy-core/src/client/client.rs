//! The client.

use std::fmt;
use std::sync::Arc;

use http_types::{Method, StatusCode, Url};
use surf::RequestBuilder;
use surf::middleware::Middleware;

use crate::error::{Error, Kind, Result};
use crate::message::Answer;

use super::backend::Transport;
use super::options::ClientOptions;

/// Asks other servers, over pooled connections.
///
/// There are two ways to use it. [`fetch`](Self::fetch) and [`send`](Self::send) give the answer as it came, made for
/// handlers that pass it on. [`get`](Self::get), [`post`](Self::post) and the like begin a request of
/// [surf](https://docs.rs/surf), with its builder, its middleware ([`with`](Self::with); redirects are such a
/// middleware) and its ways to take a body apart. Both run on async-std and share the same connections.
///
/// `http://` and `https://` are spoken, and HTTP/1.1 over both; [`ClientOptions::tls`] says whom to trust. Cloning a client
/// is cheap; clones share their connections.
///
/// ```no_run
/// use eproxy_core::{Client, Request, Response, Server};
///
/// # async fn demo() -> surf::Result<()> {
/// let client = Client::new();
/// let text = client.get("http://127.0.0.1:9000/get").recv_string().await?;
///
/// let server = Server::builder().get("/proxy", move |_: Request, res: Response| {
///     client.fetch("http://127.0.0.1:9000/get", move |answer| match answer {
///         Ok(upstream) => res.forward(upstream),
///         Err(error) => res.status(error.status()).send(error.name()),
///     })
/// });
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    transport: Arc<Transport>,
    surf: surf::Client,
}

impl Client {
    /// A client with default options.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(ClientOptions::default())
    }

    /// A client with these timeouts and pool sizes.
    #[must_use]
    pub fn with_options(options: ClientOptions) -> Self {
        let transport = Arc::new(Transport::new(options));
        let surf = surf::Client::with_http_client(Backend(transport.clone()));
        Self { transport, surf }
    }

    /// Adds a middleware of surf, for the requests that surf's builder makes.
    #[must_use]
    pub fn with(self, middleware: impl Middleware) -> Self {
        Self { surf: self.surf.with(middleware), ..self }
    }

    /// Sends a request and calls back with its answer, on a task of async-std. The answer's body is still to be read;
    /// [`Response::forward`](crate::Response::forward) relays it as it comes.
    ///
    /// A request is a URL as text, a `Url`, or an `http_types::Request`; what is wrong with it is told to the callback.
    /// Middleware is not asked, and redirects are not followed.
    pub fn fetch(&self, request: impl IntoRequest, callback: impl FnOnce(Result<Answer>) + Send + 'static) {
        let request = request.into_request();
        let transport = self.transport.clone();
        async_std::task::spawn(async move {
            callback(match request {
                Ok(request) => transport.send(request).await,
                Err(error) => Err(error),
            });
        });
    }

    /// Sends a request and gives its answer as it came: any status, headers in their order and case, values as bytes.
    /// The body is still to be read.
    ///
    /// # Errors
    ///
    /// The request can't be sent, the upstream can't be reached, is too slow, or sends what is no answer. See
    /// [`Error::status`] for what to tell a client.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection; the upstream may have acted on the request.
    pub async fn send(&self, request: impl IntoRequest) -> Result<Answer> {
        self.transport.send(request.into_request()?).await
    }

    /// Begins a GET request of surf.
    ///
    /// # Panics
    ///
    /// `url` is not an absolute URL; so with the other methods.
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.surf.get(url)
    }

    /// Begins a HEAD request of surf.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    pub fn head(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.surf.head(url)
    }

    /// Begins a POST request of surf.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.surf.post(url)
    }

    /// Begins a PUT request of surf.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    pub fn put(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.surf.put(url)
    }

    /// Begins a DELETE request of surf.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    pub fn delete(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.surf.delete(url)
    }

    /// Begins a request of surf with any method that it knows.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    pub fn request(&self, method: Method, url: impl AsRef<str>) -> RequestBuilder {
        self.surf.request(method, url)
    }

    /// The surf client inside, for what is not repeated here.
    #[must_use]
    pub fn surf(&self) -> &surf::Client {
        &self.surf
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// What [`Client::fetch`] and [`Client::send`] take for a request.
pub trait IntoRequest {
    /// The request.
    ///
    /// # Errors
    ///
    /// The URL is invalid.
    fn into_request(self) -> Result<http_types::Request>;
}

/// GET this URL.
impl IntoRequest for &str {
    fn into_request(self) -> Result<http_types::Request> {
        let url = Url::parse(self)
            .map_err(|error| Error::new(Kind::BadRequest).detail(format!("URL {self:?}: {error}")))?;
        url.into_request()
    }
}

/// GET this URL.
impl IntoRequest for String {
    fn into_request(self) -> Result<http_types::Request> {
        self.as_str().into_request()
    }
}

/// GET this URL.
impl IntoRequest for Url {
    fn into_request(self) -> Result<http_types::Request> {
        // http-types panics on a URL that has no base.
        match self.cannot_be_a_base() {
            true => Err(Error::new(Kind::BadRequest).detail(format!("URL {:?} has no host", self.as_str()))),
            false => Ok(http_types::Request::new(Method::Get, self)),
        }
    }
}

impl IntoRequest for http_types::Request {
    fn into_request(self) -> Result<http_types::Request> {
        Ok(self)
    }
}

impl IntoRequest for surf::Request {
    fn into_request(self) -> Result<http_types::Request> {
        Ok(self.into())
    }
}

/// The transport as surf takes it.
#[derive(Debug)]
struct Backend(Arc<Transport>);

#[async_trait::async_trait]
impl http_client::HttpClient for Backend {
    async fn send(&self, request: http_types::Request) -> http_types::Result<http_types::Response> {
        match self.0.send(request).await {
            Ok(answer) => Ok(into_http_types(answer)),
            Err(error) => {
                let status = StatusCode::try_from(error.status()).unwrap_or(StatusCode::BadGateway);
                Err(http_types::Error::new(status, error))
            }
        }
    }
}

/// The answer in the words of http-types, which has none for some: an unregistered status becomes the first of its
/// class, as RFC 9110 §15 has it, and bytes outside ASCII in header values are percent-encoded.
fn into_http_types(answer: Answer) -> http_types::Response {
    let (status, headers, body) = answer.into_parts();
    let class = StatusCode::try_from(status / 100 * 100).unwrap_or(StatusCode::BadGateway);
    let mut response = http_types::Response::new(StatusCode::try_from(status).unwrap_or(class));
    response.set_body(body);
    response.remove_header("content-type");
    for (name, value) in headers.iter() {
        let ascii: String = value
            .iter()
            .map(|byte| match byte.is_ascii() {
                true => char::from(*byte).to_string(),
                false => format!("%{byte:02X}"),
            })
            .collect();
        response.append_header(name, ascii.as_str());
    }
    response
}
