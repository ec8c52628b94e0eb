//! An event file: framed records (TFRecord) of messages (`Event`), as far as scalars need them.
//!
//! A record is its length (u64), a checksum of that, the message, a checksum of that; little-endian. The
//! checksum is CRC-32C, rotated and shifted.
//! Sources: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto and
//! tensorflow/core/framework/summary.proto.

use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

/// A tag and its value.
pub(super) type Scalar = (&'static str, f64);

/// The file's name; viewers know event files by the middle of it.
const NAME: &str = "events.out.tfevents.0.secateur";
const VERSION: &str = "brain.Event:2";
/// Bytes before the message, and behind it.
const HEAD: usize = 12;
const FOOT: usize = 4;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<SummaryValue>,
}

#[derive(Clone, PartialEq, Message)]
struct SummaryValue {
    #[prost(string, tag = "1")]
    tag: String,
    // One of several kinds: zero is written too.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// An event file that is written to its end.
pub(super) struct Events {
    file: fs_err::File,
    next: usize,
}

impl Events {
    /// The file in a folder with its events before `epoch`; what follows them, or is damaged, goes.
    pub fn up_to(folder: &Path, epoch: usize) -> Result<Self, std::io::Error> {
        let path = folder.join(NAME);
        let bytes = match fs_err::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let (kept, next) = whole(&bytes, epoch);
        let file = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)?;
        file.set_len(kept as u64)?;
        let mut events = Self { file, next };
        if kept == 0 {
            events.append(&Event {
                file_version: Some(VERSION.to_string()),
                ..Event::default()
            })?;
        }
        Ok(events)
    }

    /// The first step that is not there.
    pub fn next(&self) -> usize {
        self.next
    }

    /// Writes the scalars of a step.
    pub fn write(&mut self, step: usize, scalars: &[Scalar]) -> Result<(), std::io::Error> {
        let value = scalars.iter().map(|&(tag, value)| SummaryValue {
            tag: tag.to_string(),
            simple_value: Some(value as f32),
        });
        self.append(&Event {
            step: step as i64,
            summary: Some(Summary {
                value: value.collect(),
            }),
            ..Event::default()
        })?;
        self.next = step + 1;
        Ok(())
    }

    fn append(&mut self, event: &Event) -> Result<(), std::io::Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let event = Event {
            wall_time: now.map_or(0.0, |now| now.as_secs_f64()),
            ..event.clone()
        };
        // In one piece: a viewer may read meanwhile.
        self.file.write_all(&framed(&event.encode_to_vec()))
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length).to_le_bytes());
    record.extend(message);
    record.extend(masked(message).to_le_bytes());
    record
}

fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

/// Bytes of the whole records before a step, and the step behind the last of them.
fn whole(bytes: &[u8], epoch: usize) -> (usize, usize) {
    let (mut at, mut next) = (0, 0);
    while let Some(message) = message_at(bytes, at) {
        let Ok(event) = Event::decode(message) else {
            break;
        };
        let step = usize::try_from(event.step).unwrap_or(0);
        if event.summary.is_some() {
            if step >= epoch {
                break;
            }
            next = step + 1;
        }
        at += HEAD + message.len() + FOOT;
    }
    (at, next)
}

fn message_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let record = bytes.get(at..)?;
    let length = record.get(..8)?;
    let n = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
    let end = HEAD.checked_add(n)?;
    let message = record.get(HEAD..end)?;
    let foot = record.get(end..end.checked_add(FOOT)?)?;
    (foot == masked(message).to_le_bytes()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_on_where_it_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let steps = |folder: &Path| {
            let bytes = fs_err::read(folder.join(NAME)).unwrap();
            let (mut at, mut steps) = (0, Vec::new());
            while let Some(message) = message_at(&bytes, at) {
                let event = Event::decode(message).unwrap();
                steps.extend(event.summary.map(|s| (event.step, s.value[0].simple_value)));
                at += HEAD + message.len() + FOOT;
            }
            assert_eq!(at, bytes.len());
            steps
        };
        let mut events = Events::up_to(folder.path(), 0).unwrap();
        for step in 0..4 {
            events.write(step, &[("quality", step as f64)]).unwrap();
        }
        drop(events);
        // Killed within a record.
        let path = folder.path().join(NAME);
        let bytes = fs_err::read(&path).unwrap();
        fs_err::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let mut events = Events::up_to(folder.path(), 2).unwrap();
        assert_eq!(events.next(), 2);
        events.write(2, &[("quality", 9.0)]).unwrap();
        let expected = [(0, Some(0.0)), (1, Some(1.0)), (2, Some(9.0))];
        assert_eq!(steps(folder.path()), expected);
        // Begun anew, and later than it is written.
        assert_eq!(Events::up_to(folder.path(), 9).unwrap().next(), 3);
        assert_eq!(Events::up_to(folder.path(), 0).unwrap().next(), 0);
        assert_eq!(steps(folder.path()), []);
    }

    #[test]
    fn checksums_are_those_of_the_format() {
        // CRC-32C of `123456789` is e3069283 (RFC 3720's polynomial).
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked(b"123456789"), 0xc78a_b0e5);
    }
}
