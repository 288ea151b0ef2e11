//! Where a page is written, and how it lies, as the reader has it.

use hayro::hayro_interpret::TransformExt;
use hayro::hayro_syntax::object::ObjectIdentifier;
use hayro::hayro_syntax::page::Page;
use hayro::kurbo::Affine;
use lopdf::{Object, ObjectId};

use super::{Extended, WriteError};
use crate::tree::Place;

impl Extended {
    /// A page's object, ready to be changed.
    pub(super) fn page(&mut self, index: usize) -> Result<ObjectId, WriteError> {
        let leaf = self
            .leaves
            .get(index)
            .ok_or(WriteError::NoPage(index + 1))?;
        match leaf.place {
            Place::Object { id, parent } => {
                let id = object_id(id)?;
                if self.object(id).is_none_or(|o| o.as_dict().is_err()) {
                    return Err(WriteError::NoPage(index + 1));
                }
                self.file.opt_clone_object_to_new_document(id)?;
                // What it inherits comes from where it is listed, whatever it says itself.
                if let Some(parent) = parent {
                    let parent = object_id(parent)?;
                    self.dictionary(id)?.set("Parent", parent);
                }
                Ok(id)
            }
            Place::Within { parent, kid } => self.part(object_id(parent)?, kid),
            Place::Unknown => Err(WriteError::Structure("its list of pages is damaged".into())),
        }
    }

    /// Makes a page that is part of its parent's list an object of its own.
    fn part(&mut self, parent: ObjectId, kid: usize) -> Result<ObjectId, WriteError> {
        if let Some(&id) = self.parted.get(&(parent, kid)) {
            return Ok(id);
        }
        self.file.opt_clone_object_to_new_document(parent)?;
        let list = self.dictionary(parent)?.get(b"Kids")?.as_reference().ok();
        if let Some(list) = list {
            self.file.opt_clone_object_to_new_document(list)?;
        }
        let id = self.file.new_document.new_object_id();
        let kids = match list {
            Some(list) => self.file.new_document.get_object_mut(list)?,
            None => self.dictionary(parent)?.get_mut(b"Kids")?,
        };
        let place = kids.as_array_mut()?.get_mut(kid);
        let Some(Object::Dictionary(page)) = place.map(|p| std::mem::replace(p, id.into())) else {
            let why = "its list of pages is damaged";
            return Err(WriteError::Structure(why.into()));
        };
        let mut page = page;
        page.set("Parent", parent);
        self.file.new_document.set_object(id, page);
        self.parted.insert((parent, kid), id);
        Ok(id)
    }

    /// A page as it is read.
    pub(super) fn shown(&self, index: usize) -> Result<&Page<'_>, WriteError> {
        let leaf = self.leaves.get(index);
        leaf.and_then(|leaf| self.reader.pages().get(leaf.page))
            .ok_or(WriteError::NoPage(index + 1))
    }

    /// From the pixels of a page of that size, as it is shown, to its user space.
    pub(super) fn to_user(
        &self,
        index: usize,
        (width, height): (u32, u32),
    ) -> Result<Affine, WriteError> {
        let page = self.shown(index)?;
        let (w, h) = page.render_dimensions();
        let points = Affine::scale_non_uniform(
            f64::from(w) / f64::from(width.max(1)),
            f64::from(h) / f64::from(height.max(1)),
        );
        Ok(page.initial_transform(true).to_kurbo().inverse() * points)
    }
}

/// The same in the writer's terms.
fn object_id(id: ObjectIdentifier) -> Result<ObjectId, WriteError> {
    let generation = u16::try_from(id.gen_number);
    let generation = generation
        .map_err(|_| WriteError::Structure("a page has a number that can't be".into()))?;
    Ok((id.obj_number, generation))
}
