use super::wire::{Value, fields};

/// `ModelProto.metadata_props`, and the two fields of its entries.
const METADATA: u64 = 14;
const KEY: u64 = 1;
const VALUE: u64 = 2;

/// The text that a model keeps under `key` in its metadata: PP-OCRv5's recognisers have their alphabet there, one
/// character a line, under `character`. `None` where there is no such key, or the bytes are no message of the format.
pub fn metadata(onnx: &[u8], key: &str) -> Option<String> {
    for field in fields(onnx) {
        let field = field?;
        let Value::Bytes(entry) = field.value else {
            continue;
        };
        if field.number != METADATA {
            continue;
        }
        let (mut matches, mut value) = (false, None);
        for part in fields(entry) {
            let part = part?;
            match (part.number, part.value) {
                (KEY, Value::Bytes(own)) => matches = own == key.as_bytes(),
                (VALUE, Value::Bytes(text)) => value = Some(text),
                _ => {}
            }
        }
        if matches {
            return String::from_utf8(value?.to_vec()).ok();
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
            write_bytes(&mut entry, KEY, key.as_bytes());
            write_bytes(&mut entry, VALUE, value.as_bytes());
            write_bytes(&mut model, METADATA, &entry);
        }
        assert_eq!(metadata(&model, "character").as_deref(), Some("一\n乙"));
        assert_eq!(metadata(&model, "none"), None);
        assert_eq!(metadata(&model[..model.len() - 1], "character"), None);
    }
}
