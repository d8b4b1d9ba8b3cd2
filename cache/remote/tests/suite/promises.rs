//! Promises that a server made to an earlier command, and their validity for a later one.

use bazel_remote_apis::build::bazel::remote::execution::v2::digest_function::Value as Function;
use mc_digest::digest::BlobDigest;
use mc_ir::output::Outputs;
use mc_remote::download::Fetching;
use mc_remote::function::DigestFunction;
use mc_remote::notes::Notes;
use mc_remote::signing::Signatures;
use mc_remote::transports::grpc::transport::Grpc;
use tempfile::{TempDir, tempdir};

use crate::action::Machine;
use crate::grpc::settings;
use crate::grpc_server::{Abilities, GrpcServer};

/// A machine that fetches only what it reads, and keeps its records about the server in a folder.
fn lazy(server: &GrpcServer, folder: &TempDir) -> Machine {
    let transport = Box::new(Grpc::new(settings(server.address)).unwrap());
    let notes = Notes::open(folder.path(), "server");
    Machine::noting(transport, notes, Fetching::WhenRead, Signatures::default())
}

#[test]
fn promises_in_another_digest_function_do_not_count() {
    let (folder, others) = (tempdir().unwrap(), tempdir().unwrap());
    let checks = DigestFunction::Blake3;
    let before =
        GrpcServer::new(Abilities { functions: vec![Function::Blake3], checks, ..Abilities::default() });
    let maker = lazy(&before, &others);
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    assert_eq!(lazy(&before, &folder).lookup().unwrap().as_ref(), Some(&outputs));

    // The same address, now with a server of another digest function.
    let server = GrpcServer::new(Abilities::default());
    let user = lazy(&server, &folder);
    assert!(user.is_promised(&outputs));
    user.bring(&outputs).unwrap();
    assert_eq!(user.remote.n_lost(), 4);
    assert!(!user.is_promised(&outputs));
    assert_eq!(user.lookup().unwrap(), None);
    // A local result is uploaded under its right digests, and is a hit for others and for this machine.
    user.run();
    user.upload(&outputs).unwrap();
    for folder in [&folder, &tempdir().unwrap()] {
        let next = lazy(&server, folder);
        assert_eq!(next.lookup().unwrap().as_ref(), Some(&outputs));
        next.bring(&outputs).unwrap();
        assert!(next.holds(&outputs));
        assert_eq!((next.remote.n_lost(), next.remote.invalid_response()), (0, None));
    }
}

#[test]
fn after_a_loss_the_other_promises_are_checked() {
    let (folder, others) = (tempdir().unwrap(), tempdir().unwrap());
    let server = GrpcServer::new(Abilities::default());
    let maker = lazy(&server, &others);
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    let user = lazy(&server, &folder);
    assert_eq!(user.lookup().unwrap().as_ref(), Some(&outputs));
    for n_bytes in [5000, 2000] {
        server.lose(n_bytes);
    }
    server.look_away();
    let promised = |n_bytes: u64| {
        let parts: Vec<BlobDigest> = outputs.values().flat_map(|output| output.parts().to_vec()).collect();
        user.remote.promises(parts.iter().find(|part| part.n_bytes == n_bytes).unwrap())
    };
    assert!([5000, 2000, 70_000].map(promised).iter().all(|is| *is));
    assert_eq!(server.seen().calls.get("FindMissingBlobs"), None);
    user.bring(&Outputs::from([("file".to_owned(), outputs["file"].clone())])).unwrap();
    user.remote.look_for_losses(&user.store).unwrap();
    assert_eq!([5000, 2000, 70_000].map(promised), [false, false, true]);
    assert_eq!(user.remote.n_gone(), 2);
    // One request for all, and none about blobs that were already checked.
    assert_eq!(server.seen().calls["FindMissingBlobs"], 1);
    assert_eq!(user.remote.failure(), None);
}
