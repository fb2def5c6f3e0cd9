//! The parent: children that run mutants under a limit on their memory, and what becomes of the mutants.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use eyre::{Result, eyre};

use super::{ADDRESS_SPACE, SECONDS, corpus::Corpus, folder, minimise, proto, worker};

/// How long to wait for a mutant, on a machine that does other work as well.
const PATIENCE: Duration = Duration::from_secs(8 * SECONDS as u64);

/// Mutants that are kept of those that hang, abort or are slow.
const FEW: usize = 5;

/// A run over many mutants.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// What the mutants depend on.
    pub seed: u64,
    /// How long to go on.
    pub time: Duration,
    /// Children at a time.
    pub jobs: u64,
}

/// What became of the mutants.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Mutants by what became of them: the code of their error, or accepted.
    pub classes: BTreeMap<String, u64>,
    /// How many failed.
    pub failed: u64,
    /// One for each way in which they did: what happened, and the file that does it.
    pub failures: Vec<(String, PathBuf)>,
}

impl Summary {
    /// All mutants.
    #[must_use]
    pub fn mutants(&self) -> u64 {
        self.classes.values().sum::<u64>() + self.failed
    }
}

/// A mutant that failed.
struct Failure {
    index: u64,
    class: String,
    message: String,
}

impl Campaign {
    /// Runs until the time is over, then makes the mutants that failed smaller and keeps them.
    ///
    /// # Errors
    /// Where a child cannot be started, or the folder not be written.
    pub fn run(&self) -> Result<Summary> {
        let deadline = Instant::now() + self.time;
        let jobs: Vec<_> = (0..self.jobs)
            .map(|job| {
                let campaign = *self;
                thread::spawn(move || campaign.job(job, deadline))
            })
            .collect();
        let mut summary = Summary::default();
        let mut failures = Vec::new();
        for job in jobs {
            let (classes, failed) = job.join().map_err(|_| eyre!("a thread of the run is gone"))??;
            for (class, count) in classes {
                *summary.classes.entry(class).or_default() += count;
            }
            failures.extend(failed);
        }
        failures.sort_by_key(|f| f.index);
        summary.failed = failures.len() as u64;
        // One for each place that panics, and a few of those that say less of what is wrong.
        let (mut places, mut others) = (BTreeSet::new(), BTreeMap::<String, usize>::new());
        failures.retain(|f| {
            if f.class == "panic" {
                return places.insert(f.message.clone());
            }
            let kept = others.entry(f.class.clone()).or_default();
            *kept += 1;
            *kept <= FEW
        });
        if !failures.is_empty() {
            let corpus = Corpus::read()?;
            fs::create_dir_all(folder())?;
            for failure in failures {
                summary.failures.push(self.keep(&corpus, &failure)?);
            }
        }
        Ok(summary)
    }

    /// One child after another; each goes on behind the mutant that ended the one before.
    fn job(&self, first: u64, deadline: Instant) -> Result<(BTreeMap<String, u64>, Vec<Failure>)> {
        let (mut classes, mut failures) = (BTreeMap::new(), Vec::new());
        let mut next = first;
        while Instant::now() < deadline {
            let numbers = [self.seed, next, self.jobs].map(|n| n.to_string());
            let child = Limited::start(&["--work", &numbers.join(",")])?;
            let mut current = None;
            let class = loop {
                let left = deadline.saturating_duration_since(Instant::now());
                match child.lines.recv_timeout(PATIENCE.min(left)) {
                    Ok(line) => {
                        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
                        let (class, message) = rest.split_once(' ').unwrap_or((rest, ""));
                        match word {
                            worker::BEGINS => current = rest.parse().ok(),
                            worker::GOOD => *classes.entry(class.to_owned()).or_default() += 1,
                            _ => {
                                let (class, message) = (class.to_owned(), message.to_owned());
                                failures.extend(current.map(|index| Failure { index, class, message }));
                            }
                        }
                    }
                    Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => break None,
                    Err(RecvTimeoutError::Timeout) => break Some("hangs"),
                    Err(RecvTimeoutError::Disconnected) => break Some("aborts"),
                }
            };
            let Some(class) = class else {
                child.end()?;
                break;
            };
            let (well, said) = if class == "aborts" { child.ended()? } else { child.end()? };
            // A child that dies before its first mutant is no finding about mutants.
            let index = current.ok_or_else(|| eyre!("a child ended before it began: {said}"))?;
            if !well {
                failures.push(Failure { index, class: class.to_owned(), message: said });
            }
            next = index + self.jobs;
        }
        Ok((classes, failures))
    }

    fn keep(&self, corpus: &Corpus, failure: &Failure) -> Result<(String, PathBuf)> {
        let Failure { index, class, message } = failure;
        let mutant = proto::mutant(corpus, self.seed, *index);
        let file = folder().join(format!("{class}-{}-{index}.{}", self.seed, mutant.kind.extension()));
        minimise::minimise(&mutant, class, &file)?;
        Ok((format!("{class}: {message}"), file))
    }
}

/// A child under the limit.
struct Limited {
    process: Child,
    lines: Receiver<String>,
    errors: thread::JoinHandle<String>,
}

impl Limited {
    /// Starts this program again with other arguments.
    fn start(arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new("sh")
            .args(["-c", "ulimit -c 0; ulimit -v \"$0\" && exec \"$@\""])
            .arg(ADDRESS_SPACE.to_string())
            .arg(std::env::current_exe()?)
            .args(arguments)
            // Each thread would set aside address space of its own.
            .env("MALLOC_ARENA_MAX", "1")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (Some(out), Some(err)) = (process.stdout.take(), process.stderr.take()) else {
            return Err(eyre!("a child has no pipes"));
        };
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let errors = thread::spawn(move || {
            let lines: Vec<String> = BufReader::new(err).lines().map_while(Result::ok).take(5).collect();
            lines.join(" ")
        });
        Ok(Self { process, lines, errors })
    }

    /// Ends it, and tells how it ended.
    fn end(mut self) -> Result<(bool, String)> {
        // It may have ended already.
        let _ = self.process.kill();
        self.ended()
    }

    /// Waits for its end: whether it was a good one, and what it said about it.
    fn ended(mut self) -> Result<(bool, String)> {
        let status = self.process.wait()?;
        let said = self.errors.join().unwrap_or_default();
        Ok((status.success(), format!("{status} {said}")))
    }
}

/// How a file fails when a child runs it; an empty text where it does not.
pub(super) fn class_of(file: &Path) -> Result<String> {
    let mut child = Limited::start(&[&file.display().to_string()])?;
    let verdict = match child.lines.recv_timeout(PATIENCE) {
        Ok(line) => line,
        Err(RecvTimeoutError::Timeout) => "hangs: ".to_owned(),
        Err(RecvTimeoutError::Disconnected) => String::new(),
    };
    if verdict.is_empty() {
        return Ok(if child.process.wait()?.success() { String::new() } else { "aborts".to_owned() });
    }
    child.end()?;
    let class = verdict.split_once(": ").map_or("", |(class, _)| class);
    Ok(class.to_owned())
}
