//! The end of what a process prints, read while it prints.

use std::io::Read;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes that are kept: no command fills memory or disk, whatever it prints.
const KEPT: usize = 64 * 1024;
/// How long the end of a stream is waited for after its process ended: one that the process left
/// in the background may hold it open.
const GRACE: Duration = Duration::from_secs(1);

/// The end of a stream.
pub(super) struct Tail {
    bytes: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Tail {
    /// Reads a stream to its end, in a thread of its own: a process whose pipe is full would wait
    /// for ever.
    pub fn of(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = channel();
        let kept = bytes.clone();
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&buffer[..n]);
                let beyond = kept.len().saturating_sub(KEPT);
                kept.drain(..beyond);
            }
            // Nobody may wait any more.
            let _ = end.send(());
        });
        Self { bytes, ended }
    }

    /// What was printed last, once the process has ended.
    pub fn text(self) -> String {
        // The sender is gone, or late: what is there is all there is.
        let _ = self.ended.recv_timeout(GRACE);
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_stream_the_end_is_kept() {
        let long = "x".repeat(3 * KEPT) + "end";
        let text = Tail::of(std::io::Cursor::new(long)).text();
        assert_eq!(text.len(), KEPT);
        assert!(text.ends_with("xend"));
    }
}
