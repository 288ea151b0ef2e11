//! Fonts that are seen and not found: copies whose map to Unicode says "space" for every code.

use std::collections::HashMap;

use lopdf::{Dictionary, IncrementalDocument, Object, ObjectId, Stream, dictionary};

use super::{WriteError, deflated, font};

/// Copies of fonts and forms by what they are copies of; pages share them.
#[derive(Default)]
pub struct Muted {
    copies: HashMap<ObjectId, ObjectId>,
    /// The maps for codes of one byte and of two.
    maps: [Option<ObjectId>; 2],
}

/// Forms within forms that are followed.
const MAX_DEPTH: usize = 8;

impl Muted {
    /// Gives a page such fonts.
    pub fn page(
        &mut self,
        file: &mut IncrementalDocument,
        page: ObjectId,
    ) -> Result<(), WriteError> {
        let resources = file.get_or_create_resources(page)?.as_dict()?.clone();
        let muted = self.resources(file, resources, 0)?;
        // Its own: others may share what it had.
        let page = file.new_document.get_object_mut(page)?.as_dict_mut()?;
        page.set("Resources", muted);
        Ok(())
    }

    fn resources(
        &mut self,
        file: &mut IncrementalDocument,
        mut resources: Dictionary,
        depth: usize,
    ) -> Result<Dictionary, WriteError> {
        if let Some(fonts) = dictionary_of(file, resources.get(b"Font").ok()) {
            let mut muted = Dictionary::new();
            for (name, value) in &fonts {
                let Some(dictionary) = dictionary_of(file, Some(value)) else {
                    continue;
                };
                let made = |this: &mut Self, file: &mut IncrementalDocument| {
                    let map = this.map(file, &dictionary);
                    let mut copy = dictionary.clone();
                    copy.set("ToUnicode", map);
                    file.new_document.add_object(copy)
                };
                let id = self.copy(file, value, made);
                muted.set(name.clone(), id);
            }
            resources.set("Font", muted);
        }
        if depth >= MAX_DEPTH {
            return Ok(resources);
        }
        if let Some(named) = dictionary_of(file, resources.get(b"XObject").ok()) {
            let mut muted = named.clone();
            for (name, value) in &named {
                let Some(Object::Stream(form)) = object(file, value) else {
                    continue;
                };
                if form.dict.get(b"Subtype").and_then(Object::as_name).ok() != Some(b"Form") {
                    continue;
                }
                let Some(inner) = dictionary_of(file, form.dict.get(b"Resources").ok()) else {
                    continue;
                };
                if let Some(id) = self.known(value) {
                    muted.set(name.clone(), id);
                    continue;
                }
                let mut form = form.clone();
                form.dict
                    .set("Resources", self.resources(file, inner, depth + 1)?);
                let id = self.copy(file, value, |_, file| file.new_document.add_object(form));
                muted.set(name.clone(), id);
            }
            resources.set("XObject", muted);
        }
        Ok(resources)
    }

    fn known(&self, value: &Object) -> Option<ObjectId> {
        self.copies.get(&value.as_reference().ok()?).copied()
    }

    fn copy(
        &mut self,
        file: &mut IncrementalDocument,
        value: &Object,
        make: impl FnOnce(&mut Self, &mut IncrementalDocument) -> ObjectId,
    ) -> ObjectId {
        if let Some(id) = self.known(value) {
            return id;
        }
        let id = make(self, file);
        if let Ok(from) = value.as_reference() {
            self.copies.insert(from, id);
        }
        id
    }

    fn map(&mut self, file: &mut IncrementalDocument, font: &Dictionary) -> ObjectId {
        let composite = font.get(b"Subtype").and_then(Object::as_name).ok() == Some(b"Type0");
        let bytes = if composite { 2 } else { 1 };
        *self.maps[bytes - 1].get_or_insert_with(|| {
            let map = font::all_spaces(bytes);
            let packed = deflated(map.as_bytes());
            let mut stream = Stream::new(dictionary! {"Filter" => "FlateDecode"}, packed);
            stream.allows_compression = false;
            file.new_document.add_object(stream)
        })
    }
}

fn object<'a>(file: &'a IncrementalDocument, value: &'a Object) -> Option<&'a Object> {
    let mut value = value;
    for _ in 0..16 {
        match value {
            Object::Reference(id) => {
                let new = file.new_document.get_object(*id).ok();
                value = new.or_else(|| file.get_prev_documents().get_object(*id).ok())?;
            }
            other => return Some(other),
        }
    }
    None
}

fn dictionary_of(file: &IncrementalDocument, value: Option<&Object>) -> Option<Dictionary> {
    object(file, value?)?.as_dict().ok().cloned()
}
