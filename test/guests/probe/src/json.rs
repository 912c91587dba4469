/// A JSON string of any bytes, each byte as the Unicode character of its number (Latin-1, as HTTP has it).
pub fn string(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', byte.into()]),
            0x20..=0x7e => text.push(byte.into()),
            _ => text.push_str(&format!("\\u{byte:04x}")),
        }
    }
    text.push('"');
    text
}

/// A JSON array of pairs of strings.
pub fn pairs<N: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (N, V)>) -> String {
    let rows = pairs.into_iter().map(|(name, value)| format!("[{},{}]", string(name.as_ref()), string(value.as_ref())));
    format!("[{}]", rows.collect::<Vec<_>>().join(","))
}

/// A JSON string, or null.
pub fn optional(text: Option<String>) -> String {
    text.map_or_else(|| "null".to_string(), |text| string(text.as_bytes()))
}
