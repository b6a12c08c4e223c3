//! SOCKS 5 (RFC 1928) with user name and password (RFC 1929).

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Credentials, ProxyError};

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// What the proxy shall connect to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Host<'a> {
    Address(IpAddr),
    Name(&'a str),
}

/// Asks for a connection, and waits until it is there.
pub(super) async fn connect<S>(
    stream: &mut S,
    host: Host<'_>,
    port: u16,
    credentials: Option<&Credentials>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut dialogue = Dialogue::new(host, port, credentials)?;
    // The longest answer is a name, of which not more than this remains.
    let mut room = [0; u8::MAX as usize + 2];
    loop {
        let words = dialogue.say();
        if !words.is_empty() {
            stream.write_all(&words).await?;
            stream.flush().await?;
        }
        let expected = dialogue.expects().and_then(|count| room.get_mut(..count));
        let Some(answer) = expected else {
            return Ok(());
        };
        stream.read_exact(answer).await.map_err(closed)?;
        dialogue.handle(answer)?;
    }
}

fn closed(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return ProxyError::Closed.into();
    }
    error
}

/// What is said, without the connection on which it is said.
struct Dialogue {
    state: State,
    /// What is to be said next.
    words: Vec<u8>,
    login: Option<Vec<u8>>,
    request: Vec<u8>,
}

/// What the proxy says next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Method,
    Login,
    /// Up to the first byte of the address that it uses.
    Reply,
    /// The rest of that, and a port: of no use to us.
    Rest(usize),
    Done,
}

impl Dialogue {
    fn new(
        host: Host<'_>,
        port: u16,
        credentials: Option<&Credentials>,
    ) -> Result<Self, ProxyError> {
        let mut request = vec![VERSION, CONNECT, 0];
        match host {
            Host::Address(IpAddr::V4(address)) => {
                request.push(IPV4);
                request.extend(address.octets());
            }
            Host::Address(IpAddr::V6(address)) => {
                request.push(IPV6);
                request.extend(address.octets());
            }
            Host::Name(name) => {
                request.push(NAME);
                push_short(&mut request, name.as_bytes())?;
            }
        }
        request.extend(port.to_be_bytes());
        let login = credentials.map(|credentials| {
            let mut login = vec![LOGIN_VERSION];
            push_short(&mut login, &credentials.user)?;
            push_short(&mut login, &credentials.password)?;
            Ok(login)
        });
        let login = login.transpose()?;
        let words = match login {
            Some(_) => vec![VERSION, 2, NO_LOGIN, LOGIN],
            None => vec![VERSION, 1, NO_LOGIN],
        };
        Ok(Self {
            state: State::Method,
            words,
            login,
            request,
        })
    }

    fn say(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.words)
    }

    /// How many bytes the proxy says next, or `None` when all is said.
    fn expects(&self) -> Option<usize> {
        match self.state {
            State::Method | State::Login => Some(2),
            State::Reply => Some(5),
            State::Rest(count) => Some(count),
            State::Done => None,
        }
    }

    fn handle(&mut self, answer: &[u8]) -> Result<(), ProxyError> {
        let malformed = Err(ProxyError::Malformed("it is not SOCKS 5"));
        self.state = match (self.state, answer) {
            (State::Method, [VERSION, NO_LOGIN]) => self.request(),
            (State::Method, [VERSION, LOGIN]) => {
                self.words = self.login.take().ok_or(ProxyError::NoMethod)?;
                State::Login
            }
            (State::Method, [VERSION, _]) => return Err(ProxyError::NoMethod),
            (State::Login, [LOGIN_VERSION, 0]) => self.request(),
            (State::Login, [LOGIN_VERSION, _]) => return Err(ProxyError::Denied),
            (State::Reply, [VERSION, 0, 0, kind, first]) => State::Rest(match *kind {
                IPV4 => 4 - 1 + 2,
                IPV6 => 16 - 1 + 2,
                NAME => usize::from(*first) + 2,
                _ => return Err(ProxyError::Malformed("an unknown type of address")),
            }),
            (State::Reply, [VERSION, code, ..]) if *code != 0 => {
                return Err(ProxyError::Unreachable(*code));
            }
            (State::Rest(_), _) => State::Done,
            (State::Method | State::Login | State::Reply | State::Done, _) => return malformed,
        };
        Ok(())
    }

    fn request(&mut self) -> State {
        self.words = std::mem::take(&mut self.request);
        State::Reply
    }
}

/// A text behind its length.
fn push_short(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), ProxyError> {
    to.push(u8::try_from(bytes.len()).map_err(|_| ProxyError::Credentials)?);
    to.extend(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Host<'_> = Host::Name("a");
    const REQUEST: &[u8] = &[5, 1, 0, 3, 1, b'a', 0, 80];
    const REPLY: &[u8] = &[5, 0, 0, 1, 10, 0, 0, 1, 0, 80];

    fn user() -> Credentials {
        Credentials {
            user: "me".into(),
            password: "x".into(),
        }
    }

    /// What the client says, and what the proxy answers.
    type Script<'a> = &'a [(&'a [u8], &'a [u8])];

    /// Plays a script of what the client says and what the proxy answers, up to an error. When the answers
    /// have ended, so does the connection.
    async fn play(
        host: Host<'_>,
        credentials: Option<&Credentials>,
        script: Script<'_>,
    ) -> Result<(), ProxyError> {
        let (mut ours, mut theirs) = tokio::io::duplex(1024);
        let proxy = async {
            for (expected, answer) in script {
                let mut said = vec![0; expected.len()];
                theirs.read_exact(&mut said).await.unwrap();
                assert_eq!(said, *expected);
                // One byte after the other.
                for byte in *answer {
                    if theirs.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            }
            drop(theirs);
        };
        let client = async {
            let result = connect(&mut ours, host, 80, credentials).await;
            drop(ours);
            result
        };
        let (result, ()) = tokio::join!(client, proxy);
        result.map_err(|error| {
            *error
                .get_ref()
                .and_then(|error| error.downcast_ref())
                .expect("an error of a proxy")
        })
    }

    #[tokio::test]
    async fn the_dialogue_ends_with_a_connection() {
        let user = user();
        let (v4, v6) = ("10.0.0.1".parse().unwrap(), "::1".parse().unwrap());
        let mut of_v6 = vec![5, 1, 0, 4];
        of_v6.extend([0; 15]);
        of_v6.extend([1, 0, 80]);
        let mut reply_v6 = vec![5, 0, 0, 4];
        reply_v6.extend([7; 18]);
        let script: &[(Host<'_>, Option<&Credentials>, Script<'_>)] = &[
            (A, None, &[(&[5, 1, 0], &[5, 0]), (REQUEST, REPLY)]),
            (
                A,
                Some(&user),
                &[(&[5, 2, 0, 2], &[5, 0]), (REQUEST, REPLY)],
            ),
            (
                A,
                Some(&user),
                &[
                    (&[5, 2, 0, 2], &[5, 2]),
                    (&[1, 2, b'm', b'e', 1, b'x'], &[1, 0]),
                    (REQUEST, REPLY),
                ],
            ),
            (
                Host::Address(v4),
                None,
                &[
                    (&[5, 1, 0], &[5, 0]),
                    (&[5, 1, 0, 1, 10, 0, 0, 1, 0, 80], &[5, 0, 0, 3, 0, 0, 0]),
                ],
            ),
            (
                Host::Address(v6),
                None,
                &[(&[5, 1, 0], &[5, 0]), (&of_v6, &reply_v6)],
            ),
        ];
        for (host, credentials, script) in script {
            let result = play(*host, *credentials, script).await;
            assert_eq!(result, Ok(()), "{script:?}");
        }
    }

    #[tokio::test]
    async fn everything_else_is_an_error() {
        let malformed = ProxyError::Malformed("it is not SOCKS 5");
        let of_address = ProxyError::Malformed("an unknown type of address");
        let method: &[u8] = &[5, 1, 0];
        let replies: &[(&[u8], ProxyError)] = &[
            (&[5, 1, 0, 1, 0], ProxyError::Unreachable(1)),
            (&[5, 5, 0, 1, 0], ProxyError::Unreachable(5)),
            (&[5, 255, 9, 9, 9], ProxyError::Unreachable(255)),
            (&[4, 0, 0, 1, 0], malformed),
            (&[5, 0, 1, 1, 0], malformed),
            (&[5, 0, 0, 2, 0], of_address),
            (&[5, 0, 0, 1], ProxyError::Closed),
            (&[5, 0, 0, 3, 255, 1, 2], ProxyError::Closed),
        ];
        for (reply, error) in replies {
            let script: Script<'_> = &[(method, &[5, 0]), (REQUEST, reply)];
            assert_eq!(play(A, None, script).await, Err(*error), "{reply:?}");
        }
        let methods: &[(&[u8], ProxyError)] = &[
            (&[5, 255], ProxyError::NoMethod),
            (&[5, 1], ProxyError::NoMethod),
            // It was not offered.
            (&[5, 2], ProxyError::NoMethod),
            (&[4, 0], malformed),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", malformed),
            (&[5], ProxyError::Closed),
            (&[], ProxyError::Closed),
        ];
        for (answer, error) in methods {
            let script: Script<'_> = &[(method, answer)];
            assert_eq!(play(A, None, script).await, Err(*error), "{answer:?}");
        }
        let login: &[u8] = &[1, 2, b'm', b'e', 1, b'x'];
        for (answer, error) in [([1, 1], ProxyError::Denied), ([5, 0], malformed)] {
            let script: Script<'_> = &[(&[5, 2, 0, 2], &[5, 2]), (login, &answer)];
            assert_eq!(play(A, Some(&user()), script).await, Err(error));
        }
    }
}
