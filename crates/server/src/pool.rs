//! Threads that do the reading, behind a bounded queue.
//!
//! A caller that can't be served in time is told so before it waits: by the length of the queue, and by the time the
//! pictures before it are going to take.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Background work gets a thread after so many pictures that people wait for, so that it never starves.
const PATIENCE: u32 = 4;

/// Who waits for the work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lane {
    /// A person or a program, at this moment.
    Interactive,
    /// A job. Its queue is in the store; here wait only those that are next.
    Background,
}

/// Why work was not taken on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// As many wait as may.
    #[error("{waiting} pictures are waiting already")]
    Full {
        /// How many.
        waiting: usize,
        /// Time until the queue is likely to have room.
        retry_after: Duration,
    },
    /// Its turn would come too late.
    #[error("the pictures waiting before it take {wait:?}, and its deadline is in {left:?}")]
    TooLate {
        /// How long the others take.
        wait: Duration,
        /// Until the deadline.
        left: Duration,
    },
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Closed,
}

impl Refused {
    /// Whole seconds after which another try makes sense.
    pub fn retry_after(&self) -> u64 {
        let wait = match *self {
            Self::Full { retry_after, .. } => retry_after,
            Self::TooLate { wait, left } => wait.saturating_sub(left),
            Self::Closed => Duration::from_secs(5),
        };
        (wait.as_secs_f64().ceil() as u64).clamp(1, 60)
    }

    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "queue_full",
            Self::TooLate { .. } => "overloaded",
            Self::Closed => "shutting_down",
        }
    }
}

/// Tells work to stop, from outside or by its deadline.
#[derive(Clone, Debug)]
pub struct Stop(Arc<StopInner>);

#[derive(Debug)]
struct StopInner {
    stopped: AtomicBool,
    deadline: Option<Instant>,
}

impl Stop {
    /// Stops when told, or at the deadline.
    pub fn at(deadline: Option<Instant>) -> Self {
        Self(Arc::new(StopInner {
            stopped: AtomicBool::new(false),
            deadline,
        }))
    }

    /// Stops the work.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to stop.
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Relaxed)
    }

    /// Whether its time is over.
    pub fn is_late(&self) -> bool {
        self.0.deadline.is_some_and(|at| Instant::now() >= at)
    }

    /// Whether to stop, for either reason.
    pub fn asked(&self) -> bool {
        self.is_stopped() || self.is_late()
    }

    /// Until the deadline.
    pub fn left(&self) -> Option<Duration> {
        self.0
            .deadline
            .map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Stops the work when it is dropped: hold it as long as somebody waits.
    pub fn when_dropped(&self) -> StopGuard {
        StopGuard(self.clone())
    }
}

/// Stops work when dropped.
#[derive(Debug)]
pub struct StopGuard(Stop);

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The threads and their queue.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    queues: Mutex<Queues>,
    wake: Condvar,
    capacity: usize,
    workers: usize,
    busy: AtomicUsize,
    /// Usual time of one picture, microseconds: an average that forgets.
    usual: AtomicU64,
}

#[derive(Default)]
struct Queues {
    interactive: VecDeque<Work>,
    background: VecDeque<Work>,
    /// Interactive ones taken since the last background one.
    taken: u32,
    closed: bool,
}

struct Work {
    run: Box<dyn FnOnce() + Send>,
    stop: Stop,
}

/// What the pool is doing, for the metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Load {
    /// Pictures that wait.
    pub waiting: usize,
    /// Threads at work.
    pub busy: usize,
}

impl Pool {
    /// Starts `workers` threads; at most `capacity` interactive pictures wait for them.
    pub fn start(workers: usize, capacity: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queues: Mutex::default(),
            wake: Condvar::new(),
            capacity,
            workers: workers.max(1),
            busy: AtomicUsize::new(0),
            usual: AtomicU64::new(0),
        });
        let threads = (0..shared.workers)
            .map(|number| {
                let shared = shared.clone();
                std::thread::Builder::new()
                    .name(format!("reader-{number}"))
                    .spawn(move || shared.work())
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            shared,
            threads: Mutex::new(threads),
        })
    }

    /// How many threads there are.
    pub fn workers(&self) -> usize {
        self.shared.workers
    }

    /// What it is doing.
    pub fn load(&self) -> Load {
        let queues = self.shared.lock();
        Load {
            waiting: queues.interactive.len() + queues.background.len(),
            busy: self.shared.busy.load(Ordering::Relaxed),
        }
    }

    /// Whether interactive work would be refused now: asked before a request's body is read.
    pub fn admits(&self, stop: &Stop) -> Result<(), Refused> {
        self.shared.admits(&self.shared.lock(), stop)
    }

    /// Queues work; its result comes through the receiver, which fails where the work panicked or was dropped.
    pub fn submit<T: Send + 'static>(
        &self,
        lane: Lane,
        stop: Stop,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Refused> {
        let (sender, receiver) = oneshot::channel();
        let mut queues = self.shared.lock();
        if lane == Lane::Interactive {
            self.shared.admits(&queues, &stop)?;
        } else if queues.closed {
            return Err(Refused::Closed);
        }
        let work = Work {
            run: Box::new(move || {
                // Nobody there to hear it is no failure.
                let _ = sender.send(work());
            }),
            stop,
        };
        match lane {
            Lane::Interactive => queues.interactive.push_back(work),
            Lane::Background => queues.background.push_back(work),
        }
        drop(queues);
        self.shared.wake.notify_one();
        Ok(receiver)
    }

    /// Takes no more work, and waits for what there is.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(|e| e.into_inner()));
        for thread in threads {
            // A thread that panicked outside its work has nothing left to wait for.
            let _ = thread.join();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut queues = self.shared.lock();
        queues.closed = true;
        queues.interactive.clear();
        queues.background.clear();
        drop(queues);
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn admits(&self, queues: &Queues, stop: &Stop) -> Result<(), Refused> {
        if queues.closed {
            return Err(Refused::Closed);
        }
        let waiting = queues.interactive.len();
        let usual = Duration::from_micros(self.usual.load(Ordering::Relaxed));
        let busy = self.busy.load(Ordering::Relaxed);
        if waiting >= self.capacity {
            return Err(Refused::Full {
                waiting,
                retry_after: usual.mul_f64(waiting as f64 / self.workers as f64),
            });
        }
        // Whoever comes now is served after those that wait, by the first thread that is free then.
        let before = (waiting + busy).saturating_sub(self.workers - 1) as f64;
        let wait = usual.mul_f64(before / self.workers as f64);
        match stop.left() {
            Some(left) if wait + usual > left => Err(Refused::TooLate { wait, left }),
            _ => Ok(()),
        }
    }

    fn work(&self) {
        while let Some(work) = self.next() {
            self.busy.fetch_add(1, Ordering::Relaxed);
            let began = Instant::now();
            // A panic is the end of that picture alone.
            if catch_unwind(AssertUnwindSafe(work.run)).is_err() {
                tracing::error!("reading a picture panicked");
            } else {
                self.learn(began.elapsed());
            }
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The next work that somebody still wants; none when the pool is closed and empty.
    fn next(&self) -> Option<Work> {
        let mut queues = self.lock();
        loop {
            while let Some(work) = queues.take() {
                if !work.stop.asked() {
                    return Some(work);
                }
            }
            if queues.closed {
                return None;
            }
            queues = self.wake.wait(queues).unwrap_or_else(|e| e.into_inner());
        }
    }

    fn learn(&self, took: Duration) {
        let took = took.as_micros() as u64;
        let usual = self.usual.load(Ordering::Relaxed);
        let next = if usual == 0 {
            took
        } else {
            (usual * 7 + took) / 8
        };
        self.usual.store(next, Ordering::Relaxed);
    }
}

impl Queues {
    fn take(&mut self) -> Option<Work> {
        let background = self.interactive.is_empty() || self.taken >= PATIENCE;
        if background && let Some(work) = self.background.pop_front() {
            self.taken = 0;
            return Some(work);
        }
        self.taken = self.taken.saturating_add(1);
        self.interactive.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn never() -> Stop {
        Stop::at(None)
    }

    /// A pool of one thread that is held until the sender is dropped.
    fn held(capacity: usize) -> (Pool, mpsc::Sender<()>) {
        let pool = Pool::start(1, capacity).unwrap();
        let (hold, held) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        pool.submit(Lane::Interactive, never(), move || {
            began.send(()).unwrap();
            let _ = held.recv();
        })
        .unwrap();
        begun.recv().unwrap();
        (pool, hold)
    }

    #[test]
    fn more_than_the_queue_holds_is_refused_at_once() {
        let (pool, hold) = held(2);
        for _ in 0..2 {
            pool.submit(Lane::Interactive, never(), || ()).unwrap();
        }
        let refused = pool.submit(Lane::Interactive, never(), || ()).unwrap_err();
        assert_eq!(refused.code(), "queue_full");
        assert!(refused.retry_after() >= 1);
        assert_eq!(
            pool.load(),
            Load {
                waiting: 2,
                busy: 1
            }
        );
        drop(hold);
        pool.close();
        assert_eq!(
            pool.load(),
            Load {
                waiting: 0,
                busy: 0
            }
        );
    }

    #[test]
    fn who_would_come_too_late_is_refused() {
        let (pool, hold) = held(10);
        pool.shared.usual.store(2_000_000, Ordering::Relaxed);
        let soon = Stop::at(Some(Instant::now() + Duration::from_secs(3)));
        assert_eq!(pool.admits(&soon).unwrap_err().code(), "overloaded");
        let later = Stop::at(Some(Instant::now() + Duration::from_secs(30)));
        assert!(pool.admits(&later).is_ok());
        drop(hold);
    }

    #[test]
    fn work_that_nobody_wants_is_not_begun() {
        let (pool, hold) = held(10);
        let stop = never();
        let guard = stop.when_dropped();
        let receiver = pool
            .submit(Lane::Interactive, stop, || panic!("it was begun"))
            .unwrap();
        drop(guard);
        drop(hold);
        pool.close();
        assert!(receiver.blocking_recv().is_err());
    }

    #[test]
    fn a_panic_is_the_end_of_one_picture_only() {
        let pool = Pool::start(1, 10).unwrap();
        let bad = pool
            .submit(Lane::Interactive, never(), || -> u8 {
                panic!("on purpose")
            })
            .unwrap();
        let good = pool.submit(Lane::Interactive, never(), || 7).unwrap();
        assert!(bad.blocking_recv().is_err());
        assert_eq!(good.blocking_recv(), Ok(7));
    }

    #[test]
    fn background_work_waits_but_never_starves() {
        let (pool, hold) = held(100);
        let (sender, order) = mpsc::channel();
        let submit = |lane, name: &'static str| {
            let sender = sender.clone();
            pool.submit(lane, never(), move || sender.send(name).unwrap())
                .unwrap();
        };
        submit(Lane::Background, "job");
        for _ in 0..8 {
            submit(Lane::Interactive, "person");
        }
        drop(hold);
        pool.close();
        drop(sender);
        let order: Vec<_> = order.into_iter().collect();
        let place = order.iter().position(|n| *n == "job").unwrap();
        assert!((1..=PATIENCE as usize).contains(&place), "{order:?}");
    }

    #[test]
    fn a_closed_pool_finishes_what_it_has_and_takes_no_more() {
        let (pool, hold) = held(10);
        let last = pool.submit(Lane::Interactive, never(), || 1).unwrap();
        drop(hold);
        pool.close();
        assert_eq!(last.blocking_recv(), Ok(1));
        let refused = pool.submit(Lane::Background, never(), || ()).unwrap_err();
        assert_eq!(refused, Refused::Closed);
    }
}
