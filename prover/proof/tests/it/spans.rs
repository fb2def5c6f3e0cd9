//! The spans that benchmarks read: their names, and that they nest.

use std::sync::{Arc, Mutex};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::circuits::Shuffle;
use crate::fixtures::{SHUFFLED, prove_shuffle};

/// Writes down the names of the spans that are entered and left.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    names: Vec<&'static str>,
    lines: Vec<String>,
}

impl Diary {
    fn note(&self, mark: char, span: &Id) {
        let mut pages = self.0.lock().unwrap();
        let name = pages.names[span.into_u64() as usize - 1];
        pages.lines.push(format!("{mark}{name}"));
    }
}

impl Subscriber for Diary {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("vouch_proof")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut pages = self.0.lock().unwrap();
        pages.names.push(span.metadata().name());
        Id::from_u64(pages.names.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, span: &Id) {
        self.note('+', span);
    }

    fn exit(&self, span: &Id) {
        self.note('-', span);
    }
}

#[test]
fn a_proof_enters_and_leaves_its_spans_in_order() {
    let diary = Diary::default();
    let (a, b) = SHUFFLED;
    // With one subscriber alone, a span that another test's thread meets first is switched off for all threads.
    let _second = tracing::Dispatch::new(Diary::default());
    tracing::subscriber::with_default(diary.clone(), || {
        prove_shuffle(&a, &b, &Shuffle::instances(&a), 1).unwrap();
    });
    assert_eq!(
        diary.0.lock().unwrap().lines,
        [
            "+create_proof",
            "+commit",
            "-commit",
            "+quotient",
            "-quotient",
            "+open",
            "-open",
            "-create_proof",
            "+self_verify",
            "-self_verify",
        ]
    );
}
