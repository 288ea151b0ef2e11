//! Pictures and pages of jobs. Nobody waits for them, and their queue is in the store.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use maoocr_engine::plan::Requirements;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Answer, Ear, Failure, FileId, Order, Watch, cached, fresh, json_of, keep, key, look,
    megapixels, plan, run, whole, with_sight,
};
use crate::app::App;
use crate::document::{self, PageOptions, Paged, ReadFile};
use crate::metrics;
use crate::opened::OpenFile;
use crate::pool::{Lane, Stop};
use crate::problem::Problem;
use crate::store::StoreError;

/// Notes that the reading of a job's picture begins; `false` if it must not.
pub type Begin = Pin<Box<dyn Future<Output = Result<bool, StoreError>> + Send>>;

/// What a file turned out to be.
pub enum Found {
    /// One that is read as a whole, and was.
    Answer(Answer),
    /// A file of several pages, with the positions of those to be read.
    Pages(FileId, Paged, Vec<u32>),
}

enum Opened {
    Read(ReadFile),
    Pages(Paged, Vec<usize>),
}

/// Reads a file of a job as a whole. `begin`, if there is one, runs when a thread takes it.
///
/// # Errors
/// The problem to record for this picture, or the server's own. Of code `not_begun`: nothing was read.
pub async fn read_in_background(
    app: &Arc<App>,
    order: &Order,
    stop: Stop,
    begin: Option<Begin>,
) -> Result<Answer, Problem> {
    let plan = plan(app, &order.requirements)?;
    let file = FileId::of(&order.picture);
    let key = key(app, (file, &order.options), &order.owner, &plan);
    if let Some(answer) = cached(app, key.as_ref()).await {
        return Ok(answer);
    }
    let watch = watch(&stop);
    let id = watch.id;
    let picture = order.picture.clone();
    let options = with_sight(app, &plan, &order.options);
    let ended = stop.clone();
    let file = run(app, Lane::Background, stop, begin, move |app| {
        whole(
            app,
            (&picture, &options),
            &plan,
            app.config.max_pages,
            watch,
        )
    });
    let mut file = file.await?;
    look(app, &mut file.pages, &ended).await;
    Ok(fresh(id, file))
}

/// Reads a file of a job as a whole, unless it has several pages, of which none is read.
///
/// # Errors
/// As for [`read_in_background`].
pub async fn open_in_background(
    app: &Arc<App>,
    order: &Order,
    stop: Stop,
    begin: Begin,
) -> Result<Found, Problem> {
    if !document::may_have_pages(&order.picture) {
        let answer = read_in_background(app, order, stop, Some(begin)).await?;
        return Ok(Found::Answer(answer));
    }
    let plan = plan(app, &order.requirements)?;
    let file = FileId::of(&order.picture);
    let key = key(app, (file, &order.options), &order.owner, &plan);
    if let Some(answer) = cached(app, key.as_ref()).await {
        return Ok(Found::Answer(answer));
    }
    let watch = watch(&stop);
    let id = watch.id;
    let picture = order.picture.clone();
    let options = with_sight(app, &plan, &order.options);
    let ended = stop.clone();
    let opened = run(app, Lane::Background, stop, Some(begin), move |app| {
        let most = app.config.max_pages;
        let opened = document::open(&picture, &options, &app.limits, most.into());
        let (paged, pages) = opened.map_err(Failure::Read)?;
        if pages.len() > 1 {
            return Ok((Opened::Pages(paged, pages), None));
        }
        let (file, megapixels) = whole(app, (&picture, &options), &plan, most, watch)?;
        Ok((Opened::Read(file), megapixels))
    });
    Ok(match opened.await? {
        Opened::Read(mut file) => {
            look(app, &mut file.pages, &ended).await;
            Found::Answer(fresh(id, file))
        }
        Opened::Pages(paged, pages) => {
            let pages = pages
                .into_iter()
                .filter_map(|page| u32::try_from(page).ok());
            Found::Pages(file, paged, pages.collect())
        }
    })
}

/// Reads one page of a job's file, by its position from 0, for the answer of this id.
///
/// # Errors
/// The problem to record for this page, or the server's own, as for [`read_in_background`].
pub async fn read_page_in_background(
    app: &Arc<App>,
    (file, page): (Arc<OpenFile>, u32),
    (requirements, options, owner): (&Requirements, PageOptions, &str),
    id: Uuid,
    stop: Stop,
    begin: Begin,
) -> Result<Value, Problem> {
    let plan = plan(app, requirements)?;
    let key = key(app, (file.id, &options.of_page(page)), owner, &plan);
    if let Some(mut answer) = cached(app, key.as_ref()).await
        && let Some(mut page) = answer.pages.pop()
    {
        page["id"] = json!(id.to_string());
        return Ok(page);
    }
    let mut watch = watch(&stop);
    let options = with_sight(app, &plan, &options);
    let ended = stop.clone();
    let read = run(app, Lane::Background, stop, Some(begin), move |app| {
        let _models = app.models.hold(&plan).map_err(Failure::Load)?;
        let paged = file.pages(&options, &app.limits).map_err(Failure::Read)?;
        let (page, how) = ((&paged, page as usize), (&plan, &app.limits));
        let read = document::read_page(app.models.engine(), page, &options, how, &mut watch);
        let read = pollster::block_on(read).map_err(Failure::Read)?;
        metrics::pages(std::iter::once(&read.answer));
        let megapixels = megapixels(std::slice::from_ref(&read));
        Ok((read, Some(megapixels)))
    });
    let mut read = read.await?;
    let seen = look(app, std::slice::from_mut(&mut read), &ended).await;
    let page = json_of(id, read);
    if seen {
        keep(app, key.as_ref(), std::slice::from_ref(&page)).await;
    }
    Ok(page)
}

fn watch(stop: &Stop) -> Watch {
    Watch {
        stop: stop.clone(),
        id: Uuid::now_v7(),
        ear: Ear::Nobody,
    }
}
