use std::{
    io::IsTerminal,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Ticks of a bar.
const STEPS: u64 = 1000;

/// Runs `work` behind a bar on standard error that fills over `estimate`, where standard error is
/// a terminal and the work takes more than a moment.
pub(crate) fn timed<T>(what: &str, estimate: Duration, work: impl FnOnce() -> T) -> T {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    let (done, ticks) = mpsc::channel::<()>();
    let what = what.to_owned();
    let drawer = thread::spawn(move || {
        let start = Instant::now();
        if !matches!(ticks.recv_timeout(Duration::from_millis(400)), Err(RecvTimeoutError::Timeout)) {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {elapsed} {prefix}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
        while matches!(ticks.recv_timeout(Duration::from_millis(100)), Err(RecvTimeoutError::Timeout)) {
            let elapsed = start.elapsed();
            let share = elapsed.as_secs_f64() / estimate.as_secs_f64().max(0.1);
            bar.set_position(((share * STEPS as f64) as u64).min(STEPS - 1));
            let left = estimate.saturating_sub(elapsed).as_secs_f64();
            bar.set_prefix(if left > 0.0 { format!("about {left:.0} s left") } else { "finishing".to_owned() });
        }
        bar.finish_and_clear();
    });
    let result = work();
    drop(done);
    // The drawer ends as soon as the channel closes; if it failed, only the picture is lost.
    let _ = drawer.join();
    result
}

/// Runs `work` behind a bar on standard error that fills as `work` says how much of `total` is done, where standard
/// error is a terminal.
pub(crate) fn counted<T>(what: &str, total: usize, work: impl FnOnce(&mut dyn FnMut(usize)) -> T) -> T {
    if !std::io::stderr().is_terminal() {
        return work(&mut |_| {});
    }
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {elapsed}, {eta} left") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(what.to_owned());
    let result = work(&mut |done| bar.set_position(done as u64));
    bar.finish_and_clear();
    result
}
