//! A bad network in a box, so that a test can hold a call over it and get the same call every time.
//!
//! A [`Link`] is one direction of a path. Datagrams go in with [`send`](Link::send) and come out of
//! [`poll`](Link::poll) when their time has come: late, out of order, twice, or never, as its [`Conditions`] say. It
//! owns no socket and no clock, and all its chance comes from a seed: the same calls give the same result.
//!
//! ```
//! use std::time::Duration;
//! use hyperzoom_netem::{Conditions, Link};
//!
//! let mut link = Link::new(Conditions { delay: Duration::from_millis(20), ..Conditions::PERFECT }, 1);
//! link.send(Duration::ZERO, b"hello".to_vec());
//! let arrival = link.next_at().unwrap();
//! assert_eq!(arrival, Duration::from_millis(20));
//! assert_eq!(link.poll(arrival).unwrap(), b"hello");
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod chance;
mod conditions;
mod link;

pub use conditions::Conditions;
pub use link::{Link, LinkStats};
