//! What a program says about clients that come back.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use super::{Beginning, Gap};
use crate::engine::running::BoxFuture;
use crate::server::namespace::{ConnectHook, Declared, Namespace};
use crate::server::socket::Socket;

type Identify<D> = Box<dyn Fn(&D) -> String + Send + Sync>;
type ResumeHook<D> = Box<dyn Fn(Socket<D>, Option<Arc<D>>) -> BoxFuture<()> + Send + Sync>;
type GapHook<D> = Box<dyn Fn(Socket<D>, Gap) -> BoxFuture<()> + Send + Sync>;

/// The declarations of a namespace that concern recovery.
pub(crate) struct Returning<D> {
    identify: Option<Identify<D>>,
    resume: Option<ResumeHook<D>>,
    gap: Option<GapHook<D>>,
}

impl<D> Default for Returning<D> {
    fn default() -> Self {
        Self {
            identify: None,
            resume: None,
            gap: None,
        }
    }
}

impl<D: Send + Sync + 'static, S> Namespace<D, S> {
    /// Says who a client is, for [recovery](crate::Config::recovery): one that comes back gets the
    /// session that it had only if its identity is the same. Without this, its `auth` payload has to
    /// be the same, which a token that changes does not allow.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{ConnectError, Handshake, Namespace};
    ///
    /// struct User {
    ///     name: String,
    /// }
    ///
    /// let chat = Namespace::new("/chat")
    ///     .auth(async |handshake: Handshake<String>| {
    ///         Ok::<_, ConnectError>(User { name: handshake.auth })
    ///     })
    ///     .identity(|user| user.name.clone());
    /// ```
    #[must_use]
    pub fn identity<F, I>(mut self, identify: F) -> Namespace<D, Declared>
    where
        F: Fn(&D) -> I + Send + Sync + 'static,
        I: ToString,
    {
        self.declaration_mut().recovery.identify =
            Some(Box::new(move |data| identify(data).to_string()));
        self.declared()
    }

    /// Is called instead of [`on_connect`](Self::on_connect) when a client has come back and got all
    /// that it has missed: with its kept id and rooms, the fresh data that `auth` has just made, and
    /// the data that it had before. Its events wait until this has finished.
    ///
    /// **Order:** when the server had not noticed yet that the old connection is dead, the old socket's
    /// [`on_disconnect`](Self::on_disconnect), with
    /// [`ResumedElsewhere`](crate::DisconnectReason::ResumedElsewhere), runs on its own connection:
    /// before this hook, at the same time or after it. Both sockets have the same id. What
    /// `on_disconnect` clears away by that id (who is online, say) would clear away the socket that
    /// lives on: let it do nothing for this reason.
    ///
    /// Without it, `on_connect` is called as in the reference, and
    /// [`Socket::recovered`](crate::Socket::recovered) tells the difference.
    #[must_use]
    #[doc(alias = "recovered")]
    pub fn on_resume<F, Fut>(mut self, handler: F) -> Namespace<D, Declared>
    where
        F: FnOnce(Socket<D>, Option<Arc<D>>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.declaration_mut().recovery.resume = Some(Box::new(move |socket, previous| {
            let handler = handler.clone();
            Box::pin(async move { handler(socket, previous).await })
        }));
        self.declared()
    }

    /// Is called before [`on_connect`](Self::on_connect) when a client has come back and could not
    /// get all that it has missed: it has a new session, and was told so.
    #[must_use]
    pub fn on_gap<F, Fut>(mut self, handler: F) -> Namespace<D, Declared>
    where
        F: FnOnce(Socket<D>, Gap) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.declaration_mut().recovery.gap = Some(Box::new(move |socket, gap| {
            let handler = handler.clone();
            Box::pin(async move { handler(socket, gap).await })
        }));
        self.declared()
    }
}

impl<D: Send + Sync + 'static> Returning<D> {
    /// Who a client is, if the program says so.
    pub(crate) fn identity(&self, data: &D) -> Option<String> {
        self.identify.as_ref().map(|identify| identify(data))
    }

    /// The hook for a socket's beginning, which is `connect` unless the client has come back.
    pub(crate) fn begin(
        &self,
        socket: &Socket<D>,
        beginning: Beginning,
        connect: Option<&ConnectHook<D>>,
    ) -> Option<BoxFuture<()>> {
        let connected = || connect.map(|hook| hook(socket.clone()));
        match (beginning, &self.resume, &self.gap) {
            (Beginning::Resumed(previous), Some(resume), _) => {
                // All sockets of one namespace have data of one type.
                Some(resume(socket.clone(), previous.downcast().ok()))
            }
            (Beginning::Gap(gap), _, Some(hook)) => {
                let told = hook(socket.clone(), gap);
                let connected = connected();
                Some(Box::pin(async move {
                    told.await;
                    if let Some(connected) = connected {
                        connected.await;
                    }
                }))
            }
            (Beginning::Fresh | Beginning::Resumed(_) | Beginning::Gap(_), _, _) => connected(),
        }
    }
}

impl<D> fmt::Debug for Returning<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Returning").finish_non_exhaustive()
    }
}
