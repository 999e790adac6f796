//! Connections: how many, for how long, with TLS or without. hyper speaks HTTP; `axum::serve` has none of these bounds.

use std::{io, sync::Arc, time::Duration};

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    access::Door,
    figures::Counters,
    guard::Guard,
    pace::{Pace, Watched},
};
use crate::{config::Web, model::web::Refusal};

/// After an error of `accept` that will not go away by itself, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// Requests at once of one connection, where HTTP has that.
const STREAMS: u32 = 8;
/// Answers that wait for a slow reader, bytes a connection.
const SEND_BUFFER: usize = 256 << 10;

/// What connections are served with.
pub(super) struct Server {
    pub(super) limits: Web,
    pub(super) door: Arc<Door>,
    pub(super) counters: Arc<Counters>,
    pub(super) guard: Guard,
}

impl Server {
    /// Serves until the token is cancelled, and then what is under way.
    ///
    /// # Errors
    ///
    /// None: what fails is a connection.
    pub(super) async fn serve(self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let server = Arc::new(self);
        let places = Arc::new(Semaphore::new(server.limits.connections as usize));
        let tracker = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) if is_of_the_connection(&error) => continue,
                Err(error) => {
                    tracing::warn!("accept a connection: {error}");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                server.counters.refused(Refusal::Connections);
                continue;
            };
            let (server, stop) = (server.clone(), stop.clone());
            tracker.spawn(async move {
                let _place = place;
                let _open = server.counters.opened();
                server.connection(stream, stop).await;
            });
        }
        tracker.close();
        tracker.wait().await;
        Ok(())
    }

    async fn connection(&self, stream: TcpStream, stop: CancellationToken) {
        // Pieces of a scrape are written as they are made.
        let _ = stream.set_nodelay(true);
        match &self.door.now().tls {
            Some(tls) => self.secured(stream, tls.clone(), stop).await,
            None => self.http1(stream, stop).await,
        }
    }

    async fn secured(&self, mut stream: TcpStream, tls: Arc<ServerConfig>, stop: CancellationToken) {
        let handshake = async {
            if !begins_tls(&stream).await? {
                let _ = stream.write_all(NO_TLS).await;
                return Err(io::ErrorKind::InvalidData.into());
            }
            TlsAcceptor::from(tls).accept(stream).await
        };
        let secured = tokio::select! {
            () = stop.cancelled() => return,
            secured = timeout(self.limits.handshake_timeout, handshake) => secured,
        };
        match secured {
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => self.http2(stream, stop).await,
            Ok(Ok(stream)) => self.http1(stream, stop).await,
            Ok(Err(error)) => {
                tracing::debug!("secure a connection: {error}");
                self.counters.refused(Refusal::Handshake);
            }
            Err(_) => self.counters.refused(Refusal::HandshakeTimeout),
        }
    }

    /// Serves one connection without TLS, or behind it.
    pub(super) async fn http1<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, stop: CancellationToken) {
        let pace = Pace::new(self.limits);
        let io = TokioIo::new(Watched::new(stream, Some(pace.clone())));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // Ours tells the time between two requests from that of a header.
            .header_read_timeout(None)
            .max_buf_size(self.limits.header_bytes as usize)
            .max_headers(self.limits.header_lines as usize)
            .serve_connection(io, self.guard.service(pace.clone()));
        let mut connection = std::pin::pin!(connection);
        let served = tokio::select! {
            served = &mut connection => Ok(served),
            refusal = pace.over() => Err(refusal),
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    served = &mut connection => Ok(served),
                    refusal = pace.over() => Err(refusal),
                }
            }
        };
        self.ended(served);
    }

    async fn http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S, stop: CancellationToken) {
        let pace = Pace::new(self.limits);
        let io = TokioIo::new(Watched::new(stream, None));
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(self.limits.header_bytes as u32)
            .max_send_buf_size(SEND_BUFFER)
            .serve_connection(io, self.guard.service(pace.clone()));
        let mut connection = std::pin::pin!(connection);
        let served = tokio::select! {
            served = &mut connection => Ok(served),
            refusal = pace.over() => Err(refusal),
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    served = &mut connection => Ok(served),
                    refusal = pace.over() => Err(refusal),
                }
            }
        };
        self.ended(served);
    }

    fn ended(&self, served: Result<hyper::Result<()>, Option<Refusal>>) {
        let refusal = match served {
            Ok(Ok(())) => None,
            Ok(Err(error)) if error.is_parse_too_large() => Some(Refusal::HeaderSize),
            Ok(Err(error)) if error.is_parse() => Some(Refusal::Malformed),
            // The client went away.
            Ok(Err(_)) => None,
            Err(refusal) => refusal,
        };
        if let Some(refusal) = refusal {
            self.counters.refused(refusal);
        }
    }
}

/// What a server of Go says to who takes it for one without TLS.
const NO_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
    Client sent an HTTP request to an HTTPS server.\n";

/// First byte of a TLS record that begins a handshake.
const HANDSHAKE: u8 = 22;

/// Whether the client speaks TLS; takes nothing from the stream.
async fn begins_tls(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(first[0] == HANDSHAKE),
    }
}

/// The client was gone before it was accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
