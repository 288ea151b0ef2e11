//! The pages of a file, as viewers count them.
//!
//! The reader and the writer share this list: each has a walk of its own over the tree of pages, and where they
//! disagreed, text would land on another page.

use std::collections::{HashMap, HashSet};
use std::iter::Enumerate;

use hayro::hayro_syntax::Pdf;
use hayro::hayro_syntax::object::array::ArrayIter;
use hayro::hayro_syntax::object::dict::keys::{KIDS, PAGES, TYPE};
use hayro::hayro_syntax::object::{Array, Dict, MaybeRef, Name, Object, ObjectIdentifier};

/// A page.
#[derive(Clone, Copy, Debug)]
pub struct Leaf {
    /// Its position among hayro's pages, where each object is one page.
    pub page: usize,
    pub place: Place,
}

/// The position of a page that is listed, but whose object the file's end has cut off.
pub const LOST: usize = usize::MAX;

/// Where a page's dictionary is written.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// It is an object of its own. Its parent is known where that is one, too.
    Object {
        id: ObjectIdentifier,
        parent: Option<ObjectIdentifier>,
    },
    /// It is part of its parent's `/Kids`, at that position.
    Within {
        parent: ObjectIdentifier,
        kid: usize,
    },
    /// Nobody knows: the tree is damaged, and the pages were found without it.
    Unknown,
}

/// Viewers show a page as often as it is listed; a list of so many is an attack.
const MAX_REPEATED: usize = 1 << 16;

/// All pages of a file. A page that is listed several times is there as often. Of a file that is cut short, those that are
/// gone are [`LOST`]; where the list is gone too, nobody knows how many, and one stands for them at the end.
pub fn leaves(pdf: &Pdf) -> Vec<Leaf> {
    let cut = is_cut(pdf.data().as_ref());
    walk(pdf, cut).unwrap_or_else(|| {
        let found = (0..pdf.pages().len()).chain(cut.then_some(LOST));
        let leaf = |page| Leaf {
            page,
            place: Place::Unknown,
        };
        found.map(leaf).collect()
    })
}

/// Whether a file lacks its end, which programs write last and readers look for in the last 1024 bytes (ISO 32000-1,
/// annex H, note 18). Some programs leave out one of its two lines.
fn is_cut(bytes: &[u8]) -> bool {
    let end = &bytes[bytes.len().saturating_sub(2048)..];
    let has = |mark: &[u8]| end.windows(mark.len()).any(|window| window == mark);
    !has(b"%%EOF") && !has(b"startxref")
}

/// Follows hayro's own walk, which leaves out what it has seen; none where it ends up with other pages.
fn walk(pdf: &Pdf, cut: bool) -> Option<Vec<Leaf>> {
    let xref = pdf.xref();
    let catalog: Dict<'_> = xref.get(xref.root_id())?;
    let root: ObjectIdentifier = catalog.get_ref("Pages")?.into();
    let mut stack = vec![(Some(root), kids(&xref.get(root)?)?)];
    let mut nodes = HashSet::from([root]);
    let mut seen: HashMap<ObjectIdentifier, usize> = HashMap::new();
    let mut leaves = Vec::new();
    let (mut next, mut repeated) = (0, 0);
    while let Some((parent, list)) = stack.last_mut() {
        let parent = *parent;
        let Some((kid, value)) = list.next() else {
            stack.pop();
            continue;
        };
        let id = value.as_obj_ref().map(ObjectIdentifier::from);
        let place = match (id, parent) {
            (Some(id), _) => Place::Object { id, parent },
            (None, Some(parent)) => Place::Within { parent, kid },
            (None, None) => Place::Unknown,
        };
        if let Some(id) = id
            && !nodes.insert(id)
        {
            if let Some(&page) = seen.get(&id)
                && repeated < MAX_REPEATED
            {
                repeated += 1;
                leaves.push(Leaf { page, place });
            }
            continue;
        }
        let dictionary = match (value, id) {
            (_, Some(id)) => xref.get::<Dict<'_>>(id),
            (MaybeRef::NotRef(object), _) => Object::into_dict(object),
            (MaybeRef::Ref(_), None) => None,
        };
        let Some(dictionary) = dictionary else {
            if cut {
                leaves.push(Leaf { page: LOST, place });
            }
            continue;
        };
        if dictionary.get::<Name<'_>>(TYPE).as_deref() == Some(PAGES) {
            stack.extend(kids(&dictionary).map(|kids| (id, kids)));
            continue;
        }
        if let Some(id) = id {
            seen.insert(id, next);
        }
        leaves.push(Leaf { page: next, place });
        next += 1;
    }
    (next == pdf.pages().len()).then_some(leaves)
}

fn kids<'a>(node: &Dict<'a>) -> Option<Enumerate<ArrayIter<'a>>> {
    Some(node.get::<Array<'_>>(KIDS)?.raw_iter().enumerate())
}
