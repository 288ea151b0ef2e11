//! What is told of a reading before its end, and what tells it to stop.

use maoocr_engine::geometry::Quad;
use maoocr_engine::page::PageError;
use maoocr_engine::pipeline::Observer;
use maoocr_engine::recognise::Reading;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use super::json_of;
use crate::document::{ReadPage, Reader};
use crate::pool::Stop;
use crate::problem::Problem;

/// What is known before the answer is complete.
#[derive(Clone, Debug)]
pub enum Event {
    /// Lines were found.
    Detected(Vec<Quad>),
    /// One line was read, or read again: of each index the last one counts. Lines come in no particular order.
    Line {
        /// Its index among the detected lines.
        index: usize,
        /// Its corners.
        quad: Quad,
        /// Its text.
        text: String,
        /// Confidence, 0 to 1.
        confidence: f32,
    },
    /// The line with this index is not in the answer.
    Withdrawn(usize),
    /// A page of several was read or lost.
    Page {
        /// Its position in the file, from 0.
        index: usize,
        /// Why it was lost.
        error: Option<Problem>,
        /// How many pages were read or lost so far.
        read: usize,
        /// How many there are to read.
        of: usize,
    },
}

/// What becomes of a page while those after it are still to be read.
#[derive(Clone, Debug)]
pub enum PageEvent {
    /// It was read.
    Read {
        /// The page, as in the answer.
        page: Value,
        /// How many pages were read or lost so far.
        done: usize,
        /// How many there are to read.
        of: usize,
    },
    /// It was lost; the others are read all the same.
    Lost {
        /// Its position in the file, from 0.
        index: usize,
        /// Why.
        problem: Problem,
        /// How many pages were read or lost so far.
        done: usize,
        /// How many there are to read.
        of: usize,
    },
}

/// Who hears of a reading before its end. If nobody listens any more, the stop is on its way.
pub(super) enum Ear {
    Nobody,
    Lines(UnboundedSender<Event>),
    Pages(UnboundedSender<PageEvent>),
}

impl Ear {
    fn hear(&self, event: Event) {
        if let Self::Lines(events) = self {
            let _ = events.send(event);
        }
    }

    /// Tells of pages that were read or, for these reasons, lost.
    pub(super) fn hear_late(&self, pages: &[Value], lost: Vec<(usize, Problem)>) {
        let Self::Pages(events) = self else {
            return;
        };
        let mut lost = lost.into_iter().peekable();
        let of = pages.len();
        for (page, done) in pages.iter().zip(1..) {
            let index = page["index"].as_u64().unwrap_or(0);
            let event = match lost.next_if(|(lost, _)| *lost as u64 == index) {
                Some((index, problem)) => PageEvent::Lost {
                    index,
                    problem,
                    done,
                    of,
                },
                None => PageEvent::Read {
                    page: page.clone(),
                    done,
                    of,
                },
            };
            let _ = events.send(event);
        }
    }

    /// Tells of pages that were read before.
    pub(super) fn hear_all(&self, pages: &[Value]) {
        let of = pages.len();
        for (page, done) in pages.iter().zip(1..) {
            match self {
                Self::Nobody => return,
                Self::Lines(_) => {
                    self.hear_lines(page);
                    if of > 1 {
                        self.hear(Event::Page {
                            index: page["index"].as_u64().unwrap_or(0) as usize,
                            error: None,
                            read: done,
                            of,
                        });
                    }
                }
                Self::Pages(events) => {
                    let page = page.clone();
                    let _ = events.send(PageEvent::Read { page, done, of });
                }
            }
        }
    }

    /// Tells of a page's lines, as if they were read now.
    fn hear_lines(&self, page: &Value) {
        let lines = page["lines"].as_array().map_or(&[][..], Vec::as_slice);
        let lines: Vec<(Quad, &Value)> = lines
            .iter()
            .filter_map(|line| Some((Quad::deserialize(&line["box"]).ok()?, line)))
            .collect();
        self.hear(Event::Detected(
            lines.iter().map(|(quad, _)| *quad).collect(),
        ));
        for (index, (quad, line)) in lines.into_iter().enumerate() {
            self.hear(Event::Line {
                index,
                quad,
                text: line["text"].as_str().unwrap_or_default().into(),
                confidence: line["confidence"].as_f64().unwrap_or(0.0) as f32,
            });
        }
    }
}

/// Forwards the engine's events and tells it when to stop.
pub(super) struct Watch {
    pub(super) stop: Stop,
    /// The answer's id.
    pub(super) id: Uuid,
    pub(super) ear: Ear,
}

impl Observer for Watch {
    fn detected(&mut self, quads: &[Quad]) {
        self.ear.hear(Event::Detected(quads.to_vec()));
    }

    fn line(&mut self, index: usize, quad: &Quad, reading: &Reading) {
        if matches!(self.ear, Ear::Lines(_)) && !reading.is_empty() {
            self.ear.hear(Event::Line {
                index,
                quad: *quad,
                text: reading.text(),
                confidence: reading.confidence(),
            });
        }
    }

    fn withdrawn(&mut self, index: usize) {
        self.ear.hear(Event::Withdrawn(index));
    }

    fn cancelled(&mut self) -> bool {
        self.stop.asked()
    }
}

impl Reader for Watch {
    fn page(&mut self, page: &ReadPage, done: usize, of: usize) {
        match &self.ear {
            Ear::Nobody => {}
            // Whose file has one page hears of it by the answer.
            Ear::Lines(_) if of == 1 => {}
            Ear::Lines(_) => self.ear.hear(Event::Page {
                index: page.index,
                error: None,
                read: done,
                of,
            }),
            Ear::Pages(events) => {
                let page = json_of(self.id, page.clone());
                let _ = events.send(PageEvent::Read { page, done, of });
            }
        }
    }

    fn lost(&mut self, error: &PageError, done: usize, of: usize) {
        let Some(index) = error.index else {
            return;
        };
        let problem = || error.clone().into();
        match &self.ear {
            Ear::Nobody => {}
            Ear::Lines(_) => self.ear.hear(Event::Page {
                index,
                error: Some(problem()),
                read: done,
                of,
            }),
            Ear::Pages(events) => {
                let problem = problem();
                let _ = events.send(PageEvent::Lost {
                    index,
                    problem,
                    done,
                    of,
                });
            }
        }
    }
}
