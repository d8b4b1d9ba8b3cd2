//! A way between a client and a server on which one HTTP/2 frame meets a fault.
//!
//! Frames are what gRPC's messages travel in; all of both directions are counted, in the order in which they pass.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What goes wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection ends before it.
    Cut,
    /// The connection ends in the middle of it.
    CutWithin,
    /// It comes late, but within the client's patience.
    Delay,
    /// One bit of its payload is another.
    Flip,
    /// It never comes.
    Drop,
    /// It comes after the next one.
    Swap,
    /// It comes twice.
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

/// The way, until it is dropped.
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Way {
    /// A way to a server; frame number `fault.0` meets its fault.
    pub(crate) fn to(server: SocketAddr, fault: Option<(usize, Fault)>, late: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { n_frames: AtomicUsize::new(0), fault, late, open: Mutex::default() });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // The way was dropped.
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
                        // However it ends, both sides see it.
                        drop(pass(&from, &to, has_preface, &shared));
                        drop(from.shutdown(Shutdown::Both));
                        drop(to.shutdown(Shutdown::Both));
                    });
                }
            }
        });
        Self { address, shared }
    }

    /// Frames that passed.
    pub(crate) fn n_frames(&self) -> usize {
        self.shared.n_frames.load(Ordering::Relaxed)
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        for end in self.shared.open.lock().unwrap().drain(..) {
            drop(end.shutdown(Shutdown::Both));
        }
        // Wakes the thread that accepts, which then ends.
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
