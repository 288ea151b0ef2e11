//! Where a request is worked on: a pure function of what it asks for, what its picture is, who asks, and how the
//! servers stand.

use maoocr_engine::imaging::{Format, ImagingError, Info};
use maoocr_engine::plan::{DocumentType, Language, Level, Requirements};

use crate::problem::Problem;

/// A right of a caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Right {
    /// Read pictures.
    Recognize,
    /// Make jobs and look at them.
    Jobs,
    /// See what is counted.
    Metrics,
    /// Delete what is remembered, load models anew.
    Admin,
}

impl Right {
    /// Every right, in the order of a list.
    pub const ALL: [Self; 4] = [Self::Recognize, Self::Jobs, Self::Metrics, Self::Admin];

    /// As keys and signatures name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recognize => "recognize",
            Self::Jobs => "jobs",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
        }
    }

    /// The right of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }
}

/// Which pictures are read in the isolate, if they are light.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Light {
    /// Those for which a server would take the tiny models too: the answer is the same, only nearer.
    #[default]
    Asked,
    /// All but those for which accuracy matters most.
    Any,
    /// None.
    Never,
}

/// What a picture or a PDF in the isolate may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Of its file.
    pub bytes: u64,
    /// Of its only page.
    pub pixels: u64,
    /// Of a PDF; 0: none is read in the isolate.
    pub pages: u64,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Work {
    /// A picture is to be read while the caller waits.
    Recognize,
    /// Many pictures are to be read.
    Batch,
    /// A WebSocket is to be opened.
    Socket,
    /// Anything else that only a server has: jobs, history, models.
    Lookup,
}

/// What is known of a picture's file.
#[derive(Clone, Debug, PartialEq)]
pub enum Picture {
    /// The beginning of it says nothing yet, or it isn't in the request.
    Unknown,
    /// Its headers were read.
    Known(Info),
    /// Its headers can't be read.
    Wrong(ImagingError),
    /// It begins as a PDF does.
    Pdf,
}

/// What routing looks at.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// What is asked for.
    pub work: Work,
    /// What the caller needs; the usual where the request doesn't say before its picture.
    pub requirements: &'a Requirements,
    /// The picture.
    pub picture: &'a Picture,
    /// Length of the file, or of the body so far; none: not known.
    pub bytes: Option<u64>,
    /// Whether all of the request is here.
    pub whole: bool,
    /// What the caller may do.
    pub rights: &'a [Right],
    /// How long the caller waits, where it says, ms.
    pub left: Option<u64>,
    /// Why only a server can do as the caller wishes.
    pub elsewhere: Option<&'static str>,
}

/// How the servers stand.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    /// Whom to ask, the first choice first.
    pub order: Vec<usize>,
    /// Seconds until another may be asked, where there is none now.
    pub retry_after: u64,
}

/// Where it is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// In the isolate, with the tiny models.
    Here {
        /// For people.
        reason: &'static str,
    },
    /// At a server.
    Forward {
        /// Whom to ask, the first choice first.
        order: Vec<usize>,
        /// For people.
        reason: &'static str,
    },
    /// Nowhere.
    Refuse(Problem),
}

/// The capability that makes an answer to these requirements better.
pub fn capability(requirements: &Requirements) -> Option<&'static str> {
    if requirements.accuracy_requirement == Level::High
        && requirements.speed_requirement != Level::High
    {
        Some("medium")
    } else if requirements.batch_processing {
        Some("gpu")
    } else {
        None
    }
}

/// Decides.
pub fn route(facts: &Facts, servers: &Servers, light: Light, bounds: Bounds) -> Decision {
    let needed = match facts.work {
        Work::Batch => Some(Right::Jobs),
        Work::Recognize | Work::Socket => Some(Right::Recognize),
        // The server knows which right each path needs.
        Work::Lookup => None,
    };
    if let Some(right) = needed.filter(|r| !facts.rights.contains(r)) {
        return Decision::Refuse(missing(right));
    }
    let heavy = match facts.work {
        Work::Batch => Some("a batch"),
        Work::Socket => Some("a WebSocket"),
        Work::Lookup => Some("kept at the servers"),
        Work::Recognize => {
            // What no server could read either need not travel.
            if let (Picture::Wrong(error), true) = (facts.picture, facts.whole) {
                return Decision::Refuse(error.clone().into());
            }
            weight(facts, bounds)
        }
    };
    let can = heavy.is_none() && light != Light::Never;
    // What a PDF says doesn't depend on the models that it is compared with.
    let pdf = *facts.picture == Picture::Pdf;
    let same = pdf || light == Light::Any || asks_for_tiny(facts.requirements);
    // An isolate can't stop in the middle of a picture.
    let longest = longest(facts.picture, bounds);
    let late = can && facts.left.is_some_and(|left| left < longest);
    let heavy = heavy.or((late && same).then_some("too little time for the edge"));
    match (can, heavy, servers.order.is_empty()) {
        (true, _, true) if late => Decision::Refuse(Problem::late()),
        (true, None, _) if same => Decision::Here {
            reason: if pdf {
                "a small PDF"
            } else {
                "a light picture"
            },
        },
        (true, None, true) => Decision::Here {
            reason: "no server answers; tiny models instead",
        },
        (_, _, true) => Decision::Refuse(Problem::no_origin().after(servers.retry_after)),
        (_, reason, false) => Decision::Forward {
            order: servers.order.clone(),
            reason: reason.unwrap_or(match light {
                Light::Never => "nothing is read at the edge",
                _ => "better models than the edge has",
            }),
        },
    }
}

/// The problem of a right that isn't there.
pub fn missing(right: Right) -> Problem {
    let detail = format!("this key lacks the scope `{}`", right.name());
    Problem::new(403, "scope_missing", detail)
}

/// Why an isolate can't read it; none: it can.
fn weight(facts: &Facts, bounds: Bounds) -> Option<&'static str> {
    let needs = facts.requirements;
    if let Picture::Known(info) = facts.picture
        && let Some(reason) = size(info, bounds)
    {
        return Some(reason);
    }
    if !facts.whole || facts.bytes.is_none_or(|b| b > bounds.bytes) {
        return Some("a large file");
    }
    if let Some(reason) = facts.elsewhere {
        return Some(reason);
    }
    match facts.picture {
        Picture::Known(_) => {}
        Picture::Pdf if bounds.pages > 0 => {}
        Picture::Pdf => return Some("a PDF"),
        Picture::Unknown | Picture::Wrong(_) => return Some("the picture isn't in the request"),
    }
    if needs.batch_processing {
        return Some("one of many");
    }
    if needs.document_type == DocumentType::ComplexLayout {
        return Some("a complex layout");
    }
    if needs.accuracy_requirement == Level::High {
        return Some("high accuracy");
    }
    match &needs.language {
        Language::Script(..) => Some("a script of its own"),
        // The tiny recogniser knows no kana and few traditional characters.
        language if ["ja", "zh-Hant"].contains(&language.tag()) => {
            Some("characters that tiny models lack")
        }
        _ => None,
    }
}

/// How long reading here may take, ms: the isolate's first picture, a page full of text.
fn longest(picture: &Picture, bounds: Bounds) -> u64 {
    match picture {
        Picture::Pdf => 1000 + 2000 * bounds.pages,
        Picture::Known(info) => 1000 + u64::from(info.width) * u64::from(info.height) * 2 / 1000,
        _ => 0,
    }
}

/// Why an isolate can't read a picture of these headers, whatever else is said of it.
fn size(info: &Info, bounds: Bounds) -> Option<&'static str> {
    if info.format == Format::Tiff || info.pages > 1 {
        return Some("it may have several pages");
    }
    (u64::from(info.width) * u64::from(info.height) > bounds.pixels).then_some("a large picture")
}

/// Whether the rest of a picture's file can't make it light any more.
pub fn is_heavy(picture: &Picture, bounds: Bounds) -> bool {
    match picture {
        Picture::Known(info) => size(info, bounds).is_some(),
        Picture::Pdf => bounds.pages == 0,
        Picture::Unknown | Picture::Wrong(_) => false,
    }
}

/// Whether a server would take the tiny models for these requirements.
fn asks_for_tiny(needs: &Requirements) -> bool {
    needs.real_time
        || needs.speed_requirement == Level::High
        || needs.accuracy_requirement == Level::Low
}

#[cfg(test)]
mod tests {
    use maoocr_engine::plan::{DeviceClass, plan};
    use maoocr_models::Manifest;
    use maoocr_models::manifest::Tier;
    use serde_json::json;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        bytes: 4 << 20,
        pixels: 2_500_000,
        pages: 3,
    };

    fn info(format: Format, width: u32, height: u32, pages: usize) -> Picture {
        Picture::Known(Info {
            format,
            width,
            height,
            pages,
        })
    }

    fn needs(json: serde_json::Value) -> Requirements {
        Requirements::from_json(&json).unwrap()
    }

    /// The word for a decision.
    fn decided(decision: &Decision) -> String {
        match decision {
            Decision::Here { reason } => format!("here: {reason}"),
            Decision::Forward { order, reason } => format!("{order:?}: {reason}"),
            Decision::Refuse(problem) => format!("{}: {}", problem.status, problem.code),
        }
    }

    #[test]
    fn every_case_goes_where_it_belongs() {
        let fast = json!({"speed_requirement": "high"});
        let screen = info(Format::Png, 1920, 1080, 1);
        let up = || Servers {
            order: vec![1, 0],
            retry_after: 0,
        };
        let down = || Servers {
            order: vec![],
            retry_after: 7,
        };
        let all = &Right::ALL[..];
        let wrong = Picture::Wrong(ImagingError::Empty);
        use Light::{Any, Asked, Never};
        use Work::{Batch, Lookup, Recognize, Socket};
        #[rustfmt::skip]
        let table = [
            // what it is, needs, picture, bytes, whole, rights, servers, policy → decision
            (Recognize, fast.clone(), &screen, Some(1 << 20), true, all, up(), Asked, "here: a light picture"),
            (Recognize, json!({"real_time": true}), &screen, Some(1), true, all, up(), Asked, "here: a light picture"),
            (Recognize, json!({"accuracy_requirement": "low"}), &screen, Some(1), true, all, down(), Asked, "here: a light picture"),
            (Recognize, json!({}), &screen, Some(1), true, all, up(), Asked, "[1, 0]: better models than the edge has"),
            (Recognize, json!({}), &screen, Some(1), true, all, up(), Any, "here: a light picture"),
            (Recognize, fast.clone(), &screen, Some(1), true, all, up(), Never, "[1, 0]: nothing is read at the edge"),
            (Recognize, json!({}), &screen, Some(1), true, all, down(), Asked, "here: no server answers; tiny models instead"),
            (Recognize, json!({}), &screen, Some(1), true, all, down(), Never, "503: no_origin"),
            (Recognize, fast.clone(), &screen, Some(5 << 20), true, all, up(), Asked, "[1, 0]: a large file"),
            (Recognize, fast.clone(), &screen, None, true, all, up(), Asked, "[1, 0]: a large file"),
            (Recognize, fast.clone(), &screen, Some(1), false, all, up(), Any, "[1, 0]: a large file"),
            (Recognize, fast.clone(), &info(Format::Jpeg, 4000, 3000, 1), Some(1), true, all, up(), Any, "[1, 0]: a large picture"),
            (Recognize, fast.clone(), &info(Format::Jpeg, 65535, 65535, 1), Some(1), true, all, down(), Any, "503: no_origin"),
            (Recognize, fast.clone(), &info(Format::Tiff, 10, 10, 1), Some(1), true, all, up(), Any, "[1, 0]: it may have several pages"),
            (Recognize, fast.clone(), &Picture::Pdf, Some(1), true, all, up(), Any, "here: a small PDF"),
            (Recognize, json!({}), &Picture::Pdf, Some(1), true, all, up(), Asked, "here: a small PDF"),
            (Recognize, json!({}), &Picture::Pdf, Some(1), true, all, up(), Never, "[1, 0]: nothing is read at the edge"),
            (Recognize, json!({}), &Picture::Pdf, Some(5 << 20), true, all, up(), Asked, "[1, 0]: a large file"),
            (Recognize, json!({"accuracy_requirement": "high"}), &Picture::Pdf, Some(1), true, all, up(), Any, "[1, 0]: high accuracy"),
            (Recognize, json!({"language": "ko"}), &Picture::Pdf, Some(1), true, all, up(), Any, "[1, 0]: a script of its own"),
            (Recognize, fast.clone(), &Picture::Unknown, Some(1), true, all, up(), Any, "[1, 0]: the picture isn't in the request"),
            (Recognize, fast.clone(), &wrong, Some(1), true, all, up(), Asked, "400: empty"),
            (Recognize, fast.clone(), &wrong, Some(1), false, all, up(), Asked, "[1, 0]: a large file"),
            (Recognize, json!({"accuracy_requirement": "high"}), &screen, Some(1), true, all, up(), Any, "[1, 0]: high accuracy"),
            (Recognize, json!({"accuracy_requirement": "high"}), &screen, Some(1), true, all, down(), Any, "503: no_origin"),
            (Recognize, json!({"document_type": "complex_layout"}), &screen, Some(1), true, all, up(), Any, "[1, 0]: a complex layout"),
            (Recognize, json!({"batch_processing": true}), &screen, Some(1), true, all, up(), Any, "[1, 0]: one of many"),
            (Recognize, json!({"language": "ja", "real_time": true}), &screen, Some(1), true, all, up(), Asked, "[1, 0]: characters that tiny models lack"),
            (Recognize, json!({"language": "zh-Hant"}), &screen, Some(1), true, all, up(), Any, "[1, 0]: characters that tiny models lack"),
            (Recognize, json!({"language": "korean", "real_time": true}), &screen, Some(1), true, all, up(), Asked, "[1, 0]: a script of its own"),
            (Recognize, json!({"language": "english", "real_time": true}), &screen, Some(1), true, all, up(), Asked, "here: a light picture"),
            (Recognize, fast.clone(), &screen, Some(1), true, &[Right::Jobs][..], up(), Asked, "403: scope_missing"),
            (Batch, json!({}), &Picture::Unknown, None, false, all, up(), Any, "[1, 0]: a batch"),
            (Batch, json!({}), &Picture::Unknown, None, false, &[Right::Recognize][..], up(), Any, "403: scope_missing"),
            (Batch, json!({}), &Picture::Unknown, None, false, all, down(), Any, "503: no_origin"),
            (Socket, json!({}), &Picture::Unknown, None, true, all, up(), Any, "[1, 0]: a WebSocket"),
            (Socket, json!({}), &Picture::Unknown, None, true, &[][..], up(), Any, "403: scope_missing"),
            (Lookup, json!({}), &Picture::Unknown, None, true, &[][..], up(), Any, "[1, 0]: kept at the servers"),
            (Lookup, json!({}), &Picture::Unknown, None, true, all, down(), Any, "503: no_origin"),
        ];
        for (work, json, picture, bytes, whole, rights, servers, light, expected) in table {
            let requirements = needs(json.clone());
            let facts = Facts {
                work,
                requirements: &requirements,
                picture,
                bytes,
                whole,
                rights,
                left: None,
                elsewhere: None,
            };
            let decision = route(&facts, &servers, light, BOUNDS);
            assert_eq!(
                decided(&decision),
                expected,
                "{work:?} {json} {picture:?} {bytes:?} {light:?}"
            );
            if let Decision::Refuse(Problem {
                status: 503,
                retry_after,
                ..
            }) = decision
            {
                assert_eq!(retry_after, Some(7));
            }
        }
    }

    /// What is read here for having been asked for is what a server would read with the same models.
    #[test]
    fn the_edge_takes_tiny_models_where_servers_do() {
        let manifest = Manifest::built_in();
        let models: Vec<_> = manifest.models.iter().collect();
        for (speed, accuracy, real_time) in [
            ("low", "low", false),
            ("low", "medium", false),
            ("low", "high", false),
            ("medium", "low", false),
            ("medium", "medium", false),
            ("medium", "high", false),
            ("high", "low", false),
            ("high", "medium", false),
            ("high", "high", false),
            ("low", "medium", true),
            ("medium", "low", true),
        ] {
            let needs = needs(json!({
                "speed_requirement": speed, "accuracy_requirement": accuracy, "real_time": real_time
            }));
            let plan = plan(&needs, &models, DeviceClass::Cpu).unwrap();
            let tiny = manifest.get(&plan.recogniser).unwrap().tier == Some(Tier::Tiny);
            let screen = info(Format::Png, 100, 100, 1);
            let facts = Facts {
                work: Work::Recognize,
                requirements: &needs,
                picture: &screen,
                bytes: Some(1),
                whole: true,
                rights: &Right::ALL,
                left: None,
                elsewhere: None,
            };
            let servers = Servers {
                order: vec![0],
                retry_after: 0,
            };
            let decision = route(&facts, &servers, Light::Asked, BOUNDS);
            assert_eq!(matches!(decision, Decision::Here { .. }), tiny, "{needs:?}");
        }
    }

    #[test]
    fn a_caller_in_a_hurry_is_not_kept() {
        let screen = info(Format::Png, 1000, 1000, 1);
        let decide = |json, left, order| {
            let facts = Facts {
                work: Work::Recognize,
                requirements: &needs(json),
                picture: &screen,
                bytes: Some(1),
                whole: true,
                rights: &Right::ALL,
                left,
                elsewhere: None,
            };
            let servers = Servers {
                order,
                retry_after: 7,
            };
            decided(&route(&facts, &servers, Light::Asked, BOUNDS))
        };
        let fast = || json!({"speed_requirement": "high"});
        assert_eq!(decide(fast(), Some(3000), vec![0]), "here: a light picture");
        assert_eq!(
            decide(fast(), Some(2999), vec![0]),
            "[0]: too little time for the edge"
        );
        let late = "504: deadline_exceeded";
        assert_eq!(decide(fast(), Some(2999), vec![]), late);
        assert_eq!(decide(json!({}), Some(2999), vec![]), late);
        assert_eq!(
            decide(json!({}), Some(2999), vec![0]),
            "[0]: better models than the edge has"
        );
        assert_eq!(
            decide(json!({}), Some(3000), vec![]),
            "here: no server answers; tiny models instead"
        );
    }

    #[test]
    fn headers_are_enough_to_know_a_heavy_picture() {
        assert!(is_heavy(&info(Format::Bmp, 2400, 2780, 1), BOUNDS));
        assert!(is_heavy(&info(Format::Tiff, 10, 10, 1), BOUNDS));
        // A PDF has to be opened, unless none is read here.
        assert!(!is_heavy(&Picture::Pdf, BOUNDS));
        assert!(is_heavy(&Picture::Pdf, Bounds { pages: 0, ..BOUNDS }));
        assert!(
            !is_heavy(&info(Format::Png, 1920, 1080, 1), BOUNDS)
                && !is_heavy(&Picture::Unknown, BOUNDS)
        );
    }

    #[test]
    fn wishes_follow_from_needs() {
        assert_eq!(
            capability(&needs(json!({"accuracy_requirement": "high"}))),
            Some("medium")
        );
        assert_eq!(
            capability(&needs(json!({"batch_processing": true}))),
            Some("gpu")
        );
        assert_eq!(capability(&needs(json!({}))), None);
    }
}
