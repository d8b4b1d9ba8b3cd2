//! A proxy between client and server that applies a fault to one HTTP/2 frame.
//!
//! gRPC messages are sent in frames; those of both directions are counted in the order in which they pass.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The fault of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection closes before it.
    Cut,
    /// The connection closes in the middle of it.
    CutWithin,
    /// It is delayed, but within the client's timeout.
    Delay,
    /// One bit of its payload is flipped.
    Flip,
    /// It is dropped.
    Drop,
    /// It is swapped with the next one.
    Swap,
    /// It is sent twice.
    Twice,
}

pub(crate) const FAULTS: [Fault; 7] =
    [Fault::Cut, Fault::CutWithin, Fault::Delay, Fault::Flip, Fault::Drop, Fault::Swap, Fault::Twice];

struct Shared {
    n_frames: AtomicUsize,
    fault: Option<(usize, Fault)>,
    late: Duration,
    open: Mutex<Vec<TcpStream>>,
}

/// The proxy, which runs until it is dropped.
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Way {
    /// Creates a proxy to a server; frame number `fault.0` gets its fault.
    pub(crate) fn to(server: SocketAddr, fault: Option<(usize, Fault)>, late: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { n_frames: AtomicUsize::new(0), fault, late, open: Mutex::default() });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // The proxy was dropped.
                if Arc::strong_count(&of_thread) == 1 {
                    return;
                }
                let Ok(server) = TcpStream::connect(server) else { continue };
                let mut open = of_thread.open.lock().unwrap();
                open.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let ends = [(client.try_clone(), server.try_clone(), true), (Ok(server), Ok(client), false)];
                for (from, to, has_preface) in ends {
                    let (from, to, shared) = (from.unwrap(), to.unwrap(), Arc::clone(&of_thread));
                    thread::spawn(move || {
                        // Both sides see the end, whatever its reason.
                        drop(pass(&from, &to, has_preface, &shared));
                        drop(from.shutdown(Shutdown::Both));
                        drop(to.shutdown(Shutdown::Both));
                    });
                }
            }
        });
        Self { address, shared }
    }

    /// Number of frames that passed.
    pub(crate) fn n_frames(&self) -> usize {
        self.shared.n_frames.load(Ordering::Relaxed)
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        for end in self.shared.open.lock().unwrap().drain(..) {
            drop(end.shutdown(Shutdown::Both));
        }
        // Wakes the accepting thread, which then ends.
        drop(TcpStream::connect(self.address));
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, has_preface: bool, shared: &Shared) -> io::Result<()> {
    if has_preface {
        let mut preface = [0; 24];
        from.read_exact(&mut preface)?;
        to.write_all(&preface)?;
    }
    let mut held = None;
    loop {
        let mut frame = vec![0; 9];
        from.read_exact(&mut frame)?;
        let n_bytes = usize::from(frame[0]) << 16 | usize::from(frame[1]) << 8 | usize::from(frame[2]);
        frame.resize(9 + n_bytes, 0);
        from.read_exact(&mut frame[9..])?;
        let number = shared.n_frames.fetch_add(1, Ordering::Relaxed);
        match shared.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault) {
            Some(Fault::Cut) => return Ok(()),
            Some(Fault::CutWithin) => return to.write_all(&frame[..frame.len() / 2]),
            Some(Fault::Drop) => continue,
            Some(Fault::Swap) => {
                held = Some(frame);
                continue;
            }
            Some(Fault::Twice) => to.write_all(&frame)?,
            Some(Fault::Delay) => thread::sleep(shared.late),
            Some(Fault::Flip) if n_bytes > 0 => frame[9 + n_bytes / 2] ^= 1,
            Some(Fault::Flip) | None => {}
        }
        to.write_all(&frame)?;
        if let Some(held) = held.take() {
            to.write_all(&held)?;
        }
    }
}
