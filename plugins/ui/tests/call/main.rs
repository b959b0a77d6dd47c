//! The call's panel: how it looks in every state, and what comes of keys and clicks.

mod gallery;
mod kit;
mod people;
mod use_of_it;
