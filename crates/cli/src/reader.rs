//! Reads a document's pages, several at a time, and hands them over in order.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};

use anyhow::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};
use maoocr_engine::imaging::Image;
use maoocr_engine::pipeline::EngineError;
use maoocr_engine::reading::{LayerUse, Reading};
use maoocr_engine::structure::StructureOptions;

use crate::interrupt::{self, UntilStopped};
use crate::load::Ready;
use crate::pages::Item;

/// What is wanted of each page.
pub struct How {
    /// When its text layer is used.
    pub layer: LayerUse,
    /// What is wanted of its structure; none for plain text.
    pub structure: Option<StructureOptions>,
    /// Whether its pixels are wanted, too.
    pub keep_image: bool,
}

/// A page that was read.
pub struct Read {
    /// What it says.
    pub reading: Reading,
    /// Its pixels, where they were to be kept.
    pub image: Option<Image>,
    /// The picture's file and its page there, from 0.
    pub source: Option<(Arc<Vec<u8>>, usize)>,
}

/// What became of a page.
pub type Outcome = Result<Read>;

/// Reads all pages with `jobs` threads; `take` gets them in order. Ends early where `take` fails or Ctrl-C was pressed.
/// At most twice as many pages as threads are in memory.
pub fn read(
    ready: &Ready,
    how: &How,
    pages: Receiver<Item>,
    jobs: usize,
    progress: &ProgressBar,
    mut take: impl FnMut(Outcome) -> Result<()>,
) -> Result<()> {
    let pages = Mutex::new(pages);
    // How many pages were taken: nobody runs far ahead of a slow one.
    let taken = (Mutex::new(0usize), Condvar::new());
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let sender = sender.clone();
            let (pages, taken) = (&pages, &taken);
            scope.spawn(move || {
                loop {
                    let item = {
                        let pages = pages.lock().unwrap_or_else(|e| e.into_inner());
                        let Ok(item) = pages.recv() else { return };
                        let count = taken.0.lock().unwrap_or_else(|e| e.into_inner());
                        let far = |count: &mut usize| item.sequence >= *count + 2 * jobs;
                        drop(taken.1.wait_while(count, far));
                        item
                    };
                    if interrupt::stopped() {
                        return;
                    }
                    let sequence = item.sequence;
                    let outcome = one(ready, item, how);
                    if sender.send((sequence, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early: BTreeMap<usize, Outcome> = BTreeMap::new();
        let mut next = 0;
        let mut result = Ok(());
        for (sequence, outcome) in &receiver {
            early.insert(sequence, outcome);
            while let Some(outcome) = early.remove(&next) {
                next += 1;
                if result.is_ok() {
                    result = take(outcome);
                }
                progress.inc(1);
                *taken.0.lock().unwrap_or_else(|e| e.into_inner()) = next;
                taken.1.notify_all();
            }
            if result.is_err() {
                break;
            }
        }
        // Whoever waits for room finds the channel closed.
        drop(receiver);
        *taken.0.lock().unwrap_or_else(|e| e.into_inner()) = usize::MAX / 2;
        taken.1.notify_all();
        result
    })
}

fn one(ready: &Ready, item: Item, how: &How) -> Outcome {
    let page = item.page?;
    let index = page.index;
    let image = how.keep_image.then(|| page.image.clone());
    let mut observer = UntilStopped;
    let reading = ready.engine.read_document_page(
        page,
        how.layer,
        how.structure.as_ref(),
        &ready.plan,
        &mut observer,
    );
    let reading = pollster::block_on(reading).map_err(|error| match error {
        EngineError::Cancelled => Error::from(error),
        error => Error::from(error).context(format!("page {}", index + 1)),
    })?;
    Ok(Read {
        reading,
        image,
        source: item.source,
    })
}

/// A bar that counts pages, where somebody watches.
pub fn progress(total: Option<usize>) -> ProgressBar {
    use std::io::IsTerminal;
    if !std::io::stderr().is_terminal() || total == Some(1) {
        return ProgressBar::hidden();
    }
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total as u64),
            "{bar:40} {pos}/{len} pages, {eta} left",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {pos} pages, {elapsed}",
        ),
    };
    let style = ProgressStyle::with_template(template);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
