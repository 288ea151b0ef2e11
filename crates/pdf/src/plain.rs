//! Pages of plain text, told by their description alone: where there is little time, and nobody to stop what draws.

use std::collections::HashMap;

use hayro::hayro_syntax::content::UntypedIter;
use hayro::hayro_syntax::object::dict::keys::{HEIGHT, RESOURCES, SMASK, SUBTYPE, WIDTH};
use hayro::hayro_syntax::object::{Dict, Name, ObjectIdentifier, Stream};
use hayro::hayro_syntax::page::{Page, Resources};

/// What a page of plain text may cost.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Operators, those of forms as often as these are drawn.
    pub operators: u64,
    /// Pixels of its pictures, likewise.
    pub pixels: u64,
}

/// How deep forms may be nested.
const DEPTH: usize = 6;

const PATTERNS: &str = "a PDF with patterns or shades";
const MANY: &str = "a PDF with much to draw";

/// Why a page costs more, or can't be told to cost less.
pub fn costly(page: &Page<'_>, budget: &Budget) -> Option<&'static str> {
    let mut weigher = Weigher {
        budget,
        known: HashMap::new(),
    };
    let content = page.page_stream().unwrap_or_default();
    weigher.weigh(content, page.resources(), 0).err()
}

#[derive(Clone, Copy, Default)]
struct Weight {
    operators: u64,
    pixels: u64,
}

struct Weigher<'b> {
    budget: &'b Budget,
    /// What forms weigh; none while that is being found out.
    known: HashMap<ObjectIdentifier, Option<Weight>>,
}

impl Weigher<'_> {
    fn weigh(
        &mut self,
        content: &[u8],
        resources: &Resources<'_>,
        depth: usize,
    ) -> Result<Weight, &'static str> {
        admit(resources)?;
        let mut sum = Weight::default();
        let mut instructions = UntypedIter::new(content);
        while let Some(instruction) = instructions.next() {
            let mut weight = Weight {
                operators: 1,
                pixels: 0,
            };
            match &**instruction.operator {
                b"BI" | b"ID" | b"EI" => return Err("a PDF with pictures in its text"),
                b"sh" => return Err(PATTERNS),
                b"Do" => {
                    let name = instruction.operands().next();
                    let name = name.and_then(|operand| operand.clone().into_name());
                    let object = name.and_then(|name| resources.get_x_object(&name));
                    if let Some(object) = object {
                        weight = self.object(&object, resources, depth)?;
                    }
                }
                _ => {}
            }
            sum.operators = sum.operators.saturating_add(weight.operators);
            sum.pixels = sum.pixels.saturating_add(weight.pixels);
            if sum.operators > self.budget.operators {
                return Err(MANY);
            }
            if sum.pixels > self.budget.pixels {
                return Err("a PDF with large pictures");
            }
        }
        Ok(sum)
    }

    /// What drawing a picture or a form once weighs.
    fn object(
        &mut self,
        object: &Stream<'_>,
        resources: &Resources<'_>,
        depth: usize,
    ) -> Result<Weight, &'static str> {
        let dict = object.dict();
        if dict.get::<Name<'_>>(SUBTYPE).as_deref() == Some(b"Image") {
            let side = |key| u64::from(dict.get::<u32>(key).unwrap_or(u32::MAX));
            return Ok(Weight {
                operators: 1,
                pixels: side(WIDTH).saturating_mul(side(HEIGHT)),
            });
        }
        match self.known.get(&object.obj_id()) {
            Some(Some(weight)) => return Ok(*weight),
            Some(None) => return Err(MANY),
            None if depth == DEPTH => return Err(MANY),
            None => {}
        }
        self.known.insert(object.obj_id(), None);
        let content = object.decoded_data().map_err(|_| MANY)?;
        // A form without resources has those of the page.
        let own = dict.get::<Dict<'_>>(RESOURCES).map(Resources::new);
        let mut weight = self.weigh(&content, own.as_ref().unwrap_or(resources), depth + 1)?;
        // A form without any operators isn't free either.
        weight.operators += 1;
        self.known.insert(object.obj_id(), Some(weight));
        Ok(weight)
    }
}

/// Refuses resources whose use may cost anything.
fn admit(resources: &Resources<'_>) -> Result<(), &'static str> {
    if !resources.patterns.is_empty() || !resources.shadings.is_empty() {
        return Err(PATTERNS);
    }
    for name in resources.fonts.keys() {
        let font = resources.get_font(&name);
        let kind = font.and_then(|font| font.get::<Name<'_>>(SUBTYPE));
        if kind.as_deref() == Some(b"Type3") {
            return Err("a PDF with drawn characters");
        }
    }
    for name in resources.ext_g_states.keys() {
        let state = resources.get_ext_g_state(&name);
        if state.is_some_and(|state| state.get::<Dict<'_>>(SMASK).is_some()) {
            return Err("a PDF with soft masks");
        }
    }
    Ok(())
}
