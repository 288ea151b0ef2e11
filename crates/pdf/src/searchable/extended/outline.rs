//! The outline of a document from its headings (ISO 32000-1, 12.3.3).

use std::collections::BTreeMap;

use hayro::kurbo::Point;
use lopdf::{Object, ObjectId, dictionary};
use maoocr_engine::document::{PageText, RegionKind};

use super::{Extended, WriteError};

impl Extended {
    /// Remembers a page's headings for the outline.
    pub fn outline(&mut self, index: usize, page: &PageText) {
        for region in &page.regions {
            let level = match region.kind {
                RegionKind::Title => 0,
                RegionKind::Heading => region.level.unwrap_or(1),
                _ => continue,
            };
            let top = region.quad.bounds()[1] / page.height.max(1) as f32;
            let title = region.text.split_whitespace().collect::<Vec<_>>().join(" ");
            self.headings.push((index, level, title, top));
        }
    }

    /// Writes the headings as an outline, where the file has none.
    pub(super) fn write_outline(&mut self) -> Result<(), WriteError> {
        let Ok(root) = self
            .file
            .get_prev_documents()
            .trailer
            .get(b"Root")?
            .as_reference()
        else {
            return Ok(());
        };
        let catalog = self.object(root).and_then(|o| o.as_dict().ok());
        if self.headings.is_empty() || catalog.is_none_or(|c| c.has(b"Outlines")) {
            return Ok(());
        }
        let mut headings = std::mem::take(&mut self.headings);
        headings.retain(|(page, ..)| self.page(*page).is_ok());
        if headings.is_empty() {
            return Ok(());
        }
        self.changed = true;
        let top = self.file.new_document.new_object_id();
        let ids: Vec<ObjectId> = headings
            .iter()
            .map(|_| self.file.new_document.new_object_id())
            .collect();
        let levels: Vec<u8> = headings.iter().map(|h| h.1).collect();
        let parents = parents(&levels);
        let mut children: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
        for (index, parent) in parents.iter().enumerate() {
            children.entry(*parent).or_default().push(index);
        }
        for (index, (page, _, title, down)) in headings.iter().enumerate() {
            let page_id = self.page(*page)?;
            let y = (self.to_user(*page, (1, 1))? * Point::new(0.0, f64::from(*down))).y as f32;
            let siblings = &children[&parents[index]];
            let place = siblings.iter().position(|i| *i == index).unwrap_or(0);
            let mut item = dictionary! {
                "Title" => text_string(title),
                "Parent" => parents[index].map_or(top, |p| ids[p]),
                "Dest" => vec![page_id.into(), "XYZ".into(), Object::Null, y.into(), Object::Null],
            };
            if place > 0 {
                item.set("Prev", ids[siblings[place - 1]]);
            }
            if let Some(next) = siblings.get(place + 1) {
                item.set("Next", ids[*next]);
            }
            if let Some(below) = children.get(&Some(index)) {
                item.set("First", ids[below[0]]);
                item.set("Last", ids[below[below.len() - 1]]);
                // Closed: how many would be seen.
                item.set("Count", -(below.len() as i64));
            }
            self.file.new_document.set_object(ids[index], item);
        }
        let first = &children[&None];
        let outlines = dictionary! {
            "Type" => "Outlines",
            "First" => ids[first[0]],
            "Last" => ids[first[first.len() - 1]],
            "Count" => first.len() as i64,
        };
        self.file.new_document.set_object(top, outlines);
        self.file.opt_clone_object_to_new_document(root)?;
        self.dictionary(root)?.set("Outlines", top);
        Ok(())
    }
}

/// A text string (ISO 32000-1, 7.9.2.2): UTF-16 with its mark.
fn text_string(text: &str) -> Object {
    let mut bytes = vec![0xfe, 0xff];
    bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    Object::String(bytes, lopdf::StringFormat::Hexadecimal)
}

/// For each level the nearest one before it that is higher up.
fn parents(levels: &[u8]) -> Vec<Option<usize>> {
    let mut open: Vec<usize> = Vec::new();
    let mut parents = Vec::with_capacity(levels.len());
    for (index, level) in levels.iter().enumerate() {
        while open.last().is_some_and(|o| levels[*o] >= *level) {
            open.pop();
        }
        parents.push(open.last().copied());
        open.push(index);
    }
    parents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_nest() {
        assert_eq!(
            parents(&[0, 1, 2, 2, 1, 3, 0]),
            [None, Some(0), Some(1), Some(1), Some(0), Some(4), None]
        );
    }
}
