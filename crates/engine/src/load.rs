//! A model from the bytes of its files: the same for every way in.

use std::sync::Arc;

use maoocr_models::manifest::{ModelEntry, Task};
use maoocr_runtime::{Session, onnx};

use crate::pipeline::{Engine, EngineError};

impl Engine {
    /// Adds a model, or replaces the one of the same name: `session` runs the network `file`, and `dictionary` is the
    /// file that [`ModelEntry::dictionary`] names. A recogniser for which it names none has its characters in the
    /// network's own metadata.
    ///
    /// # Errors
    /// The dictionary can't be used.
    pub fn install_files(
        &self,
        entry: ModelEntry,
        session: Arc<dyn Session>,
        file: &[u8],
        dictionary: Option<&[u8]>,
    ) -> Result<(), EngineError> {
        let characters = match dictionary {
            Some(bytes) => {
                let text = str::from_utf8(bytes).map_err(|_| EngineError::Model {
                    model: entry.name.clone(),
                    reason: "its dictionary is not UTF-8",
                })?;
                Some(text.to_string())
            }
            None if entry.task == Task::Recognition => onnx::metadata(file, "character"),
            None => None,
        };
        self.install(entry, session, characters.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use maoocr_models::Manifest;
    use maoocr_runtime::{RunFuture, Tensor};

    use super::*;
    use crate::plan::DeviceClass;

    struct Idle;

    impl Session for Idle {
        fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
            Box::pin(async { Ok(input) })
        }

        fn executor(&self) -> String {
            "none".into()
        }
    }

    /// A network without nodes whose metadata hold a recogniser's characters.
    fn network(characters: &str) -> Vec<u8> {
        let field = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8], bytes].concat();
        let value = field(0x12, characters.as_bytes());
        field(0x72, &[field(0x0a, b"character"), value].concat())
    }

    #[test]
    fn characters_come_from_the_file_or_from_the_network() {
        let engine = Engine::new(DeviceClass::Cpu);
        let manifest = Manifest::built_in();
        let install = |name: &str, characters: &str, dictionary: Option<&[u8]>| {
            let entry = manifest.get(name).unwrap().clone();
            engine.install_files(entry, Arc::new(Idle), &network(characters), dictionary)
        };
        install("ppocrv6-small-rec", "", Some("a\nб\n".as_bytes())).unwrap();
        install("ppocrv5-eslav-rec", "a\nб\n", None).unwrap();
        // One character is no alphabet: so that is where it was looked for.
        assert!(install("ppocrv5-el-rec", "a", None).is_err());
        install("ppocrv6-small-det", "a", None).unwrap();
        let error = install("ppocrv6-tiny-rec", "a\nб\n", Some(b"a\n\xff\n")).unwrap_err();
        assert!(error.to_string().contains("UTF-8"), "{error}");
        assert!(!engine.has("ppocrv6-tiny-rec"));
    }
}
