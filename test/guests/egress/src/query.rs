/// The query of a request: `name=value` pairs, percent-decoded, bytes as they come.
pub struct Query(Vec<(String, Vec<u8>)>);

impl Query {
    /// Never fails: what is not a pair is a name with an empty value.
    pub fn parse(text: &str) -> Query {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_string(), decode(value))
        });
        Query(pairs.collect())
    }

    /// The bytes of a parameter, empty where it is absent.
    pub fn bytes(&self, name: &str) -> &[u8] {
        self.0.iter().find(|(key, _)| key == name).map_or(&[], |(_, value)| value)
    }

    /// A parameter as text, empty where it is absent or not UTF-8.
    pub fn text(&self, name: &str) -> &str {
        std::str::from_utf8(self.bytes(name)).unwrap_or("")
    }

    /// A parameter as a decimal number.
    pub fn number(&self, name: &str, fallback: u64) -> u64 {
        self.text(name).parse().unwrap_or(fallback)
    }
}

fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.filter(|_| bytes[at] == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded
}
