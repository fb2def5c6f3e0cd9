//! Rules that the source tree keeps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod crates;
mod dependencies;
mod documents;
mod files;
mod links;
mod text;
