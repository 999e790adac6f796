//! POST and GET to an HTTP server, one connection a request: alerts are rare, and a connection that is kept is one that is found
//! broken when it matters. Secrets are read anew for each request and are in no log. Redirections are not followed, and no proxy is asked.

use std::{path::PathBuf, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};

use super::{
    deliver::Failed,
    secrets::{self, Secrets},
};
use crate::{config, model::sinks::Reason};

/// Longest answer that is read: a page's data of some hundred subjects have a tenth of it.
const LONGEST_ANSWER: usize = 8 << 20;

/// Where to.
pub(crate) enum Target {
    Url(config::Url),
    /// A file that holds it.
    File(PathBuf),
}

impl Target {
    fn url(&self) -> Result<config::Url, Failed> {
        match self {
            Self::Url(url) => Ok(url.clone()),
            Self::File(path) => {
                let text = secrets::line(path)?;
                config::Url::parse(&text)
                    .map_err(|error| Failed::new(Reason::File, format!("{}: {error}", path.display())))
            }
        }
    }
}

/// A server, and how to speak to it.
pub(crate) struct Client {
    target: Target,
    timeout: Duration,
    secrets: Secrets,
    tls: Option<Arc<ClientConfig>>,
}

impl Client {
    /// Reads all files that the configuration names, to find mistakes at the start.
    ///
    /// # Errors
    ///
    /// When one cannot be used; the message names it.
    pub(crate) fn new(target: Target, http: &config::Http) -> Result<Self, String> {
        let secrets = Secrets::of(http);
        let unusable = |failed: Failed| failed.message;
        let url = target.url().map_err(unusable)?;
        secrets.headers().map_err(unusable)?;
        let is_secure = url.uri().scheme_str() == Some("https") || matches!(target, Target::File(_));
        let tls = if is_secure || http.ca_file.is_some() { Some(secrets::tls(http.ca_file.as_deref())?) } else { None };
        Ok(Self { target, timeout: http.timeout, secrets, tls })
    }

    /// Posts JSON.
    ///
    /// # Errors
    ///
    /// When the answer is not one of success.
    pub(super) async fn post(&self, body: Vec<u8>) -> Result<(), Failed> {
        let exchange = async {
            let url = self.target.url()?;
            self.exchange(&url, request(Method::POST, url.uri(), self.secrets.headers()?, body)?).await
        };
        self.in_time(exchange).await.map(|_| ())
    }

    /// The body of what is behind the address: a path, and a query.
    ///
    /// # Errors
    ///
    /// When the answer is not one of success, or is too long.
    pub(crate) async fn get(&self, path: &str) -> Result<Bytes, Failed> {
        let exchange = async {
            let url = self.target.url()?.join(path).map_err(|error| Failed::new(Reason::File, error))?;
            self.exchange(&url, request(Method::GET, url.uri(), self.secrets.headers()?, Vec::new())?).await
        };
        self.in_time(exchange).await
    }

    async fn in_time<T>(&self, exchange: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or_else(|_| {
            let timeout = humantime::format_duration(self.timeout);
            Err(Failed::new(Reason::Timeout, format!("no answer within {timeout}")))
        })
    }

    async fn exchange(&self, url: &config::Url, request: Request<Full<Bytes>>) -> Result<Bytes, Failed> {
        let host = url.uri().host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_secure = url.uri().scheme_str() == Some("https");
        let port = url.uri().port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let stream = TcpStream::connect((&*host, port))
            .await
            .map_err(|error| Failed::new(Reason::Connect, format!("connect: {error}")))?;
        if !is_secure {
            return over(stream, request).await;
        }
        let nameless = || Failed::new(Reason::Tls, "the host's name can have no certificate");
        let name = ServerName::try_from(host).map_err(|_| nameless())?;
        let tls = self.tls.clone().ok_or_else(nameless)?;
        let stream = TlsConnector::from(tls)
            .connect(name, stream)
            .await
            .map_err(|error| Failed::new(Reason::Tls, format!("secure the connection: {error}")))?;
        over(stream, request).await
    }
}

fn request(method: Method, uri: &Uri, headers: HeaderMap, body: Vec<u8>) -> Result<Request<Full<Bytes>>, Failed> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let has_body = !body.is_empty();
    let body = Full::new(Bytes::from(body));
    let mut request = Request::builder().method(method).uri(path).body(body).map_err(broken)?;
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let own: [(HeaderName, HeaderValue); 3] = [
        (header::HOST, HeaderValue::from_str(host).map_err(broken)?),
        (header::USER_AGENT, HeaderValue::from_static(concat!("mmscope/", env!("CARGO_PKG_VERSION")))),
        (header::CONNECTION, HeaderValue::from_static("close")),
    ];
    // Those of the configuration win.
    request.headers_mut().extend(own);
    if has_body {
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    request.headers_mut().extend(headers);
    Ok(request)
}

/// One request over one connection; back comes the body of a GET. What a receiver of alerts says beside its status is nobody's concern.
async fn over<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Bytes, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let wants_body = request.method() == Method::GET;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut answer =
        std::pin::pin!(async { read(sender.send_request(request).await.map_err(broken)?, wants_body).await });
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        body = &mut answer => body,
        // It is over: what was answered is known by now.
        _ = &mut connection => answer.await,
    }
}

async fn read(response: Response<Incoming>, wants_body: bool) -> Result<Bytes, Failed> {
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
    judge(response.status(), retry_after)?;
    if !wants_body {
        return Ok(Bytes::new());
    }
    let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
    let unread = |error| Failed::new(Reason::Broken, format!("the answer broke off: {error}"));
    Ok(body.map_err(unread)?.to_bytes())
}

fn broken(error: impl std::error::Error) -> Failed {
    Failed::new(Reason::Broken, format!("the connection broke: {error}"))
}

/// What an answer means. Only one that speaks of the message itself makes it be given up: a wrong token or path may be put right.
fn judge(status: StatusCode, retry_after: Option<Duration>) -> Result<(), Failed> {
    let reason = match status {
        status if status.is_success() => return Ok(()),
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => Reason::Refused,
        _ => Reason::Status,
    };
    Err(Failed { reason, status: Some(status), message: format!("the answer is HTTP {status}"), retry_after })
}
