//! A recogniser's languages are those whose letters its dictionary has, and what it lacks is written down.

use std::collections::BTreeSet;

use maoocr_models::manifest::{Manifest, Task};
use maoocr_models::{Store, default_dir};

/// Tag, letters, marks; from the CLDR.
const EXEMPLARS: &str = include_str!("exemplars.tsv");
/// Longer lists are not written down: the script itself is missing.
const LONGEST: usize = 100;

#[test]
fn languages_are_those_the_dictionary_can_spell() {
    let store = Store::open(default_dir().unwrap()).unwrap();
    let manifest = Manifest::built_in();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for model in &manifest.models {
        if model.task != Task::Recognition || !model.general {
            continue;
        }
        let dictionary = model.dictionary.as_deref().expect("a general one has it");
        let bytes = store
            .read(dictionary)
            .expect("the dictionaries are here: `maoocr models pull`");
        let known: BTreeSet<char> = std::str::from_utf8(&bytes).unwrap().chars().collect();
        for row in EXEMPLARS.lines().filter(|line| !line.starts_with('#')) {
            let [tag, letters, marks] = row.split('\t').collect::<Vec<_>>()[..] else {
                panic!("three fields: {row}");
            };
            let missing = |text: &str| -> BTreeSet<char> {
                text.chars().filter(|c| !known.contains(c)).collect()
            };
            let lost = missing(letters);
            // A few rare ideographs of thousands don't unmake a promise.
            let complete = lost.len() * 200 <= letters.chars().count();
            let promised = model.languages.iter().any(|l| l == tag);
            if complete != promised {
                wrong.push(format!("{}: {tag}, without {lost:?}", model.name));
            }
            let lost: BTreeSet<char> = lost.into_iter().chain(missing(marks)).collect();
            let told: BTreeSet<char> = model
                .lacks
                .get(tag)
                .map(|lacks| lacks.chars().collect())
                .unwrap_or_default();
            if told != lost && (lost.len() <= LONGEST || !told.is_empty()) {
                wrong.push(format!("{}: {tag} lacks {lost:?}", model.name));
            }
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked} pairs of recogniser and language");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
