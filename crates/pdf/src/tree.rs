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

/// All pages of a file. A page that is listed several times is there as often.
pub fn leaves(pdf: &Pdf) -> Vec<Leaf> {
    let count = pdf.pages().len();
    match walk(pdf) {
        Some(leaves) => leaves,
        None => (0..count)
            .map(|page| Leaf {
                page,
                place: Place::Unknown,
            })
            .collect(),
    }
}

/// Follows hayro's own walk, which leaves out what it has seen; none where it ends up with other pages.
fn walk(pdf: &Pdf) -> Option<Vec<Leaf>> {
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
