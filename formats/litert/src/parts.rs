//! A file under construction: parts and the number of bytes so far.

use mc_exporter::plane::Part;

/// The parts of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    list: Vec<Part>,
    n_bytes: u64,
}

impl Parts {
    /// Number of bytes of all parts.
    pub(crate) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// The parts.
    pub(crate) fn into_list(self) -> Vec<Part> {
        self.list
    }

    /// Appends bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.n_bytes += bytes.len() as u64;
        match self.list.last_mut() {
            Some(Part::Bytes(last)) => last.extend_from_slice(bytes),
            _ if bytes.is_empty() => {}
            _ => self.list.push(Part::Bytes(bytes.to_vec())),
        }
    }

    /// Appends zeros.
    pub(crate) fn zeros(&mut self, n_bytes: u64) {
        // A short run joins the bytes around it, because every part costs a reference.
        match usize::try_from(n_bytes) {
            Ok(n_bytes @ 0..64) => self.bytes(&[0; 64][..n_bytes]),
            _ => self.push(Part::Zeros(n_bytes), n_bytes),
        }
    }

    /// Appends zeros up to a position.
    pub(crate) fn pad_to(&mut self, position: u64) {
        self.zeros(position.saturating_sub(self.n_bytes));
    }

    /// Appends a part.
    ///
    /// * `n_bytes`: its length
    pub(crate) fn push(&mut self, part: Part, n_bytes: u64) {
        self.n_bytes += n_bytes;
        self.list.push(part);
    }

    /// Appends all parts of another file.
    pub(crate) fn append(&mut self, other: Self) {
        for part in other.list {
            match part {
                Part::Bytes(bytes) => {
                    self.bytes(&bytes);
                    self.n_bytes -= bytes.len() as u64;
                }
                part => self.list.push(part),
            }
        }
        self.n_bytes += other.n_bytes;
    }
}
