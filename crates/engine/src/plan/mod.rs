//! What the caller needs → which models and stages: [`Requirements`] → [`Plan`].

mod json;
mod languages;
mod requirements;

use maoocr_models::Manifest;
use maoocr_models::manifest::{ModelEntry, Task, Tier};
use serde::Serialize;

pub use json::JsonRequirements;
pub use languages::Language;
pub use requirements::{DocumentType, Level, RequirementError, Requirements};

/// Which models run, with which stages, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Name of the detector.
    pub detector: String,
    /// Name of the recogniser.
    pub recogniser: String,
    /// Names of recognisers of single scripts, for lines that the recogniser can't read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub script_recognisers: Vec<String>,
    /// Name of the classifier that turns upside-down lines, where it is to be asked.
    pub line_orientation: Option<String>,
    /// Name of the classifier that turns whole pages, where it is to be asked.
    pub page_orientation: Option<String>,
    /// Longest side of the detector's input, px.
    pub max_side: u32,
    /// Name of the document-vision model elsewhere that is asked for whole pages. The engine never asks it itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision: Option<String>,
    /// The language that was asked for.
    pub language: Language,
    /// Why, one sentence a choice.
    pub reasons: Vec<String>,
}

impl Plan {
    /// The models it runs, in the order of the stages.
    pub fn models(&self) -> Vec<&str> {
        let scripts = self.script_recognisers.iter().map(String::as_str);
        self.usual_models().chain(scripts).collect()
    }

    /// Those that every page needs.
    pub fn usual_models(&self) -> impl Iterator<Item = &str> {
        [
            self.page_orientation.as_deref(),
            Some(self.detector.as_str()),
            self.line_orientation.as_deref(),
            Some(self.recogniser.as_str()),
        ]
        .into_iter()
        .flatten()
    }

    /// Plans to ask a document-vision model, which is elsewhere, where these requirements are worth its time.
    pub fn offer_vision(&mut self, requirements: &Requirements, model: &str) {
        if requirements.wants_vision() {
            self.vision = Some(model.into());
            self.reasons.push(format!(
                "{model} reads whole pages: high accuracy and complex layout; the other models give positions"
            ));
        }
    }
}

/// What executes the models, as far as it decides the plan.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DeviceClass {
    /// A processor of a desktop or server.
    #[default]
    Cpu,
    /// A graphics processor.
    Gpu,
    /// A browser or an edge isolate: little memory.
    Constrained,
}

/// Why there is no plan.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// Nothing that is installed will do.
    #[error("{need} is not installed; get it with `maoocr models pull {model}`")]
    NotInstalled {
        /// What is needed, in words.
        need: String,
        /// A model that would do.
        model: String,
    },
}

impl PlanError {
    fn not_installed(need: String, model: Option<&ModelEntry>) -> Self {
        Self::NotInstalled {
            need,
            model: model.map_or_else(|| "all".into(), |m| m.name.clone()),
        }
    }
}

/// Longest side of the detector's input by default, px.
pub const MAX_SIDE: u32 = 1600;
/// The same when a person waits, px.
pub const MAX_SIDE_REAL_TIME: u32 = 960;

/// Chooses among `installed` models, which are in order of preference.
pub fn plan(
    requirements: &Requirements,
    installed: &[&ModelEntry],
    device: DeviceClass,
) -> Result<Plan, PlanError> {
    let mut reasons = Vec::new();
    let tier = wanted_tier(requirements, device, &mut reasons);

    let recogniser = match &requirements.language {
        Language::Script(tag, script) => {
            let reads = |m: &ModelEntry| {
                m.task == Task::Recognition && m.languages.iter().any(|l| l == script || l == tag)
            };
            let model = installed.iter().find(|m| reads(m)).ok_or_else(|| {
                let known = &Manifest::built_in().models;
                PlanError::not_installed(
                    format!("a recogniser for {tag}"),
                    known.iter().find(|m| reads(m)),
                )
            })?;
            reasons.push(format!("{}: the recogniser for {tag}", model.name));
            model
        }
        language => {
            let least = least_tier(installed, language.tag());
            if tier < least {
                reasons.push(format!(
                    "{} needs the {least} recogniser: {tier} lacks its characters",
                    language.tag()
                ));
            }
            nearest(installed, Task::Recognition, tier.max(least), &mut reasons)?
        }
    };
    reasons.extend(gaps(recogniser, requirements.language.tag()));
    let script_recognisers = script_recognisers(requirements, installed, device);
    if !script_recognisers.is_empty() {
        reasons.push(format!(
            "lines that {} can't read are tried with {}",
            recogniser.name,
            script_recognisers.join(", ")
        ));
    }
    let detector = nearest(installed, Task::Detection, tier, &mut reasons)?;

    let find = |task| {
        installed
            .iter()
            .find(|m| m.task == task)
            .map(|m| m.name.clone())
    };
    let hurried = requirements.real_time || requirements.document_type == DocumentType::SimpleText;
    let (line_orientation, page_orientation) = if hurried {
        reasons.push("taken as upright: no orientation models".into());
        (None, None)
    } else {
        let found = (find(Task::LineOrientation), find(Task::PageOrientation));
        if requirements.document_type == DocumentType::ComplexLayout {
            reasons.push(match found {
                (Some(_), Some(_)) => "complex layout: the page and its lines are turned upright first".into(),
                _ => "complex layout: taken as upright, since not all orientation models are installed".into(),
            });
        }
        found
    };
    let max_side = if requirements.real_time {
        reasons.push(format!(
            "real time: the detector sees at most {MAX_SIDE_REAL_TIME} px"
        ));
        MAX_SIDE_REAL_TIME
    } else {
        MAX_SIDE
    };
    Ok(Plan {
        detector: detector.name.clone(),
        recogniser: recogniser.name.clone(),
        script_recognisers,
        line_orientation,
        page_orientation,
        max_side,
        vision: None,
        language: requirements.language.clone(),
        reasons,
    })
}

fn wanted_tier(
    requirements: &Requirements,
    device: DeviceClass,
    reasons: &mut Vec<String>,
) -> Tier {
    let (tier, why) = if device == DeviceClass::Constrained {
        (Tier::Tiny, "little memory on this device")
    } else if requirements.real_time {
        (Tier::Tiny, "real time")
    } else if requirements.accuracy_requirement == Level::High {
        if requirements.speed_requirement == Level::High {
            (Tier::Small, "high accuracy and high speed")
        } else {
            (Tier::Medium, "high accuracy")
        }
    } else if requirements.speed_requirement == Level::High {
        (Tier::Tiny, "high speed")
    } else if requirements.accuracy_requirement == Level::Low {
        (Tier::Tiny, "low accuracy suffices")
    } else {
        (Tier::Small, "the default")
    };
    reasons.push(format!("{tier} models: {why}"));
    tier
}

/// What else is installed to read with, where no language is given and there is time and memory.
fn script_recognisers(
    requirements: &Requirements,
    installed: &[&ModelEntry],
    device: DeviceClass,
) -> Vec<String> {
    let usual = requirements.language == Language::Auto
        && !requirements.real_time
        && requirements.speed_requirement != Level::High
        && device != DeviceClass::Constrained;
    let other = |m: &&&ModelEntry| {
        m.task == Task::Recognition && m.languages.iter().any(|l| Language::is_script(l))
    };
    let others = installed.iter().filter(other).filter(|_| usual);
    others.map(|m| m.name.clone()).collect()
}

/// The lightest tier of which a recogniser has all letters of a language; tiny where none has.
fn least_tier(installed: &[&ModelEntry], tag: &str) -> Tier {
    let reads = |m: &&&ModelEntry| {
        m.general && m.task == Task::Recognition && m.languages.iter().any(|l| l == tag)
    };
    let tiers = installed.iter().filter(reads).filter_map(|m| m.tier);
    tiers.min().unwrap_or(Tier::Tiny)
}

/// What a reader of this language will miss.
fn gaps(recogniser: &ModelEntry, tag: &str) -> Option<String> {
    const SHOWN: usize = 24;
    let name = &recogniser.name;
    match recogniser.lacks.get(tag) {
        Some(lacks) => {
            let mut shown: String = lacks.chars().take(SHOWN).collect();
            let more = lacks.chars().count().saturating_sub(SHOWN);
            if more > 0 {
                shown += &format!(" and {more} more");
            }
            Some(format!(
                "{tag}: {name} doesn't know {shown}: they will be missing or read as other characters"
            ))
        }
        None if matches!(tag, "auto" | "mul-Latn" | "mul-Cyrl") => None,
        None if recogniser.languages.iter().any(|l| l == tag) => None,
        None if !recogniser.general => None,
        None => Some(format!(
            "{tag}: {name} doesn't know all of its characters: some will be missing or read as others"
        )),
    }
}

/// The installed model of a tier, else the next lighter one, else the next heavier one.
fn nearest<'a>(
    installed: &[&'a ModelEntry],
    task: Task,
    tier: Tier,
    reasons: &mut Vec<String>,
) -> Result<&'a ModelEntry, PlanError> {
    let is = |m: &ModelEntry, wanted| m.general && m.task == task && m.tier == Some(wanted);
    let order = match tier {
        Tier::Tiny => [Tier::Tiny, Tier::Small, Tier::Medium],
        Tier::Small => [Tier::Small, Tier::Medium, Tier::Tiny],
        Tier::Medium => [Tier::Medium, Tier::Small, Tier::Tiny],
    };
    let of_tier = |&wanted: &Tier| installed.iter().copied().find(|m| is(m, wanted));
    let found = order.iter().find_map(of_tier).ok_or_else(|| {
        let need = match task {
            Task::Detection => "a detector",
            _ => "a recogniser",
        };
        let known = &Manifest::built_in().models;
        PlanError::not_installed(need.into(), known.iter().find(|m| is(m, tier)))
    })?;
    if found.tier != Some(tier) {
        reasons.push(format!("{}: no {tier} one is installed", found.name));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn chosen(
        requirements: Value,
        without: &[&str],
        device: DeviceClass,
    ) -> Result<Plan, PlanError> {
        let manifest = Manifest::built_in();
        let installed: Vec<_> = manifest
            .models
            .iter()
            .filter(|m| !without.iter().any(|w| m.name.contains(w)))
            .collect();
        plan(
            &Requirements::from_json(&requirements).unwrap(),
            &installed,
            device,
        )
    }

    #[test]
    fn table() {
        let no_medium: &[&str] = &["medium"];
        for (requirements, without, device, detector, recogniser) in [
            (
                json!({}),
                no_medium,
                DeviceClass::Cpu,
                "ppocrv6-small-det",
                "ppocrv6-small-rec",
            ),
            (
                json!({"real_time": true}),
                no_medium,
                DeviceClass::Cpu,
                "ppocrv6-tiny-det",
                "ppocrv6-tiny-rec",
            ),
            (
                json!({"real_time": true, "language": "japanese"}),
                no_medium,
                DeviceClass::Cpu,
                "ppocrv6-tiny-det",
                "ppocrv6-small-rec",
            ),
            (
                json!({"language": "zh-TW", "speed_requirement": "high"}),
                no_medium,
                DeviceClass::Cpu,
                "ppocrv6-tiny-det",
                "ppocrv6-small-rec",
            ),
            (
                json!({"accuracy_requirement": "high"}),
                no_medium,
                DeviceClass::Gpu,
                "ppocrv6-small-det",
                "ppocrv6-small-rec",
            ),
            (
                json!({"accuracy_requirement": "high"}),
                &[],
                DeviceClass::Gpu,
                "ppocrv6-medium-det",
                "ppocrv6-medium-rec",
            ),
            (
                json!({}),
                no_medium,
                DeviceClass::Constrained,
                "ppocrv6-tiny-det",
                "ppocrv6-tiny-rec",
            ),
            (
                json!({}),
                &["medium", "small"],
                DeviceClass::Cpu,
                "ppocrv6-tiny-det",
                "ppocrv6-tiny-rec",
            ),
        ] {
            let plan = chosen(requirements.clone(), without, device).unwrap();
            assert_eq!(
                (plan.detector.as_str(), plan.recogniser.as_str()),
                (detector, recogniser),
                "{requirements}"
            );
            assert!(!plan.reasons.is_empty());
        }
    }

    #[test]
    fn a_vision_model_reads_complex_pages_that_must_be_right() {
        let vision = |requirements: Value| {
            let mut plan = chosen(requirements.clone(), &[], DeviceClass::Cpu).unwrap();
            plan.offer_vision(&Requirements::from_json(&requirements).unwrap(), "vlm");
            let said = plan.reasons.iter().any(|r| r.contains("vlm"));
            assert_eq!(said, plan.vision.is_some());
            said
        };
        let wanted = json!({"accuracy_requirement": "high", "document_type": "complex_layout"});
        assert!(vision(wanted.clone()));
        for (field, value) in [
            ("accuracy_requirement", json!("medium")),
            ("document_type", json!("auto")),
            ("speed_requirement", json!("high")),
            ("real_time", json!(true)),
        ] {
            let mut other = wanted.clone();
            other[field] = value;
            assert!(!vision(other), "{field}");
        }
    }

    #[test]
    fn installed_scripts_are_read_where_no_language_is_given() {
        let others = |requirements, device| {
            let plan = chosen(requirements, &["th", "-el-", "-t", "arabic"], device).unwrap();
            plan.script_recognisers.join(" ")
        };
        let all =
            "ppocrv5-korean-rec ppocrv5-eslav-rec ppocrv5-cyrillic-rec ppocrv5-devanagari-rec";
        assert_eq!(others(json!({}), DeviceClass::Cpu), all);
        assert_eq!(others(json!({}), DeviceClass::Constrained), "");
        assert_eq!(others(json!({"language": "de"}), DeviceClass::Cpu), "");
        assert_eq!(others(json!({"real_time": true}), DeviceClass::Cpu), "");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = chosen(json!({}), &["-rec"], DeviceClass::Cpu).unwrap_err();
        assert!(
            error.to_string().contains("models pull ppocrv6-small-rec"),
            "{error}"
        );
        let error =
            chosen(json!({"language": "korean"}), &["korean"], DeviceClass::Cpu).unwrap_err();
        assert!(error.to_string().contains("ppocrv5-korean-rec"), "{error}");
    }

    #[test]
    fn what_a_language_will_miss_is_said() {
        let plan_for = |language: &str, without: &[&str]| {
            chosen(json!({"language": language}), without, DeviceClass::Cpu).unwrap()
        };
        let says = |plan: &Plan, what: &str| plan.reasons.iter().any(|r| r.contains(what));
        for (language, lost) in [("vi", "ạ"), ("es", "¡"), ("de", "„"), ("cy", "Ẁ")] {
            let plan = plan_for(language, &[]);
            assert!(says(&plan, lost), "{language}: {:?}", plan.reasons);
        }
        for language in ["auto", "en", "fr", "zh-Hans", "ja", "latin"] {
            let plan = plan_for(language, &["tiny"]);
            let lost = says(&plan, "know");
            assert!(!lost || language == "ja", "{language}: {:?}", plan.reasons);
        }
        // Only tiny is there, which has no kana.
        let plan = plan_for("ja", &["small", "medium"]);
        assert!(says(&plan, "doesn't know all"), "{:?}", plan.reasons);
        // Small has letters that tiny lacks.
        for language in ["az", "ro", "ja", "zh-Hant"] {
            let json = json!({"language": language, "real_time": true});
            let plan = chosen(json, &[], DeviceClass::Cpu).unwrap();
            assert_eq!(plan.recogniser, "ppocrv6-small-rec", "{language}");
        }
    }
}
