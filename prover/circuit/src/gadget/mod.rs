//! One gadget a file: the gates it adds and the rows it lays out.

pub(crate) mod arith;
pub(crate) mod divide;
pub(crate) mod function;
pub(crate) mod indicator;
pub(crate) mod input;
pub(crate) mod linear;
pub(crate) mod lookup;
pub(crate) mod maximum;
pub(crate) mod pack;
pub(crate) mod power;
pub(crate) mod rescale;
pub(crate) mod root;
pub(crate) mod track;
