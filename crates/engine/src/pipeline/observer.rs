//! Progress, told while a page is read.

use std::ops::ControlFlow;

use super::registry::EngineError;
use crate::geometry::Quad;
use crate::orient::Turn;
use crate::recognise::Reading;

/// Hears of progress while a page is read. Every method has a default that does nothing.
///
/// Who keeps for each index what [`line`](Observer::line) said last, and forgets it where the line is
/// [`withdrawn`](Observer::withdrawn), has the lines of the answer in the end, but for their order.
pub trait Observer {
    /// Lines were found.
    fn detected(&mut self, _quads: &[Quad]) {}
    /// The line at `index` was read; lines come in no particular order. What is told of an index again takes the place
    /// of what was told before: the line was read a second time, and better. An index beyond those that were
    /// [`detected`](Observer::detected) is a line that was taken for a part of another.
    fn line(&mut self, _index: usize, _quad: &Quad, _reading: &Reading) {}
    /// What was told of `index` is no line of the answer: noise, or a part of another line.
    fn withdrawn(&mut self, _index: usize) {}
    /// Asked between stages and batches; `true` ends the work with [`EngineError::Cancelled`].
    fn cancelled(&mut self) -> bool {
        false
    }
}

impl Observer for () {}

/// Passes on what is told of a turned page in the pixels of the picture as it came.
pub(super) struct Told<'a> {
    pub(super) observer: &'a mut dyn Observer,
    pub(super) turn: Turn,
    /// Of the picture, px.
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Told<'_> {
    /// Where a quad of the turned page stands in the picture.
    pub(super) fn in_picture(&self, quad: &Quad) -> Quad {
        self.turn.undo(quad, self.width, self.height)
    }

    pub(super) fn detected<'q>(&mut self, quads: impl Iterator<Item = &'q Quad>) {
        let quads: Vec<Quad> = quads.map(|quad| self.in_picture(quad)).collect();
        self.observer.detected(&quads);
    }

    pub(super) fn line(&mut self, index: usize, quad: &Quad, reading: &Reading) {
        let quad = self.in_picture(quad);
        self.observer.line(index, &quad, reading);
    }

    pub(super) fn withdrawn(&mut self, index: usize) {
        self.observer.withdrawn(index);
    }

    /// Whether to go on.
    pub(super) fn flow(&mut self) -> ControlFlow<()> {
        if self.observer.cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// An error where the caller said stop.
    pub(super) fn check(&mut self) -> Result<(), EngineError> {
        match self.flow() {
            ControlFlow::Break(()) => Err(EngineError::Cancelled),
            ControlFlow::Continue(()) => Ok(()),
        }
    }
}
