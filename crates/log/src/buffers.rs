//! Memory for reading, used again. What goes back to the system after a read has to be cleared and
//! mapped again page by page for the next one, which costs more than the read itself.

use std::sync::{Arc, Mutex};

use crate::folder::lock;

/// Size of a kept buffer: what consumers ask of one partition by default, and the slack of a read.
const SIZE: usize = (1 << 20) + (64 << 10);
/// Less than this is left to the allocator, which keeps so little for itself.
const LEAST: usize = 64 << 10;
/// How many buffers are kept: for the answers to a few consumers of several partitions.
const KEPT: usize = 16;

/// The buffers that nobody uses now.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

/// Bytes to read into; goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    length: usize,
    home: Option<Arc<Buffers>>,
}

impl Buffers {
    /// A buffer of this length; what is in it is of no meaning.
    pub(crate) fn take(self: &Arc<Self>, length: usize) -> Buffer {
        if !(LEAST..=SIZE).contains(&length) {
            return Buffer { bytes: vec![0; length], length, home: None };
        }
        let kept = lock(&self.0).pop();
        let bytes = kept.unwrap_or_else(|| vec![0; SIZE]);
        Buffer { bytes, length, home: Some(Arc::clone(self)) }
    }
}

impl Buffer {
    /// Shortens it to what was read.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            let mut kept = lock(&home.0);
            if kept.len() < KEPT {
                kept.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(buffers: &Buffers) -> usize {
        lock(&buffers.0).len()
    }

    #[test]
    fn a_dropped_buffer_is_used_again_at_the_length_asked_for() {
        let buffers = Arc::new(Buffers::default());
        let mut buffer = buffers.take(LEAST);
        let at = buffer.as_ref().as_ptr();
        buffer.truncate(10);
        assert_eq!(buffer.as_ref().len(), 10);
        drop(buffer);
        assert_eq!(kept(&buffers), 1);
        let mut again = buffers.take(SIZE);
        assert_eq!((again.as_mut().as_ptr(), again.as_mut().len()), (at, SIZE));
        assert_eq!(kept(&buffers), 0);
    }

    #[test]
    fn small_and_large_buffers_and_too_many_are_not_kept() {
        let buffers = Arc::new(Buffers::default());
        for length in [0, LEAST - 1, SIZE + 1] {
            assert_eq!(buffers.take(length).as_ref().len(), length);
        }
        assert_eq!(kept(&buffers), 0);
        let many: Vec<_> = (0..KEPT + 3).map(|_| buffers.take(SIZE)).collect();
        drop(many);
        assert_eq!(kept(&buffers), KEPT);
    }
}
