//! The child: mutants one after another, with a line on standard output before and after each.

use std::io::{self, Write as _};

use eyre::{Result, WrapErr, eyre};

use super::{corpus::Corpus, proto, run};

/// Before a mutant.
pub(super) const BEGINS: &str = "begins";
/// After one that became what it should.
pub(super) const GOOD: &str = "good";
/// After one that did not.
pub(super) const BAD: &str = "bad";

/// Mutants that a child runs: what earlier ones leave behind in memory is no finding about later ones.
const MANY: u64 = 20_000;

/// Runs mutants `first`, `first + step`, … under a seed, until nobody reads what it says or they have been many.
///
/// # Errors
/// Where there are no good files to change, or standard output is closed.
pub fn work(seed: u64, first: u64, step: u64) -> Result<()> {
    let corpus = Corpus::read()?;
    run::listen();
    // Not the main thread: its stack is larger than the stacks that a server gives to its threads.
    let all = std::thread::spawn(move || all(&corpus, seed, first, step));
    all.join().map_err(|_| eyre!("the thread that runs mutants is gone"))?
}

fn all(corpus: &Corpus, seed: u64, first: u64, step: u64) -> Result<()> {
    let mut out = io::stdout().lock();
    for index in (0..MANY).map(|n| first + n * step) {
        writeln!(out, "{BEGINS} {index}").and_then(|()| out.flush()).wrap_err("nobody listens")?;
        let verdict = run::verdict(&proto::mutant(corpus, seed, index));
        let word = if verdict.good { GOOD } else { BAD };
        let message = verdict.message.replace(['\n', '\r'], " ");
        writeln!(out, "{word} {} {message}", verdict.class)?;
    }
    Ok(())
}
