//! What this crate's two readers of a synthesis have in common.

/// The methods of `Assignment` that name things, for readers to whom names mean nothing.
macro_rules! ignore_names {
    () => {
        fn enter_region<NR, N>(&mut self, _: N)
        where
            NR: Into<String>,
            N: FnOnce() -> NR,
        {
        }

        fn annotate_column<A, AR>(&mut self, _: A, _: Column<Any>)
        where
            A: FnOnce() -> AR,
            AR: Into<String>,
        {
        }

        fn exit_region(&mut self) {}

        fn push_namespace<NR, N>(&mut self, _: N)
        where
            NR: Into<String>,
            N: FnOnce() -> NR,
        {
        }

        fn pop_namespace(&mut self, _: Option<String>) {}
    };
}

pub(crate) use ignore_names;
