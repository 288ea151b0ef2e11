//! What callers say beside their files: which pages, how to read them, in which form.

use axum::http::HeaderMap;
use maoocr_engine::page::PageRanges;
use maoocr_engine::plan::{DocumentType, Requirements};
use serde_json::Value;

use crate::document::{PageOptions, TextLayer};
use crate::export;
use crate::input;
use crate::json::Text;
use crate::problem::Problem;

/// What a caller says beside the file.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// What the caller needs.
    pub requirements: Requirements,
    /// Which pages, and how.
    pub options: PageOptions,
    /// The form of the answer.
    pub form: export::Form,
}

/// Which pages to read, and how, as it arrives: each as text.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Which pages.
    pub pages: Option<String>,
    /// The password of an encrypted PDF.
    pub password: Option<String>,
    /// When to use the text that a PDF contains.
    pub text_layer: Option<String>,
}

impl Said {
    /// The names of the fields.
    pub const FIELDS: [&str; 3] = ["pages", "password", "text_layer"];

    /// From the fields of JSON, in this order.
    pub fn of(fields: [Option<Text>; 3]) -> Self {
        let [pages, password, text_layer] = fields.map(|text| text.map(|t| t.0.into_owned()));
        Self {
            pages,
            password,
            text_layer,
        }
    }

    /// The field of that name, if it is one of these.
    pub fn field(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "pages" => &mut self.pages,
            "password" => &mut self.password,
            "text_layer" => &mut self.text_layer,
            _ => return None,
        })
    }

    /// The same, with `others` where nothing is said.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        let or = |own: Option<String>, other: &Option<String>| own.or_else(|| other.clone());
        Self {
            pages: or(self.pages, &others.pages),
            password: or(self.password, &others.password),
            text_layer: or(self.text_layer, &others.text_layer),
        }
    }

    /// The same, with what the body says beside the query.
    ///
    /// # Errors
    /// 422 if both say the same field.
    pub fn and(mut self, mut body: Self) -> Result<Self, Problem> {
        for name in Self::FIELDS {
            if let (Some(field), Some(other)) = (self.field(name), body.field(name)) {
                *field = input::either(field.take(), other.take(), name)?;
            }
        }
        Ok(self)
    }

    /// Checks them; regions are looked for where the requirements want them.
    ///
    /// # Errors
    /// 422 naming the field.
    pub fn options(self, requirements: &Requirements) -> Result<PageOptions, Problem> {
        let pages = self.pages.as_deref().map(page_ranges);
        let text_layer = self.text_layer.map(|name| {
            serde_json::from_value::<TextLayer>(Value::String(name)).map_err(|_| {
                let detail = "text_layer must be auto, always or never";
                let mut problem = Problem::unprocessable("invalid_text_layer", detail);
                problem.allowed = ["auto", "always", "never"].map(String::from).into();
                problem.field("text_layer")
            })
        });
        Ok(PageOptions {
            pages: pages.transpose()?,
            pages_text: self.pages,
            password: self.password.unwrap_or_default(),
            text_layer: text_layer.transpose()?.unwrap_or_default(),
            structure: requirements.document_type == DocumentType::ComplexLayout,
            ..PageOptions::default()
        })
    }

    /// Checks them for an answer in a form: the one named, else the one accepted.
    ///
    /// # Errors
    /// As for [`Self::options`]; 422 if there is no such form.
    pub fn wishes(
        self,
        format: Option<&str>,
        requirements: Requirements,
        headers: &HeaderMap,
    ) -> Result<Wishes, Problem> {
        let form = export::asked(format, headers)?;
        let options = self.options(&requirements)?;
        Ok(Wishes {
            options: PageOptions {
                structure: options.structure || form.has_structure(),
                single: form.is_single(),
                partial: form.tells_errors(),
                ..options
            },
            requirements,
            form,
        })
    }
}

/// A choice of pages, such as `1-3,7,10-`.
///
/// # Errors
/// 422 if it isn't one.
pub fn page_ranges(text: &str) -> Result<PageRanges, Problem> {
    text.parse().map_err(|why: String| {
        let why: String = why.chars().take(200).collect();
        Problem::unprocessable("invalid_pages", why).field("pages")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_say_other_than_all() {
        let all = Said {
            password: Some("a".into()),
            text_layer: Some("never".into()),
            ..Said::default()
        };
        let mut one = Said::default();
        for name in Said::FIELDS {
            assert!(one.field(name).is_some(), "{name}");
        }
        *one.field("password").unwrap() = Some("b".into());
        let options = one.or(&all).options(&Requirements::default()).unwrap();
        assert_eq!(
            (&*options.password, options.text_layer, options.structure),
            ("b", TextLayer::Never, false)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let requirements = Requirements::default();
        for (name, value) in [("pages", "3-1"), ("text_layer", "sometimes")] {
            let mut said = Said::default();
            *said.field(name).unwrap() = Some(value.into());
            let problem = said.options(&requirements).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(name));
        }
        assert!(Said::default().field("format").is_none());
    }
}
