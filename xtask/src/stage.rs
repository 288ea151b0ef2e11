//! The folder that `maoocr serve` serves while the web app is being built: first a page that shows how far the build
//! is, then the app.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::files::copy_tree;

/// The folder, and how far the build is.
pub struct Stage {
    folder: PathBuf,
    began: SystemTime,
    /// Steps there will be.
    steps: usize,
    begun: usize,
}

impl Stage {
    /// Fills `folder` anew: with the app from `built`, where one was built before, else with the page.
    pub fn create(folder: PathBuf, built: &Path, steps: usize) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        let stage = Self {
            folder,
            began: SystemTime::now(),
            steps,
            begun: 0,
        };
        if built.join("index.html").is_file() {
            copy_tree(built, &stage.folder, &|_| true)?;
            return Ok(stage);
        }
        for (name, content) in [
            ("building/page.css", include_str!("building.css")),
            ("building/page.js", include_str!("building.js")),
            ("index.html", include_str!("building.html")),
        ] {
            stage.write(name, content)?;
        }
        stage.report("building", "Waiting for the build to begin")?;
        Ok(stage)
    }

    /// What the server serves.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tells the page which step begins.
    pub fn begin(&mut self, step: &str) -> Result<()> {
        self.begun += 1;
        self.report("building", step)
    }

    /// Tells the page why no app will come.
    pub fn fail(&self, why: &str) -> Result<()> {
        self.report("failed", why)
    }

    /// Puts the app in the page's place: its files first, then the document that names them, in one move.
    pub fn open(&self, built: &Path) -> Result<()> {
        copy_tree(built, &self.folder, &|path| path != Path::new("index.html"))?;
        let document = fs::read(built.join("index.html")).context("the app's document")?;
        self.write("index.html", document)?;
        self.report("done", "The app is there")
    }

    fn report(&self, state: &str, step: &str) -> Result<()> {
        let progress = format!(
            "{{\"state\": {}, \"step\": {}, \"number\": {}, \"of\": {}, \"began\": {}}}\n",
            json(state),
            json(step),
            self.begun.max(1),
            self.steps,
            self.began
                .duration_since(UNIX_EPOCH)
                .map_or(0, |time| time.as_secs()),
        );
        self.write("building/progress.json", progress)
    }

    /// Whoever reads a file sees the old one or the new one, whole.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let path = self.folder.join(name);
        let folder = path.parent().context("a file lies in a folder")?;
        fs::create_dir_all(folder)?;
        let new = path.with_extension("new");
        fs::write(&new, content).with_context(|| new.display().to_string())?;
        fs::rename(&new, &path).with_context(|| path.display().to_string())
    }
}

/// A string of JSON's.
fn json(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            c if c.is_control() => quoted += &format!("\\u{:04x}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(folder: &Path, text: &str) {
        fs::create_dir_all(folder.join("assets")).unwrap();
        fs::write(folder.join("assets/app.js"), text).unwrap();
        fs::write(folder.join("index.html"), text).unwrap();
    }

    #[test]
    fn the_page_gives_way_to_the_app() {
        let scratch = tempfile::tempdir().unwrap();
        let (served, built) = (scratch.path().join("served"), scratch.path().join("dist"));
        let read = |name: &str| fs::read_to_string(served.join(name)).unwrap();

        let mut stage = Stage::create(served.clone(), &built, 3).unwrap();
        assert!(read("index.html").contains("building/page.js"));
        stage.begin("the \"module\"").unwrap();
        let progress = read("building/progress.json");
        assert!(
            progress.starts_with(
                r#"{"state": "building", "step": "the \"module\"", "number": 1, "of": 3,"#
            ),
            "{progress}"
        );
        stage.fail("no npm").unwrap();
        assert!(read("building/progress.json").contains("\"failed\", \"step\": \"no npm\""));

        app(&built, "first");
        stage.open(&built).unwrap();
        assert_eq!(read("index.html"), "first");
        assert_eq!(read("assets/app.js"), "first");
        assert!(read("building/progress.json").contains("\"done\""));

        // The next build begins with the app of this one.
        let stage = Stage::create(served.clone(), &built, 3).unwrap();
        assert_eq!(read("index.html"), "first");
        app(&built, "second");
        stage.open(&built).unwrap();
        assert_eq!(read("index.html"), "second");
    }

    #[test]
    fn strings_are_quoted_as_json_wants_them() {
        assert_eq!(json("a\n\"b\\"), r#""a\u000a\"b\\""#);
    }
}
