//! Bytes as they come, taken out line by line.

/// The longest line that is waited for. The longest that makes sense is a start with two paths in it.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// What was read and is not used yet.
#[derive(Default)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// Up to where there is known to be no end of a line.
    searched: usize,
}

/// A line that does not end.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

impl LineBuffer {
    pub fn push(&mut self, bytes: &[u8]) {
        // Once for each read, not for each line.
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line, without its end.
    ///
    /// # Errors
    /// It is longer than [`MAX_LINE_BYTES`], ended or not.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, TooLong> {
        let found = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n');
        let end = found.map_or(self.bytes.len(), |offset| self.searched + offset);
        if end - self.start > MAX_LINE_BYTES {
            return Err(TooLong);
        }
        self.searched = end;
        if found.is_none() {
            return Ok(None);
        }
        let line = self.start..end;
        self.start = end + 1;
        self.searched = self.start;
        Ok(Some(&self.bytes[line]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_however_they_came_in() {
        let text = b"one\n\ntwo and more\nthree\nrest";
        for size in 1..=text.len() {
            let mut buffer = LineBuffer::default();
            let mut lines = Vec::new();
            for piece in text.chunks(size) {
                buffer.push(piece);
                while let Some(line) = buffer.next_line().expect("short") {
                    lines.push(String::from_utf8_lossy(line).into_owned());
                }
            }
            assert_eq!(lines, ["one", "", "two and more", "three"], "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_for_ever() {
        let mut buffer = LineBuffer::default();
        buffer.push(&[b'a'; MAX_LINE_BYTES]);
        assert_eq!(buffer.next_line(), Ok(None));
        buffer.push(b"\n");
        assert_eq!(buffer.next_line(), Ok(Some(&[b'a'; MAX_LINE_BYTES][..])));
        buffer.push(&[b'a'; MAX_LINE_BYTES + 1]);
        assert_eq!(buffer.next_line(), Err(TooLong));
    }
}
