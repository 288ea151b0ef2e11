//! What is known about each model: `models/manifest.toml` as plain structs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The text of the manifest compiled into this build.
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
    /// Its weight class; none for dictionaries and for tasks with only one model.
    pub tier: Option<Tier>,
    /// File size in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// SPDX identifier of the weights' licence.
    pub licence: String,
    /// Taken where nothing asks for a recogniser of one script.
    #[serde(default)]
    pub general: bool,
    /// Languages or scripts whose letters it knows, as BCP 47 tags or script families (`zh-Hans`, `en`, `cyrillic`);
    /// empty if that is meaningless.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Characters of a language, by its tag, that it doesn't know: letters where the language isn't among `languages`,
    /// else marks and rare ideographs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lacks: BTreeMap<String, String>,
    /// The same network with its weights as half floats, for clients that download it: the output of
    /// `maoocr models compact`.
    pub compact: Option<Compact>,
    /// Name of the dictionary entry that a recogniser needs.
    pub dictionary: Option<String>,
    /// Where to get it; tried in order.
    pub sources: Vec<Source>,
    /// Constants of a detector.
    pub detection: Option<Detection>,
    /// Constants of a recogniser.
    pub recognition: Option<Recognition>,
    /// Constants of a classifier.
    pub classification: Option<Classification>,
    /// Remarks for later readers.
    #[serde(default)]
    pub notes: BTreeMap<String, String>,
}

impl ModelEntry {
    /// Whether its file, or the compact one, has this many bytes.
    pub fn has_size(&self, bytes: u64) -> bool {
        bytes == self.bytes || self.compact.as_ref().is_some_and(|c| c.bytes == bytes)
    }

    /// Whether its file, or the compact one, has this SHA-256, in hex.
    pub fn has_hash(&self, sha256: &str) -> bool {
        sha256 == self.sha256 || self.compact.as_ref().is_some_and(|c| c.sha256 == sha256)
    }
}

/// A file of about half the size.
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
    /// Tells upright lines from lines rotated by 180°.
    LineOrientation,
    /// Tells how far a page is rotated: 0, 90, 180 or 270°.
    PageOrientation,
    /// Finds titles, paragraphs, tables, figures. The engine does so itself; such a network has several outputs, which
    /// the executors are tested with.
    Layout,
    /// A recogniser's characters, one per line.
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

/// A place to get a file from.
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

/// How a picture becomes a detector's input, and the detector's output quads.
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
    /// Lowest probability at which a pixel counts as text.
    pub threshold: f32,
    /// Lowest mean probability at which a region is kept.
    pub box_threshold: f32,
    /// Offset ratio of the unclip step (Vatti clipping: distance = area × ratio / perimeter).
    pub unclip_ratio: f32,
    /// Largest number of regions considered.
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
    /// Margin of a crop around its quad, along the text and across it, as shares of the quad's thickness. Networks differ
    /// in how loose their training boxes were: tiny gains from 0.15 and 0.08 (lines of game screens: CER 4.4 instead of
    /// 7.7 %; single words: 75.3 instead of 71.8 % right), small loses with any margin (word F1 86.8 without).
    #[serde(default)]
    pub margin: [f32; 2],
    /// Whether its script runs from right to left. The network reads from left to right; its output is then put into
    /// reading order.
    #[serde(default)]
    pub right_to_left: bool,
    /// How surely it must read.
    #[serde(default)]
    pub sureness: Sureness,
    /// Where it swallows spaces, and where it sees too many.
    #[serde(default)]
    pub spaces: Spaces,
}

/// What a recogniser's confidences say, each the mean of a line's characters: another network is sure of other things.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sureness {
    /// Lines read less surely are noise: textures, ornaments, cut characters (PaddleOCR's `drop_score`).
    pub line: f32,
    /// A character that stands alone must be read at least this surely: specks, bullets and parts of pictures look like
    /// one.
    pub lone: f32,
    /// What the detector doubts must be read at least this surely.
    pub doubted: f32,
    /// Lines read less surely are tried from the other side.
    pub again: f32,
    /// By how much a reading from another side must be better: 0, 8, H, I, N, O, S, X and Z read either way.
    pub better: f32,
    /// Turned lines read at least this surely are taken as they are, unless they are Chinese or Japanese.
    pub turned: f32,
    /// A turned Chinese or Japanese line whose characters, stood upright, read at least this surely is a vertical one.
    pub upright: f32,
}

impl Default for Sureness {
    /// What PP-OCR's recognisers of single scripts read well with.
    fn default() -> Self {
        Self {
            line: 0.5,
            lone: 0.7,
            doubted: 0.8,
            again: 0.75,
            better: 0.15,
            turned: 0.9,
            upright: 0.6,
        }
    }
}

/// When a space that a recogniser didn't read is put in. Gaps are measured in usual advances of the line.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spaces {
    /// Where its probability came to this …
    pub probability: f32,
    /// … or where a gap is wider than this …
    pub gap: f32,
    /// … and it had at least this probability.
    pub trace: f32,
    /// Between two letters whose gap is narrower than this …
    pub narrow: f32,
    /// … only a space with this probability counts.
    pub in_word: f32,
    /// The same within numbers (1,234.56, 12:30).
    pub in_number: f32,
}

impl Default for Spaces {
    /// Measured with PP-OCRv6 on line crops of SROIE and FUNSD (word F1, %), what the network says alone against these:
    /// tiny 80.0 → 84.3 and 71.0 → 72.1, small 86.8 → 88.7 and 78.1 → 78.8. A gap in the ink, tried as another trace,
    /// added at most 0.15. Without `trace` word F1 falls by up to 2.6. Tiny sees spaces inside words (`k labnik`):
    /// without `in_word` its word F1 on printed pages is up to 9 lower; between letters and signs a gap says little, and
    /// the same bar there costs 0.3 at small.
    fn default() -> Self {
        Self {
            probability: 0.15,
            gap: 1.6,
            trace: 0.02,
            narrow: 1.2,
            in_word: 0.4,
            in_number: 0.4,
        }
    }
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
    /// The network was trained on pictures with this short side, px, of which it saw the centre, `width` × `height`: it
    /// is given that share. None: the whole picture is stretched to `width` × `height`.
    pub resize_short: Option<u32>,
    /// Per channel: `(x / 255 - mean) / std`.
    pub mean: [f32; 3],
    /// See `mean`.
    pub std: [f32; 3],
    /// What each output means, e.g. `0`, `180`.
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
    /// Parses a manifest and checks that names are unique and usable as file names, and that dictionaries exist.
    ///
    /// # Errors
    /// The text is not a manifest, or its entries contradict each other.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        let mut seen = std::collections::HashSet::new();
        for model in &manifest.models {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if model.name.is_empty() || !model.name.bytes().all(plain) {
                return Err(ManifestError::Inconsistent(format!(
                    "`{}` is not a valid name: use letters, digits, `-` and `_`",
                    model.name
                )));
            }
            if !seen.insert(model.name.as_str()) {
                return Err(ManifestError::Inconsistent(format!(
                    "`{}` appears twice",
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
                    "`{}` needs the dictionary `{dictionary}`, which is missing",
                    model.name
                )));
            }
        }
        Ok(manifest)
    }

    /// The manifest compiled into this build.
    ///
    /// # Panics
    /// Never in a tested build: a unit test parses this manifest.
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("the built-in manifest is checked by a test")
    }

    /// The entry with this name.
    pub fn get(&self, name: &str) -> Option<&ModelEntry> {
        self.models.iter().find(|m| m.name == name)
    }
}

/// Why a manifest is invalid.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not TOML of the right shape.
    #[error("the manifest can't be parsed: {0}")]
    Syntax(#[from] toml::de::Error),
    /// Its entries contradict each other.
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
            ];
            let wanted = match m.task {
                Task::Detection => [true, false, false],
                Task::Recognition => [false, true, false],
                Task::LineOrientation | Task::PageOrientation => [false, false, true],
                Task::Layout | Task::Dictionary => [false; 3],
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
        assert!(twice.to_string().contains("`a` appears twice"), "{twice}");
        let missing = Manifest::parse(&entry("a", "dictionary = \"b\"")).unwrap_err();
        assert!(missing.to_string().contains("`b`"), "{missing}");
        let path = Manifest::parse(&entry("../a", "")).unwrap_err();
        assert!(path.to_string().contains("`../a`"), "{path}");
        let typo = Manifest::parse(&entry("a", "dictionry = \"b\"")).unwrap_err();
        assert!(typo.to_string().contains("dictionry"), "{typo}");
    }
}
