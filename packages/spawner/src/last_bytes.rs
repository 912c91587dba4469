//! The end of a text whose beginning is of no interest.

/// How much of what a sandbox writes to standard error is kept.
const KEPT_BYTES: usize = 4096;

/// Keeps the last of what is pushed.
#[derive(Default)]
pub struct LastBytes(Vec<u8>);

impl LastBytes {
    pub fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(KEPT_BYTES)..];
        let surplus = (self.0.len() + bytes.len()).saturating_sub(KEPT_BYTES);
        self.0.drain(..surplus);
        self.0.extend_from_slice(bytes);
    }

    /// The text, whatever it was written in.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_stay() {
        for size in [1, 7, 4096, 5000] {
            let all: Vec<u8> = (0..9000_u32).map(|at| b'a' + (at % 26) as u8).collect();
            let mut last = LastBytes::default();
            all.chunks(size).for_each(|piece| last.push(piece));
            assert_eq!(last.text().as_bytes(), &all[9000 - KEPT_BYTES..], "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_text_becomes_one() {
        let mut last = LastBytes::default();
        last.push(b"a\xff\0b");
        assert_eq!(last.text(), "a\u{fffd}\0b");
    }
}
