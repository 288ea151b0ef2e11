//! Pages of plain text, told by their description alone: where there is little time, and nobody to stop what draws.

use std::borrow::Cow;
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

/// How deep hayro follows forms.
const DEPTH: usize = 50;

const PATTERNS: &str = "a PDF with patterns or shades";
const MANY: &str = "a PDF with much to draw";

/// Why a page costs more, or can't be told to cost less.
pub fn costly(page: &Page<'_>, budget: &Budget) -> Option<&'static str> {
    let shown = Shown::on(page, budget.operators, true).map(|shown| shown.weight());
    match shown {
        Err(reason) => Some(reason),
        Ok(weight) if weight.operators > budget.operators => Some(MANY),
        Ok(weight) if weight.pixels > budget.pixels => Some("a PDF with large pictures"),
        Ok(_) => None,
    }
}

/// Whether a page has more operators than this, those of forms as often as these are drawn. Forms that show one another
/// need not draw anything to take for ever.
pub fn has_more_operators(page: &Page<'_>, than: u64) -> bool {
    match Shown::on(page, than, false) {
        Ok(shown) => shown.weight().operators > than,
        Err(_) => true,
    }
}

#[derive(Clone, Copy, Default)]
struct Weight {
    operators: u64,
    pixels: u64,
}

impl Weight {
    fn add(&mut self, other: Self, times: u64) {
        let more = |a: u64, b: u64| a.saturating_add(b.saturating_mul(times));
        self.operators = more(self.operators, other.operators);
        self.pixels = more(self.pixels, other.pixels);
    }
}

/// A page's content, or a form's: what it weighs without the forms that it shows, and how often it shows which.
#[derive(Default)]
struct Content {
    own: Weight,
    forms: HashMap<ObjectIdentifier, u64>,
}

/// What a page shows.
struct Shown {
    page: Content,
    forms: HashMap<ObjectIdentifier, Content>,
}

/// Reads contents, each once.
struct Reader {
    /// Operators that are read; each is drawn at least once.
    left: u64,
    /// Whether only plain text will do.
    plain: bool,
}

impl Shown {
    fn on(page: &Page<'_>, most: u64, plain: bool) -> Result<Self, &'static str> {
        let mut reader = Reader { left: most, plain };
        let mut forms = HashMap::new();
        let mut found = Vec::new();
        let content = page.page_stream().unwrap_or_default();
        let page = reader.read(content, page.resources(), &mut found)?;
        while let Some((form, resources)) = found.pop() {
            if forms.contains_key(&form.obj_id()) {
                continue;
            }
            let content = match form.decoded_data() {
                Ok(content) => content,
                Err(_) if plain => return Err(MANY),
                Err(_) => Cow::default(),
            };
            let mut content = reader.read(&content, &resources, &mut found)?;
            // A form without any operators isn't free either.
            content.own.operators += 1;
            forms.insert(form.obj_id(), content);
        }
        Ok(Self { page, forms })
    }

    /// What it weighs with all forms as often as they are drawn.
    fn weight(&self) -> Weight {
        let sum = |content: &Content, forms: &HashMap<ObjectIdentifier, Weight>| {
            let mut sum = content.own;
            for (form, times) in &content.forms {
                sum.add(forms.get(form).copied().unwrap_or_default(), *times);
            }
            sum
        };
        // From the deepest forms to the page's own; those that show themselves grow with each step.
        let mut weights = HashMap::new();
        for _ in 0..DEPTH.min(self.forms.len()) {
            let forms = self.forms.iter();
            weights = forms
                .map(|(form, content)| (*form, sum(content, &weights)))
                .collect();
        }
        sum(&self.page, &weights)
    }
}

impl Reader {
    fn read<'a>(
        &mut self,
        content: &[u8],
        resources: &Resources<'a>,
        found: &mut Vec<(Stream<'a>, Resources<'a>)>,
    ) -> Result<Content, &'static str> {
        if self.plain {
            admit(resources)?;
        }
        let mut read = Content::default();
        let mut instructions = UntypedIter::new(content);
        while let Some(instruction) = instructions.next() {
            self.left = self.left.checked_sub(1).ok_or(MANY)?;
            read.own.operators += 1;
            match &**instruction.operator {
                b"BI" | b"ID" | b"EI" if self.plain => {
                    return Err("a PDF with pictures in its text");
                }
                b"sh" if self.plain => return Err(PATTERNS),
                b"Do" => {
                    let name = instruction.operands().next();
                    let name = name.and_then(|operand| operand.clone().into_name());
                    let object = name.and_then(|name| resources.get_x_object(&name));
                    let Some(object) = object else { continue };
                    let dict = object.dict();
                    if dict.get::<Name<'_>>(SUBTYPE).as_deref() == Some(b"Image") {
                        let side = |key| u64::from(dict.get::<u32>(key).unwrap_or(u32::MAX));
                        let pixels = side(WIDTH).saturating_mul(side(HEIGHT));
                        read.own.pixels = read.own.pixels.saturating_add(pixels);
                        continue;
                    }
                    let times = read.forms.entry(object.obj_id()).or_default();
                    *times += 1;
                    if *times == 1 {
                        // A form without resources has those of what shows it.
                        let own = dict.get::<Dict<'_>>(RESOURCES).map(Resources::new);
                        found.push((object, own.unwrap_or_else(|| resources.clone())));
                    }
                }
                _ => {}
            }
        }
        Ok(read)
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
