//! What was read → a PDF that can be searched.

use std::ops::ControlFlow;
use std::sync::Arc;

use maoocr_engine::layer::Verdict;
use maoocr_pdf::searchable::{Composed, Extended, Info, Layer};

use crate::document::{Document, Page};
use crate::fault::Fault;
use crate::request::Request;
use crate::source::Input;

/// Lays what was read over the pages of the file it was read from: adds to a PDF, and makes one of pictures.
///
/// # Errors
/// Where the file can't be had any more, or the PDF can't be added to.
pub fn pdf(
    document: &Document,
    input: &Input,
    request: &Request,
    info: Info,
) -> Result<Vec<u8>, Fault> {
    match input {
        Input::File(bytes) if input.is_pdf() => extended(document, bytes, request),
        _ => composed(document, input, request, info),
    }
}

fn extended(
    document: &Document,
    bytes: &Arc<Vec<u8>>,
    request: &Request,
) -> Result<Vec<u8>, Fault> {
    let mut out = Extended::open(bytes, &request.password)?;
    for page in &document.pages {
        let index = page.text.index;
        out.outline(index, &page.text);
        let layer = match page.layer {
            Verdict::Sound => continue,
            Verdict::Absent => Layer::Absent,
            Verdict::Lies => Layer::Lying,
            Verdict::Poor => Layer::Unseen { all: !page.painted },
        };
        out.add(index, &page.text, layer)?;
    }
    Ok(out.finish()?)
}

fn composed(
    document: &Document,
    input: &Input,
    request: &Request,
    info: Info,
) -> Result<Vec<u8>, Fault> {
    let mut out = Composed::new(info);
    let of = |index| {
        document
            .pages
            .iter()
            .find(|p: &&Page| p.text.index == index)
    };
    input.each_page(request, |page| {
        // A page that is lost was lost when the document was read.
        if let Ok(page) = page
            && let Some(read) = of(page.index)
        {
            let fits = (page.image.width, page.image.height) == (read.text.width, read.text.height);
            if !fits {
                return Err(Fault::export("the picture is not the one that was read"));
            }
            match input {
                Input::File(bytes) => out.add(bytes, page.index, &read.text, &page.image),
                Input::Pixels(_) => out.add_pixels(&page.image, &read.text),
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if out.is_empty() {
        return Err(Fault::export("no page of it was read"));
    }
    Ok(out.finish())
}
