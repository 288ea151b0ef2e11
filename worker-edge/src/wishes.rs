//! What a caller says beside the file: which pages, how, and the form of the answer. Checked as a server checks it.

use maoocr_engine::export::form::{FORMS, Form};
use maoocr_engine::page::PageRanges;
use maoocr_engine::plan::{DocumentType, Requirements};

use crate::problem::Problem;

/// Longest of these, bytes.
pub const SHORT: usize = 4 << 10;

/// As it arrives, each as text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// Which pages.
    pub pages: Option<String>,
    /// Of an encrypted PDF.
    pub password: Option<String>,
    /// When to use the text that a PDF contains.
    pub text_layer: Option<String>,
    /// Of the answer.
    pub format: Option<String>,
}

/// The same, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Wishes {
    /// Which pages, as the caller wrote it; all if nobody says.
    pub pages: Option<String>,
    /// Whether they are all there where the file has one page.
    first: bool,
    password: String,
    text_layer: &'static str,
    /// The form of the answer.
    pub form: Form,
    /// Whether headings, lists and tables are looked for in pictures.
    pub structure: bool,
}

impl Said {
    /// The field of that name, if it is one of these.
    pub fn field(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "pages" => &mut self.pages,
            "password" => &mut self.password,
            "text_layer" => &mut self.text_layer,
            "format" => &mut self.format,
            _ => return None,
        })
    }

    /// Checks them; `accept` is the header of that name.
    ///
    /// # Errors
    /// 422 for the first that a server would refuse, too.
    pub fn wishes(self, needs: &Requirements, accept: Option<&str>) -> Result<Wishes, Problem> {
        let form = match &self.format {
            Some(name) => Form::named(name).ok_or_else(|| {
                let names = FORMS.map(|form| form.name);
                one_of("format", "invalid_format", &names)
            })?,
            None => Form::accepted(accept),
        };
        let first = match &self.pages {
            None => true,
            Some(text) => {
                let ranges = text.parse::<PageRanges>().map_err(|why| {
                    let why: String = why.chars().take(200).collect();
                    Problem::new(422, "invalid_pages", why).field("pages")
                })?;
                ranges.holds(1) && ranges.absent(1).is_none()
            }
        };
        const LAYERS: [&str; 3] = ["auto", "always", "never"];
        let layer = self.text_layer.as_deref().unwrap_or(LAYERS[0]);
        let known = LAYERS.into_iter().find(|name| *name == layer);
        let text_layer =
            known.ok_or_else(|| one_of("text_layer", "invalid_text_layer", &LAYERS))?;
        Ok(Wishes {
            pages: self.pages,
            first,
            password: self.password.unwrap_or_default(),
            text_layer,
            form,
            structure: form.has_structure() || needs.document_type == DocumentType::ComplexLayout,
        })
    }
}

fn one_of(field: &str, code: &'static str, names: &[&str]) -> Problem {
    let names_of = match field {
        "text_layer" => "auto, always or never".to_string(),
        _ => format!("one of {}", names.join(", ")),
    };
    let mut problem = Problem::new(422, code, format!("{field} must be {names_of}")).field(field);
    problem.allowed = names.iter().map(ToString::to_string).collect();
    problem
}

impl Wishes {
    /// What of them an answer's JSON depends on, for the cache.
    pub fn fingerprint(&self, pdf: bool) -> String {
        let Self {
            pages,
            password,
            text_layer,
            structure,
            ..
        } = self;
        match pdf {
            true => format!("{pages:?} {password:?} {text_layer}"),
            false => format!("{pages:?} {structure}"),
        }
    }

    /// Whether the answer is made of an answer's JSON alone.
    pub fn is_plain(&self) -> bool {
        self.form.name == FORMS[0].name || self.form.format.is_some()
    }

    /// Why only a server can do as they say.
    pub fn elsewhere(&self, pdf: bool) -> Option<&'static str> {
        if self.form.is_pdf() {
            return Some("a searchable PDF");
        }
        if self.form.is_lines() {
            return Some("an answer page by page");
        }
        if !pdf {
            return (!self.first).then_some("a choice of pages");
        }
        if !self.password.is_empty() {
            return Some("an encrypted PDF");
        }
        match self.text_layer {
            "auto" => None,
            "always" => Some("a text layer that is believed"),
            _ => Some("a text layer that is ignored"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(said: Said, accept: Option<&str>) -> Result<Wishes, Problem> {
        said.wishes(&Requirements::default(), accept)
    }

    fn said(name: &str, value: &str) -> Said {
        let mut said = Said::default();
        *said.field(name).unwrap() = Some(value.into());
        said
    }

    #[test]
    fn a_form_is_named_or_accepted() {
        let form = |said, accept| wishes(said, accept).unwrap().form.name;
        assert_eq!(form(Said::default(), None), "json");
        assert_eq!(form(Said::default(), Some("text/markdown")), "md");
        assert_eq!(form(said("format", "alto"), Some("text/markdown")), "alto");
        let problem = wishes(said("format", "doc"), None).unwrap_err();
        assert_eq!((problem.status, problem.code), (422, "invalid_format"));
        assert!(problem.allowed.contains(&"hocr".into()));
    }

    #[test]
    fn what_only_a_server_does_is_its() {
        for (name, value, pdf, there) in [
            ("pages", "1-2", true, false),
            ("pages", "2", true, false),
            ("pages", "1-2", false, false),
            ("pages", "2", false, true),
            ("pages", "1,2", false, true),
            ("password", "x", true, true),
            ("password", "x", false, false),
            ("text_layer", "never", true, true),
            ("text_layer", "auto", true, false),
            ("text_layer", "never", false, false),
            ("format", "pdf", false, true),
            ("format", "ndjson", true, true),
            ("format", "md", true, false),
        ] {
            let wishes = wishes(said(name, value), None).unwrap();
            assert_eq!(wishes.elsewhere(pdf).is_some(), there, "{name} {value}");
        }
        for (name, value) in [("pages", "0"), ("text_layer", "perhaps")] {
            let problem = wishes(said(name, value), None).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(name));
        }
    }
}
