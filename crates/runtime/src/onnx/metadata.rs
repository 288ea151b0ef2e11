use super::proto::{all, field};

/// The text that a model keeps under `key` in its metadata: PP-OCRv5's recognisers have their alphabet there, one
/// character a line, under `character`. `None` where there is no such key, or the bytes are no message of the format.
pub fn metadata(onnx: &[u8], key: &str) -> Option<String> {
    for entry in all(onnx, field::MODEL_METADATA).ok()? {
        let keys = all(entry, field::METADATA_KEY).ok()?;
        if keys.last() == Some(&key.as_bytes()) {
            let values = all(entry, field::METADATA_VALUE).ok()?;
            return String::from_utf8(values.last()?.to_vec()).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::wire::write_bytes;
    use super::*;

    #[test]
    fn an_entry_is_found_by_its_key() {
        let mut model = Vec::new();
        for (key, value) in [("other", "x"), ("character", "一\n乙")] {
            let mut entry = Vec::new();
            write_bytes(&mut entry, field::METADATA_KEY, key.as_bytes());
            write_bytes(&mut entry, field::METADATA_VALUE, value.as_bytes());
            write_bytes(&mut model, field::MODEL_METADATA, &entry);
        }
        assert_eq!(metadata(&model, "character").as_deref(), Some("一\n乙"));
        assert_eq!(metadata(&model, "none"), None);
        assert_eq!(metadata(&model[..model.len() - 1], "character"), None);
    }
}
