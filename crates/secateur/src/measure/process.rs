//! A process with all that it starts, within a time limit.

use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use process_wrap::std::{ChildWrapper, CommandWrap};

use super::tail::Tail;

/// How often a process is looked at: at first often, as some commands take no time.
const LOOKS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// The end of what a process printed.
pub(super) struct Printed {
    pub stdout: String,
    pub stderr: String,
}

/// How a process ended.
pub(super) enum Ended {
    Exited(ExitStatus, Printed),
    TimedOut(Printed),
    Stopped,
}

/// Runs a program until it ends, the time is over or `stop` is true; then it is killed with
/// everything that it has started. It reads nothing, and what it prints is kept from its end.
pub(super) fn run(
    words: &[OsString],
    limit: Duration,
    stop: &dyn Fn() -> bool,
) -> io::Result<Ended> {
    let mut child = spawn(words)?;
    let stdout = child.stdout().take().map(Tail::of);
    let stderr = child.stderr().take().map(Tail::of);
    let text = |tail: Option<Tail>| tail.map_or_else(String::new, Tail::text);
    let printed = || Printed {
        stdout: text(stdout),
        stderr: text(stderr),
    };
    let started = Instant::now();
    let mut pause = LOOKS[0];
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended::Exited(status, printed()));
        }
        if stop() {
            child.kill()?;
            return Ok(Ended::Stopped);
        }
        if started.elapsed() >= limit {
            child.kill()?;
            return Ok(Ended::TimedOut(printed()));
        }
        sleep(pause);
        pause = (2 * pause).min(LOOKS[1]);
    }
}

/// Starts a program as the first of a group of processes. Ctrl-C does not reach that group: it is
/// ended by whoever waits for it.
fn spawn(words: &[OsString]) -> io::Result<Box<dyn ChildWrapper>> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = CommandWrap::with_new(program, |command| {
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    });
    #[cfg(unix)]
    command.wrap(process_wrap::std::ProcessGroup::leader());
    #[cfg(windows)]
    command.wrap(process_wrap::std::JobObject);
    command.spawn()
}
