//! A command that runs at a terminal of its own, and a user who types.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Time after which a test gives up.
const PATIENCE: Duration = Duration::from_secs(300);

/// A command at a terminal.
pub(crate) struct Terminal {
    child: Child,
    /// The side of the terminal that a user sits at.
    user: File,
    output: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

/// How a command at a terminal ended.
pub(crate) struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Everything that it wrote, and the echo of what was typed.
    pub(crate) output: String,
}

impl Terminal {
    /// Starts a command at a terminal of this size.
    pub(crate) fn start(mut command: Command, n_columns: u16, n_rows: u16) -> Self {
        let (user, program) = open(n_columns, n_rows);
        let side = || Stdio::from(program.try_clone().unwrap());
        command.stdin(side()).stdout(side()).stderr(side());
        take_over(&mut command);
        let child = command.spawn().unwrap();
        // The terminal ends when its last program does, so nobody else may hold that side.
        drop((command, program));
        let output = Arc::new(Mutex::new(String::new()));
        let reader = thread::spawn({
            let (output, mut screen) = (Arc::clone(&output), user.try_clone().unwrap());
            move || {
                let (mut bytes, mut pending) = ([0; 4096], Vec::new());
                // Linux says that it is an error when nobody holds the other side any more.
                while let Ok(n_bytes @ 1..) = screen.read(&mut bytes) {
                    pending.extend_from_slice(&bytes[..n_bytes]);
                    let n_whole =
                        std::str::from_utf8(&pending).map_or_else(|error| error.valid_up_to(), str::len);
                    let whole: Vec<u8> = pending.drain(..n_whole).collect();
                    output.lock().unwrap().push_str(std::str::from_utf8(&whole).unwrap());
                }
            }
        });
        Self { child, user, output, reader }
    }

    /// The text that was written so far.
    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Waits until what was written has a property.
    #[track_caller]
    pub(crate) fn wait_until(&self, is_so: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !is_so(&self.output()) {
            assert!(start.elapsed() < PATIENCE, "{:?}", self.output());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Types a text; `\r` is the key for a new line, `\u{3}` is Ctrl-C.
    pub(crate) fn type_keys(&mut self, keys: &str) {
        self.user.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end of the command.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                panic!("it did not end: {:?}", self.output());
            }
            thread::sleep(Duration::from_millis(5));
        };
        self.reader.join().unwrap();
        let output = self.output.lock().unwrap().clone();
        Ended { code: status.code(), output }
    }
}

fn size(n_columns: u16, n_rows: u16) -> libc::winsize {
    libc::winsize { ws_row: n_rows, ws_col: n_columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// A new terminal: the side of a user, and that of programs.
#[expect(unsafe_code, reason = "the standard library opens no terminals")]
fn open(n_columns: u16, n_rows: u16) -> (File, OwnedFd) {
    let (mut user, mut program, mut size) = (0, 0, size(n_columns, n_rows));
    let (name, modes) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: both numbers and the size live longer than the call, and the call keeps none of them.
    let opened = unsafe { libc::openpty(&mut user, &mut program, name, modes, &raw mut size) };
    assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
    for file in [user, program] {
        // SAFETY: the files were opened just now. No other program that a test starts may hold them.
        unsafe { libc::fcntl(file, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    // SAFETY: the files were opened just now, and nobody else owns them.
    unsafe { (File::from_raw_fd(user), OwnedFd::from_raw_fd(program)) }
}

/// Makes the terminal that is the command's stdin its own, so that Ctrl-C goes to it.
#[expect(unsafe_code, reason = "the standard library gives no terminal to a process")]
fn take_over(command: &mut Command) {
    let begin = || {
        // SAFETY: neither call allocates or locks, so they may stand between fork and exec.
        let failed = unsafe { libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY as _, 0) < 0 };
        if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: the closure calls nothing but the two system calls above.
    unsafe { command.pre_exec(begin) };
}

impl Terminal {
    /// Changes the size, which the command hears of.
    #[expect(unsafe_code, reason = "the standard library knows no size of terminals")]
    pub(crate) fn resize(&self, n_columns: u16, n_rows: u16) {
        let size = size(n_columns, n_rows);
        // SAFETY: the size lives longer than the call, which only reads it.
        let done = unsafe { libc::ioctl(self.user.as_raw_fd(), libc::TIOCSWINSZ, &size) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }
}
