//! Steps with names and times: each says when it begins and ends, and a table at the end says where the time went.

use std::sync::Mutex;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// A step that has ended.
#[derive(Clone)]
struct Done {
    name: String,
    took: Duration,
    passed: bool,
    beside: bool,
}

static DONE: Mutex<Vec<Done>> = Mutex::new(Vec::new());

/// Runs a step. `first` says about how long it takes the first time, on two cores; empty: seconds.
pub fn step<T>(name: &str, first: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    timed(name, first, false, work)
}

/// A step that runs beside others.
pub struct Beside<T>(JoinHandle<Result<T>>);

/// Starts a step beside others.
pub fn beside<T: Send + 'static>(
    name: &'static str,
    first: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Beside<T> {
    Beside(thread::spawn(move || timed(name, first, true, work)))
}

impl<T> Beside<T> {
    /// Waits for its end.
    pub fn wait(self) -> Result<T> {
        self.0.join().map_err(|_| anyhow!("a step panicked"))?
    }
}

fn timed<T>(name: &str, first: &str, beside: bool, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let also = if beside { ", beside the rest" } else { "" };
    match first {
        "" => eprintln!("== {name}{also}"),
        _ => eprintln!("== {name}{also} (the first time: about {first})"),
    }
    let started = Instant::now();
    let result = work();
    let took = started.elapsed();
    let passed = result.is_ok();
    let word = if passed { "done" } else { "FAILED" };
    eprintln!("== {name}: {word} after {}", words(took));
    DONE.lock().expect("no step panics here").push(Done {
        name: name.into(),
        took,
        passed,
        beside,
    });
    result
}

/// Prints every step that has ended, with its time.
pub fn print_table(total: Duration) {
    let done = DONE.lock().expect("no step panics here").clone();
    eprint!("{}", table(&done, total));
}

fn table(done: &[Done], total: Duration) -> String {
    let width = done.iter().map(|step| step.name.chars().count()).max();
    let width = width.unwrap_or(0).max("together".len());
    let mut lines = String::new();
    for step in done {
        let note = match (step.passed, step.beside) {
            (false, _) => "  FAILED",
            (true, true) => "  beside the rest",
            (true, false) => "",
        };
        let took = words(step.took);
        lines += &format!("  {:<width$}  {took:>11}{note}\n", step.name);
    }
    lines + &format!("  {:<width$}  {:>11}\n", "together", words(total))
}

/// A time as people say it.
pub fn words(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let seconds = seconds.round() as u64;
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_minutes_from_one_on() {
        assert_eq!(words(Duration::from_millis(1240)), "1.2 s");
        assert_eq!(words(Duration::from_millis(59_940)), "59.9 s");
        assert_eq!(words(Duration::from_millis(60_400)), "1 min 00 s");
        assert_eq!(words(Duration::from_secs(3725)), "62 min 05 s");
    }

    #[test]
    fn the_table_shows_what_failed_and_what_ran_beside() {
        let step = |name: &str, passed, beside| Done {
            name: name.into(),
            took: Duration::from_secs(61),
            passed,
            beside,
        };
        let done = [
            step("lints", true, false),
            step("npm", true, true),
            step("tests", false, false),
        ];
        let shown = table(&done, Duration::from_secs(122));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0].trim(), "lints      1 min 01 s");
        assert!(lines[1].ends_with("beside the rest"), "{shown}");
        assert!(lines[2].ends_with("FAILED"), "{shown}");
        assert_eq!(lines[3].trim(), "together   2 min 02 s");
    }
}
