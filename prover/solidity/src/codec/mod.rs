//! What the instances of a model's proofs say, and how they are written and read.
//!
//! A [`StatementLayout`] describes the instances of one model: the context, then the words of each public port. From
//! that one description come [`StatementLayout::encode`] and [`StatementLayout::decode`] here, and the Solidity library
//! and reader contract of [`StatementLayout::solidity`] on the chain. Both are strict and refuse for the same reasons:
//! a list of instances that they accept has one reading, and a reading one list.

mod error;
mod layout;
mod names;
mod reader;
mod source;
mod values;

pub use error::CodecError;
pub use layout::{Port, PortSpec, Role, StatementLayout, Subject};
pub use reader::CompiledReader;
pub use values::StatementValues;
