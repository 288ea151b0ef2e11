//! What is known of each model: `models/manifest.toml` as plain structs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The manifest this build was made with.
pub const BUILT_IN: &str = include_str!("../../../models/manifest.toml");

/// All models and dictionaries.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Entries in order of preference.
    #[serde(rename = "model")]
    pub models: Vec<ModelEntry>,
}

/// One file: a network or a dictionary.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// Unique name, e.g. `ppocrv6-small-rec`.
    pub name: String,
    /// What it is for.
    pub task: Task,
    /// Where it comes from, e.g. `PP-OCRv6`.
    pub family: String,
    /// Its weight class; none for dictionaries and for tasks with one model.
    pub tier: Option<Tier>,
    /// File size in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// SPDX identifier of the weights' licence.
    pub licence: String,
    /// BCP 47 languages or scripts (`zh-Hans`, `en`, `ja`, `cyrillic`) it reads; empty where that means nothing.
    #[serde(default)]
    pub languages: Vec<String>,
    /// The same network with its weights as half floats, for places that fetch it over a network: what
    /// `maoocr models compact` makes of the file.
    pub compact: Option<Compact>,
    /// Name of the dictionary entry a recogniser needs.
    pub dictionary: Option<String>,
    /// Where to get it, tried in order.
    pub sources: Vec<Source>,
    /// Constants of a detector.
    pub detection: Option<Detection>,
    /// Constants of a recogniser.
    pub recognition: Option<Recognition>,
    /// Constants of a classifier.
    pub classification: Option<Classification>,
    /// Constants of a layout model.
    pub layout: Option<Layout>,
    /// Anything a later reader wants to know.
    #[serde(default)]
    pub notes: BTreeMap<String, String>,
}

impl ModelEntry {
    /// Whether its file, or its compact one, has so many bytes.
    pub fn has_size(&self, bytes: u64) -> bool {
        bytes == self.bytes || self.compact.as_ref().is_some_and(|c| c.bytes == bytes)
    }
}

/// A file of half the size.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Compact {
    /// File size in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Finds lines of text.
    Detection,
    /// Reads a line.
    Recognition,
    /// Tells upright lines from lines turned by 180°.
    LineOrientation,
    /// Tells how far a page is turned: 0, 90, 180 or 270°.
    PageOrientation,
    /// Finds titles, paragraphs, tables, figures.
    Layout,
    /// A recogniser's characters, one a line.
    Dictionary,
}

/// Weight class of a model; heavier is more accurate and slower.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// For phones, browsers and the edge.
    Tiny,
    /// The default.
    Small,
    /// For servers.
    Medium,
}

/// One place to get a file from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// A file inside a wheel on the Python package index, fetched through the `pip` client.
    Wheel {
        /// Distribution name.
        package: String,
        /// Exact version.
        version: String,
        /// Path of the file in the archive.
        path: String,
    },
    /// A plain download.
    Http {
        /// Address of the file.
        url: String,
    },
}

/// How a picture becomes a detector's input, and its output quads.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// Order of the input's channels.
    pub channels: Channels,
    /// Per channel, in that order: `(x / 255 - mean) / std`.
    pub mean: [f32; 3],
    /// See `mean`.
    pub std: [f32; 3],
    /// Sides of the input are multiples of this, px.
    pub multiple: u32,
    /// A pixel is text from this probability on.
    pub threshold: f32,
    /// A region is kept from this mean probability on.
    pub box_threshold: f32,
    /// Offset ratio of the unclip step (Vatti clipping: distance = area × ratio / perimeter).
    pub unclip_ratio: f32,
    /// Regions looked at, at most.
    pub max_candidates: usize,
}

/// How a strip becomes a recogniser's input.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recognition {
    /// Order of the input's channels.
    pub channels: Channels,
    /// Input height, px.
    pub height: u32,
    /// `(x / 255 - mean) / std`, all channels.
    pub mean: f32,
    /// See `mean`.
    pub std: f32,
    /// What a crop shows around its quad, along the text and across it, as shares of its thickness. Networks differ
    /// in how loose the boxes were that they learnt from: tiny gains by 0.15 and 0.08 (lines of game screens: CER 4.4
    /// against 7.7 %; single words: 75.3 against 71.8 % right), small loses by any (word F1 86.8 at none).
    #[serde(default)]
    pub margin: [f32; 2],
    /// Whether its script runs from right to left: what it reads, from left to right, is then put into reading order.
    #[serde(default)]
    pub right_to_left: bool,
}

/// How a picture becomes a classifier's input.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// Order of the input's channels.
    pub channels: Channels,
    /// Input width, px.
    pub width: u32,
    /// Input height, px.
    pub height: u32,
    /// Scale the picture to this short side, px, and cut `width` × `height` from its middle; none: stretch it to
    /// `width` × `height`.
    pub resize_short: Option<u32>,
    /// Per channel: `(x / 255 - mean) / std`.
    pub mean: [f32; 3],
    /// See `mean`.
    pub std: [f32; 3],
    /// What each output means, e.g. `0`, `180`.
    pub labels: Vec<String>,
}

/// How a page becomes a layout model's input, and its outputs boxes (PicoDet's generalised focal loss head).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Order of the input's channels.
    pub channels: Channels,
    /// Input width, px; the page is stretched to it.
    pub width: u32,
    /// Input height, px.
    pub height: u32,
    /// Per channel: `(x / 255 - mean) / std`.
    pub mean: [f32; 3],
    /// See `mean`.
    pub std: [f32; 3],
    /// Strides of the feature maps, px, in the order of the outputs: first all scores, then all distances.
    pub strides: Vec<u32>,
    /// A box is kept from this score on.
    pub score_threshold: f32,
    /// Of two boxes of a class that overlap more than this (intersection over union), the better one is kept.
    pub iou_threshold: f32,
    /// What each class is.
    pub labels: Vec<String>,
}

/// Order of colour channels.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red: what OpenCV reads and PaddleOCR trains on.
    Bgr,
}

impl Manifest {
    /// Reads a manifest and checks that names are unique and fit for file names, and that dictionaries exist.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        let mut seen = std::collections::HashSet::new();
        for model in &manifest.models {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if model.name.is_empty() || !model.name.bytes().all(plain) {
                return Err(ManifestError::Inconsistent(format!(
                    "`{}` is no name: letters, digits, `-` and `_` make one",
                    model.name
                )));
            }
            if !seen.insert(model.name.as_str()) {
                return Err(ManifestError::Inconsistent(format!(
                    "`{}` stands there twice",
                    model.name
                )));
            }
        }
        for model in &manifest.models {
            if let Some(dictionary) = &model.dictionary
                && !manifest
                    .get(dictionary)
                    .is_some_and(|d| d.task == Task::Dictionary)
            {
                return Err(ManifestError::Inconsistent(format!(
                    "`{}` needs the dictionary `{dictionary}`, which is not there",
                    model.name
                )));
            }
        }
        Ok(manifest)
    }

    /// The manifest this build was made with.
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("the built-in manifest is checked by a test")
    }

    /// The entry of that name.
    pub fn get(&self, name: &str) -> Option<&ModelEntry> {
        self.models.iter().find(|m| m.name == name)
    }
}

/// Why a manifest could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML of the right shape.
    #[error("the manifest can't be read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// Entries contradict each other.
    #[error("the manifest contradicts itself: {0}")]
    Inconsistent(String),
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Medium => "medium",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_is_complete() {
        let manifest = Manifest::parse(BUILT_IN).unwrap();
        for m in &manifest.models {
            assert!(
                m.sha256.len() == 64
                    && m.sha256
                        .bytes()
                        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
                "{}: sha256",
                m.name
            );
            assert!(
                m.bytes > 0 && !m.licence.is_empty() && !m.sources.is_empty(),
                "{}",
                m.name
            );
            assert!(
                m.name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-'),
                "{}: a name is a file name too",
                m.name
            );
            for source in &m.sources {
                match source {
                    Source::Wheel { path, version, .. } => {
                        assert!(!path.starts_with('/') && !version.is_empty(), "{}", m.name);
                    }
                    Source::Http { url } => assert!(url.starts_with("https://"), "{}", m.name),
                }
            }
            // Each task has its constants, and no others.
            let has = [
                m.detection.is_some(),
                m.recognition.is_some(),
                m.classification.is_some(),
                m.layout.is_some(),
            ];
            let wanted = match m.task {
                Task::Detection => [true, false, false, false],
                Task::Recognition => [false, true, false, false],
                Task::LineOrientation | Task::PageOrientation => [false, false, true, false],
                Task::Layout => [false, false, false, true],
                Task::Dictionary => [false; 4],
            };
            assert_eq!(has, wanted, "{}: constants", m.name);
            if m.task == Task::Recognition {
                assert!(
                    m.dictionary.is_some() || m.notes.contains_key("dictionary"),
                    "{}: neither a dictionary nor a note on where its characters are",
                    m.name
                );
                assert!(!m.languages.is_empty(), "{}: languages", m.name);
            }
        }
        for tier in ["tiny", "small", "medium"] {
            for task in ["det", "rec"] {
                let name = format!("ppocrv6-{tier}-{task}");
                assert_eq!(
                    manifest
                        .get(&name)
                        .and_then(|m| m.tier)
                        .map(|t| t.to_string()),
                    Some(tier.into()),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn contradictions_are_named() {
        let entry = |name: &str, more: &str| {
            format!(
                "[[model]]\nname = \"{name}\"\ntask = \"recognition\"\nfamily = \"f\"\nbytes = 1\nsha256 = \"\"\nlicence = \"\"\nsources = []\n{more}\n"
            )
        };
        let twice = Manifest::parse(&(entry("a", "") + &entry("a", ""))).unwrap_err();
        assert!(
            twice.to_string().contains("`a` stands there twice"),
            "{twice}"
        );
        let missing = Manifest::parse(&entry("a", "dictionary = \"b\"")).unwrap_err();
        assert!(missing.to_string().contains("`b`"), "{missing}");
        let path = Manifest::parse(&entry("../a", "")).unwrap_err();
        assert!(path.to_string().contains("`../a`"), "{path}");
        let typo = Manifest::parse(&entry("a", "dictionry = \"b\"")).unwrap_err();
        assert!(typo.to_string().contains("dictionry"), "{typo}");
    }
}
