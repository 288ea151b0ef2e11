//! The threads that read pictures, behind a bounded queue.
//!
//! A caller that can't be served in time is refused before it waits, judging by the length of the queue and the time
//! that the pictures ahead of it will take. That time is learned, per lane and megapixel, from pictures that were read to
//! their end: what a deadline cut off says nothing. Whatever was learned, someone who would wait for nobody is let in, so
//! that a wrong estimate corrects itself.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

pub use crate::refused::Refused;
pub use crate::stop::{Stop, StopGuard};
use crate::usual::{Usual, share};

/// After this many interactive pictures, background work gets a thread, so that it never starves.
const PATIENCE: u32 = 4;

/// Who is waiting for the work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lane {
    /// A person or a program, right now.
    Interactive,
    /// A job. Its queue is in the store; only the next pictures wait here.
    Background,
}

/// What work yields.
#[derive(Debug)]
pub struct Done<T> {
    /// Its result.
    pub value: T,
    /// Millions of pixels read, if it ran to its end. Only such work teaches how long work takes.
    pub megapixels: Option<f64>,
}

impl<T> Done<T> {
    /// Work that teaches nothing.
    pub fn untold(value: T) -> Self {
        Self {
            value,
            megapixels: None,
        }
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
}

#[derive(Default)]
struct Queues {
    interactive: VecDeque<Work>,
    background: VecDeque<Work>,
    /// Interactive ones taken since the last background one.
    taken: u32,
    /// Work being done, by lane.
    busy: [usize; 2],
    /// What was learned, by lane.
    usual: [Usual; 2],
    closed: bool,
}

struct Work {
    run: Box<dyn FnOnce() -> Option<f64> + Send>,
    lane: Lane,
    stop: Stop,
}

/// What the pool is doing, for the metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Load {
    /// Waiting pictures.
    pub waiting: usize,
    /// Busy threads.
    pub busy: usize,
}

impl Pool {
    /// Starts `workers` threads; at most `capacity` interactive pictures wait for them.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(workers: usize, capacity: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queues: Mutex::default(),
            wake: Condvar::new(),
            capacity,
            workers: workers.max(1),
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

    /// The number of threads.
    pub fn workers(&self) -> usize {
        self.shared.workers
    }

    /// What it is doing.
    pub fn load(&self) -> Load {
        let queues = self.shared.lock();
        Load {
            waiting: queues.interactive.len() + queues.background.len(),
            busy: queues.busy.iter().sum(),
        }
    }

    /// Asks, before a request's body is read, whether interactive work would be accepted now.
    ///
    /// # Errors
    /// Why it would be refused.
    pub fn admits(&self, stop: &Stop) -> Result<(), Refused> {
        self.shared.admits(&self.shared.lock(), stop)
    }

    /// Queues work. The receiver yields its result, or fails if the work panicked or was dropped.
    ///
    /// # Errors
    /// Why the work is refused.
    pub fn submit<T: Send + 'static>(
        &self,
        lane: Lane,
        stop: Stop,
        work: impl FnOnce() -> Done<T> + Send + 'static,
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
                let done = work();
                // It is no failure if nobody waits any more.
                let _ = sender.send(done.value);
                done.megapixels
            }),
            lane,
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

    /// Accepts no more work and waits for the rest to finish.
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
        let [busy, background] = queues.busy;
        // Whatever was learned: nobody is ahead, or nobody reads whose time could correct a wrong estimate.
        if waiting == 0 && (busy == 0 || busy + background < self.workers) {
            return Ok(());
        }
        let [usual, usual_background] = queues.usual.map(Usual::time);
        if waiting >= self.capacity {
            return Err(Refused::Full {
                waiting,
                retry_after: share(usual, waiting, self.workers),
            });
        }
        // Whoever comes now is served after those that wait, by the first thread that is free then. Of the work in the
        // background, half the time has passed on average.
        let others = (self.workers - 1).saturating_sub(background);
        let ahead = (waiting + busy).saturating_sub(others);
        let wait = share(usual, ahead, self.workers).saturating_add(share(
            usual_background / 2,
            background,
            self.workers,
        ));
        match stop.left() {
            Some(left) if wait.saturating_add(usual) > left => Err(Refused::TooLate { wait, left }),
            _ => Ok(()),
        }
    }

    fn work(&self) {
        while let Some(work) = self.next() {
            let began = Instant::now();
            let (lane, run) = (work.lane as usize, work.run);
            // A panic is the end of that picture alone.
            let done = catch_unwind(AssertUnwindSafe(run));
            let mut queues = self.lock();
            queues.busy[lane] -= 1;
            match done {
                Ok(Some(megapixels)) => queues.usual[lane].learn(began.elapsed(), megapixels),
                Ok(None) => {}
                Err(_) => tracing::error!("reading a picture panicked"),
            }
        }
    }

    /// The next work that somebody still wants; none when the pool is closed and empty.
    fn next(&self) -> Option<Work> {
        let mut queues = self.lock();
        loop {
            while let Some(work) = queues.take() {
                if !work.stop.asked() {
                    work.stop.begin();
                    queues.busy[work.lane as usize] += 1;
                    return Some(work);
                }
            }
            if queues.closed {
                return None;
            }
            queues = self.wake.wait(queues).unwrap_or_else(|e| e.into_inner());
        }
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
    use std::time::Duration;

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
            Done::untold(())
        })
        .unwrap();
        begun.recv().unwrap();
        (pool, hold)
    }

    #[test]
    fn more_than_the_queue_holds_is_refused_at_once() {
        let (pool, hold) = held(2);
        for _ in 0..2 {
            pool.submit(Lane::Interactive, never(), || Done::untold(()))
                .unwrap();
        }
        let refused = pool
            .submit(Lane::Interactive, never(), || Done::untold(()))
            .unwrap_err();
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

    fn within(seconds: u64) -> Stop {
        Stop::at(Some(Instant::now() + Duration::from_secs(seconds)))
    }

    #[test]
    fn who_would_come_too_late_is_refused() {
        let (pool, hold) = held(10);
        pool.shared.lock().usual[0] = Usual {
            pace: 1.0,
            size: 2.0,
        };
        assert_eq!(pool.admits(&within(3)).unwrap_err().code(), "overloaded");
        assert!(pool.admits(&within(30)).is_ok());
        drop(hold);
    }

    #[test]
    fn whatever_was_learned_an_idle_server_tries() {
        let pool = Pool::start(1, 10).unwrap();
        pool.shared.lock().usual = [Usual {
            pace: 1000.0,
            size: 50.0,
        }; 2];
        let done = pool.submit(Lane::Interactive, within(3), || Done::untold(7));
        assert_eq!(done.unwrap().blocking_recv(), Ok(7));
        // Nor does work in the background alone keep everybody out.
        let (hold, held) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        let work = move || {
            began.send(()).unwrap();
            let _ = held.recv();
            Done::untold(())
        };
        pool.submit(Lane::Background, never(), work).unwrap();
        begun.recv().unwrap();
        assert!(pool.admits(&within(3)).is_ok());
        drop(hold);
    }

    #[test]
    fn times_are_learned_by_lane_and_size_from_what_was_finished() {
        let pool = Pool::start(1, 10).unwrap();
        let pause = Duration::from_millis(50);
        let work = |lane, megapixels| {
            let work = move || {
                std::thread::sleep(pause);
                Done {
                    value: (),
                    megapixels,
                }
            };
            pool.submit(lane, never(), work)
                .unwrap()
                .blocking_recv()
                .unwrap();
        };
        // Cut off by a deadline, or failed.
        work(Lane::Interactive, None);
        work(Lane::Background, Some(100.0));
        work(Lane::Interactive, Some(2.0));
        pool.close();
        let [interactive, background] = pool.shared.lock().usual;
        assert!(interactive.time() >= pause && interactive.size == 2.0);
        assert!(background.time() >= pause && background.size == 100.0);
    }

    #[test]
    fn work_that_nobody_wants_is_not_begun() {
        let (pool, hold) = held(10);
        let stop = never();
        let guard = stop.when_dropped();
        let receiver = pool
            .submit(Lane::Interactive, stop, || -> Done<()> {
                panic!("it was begun")
            })
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
            .submit(Lane::Interactive, never(), || -> Done<u8> {
                panic!("on purpose")
            })
            .unwrap();
        let good = pool
            .submit(Lane::Interactive, never(), || Done::untold(7))
            .unwrap();
        assert!(bad.blocking_recv().is_err());
        assert_eq!(good.blocking_recv(), Ok(7));
    }

    #[test]
    fn background_work_waits_but_never_starves() {
        let (pool, hold) = held(100);
        let (sender, order) = mpsc::channel();
        let submit = |lane, name: &'static str| {
            let sender = sender.clone();
            pool.submit(lane, never(), move || {
                sender.send(name).unwrap();
                Done::untold(())
            })
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
        let last = pool
            .submit(Lane::Interactive, never(), || Done::untold(1))
            .unwrap();
        drop(hold);
        pool.close();
        assert_eq!(last.blocking_recv(), Ok(1));
        let refused = pool
            .submit(Lane::Background, never(), || Done::untold(()))
            .unwrap_err();
        assert_eq!(refused, Refused::Closed);
    }
}
