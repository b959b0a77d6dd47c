//! Joins of a session without a key: a place is promised to none but who receives where he says he is.
//!
//! Anybody can say HELLO there, under as many addresses as he likes to write into his datagrams, and each would hold a place of the call
//! until it is known that nobody is behind it. So the first HELLO is answered with a cookie, for which the host remembers nothing, and
//! the one that brings it back is answered in earnest.

use std::net::SocketAddr;
use std::time::Duration;

use hyperzoom_protocol::{Cookie, CookieKey, Header, Hello, PROTOCOL_VERSION, cookie_datagram};

use crate::Session;
use crate::config::{COOKIE_PERIOD, RETRY_FIRST};
use crate::join::Greeting;
use crate::link::Limiter;
use crate::session::HOST;

/// The host's cookies.
#[derive(Debug, Default)]
pub(crate) struct Cookies(Option<CookieKey>);

impl Cookies {
    /// An address's cookie of this period. None where there is no randomness.
    fn bake(&mut self, now: Duration, addr: SocketAddr) -> Option<Cookie> {
        if self.0.is_none() {
            self.0 = CookieKey::random();
        }
        self.0.as_ref().map(|key| key.cookie(addr, period(now)))
    }

    /// Whether this is an address's, of this period or the one before.
    fn knows(&self, now: Duration, addr: SocketAddr, cookie: &Cookie) -> bool {
        let periods = [Some(period(now)), period(now).checked_sub(1)];
        let is_of = |key: &CookieKey| periods.iter().flatten().any(|n| key.is_cookie(addr, *n, cookie));
        self.0.as_ref().is_some_and(is_of)
    }
}

fn period(now: Duration) -> u64 {
    now.as_secs() / COOKIE_PERIOD.as_secs()
}

/// A guest's side: what it is to bring back.
#[derive(Debug)]
pub(crate) struct Brought {
    cookie: Option<Cookie>,
    /// How soon it is brought back time and again, should somebody else bake false ones.
    at_once: Limiter,
}

impl Default for Brought {
    fn default() -> Self {
        Self { cookie: None, at_once: Limiter::new(RETRY_FIRST) }
    }
}

impl Session {
    /// The host's answer to a HELLO that does not bring its sender's cookie: the cookie. Whether that is all the answer there is. A guest of another
    /// version is told so without one, since it may not know of cookies.
    pub(crate) fn asks_for_cookie(
        &mut self,
        now: Duration,
        from: SocketAddr,
        header: &Header,
        hello: &Hello,
        len: usize,
    ) -> bool {
        let is_asked = self.is_host() && self.config.key.is_none() && hello.version == PROTOCOL_VERSION;
        if !is_asked || hello.cookie.is_some_and(|cookie| self.cookies.knows(now, from, &cookie)) {
            return false;
        }
        if self.may_answer()
            && let Some(cookie) = self.cookies.bake(now, from)
        {
            let datagram = cookie_datagram(HOST, header.sequence, &cookie);
            // Who asks has not shown yet that he receives where he says he is.
            if datagram.len() <= len {
                self.transmit(from, datagram);
            }
        }
        true
    }

    /// A host without a key wants its cookie back. Nothing tells whether it is the host who says so, but an attempt with a false one leads to a
    /// true one.
    pub(crate) fn handle_cookie(&mut self, now: Duration, header: &Header, cookie: &[u8]) {
        let is_open = self.config.key.is_none() && header.participant == HOST;
        let greeting = self.greetings[usize::from(HOST)].as_mut().filter(|_| is_open);
        let greeting = greeting.filter(|greeting| greeting.is_attempt(header.sequence));
        let (Some(greeting), Ok(cookie)) = (greeting, cookie.try_into()) else {
            self.stats.unauthenticated += 1;
            return;
        };
        greeting.brought.cookie = Some(Cookie(cookie));
        if greeting.brought.at_once.pass(now) {
            self.retry(now, HOST);
        }
    }
}

impl Greeting {
    /// The cookie to bring.
    pub(crate) fn cookie(&self) -> Option<Cookie> {
        self.brought.cookie
    }
}
