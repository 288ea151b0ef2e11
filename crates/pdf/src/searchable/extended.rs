//! An update to a PDF that lays text over its pages.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hayro::hayro_syntax::{self as syntax, page::Rotation};
use lopdf::{
    Dictionary, Document, IncrementalDocument, LoadOptions, Object, ObjectId, Stream, dictionary,
};
use maoocr_engine::document::PageText;

use super::content::{without_actual_text, without_unseen};
use super::font::{self, Encoder};
use super::muted::Muted;
use super::{WriteError, deflated, text};
use crate::source;
use crate::tree::Leaf;

mod outline;
mod place;

/// What a page carries already, and what becomes of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layer {
    /// No text.
    Absent,
    /// Unseen text of an older reading: taken out. With `all` there is nothing but unseen text, whatever hides it.
    Unseen {
        /// Nothing on the page is painted text.
        all: bool,
    },
    /// Painted text whose maps to Unicode lie: it stays to be seen, and is not found any more.
    Lying,
}

/// A PDF being added to.
pub struct Extended {
    file: IncrementalDocument,
    /// The same file as it is read: where its pages are, and how they lie.
    reader: syntax::Pdf,
    leaves: Vec<Leaf>,
    /// Pages that were part of another object, by it and their position there.
    parted: HashMap<(ObjectId, usize), ObjectId>,
    /// Pages that have their text, and those that were turned: one may be listed several times.
    written: HashSet<ObjectId>,
    turned: HashSet<ObjectId>,
    encoder: Encoder,
    font: ObjectId,
    muted: Muted,
    headings: Vec<(usize, u8, String, f32)>,
    changed: bool,
}

/// Streams that are rewritten may unpack to so much, bytes.
const MAX_STREAM: usize = 256 << 20;
/// Pages' trees nest at most so deep.
const MAX_DEPTH: usize = 64;

impl Extended {
    /// Reads a file's structure.
    ///
    /// # Errors
    /// Where it is too damaged to be added to.
    pub fn open(bytes: &Arc<Vec<u8>>, password: &str) -> Result<Self, WriteError> {
        let options = LoadOptions {
            max_decompressed_size: Some(MAX_STREAM),
            ..LoadOptions::with_password(password)
        };
        let document = Document::load_mem_with_options(bytes, options)?;
        let (reader, leaves) = source::reopened(bytes, password)
            .map_err(|error| WriteError::Structure(error.to_string()))?;
        let mut file = IncrementalDocument::create_from(bytes.to_vec(), document);
        let font = file.new_document.new_object_id();
        Ok(Self {
            file,
            reader,
            leaves,
            parted: HashMap::new(),
            written: HashSet::new(),
            turned: HashSet::new(),
            encoder: Encoder::default(),
            font,
            muted: Muted::default(),
            headings: Vec::new(),
            changed: false,
        })
    }

    /// How many pages the file has.
    pub fn count(&self) -> usize {
        self.leaves.len()
    }

    /// Lays a page's text over it.
    ///
    /// # Errors
    /// Where the file has no such page or its structure is damaged there.
    pub fn add(&mut self, index: usize, page: &PageText, layer: Layer) -> Result<(), WriteError> {
        let id = self.page(index)?;
        let name = self.font_name(id);
        let to_user = self.to_user(index, (page.width, page.height))?;
        let stream = text::stream(page, to_user, &name, &mut self.encoder);
        if (stream.is_empty() && layer == Layer::Absent) || !self.written.insert(id) {
            return Ok(());
        }
        self.changed = true;
        match layer {
            Layer::Absent => {}
            Layer::Unseen { all } => self.rewrite(id, &|content| without_unseen(content, all))?,
            Layer::Lying => {
                self.muted.page(&mut self.file, id)?;
                self.rewrite(id, &without_actual_text)?;
                self.rewrite(id, &|content| without_unseen(content, false))?;
                self.mute_properties(id)?;
            }
        }
        if stream.is_empty() {
            return Ok(());
        }
        let font = self.font;
        self.resource(id, b"Font", &name, font)?;
        // Before the page's own content: that may end anywhere, in a string or a picture, or leave anything behind.
        let mut contents = vec![self.stream(stream.as_bytes()).into()];
        contents.extend(self.contents(id));
        self.dictionary(id)?.set("Contents", contents);
        Ok(())
    }

    /// Turns a page as it is shown, clockwise, degrees, beside what it is turned already.
    ///
    /// # Errors
    /// Where the file has no such page.
    pub fn turn(&mut self, index: usize, degrees: u16) -> Result<(), WriteError> {
        let id = self.page(index)?;
        if !self.turned.insert(id) {
            return Ok(());
        }
        let now = match self.shown(index)?.rotation() {
            Rotation::None => 0,
            Rotation::Horizontal => 90,
            Rotation::Flipped => 180,
            Rotation::FlippedHorizontal => 270,
        };
        let turned = (now + i64::from(degrees)).rem_euclid(360);
        self.dictionary(id)?.set("Rotate", turned);
        self.changed = true;
        Ok(())
    }

    /// The file with what was added. Where nothing was, it is the file as it came.
    ///
    /// # Errors
    /// Where its structure can't be added to.
    pub fn finish(mut self) -> Result<Vec<u8>, WriteError> {
        self.write_outline()?;
        if !self.changed {
            return Ok(self.file.get_prev_documents_bytes().to_vec());
        }
        if !self.encoder.is_empty() {
            self.write_font();
        }
        let mut out = Vec::new();
        self.file
            .save_to(&mut out)
            .map_err(|e| WriteError::Structure(e.to_string()))?;
        Ok(out)
    }

    fn dictionary(&mut self, id: ObjectId) -> Result<&mut Dictionary, WriteError> {
        Ok(self.file.new_document.get_object_mut(id)?.as_dict_mut()?)
    }

    fn stream(&mut self, content: &[u8]) -> ObjectId {
        let mut stream = Stream::new(dictionary! {"Filter" => "FlateDecode"}, deflated(content));
        stream.allows_compression = false;
        self.file.new_document.add_object(stream)
    }

    /// An object as it is by now.
    fn object(&self, id: ObjectId) -> Option<&Object> {
        let new = self.file.new_document.get_object(id).ok();
        new.or_else(|| self.file.get_prev_documents().get_object(id).ok())
    }

    fn resolved<'a>(&'a self, object: &'a Object) -> Option<&'a Object> {
        let mut object = object;
        for _ in 0..MAX_DEPTH {
            match object {
                Object::Reference(id) => object = self.object(*id)?,
                other => return Some(other),
            }
        }
        None
    }

    /// An entry of a page, or of what it is below.
    fn inherited(&self, page: ObjectId, key: &[u8]) -> Option<&Object> {
        let mut id = page;
        for _ in 0..MAX_DEPTH {
            let dictionary = self.object(id)?.as_dict().ok()?;
            if let Ok(value) = dictionary.get(key) {
                return self.resolved(value);
            }
            id = dictionary.get(b"Parent").ok()?.as_reference().ok()?;
        }
        None
    }

    fn contents(&self, page: ObjectId) -> Vec<Object> {
        let dictionary = self.object(page).and_then(|o| o.as_dict().ok());
        let Some(contents) = dictionary.and_then(|d| d.get(b"Contents").ok()) else {
            return Vec::new();
        };
        match self.resolved(contents) {
            Some(Object::Array(streams)) => streams.clone(),
            Some(Object::Stream(_)) => vec![contents.clone()],
            _ => Vec::new(),
        }
    }

    /// A name that no font of the page has.
    fn font_name(&self, page: ObjectId) -> String {
        let fonts = self
            .inherited(page, b"Resources")
            .and_then(|r| self.resolved(r.as_dict().ok()?.get(b"Font").ok()?))
            .and_then(|f| f.as_dict().ok());
        let taken = |name: &str| fonts.is_some_and(|f| f.has(name.as_bytes()));
        let mut name = String::from("MaoOCR");
        while taken(&name) {
            name.push('x');
        }
        name
    }

    /// Adds to a page's resources.
    fn resource(
        &mut self,
        page: ObjectId,
        kind: &[u8],
        name: &str,
        id: ObjectId,
    ) -> Result<(), WriteError> {
        let kinds = {
            let resources = self.file.get_or_create_resources(page)?.as_dict_mut()?;
            match resources.get(kind) {
                Ok(Object::Reference(id)) => Some(*id),
                Ok(Object::Dictionary(_)) => None,
                _ => {
                    resources.set(kind, Dictionary::new());
                    None
                }
            }
        };
        let dictionary = match kinds {
            Some(kinds) => {
                self.file.opt_clone_object_to_new_document(kinds)?;
                self.dictionary(kinds)?
            }
            None => {
                let resources = self.file.get_or_create_resources(page)?.as_dict_mut()?;
                resources.get_mut(kind)?.as_dict_mut()?
            }
        };
        dictionary.set(name, id);
        Ok(())
    }

    /// Takes `/ActualText` out of a page's named property lists.
    fn mute_properties(&mut self, page: ObjectId) -> Result<(), WriteError> {
        let resources = self
            .inherited(page, b"Resources")
            .and_then(|r| r.as_dict().ok());
        let properties = resources.and_then(|r| self.resolved(r.get(b"Properties").ok()?));
        let Some(Object::Dictionary(properties)) = properties else {
            return Ok(());
        };
        let mut muted = Dictionary::new();
        for (name, value) in properties {
            let mut value = value.clone();
            if let Some(Object::Dictionary(list)) = self.resolved(&value)
                && list.has(b"ActualText")
            {
                let mut list = list.clone();
                list.remove(b"ActualText");
                value = Object::Dictionary(list);
            }
            muted.set(name.clone(), value);
        }
        let resources = self.file.get_or_create_resources(page)?.as_dict_mut()?;
        resources.set("Properties", muted);
        Ok(())
    }

    /// Rewrites the content of a page and of the forms it shows, where there is anything to change.
    fn rewrite(
        &mut self,
        page: ObjectId,
        change: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<(), WriteError> {
        let content = {
            let mut content = Vec::new();
            for part in self.contents(page) {
                if let Some(Object::Stream(stream)) = self.resolved(&part) {
                    content.extend(plain(stream)?);
                    content.push(b'\n');
                }
            }
            content
        };
        if let Some(rest) = change(&content) {
            let stream = self.stream(&rest);
            self.dictionary(page)?.set("Contents", stream);
        }
        let mut forms = Vec::new();
        if let Some(Object::Dictionary(resources)) = self.inherited(page, b"Resources") {
            self.forms(resources, &mut forms, 0);
        }
        for id in forms {
            let Some(Object::Stream(form)) = self.object(id) else {
                continue;
            };
            let Some(rest) = change(&plain(form)?) else {
                continue;
            };
            let mut dictionary = form.dict.clone();
            dictionary.remove(b"DecodeParms");
            dictionary.set("Filter", "FlateDecode");
            let mut stream = Stream::new(dictionary, deflated(&rest));
            stream.allows_compression = false;
            self.file.new_document.set_object(id, stream);
        }
        Ok(())
    }

    fn forms(&self, resources: &Dictionary, found: &mut Vec<ObjectId>, depth: usize) {
        let Some(Object::Dictionary(named)) = resources
            .get(b"XObject")
            .ok()
            .and_then(|o| self.resolved(o))
        else {
            return;
        };
        for (_, value) in named {
            let Ok(id) = value.as_reference() else {
                continue;
            };
            if let Some(Object::Stream(form)) = self.object(id)
                && form.dict.get(b"Subtype").and_then(Object::as_name).ok() == Some(b"Form")
                && !found.contains(&id)
            {
                found.push(id);
                let inner = form.dict.get(b"Resources").ok();
                if let Some(Object::Dictionary(inner)) = inner.and_then(|o| self.resolved(o))
                    && depth < 8
                {
                    self.forms(inner, found, depth + 1);
                }
            }
        }
    }

    fn write_font(&mut self) {
        let file = font::file();
        let length = file.len() as i64;
        let packed = |dictionary: Dictionary, data: &[u8]| {
            let mut dictionary = dictionary;
            dictionary.set("Filter", "FlateDecode");
            let mut stream = Stream::new(dictionary, deflated(data));
            stream.allows_compression = false;
            stream
        };
        let new = &mut self.file.new_document;
        let file = new.add_object(packed(dictionary! {"Length1" => length}, &file));
        let map = new.add_object(packed(Dictionary::new(), &font::cid_to_gid()));
        let unicode = self.encoder.to_unicode();
        let unicode = new.add_object(packed(Dictionary::new(), unicode.as_bytes()));
        let (ascent, descent) = (i64::from(font::ASCENT), i64::from(font::DESCENT));
        let descriptor = new.add_object(dictionary! {
            "Type" => "FontDescriptor",
            "FontName" => font::NAME,
            // Symbolic and of one width.
            "Flags" => 5,
            "FontBBox" => vec![0.into(), descent.into(), i64::from(font::ADVANCE).into(), ascent.into()],
            "ItalicAngle" => 0,
            "Ascent" => ascent,
            "Descent" => descent,
            "CapHeight" => ascent,
            "StemV" => 80,
            "FontFile2" => file,
        });
        let descendant = new.add_object(dictionary! {
            "Type" => "Font",
            "Subtype" => "CIDFontType2",
            "BaseFont" => font::NAME,
            "CIDSystemInfo" => dictionary! {
                "Registry" => Object::string_literal("Adobe"),
                "Ordering" => Object::string_literal("Identity"),
                "Supplement" => 0,
            },
            "FontDescriptor" => descriptor,
            "DW" => i64::from(font::ADVANCE),
            "CIDToGIDMap" => map,
        });
        let font = dictionary! {
            "Type" => "Font",
            "Subtype" => "Type0",
            "BaseFont" => font::NAME,
            "Encoding" => "Identity-H",
            "DescendantFonts" => vec![descendant.into()],
            "ToUnicode" => unicode,
        };
        new.set_object(self.font, font);
    }
}

/// A stream's content, unpacked.
pub(super) fn plain(stream: &Stream) -> Result<Vec<u8>, WriteError> {
    if stream.dict.has(b"Filter") {
        Ok(stream.decompressed_content_with_limit(MAX_STREAM)?)
    } else {
        Ok(stream.content.clone())
    }
}
