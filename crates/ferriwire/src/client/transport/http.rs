//! Requests over HTTP/1.1, each along the connection that carries it: no task of their own.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use ferriwire_proto::engine::client::Address;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::refusal::MAX_REFUSAL;
use super::stream::{Connector, Stream};
use crate::client::error::ConnectFailure;

/// How many headers a request has besides those of the program.
const EXPECTED: usize = 7;

type Io = TokioIo<Box<dyn Stream>>;

/// Where requests go, and what all of them carry.
pub(crate) struct Origin {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) address: Address,
    pub(crate) headers: HeaderMap,
}

/// A connection that may carry another request.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` when it has ended.
    driver: Option<http1::Connection<Io, Full<Bytes>>>,
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What a request came to, and its connection if that can carry another one.
pub(crate) type Outcome = (Result<Answer, ConnectFailure>, Option<Connection>);

impl Origin {
    /// A request with what all of them carry.
    pub(crate) fn request(
        &self,
        method: Method,
        target: &str,
        cookies: Option<String>,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ConnectFailure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target
            .parse()
            .map_err(|_| ConnectFailure::Configuration("the path or the query".to_owned()))?;
        *request.headers_mut() = self.headers(cookies)?;
        Ok(request)
    }

    /// The headers that every request has.
    pub(super) fn headers(&self, cookies: Option<String>) -> Result<HeaderMap, ConnectFailure> {
        let mut headers = HeaderMap::with_capacity(self.headers.len() + EXPECTED);
        headers.insert(header::HOST, value(&self.address.authority())?);
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        if let Some(mut cookies) = cookies {
            // One header only may say what a client has (RFC 6265, section 5.4).
            if let Some(own) = headers
                .get(header::COOKIE)
                .and_then(|own| own.to_str().ok())
            {
                cookies = format!("{own}; {cookies}");
            }
            headers.insert(header::COOKIE, value(&cookies)?);
        }
        Ok(headers)
    }
}

pub(crate) fn value(text: &str) -> Result<HeaderValue, ConnectFailure> {
    HeaderValue::from_str(text)
        .map_err(|_| ConnectFailure::Configuration("the value of a header".to_owned()))
}

/// Reads a header that a program has set.
pub(crate) fn header(name: &str, text: &str) -> Result<(HeaderName, HeaderValue), ConnectFailure> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| ConnectFailure::Configuration(format!("the name of the header {name:?}")))?;
    Ok((name, value(text)?))
}

/// Sends a request on a connection that is left, or on a new one.
pub(crate) async fn exchange(
    origin: Arc<Origin>,
    mut left: Option<Connection>,
    mut request: Request<Full<Bytes>>,
    max_body: usize,
) -> Outcome {
    // A server may close what is left at any time: what it cannot have seen is sent again.
    if let Some(connection) = &mut left {
        match connection.send(request).await {
            Sent::Answered(response) => return read(left, response, max_body).await,
            Sent::Failed(failure) => return (Err(failure), None),
            Sent::Unsent(unsent) => request = unsent,
        }
    }
    let mut connection = match Connection::open(&origin).await {
        Ok(connection) => connection,
        Err(failure) => return (Err(failure), None),
    };
    match connection.send(request).await {
        Sent::Answered(response) => read(Some(connection), response, max_body).await,
        Sent::Failed(failure) => (Err(failure), None),
        Sent::Unsent(_) => (Err(ConnectFailure::closed_early()), None),
    }
}

async fn read(
    mut connection: Option<Connection>,
    response: Response<Incoming>,
    max_body: usize,
) -> Outcome {
    let Some(carrier) = &mut connection else {
        return (Err(ConnectFailure::closed_early()), None);
    };
    let result = carrier.read(response, max_body).await;
    let is_whole = result.is_ok();
    (result, connection.filter(|_| is_whole))
}

enum Sent {
    Answered(Response<Incoming>),
    /// Nothing of it has left.
    Unsent(Request<Full<Bytes>>),
    Failed(ConnectFailure),
}

impl Connection {
    async fn open(origin: &Origin) -> Result<Self, ConnectFailure> {
        let stream = origin.connector.connect(&origin.address).await?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = Some(driver);
        Ok(Self { sender, driver })
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Sent {
        let Self { sender, driver } = self;
        let is_ready = along(driver, poll_fn(|cx| sender.poll_ready(cx))).await;
        if is_ready.is_err() {
            return Sent::Unsent(request);
        }
        match along(driver, sender.try_send_request(request)).await {
            Ok(response) => Sent::Answered(response),
            Err(mut error) => match error.take_message() {
                Some(request) => Sent::Unsent(request),
                None => Sent::Failed(error.into_error().into()),
            },
        }
    }

    async fn read(
        &mut self,
        response: Response<Incoming>,
        max_body: usize,
    ) -> Result<Answer, ConnectFailure> {
        let (head, mut body) = response.into_parts();
        let is_fine = head.status == http::StatusCode::OK;
        let limit = if is_fine { max_body } else { MAX_REFUSAL };
        let mut bytes = BytesMut::new();
        while let Some(frame) = along(&mut self.driver, body.frame()).await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            if bytes.len().saturating_add(data.len()) > limit {
                if is_fine {
                    return Err(ConnectFailure::Violation(format!(
                        "body of more than {limit} bytes"
                    )));
                }
                break;
            }
            bytes.extend_from_slice(&data);
        }
        if is_fine {
            return Ok(Answer {
                headers: head.headers,
                body: bytes.freeze(),
            });
        }
        Err(ConnectFailure::Http {
            status: head.status.as_u16(),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }
}

/// Waits for something that happens as the connection is driven.
async fn along<F: Future>(
    driver: &mut Option<http1::Connection<Io, Full<Bytes>>>,
    future: F,
) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        let ended = driver
            .as_mut()
            .is_some_and(|driver| driver.poll_without_shutdown(cx).is_ready());
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        if !ended {
            return Poll::Pending;
        }
        // Whoever still waits for it is told by its end.
        *driver = None;
        future.as_mut().poll(cx)
    })
    .await
}
