//! Parts of a file's pages as pictures of their own.

use std::sync::Arc;

use maoocr_engine::geometry::Quad;
use maoocr_engine::imaging::{self, Limits};
use maoocr_engine::page::Source;
use maoocr_engine::structure::cut;
use maoocr_pdf::{Options, Pdf, is_pdf};

use crate::app::App;
use crate::document;
use crate::pool::{Done, Lane, Stop};
use crate::problem::Problem;
use crate::searchable::{Original, late};

/// A part of a page.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Position of the page, from 0.
    pub page: usize,
    /// Around it, in the pixels of the page as it was read.
    pub quad: Quad,
}

/// Cuts out parts, which are in the order of their pages, as PNG files; none for those that are empty or too large.
///
/// # Errors
/// The file can't be read, the queue is full, or `stop` said so.
pub async fn cut_out(
    app: &Arc<App>,
    original: Original,
    parts: Vec<Part>,
    stop: Stop,
) -> Result<Vec<Option<Vec<u8>>>, Problem> {
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let _waiting = stop.when_dropped();
    let limits = app.limits.clone();
    let work = {
        let stop = stop.clone();
        move || Done::untold(read(&original, &parts, &limits, &stop))
    };
    match app
        .pool
        .submit(Lane::Interactive, stop.clone(), work)?
        .await
    {
        Ok(cut) => cut,
        Err(_) if stop.asked() => Err(late()),
        Err(_) => Err(Problem::internal(
            "reader_failed",
            "the thread that cut pictures panicked",
        )),
    }
}

fn read(
    original: &Original,
    parts: &[Part],
    limits: &Limits,
    stop: &Stop,
) -> Result<Vec<Option<Vec<u8>>>, Problem> {
    let pdf = is_pdf(&original.file);
    let mut source: Box<dyn Source + '_> = if pdf {
        let options = Options {
            password: original.password.clone(),
            limits: document::countless(limits),
            seconds: Some(document::PAGE_SECONDS),
            ..Options::default()
        };
        let mut pages: Vec<usize> = parts.iter().map(|part| part.page).collect();
        pages.dedup();
        Box::new(Arc::new(Pdf::open(Arc::new(original.file.to_vec()), options)?).pages(pages))
    } else {
        imaging::open(&original.file, limits)?
    };
    let mut cuts = Vec::with_capacity(parts.len());
    let mut index = 0;
    while cuts.len() < parts.len() {
        if stop.asked() {
            return Err(late());
        }
        let Some(page) = source.next_page() else {
            break;
        };
        let page = page?;
        let position = if pdf { page.index } else { index };
        let here = parts.iter().filter(|part| part.page == position);
        cuts.extend(here.map(|part| cut(&page.image, &part.quad).map(|picture| picture.png)));
        index += 1;
    }
    cuts.resize(parts.len(), None);
    Ok(cuts)
}
